"""Every component at rest, costed again from its whole log in the world's order, and laid beside the books.

Promise 6: in whatever order the log arrived, quantities, layers, pool values and each movement's final cost are those
of a run in perfect order. Components with something late say so and are left out until re-costing has been there.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import psycopg

from cloud.domain.costing.pools import CannotCost
from cloud.flows.post_adjustments import differences
from cloud.flows.recost_component import Component, Outcome, read_component, run_component
from cloud.store import recosting
from cloud.store.sql import statement

_REMEMBERED = ("method", "last_value", "last_qty", "standard", "settled_value", "settled_qty")

NO_CUTS = 2**62  # more rows than any component has: one run from the beginning to the end


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a component's replay found. wrong: how many pools, layers and costs differ; first: the first of them."""

    company: str
    items: int
    rows: int
    waits: bool
    wrong: int = 0
    first: str = ""


def replay_costs(connection: psycopg.Connection) -> Iterator[Replayed]:
    """Replay every component of every company, in the caller's transaction. Raises psycopg.Error."""
    with connection.cursor() as cursor:
        for company_id, code in cursor.execute(statement("ingest", "companies")).fetchall():
            left = {
                row[0] for row in cursor.execute(statement("recost", "items_of_pools"), {"company": company_id})
            }
            while left:
                items = recosting.joined_items(cursor, company_id, [min(left)])
                left -= set(items)
                yield _replay(cursor, company_id, code, items)


def _replay(cursor: psycopg.Cursor, company_id: int, code: str, items: list[int]) -> Replayed:
    component = read_component(cursor, company_id, items, None, whole=True)
    if component is None:
        return Replayed(code, len(items), 0, waits=False)
    if component.standing.earliest_mark_us is not None:
        return Replayed(code, len(items), component.rows_read, waits=True)
    try:
        outcome = run_component(component, NO_CUTS)
    except CannotCost as error:
        return Replayed(code, len(items), component.rows_read, waits=False, wrong=1, first=str(error))
    found = list(_wrong(cursor, component, outcome))
    return Replayed(code, len(items), component.rows_read, False, len(found), found[0] if found else "")


def _wrong(cursor: psycopg.Cursor, component: Component, outcome: Outcome) -> Iterator[str]:
    """What differs, in words."""
    standing = component.standing
    for name, ours, theirs in (
        ("quantity", outcome.pools.qty, standing.qty),
        ("value", outcome.pools.value, standing.value),
    ):
        for pool in np.flatnonzero(ours != theirs).tolist():
            yield f"pool {standing.pool_id[pool]} has the {name} {theirs[pool]}, its log makes {ours[pool]}"
    where = {"company": component.company.company_id, "items": component.items}
    yield from _wrong_costs(cursor, outcome, where)
    of_pools = where | {"pools": standing.pool_id.tolist()}
    rows = cursor.execute(statement("recost", "standing_layers"), of_pools).fetchall()
    kept = [(row[0], row[2].hex, row[4], row[5], row[9]) for row in rows]
    layers, pool_id = outcome.layers, outcome.pools.pool_id
    made = [
        (int(pool_id[pool]), source.tobytes().hex(), int(qty), int(value), bool(uncosted))
        for pool, source, qty, value, uncosted in zip(
            layers.pool, outcome.sources.movement_id, layers.qty, layers.value, layers.uncosted, strict=True
        )
    ]
    for number, (stands, should) in enumerate(itertools.zip_longest(kept, made), 1):
        if stands != should:
            yield f"layer {number} of its component is {stands}, its log makes {should}"
    left = differences(component, outcome)
    for record, pool, value in zip(left.record.tolist(), left.pool.tolist(), left.value.tolist(), strict=True):
        ids = np.concatenate([component.moves["id"], component.events["id"]])
        yield f"{ids[record].tobytes().hex()} lacks {value} × 10⁻⁶ of its cost in pool {pool_id[pool]}"
    yield from (f"allowance of pool {pool_id[one[1]]} lacks {one[2]} × 10⁻⁶" for one in left.allowances)


def _wrong_costs(cursor: psycopg.Cursor, outcome: Outcome, where: dict[str, Any]) -> Iterator[str]:
    """What pools and items remember of costs: methods, last known, standard and settled ones."""
    pools, costs = outcome.pools, outcome.last_costs
    for row in cursor.execute(statement("verify_replay", "pool_costs"), where).fetchall():
        at = int(np.searchsorted(pools.pool_id, row[0]))
        for number, name in enumerate(_REMEMBERED, 1):
            made = int(getattr(pools, name)[at])
            if row[number] != made:
                yield f"pool {row[0]} has the {name} {row[number]}, its log makes {made}"
    known = dict(
        zip(costs.item_id.tolist(), zip(costs.value.tolist(), costs.qty.tolist(), strict=True), strict=True)
    )
    for item, value, qty in cursor.execute(statement("verify_replay", "item_costs"), where).fetchall():
        if known.get(item) != (value, qty):
            yield f"item {item} last cost {value} for {qty}, its log makes {known.get(item)}"
