"""Stories of the material cost variance: at the end of a period it follows the goods, by their class's rate."""

from datetime import date
from uuid import uuid4

import pytest

from cloud.domain.movement import Kind
from cloud.flows.ledger.post_document import Document, DocumentLine, post_documents
from cloud.flows.ledger.spread_variance import CannotSpread, ClassSpread, Spread, left_to_spread, spread_variance
from cloud.flows.production import Issue, issue_components, release_order
from cloud.flows.recost import recost_component
from cloud.flows.set_standard import NewStandard, set_standards
from cloud.store.batches import close_batch, load_company, open_batch
from cloud.store.production import NewOrder
from tests.makers import NOON_US, Warehouse
from tests.valuing import add_item, ask, at, invoice, micro, move, receive, sell

AUGUST, SEPTEMBER = 202608, 202609
DAY_S = 86_400
AUGUST_S = -30 * DAY_S  # 22 August; noon of the tests is on 21 September


@pytest.fixture
def ore(warehouse: Warehouse) -> Warehouse:
    """Ore at a standard of 100.00: 400 came in August @ 102.50, 200 in September @ 90.00 and 400 @ 100.00."""
    standard(warehouse, "ORE", "100", "raw_material")
    receive(warehouse, "ORE", 400, "102.5", AUGUST_S)
    receive(warehouse, "ORE", 200, "90", 0)
    receive(warehouse, "ORE", 400, "100", 10)
    return warehouse


def standard(warehouse: Warehouse, item: str, price: str, item_class: str) -> None:
    """An item at standard cost."""
    add_item(warehouse, item, "standard", item_class=item_class)
    set_standards(
        warehouse.owner, warehouse.company_id, [NewStandard(item, micro(price))], at(AUGUST_S - 10), "", "", ask()
    )


def to_production(warehouse: Warehouse, item: str, pieces: int, at_s: float = 100) -> None:
    """Into a work order that makes lamps."""
    order = NewOrder(
        "WO-1", warehouse.items["LAMP"], warehouse.places["MAIN"], micro(10), "", "",
        {warehouse.items[item]: micro(1)},
    )  # fmt: skip
    release_order(warehouse.owner, warehouse.company_id, order, at(at_s), ask())
    issues = [Issue(warehouse.items[item], micro(pieces), warehouse.places["STORE"])]
    issue_components(warehouse.owner, warehouse.company_id, "WO-1", issues, at(at_s + 1), ask())


def spread(warehouse: Warehouse, period: int = SEPTEMBER) -> Spread:
    """The period's variance, as the services' role."""
    left = left_to_spread(warehouse.owner, warehouse.company_id, period)
    done = spread_variance(warehouse.ingest, warehouse.company_id, period)
    assert bool(left) == bool(done.documents)
    assert left_to_spread(warehouse.owner, warehouse.company_id, period) == 0
    return done


def found(done: Spread) -> dict[str, tuple[int, int, int, int]]:
    """(variance, available, issued, share) by class, in the currency."""
    assert all(amount % 100 == 0 for one in done.classes for amount in (one.variance, one.available, one.issued))
    return {
        one.item_class: (one.variance // 100, one.available // 100, one.issued // 100, one.share // 100)
        for one in done.classes
    }


@pytest.mark.editions
def test_the_example_of_the_rule(ore: Warehouse) -> None:
    """given the figures of cloud.domain.ledger.variance_rate: 40,000 with a variance of 1,000, and 60,000 that cost
    58,000; 50,000 went to production and 20,000 were sold; when the month is spread, at −1 %, then −500 goes to the
    production variance, −200 to the cost of goods sold, and −300 stay with the 30,000 in stock."""
    to_production(ore, "ORE", 500)
    sell(ore, "ORE", 200, 200)
    before = ore.accounts()
    assert before["ppv"] == -1_000.0
    done = spread(ore)
    assert found(done) == {"raw_material": (-1_000, 100_000, 70_000, -700)}
    assert ore.accounts() == before | {
        "ppv": -300.0, "production_variance": -500.0, "cogs": 20_000.0 - 200.0, "wip": 50_000.0,
    }  # fmt: skip
    [(day, kind, narration)] = ore.fetch(
        "SELECT e.posting_date, e.kind, d.narration FROM journal_entries e"
        " JOIN ledger_documents d ON d.document_id = e.source_id"
    )
    assert (day, kind, narration) == (date(2026, 9, 30), Kind.VARIANCE_SPREAD, "分摊材料成本差异")


def test_what_stayed_is_the_next_months_opening_variance(ore: Warehouse) -> None:
    """given the same; when 150 of the 300 that stayed are sold in October, they take half of the −300."""
    to_production(ore, "ORE", 500)
    sell(ore, "ORE", 200, 200)
    spread(ore)
    sell(ore, "ORE", 150, 20 * DAY_S)
    assert found(spread(ore, 202610)) == {"raw_material": (-300, 30_000, 15_000, -150)}
    assert ore.accounts()["ppv"] == -150.0
    # September as it was spread is as it was.
    assert spread(ore).documents == ()


def test_another_run_posts_the_difference_until_the_lock(ore: Warehouse) -> None:
    """given a month that was spread; when an invoice says 1,000 more for its goods, another run brings half of it to
    what was sold; when the month is locked, it is refused."""
    receipt = receive(ore, "ORE", 100, "100", 20)
    sell(ore, "ORE", 550, 200)
    assert found(spread(ore)) == {"raw_material": (-1_000, 110_000, 55_000, -500)}
    assert spread(ore).documents == ()
    invoice(ore, receipt, "110", 300)
    ore.close(SEPTEMBER, "soft_closed")
    done = spread(ore)
    assert (found(done), len(done.documents)) == ({"raw_material": (0, 110_000, 55_000, 0)}, 1)
    assert ore.accounts()["cogs"] == 55_000.0
    assert "ppv" not in ore.accounts()
    ore.close(SEPTEMBER)
    with pytest.raises(CannotSpread, match="202609 is locked"):
        spread_variance(ore.owner, ore.company_id, SEPTEMBER)


def test_each_class_has_its_own_rate(ore: Warehouse) -> None:
    """given goods at standard beside the ore, 10 % dearer, half of them sold; each class bears its own."""
    standard(ore, "TOY", "10", "goods")
    receive(ore, "TOY", 100, "11", 0)
    sell(ore, "TOY", 50, 100)
    sell(ore, "ORE", 500, 200)
    assert found(spread(ore)) == {"goods": (100, 1_000, 500, 50), "raw_material": (-1_000, 100_000, 50_000, -500)}
    assert ore.accounts()["ppv"] == -450.0


def test_goods_at_other_methods_and_on_their_way_bear_nothing(ore: Warehouse) -> None:
    """given goods that only move between sites, an item at its own cost; they are no issues."""
    receive(ore, "BOLT", 10, "4.00", 0)
    sell(ore, "BOLT", 5, 10)
    move(ore, Kind.INTERNAL_MOVE, "ORE", 300, "STORE", "EAST", 100)
    done = spread(ore)
    assert found(done) == {"raw_material": (-1_000, 100_000, 0, 0)}
    assert done.documents == ()


def test_returns_and_losses_go_where_they_went(ore: Warehouse) -> None:
    """given 300 sold, of which 100 came back, and 100 scrapped; then the sale bears that of 200, the loss its own."""
    sold = sell(ore, "ORE", 300, 100)
    move(ore, Kind.CUSTOMER_RETURN, "ORE", 100, "CUSTOMER", "STORE", 200, original_id=sold)
    move(ore, Kind.SCRAP, "ORE", 100, "STORE", "SCRAP", 300)
    before = ore.accounts()
    assert found(spread(ore)) == {"raw_material": (-1_000, 100_000, 30_000, -300)}
    after = ore.accounts()
    assert (after["cogs"] - before["cogs"], after["loss"] - before["loss"]) == (-200.0, -100.0)


def test_goods_whose_reason_is_not_known_keep_their_share_on_the_account(ore: Warehouse) -> None:
    move(ore, Kind.COUNT_LOSS, "ORE", 100, "STORE", "CLARIFICATION-MAIN", 100)
    sell(ore, "ORE", 200, 200)
    assert found(spread(ore)) == {"raw_material": (-1_000, 100_000, 20_000, -200)}


def test_what_was_issued_before_it_came_bears_all_and_no_more(ore: Warehouse) -> None:
    sell(ore, "ORE", 1_100, 200)
    done = spread(ore)
    assert found(done) == {"raw_material": (-1_000, 100_000, 110_000, -1_000)}
    assert "ppv" not in ore.accounts()


def test_a_variance_without_goods_stays_and_is_told(warehouse: Warehouse) -> None:
    standard(warehouse, "ORE", "100", "raw_material")
    receipt = receive(warehouse, "ORE", 10, "100", AUGUST_S)
    sell(warehouse, "ORE", 10, AUGUST_S + 10)
    invoice(warehouse, receipt, "101", 0)
    done = spread(warehouse)
    assert [(one.variance, one.available, one.share) for one in done.classes] == [(1_000, 0, 0)]
    assert done.classes[0].note == "nothing was there at standard cost that could bear it"


def test_manual_entries_are_shared_by_what_was_there_of_each_class(ore: Warehouse) -> None:
    """given 10.00 that nobody can give to a class, ore for 99,000 and toys for 11,000 at standard: 9.00 and 1.00."""
    standard(ore, "TOY", "10", "goods")
    receive(ore, "TOY", 1_100, "10", 0)
    move(ore, Kind.SUPPLIER_RETURN, "ORE", 10, "STORE", "SUPPLIER", 50, price_micro=micro("100"))
    numbers = dict(ore.fetch("SELECT number, account_id FROM accounts"))
    lines = (DocumentLine(numbers["1404"], 1_000), DocumentLine(numbers["1002"], -1_000))
    with ore.owner.transaction(), ore.owner.cursor() as cursor:
        batch = open_batch(cursor, load_company(cursor, ore.company_id), 5, NOON_US, "Mei")
        post_documents(cursor, batch, [Document(uuid4(), Kind.MANUAL, "M", date(2026, 9, 22), lines)])
        close_batch(cursor, batch)
    assert found(spread(ore)) == {"goods": (1, 11_000, 0, 0), "raw_material": (-991, 99_000, 0, 0)}


def test_a_standard_that_was_recorded_late_is_of_its_class_too(ore: Warehouse) -> None:
    """given goods received before their standard was known to have changed; re-costing moves the difference between
    stock and variance, in entries of many; then the class's variance is still all that stands on the account."""
    sell(ore, "ORE", 500, 100)
    set_standards(ore.owner, ore.company_id, [NewStandard("ORE", micro("95"))], at(-100), "", "", ask())
    recost_component(ore.owner, ore.company_id, [ore.items["ORE"]], "test", from_us=0)
    [(balance,)] = ore.fetch("SELECT balance FROM account_balances WHERE role = 'ppv'")
    done = spread(ore)
    assert [one.variance for one in done.classes] == [balance]
    [one] = done.classes
    assert one == ClassSpread(one.account_id, "raw_material", balance, one.available, one.issued, one.share)
    assert one.available - one.issued == ore.fetch("SELECT sum(posted)::bigint FROM cost_pools")[0][0]


def test_other_profiles_have_nothing_to_spread(ore: Warehouse) -> None:
    sell(ore, "ORE", 500, 100)
    before = ore.accounts()
    ore.owner.execute("UPDATE companies SET profile = 'IFRS'")
    with pytest.raises(CannotSpread, match="keeps its books under IFRS: expected ASBE"):
        spread_variance(ore.owner, ore.company_id, SEPTEMBER)
    assert left_to_spread(ore.owner, ore.company_id, SEPTEMBER) == 0
    assert ore.accounts() == before
    assert ore.fetch("SELECT count(*) FROM ledger_documents") == [(0,)]


def test_a_period_that_is_not_there_is_named(ore: Warehouse) -> None:
    with pytest.raises(CannotSpread, match="there is no period 190001"):
        spread_variance(ore.owner, ore.company_id, 190001)
