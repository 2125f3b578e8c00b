"""What `verify` answers: checks by promise."""

from dataclasses import dataclass
from typing import Any

import psycopg

from cloud.store.sql import statement

PROMISES = {
    1: "Nothing lost, nothing twice",
    2: "Stock value = ledger at every commit",
    3: "Append only",
    4: "A locked period does not change",
    5: "Every journal line can be traced",
    6: "Same log in, same books out",
}


@dataclass(frozen=True, slots=True)
class Check:
    """One question to the books. difference None: not checked yet, `detail` says what is missing."""

    promise: int
    name: str
    difference: int | None
    detail: str = ""

    @property
    def holds(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.difference


def one_row(connection: psycopg.Connection, noun: str, name: str, **parameters: Any) -> tuple[Any, ...]:
    """The one row of an aggregate. Raises psycopg.Error."""
    row = connection.execute(statement(noun, name), parameters).fetchone()
    assert row is not None  # noqa: S101  an aggregate always has a row
    return row
