"""The books of a seed: a company like its script, the undisturbed run, and what is compared afterwards."""

import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from cloud.domain.catalog import BoundTag, Expectation, Item
from cloud.domain.company import CompanySettings, Gate, Gateway, Site, Zone
from cloud.domain.movement import MICRO, QTY_MAX, Crossing, Kind
from cloud.flows.record_batch import Lease, Received, record_batch
from cloud.flows.recost import recost_company
from cloud.flows.set_up_company import CompanyDescription, apply_description
from cloud.flows.verify import verify
from cloud.flows.verify.books_hash import books_hash, books_lines
from cloud.store.master import add_expectations, put_tags
from protocols.wire import movement as wire
from tests.chaos.script import (
    GATEWAYS,
    INSIDE,
    ITEMS,
    TAGS,
    UNEXPECTED_ITEM,
    Script,
    epc_of,
    gate_name,
    gateway_name,
    item_of,
)

COMPANY, SITE = "chaos", "MAIN"
MESSAGE = 40  # movements of a message in the undisturbed run
LEASE = Lease("undisturbed", 7)


def set_up(owner: psycopg.Connection) -> int:
    """The company: a store and a shop, a gate for each gateway, goods at prices that differ by gate."""
    company = apply_description(
        owner,
        CompanyDescription(
            CompanySettings(COMPANY, "Chaos", "CNY", "Asia/Shanghai", "ASBE"),
            (Site(SITE, "Main", (Zone("STORE", "Store"),)), Site("EAST", "East", (Zone("SHOP", "Shop"),))),
            tuple(Gate(gate_name(n), INSIDE[n], "WORLD", crossing_group=n + 1) for n in range(GATEWAYS)),
            tuple(Gateway(SITE, gateway_name(n)) for n in range(GATEWAYS)),
            tuple(Item(f"ITEM-{n}", name_en=f"Item {n}", method=METHODS[n]) for n in range(ITEMS)),
        ),
    )
    put_tags(owner, company, [BoundTag(epc_of(tag), item_of(tag), (tag % 7 + 1) * MICRO) for tag in range(TAGS)])
    until = datetime.now(UTC) + timedelta(days=2)
    for gate in range(GATEWAYS):
        add_expectations(owner, company, list(_expected_at(gate, until)))
    return company


METHODS = ("fifo", "moving_average", "specific", "periodic_average", "fifo")


def _expected_at(gate: int, until: datetime) -> Iterator[Expectation]:
    """What is bought comes by the store's gates, what is sold leaves by all but the second: that one ships to the shop,
    where goods arrive because they are in transit."""
    for item in set(range(ITEMS)) - {UNEXPECTED_ITEM}:
        leaves = Kind.TRANSFER_OUT if gate == 1 else Kind.SALES_SHIPMENT
        wanted: list[tuple[Crossing, Kind, int | None]] = [(Crossing.OUT, leaves, None)]
        if INSIDE[gate] == "STORE":
            wanted.append((Crossing.IN, Kind.PURCHASE_RECEIPT, 1_000_000 + 333_333 * gate + 70_001 * item))
        for crossing, kind, price in wanted:
            yield Expectation(
                gate_name(gate), crossing, kind, QTY_MAX, until, item_code=f"ITEM-{item}", document=f"D-{gate}",
                price_micro=price, currency=None if price is None else "CNY",
            )  # fmt: skip


def apply_undisturbed(owner: psycopg.Connection, ingest: psycopg.Connection, company: int, script: Script) -> None:
    """Each gateway's log from its first number to its last, message by message, no part of it twice."""
    owner.execute(
        "INSERT INTO lane_leases SELECT %s, lane, 'undisturbed', 7, 'infinity' FROM generate_series(0, 15) lane",
        [company],
    )
    logs = {
        code: (gateway, lane)
        for code, gateway, lane in owner.execute("SELECT code, gateway_id, lane FROM gateways").fetchall()
    }
    for number, log in enumerate(script.logs):
        gateway, lane = logs[gateway_name(number)]
        epoch = uuid.uuid4().hex
        for first in range(0, len(log), MESSAGE):
            payload = _message(epoch, first + 1, script, number)
            decoded = wire.decode(payload)
            now_us = time.time_ns() // 1000
            received = Received(gateway, lane, now_us, decoded.envelope, decoded, payload)
            record_batch(ingest, company, [received], LEASE, now_us)


def _message(epoch: str, first: int, script: Script, gateway: int) -> bytes:
    passages = script.logs[gateway][first - 1 : first - 1 + MESSAGE]
    envelope = wire.Envelope(
        schema=1, epoch=epoch, first=first, last=first + len(passages) - 1, oldest=1, sent_at_us=passages[0].occurred_us
    )  # fmt: skip
    movements = [
        wire.encode_movement(
            wire.MovementObserved(
                seq=seq, id=uuid.uuid4().hex, occurred_at_us=one.occurred_us, kind="passage", gate=one.gate,
                epc=one.epc, direction=one.direction, confidence=one.confidence,
                evidence=wire.evidence_raw({"reason": "scripted"}),
            )
        )
        for seq, one in enumerate(passages, first)
    ]  # fmt: skip
    return wire.encode(envelope, movements)


def come_to_rest(ingest: psycopg.Connection, company: int) -> None:
    """Re-cost what waits, as the job does."""
    recost_company(ingest, company, "chaos")


def books(owner: psycopg.Connection) -> str:
    """The hash. Raises NotAtRest."""
    return books_hash(owner)


def parted(owner: psycopg.Connection, other: psycopg.Connection) -> Iterator[str]:
    """Lines of two books that are not in both, for whoever asks why their hashes differ."""
    one, two = list(books_lines(owner)), list(books_lines(other))
    yield from (f"only undisturbed: {line.decode()}" for line in one if line not in set(two))
    yield from (f"only disturbed: {line.decode()}" for line in two if line not in set(one))


def wrongs(owner: psycopg.Connection, script: Script) -> list[str]:
    """Whatever does not hold: promises of verify, and numbers that are missing or on the books twice."""
    found = [f"verify: {check.name}: {check.detail}" for check in verify(owner) if not check.holds]
    for number, log in enumerate(script.logs):
        found += _wrong_numbers(owner, gateway_name(number), len(log))
    return found


def _wrong_numbers(owner: psycopg.Connection, name: str, expected: int) -> Iterator[str]:
    """Every number of every epoch is booked or in quarantine, once; and there are as many as were written."""
    gateway = {"name": name}
    rows: list[Any] = owner.execute(
        "SELECT l.epoch, l.applied_seq, l.stopped, coalesce(n.numbers, '{}') FROM gateway_logs l"
        " JOIN gateways g USING (company_id, gateway_id)"
        " LEFT JOIN LATERAL (SELECT array_agg(seq ORDER BY seq) AS numbers FROM ("
        "    SELECT seq FROM observations o WHERE o.company_id = l.company_id AND o.gateway_id = l.gateway_id"
        "       AND o.epoch = l.epoch"
        "    UNION ALL SELECT generate_series(first_seq, last_seq) FROM quarantine q"
        "     WHERE q.company_id = l.company_id AND q.gateway_id = l.gateway_id AND q.epoch = l.epoch) s) n ON true"
        " WHERE g.code = %(name)s",
        gateway,
    ).fetchall()
    for epoch, applied, stopped, numbers in rows:
        if stopped:
            yield f"{name}, epoch {epoch.hex}: stopped: {stopped}"
        if numbers != list(range(1, applied + 1)):
            missing = sorted(set(range(1, applied + 1)) - set(numbers))
            twice = sorted({seq for seq in numbers if numbers.count(seq) > 1})
            yield f"{name}, epoch {epoch.hex}: applied {applied}, missing {missing}, twice {twice}"
    total = sum(applied for _, applied, _, _ in rows)
    if total != expected:
        yield f"{name}: expected {expected} numbers, got {total}"
