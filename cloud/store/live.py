"""What the live page shows, read in one snapshot: rows ↔ values, nothing else."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import psycopg
from psycopg.rows import class_row

from cloud.domain.access import Company
from cloud.store import feeds
from cloud.store.feeds import EntryRow, LineRow, MovementRow, Order, PassageRow, Reading
from cloud.store.sql import statement
from protocols.epc.tag_memory import gtin_of

NOUN = "live"

# A page is for a screen: enough to see what happens, the lists of the API have the rest.
GATES_MAX = 24
GATEWAYS_MAX = 50
PASSAGES_MAX = 12
MOVEMENTS_MAX = 12
ENTRIES_MAX = 12
BALANCES_MAX = 200
POOLS_MAX = 60
LAYERS_PER_POOL_MAX = 8


@dataclass(frozen=True, slots=True)
class Agreement:
    """Stock value, ledger and their difference, minor units."""

    stock_value: int
    ledger: int
    difference: int


@dataclass(frozen=True, slots=True)
class Counts:
    """What waits for a person; clarification_amount in minor units."""

    open_observations: int
    quarantine: int
    clarification_items: int
    clarification_amount: int
    stopped_logs: int
    unknown_gateways: int


@dataclass(frozen=True, slots=True)
class GateNow:
    """A gate and the newest `readings` message of it."""

    code: str
    inside: str
    outside: str
    received_at: datetime | None
    summary: dict[str, Any] | None
    reads_total: int | None


@dataclass(frozen=True, slots=True)
class GatewayNow:
    """A gateway and the newest `status` message of it."""

    site: str
    code: str
    online: bool | None
    received_at: datetime | None
    clock_us: int | None
    status: dict[str, Any] | None
    stopped: str | None


@dataclass(frozen=True, slots=True)
class TaggedItem:
    """What a tag is."""

    epc: str
    code: str
    name_zh: str
    name_en: str


@dataclass(frozen=True, slots=True)
class BalanceNow:
    """So much of an item in one place; total counts all such rows."""

    item: str
    item_zh: str
    item_en: str
    unit: str
    location: str
    location_name: str
    location_kind: str
    qty_micro: int
    total: int


@dataclass(frozen=True, slots=True)
class PoolNow:
    """A cost pool: qty and value in 10⁻⁶, posted in minor units; total counts all such rows."""

    pool_id: int
    item: str
    item_zh: str
    item_en: str
    unit: str
    site: str | None
    account: str
    account_zh: str
    account_en: str
    method: int
    qty: int
    value: int
    posted: int
    is_late: bool
    total: int


@dataclass(frozen=True, slots=True)
class LayerNow:
    """What is left of a layer; total counts its pool's layers."""

    pool_id: int
    layer_no: int
    qty_left: int
    value_left: int
    uncosted: bool
    occurred_us: int
    total: int


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything on the page, of one moment."""

    agreement: Agreement
    counts: Counts
    gates: list[GateNow]
    gateways: list[GatewayNow]
    tagged_items: list[TaggedItem]
    passages: list[PassageRow]
    movements: list[MovementRow]
    balances: list[BalanceNow]
    pools: list[PoolNow]
    layers: list[LayerNow]
    entries: list[EntryRow]
    lines: dict[Any, list[LineRow]]


def read_picture(connection: psycopg.Connection, company: Company) -> Picture:
    """The page's rows; the caller's transaction decides of which moment."""
    where = {"company": company.company_id}
    gates = _all(connection, "gates", GateNow, where | {"limit": GATES_MAX})
    epcs = sorted({tag["epc"] for gate in gates for tag in (gate.summary or {}).get("tags", ())})
    pools = _all(connection, "pools", PoolNow, where | {"limit": POOLS_MAX})
    layers_of = where | {"pools": [pool.pool_id for pool in pools], "limit": LAYERS_PER_POOL_MAX}
    entries = _newest(connection, feeds.JOURNAL_ENTRIES, company, ENTRIES_MAX)
    agreement = _all(connection, "agreement", Agreement, where)
    return Picture(
        agreement=agreement[0] if agreement else Agreement(0, 0, 0),
        counts=_all(connection, "counts", Counts, where | {"code": company.code})[0],
        gates=gates,
        gateways=_all(connection, "gateways", GatewayNow, where | {"limit": GATEWAYS_MAX}),
        tagged_items=_all(
            connection,
            "tagged_items",
            TaggedItem,
            where | {"epcs": epcs, "gtins": [gtin_of(epc) for epc in epcs]},
        ),
        passages=_newest(connection, feeds.PASSAGES, company, PASSAGES_MAX),
        movements=_newest(connection, feeds.MOVEMENTS, company, MOVEMENTS_MAX),
        balances=_all(connection, "balances", BalanceNow, where | {"limit": BALANCES_MAX}),
        pools=pools,
        layers=_all(connection, "layers", LayerNow, layers_of),
        entries=entries,
        lines=dict(
            feeds.read_lines(connection, company.company_id, [(entry.source_id, entry.step) for entry in entries])
        ),
    )


def fingerprint(connection: psycopg.Connection, company_id: int) -> str:
    """A text that changes whenever the page would."""
    row = connection.execute(statement(NOUN, "fingerprint"), {"company": company_id}).fetchone()
    assert row is not None  # noqa: S101  a SELECT of expressions has one row
    found: str = row[0]
    return found


Row = TypeVar("Row")
FeedRow = TypeVar("FeedRow", bound=feeds.Placed)


def _newest(
    connection: psycopg.Connection, feed: feeds.Feed[FeedRow], company: Company, limit: int
) -> list[FeedRow]:
    # Not only what is settled: the picture is of this moment, and nobody reads on from it.
    reading = Reading(feed, company.company_id, Order.NEWEST, only_settled=False)
    return feeds.read_page(connection, reading, None, limit).rows


def _all(connection: psycopg.Connection, name: str, row: type[Row], values: dict[str, Any]) -> list[Row]:
    with connection.cursor(row_factory=class_row(row)) as cursor:
        return cursor.execute(statement(NOUN, name), values).fetchall()
