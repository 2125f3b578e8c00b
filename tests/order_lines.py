"""Small Parquet files in the form of the Online Retail set, and where the real one is."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

REAL_FILE = Path(__file__).parents[1] / ".." / "shared" / "data" / "retail" / "online_retail.parquet"

SCHEMA = pa.schema(
    [
        ("InvoiceNo", pa.string()),
        ("StockCode", pa.string()),
        ("Description", pa.string()),
        ("Quantity", pa.int64()),
        ("InvoiceDate", pa.timestamp("us")),
        ("UnitPrice", pa.float64()),
        ("CustomerID", pa.int64()),
        ("Country", pa.string()),
    ]
)

DAY = datetime.fromisoformat("2011-03-24T09:30")  # local, as in the file

# (invoice, code, description, quantity, price, customer) of one small day
MUG, LAMP = "WHITE MUG", "DESK LAMP"
SMALL_DAY: list[tuple[str | None, str | None, str | None, int | None, float | None, int | None]] = [
    ("540001", "10001", MUG, 20, 2.5, 17001),
    ("540001", "10001", MUG, 4, 2.5, 17001),
    ("540002", "10002A", LAMP, 3, 10.0, None),
    ("540003", "10002a", LAMP, 1, 0.0, 17002),  # a gift: a customer is named
    ("540004", "10001", MUG, 1, 0.0, None),  # a sample: its usual description stands there
    ("C540005", "10001", MUG, -2, 2.5, 17001),
    ("540006", "10001", "thrown away", -5, 0.0, None),
    ("540007", "10002A", None, -1, 0.0, None),
    ("540008", "10003", "found", 7, 0.0, None),
    ("540009", "POST", "POSTAGE", 1, 18.0, 17001),
    ("C540010", "D", "Discount", -1, 27.5, 17001),
    ("540011", "gift_0001_20", "Gift voucher", 1, 17.02, None),
    ("540012", "DCGS0003", "BOXED GLASS ASHTRAY", 2, 2.51, None),
    ("540013", "SP1002", "KID'S CHALKBOARD", 1, 5.0, None),
    ("540014", "10001", MUG, 0, 2.5, None),
    ("C540015", "10001", MUG, 3, 2.5, 17001),
    ("540016", "10001", MUG, 2**60, 2.5, None),
    ("540017", None, MUG, 1, 2.5, None),
    ("540018", "10001", MUG, None, 2.5, None),
    ("A540019", "B", "Adjust bad debt", 1, -11062.06, None),
]


def write_lines(
    path: Path, rows: Sequence[tuple[Any, ...]], minute: datetime | None = DAY, row_group_size: int | None = None
) -> Path:
    """A file of lines, all of one minute unless a row brings its own as seventh cell."""
    columns: dict[str, list[Any]] = {name: [] for name in SCHEMA.names}
    for invoice, code, description, quantity, price, customer, *own in rows:
        cells = (
            invoice,
            code,
            description,
            quantity,
            own[0] if own else minute,
            price,
            customer,
            "United Kingdom",
        )
        for name, cell in zip(SCHEMA.names, cells, strict=True):
            columns[name].append(cell)
    pq.write_table(pa.table(columns, SCHEMA), path, row_group_size=row_group_size)
    return path


def real_file() -> Path:
    """The real set, or a skip that says so."""
    if not REAL_FILE.exists():
        pytest.skip(f"the shared data folder has no {REAL_FILE.name}")
    return REAL_FILE
