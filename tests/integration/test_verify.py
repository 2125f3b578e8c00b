"""`tallygate verify` finds what was changed behind the database's back, and names the first of it."""

import json
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from cloud.checks import verify as program
from cloud.domain.movement import Kind
from cloud.flows.declare import declare_movements
from cloud.flows.verify import HASHED, PROMISES, Check, verify
from tests.makers import Warehouse, make_warehouse
from tests.written_books import declared, play, play_ledger


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
    "ledger_documents", "journal_entries", "journal_lines", "batches", "lane_heads", "balances", "cost_pools",
    "cost_layers", "turnovers", "gateway_logs", "gateway_status", "cloud_requests", "quarantine", "log_losses",
    "places", "open_observations", "journal_drafts", "periods", "period_events", "exchange_rates", "chain_heads",
    "item_costs", "voucher_numbers",
)  # fmt: skip


@pytest.fixture(scope="module")
def books(module_database: Any) -> Iterator[Books]:
    with ExitStack() as stack:

        def connect(dsn: str) -> psycopg.Connection:
            return stack.enter_context(psycopg.connect(dsn, autocommit=True))

        owner = connect(module_database.owner_dsn)
        warehouse = make_warehouse(owner, connect(module_database.dsn_of("tallygate_ingest")))
        warehouse.close(202608)
        play(warehouse)
        play_ledger(warehouse)
        superuser = connect(module_database.server.dsn(module_database.name))
        superuser.execute("SET session_replication_role = replica")
        yield Books(warehouse, superuser)


def test_untouched_books_hold_every_promise(books: Books) -> None:
    checks = verify(books.superuser)
    assert [check for check in checks if not check.holds] == []
    assert {check.promise for check in checks} == set(PROMISES)


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
    (
        "a turnover in another currency",
        ["UPDATE turnovers SET currency_debit = currency_debit + 1 WHERE currency <> 0"],
        2,
        "turnovers = lines",
    ),
    ("a turnover of another dimension set", ["UPDATE turnovers SET dimension_id = 1"], 2, "turnovers = lines"),
    ("a dimension set that is none", ["UPDATE turnovers SET dimension_id = 7"], 5, "dimension sets and"),
    ("what a pool last cost", ["UPDATE cost_pools SET last_value = last_value + 1"], 6, "costs of a run"),
    ("what an item last cost", ["UPDATE item_costs SET last_value = last_value + 1"], 6, "costs of a run"),
    ("whether a layer has a cost", ["UPDATE cost_layers SET uncosted = NOT uncosted"], 6, "costs of a run"),
    ("a pool of another owner", ["UPDATE cost_pools SET owner_id = 1"], 2, "whose key says otherwise"),
    ("a number that a layer has", ["UPDATE cost_pools SET next_layer = 1"], 2, "whose key says otherwise"),
    ("goods in a status", ["UPDATE balances SET status = 1"], 2, "whose key says otherwise"),
    ("a log is gone", ["DELETE FROM gateway_logs"], 1, "nobody keeps account"),
    ("a place", ["UPDATE places SET location_id = 99"], 2, "places of tags"),
    ("a place of another moment", ["UPDATE places SET occurred_us = occurred_us - 1"], 2, "places of tags"),
    ("a place is gone", ["DELETE FROM places"], 2, "places of tags"),
    ("a tag that waits no more", ["DELETE FROM open_observations"], 1, "tags that wait"),
    ("a tag that waits for nothing", ["UPDATE open_observations SET epc = epc || 'AAAA'"], 1, "tags that wait"),
    ("a draft", ["UPDATE journal_drafts SET net_amount = net_amount + 1"], 2, "drafts = priced"),
    ("a draft is gone", ["DELETE FROM journal_drafts"], 2, "drafts = priced"),
    (
        "a draft that an invoice is said to have taken",
        ["UPDATE journal_drafts SET state = 'posted', posted_as = gen_random_uuid()"],
        2,
        "drafts = priced",
    ),
    (
        "where a layer's difference goes",
        ["UPDATE cost_layers SET counter_account = counter_account + 1"],
        2,
        "layers whose source",
    ),
    ("when a layer came", ["UPDATE cost_layers SET occurred_us = occurred_us - 1"], 2, "layers whose source"),
    ("a document is gone", ["DELETE FROM ledger_documents WHERE row_no = 0"], 5, "documents and entries"),
    ("an entry's document", ["UPDATE ledger_documents SET kind = 52"], 5, "documents and entries"),
    (
        "an item that is none",
        ["UPDATE journal_lines SET open_item = gen_random_uuid()"],
        5,
        "documents and entries",
    ),
    (
        "an amount in another currency",
        ["UPDATE journal_lines SET currency_amount = currency_amount + 1 WHERE currency <> 0 AND line_no = 1"],
        2,
        "balance in a currency",
    ),
    (
        "amounts in another currency on both sides",
        ["UPDATE journal_lines SET currency_amount = currency_amount * 2 WHERE currency <> 0"],
        2,
        "amounts in other currencies",
    ),
    ("a currency that is none", ["UPDATE movements SET currency = 1"], 5, "dimension sets and currencies"),
    (
        "a manual line on a control account",
        [
            "UPDATE journal_lines SET account_id = (SELECT account_id FROM accounts WHERE role = 'grni')"
            " WHERE source_id IN (SELECT source_id FROM journal_entries WHERE origin = 2) AND amount > 0"
        ],
        5,
        "accounts that do not take them",
    ),
    (
        "a line on an account that sums others",
        ["UPDATE journal_lines SET account_id = (SELECT min(account_id) FROM accounts WHERE NOT is_postable)"],
        5,
        "accounts that do not take them",
    ),
    (
        "entries in a locked period",
        ["UPDATE journal_entries SET period_id = 202608, posting_date = '2026-08-15'"],
        4,
        "after their period was locked",
    ),
    (
        "costs in a locked period",
        ["UPDATE cost_entries SET posting_date = '2026-08-15'"],
        4,
        "after their period was locked",
    ),
    (
        "allowances in a locked period",
        ["UPDATE allowance_entries SET posting_date = '2026-08-15'"],
        4,
        "after their period was locked",
    ),
    (
        "a lock at an end that no lane has reached",
        ["""UPDATE period_events SET heads = '{"14": 999}' WHERE to_state = 'locked'"""],
        4,
        "after their period was locked",
    ),
    ("a period opened behind its lock", ["UPDATE periods SET state = 'open'"], 4, "where their changes led"),
    ("a period locked by nobody", ["UPDATE periods SET state = 'locked'"], 4, "where their changes led"),
    (
        "a period that was never soft-closed",
        ["DELETE FROM period_events WHERE to_state = 'soft_closed'"],
        4,
        "where their changes led",
    ),
    ("the end of a small table's chain", ["UPDATE chain_heads SET link_no = link_no + 1"], 3, "small tables"),
    ("the ends of all chains", ["DELETE FROM chain_heads"], 3, "small tables"),
    ("the transaction of an entry", ["UPDATE journal_entries SET xid = '1'"], 3, "another transaction"),
    (
        "a gateway was told what is not there",
        [
            "INSERT INTO gateway_status SELECT company_id, gateway_id, now(), true, 0,"
            " jsonb_build_object('incarnation', 2, 'epochs', jsonb_build_array(jsonb_build_object("
            "   'epoch', replace(epoch::text, '-', ''), 'head', repeat('ab', 32))))"
            " FROM gateway_logs WHERE applied_seq > 1 LIMIT 1"
        ],
        3,
        "heads that gateways were told",
    ),
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
        "INSERT INTO log_losses (company_id, gateway_id, epoch, first_seq, last_seq, reason, recorded_by, link_no,"
        " digest) SELECT company_id, gateway_id, epoch, 900, 901, 'flood', 'Li Wei', 99, '' FROM gateway_logs LIMIT 1"
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


@pytest.fixture
def told(books: Books) -> dict[str, Any]:
    """The newest `applied` of a gateway, as the broker has it."""
    rows = books.warehouse.fetch(
        "SELECT replace(l.epoch::text, '-', ''), l.applied_seq, encode(h.head, 'hex') FROM gateway_logs l"
        " JOIN gateways g USING (company_id, gateway_id) JOIN lane_heads h USING (company_id, lane)"
        " WHERE l.epoch = %s",
        uuid.UUID(books.warehouse.log.epoch),
    )
    epoch, applied, head = rows[0]
    epochs = [{"epoch": epoch, "applied": applied, "head": head}]
    return {"schema": 1, "incarnation": 2, "sent_at_us": 0, "epochs": epochs}


WITNESSED = "heads that gateways were told are in the chains"


def test_heads_that_gateways_were_told_must_be_in_the_chains(
    dsn_of_books: str, told: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "applied.jsonl"
    status = {**told, "online": True, "software": "x"}
    kept.write_text(f"{json.dumps(told)}\n\n{json.dumps(status)}\n", "utf-8")
    assert program.main(["--witness", str(kept)]) == 0
    assert f"ok   {WITNESSED}: difference 0  (2 heads, 0 of lives before a restore)" in capsys.readouterr().out


def test_books_that_were_made_anew_as_a_whole_do_not_convince_a_witness(
    books: Books, dsn_of_books: str, told: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """given a last batch that is gone with all that it wrote, and its lane's end put back: the chain is whole, but a
    gateway was told of more."""
    lane = books.warehouse.log.lane
    [(last, previous)] = books.warehouse.fetch(
        "SELECT batch_no, previous FROM batches WHERE lane = %s ORDER BY batch_no DESC LIMIT 1", lane
    )
    kept = tmp_path / "applied.jsonl"
    kept.write_text(json.dumps(told), "utf-8")
    with books.behind_the_back():
        books.superuser.execute(
            "DELETE FROM journal_lines l USING journal_entries e WHERE (e.lane, e.batch_no) = (%s, %s)"
            " AND (l.company_id, l.source_id, l.step) = (e.company_id, e.source_id, e.step)",
            [lane, last],
        )
        books.superuser.execute(
            "DELETE FROM consumption_links l USING cost_entries e WHERE (e.lane, e.batch_no) = (%s, %s)"
            " AND (l.company_id, l.movement_id, l.step) = (e.company_id, e.movement_id, e.step)",
            [lane, last],
        )
        for table in (*HASHED, "batches"):
            gone = sql.SQL("DELETE FROM {} WHERE (lane, batch_no) = (%s, %s)").format(sql.Identifier(table))
            books.superuser.execute(gone, [lane, last])
        books.superuser.execute(
            "UPDATE lane_heads SET batch_no = %s, head = %s WHERE lane = %s", [last - 1, previous, lane]
        )
        assert "hash chains" not in {check.name for check in books.failures()}
        assert program.main(["--witness", str(kept)]) == 1
        assert f"FAIL {WITNESSED}: difference 1  (first: MAIN/gw-1 (" in capsys.readouterr().out


def test_the_beginning_of_every_chain_may_have_been_told(
    dsn_of_books: str, told: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A gateway whose first message was a gap is told that nothing is applied, and the zeros before the first link."""
    told["epochs"][0].update(applied=0, head="00" * 32)
    kept = tmp_path / "applied.jsonl"
    kept.write_text(json.dumps(told), "utf-8")
    assert program.main(["--witness", str(kept)]) == 0
    assert f"ok   {WITNESSED}: difference 0  (1 heads" in capsys.readouterr().out


def test_what_was_told_before_a_restore_may_be_lost(
    dsn_of_books: str, told: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told["epochs"][0]["head"] = "ab" * 32
    told["incarnation"] = 1
    kept = tmp_path / "applied.jsonl"
    kept.write_text(json.dumps(told), "utf-8")
    assert program.main(["--witness", str(kept)]) == 0
    assert f"ok   {WITNESSED}: difference 0  (0 heads, 1 of lives before a restore)" in capsys.readouterr().out


@pytest.mark.parametrize("content", [None, '{"schema": 1}'], ids=["no file", "no message"])
def test_a_witness_that_cannot_be_read_is_no_witness(
    dsn_of_books: str, content: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "applied.jsonl"
    if content is not None:
        kept.write_text(content, "utf-8")
    assert program.main(["--witness", str(kept)]) == 2
    assert str(kept) in capsys.readouterr().err


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
