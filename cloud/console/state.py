"""What the live page is given: the books' picture as JSON, numbers as texts, words left to the page.

A picture serves every page of its company until something changes, so a hundred browsers cost one reading.
"""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
from psycopg_pool import ConnectionPool

from cloud.console.live import LiveFeed
from cloud.domain.access import Company
from cloud.domain.costing.pools import METHODS
from cloud.domain.decimals import micro_text, minor_text
from cloud.domain.moments import moment_or_none
from cloud.domain.movement import Crossing, Kind, Outcome, Tag
from cloud.domain.rounding import round_ratio
from cloud.store.feeds import EntryRow, LineRow, MovementRow, PassageRow
from cloud.store.live import BalanceNow, GateNow, GatewayNow, LayerNow, Picture, PoolNow, TaggedItem, read_picture

# Without an open stream nobody counts versions, so a picture is not believed for longer than this.
PICTURE_KEPT_S = 2.0
TAGS_SHOWN = 10  # of one gate, strongest first; the rest is counted
# What a gateway counts of its readers' words that it could not use, the last part of a counter's name.
LEFT_OUT = frozenset(
    (
        "empty_epc",
        "wrong_epc",
        "unknown_antenna",
        "rssi_out_of_range",
        "unknown_eye",
        "malformed_messages",
        "unknown_messages",
    )
)

_METHOD_NAMES = {number: name for name, number in METHODS.items()}


@dataclass(slots=True)
class _Kept:
    version: int = -1
    made_at: float = float("-inf")
    body: bytes = b""


class Pictures:
    """The newest picture of each company, as bytes ready to send."""

    def __init__(self, pool: ConnectionPool, feed: LiveFeed) -> None:
        self._pool = pool
        self._feed = feed
        self._lock = threading.Lock()
        self._kept: dict[int, tuple[threading.Lock, _Kept]] = {}

    def get(self, company: Company) -> bytes:
        """The picture as JSON, no older than the last change. Raises psycopg.Error, PoolTimeout."""
        with self._lock:
            lock, kept = self._kept.setdefault(company.company_id, (threading.Lock(), _Kept()))
        with lock:
            version = self._feed.version(company.company_id)
            if kept.version != version or time.monotonic() - kept.made_at > PICTURE_KEPT_S:
                kept.body = self._read(company)
                # The version was taken before the reading: a change in between makes one reading too many.
                kept.version, kept.made_at = version, time.monotonic()
            return kept.body

    def _read(self, company: Company) -> bytes:
        with self._pool.connection() as connection:
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            picture = read_picture(connection, company)
        return msgspec.json.encode(show_picture(company, picture, datetime.now(UTC)))


def show_picture(company: Company, picture: Picture, now: datetime) -> dict[str, Any]:
    """The page's JSON. `at` lets the page measure ages by our clock instead of its own."""
    digits = company.minor_digits
    agreement, counts = picture.agreement, picture.counts
    known = {tag.epc: tag for tag in picture.tagged_items}
    return {
        "at": now,
        "company": {
            "code": company.code,
            "name": company.name,
            "currency": company.currency,
            "time_zone": company.time_zone,
        },
        "agreement": {
            "stock": minor_text(agreement.stock_value, digits),
            "ledger": minor_text(agreement.ledger, digits),
            "difference": minor_text(agreement.difference, digits),
            "agrees": agreement.difference == 0,
        },
        "counts": {
            "open_observations": counts.open_observations,
            "quarantine": counts.quarantine,
            "clarification_items": counts.clarification_items,
            "clarification_amount": minor_text(counts.clarification_amount, digits),
            "stopped_logs": counts.stopped_logs,
            "unknown_gateways": counts.unknown_gateways,
        },
        "gateways": [_gateway(row) for row in picture.gateways],
        "gates": [_gate(row, known, _arrived(row, picture.passages)) for row in picture.gates],
        "passages": [_passage(row) for row in picture.passages],
        "movements": [_movement(row) for row in picture.movements],
        "balances": _some(picture.balances, [_balance(row) for row in picture.balances]),
        "pools": _some(picture.pools, [_pool(row, picture.layers, digits) for row in picture.pools]),
        "entries": [
            _entry(row, picture.lines.get((row.source_id, row.step), []), digits) for row in picture.entries
        ],
    }


def _some(rows: Sequence[Any], shown: list[dict[str, Any]]) -> dict[str, Any]:
    return {"rows": shown, "total": rows[0].total if rows else 0}


def _gateway(row: GatewayNow) -> dict[str, Any]:
    said = row.status or {}
    waiting_us = said.get("oldest_unapplied_at_us")
    return {
        "name": f"{row.site}/{row.code}",
        "online": row.online,
        "heard_at": row.received_at,
        "clock_ahead_s": None if row.clock_us is None else micro_text(row.clock_us),
        "devices": [
            {"name": str(device.get("name", "")), "connected": bool(device.get("connected"))}
            for device in said.get("devices", ())
        ],
        "waiting_since": None if waiting_us is None else moment_or_none(waiting_us),
        "stopped": row.stopped,
        "left_out": [
            {"name": name, "count": count}
            for name, count in sorted(said.get("counters", {}).items())
            if count and name.rpartition(".")[2] in LEFT_OUT
        ],
    }


def _arrived(row: GateNow, passages: Sequence[PassageRow]) -> set[str]:
    """Tags whose passage came after the gate's newest summary: what that said of them as provisional is over."""
    return {
        one.epc
        for one in passages
        if one.gate == row.code and row.received_at and one.recorded_at > row.received_at
    }


def _gate(row: GateNow, known: dict[str, TaggedItem], arrived: set[str]) -> dict[str, Any]:
    seen = row.summary or {}
    # Those that wait for their verdict stand first: they are not read any more, and are what one waits for.
    tags = sorted(seen.get("tags", ()), key=lambda tag: (_provisional(tag) is None, -tag["reads"], tag["epc"]))
    return {
        "code": row.code,
        "inside": row.inside,
        "outside": row.outside,
        "seen_at": row.received_at,
        "reads": seen.get("reads", 0),
        "reads_total": row.reads_total or 0,
        "shed": seen.get("shed", 0),
        "more_tags": max(0, max(seen.get("tags_total", 0), len(tags)) - TAGS_SHOWN),
        "tags": [
            {
                "epc": tag["epc"],
                "reads": tag["reads"],
                "antennas": tag["antennas"],
                "rssi_dbm": tag["peak_rssi_dbm"],
                "provisional": None if tag["epc"] in arrived else _provisional(tag),
                **_item_of(known.get(tag["epc"])),
            }
            for tag in tags[:TAGS_SHOWN]
        ],
    }


def _provisional(tag: dict[str, Any]) -> str | None:
    """`in` or `out` while a crossing was seen that is not decided; it moves nothing."""
    said = tag.get("provisional")
    return said if said in ("in", "out") else None


def _item_of(tag: TaggedItem | None) -> dict[str, Any]:
    if tag is None:
        return {"item": None, "item_zh": None, "item_en": None}
    return {"item": tag.code, "item_zh": tag.name_zh, "item_en": tag.name_en}


def _passage(row: PassageRow) -> dict[str, Any]:
    evidence = row.evidence if isinstance(row.evidence, dict) else {}
    return {
        "id": str(row.movement_id),
        "at": moment_or_none(row.occurred_us),
        "gate": row.gate,
        "epc": row.epc,
        "item": row.item,
        "item_zh": row.item_zh,
        "item_en": row.item_en,
        "direction": Crossing(row.direction).name.lower(),
        "confidence": round(row.confidence, 3),
        "outcome": Outcome(row.outcome).name.lower(),
        "reason": str(evidence.get("reason", ""))[:200],
    }


def _movement(row: MovementRow) -> dict[str, Any]:
    return {
        "id": str(row.movement_id),
        "at": moment_or_none(row.occurred_us),
        "kind": Kind(row.kind).name.lower(),
        "item": row.item,
        "item_zh": row.item_zh,
        "item_en": row.item_en,
        "quantity": micro_text(row.qty_micro),
        "unit": row.unit,
        "from": row.from_code,
        "to": row.to_code,
        "party": row.party,
        "document": row.document,
        "is_correction": row.corrects is not None,
        "tags": _tags(row.tags),
    }


def _balance(row: BalanceNow) -> dict[str, Any]:
    return {
        "item": row.item,
        "item_zh": row.item_zh,
        "item_en": row.item_en,
        "unit": row.unit,
        "location": row.location,
        "location_name": row.location_name,
        "location_kind": row.location_kind,
        "quantity": micro_text(row.qty_micro),
    }


def _pool(row: PoolNow, layers: Sequence[LayerNow], digits: int) -> dict[str, Any]:
    own = [layer for layer in layers if layer.pool_id == row.pool_id]
    return {
        "id": str(row.pool_id),
        "item": row.item,
        "item_zh": row.item_zh,
        "item_en": row.item_en,
        "unit": row.unit,
        "site": row.site,
        "account": row.account,
        "account_zh": row.account_zh,
        "account_en": row.account_en,
        "method": _METHOD_NAMES.get(row.method, str(row.method)),
        "quantity": micro_text(row.qty),
        "value": minor_text(row.posted, digits),
        "unit_cost": _unit_cost(row.value, row.qty, digits),
        "is_late": row.is_late,
        "layers": [
            {
                "no": layer.layer_no,
                "quantity": micro_text(layer.qty_left),
                "value": micro_text(layer.value_left, digits),
                "unit_cost": _unit_cost(layer.value_left, layer.qty_left, digits),
                "uncosted": layer.uncosted,
                "at": moment_or_none(layer.occurred_us),
            }
            for layer in own
        ],
        "more_layers": own[0].total - len(own) if own else 0,
    }


def _unit_cost(value: int, qty: int, digits: int) -> str | None:
    """For people only, to four digits; the books never hold a unit price."""
    if qty == 0:
        return None
    quotient = round_ratio(value * 10_000, qty) if qty > 0 else round_ratio(-value * 10_000, -qty)
    return micro_text(quotient * 100, digits)


def _entry(row: EntryRow, lines: Sequence[LineRow], digits: int) -> dict[str, Any]:
    return {
        "id": f"{row.source_id}.{row.step}",
        "date": row.posting_date,
        "kind": Kind(row.kind).name.lower(),
        "document": row.document,
        "is_adjustment": row.corrects is not None,
        "tags": _tags(row.tags),
        "lines": [
            {
                "account": line.number,
                "account_zh": line.name_zh,
                "account_en": line.name_en,
                "debit": minor_text(line.amount, digits) if line.amount > 0 else None,
                "credit": minor_text(-line.amount, digits) if line.amount < 0 else None,
            }
            for line in lines
        ],
    }


def _tags(bits: int) -> list[str]:
    return [tag.name.lower() for tag in Tag if tag & bits and tag.name]
