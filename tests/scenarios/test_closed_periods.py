"""Who may post where: every way into the books, into open, soft-closed and locked periods; and whose midnight counts.

Locked: nobody, and the database says so itself to the services' own roles. What comes late goes on to the first day
that is open to it, tagged late.
"""

import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from typing import Any

import psycopg
import pytest
from psycopg import errors

from cloud.domain.movement import MICRO, Kind, derived_id
from cloud.flows.answer_once import Request, answer_once
from cloud.flows.declare import Declared, declare_movements
from cloud.flows.ledger.close_period import lock, soft_close
from cloud.flows.ledger.post_document import CannotPost, Document, DocumentLine, post_documents
from cloud.flows.record_value_events import Paper, PriceCorrection, correct_prices
from cloud.flows.recost import recost_company
from cloud.flows.settle_period import settle_period
from cloud.store.migrate import SERVICE_ROLES
from tests.late_goods import arrive, buy, identity
from tests.late_goods import sell as sold
from tests.makers import NOON_US, Warehouse
from tests.valuing import at, receive

DAY_S = 86_400
AUGUST_S = -30 * DAY_S  # 22 August; noon of the tests is on 21 September
WRITERS = ("tallygate_ingest", "tallygate_api")
AUGUST, SEPTEMBER = 202608, 202609
FIRST_OF_SEPTEMBER = date(2026, 9, 1)
BY = "Wang Fang"


def dated(warehouse: Warehouse, kind: Kind) -> list[tuple[date, bool]]:
    """Posting date and whether tagged late, of the entries of a kind in recorded order."""
    return warehouse.fetch(
        "SELECT posting_date, tags & 1 = 1 FROM journal_entries WHERE kind = %s ORDER BY recorded_at, lane, row_no",
        int(kind),
    )


def seen(warehouse: Warehouse, number: int, at_s: float) -> None:
    """A gate sees 10 bolts come in that were expected at 4.00."""
    tag = warehouse.tag(number)
    warehouse.expect(Kind.PURCHASE_RECEIPT, "BOLT", 10, price="4.00", epc=tag)
    warehouse.log.passage(tag, "in", at_s)
    # Received a minute later: what is a week old when it comes is not matched with what a gate may expect.
    warehouse.record(warehouse.log.message(len(warehouse.log.written), received_us=at(at_s + 60)))


def declared(warehouse: Warehouse, at_s: float, *, may: bool) -> None:
    row = Declared(
        Kind.PURCHASE_RECEIPT, warehouse.items["LAMP"], MICRO, warehouse.places["SUPPLIER"], warehouse.places["STORE"],
        at(at_s), price_micro=MICRO,
    )  # fmt: skip
    key = uuid.uuid4().hex
    declare_movements(warehouse.owner, warehouse.company_id, [row], key, bytes(32), posts_soft_closed=may)


def by_hand(warehouse: Warehouse, day: date, *, may: bool) -> None:
    """A manual entry of 1.00 between two accounts of the company's own."""
    accounts = [
        warehouse.fetch(
            "INSERT INTO accounts (company_id, number, name_zh, name_en, is_control) VALUES (%s, %s, 'x', 'x', false)"
            " ON CONFLICT (company_id, number) DO UPDATE SET name_zh = 'x' RETURNING account_id",
            warehouse.company_id, number,
        )[0][0]
        for number in ("9901", "9902")
    ]  # fmt: skip
    key = uuid.uuid4().hex
    one = derived_id(key.encode())
    lines = (DocumentLine(accounts[0], 100), DocumentLine(accounts[1], -100))

    def work(cursor: psycopg.Cursor, batch: Any) -> list[str]:
        post_documents(cursor, batch, [Document(one, Kind.MANUAL, "M-1", day, lines, "by hand")])
        return [str(one)]

    answer_once(warehouse.owner, warehouse.company_id, Request(key, bytes(32), "Mei", may), work)


# ── Soft-closed ─────────────────────────────────────────────────────────────────────────────────────


def test_late_events_of_gateways_go_back_into_a_soft_closed_period_or_on_as_the_company_says(
    warehouse: Warehouse,
) -> None:
    warehouse.close(AUGUST, "soft_closed")
    seen(warehouse, 1, AUGUST_S)
    warehouse.owner.execute("UPDATE companies SET late_policy = 'send_on'")
    seen(warehouse, 2, AUGUST_S + 60)
    assert dated(warehouse, Kind.PURCHASE_RECEIPT) == [(date(2026, 8, 22), False), (FIRST_OF_SEPTEMBER, True)]


def test_people_post_into_a_soft_closed_period_only_with_a_role_of_those_who_close(warehouse: Warehouse) -> None:
    warehouse.close(AUGUST, "soft_closed")
    declared(warehouse, AUGUST_S, may=False)
    declared(warehouse, AUGUST_S, may=True)
    assert dated(warehouse, Kind.PURCHASE_RECEIPT) == [(FIRST_OF_SEPTEMBER, True), (date(2026, 8, 22), False)]
    with pytest.raises(CannotPost, match="2026-08-22: its period is soft_closed"):
        by_hand(warehouse, date(2026, 8, 22), may=False)
    assert dated(warehouse, Kind.MANUAL) == []
    by_hand(warehouse, date(2026, 8, 22), may=True)
    assert dated(warehouse, Kind.MANUAL) == [(date(2026, 8, 22), False)]


def test_the_database_asks_for_the_right_itself(warehouse: Warehouse, connect: Callable[[str], Any]) -> None:
    warehouse.close(AUGUST, "soft_closed")
    for role in WRITERS:
        with pytest.raises(
            psycopg.DatabaseError, match="2026-08-22 lies in a period that is soft_closed"
        ) as refused:
            insert_entry(
                connect(role), warehouse.company_id, date(2026, 8, 22), AUGUST, origin=3, kind=Kind.PAYMENT
            )
        assert refused.value.sqlstate == "TG007"


# ── Locked: every way in ────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def locked(warehouse: Warehouse) -> Warehouse:
    """August has a receipt and a sale, and is locked; its turnovers must never change again."""
    arrive(warehouse, [buy(1, 10, 4, AUGUST_S), sold(2, 4, AUGUST_S + 600)])
    soft_close(warehouse.ingest, warehouse.company_id, AUGUST, by=BY)
    lock(warehouse.ingest, warehouse.company_id, AUGUST, by=BY)
    return warehouse


@pytest.fixture(autouse=True)
def nothing_enters_a_locked_period(warehouse: Warehouse) -> Iterator[None]:
    """Behind every story: what is dated into locked periods is below the heads that stood when they were locked."""
    yield
    assert warehouse.fetch(
        "SELECT count(*) FROM journal_entries e"
        "  JOIN period_events p ON p.company_id = e.company_id AND p.period_id = e.period_id AND p.to_state = 'locked'"
        " WHERE e.batch_no > coalesce((p.heads ->> e.lane::text)::bigint, 0)"
    ) == [(0,)]


def test_a_late_event_of_a_gateway_goes_on_to_the_first_open_day_tagged_late(locked: Warehouse) -> None:
    seen(locked, 1, AUGUST_S)
    assert dated(locked, Kind.PURCHASE_RECEIPT)[-1] == (FIRST_OF_SEPTEMBER, True)


def test_a_late_declared_movement_goes_on_whoever_declares_it(locked: Warehouse) -> None:
    for may in (False, True):
        declared(locked, AUGUST_S, may=may)
    assert dated(locked, Kind.PURCHASE_RECEIPT)[1:] == [(FIRST_OF_SEPTEMBER, True)] * 2


def test_a_late_value_event_goes_on(locked: Warehouse) -> None:
    price = PriceCorrection(identity(1), price_micro=5 * MICRO)
    who = Request("k", bytes(32), "Mei", posts_soft_closed=True)
    correct_prices(locked.owner, locked.company_id, [price], Paper(at(AUGUST_S + 60), "INV-1"), who)
    assert dated(locked, Kind.PRICE_CORRECTION) == [(FIRST_OF_SEPTEMBER, True)]


def test_an_entry_by_hand_is_refused_whoever_writes_it(locked: Warehouse) -> None:
    for may in (False, True):
        with pytest.raises(CannotPost, match="2026-08-31: its period is locked"):
            by_hand(locked, date(2026, 8, 31), may=may)
    assert dated(locked, Kind.MANUAL) == []


def test_what_late_goods_change_of_a_locked_periods_costs_is_adjusted_on_the_first_open_day(
    locked: Warehouse,
) -> None:
    arrive(locked, [buy(3, 10, 6, AUGUST_S - 600)])  # first in, so the sale should have cost 6.00 a piece
    recost_company(locked.ingest, locked.company_id, "test")
    days = locked.fetch("SELECT DISTINCT posting_date, period_id FROM journal_entries WHERE kind = 38")
    assert days == [(FIRST_OF_SEPTEMBER, SEPTEMBER)]
    assert locked.accounts()["cogs"] == 24.0


def insert_entry(
    connection: psycopg.Connection, company: int, day: date, period: int, *, origin: int = 1, kind: int = 3
) -> None:
    connection.execute(
        "INSERT INTO journal_entries (company_id, source_id, step, origin, kind, posting_date, period_id, tags,"
        " document, recorded_at, lane, batch_no, row_no, digest)"
        " VALUES (%s, %s, 0, %s, %s, %s, %s, 0, '', now(), 0, 1, 0, %s)",
        [company, uuid.uuid4(), origin, kind, day, period, bytes(32)],
    )


def insert_cost(connection: psycopg.Connection, company: int, day: date) -> None:
    connection.execute(
        "INSERT INTO cost_entries (company_id, movement_id, step, pool_id, qty, value, posted, posting_date, lane,"
        " batch_no, row_no, digest) VALUES (%s, %s, 0, 1, 0, 0, 0, %s, 0, 1, 0, %s)",
        [company, uuid.uuid4(), day, bytes(32)],
    )


def insert_allowance(connection: psycopg.Connection, company: int, day: date) -> None:
    connection.execute(
        "INSERT INTO allowance_entries (company_id, movement_id, step, pool_id, value, posted, posting_date, lane,"
        " batch_no, row_no, digest) VALUES (%s, %s, 0, 1, 0, 0, %s, 0, 1, 0, %s)",
        [company, uuid.uuid4(), day, bytes(32)],
    )


@pytest.fixture
def connect(warehouse: Warehouse, postgres_server: Any) -> Iterator[Callable[[str], psycopg.Connection]]:
    """A connection of a service's own role."""
    opened: list[psycopg.Connection] = []

    def open_as(role: str) -> psycopg.Connection:
        opened.append(psycopg.connect(postgres_server.dsn(warehouse.owner.info.dbname, role), autocommit=True))
        return opened[-1]

    yield open_as
    for connection in opened:
        connection.close()


@pytest.mark.parametrize("role", WRITERS)
def test_no_row_that_is_dated_into_a_locked_period_is_taken(
    locked: Warehouse, connect: Callable[[str], Any], role: str
) -> None:
    service, company, day = connect(role), locked.company_id, date(2026, 8, 31)
    for write in (
        lambda: insert_entry(service, company, day, AUGUST),
        lambda: insert_entry(service, company, day, AUGUST, origin=2, kind=Kind.MANUAL),
        lambda: insert_entry(service, company, day, SEPTEMBER),
        lambda: insert_cost(service, company, day),
        lambda: insert_allowance(service, company, day),
    ):
        with pytest.raises(psycopg.DatabaseError, match="2026-08-31 lies in a period that is locked") as refused:
            write()
        assert refused.value.sqlstate == "TG005"
    with pytest.raises(psycopg.DatabaseError, match="2026-09-21 does not lie in period 202608") as refused:
        insert_entry(service, company, date(2026, 9, 21), AUGUST)
    assert refused.value.sqlstate == "TG005"


@pytest.mark.parametrize("role", [*WRITERS, "owner"])
def test_the_turnovers_of_a_locked_period_are_final(
    locked: Warehouse, connect: Callable[[str], Any], role: str
) -> None:
    service = locked.owner if role == "owner" else connect(role)
    statements = [
        "INSERT INTO turnovers (company_id, account_id, dimension_id, period_id, lane, debit, credit)"
        " SELECT company_id, account_id, 7, period_id, lane, 1, 0 FROM turnovers WHERE period_id = 202608",
        "UPDATE turnovers SET debit = debit + 1 WHERE period_id = 202608",
    ]
    for statement in statements:
        with pytest.raises(psycopg.DatabaseError, match="turnovers of period 202608 are final") as refused:
            service.execute(statement)
        assert refused.value.sqlstate == "TG005"
    with pytest.raises(psycopg.DatabaseError) as refused:
        service.execute("UPDATE turnovers SET period_id = 202609 WHERE period_id = 202608")
    assert refused.value.sqlstate == ("TG001" if role == "owner" else errors.InsufficientPrivilege.sqlstate)
    with pytest.raises(psycopg.DatabaseError) as refused:
        service.execute("DELETE FROM turnovers WHERE period_id = 202608")
    assert refused.value.sqlstate == ("TG005" if role == "owner" else errors.InsufficientPrivilege.sqlstate)
    with pytest.raises(psycopg.DatabaseError) as refused:
        service.execute("TRUNCATE turnovers")
    assert refused.value.sqlstate == ("TG001" if role == "owner" else errors.InsufficientPrivilege.sqlstate)


# ── The calendar itself ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("role", SERVICE_ROLES)
def test_no_service_changes_a_period_but_by_the_function(
    locked: Warehouse, connect: Callable[[str], Any], role: str
) -> None:
    service = connect(role)
    for statement in (
        "UPDATE periods SET state = 'open'",
        "UPDATE periods SET first_day = first_day - 1",
        "DELETE FROM periods",
        "TRUNCATE periods",
        "INSERT INTO periods (company_id, period_id, first_day, last_day, state)"
        " VALUES (1, 203501, '2035-01-01', '2035-01-31', 'locked')",
        "INSERT INTO period_events (company_id, period_id, from_state, to_state, heads, recorded_by)"
        " VALUES (1, 202608, 'locked', 'open', '{}', 'nobody')",
        "DELETE FROM close_reports",
    ):
        with pytest.raises(errors.InsufficientPrivilege):
            service.execute(statement)
    if role == "tallygate_read":
        with pytest.raises(errors.InsufficientPrivilege):
            service.execute("SELECT change_period(1, 202609, 'soft_closed', 'x', '')")


@pytest.mark.parametrize("role", [*WRITERS, "owner"])
def test_a_period_goes_one_way_whoever_asks_the_function(
    locked: Warehouse, connect: Callable[[str], Any], role: str
) -> None:
    service, company = locked.owner if role == "owner" else connect(role), locked.company_id
    for period, state, why in (
        (AUGUST, "open", "period 202608 is locked"),
        (AUGUST, "soft_closed", "period 202608 is locked"),
        (SEPTEMBER, "locked", "period 202609 is open: it is soft-closed first"),
        (202611, "soft_closed", "period 202611 cannot be soft_closed: one before it is not"),
        (190001, "locked", "there is no period 190001"),
    ):
        with pytest.raises(psycopg.DatabaseError, match=why) as refused:
            service.execute("SELECT change_period(%s, %s, %s, 'Mei', 'why')", [company, period, state])
        assert refused.value.sqlstate == "TG005"
    with pytest.raises(errors.CheckViolation):  # by somebody, always
        service.execute("SELECT change_period(%s, %s, 'soft_closed', '', '')", [company, SEPTEMBER])
    service.execute("SELECT change_period(%s, %s, 'soft_closed', 'Mei', '')", [company, SEPTEMBER])
    service.execute("SELECT change_period(%s, 202610, 'soft_closed', 'Mei', '')", [company])
    with pytest.raises(psycopg.DatabaseError, match="202609 cannot be opened again: one behind it is closed"):
        service.execute("SELECT change_period(%s, %s, 'open', 'Mei', '')", [company, SEPTEMBER])


def test_the_owner_cannot_move_days_or_states_either(locked: Warehouse) -> None:
    for statement, state in (
        ("UPDATE periods SET state = 'open' WHERE period_id = 202608", "TG005"),
        ("UPDATE periods SET settled_at = now() WHERE period_id = 202608", "TG005"),
        ("UPDATE periods SET state = 'locked' WHERE period_id = 202609", "TG005"),
        ("UPDATE periods SET last_day = last_day - 1 WHERE period_id = 202609", "TG001"),
        ("UPDATE periods SET period_id = 202699 WHERE period_id = 202609", "TG001"),
        ("DELETE FROM periods WHERE period_id = 202609", "TG001"),
        ("TRUNCATE periods", "TG001"),
    ):
        with pytest.raises(psycopg.DatabaseError) as refused:
            locked.owner.execute(statement)
        assert refused.value.sqlstate == state, statement


@pytest.mark.parametrize("role", [*WRITERS, "owner"])
def test_no_period_is_laid_over_another_or_before_a_closed_one(
    locked: Warehouse, connect: Callable[[str], Any], role: str
) -> None:
    service = locked.owner if role == "owner" else connect(role)
    add = "INSERT INTO periods (company_id, period_id, first_day, last_day) VALUES (%s, %s, %s, %s)"
    company = locked.company_id
    with pytest.raises(errors.ExclusionViolation):
        service.execute(add, [company, 202613, "2026-08-31", "2026-09-01"])
    with pytest.raises(
        psycopg.DatabaseError, match=r"period 202301 would come before \d+, which is closed"
    ) as refused:
        service.execute(add, [company, 202301, "2023-01-01", "2023-01-31"])
    assert refused.value.sqlstate == "TG005"
    service.execute(add, [company, 203501, "2035-01-01", "2035-01-31"])


# ── One calendar, in the company's own time zone ────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("zone", "day", "period", "is_late"),
    [
        ("Asia/Shanghai", date(2026, 9, 1), SEPTEMBER, False),  # 07:30 there
        ("America/Chicago", date(2026, 9, 1), SEPTEMBER, True),  # 18:30 of 31 August there, and August is locked
        ("Pacific/Kiritimati", date(2026, 9, 1), SEPTEMBER, False),
    ],
)
def test_every_module_dates_half_past_eleven_by_the_companys_own_clock(
    warehouse: Warehouse, zone: str, day: date, period: int, is_late: bool
) -> None:
    """23:30 UTC on 31 August, when August is locked: by gates, people, value events."""
    warehouse.owner.execute("UPDATE companies SET time_zone = %s", [zone])
    warehouse.close(AUGUST)
    moment_s = datetime(2026, 8, 31, 23, 30, tzinfo=UTC).timestamp() - NOON_US / 1e6
    seen(warehouse, 1, moment_s)
    declared(warehouse, moment_s, may=True)
    receipt = receive(warehouse, "LAMP", 10, "4.00", moment_s)
    correct_prices(warehouse.owner, warehouse.company_id, [PriceCorrection(receipt, price_micro=5 * MICRO)],
                   Paper(at(moment_s), "INV-1"), Request("k", bytes(32), "Mei"))  # fmt: skip
    found = warehouse.fetch("SELECT posting_date, period_id, tags & 1 = 1 FROM journal_entries")
    assert len(found) == 4
    assert set(found) == {(day, period, is_late)}
    assert warehouse.fetch("SELECT DISTINCT posting_date FROM cost_entries") == [(day,)]


@pytest.mark.parametrize(
    ("zone", "costs"),
    [("Asia/Shanghai", 20.0), ("America/Chicago", 25.0)],
)
def test_a_settlement_ends_its_month_by_the_companys_own_clock(
    warehouse: Warehouse, zone: str, costs: float
) -> None:
    """given 10 @ 4.00 and 5 sold in August, 10 @ 6.00 at 23:30 UTC of its last day: in Shanghai that is September's."""
    warehouse.owner.execute("UPDATE companies SET time_zone = %s", [zone])
    warehouse.owner.execute("UPDATE items SET method = 'periodic_average' WHERE code = 'BOLT'")
    moment_s = datetime(2026, 8, 31, 23, 30, tzinfo=UTC).timestamp() - NOON_US / 1e6
    arrive(warehouse, [buy(1, 10, 4, AUGUST_S), sold(2, 5, AUGUST_S + 60), buy(3, 10, 6, moment_s)])
    warehouse.close(AUGUST, "soft_closed")
    settle_period(warehouse.ingest, warehouse.company_id, AUGUST)
    assert warehouse.accounts()["cogs"] == costs


def test_a_documents_day_is_a_day_of_the_calendar_as_it_stands_on_the_paper(warehouse: Warehouse) -> None:
    warehouse.owner.execute("UPDATE companies SET time_zone = 'America/Chicago'")
    warehouse.close(AUGUST)
    by_hand(warehouse, FIRST_OF_SEPTEMBER, may=False)
    with pytest.raises(CannotPost, match="2026-08-31: its period is locked"):
        by_hand(warehouse, date(2026, 8, 31), may=False)
