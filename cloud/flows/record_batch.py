"""One transaction a batch: the gateways' messages become movements, balances, costs, entries, and news.

Each log moves on in the same transaction as what its messages did: overlap is skipped, a gap changes nothing,
what cannot be read or booked goes to quarantine under its numbers, and what comes back tells the caller whom
to answer with `applied`. Nothing here talks to a broker.
"""

import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
import psycopg
from numpy.typing import NDArray

from cloud.domain.batch import Batch, Company
from cloud.domain.movement import NONE, Int64, Outcome
from cloud.domain.observation import Observed
from cloud.flows.book_movements import book
from cloud.flows.passages.gates import Gates, load_gates
from cloud.flows.read_observations import read_observations
from cloud.flows.resolve_passages import PlacesLeft, Resolved, resolve
from cloud.store.arrays import Texts
from cloud.store.batches import close_batch, group_sums, load_company, open_batch
from cloud.store.observations import write_observations
from cloud.store.sql import statement
from protocols.wire.movement import Envelope, MovementObserved, MovementsDecoded, encode_movement

Cursor = psycopg.Cursor


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
        gates = Gates.of(load_gates(cursor, company_id))
        seen, raw, aside = _accept(cursor, company, messages, logs, gates, recorded)
        aside += _observe(cursor, batch, seen, raw, gates, recorded)
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
    company_id = batch.company.company_id
    gates = Gates.of(load_gates(cursor, company_id))
    nothing, _ = read_observations(
        [], np.empty(0, np.int64), np.empty((0, 16), np.uint8), np.empty(0, np.int64), gates.index
    )
    resolved = resolve(cursor, batch.company, nothing, gates, again)
    booked = book(cursor, batch, resolved.movements)
    if booked.rejected:
        raise CannotBookKnown(next(iter(booked.rejected.values())))
    _put_places(cursor, company_id, resolved.places, set())
    _fill(cursor, company_id, resolved, {})
    return [uuid.UUID(bytes=row.tobytes()) for row in resolved.movements.movement_id]


class CannotBookKnown(ValueError):
    """An observation that waited cannot be booked as it is."""


def book_late(
    cursor: Cursor, batch: Batch, gateway_id: int, epoch: uuid.UUID, movement: MovementObserved, received_us: int
) -> Counter[str]:
    """Book one movement out of quarantine, at its own time and under its own number.

    Raises CannotBookKnown when it still cannot be, psycopg.Error.
    """
    gates = Gates.of(load_gates(cursor, batch.company.company_id))
    seen, wrong = read_observations(
        [movement],
        np.array([gateway_id], np.int64),
        np.frombuffer(epoch.bytes, np.uint8).reshape(1, 16),
        np.array([received_us], np.int64),
        gates.index,
    )
    if wrong:
        raise CannotBookKnown(wrong[0])
    recorded = Recorded(batch.batch_no, "")
    if aside := _observe(cursor, batch, seen, [movement], gates, recorded):
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
    gates: Gates,
    recorded: Recorded,
) -> tuple[Observed, list[MovementObserved], list[_Aside]]:
    """Take from each message what its log has not applied yet; the rest is counted and answered."""
    losses = _losses(cursor, company.company_id)
    taken: list[tuple[_Log, int, list[MovementObserved]]] = []
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
            movements = message.decoded.movements
            if movements and movements[0].seq <= log.applied:
                movements = [movement for movement in movements if movement.seq > log.applied]
            taken.append((log, message.received_us, movements))
        log.applied = message.envelope.last
        log.touched = True
    seen, raw, wrong = _read(taken, gates)
    return seen, raw, aside + wrong


def _read(
    taken: list[tuple[_Log, int, list[MovementObserved]]], gates: Gates
) -> tuple[Observed, list[MovementObserved], list[_Aside]]:
    """Movements as columns, and beside them as they came; those that are none are to be set aside."""
    counts = [len(movements) for _, _, movements in taken]
    raw = [movement for _, _, movements in taken for movement in movements]
    epochs = np.frombuffer(b"".join(log.epoch.bytes for log, _, _ in taken), np.uint8).reshape(-1, 16)
    seen, wrong = read_observations(
        raw,
        np.repeat(np.array([log.gateway_id for log, _, _ in taken], np.int64), counts),
        np.repeat(epochs, counts, axis=0),
        np.repeat(np.array([received_us for _, received_us, _ in taken], np.int64), counts),
        gates.index,
    )
    if not wrong:
        return seen, raw, []
    aside = [
        _Aside(
            int(seen.gateway[row]),
            _uuid(seen.epoch[row]),
            raw[row].seq,
            raw[row].seq,
            why,
            encode_movement(raw[row]),
        )
        for row, why in wrong.items()
    ]
    kept = np.delete(np.arange(len(raw)), list(wrong))
    return seen.take(kept), [raw[row] for row in kept.tolist()], aside


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
    cursor: Cursor, batch: Batch, seen: Observed, raw: list[MovementObserved], gates: Gates, recorded: Recorded
) -> list[_Aside]:
    """Resolve and book what was accepted; what cannot be booked comes back to be set aside."""
    if not len(seen):
        return []
    resolved = resolve(cursor, batch.company, seen, gates)
    booked = book(cursor, batch, resolved.movements)
    rejected = {row: why for row, why in booked.rejected.items() if row != NONE}
    aside = [
        _Aside(
            int(seen.gateway[row]),
            _uuid(seen.epoch[row]),
            raw[row].seq,
            raw[row].seq,
            why,
            encode_movement(raw[row]),
        )
        for row, why in rejected.items()
    ]
    if NONE in booked.rejected:
        # A correction of a known movement: it has no number of its own to be set aside under.
        aside.append(_Aside(0, uuid.UUID(int=0), 0, 0, f"correction: {booked.rejected[NONE]}", b""))
    kept = np.delete(np.arange(len(seen)), list(rejected)) if rejected else np.arange(len(seen))
    rows = seen.take(kept) if rejected else seen
    outcome = resolved.outcome[kept]
    batch.observed += len(rows)
    batch.chain(
        "observations",
        write_observations(cursor, batch, rows, gates.gate_id[rows.gate], outcome, resolved.winner[kept]),
    )
    _put_places(cursor, batch.company.company_id, resolved.places, {seen.epcs[seen.tag[row]] for row in rejected})
    _fill(cursor, batch.company.company_id, resolved, rejected)
    _open_observations(cursor, batch, rows, outcome)
    recorded.counts["observed"] += len(rows)
    recorded.counts["movements"] += len(booked.rows)
    for one, count in zip(*np.unique(outcome, return_counts=True), strict=True):
        recorded.counts[Outcome(int(one)).name.lower()] += int(count)
    return aside


def _put_places(cursor: Cursor, company_id: int, places: PlacesLeft, stuck: set[str]) -> None:
    """Where the tags are now; stuck: tags of rejected sightings, which left no trace."""
    at = np.arange(len(places.epcs))
    if stuck:
        at = at[[epc not in stuck for epc in places.epcs]]
    if not len(at):
        return
    cursor.execute(
        statement("observed", "put_places"),
        {
            "company": company_id,
            "epc": Texts([places.epcs[i] for i in at.tolist()]),
            "area": places.area[at],
            "location": places.location[at],
            "occurred_us": places.occurred_us[at],
            "movement": places.movement_id[at],
            "crossing_group": places.group[at],
            "confidence": places.confidence[at],
        },
    )


def _fill(cursor: Cursor, company_id: int, resolved: Resolved, rejected: Mapping[int, str]) -> None:
    """What of the expected has come, or gone."""
    moves, expectation = resolved.movements, resolved.expectation
    n = len(expectation)
    fills = expectation != NONE
    if rejected:
        fills &= ~np.isin(moves.source_row[:n], list(rejected))
    ids, back = np.unique(expectation[fills], return_inverse=True)
    if len(ids):
        qty = group_sums(back, moves.qty[:n][fills], len(ids))
        cursor.execute(statement("observed", "fill_expectations"), {"company": company_id, "ids": ids, "qty": qty})


def _open_observations(cursor: Cursor, batch: Batch, seen: Observed, outcome: Int64) -> None:
    waiting = np.flatnonzero(outcome == Outcome.UNREGISTERED)
    if len(waiting):
        cursor.execute(
            statement("observed", "open_observations"),
            {
                "company": batch.company.company_id,
                "epc": Texts([seen.epcs[tag] for tag in seen.tag[waiting].tolist()]),
                "movement": seen.movement_id[waiting],
                "recorded_at": datetime.fromtimestamp(batch.recorded_us / 1e6, UTC),
            },
        )


def _aside_of(seen: Observed, row: int, movement: MovementObserved, why: str) -> _Aside:
    """One movement that cannot be read or booked."""
    return _Aside(
        int(seen.gateway[row]), _uuid(seen.epoch[row]), movement.seq, movement.seq, why, encode_movement(movement)
    )


def _uuid(cells: NDArray[np.uint8]) -> uuid.UUID:
    return uuid.UUID(bytes=cells.tobytes())


__all__ = ["Lease", "LeaseLost", "Received", "Recorded", "book_known", "book_late", "record_batch"]
