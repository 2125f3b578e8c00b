"""Stories of the books' hash: the same for the same logs however they arrived, another for whatever differs."""

import json
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from cloud.checks import verify as program
from cloud.domain.movement import MICRO, Kind
from cloud.flows.declare import Declared, declare_movements
from cloud.flows.recost import recost_company
from cloud.flows.verify.books_hash import NotAtRest, books_hash, books_lines
from tests.conftest import drop
from tests.late_goods import WORKER
from tests.makers import NOON_US, SECOND_US, GatewayLog, Warehouse, epc, make_warehouse, pieces

pytestmark = pytest.mark.editions

PIECES = 10
BOUGHT = {1: ("BOLT", "4.00"), 2: ("BOLT", "4.20"), 3: ("LAMP", "7.00"), 4: ("BOLT", "5.10"), 5: ("LAMP", "9.00")}
# (gateway, tag, direction, gate, seconds after noon, confidence), in the order of each gateway's log.
SAID: tuple[tuple[str, int, str, str, float, float], ...] = (
    *(("gw-1", tag, "in", "dock-1", 600.0 * tag, 0.9) for tag in BOUGHT),
    ("gw-1", 1, "out", "dock-1", 4000, 0.9),
    ("gw-1", 2, "out", "dock-1", 4100, 0.9),  # on its way to the other site
    ("gw-1", 3, "out", "dock-1", 4200, 0.9),
    ("gw-1", 7, "in", "dock-1", 4300, 0.9),  # nobody expects it
    ("gw-1", 6, "in", "dock-1", 7200, 0.9),  # the other gateway saw it come before: this moves nothing
    ("gw-2", 8, "in", "east-1", 300, 0.9),
    ("gw-2", 6, "in", "dock-2", 5400, 0.9),
    ("gw-2", 2, "in", "east-1", 9000, 0.9),
    ("gw-2", 8, "out", "east-1", 9100, 0.9),
    ("gw-2", 99, "in", "east-1", 9200, 0.9),  # nobody knows it
)


def expect(warehouse: Warehouse) -> None:
    """What the gates may expect, each of one tag, so that nothing depends on who comes first."""
    for tag, (item, price) in (BOUGHT | {6: ("BOLT", "6.00"), 8: ("LAMP", "8.00")}).items():
        warehouse.tag(tag, item, PIECES)
        gate = "east-1" if tag == 8 else "dock-1"
        warehouse.expect(
            Kind.PURCHASE_RECEIPT, item, PIECES, gate=gate, price=price, epc=epc(tag), document=f"PO-{tag}"
        )
    warehouse.tag(7, "BOLT", PIECES)
    for tag, kind, gate in (
        (1, Kind.SALES_SHIPMENT, "dock-1"), (2, Kind.TRANSFER_OUT, "dock-1"), (2, Kind.TRANSFER_IN, "east-1"),
        (3, Kind.SALES_SHIPMENT, "dock-1"), (6, Kind.PURCHASE_RECEIPT, "dock-2"),
        (8, Kind.SALES_SHIPMENT, "east-1"),
    ):  # fmt: skip
        item = "LAMP" if tag in (3, 8) else "BOLT"
        warehouse.expect(kind, item, PIECES, gate=gate, epc=epc(tag), document=f"SO-{tag}")


def logs_of(warehouse: Warehouse, epochs: int = 1) -> list[list[GatewayLog]]:
    """The gateways' logs, each cut into so many epochs, which number from 1."""
    found = []
    for gateway in ("gw-1", "gw-2"):
        lines = [line for line in SAID if line[0] == gateway]
        logs = [GatewayLog(*warehouse.gateways[gateway]) for _ in range(epochs)]
        for number, (_, tag, direction, gate, at_s, confidence) in enumerate(lines):
            log = logs[number * epochs // len(lines)]
            log.passage(epc(tag), direction, at_s, gate=gate, confidence=confidence)
        found.append(logs)
    return found


def declared(warehouse: Warehouse) -> Declared:
    """Five bolts that somebody sells by hand."""
    item, store, customer = warehouse.items["BOLT"], warehouse.places["STORE"], warehouse.places["CUSTOMER"]
    return Declared(Kind.SALES_SHIPMENT, item, 5 * MICRO, store, customer, NOON_US + 5000 * SECOND_US)


def play(
    warehouse: Warehouse, random_: random.Random | None = None, epochs: int = 1, key: str = "by hand"
) -> None:
    """All of it: message by message in turn, or cut, mixed, repeated and gathered into batches by chance."""
    expect(warehouse)
    queues = [[log.message() for log in logs] for logs in logs_of(warehouse, epochs)]
    if random_ is None:
        for queue in queues:
            for message in queue:
                warehouse.record(message)
        declare_movements(warehouse.owner, warehouse.company_id, [declared(warehouse)], key, b"1" * 32)
    else:
        _play_by_chance(warehouse, random_, logs_of(warehouse, epochs), key)
    recost_company(warehouse.ingest, warehouse.company_id, WORKER, every=10_000)


def _play_by_chance(
    warehouse: Warehouse, random_: random.Random, gateways: Sequence[Sequence[GatewayLog]], key: str
) -> None:
    queues = [
        [
            message
            for log in logs
            for message in pieces(
                log, sorted(random_.sample(range(1, len(log.written) + 1), random_.randint(0, 2)))
            )
            for _ in range(random_.choice((1, 1, 2)))
        ]
        for logs in gateways
    ]
    sold_after = random_.randint(0, sum(map(len, queues)))
    sent = 0
    while any(queues) or sold_after is not None:
        if sold_after is not None and sent >= sold_after:
            declare_movements(warehouse.owner, warehouse.company_id, [declared(warehouse)], key, b"1" * 32)
            sold_after = None
        batch = [
            queue.pop(0)
            for queue in random_.sample(queues, len(queues))
            for _ in range(random_.randint(0, 2))
            if queue
        ]
        if batch:
            warehouse.record(*batch)
            sent += len(batch)


@dataclass(frozen=True, slots=True)
class Story:
    """The same books for many questions, and a superuser who can get round every trigger."""

    warehouse: Warehouse
    superuser: psycopg.Connection
    owner_dsn: str
    hash: str

    @contextmanager
    def changed(self, change: str) -> Iterator[None]:
        """The books after a statement; they are put back afterwards, row by row."""
        say = self.superuser.execute
        for table in TABLES:
            say(f"CREATE TEMP TABLE kept_{table} AS TABLE public.{table}")
        try:
            assert say(change).rowcount > 0  # type: ignore[arg-type]
            yield
        finally:
            for table in TABLES:
                say(f"DELETE FROM public.{table}")  # noqa: S608
                say(f"INSERT INTO public.{table} SELECT * FROM kept_{table}")  # noqa: S608
                say(f"DROP TABLE kept_{table}")


TABLES = ("balances", "cost_pools", "cost_layers", "movements", "cost_entries")


@pytest.fixture(scope="module")
def story(module_database: Any) -> Iterator[Story]:
    with ExitStack() as stack:

        def connect(dsn: str) -> psycopg.Connection:
            return stack.enter_context(psycopg.connect(dsn, autocommit=True))

        owner = connect(module_database.owner_dsn)
        warehouse = make_warehouse(owner, connect(module_database.dsn_of("tallygate_ingest")))
        play(warehouse)
        superuser = connect(module_database.server.dsn(module_database.name))
        superuser.execute("SET session_replication_role = replica")
        yield Story(warehouse, superuser, module_database.owner_dsn, books_hash(owner))


@pytest.fixture
def undisturbed(new_warehouse: Callable[..., Warehouse]) -> Warehouse:
    made = new_warehouse()
    play(made)
    return made


def test_the_same_logs_make_the_same_hash_in_any_order_of_arrival(
    undisturbed: Warehouse, new_warehouse: Callable[..., Warehouse]
) -> None:
    expected = list(books_lines(undisturbed.owner))
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    for number in range(4):
        other = new_warehouse()
        play(other, random.Random(seed + number))
        assert list(books_lines(other.owner)) == expected, f"seed {seed + number}"
        assert books_hash(other.owner) == books_hash(undisturbed.owner)


def test_how_a_log_is_cut_into_epochs_does_not_matter(
    undisturbed: Warehouse, new_warehouse: Callable[..., Warehouse]
) -> None:
    other = new_warehouse()
    play(other, epochs=3)
    assert books_hash(other.owner) == books_hash(undisturbed.owner)


def test_what_was_taken_back_leaves_no_trace(
    undisturbed: Warehouse, new_warehouse: Callable[..., Warehouse]
) -> None:
    other = new_warehouse()
    expect(other)
    [[first], [second]] = logs_of(other)
    other.record(second.message())
    other.record(first.message())
    declare_movements(other.owner, other.company_id, [declared(other)], "by hand", b"1" * 32)
    recost_company(other.ingest, other.company_id, WORKER, every=10_000)
    corrected = "SELECT count(*) FROM movements WHERE corrects IS NOT NULL"
    assert undisturbed.fetch(corrected) != other.fetch(corrected)
    assert books_hash(other.owner) == books_hash(undisturbed.owner)


NUMBERED = ("companies", "locations", "parties", "items", "gateways", "gates", "expectations", "accounts")


def test_other_numbers_of_the_same_things_make_the_same_hash(
    undisturbed: Warehouse, clone: Callable[[str], Any], edition: str
) -> None:
    database = clone(edition)
    with (
        psycopg.connect(database.owner_dsn, autocommit=True) as owner,
        psycopg.connect(database.dsn_of("tallygate_ingest"), autocommit=True) as ingest,
    ):
        for first, table in enumerate(NUMBERED, 50):
            column = owner.execute(
                "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attidentity <> ''", [table]
            ).fetchone()
            assert column is not None
            owner.execute("SELECT setval(pg_get_serial_sequence(%s, %s), %s)", [table, column[0], first])
        other = make_warehouse(owner, ingest)
        play(other)
        assert other.company_id != undisturbed.company_id
        assert list(books_lines(owner)) == list(books_lines(undisturbed.owner))
    drop(database)


CHANGES = {
    "a balance": "UPDATE balances SET qty_micro = qty_micro + 1 WHERE qty_micro > 0",
    "a pool's value": "UPDATE cost_pools SET value = value + 1 WHERE pool_id = (SELECT max(pool_id) FROM cost_pools"
    " WHERE qty > 0)",
    "a pool's goods": "UPDATE cost_pools SET qty = qty + 1 WHERE qty > 0",
    "a pool's method": "UPDATE cost_pools SET method = 3 WHERE qty > 0",
    "a layer's quantity": "UPDATE cost_layers SET qty_left = qty_left + 1",
    "a layer's value": "UPDATE cost_layers SET value_left = value_left + 1",
    "where a layer came from": "UPDATE cost_layers SET movement_id ="
    " (SELECT max(movement_id::text)::uuid FROM movements WHERE kind = 3)",
    "a movement's kind": "UPDATE movements SET kind = 2 WHERE kind = 3",
    "its item": "UPDATE movements SET item_id = 3 WHERE seq = 1",
    "its quantity": "UPDATE movements SET qty_micro = qty_micro + 1 WHERE seq = 1",
    "where it came from": "UPDATE movements SET from_id = to_id, to_id = from_id WHERE seq = 1",
    "its document": "UPDATE movements SET document = 'PO-X' WHERE seq = 1",
    "its price": "UPDATE movements SET price_micro = price_micro + 1 WHERE price_micro IS NOT NULL",
    "its rate": "UPDATE movements SET rate_nano = rate_nano + 1 WHERE seq = 1",
    "its moment": "UPDATE movements SET occurred_us = occurred_us + 1 WHERE seq = 1",
    "its reason": "UPDATE movements SET reason = 'x' WHERE seq = 1",
    "its currency": "UPDATE movements SET currency = 840 WHERE seq = 1",
    "that its clock lied": "UPDATE movements SET tags = tags | 2 WHERE seq = 1",
    "what it returns": "UPDATE movements SET original_id = movement_id WHERE seq = 1",
    "its number": "UPDATE movements SET seq = 100 WHERE seq = 1",
    "its cost": "UPDATE cost_entries SET value = value + 1 WHERE step = 0",
    "that it stands": "DELETE FROM movements WHERE seq = 1",
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=list(CHANGES))
def test_another_book_has_another_hash(story: Story, change: str) -> None:
    with story.changed(change):
        assert books_hash(story.superuser) != story.hash
    assert books_hash(story.superuser) == story.hash


# What is a number of the database, or a matter of arrival.
INDIFFERENT = {
    "when it was recorded": "UPDATE movements SET recorded_at = recorded_at + interval '1 s'",
    "in which batch": "UPDATE movements SET lane = 15 - lane, batch_no = batch_no + 7, row_no = row_no + 1",
    "that it was late": "UPDATE movements SET tags = tags | 5",
    "an adjusting entry apart": "INSERT INTO cost_entries (company_id, movement_id, step, pool_id, qty, value, posted,"
    " corrects, posting_date, lane, batch_no, row_no, digest)"
    " SELECT company_id, movement_id, 7 + s, pool_id, 0, s * 5, 0, movement_id, posting_date + 1, lane, 1, 1, ''"
    "   FROM cost_entries, (VALUES (1), (-1)) v (s) WHERE step = 0",
    "what it was posted on": "UPDATE cost_entries SET posting_date = posting_date + 31",
    "a layer's number": "UPDATE cost_layers SET layer_no = layer_no + 1000",
}


@pytest.mark.parametrize("change", INDIFFERENT.values(), ids=list(INDIFFERENT))
def test_numbers_of_the_database_do_not_matter(story: Story, change: str) -> None:
    with story.changed(change):
        assert books_hash(story.superuser) == story.hash


def test_while_pools_wait_for_recosting_there_is_no_hash(story: Story) -> None:
    with story.changed("UPDATE cost_pools SET late_from_us = 0 WHERE qty > 0"):
        count = story.warehouse.fetch("SELECT count(*) FROM cost_pools WHERE late_from_us IS NOT NULL")[0][0]
        with pytest.raises(NotAtRest, match=f"{count} of demo"):
            books_hash(story.superuser)


def test_the_verb_prints_the_hash_and_refuses_while_costs_are_not_final(
    story: Story, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TALLYGATE_DSN", story.owner_dsn)
    assert program.main(["--hash"]) == 0
    assert capsys.readouterr().out == f"{story.hash}\n"
    assert program.main(["--hash", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"books_hash": story.hash}
    with story.changed("UPDATE cost_pools SET late_from_us = 0 WHERE qty > 0"):
        assert program.main(["--hash"]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert "wait for re-costing" in told.err
