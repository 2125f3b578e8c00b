"""What the database itself refuses, asked with the services' own roles: each with its clear error."""

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from psycopg import errors, sql

from cloud.domain.movement import Kind
from cloud.flows.verify import APPEND_ONLY
from cloud.store.migrate import SERVICE_ROLES
from tests.makers import Warehouse, append_value_event, make_warehouse
from tests.written_books import play_ledger

pytestmark = pytest.mark.editions

WRITERS = ("tallygate_ingest", "tallygate_api")
DAY, PERIOD = "2026-09-21", 202609
LOCKED_DAY, LOCKED, SOFT_CLOSED_DAY, SOFT_CLOSED = "2026-07-31", 202607, "2026-08-31", 202608
KINDS = {1: Kind.SALES_SHIPMENT, 2: Kind.MANUAL, 3: Kind.PAYMENT}  # an entry's, by its origin


@dataclass(frozen=True, slots=True)
class Doors:
    """One company with some books, and a connection for each role that may come in."""

    warehouse: Warehouse
    owner: psycopg.Connection
    superuser: psycopg.Connection
    roles: dict[str, psycopg.Connection]


@pytest.fixture(scope="module")
def doors(module_database: Any) -> Iterator[Doors]:
    with ExitStack() as stack:

        def connect(dsn: str) -> psycopg.Connection:
            return stack.enter_context(psycopg.connect(dsn, autocommit=True))

        owner = connect(module_database.owner_dsn)
        roles = {role: connect(module_database.dsn_of(role)) for role in SERVICE_ROLES}
        warehouse = make_warehouse(owner, roles["tallygate_ingest"])
        warehouse.expect(Kind.PURCHASE_RECEIPT, "BOLT", 10, price="4.00")
        warehouse.log.passage(warehouse.tag(1), "in")
        warehouse.log.passage(warehouse.tag(1), "out", 60)
        warehouse.log.passage(warehouse.tag(2), "in", 90, gate="nowhere")  # goes to quarantine
        warehouse.record(warehouse.log.message())
        append_value_event(warehouse)
        warehouse.close(202607)
        warehouse.close(202608, "soft_closed")
        play_ledger(warehouse)
        superuser = connect(module_database.server.dsn(module_database.name))
        yield Doors(warehouse, owner, superuser, roles)
        warehouse.check()


def changes(connection: psycopg.Connection, table: str) -> dict[str, sql.Composed]:
    """Statements that change rows of the table without changing their sense."""
    name = sql.Identifier(table)
    row = connection.execute(
        "SELECT column_name FROM information_schema.columns WHERE table_name = %s AND ordinal_position = 1",
        [table],
    ).fetchone()
    assert row is not None
    column = sql.Identifier(row[0])
    return {
        "UPDATE": sql.SQL("UPDATE {} SET {} = {}").format(name, column, column),
        "DELETE": sql.SQL("DELETE FROM {}").format(name),
        "TRUNCATE": sql.SQL("TRUNCATE {}").format(name),
    }


@pytest.mark.parametrize("table", APPEND_ONLY)
def test_no_service_may_change_what_is_appended(doors: Doors, table: str) -> None:
    assert doors.owner.execute(
        sql.SQL("SELECT count(*) > 0 FROM {}").format(sql.Identifier(table))
    ).fetchone() == (True,)
    for connection in doors.roles.values():
        for statement in changes(doors.owner, table).values():
            with pytest.raises(errors.InsufficientPrivilege, match=f"permission denied for table {table}"):
                connection.execute(statement)


@pytest.mark.parametrize("table", APPEND_ONLY)
def test_the_owner_and_the_superuser_are_refused_as_well(doors: Doors, table: str) -> None:
    for connection in (doors.owner, doors.superuser):
        for verb, statement in changes(doors.owner, table).items():
            with pytest.raises(psycopg.DatabaseError, match=f"append only: {verb} on .* is refused") as refused:
                connection.execute(statement)
            assert refused.value.sqlstate == "TG001"


# ── Entries and their lines ──


def add_entry(
    connection: psycopg.Connection, company: int, source: uuid.UUID, *, origin: int = 1, day: str = DAY,
    period: int = PERIOD, kind: int | None = None,
) -> None:  # fmt: skip
    connection.execute(
        "INSERT INTO journal_entries (company_id, source_id, step, origin, kind, posting_date, period_id, tags,"
        " document, recorded_at, lane, batch_no, row_no, digest)"
        " VALUES (%s, %s, 0, %s, %s, %s, %s, 0, '', now(), 0, 1, 0, %s)",
        [company, source, origin, kind or KINDS[origin], day, period, bytes(32)],
    )


def add_lines(
    doors: Doors, connection: psycopg.Connection, source: uuid.UUID, lines: dict[str, int],
    currency: Sequence[int] | None = None, told: Sequence[int] | None = None,
) -> None:  # fmt: skip
    """Lines by the account's role, in one statement as a batch writes them."""
    connection.execute(
        "INSERT INTO journal_lines (company_id, source_id, step, line_no, account_id, dimension_id, amount, currency,"
        " currency_amount) SELECT %s, %s, 0, n, (SELECT account_id FROM accounts WHERE role = r), 0, a, c, t"
        "   FROM unnest(%s::text[], %s::bigint[], %s::smallint[], %s::bigint[]) WITH ORDINALITY l (r, a, c, t, n)",
        [doors.warehouse.company_id, source, list(lines), list(lines.values()),
         list(currency or [0] * len(lines)), list(told or [0] * len(lines))],
    )  # fmt: skip


def refused(connection: psycopg.Connection, state: str, match: str, *steps: Callable[[], None]) -> None:
    """All but the last step go well, the last is refused; nothing of it stays."""
    with connection.transaction(force_rollback=True):
        for step in steps[:-1]:
            step()
        with pytest.raises(psycopg.DatabaseError, match=match) as error:
            steps[-1]()
    assert error.value.sqlstate == state


@pytest.mark.parametrize("role", WRITERS)
def test_an_entry_that_does_not_balance_is_refused_with_its_difference(doors: Doors, role: str) -> None:
    connection, source = doors.roles[role], uuid.uuid4()
    refused(
        connection, "TG002", f"entry {source}.0 does not balance: its lines sum to 1, not 0",
        lambda: add_entry(connection, doors.warehouse.company_id, source),
        lambda: add_lines(doors, connection, source, {"cogs": 501, "loss": -500}),
    )  # fmt: skip


@pytest.mark.parametrize("role", WRITERS)
def test_lines_for_an_entry_of_another_transaction_are_refused(doors: Doors, role: str) -> None:
    connection = doors.roles[role]
    [(source,)] = doors.warehouse.fetch("SELECT source_id FROM journal_entries WHERE kind = 1")
    refused(
        connection, "TG003", f"entry {source}.0 is not of this transaction: lines arrive with their entry or never",
        lambda: connection.execute(
            "INSERT INTO journal_lines (company_id, source_id, step, line_no, account_id, dimension_id, amount)"
            " SELECT company_id, source_id, step, line_no + 10, account_id, 0, amount FROM journal_lines"
            "  WHERE source_id = %s",
            [source],
        ),
    )  # fmt: skip


@pytest.mark.parametrize("role", WRITERS)
def test_lines_without_any_entry_are_refused(doors: Doors, role: str) -> None:
    connection, source = doors.roles[role], uuid.uuid4()
    refused(connection, "TG003", "is not of this transaction",
            lambda: add_lines(doors, connection, source, {"cogs": 5, "loss": -5}))  # fmt: skip


@pytest.mark.parametrize("role", WRITERS)
@pytest.mark.parametrize("account", ["goods", "raw_material", "in_transit", "clarification_stock", "grni",
                                     "clarification", "rounding", "wip", "allowance"])  # fmt: skip
def test_a_manual_line_on_a_control_account_is_refused(doors: Doors, role: str, account: str) -> None:
    connection, source = doors.roles[role], uuid.uuid4()
    [(number,)] = doors.warehouse.fetch("SELECT number FROM accounts WHERE role = %s", account)
    refused(
        connection, "TG004", f"account {number} is a control account, written by its movements and documents only",
        lambda: add_entry(connection, doors.warehouse.company_id, source, origin=2),
        lambda: add_lines(doors, connection, source, {"loss": 5, account: -5}),
    )  # fmt: skip


@pytest.mark.parametrize("role", WRITERS)
@pytest.mark.parametrize(
    ("origin", "kind", "account"),
    [(3, Kind.PAYMENT, "grni"), (3, Kind.CUSTOMER_INVOICE, "payables"), (3, Kind.CLEARING, "goods")],
)
def test_a_document_writes_the_control_accounts_of_its_sub_ledger_only(
    doors: Doors, role: str, origin: int, kind: Kind, account: str
) -> None:
    connection, source = doors.roles[role], uuid.uuid4()
    refused(
        connection, "TG004", "is a control account, written by its movements and documents only",
        lambda: add_entry(connection, doors.warehouse.company_id, source, origin=origin, kind=kind),
        lambda: add_lines(doors, connection, source, {"loss": 5, account: -5}),
    )  # fmt: skip


@pytest.mark.parametrize("role", WRITERS)
def test_an_entry_that_does_not_balance_in_its_currency_is_refused(doors: Doors, role: str) -> None:
    connection, source = doors.roles[role], uuid.uuid4()
    refused(
        connection, "TG002", f"entry {source}.0 does not balance in USD: its lines sum to 1, not 0",
        lambda: add_entry(connection, doors.warehouse.company_id, source, origin=2),
        lambda: add_lines(doors, connection, source, {"cogs": 700, "loss": -700},
                          currency=[840, 840], told=[100, -99]),
    )  # fmt: skip


@pytest.mark.parametrize("role", WRITERS)
def test_a_line_on_an_account_that_sums_others_is_refused(doors: Doors, role: str) -> None:
    connection, source = doors.roles[role], uuid.uuid4()
    [(header, number)] = doors.warehouse.fetch(
        "SELECT account_id, number FROM accounts WHERE NOT is_postable ORDER BY number LIMIT 1"
    )
    refused(
        connection, "TG004", f"account {number} sums its sub-accounts and takes no lines",
        lambda: add_entry(connection, doors.warehouse.company_id, source, origin=2),
        lambda: connection.execute(
            "INSERT INTO journal_lines (company_id, source_id, step, line_no, account_id, dimension_id, amount)"
            " VALUES (%(c)s, %(s)s, 0, 1, %(a)s, 0, 5), (%(c)s, %(s)s, 0, 2, %(a)s, 0, -5)",
            {"c": doors.warehouse.company_id, "s": source, "a": header},
        ),
    )  # fmt: skip


@pytest.mark.parametrize("role", WRITERS)
@pytest.mark.parametrize("origin", [1, 2, 3])
@pytest.mark.parametrize(
    ("day", "period", "why"),
    [
        (LOCKED_DAY, LOCKED, f"posting date {LOCKED_DAY} lies in a period that is locked"),
        (LOCKED_DAY, PERIOD, f"posting date {LOCKED_DAY} lies in a period that is locked"),
        ("2199-01-01", 219901, "posting date 2199-01-01 lies in a period that is missing"),
        (DAY, 209901, f"posting date {DAY} does not lie in period 209901"),
        (DAY, LOCKED, f"posting date {DAY} does not lie in period {LOCKED}"),
    ],
    ids=["locked", "locked, said to be of another", "no such day", "no such period", "a day outside its period"],
)
def test_an_entry_where_no_period_takes_it_is_refused(
    doors: Doors, role: str, origin: int, day: str, period: int, why: str
) -> None:
    connection = doors.roles[role]
    refused(
        connection, "TG005", why,
        lambda: add_entry(
            connection, doors.warehouse.company_id, uuid.uuid4(), origin=origin, day=day, period=period
        ),
    )  # fmt: skip


@pytest.mark.parametrize("role", WRITERS)
def test_a_document_in_a_soft_closed_period_asks_for_the_right(doors: Doors, role: str) -> None:
    connection, company = doors.roles[role], doors.warehouse.company_id

    def add() -> None:
        add_entry(connection, company, uuid.uuid4(), origin=2, day=SOFT_CLOSED_DAY, period=SOFT_CLOSED)

    refused(connection, "TG007", f"posting date {SOFT_CLOSED_DAY} lies in a period that is soft_closed", add)
    with connection.transaction(force_rollback=True):
        connection.execute("SET LOCAL tallygate.posts_soft_closed = on")
        add()


@pytest.mark.parametrize("role", WRITERS)
@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO cost_entries (company_id, movement_id, step, pool_id, qty, value, posted, posting_date, lane,"
        " batch_no, row_no, digest) VALUES (%(c)s, gen_random_uuid(), 0, 1, 0, 0, 0, %(d)s, 0, 1, 0, '')",
        "INSERT INTO allowance_entries (company_id, movement_id, step, pool_id, value, posted, posting_date, lane,"
        " batch_no, row_no, digest) VALUES (%(c)s, gen_random_uuid(), 0, 1, 0, 0, %(d)s, 0, 1, 0, '')",
        "INSERT INTO turnovers (company_id, account_id, dimension_id, period_id, lane, debit, credit)"
        " VALUES (%(c)s, 1, 0, %(p)s, 0, 1, 1)",
    ],
    ids=["cost", "allowance", "turnover"],
)
def test_nothing_that_an_entry_stands_on_goes_into_a_locked_period(
    doors: Doors, role: str, statement: str
) -> None:
    values = {"c": doors.warehouse.company_id, "d": LOCKED_DAY, "p": LOCKED}
    refused(doors.roles[role], "TG005", "locked", lambda: doors.roles[role].execute(statement, values))


@pytest.mark.parametrize("role", WRITERS)
@pytest.mark.parametrize("table", ["journal_entries", "batches"])
def test_the_number_of_the_transaction_cannot_be_forged(doors: Doors, role: str, table: str) -> None:
    """Else lines could be added to an entry of long ago, or a feed be made to skip a batch."""
    columns = [row[0] for row in doors.warehouse.fetch(
        "SELECT column_name FROM information_schema.columns WHERE table_name = %s", table)]  # fmt: skip
    assert "xid" in columns
    listed = sql.SQL(", ").join(map(sql.Identifier, columns))
    forged = sql.SQL("INSERT INTO {0} ({1}) SELECT {1} FROM {0}").format(sql.Identifier(table), listed)
    with pytest.raises(errors.InsufficientPrivilege, match=f"permission denied for table {table}"):
        doors.roles[role].execute(forged)


@pytest.mark.parametrize("role", WRITERS)
def test_no_service_says_what_a_batchs_digests_cover(doors: Doors, role: str) -> None:
    with pytest.raises(errors.InsufficientPrivilege, match="permission denied for table batches"):
        doors.roles[role].execute("INSERT INTO batches (company_id, lane, batch_no, layout) VALUES (1, 15, 1, 1)")


# ── Chains of the small tables ──


@pytest.mark.parametrize("role", SERVICE_ROLES)
def test_no_service_writes_the_ends_of_the_chains(doors: Doors, role: str) -> None:
    for statement in (
        "INSERT INTO chain_heads VALUES ('x', 0, '')", "UPDATE chain_heads SET link_no = link_no",
        "DELETE FROM chain_heads", "TRUNCATE chain_heads",
    ):  # fmt: skip
        with pytest.raises(errors.InsufficientPrivilege, match="permission denied for table chain_heads"):
            doors.roles[role].execute(statement)


FORGED = {
    "log_losses": "INSERT INTO log_losses (company_id, gateway_id, epoch, first_seq, last_seq, reason, recorded_by,"
    " link_no, digest) VALUES (%s, 1, gen_random_uuid(), 1, 2, 'x', 'x', 999, 'forged') RETURNING link_no, digest",
    "quarantine": "INSERT INTO quarantine (company_id, gateway_id, epoch, first_seq, last_seq, recorded_at, reason,"
    " payload, link_no, digest) VALUES (%s, 1, gen_random_uuid(), 0, 0, now(), 'x', '', 999, 'forged')"
    " RETURNING link_no, digest",
}


@pytest.mark.parametrize("role", WRITERS)
@pytest.mark.parametrize("table", list(FORGED))
def test_no_service_chooses_a_rows_place_in_its_chain(doors: Doors, role: str, table: str) -> None:
    connection = doors.roles[role]
    [(last,)] = doors.warehouse.fetch("SELECT link_no FROM chain_heads WHERE name = %s", table)
    with connection.transaction(force_rollback=True):
        [(number, digest)] = connection.execute(FORGED[table], [doors.warehouse.company_id]).fetchall()  # type: ignore[call-overload]
    assert number == last + 1
    assert len(digest) == 32


@pytest.mark.parametrize("role", WRITERS)
@pytest.mark.parametrize(
    ("table", "columns"),
    [("exchange_rates", "link_no"), ("close_reports", "digest"), ("period_events", "link_no, digest")],
)
def test_columns_of_a_chain_are_no_services_to_write(doors: Doors, role: str, table: str, columns: str) -> None:
    nothing = ", ".join(["NULL"] * len(columns.split(",")))
    with pytest.raises(errors.InsufficientPrivilege, match=f"permission denied for table {table}"):
        doors.roles[role].execute(f"INSERT INTO {table} ({columns}) VALUES ({nothing})")  # type: ignore[arg-type]  # noqa: S608


@pytest.mark.parametrize("role", SERVICE_ROLES)
def test_no_service_moves_a_chain_by_a_trigger_of_its_own(doors: Doors, role: str) -> None:
    """A table of the same name in the session's own schema would else do."""
    connection = doors.roles[role]
    with connection.transaction(force_rollback=True):
        try:
            connection.execute("CREATE TEMP TABLE exchange_rates (link_no bigint, digest bytea)")
        except errors.InsufficientPrivilege:
            return  # no tables of its own at all
        with pytest.raises(errors.InsufficientPrivilege, match="permission denied for function chain_row"):
            connection.execute(
                "CREATE TRIGGER mine BEFORE INSERT ON pg_temp.exchange_rates FOR EACH ROW EXECUTE FUNCTION chain_row()"
            )


def test_an_insert_that_is_skipped_would_leave_a_gap_and_is_refused(doors: Doors) -> None:
    refused(
        doors.owner, "TG001", "the chain of incarnations would end without its row",
        lambda: doors.owner.execute(
            "INSERT INTO incarnations (incarnation, cluster, reason) VALUES (1, 'x', 'again') ON CONFLICT DO NOTHING"
        ),
    )  # fmt: skip


@pytest.mark.parametrize("role", WRITERS)
@pytest.mark.parametrize("table", ["voucher_numbers", "period_events"])
def test_what_functions_of_the_database_write_no_service_writes(doors: Doors, role: str, table: str) -> None:
    with pytest.raises(errors.InsufficientPrivilege, match=f"permission denied for table {table}"):
        doors.roles[role].execute(sql.SQL("INSERT INTO {} DEFAULT VALUES").format(sql.Identifier(table)))


@pytest.mark.parametrize(
    "call", ["change_period(1, 202609, 'soft_closed', 'x', '')", "number_vouchers(1, NULL)", "hold_periods(1)"]
)
def test_the_readers_role_calls_no_function_that_changes_or_holds_books(doors: Doors, call: str) -> None:
    with pytest.raises(errors.InsufficientPrivilege, match="permission denied for function"):
        doors.roles["tallygate_read"].execute(f"SELECT {call}")  # type: ignore[arg-type]


# ── Roles ──


@pytest.mark.parametrize("role", SERVICE_ROLES)
def test_a_service_owns_nothing_and_can_make_nothing(doors: Doors, role: str) -> None:
    owned = doors.warehouse.fetch(
        "SELECT (SELECT count(*) FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner WHERE r.rolname = %s),"
        " (SELECT count(*) FROM pg_proc p JOIN pg_roles r ON r.oid = p.proowner WHERE r.rolname = %s)",
        role, role,
    )  # fmt: skip
    assert owned == [(0, 0)]
    connection = doors.roles[role]
    with pytest.raises(errors.InsufficientPrivilege, match="permission denied for schema public"):
        connection.execute("CREATE TABLE mine (number integer)")
    with pytest.raises(errors.InsufficientPrivilege, match="must be owner of"):
        connection.execute("ALTER TABLE movements DISABLE TRIGGER append_only")
    with pytest.raises(
        errors.InsufficientPrivilege, match='permission denied to set parameter "session_replication'
    ):
        connection.execute("SET session_replication_role = replica")


@pytest.mark.parametrize("role", ["tallygate_ingest", "tallygate_read"])
@pytest.mark.parametrize("table", ["people", "api_keys", "sessions"])
def test_secrets_are_the_apis_alone(doors: Doors, role: str, table: str) -> None:
    with pytest.raises(errors.InsufficientPrivilege, match=f"permission denied for table {table}"):
        doors.roles[role].execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(table)))
    doors.roles["tallygate_api"].execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(table)))


@pytest.mark.parametrize("table", ["movements", "balances", "cost_pools", "tags", "cloud_requests", "periods"])
def test_the_readers_role_writes_nothing(doors: Doors, table: str) -> None:
    connection = doors.roles["tallygate_read"]
    connection.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(table)))
    with pytest.raises(errors.InsufficientPrivilege, match=f"permission denied for table {table}"):
        connection.execute(sql.SQL("INSERT INTO {} DEFAULT VALUES").format(sql.Identifier(table)))


@pytest.mark.parametrize("role", WRITERS)
def test_no_service_moves_a_period(doors: Doors, role: str) -> None:
    for statement in ("UPDATE periods SET state = 'open'", "DELETE FROM periods"):
        with pytest.raises(errors.InsufficientPrivilege, match="permission denied for table periods"):
            doors.roles[role].execute(statement)
    held = (
        doors.roles[role].execute("SELECT count(*) FROM hold_periods(%s)", [doors.warehouse.company_id]).fetchone()
    )
    assert held is not None
    assert held[0] > 0


@pytest.mark.parametrize("role", WRITERS)
def test_a_pool_whose_posted_amount_is_not_its_rounded_value_is_refused(doors: Doors, role: str) -> None:
    for statement in (
        "UPDATE cost_pools SET posted = posted + 1",
        "UPDATE cost_pools SET value = value + 5000",
        "UPDATE cost_pools SET qty = 0, value = 1",
    ):
        with pytest.raises(errors.CheckViolation, match="cost_pools"):
            doors.roles[role].execute(statement)
