"""Promises 2, 3 and 5: what entries, lines and documents say of currencies, accounts, dimensions and each other."""

from collections.abc import Iterator

import psycopg

from cloud.flows.verify.check import Check, one_row


def check_ledger(connection: psycopg.Connection) -> Iterator[Check]:
    """Every reference that a line or a document makes, and every amount in another currency."""

    def asked(query: str) -> int:
        return int(one_row(connection, "verify_ledger", query)[0])

    yield Check(2, "entries that do not balance in a currency", asked("currencies_balance"))
    count, difference = one_row(connection, "verify_ledger", "foreign")
    yield Check(
        2, "amounts in other currencies, worked out again (their minor units)", int(difference),
        f"{count} wrong" if count else "",
    )  # fmt: skip
    yield Check(2, "documents that round by more than their lines explain", asked("documents_rounding"))
    yield Check(3, "entries of another transaction than their batch", asked("transactions"))
    yield Check(5, "lines on accounts that do not take them", asked("accounts_of_lines"))
    yield Check(5, "dimension sets and currencies that are not there", asked("names"))
    yield Check(5, "documents and entries that lack each other, or what they name", asked("documents"))
