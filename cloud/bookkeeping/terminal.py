"""What commands share: how they reach the books, how a company and a period are named, where texts go."""

import argparse
import re
from pathlib import Path

import psycopg

from cloud.imports.import_items import known_company

APPLICATION = "tallygate ledger"
# A plan kept from a session's first statement is wrong for the next one's many rows (ARCHITECTURE.md, the batch).
PLAN_EACH_TIME = "-c plan_cache_mode=force_custom_plan"


def connect(dsn: str) -> psycopg.Connection:
    """A connection whose transactions the flows begin and end."""
    return psycopg.connect(dsn, autocommit=True, application_name=APPLICATION, options=PLAN_EACH_TIME)


def company_of(connection: psycopg.Connection, code: str) -> int:
    """The company_id. Raises LookupError."""
    return known_company(connection, code).company_id


def period(text: str) -> int:
    """A period as people write it, 2026-10 or 202610. Raises argparse.ArgumentTypeError."""
    if not (found := re.fullmatch(r"(\d{4})-?(0[1-9]|1[0-2])", text)):
        raise argparse.ArgumentTypeError(f"expected a period such as 2026-10, got {text!r}")
    return int(found[1] + found[2])


def is_csv(path: Path) -> bool:
    """Whether a file's name says CSV rather than TOML. Raises ValueError for any other."""
    if path.suffix not in (".toml", ".csv"):
        raise ValueError(f"expected a file .toml or .csv, got {path.name}")
    return path.suffix == ".csv"


def put(text: str, path: Path | None, what: str) -> None:
    """A text on the terminal, or in a file."""
    if path is None:
        print(text, end="")
        return
    path.write_text(text, encoding="utf-8")
    print(f"{path}: {what}")


def told(company: str, count: int, what: str, *, is_dry: bool) -> str:
    """What a load did."""
    if count == 0:
        return f"{company}: nothing differs"
    return f"{company}: {count} {what} would change" if is_dry else f"{company}: {count} {what} changed"
