"""Balances and open items at a terminal, over two months with late goods, goods on their way and another currency."""

from typing import Any
from uuid import UUID

import pytest

from cloud.bookkeeping import program
from cloud.domain.costing.allocation import Basis
from cloud.domain.movement import Kind
from cloud.flows.ledger.open_items import every_open
from cloud.flows.ledger.trial_balance import read_trial_balance
from cloud.flows.recost import recost_company
from cloud.flows.verify import verify
from cloud.store.ledger.open_items import ItemRow, LayerRow
from tests.makers import Warehouse
from tests.valuing import invoice, land, move, receive, sell

MONTH_S = 30 * 24 * 3600
PERIODS = (202609, 202610)
TIED = "accounts with items = their items; goods in transit and in clarification = their layers (minor units)"


@pytest.fixture
def steel(warehouse: Warehouse) -> UUID:
    """Two months of work; a receipt of them."""
    first = receive(warehouse, "STEEL", 100, "5", 0)
    receive(warehouse, "BOLT", 10, "3", 100, rate_nano=7_123_456_789, currency=840)
    land(warehouse, "33.33", Basis.VALUE, first, at_s=200)
    move(warehouse, Kind.TRANSFER_OUT, "STEEL", 30, "STORE", "IN-TRANSIT", 300)
    move(warehouse, Kind.TRANSFER_IN, "STEEL", 20, "IN-TRANSIT", "EAST", MONTH_S)
    move(warehouse, Kind.COUNT_LOSS, "BOLT", 2, "STORE", "WORLD", 400)
    sell(warehouse, "STEEL", 40, MONTH_S + 100)
    invoice(warehouse, first, "5.25", MONTH_S + 200)
    receive(warehouse, "STEEL", 10, "9", 50)  # late, in the month before
    recost_company(warehouse.ingest, warehouse.company_id, "test")
    return first


@pytest.fixture(autouse=True)
def dsn_of_the_books(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    info = warehouse.owner.info
    monkeypatch.setenv("TALLYGATE_DSN", f"{info.dsn} password={info.password}")


@pytest.mark.usefixtures("steel")
def test_stock_by_its_costs_ties_to_the_ledger_at_every_periods_end(warehouse: Warehouse) -> None:
    for period in PERIODS:
        found = read_trial_balance(warehouse.owner, warehouse.company_id, period, period, with_stock=True)
        assert found.totals.agree
        assert found.stock is not None
        assert any(tie.ledger for tie in found.stock)
        assert [tie for tie in found.stock if tie.difference] == []
    both = read_trial_balance(warehouse.owner, warehouse.company_id, PERIODS[0], PERIODS[1])
    second = read_trial_balance(warehouse.owner, warehouse.company_id, PERIODS[1], PERIODS[1])
    assert {row.account.number: row.sums.closing for row in both.rows} == {
        row.account.number: row.sums.closing for row in second.rows
    }


@pytest.mark.usefixtures("steel")
def test_a_header_is_the_sum_of_its_accounts(warehouse: Warehouse) -> None:
    rows = read_trial_balance(warehouse.owner, warehouse.company_id, *PERIODS, by_currency=True).rows
    headers = [row for row in rows if row.account.is_header]
    assert headers
    for header in headers:
        below = [
            row
            for row in rows
            if row.account.parent_id == header.account.account_id and row.sums.currency == header.sums.currency
        ]
        assert header.sums.closing == sum(row.sums.closing for row in below)
        assert header.sums.currency_closing == sum(row.sums.currency_closing for row in below)


def test_open_items_and_layers_come_to_the_balances(warehouse: Warehouse, steel: UUID) -> None:
    rows = list(every_open(warehouse.owner, warehouse.company_id))
    balances = dict(warehouse.fetch("SELECT number, balance FROM account_balances"))
    by_items: dict[str, int] = {}
    for row in rows:
        if isinstance(row, ItemRow):
            by_items[row.account] = by_items.get(row.account, 0) + row.amount
    kept = [number for (number,) in warehouse.fetch("SELECT number FROM accounts WHERE has_items")]
    assert {number: by_items.get(number, 0) for number in kept} == {number: balances[number] for number in kept}
    assert sum(bool(amount) for amount in by_items.values()) >= 3
    assert steel in {row.item for row in rows}
    (on_the_way,) = [row for row in rows if isinstance(row, LayerRow)]
    [(in_transit,)] = warehouse.fetch("SELECT balance FROM account_balances WHERE role = 'in_transit'")
    assert (on_the_way.qty_left, round(on_the_way.value_left / 10_000)) == (10_000_000, in_transit)


@pytest.mark.usefixtures("steel")
def test_the_ledger_lists_balances_and_open_items(
    warehouse: Warehouse, capsys: pytest.CaptureFixture[str]
) -> None:
    assert program.main(["trial-balance", "demo", "--period", "2026-09", "--to", "2026-10", "--stock"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("2026-09-01 … 2026-10-31, CNY")
    assert "total" in told
    assert "stock by its costs" in told
    assert program.main(["trial-balance", "demo", "--period", "2026-09", "--by", "currency"]) == 0
    assert "USD" in capsys.readouterr().out
    assert program.main(["open-items", "demo", "--account", "2202"]) == 0
    told = capsys.readouterr().out
    assert "purchase receipt" in told
    assert "USD" in told
    assert "landed cost" not in told  # what it adds to a receipt is of the receipt's item
    assert program.main(["open-items", "demo", "--as-of", "2026-01-31"]) == 0
    assert capsys.readouterr().out == "demo: nothing is open\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["open-items", "demo", "--account", "nowhere"], "no account nowhere"),
        (["open-items", "nobody"], "nobody"),
        (["trial-balance", "demo", "--period", "1999-01"], "periods of the calendar"),
        (["open-items", "demo", "--account", "140591", "--as-of", "2026-10-01"], "known as they are now"),
    ],
)
@pytest.mark.usefixtures("warehouse")
def test_what_cannot_be_listed_is_said(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert program.main(arguments) == 2
    assert says in capsys.readouterr().err


def test_verify_sees_a_balance_that_is_not_that_of_its_items(warehouse: Warehouse, steel: UUID) -> None:
    def difference() -> Any:
        return next(check.difference for check in verify(warehouse.owner) if check.name == TIED)

    assert steel
    assert difference() == 0
    change = (
        "UPDATE turnovers SET debit = debit + %s WHERE currency = 0"
        " AND account_id = (SELECT account_id FROM accounts WHERE role = 'grni')"
    )
    rows = warehouse.owner.execute(change, [7]).rowcount
    assert difference() == 7 * rows > 0
    warehouse.owner.execute(change, [-7])
    change = (
        "UPDATE cost_layers SET value_left = value_left + %s WHERE pool_id IN"
        " (SELECT pool_id FROM cost_pools JOIN accounts USING (account_id) WHERE role = 'in_transit')"
    )
    warehouse.owner.execute(change, [10_000])
    assert difference() == 1
    warehouse.owner.execute(change, [-10_000])
    assert difference() == 0
