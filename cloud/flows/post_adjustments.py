"""What is left of the difference between a component's true costs and what was posted, as adjusting entries.

One journal entry a re-costing, source pool and posting date; in it one line per account. Each cost
entry corrects one movement (or value event) in one pool; its counter account is that of the entry it corrects. Where
goods or their value went from pool to pool, both sides stand in the source pool's entry.
"""

import uuid
from dataclasses import dataclass, field

import numpy as np
import psycopg
from numpy.typing import NDArray

from cloud.domain.batch import Batch
from cloud.domain.costing.methods import Method
from cloud.domain.ledger.periods import Calendar, to_date
from cloud.domain.ledger.target import account_of
from cloud.domain.movement import Kind, Tag, derived_id
from cloud.flows.recost_component import Component, Outcome
from cloud.store import recosting
from cloud.store.recosting import Adjustments, AllowanceChanges, JournalEntries, JournalLines, TakenLinks

Int64 = NDArray[np.int64]
Cursor = psycopg.Cursor
NONE = -1


class BooksDisagree(RuntimeError):
    """What was posted to a pool is not what its movements say; `tallygate verify` names the first difference."""


def post_adjustments(
    cursor: Cursor, batch: Batch, calendar: Calendar, component: Component, outcome: Outcome,
    day_not_before: int | None = None,
) -> int:  # fmt: skip
    """Write the differences; how many cost entries that makes. Raises BooksDisagree, psycopg.Error."""
    found = differences(component, outcome)
    _check(component, outcome, found)
    if len(found.value) == 0 and not found.allowances:
        return 0
    return _Posting(cursor, batch, calendar, component, outcome, found, day_not_before).write()


@dataclass(slots=True)
class Differences:
    """d differences in the order of the run. record: row of moves, or behind them of events."""

    record: Int64
    pool: Int64
    value: Int64
    counter: Int64
    source: Int64  # the pool whose journal entry carries it
    day: Int64
    move: Int64  # row of moves whose goods it took, or NONE
    allowances: list[tuple[int, int, int, int]] = field(default_factory=list)  # record, pool, value, day


def differences(component: Component, outcome: Outcome) -> Differences:
    """Final minus posted, for every movement and pool, value event and pool."""
    moves, recorded, events = component.moves, component.recorded, component.events
    n = len(recorded)
    src_left = np.where(recorded.src != NONE, outcome.src_value - moves["src_posted"], 0)
    dst_left = np.where(recorded.dst != NONE, outcome.dst_value - moves["dst_posted"], 0)
    through = (recorded.src != NONE) & (recorded.dst != NONE)
    src_counter, dst_counter = _counters(component, outcome, through)
    out, into = np.flatnonzero(src_left), np.flatnonzero(dst_left)
    event, event_pool, event_left, event_place, event_counter = _event_differences(component, outcome)
    source_of_in = np.where(through, recorded.src, recorded.dst)
    record = np.concatenate([out, into, n + event])
    place = np.concatenate([outcome.place[out], outcome.place[into], event_place])
    side = np.concatenate([np.zeros(len(out)), np.ones(len(into)), np.full(len(event), 2)])
    order = np.lexsort((record, side, place))

    def column(*parts: Int64) -> Int64:
        return np.concatenate(parts).astype(np.int64)[order]

    found = Differences(
        record[order],
        column(recorded.src[out], recorded.dst[into], event_pool),
        column(src_left[out], dst_left[into], event_left),
        column(src_counter[out], dst_counter[into], event_counter),
        column(recorded.src[out], source_of_in[into], event_pool),
        column(moves["day"][out], moves["day"][into], events["day"][event]),
        column(out, np.full(len(into), NONE), np.full(len(event), NONE)),
    )
    found.allowances = _allowance_differences(component, outcome)
    return found


def _counters(component: Component, outcome: Outcome, through: NDArray[np.bool_]) -> tuple[Int64, Int64]:
    """The account opposite each leg's difference; NONE where that is the other pool."""
    recorded, moves, accounts = component.recorded, component.moves, component.accounts
    src = np.where(moves["src_counter"] == NONE, accounts["price_difference"], moves["src_counter"])
    dst = np.where(moves["dst_counter"] == NONE, accounts["price_difference"], moves["dst_counter"])
    kind, priced = moves["kind"], moves["price"] != NONE
    # A supplier's credit note stands as it is; what the goods cost beside it is a price difference.
    src = np.where((kind == Kind.SUPPLIER_RETURN) & priced, accounts["price_difference"], src)
    # At standard cost goods come at the standard whatever was paid: the difference is a variance.
    at_standard = np.isin(recorded.dst, np.flatnonzero(outcome.pools.method == int(Method.STANDARD)))
    variance = np.where(kind == Kind.PRODUCTION_RECEIPT, accounts["production_variance"], accounts["ppv"])
    variance = np.where(recorded.feeds, accounts["production_variance"], variance)
    dst = np.where(at_standard & (recorded.own != NONE), variance, dst)
    # What one side of a passage from pool to pool lacks of the other was a variance, too.
    opposite = np.where(at_standard | recorded.feeds, variance, NONE)
    src, dst = np.where(through, opposite, src), np.where(through, opposite, dst)
    return src, dst


def _event_differences(component: Component, outcome: Outcome) -> tuple[Int64, Int64, Int64, Int64, Int64]:
    """(row of events, pool, difference, place in the run, counter) of value events that have one."""
    events, recorded, accounts = component.events, component.recorded, component.accounts
    at = component.extra_of
    final, pool, place = (np.zeros(len(at), np.int64) for _ in range(3))
    pool[:] = NONE
    receipts = np.flatnonzero(at != NONE)
    # Where a receipt cannot become worth less than nothing, the last of its events have no effect.
    without_effect = recorded.extra.copy()
    np.subtract.at(without_effect, at[receipts], events["value"][receipts])
    for row in receipts[np.argsort(-events["occurred_us"][receipts], kind="stable")].tolist():
        receipt, value = int(at[row]), int(events["value"][row])
        pool[row], place[row] = recorded.dst[receipt], outcome.place[receipt]
        if pool[row] == NONE or outcome.pools.method[pool[row]] == int(Method.STANDARD) or recorded.void[receipt]:
            continue
        spared = min(int(without_effect[receipt]), max(-value, 0))
        without_effect[receipt] -= spared
        final[row] = value + spared
    for change, row in enumerate(component.in_place.tolist()):
        pool[row], place[row] = component.changes.pool[change], outcome.change_place[change]
        final[row] = outcome.change_value[change]
    difference = np.where(pool == NONE, 0, final - events["posted"])
    rows = np.flatnonzero(difference)
    # What a pool does not take of an amount that is paid went to what its goods became.
    in_work = np.isin(account_of(component.standing.account[pool[rows]]), accounts.all_of("wip"))
    gone = np.where(in_work, accounts["production_variance"], accounts["cogs"])
    paid = (at[rows] != NONE) | np.isin(events["kind"][rows], (Kind.LABOUR, Kind.OVERHEAD, Kind.REVALUATION))
    counter = np.where(paid | (events["counter"][rows] == NONE), gone, events["counter"][rows])
    return rows, pool[rows], difference[rows], place[rows], counter


def _allowance_differences(component: Component, outcome: Outcome) -> list[tuple[int, int, int, int]]:
    """(record, pool, difference, day) of what movements and events change allowances by."""
    n, moves, events = len(component.recorded), component.moves, component.events
    final: dict[tuple[bytes, int], tuple[int, int]] = {}
    for (key, pool), value in outcome.releases.items():
        final[_id(component, key), int(outcome.pools.pool_id[pool])] = (key, value)
    rows: dict[bytes, int] = {}
    if component.released or final:
        rows = {one.tobytes(): row for row, one in enumerate(moves["id"])}
        rows |= {events["id"][row].tobytes(): n + int(row) for row in component.in_place}
    found = []
    for which in sorted({*final, *(one for one in component.released if one[0] in rows)}):
        value = final[which][1] if which in final else 0
        so_far, day = component.released.get(which, (0, NONE))
        if value != so_far:
            record = rows[which[0]]
            if day == NONE:
                day = int(moves["day"][record] if record < n else events["day"][record - n])
            pool = int(np.searchsorted(outcome.pools.pool_id, which[1]))
            found.append((record, pool, value - so_far, day))
    return found


def _id(component: Component, key: int) -> bytes:
    n = len(component.recorded)
    if key < n:
        return bytes(component.moves["id"][key])
    return bytes(component.events["id"][component.in_place[key - n]])


def _check(component: Component, outcome: Outcome, found: Differences) -> None:
    """The differences must lead from what stands to what was run, in every pool."""
    standing = component.standing
    after = standing.value.copy()
    np.add.at(after, found.pool, found.value)
    for name, expected, got in (
        ("value", outcome.pools.value, after),
        ("quantity", outcome.pools.qty, standing.qty),
    ):
        if (wrong := np.flatnonzero(expected != got)).size:
            pool = int(wrong[0])
            raise BooksDisagree(
                f"pool {standing.pool_id[pool]} of company {component.company.code}: its movements make a {name} of"
                f" {expected[pool]}, what was posted comes to {got[pool]}"
            )


@dataclass(slots=True)
class _Posting:
    """Differences on their way into the tables."""

    cursor: Cursor
    batch: Batch
    calendar: Calendar
    component: Component
    outcome: Outcome
    found: Differences
    day_not_before: int | None

    def write(self) -> int:
        found = self.found
        allowance_day = np.array([one[3] for one in found.allowances], np.int64)
        allowance_pool = np.array([one[1] for one in found.allowances], np.int64)
        day, moved = self._dates(found.day)
        allowed_day, allowed_moved = self._dates(allowance_day)
        entries, journal = self._entries(
            np.concatenate([found.source, allowance_pool]),
            np.concatenate([day, allowed_day]),
            np.concatenate([moved, allowed_moved]),
        )
        d = len(found.value)
        steps = _Steps(self.cursor, self.batch.company.company_id, self._ids())
        adjustments = Adjustments(
            movement_id=self._id_of(found.record),
            corrects=self._corrected(found.record),
            step=np.array([steps.take(self._uuid(record)) for record in found.record.tolist()], np.int64),
            pool=found.pool, value=found.value,
            posted=_in_sequence(self.component.standing.value, found.pool, found.value, self.component.standing.unit),
            counter=found.counter, day=day, journal=journal[:d],
        )  # fmt: skip
        allowances = self._allowances(steps, allowed_day)
        recosting.write_adjustments(
            self.cursor, self.batch, self.outcome.pools, adjustments, entries.id, self._links()
        )
        recosting.write_allowances(self.cursor, self.batch, self.outcome.pools, allowances)
        recosting.write_journal(
            self.cursor, self.batch, entries, self._lines(adjustments, allowances, journal[d:])
        )
        return d + len(found.allowances)

    def _dates(self, day: Int64) -> tuple[Int64, NDArray[np.bool_]]:
        """Where each difference is dated, and whether that is not where the corrected entry is."""
        wanted = day if self.day_not_before is None else np.maximum(day, self.day_not_before)
        dates = self.calendar.postable(wanted)
        return dates.day, dates.moved

    def _ids(self) -> list[uuid.UUID]:
        records = {*self.found.record.tolist(), *(one[0] for one in self.found.allowances)}
        return [self._uuid(record) for record in sorted(records)]

    def _uuid(self, record: int) -> uuid.UUID:
        return uuid.UUID(bytes=self._id_of(np.array([record]))[0].tobytes())

    def _id_of(self, record: Int64) -> NDArray[np.uint8]:
        moves, events = self.component.moves["id"], self.component.events["id"]
        return np.concatenate([moves, events])[record]

    def _corrected(self, record: Int64) -> NDArray[np.uint8]:
        """The movement whose cost it is: of a value event at a receipt, the receipt."""
        original = self.component.events["original"]
        corrected = np.concatenate([self.component.moves["id"], self.component.events["id"]])
        names = np.flatnonzero(original.any(axis=1))
        corrected[len(self.component.recorded) + names] = original[names]
        return corrected[record]

    def _entries(self, source: Int64, day: Int64, moved: NDArray[np.bool_]) -> tuple[JournalEntries, Int64]:
        """One entry for each source pool and day, and which of them each row stands in."""
        keys, back = np.unique(np.stack([source, day], 1), axis=0, return_inverse=True)
        back = back.reshape(-1)
        late = np.zeros(len(keys), np.int64)
        np.maximum.at(late, back, np.where(moved, int(Tag.LATE), 0))
        batch, pool_id = self.batch, self.outcome.pools.pool_id
        ids = [
            derived_id(
                f"{batch.company.company_id}/recost/{pool_id[pool]}/{batch.lane}/{batch.batch_no}/{to_date(on)}".encode()
            )
            for pool, on in keys.tolist()
        ]
        entries = JournalEntries(
            np.frombuffer(b"".join(one.bytes for one in ids), np.uint8).reshape(len(ids), 16),
            keys[:, 1], self.calendar.postable(keys[:, 1]).period, late,
        )  # fmt: skip
        return entries, back

    def _allowances(self, steps: "_Steps", day: Int64) -> AllowanceChanges:
        found, standing = self.found.allowances, self.component.standing
        record, pool, value = (np.array([one[i] for one in found], np.int64) for i in range(3))
        return AllowanceChanges(
            self._id_of(record), np.array([steps.take(self._uuid(one)) for one in record.tolist()], np.int64), pool,
            value, _in_sequence(standing.allowance, pool, value, standing.unit), day,
        )  # fmt: skip

    def _lines(
        self, adjustments: Adjustments, allowances: AllowanceChanges, allowance_journal: Int64
    ) -> JournalLines:
        """One line for each account of an entry; what an entry lacks is rounding."""
        standing, accounts = self.component.standing, self.component.accounts
        account = standing.account[adjustments.pool]
        opposite = np.where(adjustments.counter == NONE, accounts["rounding"], adjustments.counter)
        # An issue that releases more takes it from its own cost; what a write-down adds is an expense.
        record = np.array([one[0] for one in self.found.allowances], np.int64)
        allowed_opposite = np.where(
            record < len(self.component.recorded), accounts["cogs"], accounts["write_down"]
        )
        entry = [adjustments.journal, adjustments.journal, allowance_journal, allowance_journal]
        accounts_of = [account, opposite, np.full(len(record), accounts["allowance"]), allowed_opposite]
        amount = np.concatenate([adjustments.posted, -adjustments.posted, -allowances.posted, allowances.posted])
        keys, back = np.unique(np.stack([np.concatenate(entry), np.concatenate(accounts_of)], 1), axis=0,
                               return_inverse=True)  # fmt: skip
        total = np.zeros(len(keys), np.int64)
        np.add.at(total, back.reshape(-1), amount)
        kept = np.flatnonzero(total)
        kept = kept[np.lexsort((keys[kept, 1], total[kept] < 0, keys[kept, 0]))]
        return JournalLines(keys[kept, 0], keys[kept, 1], total[kept])

    def _links(self) -> TakenLinks:
        """What the adjusted issues took after all."""
        taken, found = self.outcome.taken, self.found
        entry_of = np.full(len(self.component.recorded) + 1, NONE, np.int64)
        issues = np.flatnonzero(found.move != NONE)
        entry_of[found.move[issues]] = issues
        entry = entry_of[taken.move]
        rows = np.flatnonzero(entry != NONE)
        rows = rows[np.argsort(entry[rows], kind="stable")]
        return TakenLinks(
            entry[rows],
            taken.pool[rows],
            taken.layer_no[rows],
            taken.source[rows],
            taken.qty[rows],
            taken.value[rows],
        )


class _Steps:
    """The next free step of each movement and value event."""

    def __init__(self, cursor: Cursor, company_id: int, ids: list[uuid.UUID]) -> None:
        self._next = recosting.next_steps(cursor, company_id, ids)

    def take(self, one: uuid.UUID) -> int:
        step = self._next.get(one, 2)
        self._next[one] = step + 1
        return step


def _in_sequence(before: Int64, pool: Int64, value: Int64, unit: Int64) -> Int64:
    """What each change posts: the change of its pool's rounded value, one after the other."""
    order = np.argsort(pool, kind="stable")
    own, running = pool[order], np.cumsum(value[order])
    first = np.append(True, own[1:] != own[:-1]) if len(own) else np.zeros(0, bool)
    begins = np.flatnonzero(first)
    if len(begins):
        ahead = np.concatenate([[0], running[begins[1:] - 1]])
        running = running - np.repeat(ahead, np.diff(np.append(begins, len(own)))) + before[own]
    posted = np.empty(len(pool), np.int64)
    posted[order] = _minor(running, unit[own]) - _minor(running - value[order], unit[own])
    return posted


def _minor(value: Int64, unit: Int64) -> Int64:
    """Half up on magnitude, as domain.rounding.to_minor."""
    return np.sign(value) * ((np.abs(value) + unit // 2) // unit)
