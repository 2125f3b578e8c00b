"""A company whose workers get in each other's way: few items and pools, many gateways, tags that all of them see.

Everything is drawn from a seeded `random.Random`, so that a round can be had again as far as a race can.
"""

import random
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import psycopg

from cloud.domain.catalog import BoundTag, Expectation, Item
from cloud.domain.company import CompanySettings, Gate, Gateway, Site, Zone, lane_of
from cloud.domain.movement import MICRO, QTY_MAX, Crossing, Kind
from cloud.flows.record_batch import Lease, Received
from cloud.flows.set_up_company import CompanyDescription, apply_description
from cloud.store.master import add_expectations, item_ids, locations, put_tags
from protocols.wire.topics import GatewayAddress
from tests.makers import SECOND_US, GatewayLog, epc

SITE = "MAIN"
DAY_US = 24 * 3600 * SECOND_US
METHODS = ("fifo", "moving_average", "periodic_fifo", "periodic_average", "standard")
ITEMS = 15
GATEWAYS_EACH = 3  # of a worker, so that each worker has several logs and lanes
TAGS = 1_200
CONTESTED = 12  # of these: tags that all gateways see all the time
UNBOUND = 60  # tags that no item is known for until somebody binds them
MESSAGE = 24  # sightings in a message at most
LATE_DAYS = 24  # passages come up to so late: over the end of a month, so that they meet closing periods
GATES = (
    Gate("dock-1", "STORE", "WORLD", crossing_group=1),
    Gate("dock-2", "STORE", "WORLD", crossing_group=1),
    Gate("east-1", "EAST", "WORLD"),
    Gate("inner-1", "YARD", "STORE"),
)
PLACES = ("STORE", "YARD", "EAST")


@dataclass(slots=True)
class Company:
    """What the parties of a round must know. worker_gateways: each worker's own logs, with lanes of its own."""

    company_id: int
    code: str
    items: dict[str, int]
    places: dict[str, int]
    worker_gateways: list[list[GatewayLog]]
    parties: dict[str, int]  # a supplier and a customer by kind
    receipts: list[uuid.UUID] = field(default_factory=list)  # as callers make them; shared, appended to only
    shipments: list[uuid.UUID] = field(default_factory=list)

    def item(self, chance: random.Random) -> str:
        return chance.choice(sorted(self.items))


def set_up(owner: psycopg.Connection, code: str, workers: int) -> Company:
    """The company, with its lanes leased to the workers, disjoint. Raises psycopg.Error."""
    names = _gateway_names(code, workers)
    company_id = apply_description(
        owner,
        CompanyDescription(
            CompanySettings(code, "Soak", "CNY", "Asia/Shanghai", "ASBE"),
            (Site(SITE, "Main", (Zone("STORE", "Store"), Zone("YARD", "Yard"))), Site("EAST", "East")),
            GATES,
            tuple(Gateway(SITE, name) for mine in names for name in mine),
            tuple(Item(item_code(n), name_en=f"Item {n}", method=METHODS[n % len(METHODS)]) for n in range(ITEMS)),
        ),
    )
    put_tags(owner, company_id, [BoundTag(epc(n), item_code(n % ITEMS), (n % 7 + 1) * MICRO) for n in range(TAGS)])
    expect(owner, company_id, range(ITEMS), QTY_MAX)
    for worker in range(workers):
        lanes = [lane for lane in range(16) if lane % workers == worker]
        owner.execute(
            "INSERT INTO lane_leases SELECT %s, unnest(%s::smallint[]), %s, %s, 'infinity'",
            [company_id, lanes, *_who(worker)],
        )
    parties = {
        kind: int(row[0])
        for kind in ("supplier", "customer")
        for row in owner.execute(
            "INSERT INTO parties (company_id, code, name, kind) VALUES (%s, %s, %s, %s) RETURNING party_id",
            [company_id, kind.upper(), kind, kind],
        )
    }
    rows = owner.execute(
        "SELECT code, gateway_id, lane FROM gateways WHERE company_id = %s", [company_id]
    ).fetchall()
    gateways = {name: (gateway, lane) for name, gateway, lane in rows}
    return Company(
        company_id, code, item_ids(owner, company_id),
        {place: one.location_id for place, one in locations(owner, company_id).items()},
        [[GatewayLog(*gateways[name]) for name in mine] for mine in names], parties,
    )  # fmt: skip


def item_code(number: int) -> str:
    return f"ITEM-{number:02}"


def expect(owner: psycopg.Connection, company_id: int, items: range, qty: int) -> None:
    """What the docks may expect of these items, so that crossings are purchases, sales and transfers."""
    until = datetime.now(UTC) + timedelta(days=2)
    add_expectations(
        owner,
        company_id,
        [
            Expectation(
                gate, crossing, kind, qty, until, item_code=item_code(item), document=f"D-{gate}", price_micro=price,
                currency=None if price is None else "CNY",
            )
            for gate in ("dock-1", "dock-2", "east-1")
            for item in items
            for crossing, kind, price in (
                (Crossing.IN, Kind.PURCHASE_RECEIPT, 1_000_000 + 70_001 * item),
                (Crossing.OUT, Kind.SALES_SHIPMENT, None),
            )
        ],
    )  # fmt: skip


def lease_of(worker: int) -> Lease:
    return Lease(*_who(worker))


def next_message(log: GatewayLog, chance: random.Random) -> Received:
    """What the gateway's log has next: a message of sightings, some of tags that every gateway sees."""
    first, now_us = len(log.written) + 1, time.time_ns() // 1000
    for _ in range(chance.randint(1, MESSAGE)):
        late_us = (
            chance.randrange(LATE_DAYS * DAY_US) if chance.random() < 0.1 else chance.randrange(60 * SECOND_US)
        )
        log.passage(
            _tag(chance), chance.choice(("in", "out")), gate=chance.choice(GATES).code,
            occurred_at_us=now_us - late_us, confidence=round(chance.uniform(0.5, 1.0), 3),
        )  # fmt: skip
    return log.message(first, received_us=now_us)


def _tag(chance: random.Random) -> str:
    share = chance.random()
    if share < 0.1:
        return epc(chance.randrange(CONTESTED))
    if share < 0.15:
        return epc(TAGS + chance.randrange(UNBOUND))
    return epc(chance.randrange(TAGS))


def _who(worker: int) -> tuple[str, int]:
    return f"soak-{worker}", worker + 1


def _gateway_names(company: str, workers: int) -> list[list[str]]:
    """Gateways whose lanes the workers share evenly; which lane a gateway has, its address decides."""
    names: list[list[str]] = [[] for _ in range(workers)]
    number = 0
    while any(len(mine) < GATEWAYS_EACH for mine in names):
        name = f"gw-{number}"
        mine = names[lane_of(GatewayAddress(company, SITE, name)) % workers]
        if len(mine) < GATEWAYS_EACH:
            mine.append(name)
        number += 1
    return names
