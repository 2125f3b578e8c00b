"""Small makers for tests: a company with two sites and three gates, and gateways' logs as they would send them."""

import itertools
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import psycopg

from cloud.domain.catalog import BoundTag, Expectation, Item
from cloud.domain.company import CompanySettings, Gate, Gateway, Site, Zone
from cloud.domain.movement import MICRO, Crossing, Kind
from cloud.flows.record_batch import Lease, Received, Recorded, record_batch
from cloud.flows.set_up_company import CompanyDescription, apply_description
from cloud.flows.verify import verify
from cloud.store import copy
from cloud.store.batches import close_batch, load_company, open_batch, place_in_batch
from cloud.store.master import add_expectations, item_ids, locations, put_tags
from protocols.wire import movement as wire

NOON_US = 1_790_000_000_000_000  # 2026-09-21, some time in the morning UTC
SECOND_US = 1_000_000
HOUR_US = 3600 * SECOND_US

TEST_LEASE = Lease("test", 7)

ITEMS = (
    Item("BOLT", "螺栓", "Bolt M8", method="fifo"),
    Item("LAMP", "灯", "Lamp", method="moving_average"),
    Item("STEEL", "钢材", "Steel", item_class="raw_material", method="fifo"),
)

DESCRIPTION = CompanyDescription(
    CompanySettings("demo", "Demo", "CNY", "Asia/Shanghai", "ASBE"),
    sites=(Site("MAIN", "Main", (Zone("STORE", "Store"), Zone("YARD", "Yard"))), Site("EAST", "East")),
    gates=(
        Gate("dock-1", "STORE", "WORLD", crossing_group=1),
        Gate("dock-2", "STORE", "WORLD", crossing_group=1),
        Gate("east-1", "EAST", "WORLD"),
        Gate("inner-1", "YARD", "STORE"),
    ),
    gateways=(Gateway("MAIN", "gw-1"), Gateway("EAST", "gw-2")),
    items=ITEMS,
)


def epc(number: int) -> str:
    """An EPC of 96 bits that is no GS1 code, so that only its registration says what it is."""
    return f"E280{number:020X}"


@dataclass(slots=True)
class Warehouse:
    """A company set up in a database of its own, with an owner's connection and an ingest service's."""

    owner: psycopg.Connection
    ingest: psycopg.Connection
    company_id: int
    places: dict[str, int]
    items: dict[str, int]
    gateways: dict[str, tuple[int, int]]
    clock_us: int = NOON_US + 4 * HOUR_US
    log: "GatewayLog" = field(init=False)

    def __post_init__(self) -> None:
        self.log = GatewayLog(*self.gateways["gw-1"])

    def tag(self, number: int, item: str = "BOLT", pieces: int = 10) -> str:
        """Register a tag for so many pieces of an item; its EPC."""
        put_tags(self.owner, self.company_id, [BoundTag(epc(number), item, pieces * MICRO)])
        return epc(number)

    def expect(
        self, kind: Kind, item: str, pieces: int, *, gate: str = "dock-1", price: str | None = None, **more: Any
    ) -> int:
        """What a gate may expect of an item; prices in CNY unless told."""
        inward = kind in (Kind.PURCHASE_RECEIPT, Kind.CUSTOMER_RETURN, Kind.TRANSFER_IN)
        if "epc" not in more:
            more["item_code"] = item
        expectation = Expectation(
            gate, more.pop("direction", Crossing.IN if inward else Crossing.OUT), kind, pieces * MICRO,
            more.pop("open_until", datetime.fromtimestamp(NOON_US / 1e6, UTC) + timedelta(days=60)),
            price_micro=None if price is None else int(float(price) * MICRO),
            currency=None if price is None else more.pop("currency", "CNY"), **more,
        )  # fmt: skip
        return add_expectations(self.owner, self.company_id, [expectation])[0]

    def record(self, *messages: Received, at_us: int | None = None) -> Recorded:
        """One batch through the ingest service's own role."""
        self.clock_us += SECOND_US
        return record_batch(self.ingest, self.company_id, messages, TEST_LEASE, at_us or self.clock_us)

    def fetch(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Rows of a query of the test's own."""
        return self.owner.execute(query, parameters).fetchall()  # type: ignore[arg-type]

    def stock(self) -> dict[tuple[str, str], float]:
        """Pieces by (item, place), places of the world left out."""
        rows = self.fetch(
            "SELECT i.code, l.code, b.qty_micro FROM balances b JOIN items i USING (company_id, item_id)"
            " JOIN locations l USING (company_id, location_id)"
            " WHERE l.kind IN ('site','zone','bin','clarification','in_transit') AND qty_micro <> 0"
        )
        return {(item, place): qty / MICRO for item, place, qty in rows}

    def accounts(self) -> dict[str, float]:
        """Balances by role, in currency, zero left out."""
        rows = self.fetch("SELECT role, balance FROM account_balances WHERE balance <> 0")
        return {role: balance / 100 for role, balance in rows}

    def kinds(self) -> list[str]:
        """The kinds of all movements in the order of the world; a correction stands with a minus."""
        rows = self.fetch(
            "SELECT CASE WHEN corrects IS NULL OR corrects = movement_id THEN '' ELSE '-' END || k.name"
            " FROM movements m JOIN movement_kinds k USING (kind)"
            " ORDER BY occurred_us, recorded_at, m.row_no"
        )
        return [row[0] for row in rows]

    def outcomes(self) -> list[str]:
        """What became of every number of the logs, in order."""
        rows = self.fetch("SELECT o.name FROM observations JOIN outcomes o USING (outcome) ORDER BY epoch, seq")
        return [row[0] for row in rows]

    def close(self, period_id: int, state: str = "locked") -> None:
        """Bring every period up to this one (yyyymm) to a state, each as the books allow it."""
        close_periods(self.owner, self.company_id, period_id, state)

    def check(self) -> None:
        """Every promise holds."""
        wrong = [check for check in verify(self.owner) if not check.holds]
        assert not wrong, wrong


def close_periods(owner: psycopg.Connection, company_id: int, period_id: int, state: str = "locked") -> None:
    """Bring every period up to this one (yyyymm) to a state: soft-closed, and on to locked where asked."""
    for step in ("soft_closed", *(["locked"] if state == "locked" else [])):
        owner.execute(
            "SELECT change_period(company_id, period_id, %s, 'test', '') FROM (SELECT * FROM periods"
            " WHERE company_id = %s AND period_id <= %s ORDER BY period_id) p"
            " WHERE state <> 'locked' AND state <> %s",
            [step, company_id, period_id, step],
        )


def make_warehouse(
    owner: psycopg.Connection, ingest: psycopg.Connection, currency: str = "CNY", profile: str = "ASBE"
) -> Warehouse:
    """Set the company up; every lane is leased to TEST_LEASE."""
    settings = replace(DESCRIPTION.settings, currency=currency, profile=profile)
    return described_warehouse(owner, ingest, replace(DESCRIPTION, settings=settings))


def described_warehouse(
    owner: psycopg.Connection, ingest: psycopg.Connection, description: CompanyDescription
) -> Warehouse:
    """The same of any company."""
    company_id = apply_description(owner, description)
    owner.execute(
        "INSERT INTO lane_leases SELECT %s, lane, 'test', 7, 'infinity' FROM generate_series(0, 15) lane",
        [company_id],
    )
    rows = owner.execute("SELECT code, gateway_id, lane FROM gateways").fetchall()
    places = {code: place.location_id for code, place in locations(owner, company_id).items()}
    return Warehouse(
        owner, ingest, company_id, places, item_ids(owner, company_id), {row[0]: (row[1], row[2]) for row in rows}
    )


def append_value_event(warehouse: Warehouse) -> None:
    """A value event that changes nothing, with its allowance entry, in a batch of their own."""
    with warehouse.owner.transaction(), warehouse.owner.cursor() as cursor:
        company = load_company(cursor, warehouse.company_id)
        batch = open_batch(cursor, company, 3, warehouse.clock_us, "test")
        event = copy.raw("event_id", np.frombuffer(uuid.uuid4().bytes, np.uint8).reshape(1, 16))
        [(pool,)] = warehouse.fetch("SELECT min(pool_id) FROM cost_pools")
        columns = [
            copy.constant("company_id", company.company_id, 4, 1),
            copy.times("recorded_at", np.array([batch.recorded_us])), event,
            copy.constant("kind", Kind.WRITE_DOWN, 2, 1), copy.constant("pool_id", pool, 8, 1),
            copy.integers("item_id", np.zeros(1, np.int64), 4, np.ones(1, np.bool_)),
            copy.raw("original_id", np.zeros((1, 16), np.uint8), np.ones(1, np.bool_)),
            copy.constant("value_micro", 0, 8, 1),
            copy.integers("period_id", np.zeros(1, np.int64), 4, np.ones(1, np.bool_)),
            copy.constant("dimension_id", 0, 4, 1),
            copy.integers("party_id", np.zeros(1, np.int64), 4, np.ones(1, np.bool_)),
            copy.texts("document", [b""]), copy.texts("reason", [b"for the test"]),
            copy.constant("occurred_us", NOON_US, 8, 1), copy.constant("currency", 0, 2, 1),
            copy.constant("currency_amount", 0, 8, 1), *place_in_batch(batch, 1),
        ]  # fmt: skip
        batch.chain("value_events", copy.write_hashed(cursor, "value_events", columns, 1))
        columns = [
            copy.constant("company_id", company.company_id, 4, 1), copy.raw("movement_id", event.fixed),
            copy.constant("step", 0, 2, 1), copy.constant("pool_id", pool, 8, 1), copy.constant("value", 0, 8, 1),
            copy.constant("posted", 0, 8, 1), copy.dates("posting_date", np.array([NOON_US // (24 * HOUR_US)])),
            *place_in_batch(batch, 1),
        ]  # fmt: skip
        batch.chain("allowance_entries", copy.write_hashed(cursor, "allowance_entries", columns, 1))
        close_batch(cursor, batch)


def gate_evidence(direction: str, at_s: float = 0) -> dict[str, Any]:
    """Evidence of a crossing at so many seconds after noon: 4 s of reads, two antennas a side, peaks 2 s apart."""
    crossed_us = NOON_US + int(at_s * SECOND_US)
    first_us, last_us = crossed_us - 2 * SECOND_US, crossed_us + 2 * SECOND_US
    peak_us = {
        "outside": crossed_us + (-SECOND_US if direction == "in" else SECOND_US),
        "inside": crossed_us + (SECOND_US if direction == "in" else -SECOND_US),
    }
    antennas = [
        {
            "antenna": antenna, "side": side, "reads": 10 + antenna, "first_us": first_us, "last_us": last_us,
            "peak_us": peak_us[side], "peak_dbm": strongest_dbm, "rise_db": 13.5,
            "course": [
                number
                for step in range(16)
                for number in (
                    250 * step,
                    round(strongest_dbm - 4.5 * abs(step / 4 - (peak_us[side] - first_us) / SECOND_US), 1),
                )
            ],
            "phase_still": 0.05 * antenna,
        }
        for antenna, side, strongest_dbm in (
            (1, "inside", -48.0), (2, "inside", -55.0), (3, "outside", -47.0), (4, "outside", -53.5)
        )
    ]  # fmt: skip
    return {
        "order": 0.97 if direction == "in" else 0.03, "rise_outside_db": 13.5, "rise_inside_db": 13.5,
        "reads": 50, "reads_outside": 27, "reads_inside": 23, "first_seen_us": first_us, "last_seen_us": last_us,
        "peak_outside_us": peak_us["outside"], "peak_inside_us": peak_us["inside"], "decided_by": "tag",
        "reason": "outside before inside" if direction == "in" else "inside before outside",
        "decided_at_us": last_us + 3_110_000, "antennas": antennas,
        "group": {
            "crossed_at_us": crossed_us + 40_000, "direction": direction, "agreeing": 7, "contrary": 0, "moving": 8,
        },
    }  # fmt: skip


@dataclass(slots=True)
class GatewayLog:
    """A gateway's outbox as the cloud would see it: numbers, ids, messages."""

    gateway_id: int
    lane: int
    epoch: str = field(default_factory=lambda: uuid.uuid4().hex)
    written: list[wire.MovementObserved] = field(default_factory=list)
    oldest: int = 1

    def passage(
        self, tag: str, direction: str, at_s: float = 0, gate: str = "dock-1", confidence: float = 0.9, **more: Any
    ) -> wire.MovementObserved:
        """Write one passage, so many seconds after noon."""
        observed = wire.MovementObserved(
            seq=len(self.written) + 1, id=more.pop("id", uuid.uuid4().hex), kind=more.pop("kind", "passage"),
            occurred_at_us=more.pop("occurred_at_us", NOON_US + int(at_s * SECOND_US)), gate=gate, epc=tag,
            direction=direction, confidence=confidence,
            evidence=wire.evidence_raw(more.pop("evidence", {"order": 0.9})), **more,
        )  # fmt: skip
        self.written.append(observed)
        return observed

    def explained_passage(self, tag: str, direction: str, at_s: float = 0, **more: Any) -> wire.MovementObserved:
        """The same with all the evidence that a gateway of today sends: four antennas, a group, a decision."""
        return self.passage(tag, direction, at_s, evidence=gate_evidence(direction, at_s), **more)

    def payload(self, first: int = 1, last: int | None = None, end: int | None = None) -> bytes:
        """The bytes of a message with these numbers."""
        last = len(self.written) if last is None else last
        envelope = wire.Envelope(
            schema=wire.SCHEMA, epoch=self.epoch, first=first, last=last, oldest=min(self.oldest, first),
            sent_at_us=NOON_US, end=end,
        )  # fmt: skip
        return wire.encode(envelope, [wire.encode_movement(one) for one in self.written[first - 1 : last]])

    def message(
        self, first: int = 1, last: int | None = None, *, end: int | None = None, received_us: int | None = None
    ) -> Received:
        """The message as the worker hands it to the batch."""
        payload = self.payload(first, last, end)
        decoded = wire.decode(payload)
        return Received(
            self.gateway_id, self.lane, received_us or NOON_US + 4 * HOUR_US, decoded.envelope, decoded, payload
        )


def pieces(log: GatewayLog, cuts: Sequence[int]) -> list[Received]:
    """The whole log as messages cut behind these numbers."""
    bounds = sorted({0, *cuts, len(log.written)})
    return [log.message(a + 1, b) for a, b in itertools.pairwise(bounds)]
