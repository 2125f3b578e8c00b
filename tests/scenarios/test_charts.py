"""Charts that change beside goods that move: what the books forbid is refused, the rest holds from the next batch."""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import psycopg
import pytest

from cloud.domain.ledger.accounts import Account, AccountType, Need, WrongChart
from cloud.domain.movement import Kind
from cloud.flows.ledger.edit_chart import (
    NoSuchAccount,
    NumberTaken,
    add_account,
    change_account,
    load_chart,
    read_chart,
)
from cloud.flows.recost import recost_company
from tests.makers import Warehouse
from tests.valuing import move, receive, sell

WAIT_S = 20.0


def own(number: str, **more: Any) -> Account:
    said: dict[str, Any] = {"name_zh": "", "name_en": number, "type": AccountType.EXPENSE} | more
    return Account(number, **said)


def ids(warehouse: Warehouse) -> dict[str, int]:
    return dict(warehouse.fetch("SELECT number, account_id FROM accounts"))


def account(warehouse: Warehouse, number: str) -> Account:
    return next(one for one in read_chart(warehouse.owner, warehouse.company_id) if one.number == number)


def change(warehouse: Warehouse, number: str, /, **said: Any) -> None:
    change_account(warehouse.owner, warehouse.company_id, number, said)


def refused(act: Callable[[], object]) -> str:
    with pytest.raises(WrongChart) as caught:
        act()
    return str(caught.value)


def test_an_account_with_lines_is_split_by_renumbering_it(warehouse: Warehouse) -> None:
    receive(warehouse, "BOLT", 10, "4")
    sell(warehouse, "BOLT", 4, 60)
    before = ids(warehouse)
    told = refused(lambda: add_account(warehouse.owner, warehouse.company_id, own("64010101", parent="640101")))
    assert told == "account 64010101, parent: 640101 takes lines itself: it is no header"
    told = refused(lambda: change(warehouse, "640101", is_postable=False, role=None, dimensions={}))
    assert "account 640101, header: it has lines" in told

    change(warehouse, "640101", number="640110")
    assert ids(warehouse)["640110"] == before["640101"]
    sell(warehouse, "BOLT", 1, 70)
    assert warehouse.accounts()["cogs"] == 20
    assert account(warehouse, "640110").role == "cogs"


def test_a_new_sub_account_makes_its_parent_a_header_and_a_number_that_leaves_it_is_refused(
    warehouse: Warehouse,
) -> None:
    add_account(warehouse.owner, warehouse.company_id, own("660101", parent="6601"))
    assert account(warehouse, "6601").is_postable is False
    assert account(warehouse, "6601").dimensions == {}
    assert "begins as that of its parent 6601" in refused(lambda: change(warehouse, "660101", number="6699"))
    assert "begins as that of its parent 6699" in refused(lambda: change(warehouse, "6601", number="6699"))
    with pytest.raises(NumberTaken, match="there is already an account 6602"):
        change(warehouse, "6601", number="6602")
    with pytest.raises(NoSuchAccount, match="no account 7777"):
        change(warehouse, "7777", name_en="x")
    change(warehouse, "6601", number="66010")
    assert account(warehouse, "660101").parent == "66010"


def test_a_role_of_stock_moves_before_there_is_stock_and_stays_after(warehouse: Warehouse) -> None:
    company = warehouse.company_id
    add_account(warehouse.owner, company, own("140502", parent="1405", type=AccountType.ASSET))
    change(warehouse, "140502", role="goods")
    assert account(warehouse, "140501").role is None
    receive(warehouse, "BOLT", 10, "4")
    assert warehouse.fetch("SELECT number FROM account_balances WHERE role = 'goods' AND balance = 4000") == [
        ("140502",)
    ]
    told = refused(lambda: change(warehouse, "140501", role="goods"))
    assert told == "account 140502, role: cost pools of site MAIN stand on it: goods stays where it is"


def test_one_site_has_an_account_of_its_own_for_a_role(warehouse: Warehouse) -> None:
    receive(warehouse, "BOLT", 10, "4")
    company = warehouse.company_id
    goods = own("140503", parent="1405", type=AccountType.ASSET, role="goods", site="EAST")
    add_account(warehouse.owner, company, goods)
    at_main = own("140504", parent="1405", type=AccountType.ASSET, role="goods", site="MAIN")
    assert "cost pools of site MAIN stand on it" in refused(lambda: add_account(warehouse.owner, company, at_main))
    receive(warehouse, "BOLT", 5, "4", to="EAST")
    rows = warehouse.fetch("SELECT number, balance FROM account_balances WHERE role = 'goods' ORDER BY 1")
    assert rows == [("140501", 4000), ("140503", 2000)]
    assert "the company has no site 'NORTH'" in refused(lambda: change(warehouse, "140503", site="NORTH"))


def test_a_role_with_open_items_waits_until_they_are_cleared(warehouse: Warehouse) -> None:
    receive(warehouse, "BOLT", 10, "4")
    liability = own("220205", parent="2202", type=AccountType.LIABILITY)
    add_account(warehouse.owner, warehouse.company_id, liability)
    told = refused(lambda: change(warehouse, "220205", role="grni"))
    assert told == "account 220201, role: items on it are open: grni moves when they are cleared"
    change(warehouse, "220205", role="payables")
    assert account(warehouse, "220205").has_items, "what cannot be otherwise for its role follows it"
    assert account(warehouse, "220203").role is None


def test_an_account_ends_when_its_last_lines_allow_it_and_never_while_it_has_a_role(warehouse: Warehouse) -> None:
    assert "move the role before it ends" in refused(
        lambda: change(warehouse, "6711", valid_to=date(2026, 12, 31))
    )
    change(warehouse, "6601", valid_to=date(2026, 12, 31))
    assert account(warehouse, "6601").valid_to == date(2026, 12, 31)
    receive(warehouse, "BOLT", 10, "4")
    chart = [one for one in read_chart(warehouse.owner, warehouse.company_id) if one.number != "140501"]
    told = refused(lambda: load_chart(warehouse.owner, warehouse.company_id, chart, removes=True))
    assert "account 140501: it has lines or cost pools and is never deleted" in told


def test_a_whole_chart_is_loaded_all_or_nothing_and_tells_first_what_it_would_change(warehouse: Warehouse) -> None:
    company = warehouse.company_id
    before = read_chart(warehouse.owner, company)
    wanted = [one for one in before if one.number != "6601"]
    wanted += [own("6605", dimensions={"project": Need.REQUIRED})]
    told = [str(one) for one in load_chart(warehouse.owner, company, wanted, removes=True, dry_run=True)]
    assert told == ["- 6601 销售费用 · Selling expenses", "+ 6605 6605"]
    assert read_chart(warehouse.owner, company) == before
    assert len(load_chart(warehouse.owner, company, wanted, removes=True)) == 2
    assert read_chart(warehouse.owner, company) == tuple(sorted(wanted, key=lambda one: one.number))
    assert load_chart(warehouse.owner, company, wanted, removes=True) == ()
    with pytest.raises(WrongChart):
        load_chart(warehouse.owner, company, [own("6606"), own("6607", role="loss")])
    assert read_chart(warehouse.owner, company) == tuple(sorted(wanted, key=lambda one: one.number))


def test_two_roles_and_two_numbers_change_places_at_once(warehouse: Warehouse) -> None:
    company = warehouse.company_id
    by_number = {one.number: one for one in read_chart(warehouse.owner, company)}
    bank, cash = by_number["1002"], by_number["1001"]
    load_chart(warehouse.owner, company, [replace(bank, role="cash"), replace(cash, role="bank")])
    assert (account(warehouse, "1001").role, account(warehouse, "1002").role) == ("bank", "cash")


def test_lines_must_name_what_their_account_requires(warehouse: Warehouse) -> None:
    change(warehouse, "140501", name_en="Goods")
    change(warehouse, "640101", dimensions={"project": Need.REQUIRED})
    receive(warehouse, "BOLT", 10, "4")
    with pytest.raises(ValueError, match="project"):
        sell(warehouse, "BOLT", 4, 60)


# ── Also without our programs ───────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("statement", "complaint"),
    [
        ("DELETE FROM accounts WHERE number = '220201'", "220201 has lines or cost pools and is never deleted"),
        ("UPDATE accounts SET is_postable = false WHERE number = '140501'", "140501 has lines and cannot sum"),
        (
            "UPDATE accounts SET account_type = 'cost' WHERE number = '220201'",
            "220201 has lines and stays of type",
        ),
        ("UPDATE accounts SET role = NULL WHERE number = '140501'", "140501 has cost pools: goods stays"),
        ("UPDATE accounts SET role = 'tea', site_id = 1 WHERE number = '140501'", "140501 has cost pools"),
        ("TRUNCATE accounts CASCADE", "accounts"),
    ],
)
def test_the_database_refuses_a_chart_that_its_books_contradict(
    warehouse: Warehouse, statement: str, complaint: str
) -> None:
    receive(warehouse, "BOLT", 10, "4")
    with pytest.raises(psycopg.Error, match=complaint) as refusal:
        warehouse.owner.execute(statement)  # type: ignore[arg-type]
    assert refusal.value.sqlstate in ("TG001", "TG004")


def test_a_cost_pool_stands_on_an_account_of_stock(warehouse: Warehouse) -> None:
    receive(warehouse, "BOLT", 10, "4")
    with pytest.raises(psycopg.Error, match="account 1002 is not one of stock"):
        warehouse.owner.execute(
            "INSERT INTO cost_pools (pool_id, company_id, site_id, item_id, account_id, method, minor_unit)"
            " SELECT 999, company_id, 0, 1, account_id, 1, 10000 FROM accounts WHERE number = '1002'"
        )


def test_a_role_waits_for_a_batch_that_may_open_its_first_pool(warehouse: Warehouse) -> None:
    asset = own("140502", parent="1405", type=AccountType.ASSET)
    add_account(warehouse.owner, warehouse.company_id, asset)
    dsn = warehouse.owner.info.dsn
    found: list[str] = []

    def move() -> None:
        with psycopg.connect(dsn, password=warehouse.owner.info.password, autocommit=True) as other:
            try:
                change_account(other, warehouse.company_id, "140502", {"role": "goods"})
            except WrongChart as error:
                found.append(str(error))

    mover = threading.Thread(target=move)
    with warehouse.owner.transaction():
        receive(warehouse, "BOLT", 10, "4")
        mover.start()
        waiting = "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'cost_pools'::regclass"
        deadline = threading.Event()
        timer = threading.Timer(WAIT_S, deadline.set)
        timer.start()
        while not warehouse.owner.execute(waiting).fetchall():
            assert not deadline.is_set(), "nobody waited"
        timer.cancel()
    mover.join(WAIT_S)
    assert found == ["account 140501, role: cost pools of site MAIN stand on it: goods stays where it is"]


def test_what_came_late_is_corrected_where_it_stood_whatever_the_chart_says_now(warehouse: Warehouse) -> None:
    """A scrapped bolt cost 5 until an earlier receipt @ 3 came late; its account has ended and asks for a project."""
    company = warehouse.company_id
    receive(warehouse, "BOLT", 10, "5", 10)
    move(warehouse, Kind.SCRAP, "BOLT", 4, "STORE", "SCRAP", 60)
    add_account(warehouse.owner, company, own("6712", role="loss"))
    change(warehouse, "6711", dimensions={"project": Need.REQUIRED}, valid_to=date(2026, 9, 1))
    receive(warehouse, "BOLT", 10, "3", 5)
    recost_company(warehouse.ingest, company, "test")
    rows = warehouse.fetch("SELECT number, balance FROM account_balances WHERE number IN ('6711', '6712')")
    assert dict(rows) == {"6711": 1200, "6712": 0}


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO accounts (company_id, number, name_zh, name_en, is_control) VALUES (1, '9', '', 'x', false)",
        "UPDATE accounts SET name_en = 'x'",
        "DELETE FROM accounts",
        "INSERT INTO dimension_types (company_id, code, name_zh, name_en) VALUES (1, 'x', '', 'x')",
        "INSERT INTO dimension_values (company_id, type_id, code) VALUES (1, 1, 'x')",
        "DELETE FROM account_dimensions",
        "SELECT hold_chart()",
    ],
)
def test_the_ingest_service_has_no_hand_in_the_chart(warehouse: Warehouse, statement: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        warehouse.ingest.execute(statement)  # type: ignore[arg-type]
