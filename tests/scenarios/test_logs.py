"""Stories of the gateways' logs: what is sent twice, overlaps, is missing, is damaged or cannot be booked."""

import random
import uuid
from collections.abc import Callable

import msgspec
import psycopg
import pytest

from cloud.flows.record_batch import Lease, LeaseLost, Received, record_batch
from cloud.store.tag_locks import lock_tags
from protocols.wire import movement as wire
from tests.makers import NOON_US, GatewayLog, Warehouse, epc, pieces


def write(warehouse: Warehouse, count: int) -> GatewayLog:
    """So many tags go in."""
    for number in range(1, count + 1):
        warehouse.log.passage(warehouse.tag(number), "in", number)
    return warehouse.log


def applied(warehouse: Warehouse) -> list[tuple[int, str | None]]:
    return warehouse.fetch("SELECT applied_seq, stopped FROM gateway_logs ORDER BY begun_at")


def numbers(warehouse: Warehouse) -> list[int]:
    return [row[0] for row in warehouse.fetch("SELECT seq FROM observations ORDER BY seq")]


def test_a_batch_sent_twice_is_applied_once(warehouse: Warehouse) -> None:
    log = write(warehouse, 5)
    warehouse.record(log.message())
    again = warehouse.record(log.message())
    assert again.counts["duplicates"] == 1
    assert again.answer == {log.gateway_id}
    assert numbers(warehouse) == [1, 2, 3, 4, 5]


def test_an_overlapping_batch_is_applied_from_where_it_is_new(warehouse: Warehouse) -> None:
    log = write(warehouse, 6)
    warehouse.record(log.message(1, 4))
    recorded = warehouse.record(log.message(3, 6))
    assert recorded.counts["overlaps"] == 1
    assert recorded.counts["observed"] == 2
    assert numbers(warehouse) == [1, 2, 3, 4, 5, 6]


def test_a_gap_changes_nothing_and_is_answered(warehouse: Warehouse) -> None:
    log = write(warehouse, 6)
    warehouse.record(log.message(1, 2))
    recorded = warehouse.record(log.message(5, 6))
    assert recorded.counts["gaps"] == 1
    assert recorded.answer == {log.gateway_id}
    assert applied(warehouse) == [(2, None)]
    warehouse.record(log.message(3, 6))
    assert numbers(warehouse) == [1, 2, 3, 4, 5, 6]


def test_numbers_the_gateway_no_longer_holds_stop_its_log_until_a_person_names_the_loss(
    warehouse: Warehouse,
) -> None:
    log = write(warehouse, 6)
    warehouse.record(log.message(1, 2))
    log.oldest = 5
    stopped = warehouse.record(log.message(5, 6))
    assert stopped.counts["stopped"] == 1
    assert "3 … 4" in stopped.stopped[0]
    assert numbers(warehouse) == [1, 2]
    warehouse.owner.execute(
        "INSERT INTO log_losses (company_id, gateway_id, epoch, first_seq, last_seq, reason, recorded_by)"
        " VALUES (%s, %s, %s, 3, 4, 'flash memory died', 'Li Wei')",
        [warehouse.company_id, log.gateway_id, log.epoch],
    )
    warehouse.record(log.message(5, 6))
    assert numbers(warehouse) == [1, 2, 5, 6]
    assert applied(warehouse) == [(6, None)]


def test_one_unbookable_movement_among_good_ones_is_set_aside_alone(warehouse: Warehouse) -> None:
    log = write(warehouse, 2)
    log.passage(warehouse.tag(3), "in", 3, gate="dock-99")
    log.passage(warehouse.tag(4), "in", 4)
    warehouse.record(log.message())
    assert numbers(warehouse) == [1, 2, 4]
    [(reason, payload, first, last)] = warehouse.fetch(
        "SELECT reason, payload, first_seq, last_seq FROM quarantine"
    )
    assert "dock-99" in reason
    assert (first, last) == (3, 3)
    assert msgspec.json.decode(payload)["gate"] == "dock-99"
    assert applied(warehouse) == [(4, None)]


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("qty_micro", 0, "qty_micro"),
        ("qty_micro", -5, "qty_micro"),
        ("qty_micro", 2**63, "qty_micro"),
        ("qty_micro", 10**30, "qty_micro"),
        ("kind", "teleport", "kind"),
        ("direction", "sideways", "direction"),
        ("epc", "30", "epc"),
        ("epc", "", "epc"),
        ("epc", "ZZZZ", "epc"),
        ("epc", "30" * 100, "epc"),
        ("confidence", 7.5, "confidence"),
        ("occurred_at_us", -(10**18), "occurred_at_us"),
        ("id", "no id", "id"),
        ("gate", "no\x00gate", "gate"),
        ("seq", 77, "seq"),
        ("seq", "three", "seq"),
        ("evidence", "x" * 70_000, "evidence"),
    ],
)
def test_a_movement_that_cannot_be_is_set_aside_with_its_reason(
    warehouse: Warehouse, field: str, value: object, named: str
) -> None:
    log = write(warehouse, 2)
    body = msgspec.json.decode(log.payload())
    body["movements"][1][field] = value
    payload = msgspec.json.encode(body) if value != 10**30 else _with_huge_quantity(body)
    decoded = wire.decode(payload)
    warehouse.record(Received(log.gateway_id, log.lane, NOON_US, decoded.envelope, decoded, payload))
    assert numbers(warehouse) == [1]
    [(reason,)] = warehouse.fetch("SELECT reason FROM quarantine")
    assert named in reason
    assert applied(warehouse) == [(2, None)]


def _with_huge_quantity(body: dict) -> bytes:
    body["movements"][1]["qty_micro"] = 123456789
    return msgspec.json.encode(body).replace(b"123456789", b"1" + b"0" * 30)


def test_a_cost_beyond_the_books_is_set_aside_and_the_rest_is_booked(warehouse: Warehouse) -> None:
    from cloud.domain.movement import QTY_MAX, Kind

    log = write(warehouse, 1)
    warehouse.expect(Kind.PURCHASE_RECEIPT, "LAMP", QTY_MAX // 10**6, price="99999")
    log.passage(warehouse.tag(2, "LAMP"), "in", 2, qty_micro=QTY_MAX)
    warehouse.record(log.message())
    assert numbers(warehouse) == [1]
    [(reason,)] = warehouse.fetch("SELECT reason FROM quarantine")
    assert "the books can hold" in reason
    assert warehouse.fetch("SELECT done_micro FROM expectations") == [(0,)]
    assert warehouse.fetch("SELECT count(*) FROM places") == [(1,)]


def test_a_message_that_stays_unreadable_is_set_aside_under_its_numbers(warehouse: Warehouse) -> None:
    log = write(warehouse, 4)
    warehouse.record(log.message(1, 1))
    broken = log.payload(1, 3)[:-20]
    envelope = wire.read_envelope(broken)
    warehouse.record(Received(log.gateway_id, log.lane, NOON_US, envelope, None, broken, "cut in half"))
    assert warehouse.fetch("SELECT first_seq, last_seq, payload FROM quarantine") == [(2, 3, broken)]
    warehouse.record(log.message(4, 4))
    assert numbers(warehouse) == [1, 4]


def test_two_epochs_of_one_gateway_are_two_logs(warehouse: Warehouse) -> None:
    log = write(warehouse, 2)
    second = GatewayLog(log.gateway_id, log.lane)
    second.passage(warehouse.tag(9), "in", 50)
    warehouse.record(log.message(end=2), second.message())
    assert sorted(warehouse.fetch("SELECT applied_seq, end_seq FROM gateway_logs")) == [(1, None), (2, 2)]


def test_a_worker_that_lost_its_lease_cannot_commit(warehouse: Warehouse) -> None:
    log = write(warehouse, 1)
    with pytest.raises(LeaseLost):
        record_batch(warehouse.ingest, warehouse.company_id, [log.message()], Lease("test", 6), NOON_US)
    assert applied(warehouse) == []
    assert warehouse.fetch("SELECT count(*) FROM batches") == [(0,)]


@pytest.mark.parametrize("seed", range(8))
def test_any_cutting_and_repeating_of_a_log_makes_the_same_books(
    new_warehouse: Callable[[], Warehouse], seed: int
) -> None:
    """Whatever is cut, repeated or sent too early, the books are those of the log sent once and whole."""
    chance = random.Random(seed)
    disturbed, quiet = new_warehouse(), new_warehouse()
    tags = [disturbed.tag(number) for number in range(1, 8)]
    for number in range(1, 8):
        quiet.tag(number)
    for at in range(60):
        disturbed.log.passage(chance.choice(tags), chance.choice(["in", "out"]), at * 20)
    quiet.log = disturbed.log
    quiet.record(quiet.log.message())
    sent = pieces(disturbed.log, chance.sample(range(1, 60), 9))
    while applied(disturbed) != [(60, None)]:
        disturbed.record(*(chance.choice(sent) for _ in range(chance.randint(1, 4))))
    assert numbers(disturbed) == list(range(1, 61))
    assert disturbed.kinds() == quiet.kinds()
    assert disturbed.outcomes() == quiet.outcomes()
    assert disturbed.stock() == quiet.stock()
    assert disturbed.accounts() == quiet.accounts()


def test_ids_that_a_gateway_uses_twice_do_not_stop_the_log(warehouse: Warehouse) -> None:
    """The database refuses the second; the worker then records each message alone and sets the culprit aside."""
    twice = uuid.uuid4().hex
    warehouse.log.passage(warehouse.tag(1), "in", 1, id=twice)
    warehouse.log.passage(warehouse.tag(2), "in", 2, id=twice)
    with pytest.raises(psycopg.IntegrityError):
        warehouse.record(warehouse.log.message())
    assert applied(warehouse) == []


def test_a_quarantined_movement_is_booked_once_its_gate_is_registered(warehouse: Warehouse) -> None:
    """given a passage at a gate nobody knew; when the gate is registered and a person books it; then it moved."""
    from cloud.domain.company import Gate
    from cloud.flows.resolve_quarantine import CannotResolve, book_quarantined
    from cloud.store.master import put_gate

    warehouse.log.passage(warehouse.tag(1), "in", gate="dock-9")
    warehouse.record(warehouse.log.message())
    [(number,)] = warehouse.fetch("SELECT quarantine_id FROM quarantine")
    with pytest.raises(CannotResolve, match="dock-9"):
        book_quarantined(warehouse.owner, warehouse.company_id, number, "Li Wei", "", None)
    put_gate(warehouse.owner, warehouse.company_id, Gate("dock-9", "STORE", "WORLD"))
    book_quarantined(warehouse.owner, warehouse.company_id, number, "Li Wei", "gate registered late", None)
    assert warehouse.stock() == {("BOLT", "CLARIFICATION-MAIN"): 10}
    assert warehouse.fetch("SELECT seq, occurred_us FROM observations") == [(1, NOON_US)]
    with pytest.raises(CannotResolve, match="nothing"):
        book_quarantined(warehouse.owner, warehouse.company_id, number, "Li Wei", "again", None)


def test_a_dismissed_movement_stays_in_quarantine_with_the_reason(warehouse: Warehouse) -> None:
    from cloud.flows.resolve_quarantine import CannotResolve, dismiss_quarantined

    warehouse.log.passage(warehouse.tag(1), "in", gate="dock-9")
    warehouse.record(warehouse.log.message())
    [(number,)] = warehouse.fetch("SELECT quarantine_id FROM quarantine")
    dismiss_quarantined(warehouse.owner, warehouse.company_id, number, "Li Wei", "a test of the installer's")
    assert warehouse.fetch("SELECT resolution, resolved_by FROM quarantine_resolutions") == [
        ("dismissed", "Li Wei")
    ]
    with pytest.raises(CannotResolve):
        dismiss_quarantined(warehouse.owner, warehouse.company_id, number, "Li Wei", "again")


def test_a_batch_of_twenty_thousand_new_tags_is_one_transaction(warehouse: Warehouse) -> None:
    """The largest batch there is, each tag seen for the first time."""
    for number in range(1, 20_001):
        warehouse.log.passage(epc(number), "in", number / 100)
    recorded = warehouse.record(*pieces(warehouse.log, range(500, 20_000, 500)))
    assert recorded.counts["observed"] == 20_000
    assert warehouse.fetch("SELECT count(*) FROM batches") == [(1,)]


def test_locking_the_tags_of_the_largest_batch_leaves_room_in_the_servers_lock_table(warehouse: Warehouse) -> None:
    """64 locks a connection is PostgreSQL's default: a lock for each tag would end in `out of shared memory`."""
    with warehouse.ingest.transaction():
        epcs = [epc(number) for number in range(20_000)]
        lock_tags(warehouse.ingest.cursor(), warehouse.company_id, epcs)
        held = warehouse.ingest.execute("SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid()").fetchone()
    assert held is not None
    assert held[0] <= 64
