"""Another costing method for an item, from the first moment of a period on.

A change of method is a change of accounting policy (IAS 8.14 to 8.29, ASBE 28 articles 4 to 7): what the goods would be
worth had the new method always been used, against what they are worth, is posted as revaluation. Both values come from
the item's whole history, run in perfect order under each method up to that moment. The pools keep their layers where
the new method can go on with them, else they become one layer; the difference goes onto what is there.
"""

from dataclasses import dataclass, replace
from datetime import date, datetime, time
from zoneinfo import ZoneInfo

import numpy as np
import psycopg

from cloud.domain.batch import Batch
from cloud.domain.costing.canonical import Changes, Recorded, in_order
from cloud.domain.costing.methods import Method, refused_by
from cloud.domain.costing.ordered_run import run
from cloud.domain.costing.pools import LastCosts, Layers, Op
from cloud.domain.movement import Kind
from cloud.flows.answer_once import VALUE_LIMIT, Answered, CannotRecord, Event, Request, answer_once, book_rows
from cloud.flows.recost_component import Component, read_component
from cloud.flows.set_standard import standard_events
from cloud.store import valuation
from cloud.store.valuation import CostedItem, StockPool

Cursor = psycopg.Cursor
NONE = -1
MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True)
class MethodChange:
    """An item by its code, its new method, and the first day of the period from which it counts.

    standard_micro  with standard cost: of one stock unit, 10⁻⁶ currency; None: each pool's average at that moment
    """

    item: str
    method: Method
    from_day: date
    standard_micro: int | None = None
    document: str = ""
    reason: str = ""


def change_method(
    connection: psycopg.Connection, company_id: int, change: MethodChange, request: Request
) -> Answered:
    """Book the change. Raises CannotRecord, RequestConflict, psycopg.Error."""
    if change.standard_micro is not None:
        if change.method is not Method.STANDARD:
            raise CannotRecord(f"only standard cost has a standard, not {change.method.label}", field="standard")
        if not 0 <= change.standard_micro < VALUE_LIMIT:
            raise CannotRecord(
                f"expected 0 or more, below {VALUE_LIMIT} × 10⁻⁶, got {change.standard_micro}", field="standard"
            )

    def work(cursor: Cursor, batch: Batch) -> list[str]:
        at_us = _beginning(cursor, company_id, batch, change.from_day)
        item = _item(cursor, company_id, change)
        if change.method is Method.STANDARD:  # takes nothing from what the pools hold, and may make new ones
            pools = valuation.stock_pools(cursor, company_id, item.item_id)
        else:
            pools = valuation.lock_stock_pools(cursor, batch.company, [item.item_id])
        _check_specific(item, change, pools)
        events = _events(cursor, company_id, item, pools, change, at_us)
        valuation.set_method(cursor, company_id, item.item_id, change.method.label)
        return book_rows(cursor, batch, request.key, events=events) if events else []

    return answer_once(connection, company_id, request, work)


def _beginning(cursor: Cursor, company_id: int, batch: Batch, day: date) -> int:
    """The first moment of the period that begins on this day, µs. Raises CannotRecord."""
    state = valuation.period_from(cursor, company_id, day)
    if state is None:
        raise CannotRecord(f"expected the first day of a period, got {day}", field="from")
    if state == "locked":
        raise CannotRecord(f"the period that begins on {day} is locked", field="from")
    midnight = datetime.combine(day, time(), ZoneInfo(batch.company.time_zone))
    at_us = int(midnight.timestamp()) * MICROSECONDS
    if at_us > batch.recorded_us:
        raise CannotRecord(f"the period that begins on {day} has not begun", field="from")
    return at_us


def _item(cursor: Cursor, company_id: int, change: MethodChange) -> CostedItem:
    item = valuation.hold_items(cursor, company_id, [change.item]).get(change.item)
    if item is None:
        raise CannotRecord(f"no item {change.item!r}", field="item")
    if item.method == change.method.label:
        raise CannotRecord(f"{item.code} is costed by {item.method} already", field="method")
    profile = valuation.profile(cursor, company_id)
    if change.method in refused_by(profile):
        raise CannotRecord(f"{change.method.label} is not allowed under {profile}", field="method")
    return item


def _check_specific(item: CostedItem, change: MethodChange, pools: list[StockPool]) -> None:
    """Specific identification keeps a pool for each lot: goods would have to be told apart, or mixed, afterwards."""
    if Method.SPECIFIC.label not in (item.method, change.method.label):
        return
    if change.method is Method.SPECIFIC and item.tracking == "none":
        raise CannotRecord(f"{item.code} is not tracked by lot or serial number", field="method")
    if pools:
        raise CannotRecord(
            f"{item.code} has been in stock: goods that were one pool cannot be told apart by lot afterwards, nor the"
            " other way round; use another item",
            field="method",
        )


def _events(
    cursor: Cursor, company_id: int, item: CostedItem, pools: list[StockPool], change: MethodChange, at_us: int
) -> list[Event]:
    events: list[Event] = []
    if change.standard_micro is not None:
        events += standard_events(
            cursor, company_id, item, change.standard_micro, at_us, change.document, change.reason
        )

    def event(kind: Kind, pool_id: int, value: int, when_us: int) -> Event:
        return Event(
            kind, value, when_us, pool_id=pool_id, item_id=item.item_id, document=change.document,
            reason=change.reason,
        )  # fmt: skip

    events += [event(Kind.METHOD_CHANGE, pool.pool_id, int(change.method), at_us) for pool in pools]
    # Standard cost revalues by itself, and what it revalues to does not depend on the history.
    if change.method is not Method.STANDARD and pools:
        differences = restated_differences(cursor, company_id, item.item_id, pools, change.method, at_us)
        # A moment later, so that it finds the pool under its new method.
        events += [
            event(Kind.REVALUATION, pool_id, value, at_us + 1) for pool_id, value in differences.items() if value
        ]
    return events


def restated_differences(
    cursor: Cursor, company_id: int, item_id: int, pools: list[StockPool], method: Method, at_us: int
) -> dict[int, int]:
    """{pool_id: what it would be worth under `method` − what it is worth}, 10⁻⁶ currency, just before a moment."""
    component = read_component(cursor, company_id, [item_id], None, whole=True)
    if component is None:
        return {}
    mine = np.isin(component.start.pools.pool_id, [pool.pool_id for pool in pools])
    old = _values_at(component, at_us, mine, None)
    new = _values_at(component, at_us, mine, method)
    return {int(pool): int(new[i] - old[i]) for i, pool in enumerate(component.start.pools.pool_id) if mine[i]}


def _values_at(component: Component, at_us: int, mine: np.ndarray, method: Method | None) -> np.ndarray:
    """Each pool's value after everything before a moment; with a method: had pools of `mine` always had it."""
    recorded = _before(component.recorded, at_us)
    changes = component.changes
    kept = np.flatnonzero(changes.occurred_us < at_us)
    if method is not None:
        # Under the new method there were no changes of it, nor what was posted for them.
        earlier = (changes.op == int(Op.CHANGE_METHOD)) | _revaluations(component)
        kept = kept[~(earlier & mine[changes.pool])[kept]]
    changes = Changes(*(getattr(changes, name)[kept] for name in Changes.__slots__))
    start = component.start.pools.copy()
    after = component.standing.method.copy()
    if method is not None:
        start.method[mine] = after[mine] = int(method)
    ordered = in_order(recorded, changes, component.settled, after)
    return run(
        ordered.rows, start, Layers.empty(), LastCosts.empty(component.start.last_costs.item_id)
    ).pools.value


def _revaluations(component: Component) -> np.ndarray:
    return np.asarray(component.events["kind"][component.in_place] == int(Kind.REVALUATION))


def _before(recorded: Recorded, at_us: int) -> Recorded:
    """The rows before a moment; what names a later one names nothing."""
    kept = np.flatnonzero(recorded.occurred_us < at_us)
    place = np.full(len(recorded) + 1, NONE, np.int64)
    place[kept] = np.arange(len(kept))
    taken = recorded.take(kept)
    return replace(taken, ref=place[taken.ref])  # NONE finds the last place, which stays NONE
