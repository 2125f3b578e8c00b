"""One transaction a batch: the gateways' messages become movements, balances, costs, entries, and news.

Each log moves on in the same transaction as what its messages did: overlap is skipped, a gap changes nothing,
what cannot be read or booked goes to quarantine under its numbers, and what comes back tells the caller whom
to answer with `applied`. Nothing here talks to a broker.
"""

import math
import uuid
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import psycopg

from cloud.domain.batch import Batch, Company
from cloud.domain.movement import NONE, QTY_MAX, Crossing, Outcome
from cloud.domain.observation import Observed
from cloud.flows.book_movements import book
from cloud.flows.resolve_passages import Gate, Resolved, load_gates, resolve
from cloud.store.batches import close_batch, load_company, open_batch
from cloud.store.observations import write_observations
from cloud.store.sql import statement
from protocols.wire.movement import Envelope, MovementObserved, MovementsDecoded, encode_movement

Cursor = psycopg.Cursor

_CROSSINGS = {"in": Crossing.IN, "out": Crossing.OUT, "turned_back": Crossing.TURNED_BACK,
              "undecided": Crossing.UNDECIDED}  # fmt: skip
_TIME_LIMIT_US = 2**55  # the year 3111; farther times are no times
_MAX_EVIDENCE = 64 * 1024


class LeaseLost(RuntimeError):
    """Another worker holds one of the batch's lanes now; nothing was written."""


@dataclass(frozen=True, slots=True)
class Lease:
    """By what right a worker writes: its name and the fencing token of its lanes."""

    worker: str
    token: int


@dataclass(frozen=True, slots=True)
class Received:
    """One message of a registered gateway.

    decoded is None when the message stays unreadable and is to be set aside under its envelope's numbers,
    with `payload` and `reason`.
    """

    gateway_id: int
    lane: int
    received_us: int
    envelope: Envelope
    decoded: MovementsDecoded | None
    payload: bytes
    reason: str = ""


@dataclass(slots=True)
class Recorded:
    """What a batch came to. `counts` by name; answer: gateways that are owed an `applied`."""

    batch_no: int
    head: str
    counts: Counter[str] = field(default_factory=Counter)
    answer: set[int] = field(default_factory=set)
    stopped: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Log:
    """One epoch of one gateway within the batch."""

    gateway_id: int
    epoch: uuid.UUID
    applied: int
    end: int | None
    stopped: str | None
    touched: bool = False


@dataclass(frozen=True, slots=True)
class _Aside:
    """What goes to quarantine."""

    gateway_id: int
    epoch: uuid.UUID
    first: int
    last: int
    reason: str
    payload: bytes


def record_batch(
    connection: psycopg.Connection, company_id: int, messages: Sequence[Received], lease: Lease, recorded_us: int
) -> Recorded:
    """Apply messages of one company in one transaction. Raises LeaseLost, psycopg.Error.

    recorded_us is the cloud's clock at commit (µs UTC); it is stored, never asked for again.
    """
    with connection.transaction(), connection.cursor() as cursor:
        company = load_company(cursor, company_id)
        lanes = sorted({message.lane for message in messages})
        _check_lease(cursor, company_id, lanes, lease)
        batch = open_batch(cursor, company, lanes[0], recorded_us, lease.worker)
        recorded = Recorded(batch.batch_no, batch.previous.hex())
        logs = _lock_logs(cursor, company_id, messages)
        observed, raw, aside = _accept(cursor, company, messages, logs, recorded)
        aside += _observe(cursor, batch, observed, raw, recorded)
        _set_aside(cursor, company_id, aside, recorded_us)
        recorded.counts["quarantined"] += sum(one.last - one.first + 1 for one in aside)
        _advance(cursor, company_id, logs)
        if batch.observed or batch.moved:  # a batch of nothing but repetitions leaves no link
            recorded.head = close_batch(cursor, batch).hex()
    return recorded


def book_known(cursor: Cursor, batch: Batch, again: Iterable[str]) -> list[uuid.UUID]:
    """Walk tags again whose terms have changed (just bound) and book what that makes; the movements' ids.

    Raises CannotBookKnown, psycopg.Error.
    """
    resolved = resolve(cursor, batch.company, (), again)
    booked = book(cursor, batch, resolved.movements)
    if booked.rejected:
        raise CannotBookKnown(next(iter(booked.rejected.values())))
    _put(cursor, batch.company.company_id, resolved, {})
    return [uuid.UUID(bytes=row.tobytes()) for row in resolved.movements.movement_id]


class CannotBookKnown(ValueError):
    """An observation that waited cannot be booked as it is."""


def book_late(
    cursor: Cursor, batch: Batch, gateway_id: int, epoch: uuid.UUID, movement: MovementObserved, received_us: int
) -> Counter[str]:
    """Book one movement out of quarantine, at its own time and under its own number.

    Raises CannotBookKnown when it still cannot be, psycopg.Error.
    """
    gates = load_gates(cursor, batch.company.company_id)
    try:
        seen = _checked(movement, gateway_id, received_us, epoch, gates)
    except ValueError as error:
        raise CannotBookKnown(str(error)) from error
    recorded = Recorded(batch.batch_no, "")
    if aside := _observe(cursor, batch, [seen], [movement], recorded):
        raise CannotBookKnown(aside[0].reason)
    return recorded.counts


# ── The logs ────────────────────────────────────────────────────────────────────────────────────────


def _check_lease(cursor: Cursor, company_id: int, lanes: list[int], lease: Lease) -> None:
    held = cursor.execute(
        statement("logs", "check_leases"),
        {"company": company_id, "lanes": lanes, "worker": lease.worker, "token": lease.token},
    ).fetchall()
    if lost := set(lanes) - {row[0] for row in held}:
        raise LeaseLost(f"lanes {sorted(lost)} of company {company_id} are not leased to {lease.worker} any more")


def _lock_logs(cursor: Cursor, company_id: int, messages: Sequence[Received]) -> dict[tuple[int, str], _Log]:
    keys = sorted({(message.gateway_id, message.envelope.epoch) for message in messages})
    where = {"company": company_id, "gateway": [key[0] for key in keys], "epoch": [key[1] for key in keys]}
    cursor.execute(statement("logs", "make_logs"), where)
    rows = cursor.execute(statement("logs", "lock_logs"), where).fetchall()
    return {(row[0], row[1].hex): _Log(*row) for row in rows}


def _accept(
    cursor: Cursor,
    company: Company,
    messages: Sequence[Received],
    logs: dict[tuple[int, str], _Log],
    recorded: Recorded,
) -> tuple[list[Observed], list[MovementObserved], list[_Aside]]:
    """Take from each message what its log has not applied yet; the rest is counted and answered."""
    losses = _losses(cursor, company.company_id)
    gates = load_gates(cursor, company.company_id)
    observed: list[Observed] = []
    raw: list[MovementObserved] = []
    aside: list[_Aside] = []
    for message in messages:
        log = logs[message.gateway_id, message.envelope.epoch]
        recorded.counts["messages"] += 1
        recorded.answer.add(message.gateway_id)
        if not _goes_on(log, message.envelope, losses, recorded):
            continue
        if message.decoded is None:
            first = max(message.envelope.first, log.applied + 1)
            aside.append(
                _Aside(log.gateway_id, log.epoch, first, message.envelope.last, message.reason, message.payload)
            )
        else:
            for seq, (payload, reason) in message.decoded.unreadable.items():
                if seq > log.applied:
                    aside.append(_Aside(log.gateway_id, log.epoch, seq, seq, reason, payload))
            for movement in message.decoded.movements:
                if movement.seq <= log.applied:
                    continue
                try:
                    observed.append(_checked(movement, log.gateway_id, message.received_us, log.epoch, gates))
                except ValueError as error:
                    aside.append(
                        _Aside(log.gateway_id, log.epoch, movement.seq, movement.seq, str(error),
                               encode_movement(movement))
                    )  # fmt: skip
                else:
                    raw.append(movement)
        log.applied = message.envelope.last
        log.touched = True
    return observed, raw, aside


def _losses(cursor: Cursor, company_id: int) -> dict[tuple[int, uuid.UUID], list[tuple[int, int]]]:
    found: dict[tuple[int, uuid.UUID], list[tuple[int, int]]] = {}
    for gateway, epoch, first, last in cursor.execute(statement("logs", "losses"), {"company": company_id}):
        found.setdefault((gateway, epoch), []).append((first, last))
    return found


def _goes_on(
    log: _Log, envelope: Envelope, losses: dict[tuple[int, uuid.UUID], list[tuple[int, int]]], recorded: Recorded
) -> bool:
    """Whether this message has the numbers that the log waits for."""
    if envelope.end is not None and log.end is None:
        log.end, log.touched = envelope.end, True
    for first, last in sorted(losses.get((log.gateway_id, log.epoch), ())):
        if first <= log.applied + 1 <= last:
            log.applied, log.touched = last, True
    if envelope.oldest > log.applied + 1:
        missing = (
            f"numbers {log.applied + 1} … {envelope.oldest - 1} are missing: the gateway no longer holds them"
        )
        if log.stopped != missing:
            log.stopped, log.touched = missing, True
            recorded.stopped.append(f"gateway {log.gateway_id}, epoch {log.epoch.hex}: {missing}")
        recorded.counts["stopped"] += 1
        return False
    if log.stopped is not None:
        log.stopped, log.touched = None, True
    if envelope.last <= log.applied:
        recorded.counts["duplicates"] += 1
        return False
    if envelope.first > log.applied + 1:
        recorded.counts["gaps"] += 1
        return False
    if envelope.first <= log.applied:
        recorded.counts["overlaps"] += 1
    return True


def _checked(
    movement: MovementObserved, gateway_id: int, received_us: int, epoch: uuid.UUID, gates: dict[str, Gate]
) -> Observed:
    """The movement as a value of ours. Raises ValueError with the reason for quarantine."""
    if movement.kind != "passage":
        raise ValueError(f"kind: expected passage, got {movement.kind!r}")
    if movement.gate not in gates:
        raise ValueError(f"gate: {movement.gate!r} is not registered")
    if (crossing := _CROSSINGS.get(movement.direction)) is None:
        raise ValueError(f"direction: expected one of {', '.join(_CROSSINGS)}, got {movement.direction!r}")
    if not movement.epc or len(movement.epc) % 4 or set(movement.epc) - set("0123456789ABCDEF"):
        raise ValueError(f"epc: expected words of four upper-case hex digits, got {movement.epc!r}")
    if len(movement.epc) > 124:  # 496 bits, the longest EPC that PC bits can announce (Gen2 2.0, 6.3.2.1.2.2)
        raise ValueError(f"epc: expected at most 124 hex digits, got {len(movement.epc)}")
    if movement.qty_micro is not None and not 1 <= movement.qty_micro <= QTY_MAX:
        raise ValueError(f"qty_micro: expected 1 … {QTY_MAX}, got {movement.qty_micro}")
    if not math.isfinite(movement.confidence) or not 0 <= movement.confidence <= 1:
        raise ValueError(f"confidence: expected 0 … 1, got {movement.confidence}")
    if not 0 <= movement.occurred_at_us < _TIME_LIMIT_US:
        raise ValueError(f"occurred_at_us: expected 0 … {_TIME_LIMIT_US}, got {movement.occurred_at_us}")
    evidence = bytes(movement.evidence)
    if len(evidence) > _MAX_EVIDENCE:
        raise ValueError(f"evidence: expected at most {_MAX_EVIDENCE} bytes, got {len(evidence)}")
    try:
        movement_id = uuid.UUID(hex=movement.id)
    except ValueError:
        raise ValueError(f"id: expected 32 hex digits, got {movement.id!r}") from None
    return Observed(
        movement_id, gateway_id, epoch, movement.seq, movement.gate, movement.epc, crossing,
        movement.confidence, movement.occurred_at_us, received_us, movement.qty_micro, evidence,
    )  # fmt: skip


def _advance(cursor: Cursor, company_id: int, logs: dict[tuple[int, str], _Log]) -> None:
    touched = [log for log in logs.values() if log.touched]
    if not touched:
        return
    cursor.execute(
        statement("logs", "advance_logs"),
        {
            "company": company_id,
            "gateway": [log.gateway_id for log in touched],
            "epoch": [log.epoch for log in touched],
            "applied": [log.applied for log in touched],
            "end_seq": [NONE if log.end is None else log.end for log in touched],
            "stopped": [log.stopped or "" for log in touched],
        },
    )


def _set_aside(cursor: Cursor, company_id: int, aside: Sequence[_Aside], recorded_us: int) -> None:
    at = datetime.fromtimestamp(recorded_us / 1e6, UTC)
    cursor.executemany(
        statement("logs", "quarantine"),
        [
            {"company": company_id, "gateway": one.gateway_id, "epoch": one.epoch, "first": one.first,
             "last": one.last, "recorded_at": at, "reason": one.reason, "payload": one.payload}
            for one in aside
        ],
    )  # fmt: skip


# ── The observations ────────────────────────────────────────────────────────────────────────────────


def _observe(
    cursor: Cursor, batch: Batch, observed: list[Observed], raw: list[MovementObserved], recorded: Recorded
) -> list[_Aside]:
    """Resolve and book what was accepted; what cannot be booked comes back to be set aside."""
    if not observed:
        return []
    resolved = resolve(cursor, batch.company, observed)
    booked = book(cursor, batch, resolved.movements)
    rejected = {row: why for row, why in booked.rejected.items() if row != NONE}
    aside = [
        _Aside(seen.gateway_id, seen.epoch, seen.seq, seen.seq, why, encode_movement(raw[row]))
        for row, why in rejected.items()
        for seen in (observed[row],)
    ]
    if NONE in booked.rejected:
        # A correction of a known movement: it has no number of its own to be set aside under.
        aside.append(_Aside(0, uuid.UUID(int=0), 0, 0, f"correction: {booked.rejected[NONE]}", b""))
    kept = [row for row in range(len(observed)) if row not in rejected]
    batch.observed += len(kept)
    outcomes = [resolved.outcomes[row] for row in kept]
    rows = [observed[row] for row in kept]
    batch.chain("observations", write_observations(cursor, batch, rows, outcomes, resolved.gate_ids))
    _put(cursor, batch.company.company_id, resolved, {row: observed[row].epc for row in rejected})
    _open_observations(cursor, batch, observed, kept, resolved)
    recorded.counts["observed"] += len(kept)
    recorded.counts["movements"] += len(booked.rows)
    for row in kept:
        recorded.counts[resolved.outcomes[row][0].name.lower()] += 1
    return aside


def _put(cursor: Cursor, company_id: int, resolved: Resolved, rejected: dict[int, str]) -> None:
    """Where the tags are now, and what of the expected has come; rejected: {row: EPC} left no trace."""
    stuck = set(rejected.values())
    places = [place for place in resolved.places if place.epc not in stuck]
    if places:
        cursor.execute(
            statement("observed", "put_places"),
            {
                "company": company_id,
                "epc": [place.epc for place in places],
                "area": [place.area for place in places],
                "location": [place.location for place in places],
                "occurred_us": [place.occurred_us for place in places],
                "movement": [place.movement_id for place in places],
                "crossing_group": [place.group for place in places],
                "confidence": [place.confidence for place in places],
            },
        )
    filled: Counter[int] = Counter()
    for one in resolved.filled:
        if one.source_row not in rejected:
            filled[one.expectation_id] += one.qty
    if filled:
        cursor.execute(
            statement("observed", "fill_expectations"),
            {"company": company_id, "ids": list(filled), "qty": list(filled.values())},
        )


def _open_observations(
    cursor: Cursor, batch: Batch, observed: list[Observed], kept: list[int], resolved: Resolved
) -> None:
    waiting = [row for row in kept if resolved.outcomes[row][0] is Outcome.UNREGISTERED]
    if waiting:
        cursor.execute(
            statement("observed", "open_observations"),
            {
                "company": batch.company.company_id,
                "epc": [observed[row].epc for row in waiting],
                "movement": [observed[row].movement_id for row in waiting],
                "recorded_at": datetime.fromtimestamp(batch.recorded_us / 1e6, UTC),
            },
        )


__all__ = ["Lease", "LeaseLost", "Received", "Recorded", "book_known", "book_late", "record_batch"]
