"""Change a company's chart of accounts: one account, a role, or the whole chart from a file. All or nothing.

Every change is one of the whole chart: what it would be is held against what a chart must be, and against what the
books have on it; then what differs is written. The database refuses the worst of it once more, whoever asks.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import psycopg

from cloud.domain.ledger.accounts import (
    ITEM_ROLES,
    ROLES,
    Account,
    Change,
    Complaint,
    WrongChart,
    change_complaints,
    chart_complaints,
    differences,
    flags_of,
)
from cloud.store.ledger import accounts as store
from cloud.store.ledger.accounts import Chart

Connection = psycopg.Connection


class NoSuchAccount(LookupError):
    """The company has no account of this number."""


class NumberTaken(ValueError):
    """The company has an account of this number already."""


def read_chart(connection: Connection, company_id: int) -> tuple[Account, ...]:
    """The company's accounts in the order of their numbers."""
    with connection.transaction():
        return store.read_chart(connection, company_id).accounts


def load_chart(
    connection: Connection,
    company_id: int,
    accounts: Sequence[Account],
    *,
    removes: bool = False,
    dry_run: bool = False,
) -> tuple[Change, ...]:
    """Make the company's chart these accounts; what changed, or with dry_run what would.

    removes  whether accounts go that are not named and that the books never spoke of; otherwise they stay
    Raises WrongChart, psycopg.Error.
    """
    with connection.transaction():
        chart = store.read_chart(connection, company_id)
        named = {account.number for account in accounts}
        wanted = [*accounts]
        if not removes:
            wanted += [account for account in chart.accounts if account.number not in named]
        return _change(connection, company_id, wanted, {}, dry_run=dry_run)


def add_account(connection: Connection, company_id: int, account: Account) -> None:
    """Add an account. One of whose role there is another already takes the role over; a new sub-account makes an
    account without lines and role its header.

    Raises NumberTaken, WrongChart, psycopg.Error.
    """
    with connection.transaction():
        chart = store.read_chart(connection, company_id)
        if account.number in chart.standing:
            raise NumberTaken(f"there is already an account {account.number}")
        _change(connection, company_id, _with(chart.accounts, account), {})


def change_account(
    connection: Connection, company_id: int, number: str, said: Mapping[str, Any]
) -> tuple[Change, ...]:
    """Change an account: `said` names fields of Account. A role goes to it from the account that had it; with another
    number, its sub-accounts come along.

    Raises NoSuchAccount, NumberTaken, WrongAccount, WrongChart, psycopg.Error.
    """
    with connection.transaction():
        chart = store.read_chart(connection, company_id)
        if number not in chart.standing:
            raise NoSuchAccount(f"there is no account {number}")
        account = replace(_for_role(chart.standing[number].account, said), **said)
        others = [one for one in chart.accounts if one.number != number]
        if account.number != number:
            if account.number in chart.standing:
                raise NumberTaken(f"there is already an account {account.number}")
            others = [replace(one, parent=account.number) if one.parent == number else one for one in others]
        renumbered = {account.number: number} if account.number != number else {}
        return _change(connection, company_id, _with(others, account), renumbered)


def _for_role(account: Account, said: Mapping[str, Any]) -> Account:
    """The account, ready for the role that it takes: what cannot be otherwise for that role follows it."""
    role = said.get("role")
    if role is None or role == account.role or not account.is_postable:
        return account
    return replace(account, role=None, site=None, **flags_of(role))


def _with(others: Collection[Account], account: Account) -> list[Account]:
    """The chart with this account in it; its role leaves the account that had it, its parent becomes a header."""
    wanted = []
    for one in others:
        if account.role is not None and (one.role, one.site) == (account.role, account.site):
            one = replace(one, role=None, site=None)
        if one.number == account.parent and one.is_postable and one.role is None:
            one = replace(one, is_postable=False, is_monetary=False, has_items=False, dimensions={})
        wanted.append(one)
    return [*wanted, account]


def _change(
    connection: Connection,
    company_id: int,
    wanted: Sequence[Account],
    renumbered: Mapping[str, str],
    *,
    dry_run: bool = False,
) -> tuple[Change, ...]:
    chart = store.read_chart(connection, company_id)
    changes = differences(chart.accounts, wanted, renumbered)
    if any(_is_delicate(change) for change in changes) and not dry_run:
        # What batches wrote until now counts, and none writes until this is done.
        store.hold_chart(connection)
        chart = store.read_chart(connection, company_id)
    around = store.surroundings(connection, company_id)
    complaints = list(chart_complaints(wanted, around.dimension_types, around.sites))
    if not complaints:
        chart = _with_items(connection, company_id, chart, changes)
        needed = {*ROLES, *around.roles}
        complaints = list(change_complaints(chart.standing, wanted, renumbered, around.unlocked_from, needed))
    if complaints:
        raise WrongChart(complaints)
    if changes and not dry_run:
        try:
            with connection.transaction():
                store.write_changes(connection, company_id, chart, changes)
        except psycopg.Error as error:
            if error.sqlstate is None or not error.sqlstate.startswith("TG"):
                raise
            raise WrongChart([Complaint(changes[0].number, "", str(error.diag.message_primary))]) from error
    return changes


def _is_delicate(change: Change) -> bool:
    """Whether what a batch writes meanwhile could contradict it."""
    before, after = change.before, change.after
    if before is None or after is None:
        return after is None or after.role is not None
    return (before.role, before.site, before.type, before.is_postable, before.has_items) != (
        after.role, after.site, after.type, after.is_postable, after.has_items,
    )  # fmt: skip


def _with_items(connection: Connection, company_id: int, chart: Chart, changes: Sequence[Change]) -> Chart:
    losing = [
        one.before.number
        for one in changes
        if one.before is not None
        and one.before.role in ITEM_ROLES
        and (one.after is None or (one.before.role, one.before.site) != (one.after.role, one.after.site))
    ]
    return store.with_open_items(connection, company_id, chart, losing) if losing else chart
