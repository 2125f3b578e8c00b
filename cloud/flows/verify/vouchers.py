"""Promise 3: voucher numbers are derived from the recorded order, once: worked out again from the entries."""

from collections.abc import Iterator

import psycopg

from cloud.flows.verify.check import Check, one_row
from cloud.store.sql import statement


def check_vouchers(connection: psycopg.Connection) -> Iterator[Check]:
    """Numbers against entries."""
    wrong = int(one_row(connection, "vouchers", "check")[0])
    yield Check(
        3, "voucher numbers = recorded order, no gaps, every entry of a locked period numbered", wrong,
        _first(connection) if wrong else "",
    )  # fmt: skip


def _first(connection: psycopg.Connection) -> str:
    """The first number or entry that is wrong, in words; a number of the right place has a word that is not its own."""
    for query in ("first_wrong", "first_without"):
        if row := connection.execute(statement("verify_vouchers", query), {}).fetchone():
            return f"first: {row[0]}"
    return "words differ"
