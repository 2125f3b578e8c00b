"""What returns and value events name: movements and pools that are on the books already."""

from collections.abc import Iterable
from dataclasses import dataclass

import psycopg

from cloud.domain.batch import Company
from cloud.domain.ledger.chart import PoolKey
from cloud.store.sql import statement

Cursor = psycopg.Cursor


@dataclass(slots=True)
class Original:
    """A movement on the books. src, dst: the pools of its legs, None where it had none; quantities 10⁻⁶ units."""

    item: int
    occurred_us: int
    is_uncosted: bool
    src: PoolKey | None = None
    src_qty: int = 0
    dst: PoolKey | None = None
    dst_qty: int = 0


@dataclass(frozen=True, slots=True)
class IssueCost:
    """What an issue cost so far (10⁻⁶ currency), corrections included, and how much of it came back."""

    value: int
    returned: int


def load_originals(cursor: Cursor, company: Company, ids: Iterable[bytes]) -> dict[bytes, Original]:
    """The movements of these ids (16 bytes each) that are on the books."""
    wanted = sorted(set(ids))
    if not wanted:
        return {}
    found: dict[bytes, Original] = {}
    rows = cursor.execute(
        statement("books", "originals"), {"company": company.company_id, "ids": [one.hex() for one in wanted]}
    )
    for movement_id, item, occurred_us, is_uncosted, step, qty, *key in rows:
        original = found.setdefault(movement_id.bytes, Original(item, occurred_us, is_uncosted))
        if step == 0:
            original.src, original.src_qty = tuple(key), -qty
        elif step == 1:
            original.dst, original.dst_qty = tuple(key), qty
    return found


def load_pool_keys(cursor: Cursor, company: Company, pool_ids: Iterable[int]) -> dict[int, PoolKey]:
    """The keys of these pools, as far as they exist."""
    wanted = sorted(set(pool_ids))
    if not wanted:
        return {}
    rows = cursor.execute(
        statement("books", "pool_keys"), {"company": company.company_id, "pool": wanted}
    ).fetchall()
    return {row[0]: row[1:] for row in rows}


def load_issue_costs(cursor: Cursor, company: Company, ids: Iterable[bytes]) -> dict[bytes, IssueCost]:
    """What these issues cost so far. To be asked once their pools are locked, so that no two returns share."""
    wanted = sorted(set(ids))
    if not wanted:
        return {}
    rows = cursor.execute(
        statement("books", "issue_costs"), {"company": company.company_id, "ids": [one.hex() for one in wanted]}
    )
    return {movement_id.bytes: IssueCost(value, returned) for movement_id, value, returned in rows}


def load_returned(cursor: Cursor, company: Company, ids: Iterable[bytes]) -> set[bytes]:
    """Those of these movements of which something came back."""
    wanted = sorted(set(ids))
    if not wanted:
        return set()
    rows = cursor.execute(
        statement("books", "returned"), {"company": company.company_id, "ids": [one.hex() for one in wanted]}
    )
    return {row[0].bytes for row in rows}
