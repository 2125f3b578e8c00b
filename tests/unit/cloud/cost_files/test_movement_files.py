"""Movements files become columns: the same goods from CSV, Parquet and JSON; what is wrong is named by its place."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cloud.cost_files.cells import BadFile, read_cells
from cloud.cost_files.reading import ABSENT, Movements, Type, read_movements
from cloud.domain.moments import us_of

MICRO = 10**6


def written(tmp_path: Path, text: str, name: str = "goods.csv", encoding: str = "utf-8") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding=encoding)
    return path


def movements(tmp_path: Path, text: str) -> Movements:
    return read_movements(written(tmp_path, text))


def complaints(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(BadFile) as refused:
        read_movements(written(tmp_path, text))
    return str(refused.value).splitlines()


def test_csv_parquet_and_json_say_the_same(tmp_path: Path) -> None:
    rows = [
        {"type": "receipt", "qty": "10.5", "unit_cost": "2.25", "date": "2026-03-01", "item": "A", "of": ""},
        {"type": "issue", "qty": "4", "unit_cost": "", "date": "2026-03-02", "item": "A", "of": ""},
        {"type": "return_in", "qty": "1", "unit_cost": "", "date": "2026-03-03", "item": "A", "of": "2"},
    ]
    head = ",".join(rows[0])
    as_csv = written(tmp_path, "\n".join([head, *(",".join(row.values()) for row in rows)]))
    as_json = written(tmp_path, json.dumps({"method": "fifo", "movements": rows}), "goods.json")
    as_parquet = tmp_path / "goods.parquet"
    pq.write_table(
        pa.table(
            {
                "type": [row["type"] for row in rows],
                "qty": pa.array([Decimal(row["qty"]) for row in rows], pa.decimal128(12, 6)),
                "unit_cost": pa.array([2.25, None, None], pa.float64()),
                "date": pa.array(
                    [datetime(2026, 3, day, tzinfo=UTC) for day in (1, 2, 3)], pa.timestamp("ms", "UTC")
                ),
                "item": pa.array(["A", "A", "A"]).dictionary_encode(),
                "of": pa.array([None, None, 2], pa.int8()),
            }
        ),
        as_parquet,
    )
    one, *others = [read_movements(path) for path in (as_csv, as_json, as_parquet)]
    for other in others:
        for column in ("kind", "qty", "value", "of", "occurred", "item"):
            assert getattr(one, column).tolist() == getattr(other, column).tolist(), column
    assert [path.method for path in others] == ["fifo", None]
    assert one.qty.tolist() == [10_500_000, 4_000_000, 1_000_000]
    assert one.value.tolist() == [23_625_000, ABSENT, ABSENT]


@pytest.mark.parametrize(
    ("qty", "cost", "value"),
    [
        ("3", "3.3333335", 10_000_001),  # 10.0000005 → half up
        ("0.000001", "0.4999999", 0),
        ("0.000001", "0.5", 1),
        ("7", "0.123456789012", 864_198),
        ("1", "0", 0),
        (".5", "2.", 1_000_000),
        ("1e2", "1", None),
    ],
)
def test_quantity_times_unit_cost_is_rounded_once(tmp_path: Path, qty: str, cost: str, value: int | None) -> None:
    text = f"type,qty,unit_cost\nreceipt,{qty},{cost}\n"
    found = movements(tmp_path, text)
    assert found.value.tolist() == [100 * MICRO if value is None else value]


def test_a_total_stands_before_a_unit_cost(tmp_path: Path) -> None:
    assert movements(tmp_path, "type,qty,total\nreceipt,3,10\n").value.tolist() == [10 * MICRO]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_cells_may_be_separated_by_comma_semicolon_or_tab(tmp_path: Path, separator: str) -> None:
    text = "type,qty\nreceipt,3\n".replace(",", separator)
    assert movements(tmp_path, text).qty.tolist() == [3 * MICRO]


def test_a_byte_order_mark_blanks_and_capitals_do_no_harm(tmp_path: Path) -> None:
    path = written(tmp_path, "Type, QTY \n Receipt , 3 \n", encoding="utf-8-sig")
    found = read_movements(path)
    assert (found.kind.tolist(), found.qty.tolist()) == ([Type.RECEIPT], [3 * MICRO])


def test_another_encoding_can_be_named(tmp_path: Path) -> None:
    path = written(tmp_path, "type,qty,item\nreceipt,3,青花马克杯\n", encoding="gb18030")
    assert read_movements(path, "gb18030").items == ["青花马克杯"]
    with pytest.raises(BadFile, match="expected text in utf-8"):
        read_movements(path)


def test_a_quoted_cell_may_hold_a_line_end(tmp_path: Path) -> None:
    text = 'type,qty,item\nreceipt,3,"two\nlines"\n\nissue,x,A\n'
    assert complaints(tmp_path, text) == [
        "goods.csv: line 5, column qty: expected a decimal number such as 12 or 0.25, got 'x'"
    ]


@pytest.mark.parametrize(
    ("dates", "expected"),
    [
        (["2026-03-01", "2026-03-02T10:00"], [(2026, 3, 1), (2026, 3, 2, 10)]),
        (["2026-03-01T08:00:00+08:00", "2026-03-02T00:00:00Z"], [(2026, 3, 1), (2026, 3, 2)]),
        (["2026/03/01", "2026-03-02 10:00:00"], [(2026, 3, 1), (2026, 3, 2, 10)]),
        (["03-01", "2-29 12:30"], [(2000, 3, 1), (2000, 2, 29, 12, 30)]),
        (["2026-03-01", ""], [(2026, 3, 1), (2026, 3, 1)]),
        (["", "2026-03-01"], [(2026, 3, 1), (2026, 3, 1)]),
    ],
)
def test_dates_are_read_in_the_forms_people_write(
    tmp_path: Path, dates: list[str], expected: list[tuple[int, ...]]
) -> None:
    found = movements(tmp_path, "type,qty,date\n" + "".join(f"receipt,1,{date}\n" for date in dates))
    assert found.is_dated
    assert found.occurred.tolist() == [us_of(datetime(*parts, tzinfo=UTC)) for parts in expected]


def test_without_dates_the_order_of_the_file_is_the_order_of_the_goods(tmp_path: Path) -> None:
    found = movements(tmp_path, "type,qty\nissue,1\nreceipt,1\n")
    assert (found.is_dated, found.occurred.tolist()) == (False, [0, 1])


def test_occurred_at_stands_before_date_and_entered_beside_both(tmp_path: Path) -> None:
    found = movements(tmp_path, "type,qty,date,occurred_at,entered\nreceipt,1,2026-01-01,2026-01-02,2026-01-09\n")
    day = us_of(datetime(2026, 1, 1, tzinfo=UTC))
    assert (found.occurred[0] - day, found.entered[0] - day) == (86_400 * MICRO, 8 * 86_400 * MICRO)


def test_picks_are_read_as_object_and_as_text(tmp_path: Path) -> None:
    found = movements(tmp_path, "type,qty,lot,picks\nreceipt,9,A,\nissue,,,A:2; B: 3.5\n")
    assert found.qty.tolist() == [9 * MICRO, 5_500_000]
    assert [(found.lots[lot], qty) for lot, qty in found.picks[1]] == [("A", 2 * MICRO), ("B", 3_500_000)]
    case = written(tmp_path, '[{"type": "issue", "picks": {"A": "2", "B": 3.5}}]', "case.json")
    assert [qty for _, qty in read_movements(case).picks[0]] == [2 * MICRO, 3_500_000]


def test_an_adjustment_is_a_gain_or_a_loss_by_its_sign(tmp_path: Path) -> None:
    found = movements(tmp_path, "type,qty\nadjust,2\nadjust,-3\n")
    assert found.kind.tolist() == [Type.COUNT_GAIN, Type.COUNT_LOSS]
    assert found.qty.tolist() == [2 * MICRO, 3 * MICRO]


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("receipt,,1,,,,", "column qty: expected a quantity, got none"),
        ("receipt,0,1,,,,", "column qty: expected a quantity above 0, got 0"),
        ("issue,-1,,,,,", "column qty: expected a quantity above 0, got -1"),
        ("receipt,0.0000001,1,,,,", "column qty: expected at most 6 digits after the point, got '0.0000001'"),
        ("receipt,2000000000,1,,,,", "column qty: expected at most 1000000000, got 2000000000"),
        ("receipt,1,1.0000000000001,,,,", "column unit_cost: expected at most 12 digits after the point"),
        ("receipt,1000000000,2000,,,,", "column unit_cost: expected a value of at most 1000000000000"),
        ("receipt,1,1,03-32,,,", "column date: expected a date such as 2026-03-31 or 03-31"),
        ("set_standard,,,,,,", "column unit_cost: expected a unit cost, got none"),
        ("landed,,,,1,,", "column total: expected a total or landed_per_unit, got none"),
        ("landed,,,,,,9", "column of: expected the number of the receipt, got none"),
        ("price_correction,,1,,1.5,,", "column of: expected a whole number, got '1.5'"),
        ("write_down,,,,,,", "column total: expected an amount, got none"),
        ("transfer,1,,,,,", "column to_pool: expected the pool the goods go to, got none"),
        ("issue,3,,,,A:1; B:1,", "column picks: expected 3 in all, got 2"),
        ("issue,3,,,,A,", "column picks: expected lots and quantities such as B:20; P1:160, got 'A'"),
        ("change_method,,,,,,", "column method: expected one of moving_average, fifo"),
    ],
)
def test_a_cell_that_cannot_be_used_is_named(tmp_path: Path, row: str, complaint: str) -> None:
    (told,) = complaints(tmp_path, f"type,qty,unit_cost,date,of,picks,total\nreceipt,1,1,,,,\n{row}\n")
    assert told.startswith(f"goods.csv: line 3, {complaint}")


def test_all_bad_rows_are_named_at_once_up_to_fifty(tmp_path: Path) -> None:
    told = complaints(tmp_path, "type,qty\n" + "receipt,x\n" * 60)
    assert len(told) == 51
    assert told[0].startswith("goods.csv: line 2, column qty")
    assert told[-1] == "goods.csv: and 10 more"


def test_rows_with_and_without_a_year_are_not_mixed(tmp_path: Path) -> None:
    (told,) = complaints(tmp_path, "type,qty,date\nreceipt,1,03-01\nreceipt,1,2026-03-02\n")
    assert told.startswith("goods.csv: line 3, column date: expected a date without a year")


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("goods.csv", "", "line 1: expected a head line with a column named type, got ''"),
        ("goods.csv", "type,qty\n", "line 1: expected rows after the head line, got none"),
        ("goods.csv", "type,qty,qty\nreceipt,1,1\n", "line 1: expected every column once, got 'qty' twice"),
        ("goods.csv", "type,qty\nreceipt,1,2\nissue\n", "line 2: expected 2 cells, got 3"),
        ("goods.csv", 'type,qty\nreceipt,"1\n', "line 2: expected CSV"),
        ("goods.json", "{", "the file: expected JSON"),
        ("goods.json", '{"movements": []}', "the file: expected a list of movements"),
        ("goods.json", '[{"type": "receipt"}, 7]', "movement 2: expected an object"),
        ("goods.json", '[{"type": "receipt", "qty": "x"}]', "movement 1, key qty: expected a decimal number"),
        ("goods.json", '[{"qty": "1"}]', "movement 1, key type: expected one of receipt"),
        ("goods.parquet", "no such thing", "the file: expected Parquet"),
    ],
)
def test_a_file_that_is_not_of_its_kind_says_so(tmp_path: Path, name: str, text: str, complaint: str) -> None:
    with pytest.raises(BadFile) as refused:
        read_movements(written(tmp_path, text, name))
    assert str(refused.value).startswith(f"{name}: {complaint}")


def test_a_parquet_row_is_named_by_its_number(tmp_path: Path) -> None:
    path = tmp_path / "goods.parquet"
    pq.write_table(pa.table({"type": ["receipt", "receipt"], "qty": [1.5, -1.0]}), path)
    with pytest.raises(BadFile, match="row 2, column qty: expected a quantity above 0, got -1"):
        read_movements(path)


def test_floats_in_parquet_are_read_as_they_are_written(tmp_path: Path) -> None:
    path = tmp_path / "goods.parquet"
    pq.write_table(pa.table({"type": ["receipt"] * 3, "qty": [0.1, 1e-6, 3e7]}), path)
    assert read_movements(path).qty.tolist() == [100_000, 1, 30_000_000 * MICRO]


def test_digits_of_a_json_number_do_not_pass_through_a_float(tmp_path: Path) -> None:
    path = written(tmp_path, '[{"type": "receipt", "qty": 1, "total": 100000000000.000001}]', "case.json")
    assert read_movements(path).value.tolist() == [100_000_000_000_000_001]


def test_reading_tells_how_far_it_is(tmp_path: Path) -> None:
    shares: list[float] = []
    read_cells(written(tmp_path, "type,qty\n" + "receipt,1\n" * 100), told=shares.append)
    assert shares
    assert shares[-1] == 1.0
    assert np.all(np.diff(shares) >= 0)
