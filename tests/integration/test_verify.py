"""`tallygate verify` finds what was changed behind the database's back, and names the first of it."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from psycopg import sql

from cloud.checks import verify as program
from cloud.domain.movement import MICRO, Kind
from cloud.flows.declare import Declared, declare_movements
from cloud.flows.verify import HASHED, PROMISES, Check, verify
from tests.makers import NOON_US, SECOND_US, GatewayLog, Warehouse, append_value_event, make_warehouse

HASHED_TABLES = (*HASHED, "journal_lines")

# One byte more or less, by the column's type. CHECKs hold for the superuser too, so numbers stay above zero.
CHANGED = {
    "smallint": "coalesce({c} # 64, 64)",  # no step or lane has it, so that no key is met twice
    "integer": "coalesce({c} # 1, 1)",
    "bigint": "coalesce({c} # 1, 1)",
    "text": "{c} || 'x'",
    "json": "replace({c}::text, '9', '8')::json",
    "real": "({c} + 1e-6)::real",
    "date": "{c} + 1",
    "timestamp with time zone": "{c} + interval '1 microsecond'",
    # Every digit moves on by one: one in fifty random ids holds neither a 0 nor a 1.
    "uuid": "coalesce(translate({c}::text, '0123456789abcdef', '123456789abcdef0')::uuid, gen_random_uuid())",
    "bytea": "set_byte({c}, 0, get_byte({c}, 0) # 1)",
}
# Says in which transaction a row was written; a restored dump keeps it, so it is no part of the content.
NOT_HASHED = {"xid"}


@dataclass(slots=True)
class Books:
    """A warehouse with a day's stories, and a superuser who can get round every trigger."""

    warehouse: Warehouse
    superuser: psycopg.Connection

    @contextmanager
    def behind_the_back(self, *statements: str) -> Iterator[None]:
        """Change the books with all triggers off; put them back afterwards, row by row."""
        for table in KEPT:
            self._say("CREATE TEMP TABLE {kept} AS TABLE {table}", table)
        try:
            for statement in statements:
                assert self.superuser.execute(statement).rowcount > 0, statement  # type: ignore[arg-type]
            yield
        finally:
            for table in KEPT:
                self._say("DELETE FROM {table}", table)
                self._say("INSERT INTO {table} OVERRIDING SYSTEM VALUE SELECT * FROM {kept}", table)
                self._say("DROP TABLE {kept}", table)

    def _say(self, text: str, table: str) -> None:
        names = {"table": sql.Identifier("public", table), "kept": sql.Identifier("pg_temp", f"kept_{table}")}
        self.superuser.execute(sql.SQL(text).format(**names))

    def failures(self) -> list[Check]:
        return [check for check in verify(self.superuser) if not check.holds]


KEPT = (
    "observations", "movements", "value_events", "cost_entries", "allowance_entries", "consumption_links",
    "journal_entries", "journal_lines", "batches", "lane_heads", "balances", "cost_pools", "cost_layers", "turnovers",
    "gateway_logs", "cloud_requests", "quarantine", "log_losses", "places",
)  # fmt: skip


@pytest.fixture(scope="module")
def books(module_database: Any) -> Iterator[Books]:
    with ExitStack() as stack:

        def connect(dsn: str) -> psycopg.Connection:
            return stack.enter_context(psycopg.connect(dsn, autocommit=True))

        owner = connect(module_database.owner_dsn)
        warehouse = make_warehouse(owner, connect(module_database.dsn_of("tallygate_ingest")))
        play(warehouse)
        superuser = connect(module_database.server.dsn(module_database.name))
        superuser.execute("SET session_replication_role = replica")
        yield Books(warehouse, superuser)


def play(warehouse: Warehouse) -> None:
    """Receipts in two currencies, a sale, a transfer, a shortage and its settlement, evidence, the unknown."""
    for number in range(1, 7):
        warehouse.tag(number, "LAMP" if number == 6 else "BOLT")
    warehouse.expect(Kind.PURCHASE_RECEIPT, "BOLT", 30, price="4.00", document="PO-1")
    warehouse.expect(Kind.PURCHASE_RECEIPT, "LAMP", 10, price="0.333", currency="USD", rate_nano=7_123_450_000)
    warehouse.expect(Kind.SALES_SHIPMENT, "BOLT", 20, document="SO-1")
    log = warehouse.log
    for at, number in enumerate((1, 2, 6)):
        log.passage(f"E280{number:020X}", "in", at)
    log.passage(f"E280{1:020X}", "in", 4, gate="dock-2", confidence=0.5)  # evidence
    log.passage(f"E280{1:020X}", "out", 600)
    warehouse.record(log.message())
    log.passage(f"E280{3:020X}", "out", 700)  # nobody saw it come: 10 of the remaining
    log.passage(f"E280{4:020X}", "in", 900)
    log.passage("E2801234", "in", 950)  # nobody knows it
    log.passage(f"E280{5:020X}", "in", 960, gate="nowhere")
    warehouse.record(log.message(6))
    warehouse.expect(Kind.TRANSFER_OUT, "BOLT", 10, document="TO-1")
    log.passage(f"E280{4:020X}", "out", 1800)
    warehouse.record(log.message(10))
    east = GatewayLog(*warehouse.gateways["gw-2"])
    east.passage(f"E280{4:020X}", "in", 7200, gate="east-1")
    warehouse.record(east.message())
    shipments = [declared(warehouse, Kind.SALES_SHIPMENT, "STORE", "CUSTOMER", 25, 8000)]
    declare_movements(warehouse.owner, warehouse.company_id, shipments, "short", b"1" * 32)
    receipts = [declared(warehouse, Kind.PURCHASE_RECEIPT, "SUPPLIER", "STORE", 40, 8100, price_micro=4_333_333)]
    declare_movements(warehouse.owner, warehouse.company_id, receipts, "settled", b"2" * 32)
    append_value_event(warehouse)
    warehouse.check()


def declared(
    warehouse: Warehouse, kind: Kind, source: str, target: str, pieces: int, at_s: int, **more: Any
) -> Declared:
    """So many bolts."""
    return Declared(
        kind, warehouse.items["BOLT"], pieces * MICRO, warehouse.places[source], warehouse.places[target],
        NOON_US + at_s * SECOND_US, **more,
    )  # fmt: skip


def test_untouched_books_hold_every_promise(books: Books) -> None:
    checks = verify(books.superuser)
    assert [check for check in checks if not check.holds] == []
    assert {check.promise for check in checks} == set(PROMISES)


def columns_of(connection: psycopg.Connection, table: str) -> list[tuple[str, str]]:
    return connection.execute(
        "SELECT column_name, data_type FROM information_schema.columns"
        " WHERE table_schema = 'public' AND table_name = %s ORDER BY ordinal_position",
        [table],
    ).fetchall()


@pytest.mark.parametrize("table", HASHED_TABLES)
def test_one_byte_of_any_column_is_found_and_its_row_named(books: Books, table: str) -> None:
    """Every column of every hashed table: the row's own digest says so, whatever else may notice."""
    columns = [pair for pair in columns_of(books.superuser, table) if pair[0] not in NOT_HASHED]
    assert len(columns) >= 8
    for column, kind in columns:
        with one_byte_changed(books.superuser, table, column, kind) as (place, key_changed):
            found = {check.name: check for check in books.failures()}
            assert "hash chains" in found, f"{table}.{column} was changed and no chain says so"
            detail = found["hash chains"].detail
            if not key_changed:
                owner = "journal_entries" if table == "journal_lines" else table
                assert detail == f"first: {owner} row {place[2]} of batch {place[1]}, lane {place[0]}", column
            else:
                assert detail.startswith("first: "), column
    assert books.failures() == [], "everything was put back"


# One row of a table: where it is stored, its place in the chains, and the column's value.
ROW = sql.SQL(
    "SELECT t.ctid::text, t.tableoid, t.lane, t.batch_no, t.row_no, t.{c}::text FROM {t} t"
    " ORDER BY t.batch_no DESC, t.lane, t.row_no DESC LIMIT 1"
)
ROW_OF_LINE = sql.SQL(
    "SELECT l.ctid::text, l.tableoid, e.lane, e.batch_no, e.row_no, l.{c}::text"
    " FROM {t} l JOIN journal_entries e USING (company_id, source_id, step)"
    " ORDER BY e.batch_no DESC, e.lane, e.row_no DESC LIMIT 1"
)

# Where these stand the row belongs to: change one and the row is found where it should not be, or missing.
PLACE = {"company_id", "lane", "batch_no", "row_no", "source_id", "step"}


@contextmanager
def one_byte_changed(
    connection: psycopg.Connection, table: str, column: str, kind: str
) -> Iterator[tuple[tuple[int, int, int], bool]]:
    """Change one row's column and put it back; the row's lane, batch and number, and whether its place changed."""
    found = ROW_OF_LINE if table == "journal_lines" else ROW
    row = connection.execute(found.format(t=sql.Identifier(table), c=sql.Identifier(column))).fetchone()
    assert row is not None
    ctid, tableoid, *place, old = row
    change = sql.SQL("UPDATE {t} SET {c} = {e} WHERE ctid = %s::tid AND tableoid = %s RETURNING ctid::text").format(
        t=sql.Identifier(table), c=sql.Identifier(column),
        e=sql.SQL(CHANGED[kind]).format(c=sql.Identifier(column)),
    )  # fmt: skip
    changed = connection.execute(change, [ctid, tableoid]).fetchone()
    assert changed is not None
    try:
        yield (place[0], place[1], place[2]), column in PLACE
    finally:
        back = sql.SQL("UPDATE {t} SET {c} = %s::{k} WHERE ctid = %s::tid AND tableoid = %s").format(
            t=sql.Identifier(table), c=sql.Identifier(column), k=sql.SQL(kind)
        )
        assert connection.execute(back, [old, changed[0], tableoid]).rowcount == 1


FOUND = [
    # what was done, the statements, promise, what verify calls it
    ("a pool's quantity", ["UPDATE cost_pools SET qty = qty + 1 WHERE qty > 0"], 2, "pools = cost entries"),
    ("a pool's value", ["UPDATE cost_pools SET value = value + 1 WHERE qty > 0"], 2, "pools = cost entries"),
    (
        "a pool's posted amount, with its value",
        ["UPDATE cost_pools SET value = value + minor_unit, posted = posted + 1 WHERE qty > 0"],
        2,
        "stock value = ledger",
    ),
    ("a pool is gone", ["DELETE FROM cost_pools WHERE qty > 0"], 2, "goods at the places of a pool"),
    ("a layer's quantity", ["UPDATE cost_layers SET qty_left = qty_left + 1"], 2, "pools = cost entries"),
    ("a layer's value", ["UPDATE cost_layers SET value_left = value_left - 1"], 2, "pools = cost entries"),
    (
        "a layer is gone",
        ["DELETE FROM cost_layers WHERE layer_no = (SELECT max(layer_no) FROM cost_layers)"],
        2,
        "pools = cost entries",
    ),
    ("a balance", ["UPDATE balances SET qty_micro = qty_micro + 1 WHERE qty_micro > 0"], 2, "balances = sum"),
    ("a balance is gone", ["DELETE FROM balances WHERE qty_micro > 0"], 2, "balances = sum"),
    ("a turnover", ["UPDATE turnovers SET debit = debit + 1, credit = credit + 1"], 2, "turnovers = lines"),
    ("a turnover is gone", ["DELETE FROM turnovers"], 2, "turnovers = lines"),
    ("a log is said to be further", ["UPDATE gateway_logs SET applied_seq = applied_seq + 1"], 1, "numbers of"),
    ("a log is said to be less far", ["UPDATE gateway_logs SET applied_seq = applied_seq - 1"], 1, "numbers of"),
    ("an observation is gone", ["DELETE FROM observations WHERE seq = 2"], 1, "numbers of"),
    ("an observation is gone, evidence only", ["DELETE FROM observations WHERE outcome = 3"], 3, "hash chains"),
    (
        "an observation stands twice",
        ["INSERT INTO observations SELECT * FROM observations WHERE seq = 2"],
        1,
        "numbers of",
    ),
    (
        "a movement stands twice",
        ["INSERT INTO movements SELECT * FROM movements WHERE kind = 1"],
        1,
        "stand twice",
    ),
    ("a movement of a lot that is none", ["UPDATE movements SET lot_id = 99"], 5, "without their source"),
    ("a value event is gone", ["DELETE FROM value_events"], 5, "without their source"),
    (
        "an allowance",
        ["UPDATE cost_pools SET allowance = minor_unit, allowance_posted = 1 WHERE qty > 0"],
        2,
        "allowance = its entries",
    ),
    ("an allowance entry", ["UPDATE allowance_entries SET value = value + 1"], 2, "allowance = its entries"),
    ("a movement is gone", ["DELETE FROM movements WHERE kind = 3"], 5, "without their source"),
    ("a promised movement is gone", ["DELETE FROM movements WHERE gateway_id = 0"], 1, "promised to requests"),
    ("what was set aside is gone", ["DELETE FROM quarantine"], 1, "numbers of"),
    ("a line is gone", ["DELETE FROM journal_lines WHERE line_no = 2"], 2, "entries that do not balance"),
    (
        "all lines of an entry are gone",
        ["DELETE FROM journal_lines WHERE source_id = (SELECT min(source_id::text)::uuid FROM journal_lines)"],
        2,
        "entries that do not balance",
    ),
    (
        "lines of no entry, on accounts without stock",
        [
            "INSERT INTO journal_lines SELECT company_id, gen_random_uuid(), 0, 1, account_id, 0, 500 FROM accounts"
            " WHERE role = 'cogs'"
        ],
        5,
        "without their source",
    ),
    (
        "lines on an account that is none",
        [
            "UPDATE journal_lines SET account_id = 999 WHERE account_id = (SELECT account_id FROM accounts"
            " WHERE role = 'cogs')"
        ],
        5,
        "without their source",
    ),
    ("a cost entry is gone", ["DELETE FROM cost_entries WHERE step = 0"], 5, "lines whose cost"),
    (
        "a cost entry's amount",
        ["UPDATE cost_entries SET posted = posted + 1 WHERE step = 1"],
        5,
        "lines whose cost",
    ),
    ("a consumption", ["UPDATE consumption_links SET qty = qty + 1"], 5, "consumption does not add up"),
    ("an entry in another period", ["UPDATE journal_entries SET period_id = 202601"], 4, "outside their period"),
    ("a batch is gone", ["DELETE FROM batches WHERE batch_no = 1"], 3, "hash chains"),
    (
        "a link",
        ["UPDATE batches SET head = set_byte(head, 0, get_byte(head, 0) # 1) WHERE batch_no = 1"],
        3,
        "hash chains",
    ),
    (
        "a lane's head",
        ["UPDATE lane_heads SET head = set_byte(head, 31, get_byte(head, 31) # 1)"],
        3,
        "hash chains",
    ),
    (
        "a row behind the last batch",
        [
            "INSERT INTO cost_entries SELECT company_id, gen_random_uuid(), 0, pool_id, 0, 0, 0,"
            " NULL, posting_date, lane, 9999, 0, digest FROM cost_entries LIMIT 1"
        ],
        3,
        "hash chains",
    ),
    (
        "a digest and its content",
        ["UPDATE movements SET document = 'other', digest = sha256('x') WHERE kind = 3"],
        3,
        "hash chains",
    ),
]


@pytest.mark.parametrize(
    ("statements", "promise", "name"), [case[1:] for case in FOUND], ids=[c[0] for c in FOUND]
)
def test_what_was_changed_is_found_by_the_promise_it_breaks(
    books: Books, statements: list[str], promise: int, name: str
) -> None:
    with books.behind_the_back(*statements):
        found = books.failures()
        assert [check for check in found if check.promise == promise and name in check.name], found
        assert all(check.difference for check in found)
    assert books.failures() == []


def test_append_only_tables_without_their_trigger_are_found(books: Books) -> None:
    books.superuser.execute("ALTER TABLE quarantine DISABLE TRIGGER append_only")
    try:
        assert [check.name for check in books.failures()] == ["tables that refuse change"]
    finally:
        books.superuser.execute("ALTER TABLE quarantine ENABLE TRIGGER append_only")


def test_a_right_that_no_service_may_have_is_found(books: Books) -> None:
    books.superuser.execute("GRANT DELETE ON journal_lines TO tallygate_api")
    try:
        assert [check.name for check in books.failures()] == ["tables that refuse change"]
    finally:
        books.superuser.execute("REVOKE DELETE ON journal_lines FROM tallygate_api")


def test_an_exact_half_of_a_cent_is_no_difference(books: Books) -> None:
    """Half up, as it was booked: 1 × 0.125 is 0.13 owed, where rounding to the even cent would say 0.12."""
    warehouse = books.warehouse
    with books.behind_the_back():
        row = declared(warehouse, Kind.PURCHASE_RECEIPT, "SUPPLIER", "STORE", 1, 9000, price_micro=125_000)
        declare_movements(warehouse.owner, warehouse.company_id, [row], "half", b"3" * 32)
        assert books.failures() == []


def test_a_loss_that_a_person_named_is_shown(books: Books) -> None:
    with books.behind_the_back(
        "INSERT INTO log_losses (company_id, gateway_id, epoch, first_seq, last_seq, reason, recorded_by)"
        " SELECT company_id, gateway_id, epoch, 900, 901, 'flood', 'Li Wei' FROM gateway_logs LIMIT 1"
    ):
        [losses] = [check for check in verify(books.superuser) if check.name == "named losses"]
        assert "900 … 901 (flood, Li Wei)" in losses.detail
        assert losses.holds


# ── The program ──


@pytest.fixture
def dsn_of_books(books: Books, module_database: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.delenv("TALLYGATE_DSN_FILE", raising=False)
    monkeypatch.setenv("TALLYGATE_DSN", module_database.owner_dsn)
    return module_database.owner_dsn


def test_the_program_says_ok_of_every_promise_and_exits_0(
    dsn_of_books: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert program.main([]) == 0
    out = capsys.readouterr().out
    for number, title in PROMISES.items():
        assert f"{number} {title}\n" in out
    assert "ok   stock value = ledger: difference 0  (demo: " in out
    assert "not checked yet: replay of the recorded log" in out
    assert "FAIL" not in out
    asked = out.count("    ok   ")
    assert out.endswith(f"all {asked} checks hold\n")


def test_the_program_names_what_fails_and_exits_1(
    books: Books, dsn_of_books: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with books.behind_the_back(
        "UPDATE balances SET qty_micro = qty_micro + 7 WHERE qty_micro > 0 AND item_id = 1"
    ):
        assert program.main([]) == 1
        out = capsys.readouterr().out
        assert "    FAIL balances = sum of movements (10⁻⁶ units): difference " in out
        assert " checks fail\n" in out
        assert program.main(["--json"]) == 1
        failed = [check["name"] for check in json.loads(capsys.readouterr().out) if not check["holds"]]
        assert "balances = sum of movements (10⁻⁶ units)" in failed


def test_the_program_says_the_same_as_json(dsn_of_books: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["--json"]) == 0
    checks = json.loads(capsys.readouterr().out)
    assert all(set(check) == {"promise", "name", "difference", "detail", "holds"} for check in checks)
    assert {check["promise"] for check in checks} == set(PROMISES)
    assert all(check["holds"] for check in checks)
    assert [check["name"] for check in checks if check["difference"] is None]


@pytest.mark.parametrize(
    ("dsn", "said"),
    [
        (None, "TALLYGATE_DSN"),
        ("host=127.0.0.1 port=1 dbname=none", "tallygate verify: "),
        ("no dsn at all", "missing"),
    ],
    ids=["no setting", "nobody listens", "no connection string"],
)
def test_the_program_that_cannot_ask_exits_2(
    dsn: str | None, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("TALLYGATE_DSN_FILE", raising=False)
    monkeypatch.delenv("TALLYGATE_DSN", raising=False)
    if dsn is not None:
        monkeypatch.setenv("TALLYGATE_DSN", dsn)
    assert program.main([]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert said in captured.err
