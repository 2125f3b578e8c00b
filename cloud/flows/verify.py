"""The promises, checked on a running database in one snapshot: what holds, by how much it differs, what is
not checked yet.

Differences are counted in the unit that each check names; a promise holds when every difference is 0. The
hash chains are worked out again from the rows as PostgreSQL hands them out in the format in which they were
hashed. Memory grows with the number of digests and journal lines; bounded memory comes with the operations.
"""

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg

from cloud.flows.replay_costs import replay_costs
from cloud.store.migrate import SERVICE_ROLES
from cloud.store.sql import statement

APPEND_ONLY = (
    "observations", "movements", "batches", "value_events", "cost_entries", "allowance_entries",
    "consumption_links", "journal_entries", "journal_lines", "quarantine", "quarantine_resolutions", "log_losses",
    "incarnations",
)  # fmt: skip

# In the order in which a batch's link takes them.
HASHED = ("movements", "value_events", "cost_entries", "allowance_entries", "journal_entries", "observations")

# Batches of layout 1 were hashed before these fields came to their tables: how many, and the bytes that they have
# in such rows. They stand before lane, batch and row number.
_NULL = b"\xff\xff\xff\xff"
_NOT_YET_HASHED = {
    "movements": (2, b"\0\0\0\4\0\0\0\0" + _NULL),  # no lot, returns nothing
    "cost_entries": (2, _NULL + _NULL),  # no counter account, no entry of another's
}


PROMISES = {
    1: "Nothing lost, nothing twice",
    2: "Stock value = ledger at every commit",
    3: "Append only",
    4: "A locked period does not change",
    5: "Every journal line can be traced",
    6: "Same log in, same books out",
}

_COPY_HEADER_BYTES = 19
_DIGEST_FIELD_BYTES = 4 + 32
_PLACE_BYTES = 4 + 2 + 4 + 8 + 4 + 4  # lane, batch and row number with their lengths, last before the digest
_ENTRY_KEY = slice(2, 36)  # company, source and step with their lengths, first in entries and lines alike


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


def verify(connection: psycopg.Connection) -> list[Check]:
    """Check every promise as far as built. Needs the right to read everything. Raises psycopg.Error."""
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        return [*_logs(connection), *_stock(connection), *_append_only(connection), *_rest(connection)]


def _one(connection: psycopg.Connection, name: str, **parameters: Any) -> tuple[Any, ...]:
    row = connection.execute(statement("verify", name), parameters).fetchone()
    assert row is not None  # noqa: S101  an aggregate always has a row
    return row


def _logs(connection: psycopg.Connection) -> Iterator[Check]:
    total = difference = 0
    wrong, stopped = [], []
    for log, applied, numbers, twice, aside, lost, highest, why in connection.execute(statement("verify", "logs")):
        off = abs(applied - numbers - aside - lost) + twice + max(0, highest - applied)
        total += applied
        difference += off
        if off:
            wrong.append(
                f"{log}: applied {applied}, booked {numbers}, quarantined {aside}, lost {lost}, twice {twice}"
            )
        if why:
            stopped.append(f"{log} is stopped: {why}")
    yield Check(
        1, "numbers of the gateways' logs", difference, "; ".join([*wrong, *stopped]) or f"{total} numbers"
    )
    yield Check(1, "movements promised to requests", _one(connection, "requests")[0])
    yield Check(1, "movements that stand twice", _one(connection, "twice")[0])
    losses = [row[0] for row in connection.execute(statement("verify", "losses"))]
    yield Check(1, "named losses", 0, "; ".join(losses) or "none")


def _stock(connection: psycopg.Connection) -> Iterator[Check]:
    for code, currency, digits, stock, ledger in connection.execute(statement("verify", "stock_and_ledger")):
        detail = f"{code}: {_money(stock, digits)} {currency} = {_money(ledger, digits)} {currency}"
        yield Check(2, "stock value = ledger", abs(stock - ledger), detail)
    named = {
        "accounts": "inventory accounts, each apart (minor units)",
        "balances": "balances = sum of movements (10⁻⁶ units)",
        "pools": "pools = cost entries = layers, posted = rounded value, allowance = its entries",
        "pool_goods": "goods at the places of a pool = the pool's quantity (10⁻⁶ units)",
        "turnovers": "turnovers = lines (minor units)",
    }
    for query, name in named.items():
        count, difference = _one(connection, query)
        yield Check(2, name, int(difference), f"{count} wrong" if count else "")
    yield Check(2, "entries that do not balance", _one(connection, "entries")[0])
    yield Check(2, "rounding account, worked out again (minor units)", int(_one(connection, "rounding")[0]))


def _money(minor: int, digits: int) -> str:
    sign, whole = "-" if minor < 0 else "", abs(minor)
    return f"{sign}{whole // 10**digits}" + (f".{whole % 10**digits:0{digits}d}" if digits else "")


def _append_only(connection: psycopg.Connection) -> Iterator[Check]:
    wrong = _one(connection, "refusals", tables=list(APPEND_ONLY), roles=list(SERVICE_ROLES))[0]
    yield Check(3, "tables that refuse change", wrong, f"{len(APPEND_ONLY)} tables, {len(SERVICE_ROLES)} services")
    yield from _chains(connection)


def _rest(connection: psycopg.Connection) -> Iterator[Check]:
    yield Check(4, "entries outside their period", _one(connection, "periods")[0])
    yield Check(4, "entries recorded after their period was locked", None, "lock times come with the period close")
    yield Check(5, "lines whose cost entry is missing or differs", _one(connection, "lines_without_cost")[0])
    yield Check(5, "costs that stand on no line", _one(connection, "unposted_cost")[0])
    yield Check(5, "re-costed differences that their entry does not carry", _one(connection, "recosted")[0])
    yield Check(5, "entries, costs and movements without their source", _one(connection, "lost_sources")[0])
    yield Check(5, "issues whose consumption does not add up", _one(connection, "links")[0])
    yield Check(6, "replay of the recorded log", None, "comes with `tallygate replay`")
    late = _one(connection, "late_pools")[0]
    yield Check(6, "pools that wait for re-costing", 0, f"{late} marked late" if late else "none")
    replayed = list(replay_costs(connection))
    wrong = [f"{one.company}: {one.first}" for one in replayed if one.wrong]
    rows = sum(one.rows for one in replayed if not one.waits)
    at_rest = sum(not one.waits for one in replayed)
    yield Check(
        6, "costs of a run in the world's order, for components at rest", sum(one.wrong for one in replayed),
        f"first: {wrong[0]}" if wrong else f"{rows} records in {at_rest} of {len(replayed)} components",
    )  # fmt: skip


# ── Hash chains ─────────────────────────────────────────────────────────────────────────────────────


class _Rows:
    """The rows of one COPY, grouped by the batch they belong to, read once and in order."""

    def __init__(self, rows: Iterator[tuple[tuple[int, int, int], str, bytes, bytes]]) -> None:
        self._rows = rows
        self._next = next(rows, None)

    def of(self, batch: tuple[int, int, int]) -> Iterator[tuple[str, bytes, bytes]]:
        """(name of the row, digest stored, digest worked out) of this batch's rows."""
        while self._next is not None and self._next[0] <= batch:
            if self._next[0] == batch:
                yield self._next[1:]
            else:
                yield f"{self._next[1]} of no batch", b"", self._next[3]
            self._next = next(self._rows, None)

    def left(self) -> Iterator[str]:
        """The names of the rows behind the last batch asked for."""
        while self._next is not None:
            yield self._next[1]
            self._next = next(self._rows, None)


def _chains(connection: psycopg.Connection) -> Iterator[Check]:
    """Each lane's chain from its first link, and the first row that was changed."""
    heads = {row[:2]: row[2:] for row in connection.execute(statement("verify", "lanes"))}
    batches = connection.execute(statement("verify", "batches")).fetchall()
    first_layout = {row[:3] for row in batches if row[5] == 1}
    tables = [_digests(connection, name, first_layout) for name in HASHED]
    links: dict[tuple[int, int, int], Any] = {}
    first_wrong: list[str] = []
    wrong = 0
    for table in tables:
        rows = _Rows(iter(table))
        for company, lane, number, *_ in batches:
            link = links.setdefault((company, lane, number), [])
            for name, stored, made in rows.of((company, lane, number)):
                link.append(stored)
                if stored != made:
                    wrong += 1
                    first_wrong.append(name)
        for name in rows.left():
            wrong += 1
            first_wrong.append(f"{name} of no batch")
    state: dict[tuple[int, int], tuple[int, bytes]] = {}
    for company, lane, number, previous, head, _ in batches:
        before, link = state.get((company, lane), (0, bytes(32)))
        digest = hashlib.sha256(link)
        for stored in links[company, lane, number]:
            digest.update(stored)
        if number != before + 1 or bytes(previous) != link or digest.digest() != bytes(head):
            wrong += 1
            first_wrong.append(f"batch {number} of lane {lane}, company {company}")
        state[company, lane] = (number, bytes(head))
    for lane_key, (number, head) in heads.items():
        if state.get(lane_key, (0, bytes(32))) != (number, bytes(head)):
            wrong += 1
            first_wrong.append(f"head of lane {lane_key[1]}, company {lane_key[0]}")
    detail = f"first: {first_wrong[0]}" if first_wrong else f"{len(batches)} links in {len(heads)} lanes"
    yield Check(3, "hash chains", wrong, detail)


def _digests(
    connection: psycopg.Connection, table: str, first_layout: set[tuple[int, int, int]]
) -> Iterator[tuple[tuple[int, int, int], str, bytes, bytes]]:
    """((company, lane, batch), name, digest stored, digest worked out) of every row, in the chain's order."""
    lines = _lines(connection) if table == "journal_entries" else None
    for row in _copied(connection, f"copy_{table}"):
        body, stored = row[:-_DIGEST_FIELD_BYTES], row[-32:]
        company = struct.unpack_from(">i", body, 6)[0]
        lane, batch_no, row_no = struct.unpack_from(">xxxxhxxxxqxxxxi", body, len(body) - _PLACE_BYTES)
        # The hashed row had one field less: its digest.
        fields = struct.unpack_from(">h", body)[0] - 1
        if table in _NOT_YET_HASHED and (company, lane, batch_no) in first_layout:
            added, nothing = _NOT_YET_HASHED[table]
            rest = body[:-_PLACE_BYTES]
            if rest.endswith(nothing):  # else someone has filled them in, and the digest differs
                fields, body = fields - added, rest.removesuffix(nothing) + body[-_PLACE_BYTES:]
        digest = hashlib.sha256(struct.pack(">h", fields))
        digest.update(body[2:])
        if lines is not None:
            digest.update(lines.get(body[_ENTRY_KEY], b""))
        yield (
            (company, lane, batch_no),
            f"{table} row {row_no} of batch {batch_no}, lane {lane}",
            stored,
            digest.digest(),
        )


def _lines(connection: psycopg.Connection) -> dict[bytes, bytes]:
    """The bytes of each entry's lines, by the bytes of its key as they stand in a row."""
    lines: dict[bytes, bytes] = {}
    for row in _copied(connection, "copy_journal_lines"):
        lines[row[_ENTRY_KEY]] = lines.get(row[_ENTRY_KEY], b"") + row
    return lines


def _copied(connection: psycopg.Connection, name: str) -> Iterator[bytes]:
    """The rows of a binary COPY as PostgreSQL sends them: one message a row, the header before the first."""
    with connection.cursor().copy(statement("verify", name)) as copy:
        for number, message in enumerate(copy):
            row = bytes(message)
            if number == 0:
                row = row[_COPY_HEADER_BYTES:]
            if row not in (b"\xff\xff", b""):
                yield row
