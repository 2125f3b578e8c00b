"""The ingest worker: messages in, batches committed, `applied` out.

One thread does everything but MQTT's own reading: take what waits, sort it by company, record it, answer.
When the database does not serve (patience.py) the batch in hand is kept and tried again; what arrives meanwhile
fills a bounded queue, and what that drops the gateways send again.
"""

import logging
import math
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import psycopg

from cloud.flows.incarnation import current_incarnation
from cloud.flows.record_batch import LeaseLost, Received, Recorded, record_batch
from cloud.ingest import troubles
from cloud.ingest.leases import LEASE_S, Leases
from cloud.ingest.patience import Patience
from cloud.ingest.quarantine import Suspects
from cloud.ingest.readings_intake import ReadingsIntake
from cloud.ingest.registry import Registered, Registry
from cloud.ingest.subscriber import Arrived, Subscriber
from cloud.store.sql import statement
from protocols.wire import applied, movement, status
from protocols.wire.topics import GatewayAddress, WrongTopic, parse_topic

log = logging.getLogger(__name__)

BATCH_MESSAGES = 40  # of up to 500 movements: the 20,000 of ARCHITECTURE.md "The batch"
WAIT_S = 0.2  # how long an idle worker sleeps before it looks at its leases again
ANSWER_AGAIN_S = 1.0  # a gateway is told the same again at most this often

Key = tuple[int, int]  # company_id, gateway_id


@dataclass(slots=True)
class _Owed:
    """Gateways that are owed an `applied`, with the epochs they asked about; advanced: at once."""

    epochs: dict[Key, set[str]] = field(default_factory=lambda: defaultdict(set))
    at_once: set[Key] = field(default_factory=set)


class Worker:
    """One ingest worker. `run` ends when `stop` is set."""

    def __init__(
        self, dsn: str | Callable[[], str], subscriber: Subscriber, name: str, lease_s: float = LEASE_S
    ) -> None:
        self.counters: Counter[str] = Counter()
        self.stop = threading.Event()
        self._subscriber = subscriber
        self._leases = Leases(name, lease_s=lease_s)
        self._registry = Registry()
        self._suspects = Suspects()
        self._readings = ReadingsIntake(self.counters)
        self._addresses: dict[Key, GatewayAddress] = {}
        self._answered_s: dict[Key, float] = {}
        self._told: dict[Key, bytes] = {}
        self._owed = _Owed()
        self._renew_at_s = 0.0
        self._incarnation = 0
        self._in_hand: list[Arrived] = []
        self._patience = Patience(dsn, self.stop, self.counters)

    def run(self) -> None:
        """Until told to stop: work while the database is there, wait while it is not."""
        self._patience.serve(self._serve)

    def _begin(self, connection: psycopg.Connection) -> None:
        self._incarnation = current_incarnation(connection)
        self._leases.held = set()
        self._renew_at_s = 0.0
        self._readings.begin()

    def _serve(self, connection: psycopg.Connection) -> None:
        self._begin(connection)
        while not self.stop.is_set():
            self._patience.look(connection, self._waits_for())
            self._keep_leases(connection)
            if not self._in_hand:
                self._in_hand = self._subscriber.take(BATCH_MESSAGES, WAIT_S)
            if self._in_hand:
                piece = self._patience.piece(self._in_hand)
                self._work(connection, piece)
                del self._in_hand[: len(piece)]
            self._answer(connection)
            self._readings.flush(connection, self._leases.lease, time.monotonic())
            if not self._in_hand:
                self._patience.is_well()
        self._readings.flush(connection, self._leases.lease, math.inf)
        self._leases.give_back(connection)

    def _waits_for(self) -> str:
        trouble = self._subscriber.trouble
        return "" if trouble is None else f"{troubles.BROKER}, {trouble.kind}"

    def _keep_leases(self, connection: psycopg.Connection) -> None:
        if self._subscriber.has_reconnected():
            # The broker may have forgotten every retained message: everybody is told again.
            self._owe_everybody(connection, self._leases.held)
        now_s = time.monotonic()
        if now_s < self._renew_at_s:
            return
        new = self._leases.renew(connection)
        self._renew_at_s = now_s + self._leases.renew_s
        if new:
            log.info("lanes taken", extra={"lanes": len(new), "worker": self._leases.worker})
            self._owe_everybody(connection, new)

    def _owe_everybody(self, connection: psycopg.Connection, lanes: set[tuple[int, int]]) -> None:
        where = {"companies": [lane[0] for lane in lanes], "lanes": [lane[1] for lane in lanes]}
        for company, gateway, code, site, name in connection.execute(
            statement("ingest", "gateways_of_lanes"), where
        ):
            self._addresses[company, gateway] = GatewayAddress(code, site, name)
            self._owed.epochs[company, gateway] |= set()
            self._owed.at_once.add((company, gateway))
            self._told.pop((company, gateway), None)

    # ── Messages ──

    def _work(self, connection: psycopg.Connection, arrived: list[Arrived]) -> None:
        by_company: dict[int, list[Received]] = defaultdict(list)
        seen: list[tuple[Registered, Arrived]] = []
        for message in arrived:
            try:
                address, channel = parse_topic(message.topic)
            except WrongTopic:
                self.counters["wrong_topic"] += 1
                continue
            registered = self._registry.find(connection, address, time.monotonic())
            if registered is None:
                self._unknown(connection, address)
                continue
            self._addresses[registered.company_id, registered.gateway_id] = address
            if channel == "status":
                self._status(connection, registered, message)
            elif (registered.company_id, registered.lane) not in self._leases.held:
                continue
            elif channel == "readings":
                seen.append((registered, message))
            else:
                received = self._read(connection, registered, message)
                if received is not None:
                    by_company[registered.company_id].append(received)
        for company_id, messages in by_company.items():
            self._record(connection, company_id, messages)
        # Last, because these messages are worked through again when the database goes away under one of the batches.
        for registered, message in seen:
            self._readings.take(registered, message)

    def _unknown(self, connection: psycopg.Connection, address: GatewayAddress) -> None:
        self.counters["unknown_gateway"] += 1
        if self.counters["unknown_gateway"] == 1:
            log.error("a gateway that nobody registered is sending", extra={"gateway": str(address)})
        connection.execute(statement("logs", "unknown_gateway"), {"address": str(address), "messages": 1})

    def _read(self, connection: psycopg.Connection, gateway: Registered, message: Arrived) -> Received | None:
        try:
            decoded = movement.decode(message.payload)
        except movement.UnreadableMessage as error:
            return self._read_damaged(connection, gateway, message, str(error))
        return Received(
            gateway.gateway_id, gateway.lane, message.received_us, decoded.envelope, decoded, message.payload
        )

    def _read_damaged(
        self, connection: psycopg.Connection, gateway: Registered, message: Arrived, reason: str
    ) -> Received | None:
        self.counters["unreadable"] += 1
        key = (gateway.company_id, gateway.gateway_id)
        again = self._suspects.came_again(message.payload)
        try:
            envelope = movement.read_envelope(message.payload)
        except movement.UnreadableMessage as error:
            if again:
                log.error(
                    "a message without a readable envelope came twice",
                    extra={"gateway": str(self._addresses[key]), "reason": str(error)},
                )
                self._set_aside_unnumbered(connection, gateway, message, str(error))
            self._owed.epochs[key] |= set()
            return None
        if not again:
            self._owed.epochs[key].add(envelope.epoch)
            return None
        log.error(
            "an unreadable message goes to quarantine",
            extra={"gateway": str(self._addresses[key]), "first": envelope.first, "last": envelope.last,
                   "reason": reason},
        )  # fmt: skip
        return Received(
            gateway.gateway_id, gateway.lane, message.received_us, envelope, None, message.payload, reason
        )

    def _set_aside_unnumbered(
        self, connection: psycopg.Connection, gateway: Registered, message: Arrived, reason: str
    ) -> None:
        connection.execute(
            statement("logs", "quarantine"),
            {"company": gateway.company_id, "gateway": gateway.gateway_id, "epoch": _NO_EPOCH, "first": 0,
             "last": 0, "recorded_at": _moment(message.received_us), "reason": reason,
             "payload": message.payload},
        )  # fmt: skip

    def _record(self, connection: psycopg.Connection, company_id: int, messages: list[Received]) -> None:
        try:
            recorded = self._try(connection, company_id, messages)
        except LeaseLost as error:
            log.warning("lease lost", extra={"error": str(error)})
            self.counters["leases_lost"] += 1
            self._renew_at_s = 0.0
            return
        except psycopg.DatabaseError as error:
            if not _is_refusal(error):
                raise
            if len(messages) > 1:
                # One of them carries something the database refuses: find it by recording each alone.
                for message in messages:
                    self._record(connection, company_id, [message])
                return
            recorded = self._record_refused(connection, company_id, messages[0], error)
        self._note(company_id, messages, recorded)

    def _try(self, connection: psycopg.Connection, company_id: int, messages: list[Received]) -> Recorded:
        return record_batch(connection, company_id, messages, self._leases.lease, time.time_ns() // 1000)

    def _record_refused(
        self, connection: psycopg.Connection, company_id: int, message: Received, error: psycopg.Error
    ) -> Recorded:
        reason = f"the database refuses it: {error.diag.message_primary}"
        log.error("a message goes to quarantine", extra={"gateway": message.gateway_id, "reason": reason})
        aside = Received(
            message.gateway_id, message.lane, message.received_us, message.envelope, None, message.payload, reason
        )
        return self._try(connection, company_id, [aside])

    def _note(self, company_id: int, messages: list[Received], recorded: Recorded) -> None:
        self.counters += recorded.counts
        for problem in recorded.stopped:
            log.error("a log is stopped until a person records the loss", extra={"problem": problem})
        for message in messages:
            self._owed.epochs[company_id, message.gateway_id].add(message.envelope.epoch)

    def _status(self, connection: psycopg.Connection, gateway: Registered, message: Arrived) -> None:
        try:
            said = status.decode(message.payload)
        except movement.UnreadableMessage:
            self.counters["unreadable_status"] += 1
            return
        connection.execute(
            statement("ingest", "put_status"),
            {"company": gateway.company_id, "gateway": gateway.gateway_id,
             "received_at": _moment(message.received_us), "online": said.online,
             "clock_us": said.sent_at_us - message.received_us if said.sent_at_us else None,
             # Not the payload: a field that we do not know may hold what jsonb refuses.
             "status": status.encode(said).decode()},
        )  # fmt: skip
        if (gateway.company_id, gateway.lane) not in self._leases.held or not said.online:
            return
        owed = self._owed.epochs[gateway.company_id, gateway.gateway_id]
        for held in said.epochs:
            owed.add(held.epoch)
            if held.end is not None:
                connection.execute(
                    statement("logs", "close_epoch"),
                    {"company": gateway.company_id, "gateway": gateway.gateway_id, "epoch": held.epoch,
                     "end_seq": held.end},
                )  # fmt: skip

    # ── Answers ──

    def _answer(self, connection: psycopg.Connection) -> None:
        """Tell every gateway that is owed it how far we are; the same again at most once a second."""
        if not self._owed.epochs or not self._subscriber.subscribed.is_set():
            return
        now_s = time.monotonic()
        for company_id in sorted({company_id for company_id, _ in self._owed.epochs}):
            due = {
                gateway: self._owed.epochs[company_id, gateway]
                for company, gateway in self._owed.epochs
                if company == company_id
            }
            for gateway, epochs in self._positions(connection, company_id, due).items():
                self._tell((company_id, gateway), epochs, now_s)

    def _positions(
        self, connection: psycopg.Connection, company_id: int, due: dict[int, set[str]]
    ) -> dict[int, dict[str, applied.EpochApplied]]:
        told: dict[int, dict[str, applied.EpochApplied]] = {gateway: {} for gateway in due}
        asked = [(gateway, epoch) for gateway, epochs in due.items() for epoch in epochs]
        rows = [
            *connection.execute(
                statement("logs", "unfinished"), {"company": company_id, "gateway": list(due)}
            ).fetchall(),
            *connection.execute(
                statement("ingest", "asked_epochs"),
                {"company": company_id, "gateway": [g for g, _ in asked], "epoch": [e for _, e in asked]},
            ).fetchall(),
        ]
        for gateway, epoch, seq, head, stopped in rows:
            told[gateway][epoch.hex] = applied.EpochApplied(
                epoch=epoch.hex, applied=seq, head=head, stopped=stopped
            )
        return told

    def _tell(self, key: Key, epochs: dict[str, applied.EpochApplied], now_s: float) -> None:
        position = applied.encode(
            applied.Applied(
                schema=applied.SCHEMA, incarnation=self._incarnation, sent_at_us=0,
                epochs=[epochs[epoch] for epoch in sorted(epochs)],
            )
        )  # fmt: skip
        is_new = self._told.get(key) != position
        if not is_new and key not in self._owed.at_once and now_s < self._answered_s.get(key, 0) + ANSWER_AGAIN_S:
            return
        message = applied.Applied(
            schema=applied.SCHEMA, incarnation=self._incarnation, sent_at_us=time.time_ns() // 1000,
            epochs=[epochs[epoch] for epoch in sorted(epochs)],
        )  # fmt: skip
        self._subscriber.publish(self._addresses[key].topic("applied"), applied.encode(message))
        self._told[key] = position
        self._answered_s[key] = now_s
        self._owed.epochs.pop(key, None)
        self._owed.at_once.discard(key)
        self.counters["answers"] += 1


_NO_EPOCH = "0" * 32


def _is_refusal(error: psycopg.DatabaseError) -> bool:
    """Whether the database refuses what the message carries; TG… are the refusals of our own triggers.

    Everything else (no connection, a lock, a missing table) is no fault of the message, which waits.
    """
    own = (error.sqlstate or "").startswith("TG")
    return own or isinstance(error, psycopg.DataError | psycopg.IntegrityError)


def _moment(us: int) -> datetime:
    return datetime.fromtimestamp(us / 1e6, UTC)
