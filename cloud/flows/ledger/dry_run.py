"""What would this post? Movements and value events are booked on the real path, and everything is undone again.

The answer tells the entries as the books would have them, each with the posting rule that chose its accounts, and of
rows that would be refused the reason. Nothing is left behind: no row, no head of a chain, no news to listeners. While
it runs it holds the same locks as the booking itself would.
"""

import hashlib
import re
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from uuid import UUID

import psycopg

from cloud.domain.ledger.posting import rule_for
from cloud.domain.ledger.rules import in_order
from cloud.domain.movement import derived_id
from cloud.flows.answer_once import Answered, CannotRecord, Request
from cloud.flows.book_movements import book
from cloud.flows.declare import CannotBook, Declared, check_declared, declared_columns
from cloud.store.batches import close_batch, load_company, open_batch
from cloud.store.ledger import rules as store
from cloud.store.ledger.rules import EntryLine, StoredRule

# How often the database may refuse a row before the rest is not tried any more; each try books all others anew.
TRIES_MAX = 50
_ENTRY = re.compile(r"^entry ([0-9a-f-]{36})\.")

Connection = psycopg.Connection


@dataclass(frozen=True, slots=True)
class DryEntry:
    """An entry as it would be. row: of the movements asked about, None for a value event's."""

    row: int | None
    step: int
    kind: int
    posting_date: date
    period_id: int
    tags: int
    document: str
    lines: tuple[EntryLine, ...]
    rule: StoredRule | None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why something would not be booked.

    row    its number among the movements, or of the value events' request; None where it is the request as a whole
    event  whether it is the value events'
    """

    row: int | None
    field: str
    why: str
    event: bool = False


@dataclass(slots=True)
class Rehearsal:
    """What would be posted, and what would be refused. With a refusal the request as a whole would change nothing.

    rules  {row of the movements: the rule that chose its accounts}; rows inside one cost pool have none
    """

    entries: list[DryEntry] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    rules: dict[int, StoredRule] = field(default_factory=dict)

    @property
    def would_be_booked(self) -> bool:
        """Whether nothing would be refused."""
        return not self.refused


def dry_run(
    connection: Connection,
    company_id: int,
    rows: Sequence[Declared] = (),
    by: str = "dry run",
    *,
    posts_soft_closed: bool = False,
    value_events: Callable[[Connection, Request], Answered] | None = None,
) -> Rehearsal:
    """What these movements, and then these value events, would post. Raises LookupError, psycopg.Error.

    value_events  books them as a flow of their own does, such as `correct_prices`
    """
    found = Rehearsal()
    key = f"dry-run/{uuid.uuid4()}"
    request = Request(key, hashlib.sha256(key.encode()).digest(), by, posts_soft_closed)
    trying = _possible(rows, found)
    for _ in range(TRIES_MAX):
        try:
            with connection.transaction(force_rollback=True):
                ids = _book(connection, company_id, rows, trying, request, found)
                events = _record(connection, value_events, request, found)
                _read(connection, company_id, ids, events, found)
                return found
        except psycopg.Error as error:
            if not (error.sqlstate or "").startswith("TG"):
                raise
            refused = _refused_by_database(error, company_id, key, trying)
            found.refused.append(refused)
            if refused.row is None:
                return found
            trying.remove(refused.row)
    found.refused.append(Refusal(None, "", f"{TRIES_MAX} rows are refused; the rest was not tried"))
    return found


def _possible(rows: Sequence[Declared], found: Rehearsal) -> list[int]:
    """The rows that books could hold."""
    possible = []
    for number, row in enumerate(rows):
        try:
            check_declared(number, row)
            possible.append(number)
        except CannotBook as error:
            found.refused.append(Refusal(number, "", error.reason))
    return possible


def _book(
    connection: Connection,
    company_id: int,
    rows: Sequence[Declared],
    trying: list[int],
    request: Request,
    found: Rehearsal,
) -> dict[UUID, int]:
    """Book the rows that are tried, without those that are refused on the way; {movement_id: row}."""
    if not trying:
        return {}
    with connection.cursor() as cursor:
        company = load_company(cursor, company_id)
        lane = hashlib.sha256(f"cloud/{company.code}/{request.key}".encode()).digest()[0] & 15
        batch = open_batch(
            cursor, company, lane, time.time_ns() // 1000, request.by, posts_soft_closed=request.posts_soft_closed
        )
        ids = [_id(company_id, request.key, number) for number in trying]
        booked = book(cursor, batch, declared_columns([rows[number] for number in trying], ids, batch.batch_no))
        close_batch(cursor, batch)
    refused = {trying[at]: why for at, why in booked.rejected.items()}
    found.refused += [Refusal(number, "", why) for number, why in sorted(refused.items())]
    kept = {one: number for one, number in zip(ids, trying, strict=True) if number not in refused}
    trying[:] = [number for number in trying if number not in refused]  # a second try need not tell them again
    return kept


def _record(
    connection: Connection,
    value_events: Callable[[Connection, Request], Answered] | None,
    request: Request,
    found: Rehearsal,
) -> list[UUID]:
    if value_events is None:
        return []
    try:
        # A key of its own: the ids of what a request books follow from its key.
        return [UUID(one) for one in value_events(connection, replace(request, key=f"{request.key}/events")).ids]
    except CannotRecord as error:
        found.refused.append(Refusal(error.row, error.field, error.reason, event=True))
        return []


def _read(
    connection: Connection, company_id: int, ids: dict[UUID, int], events: Sequence[UUID], found: Rehearsal
) -> None:
    """The entries and rules of what stands in the books at this moment."""
    sources = [*ids, *events]
    there = {one.rule: one for one in reversed(store.rules(connection, company_id))}
    ordered = in_order([one.rule for one in store.rules(connection, company_id)])
    chosen = {}
    for source, leg in store.legs(connection, company_id, sources).items():
        if (rule := rule_for(ordered, *leg)) is not None:
            chosen[source] = there[rule]
    found.rules = {ids[source]: rule for source, rule in chosen.items() if source in ids}
    entries: dict[tuple[UUID, int], list[EntryLine]] = {}
    for line in store.entry_lines(connection, company_id, sources):
        entries.setdefault((line.source_id, line.step), []).append(line)
    found.entries = [
        DryEntry(
            ids.get(source), step, lines[0].kind, lines[0].posting_date, lines[0].period_id, lines[0].tags,
            lines[0].document, tuple(lines), chosen.get(source),
        )
        for (source, step), lines in entries.items()
    ]  # fmt: skip
    # Movements as they are booked, then value events: in which lane either batch stands is a matter of its key.
    found.entries.sort(key=lambda one: one.row is None)
    found.refused.sort(key=lambda one: (one.event, one.row is None, one.row or 0))


def _refused_by_database(error: psycopg.Error, company_id: int, key: str, trying: Sequence[int]) -> Refusal:
    """Our own triggers name the entry at fault, and it names the row."""
    said = error.diag.message_primary or str(error)
    match = _ENTRY.match(said)
    ids = {str(_id(company_id, key, number)): number for number in trying}
    row = ids.get(match[1]) if match else None
    return Refusal(row, "", said if row is None else said.split(": ", 1)[-1])


def _id(company_id: int, key: str, number: int) -> UUID:
    return derived_id(f"{company_id}/{key}/{number}".encode())
