"""Stories of goods through gates: what stood there before, what moved, what the books say."""

import pytest

from cloud.domain.movement import Kind
from tests.makers import GatewayLog, Warehouse

pytestmark = pytest.mark.editions


def test_an_expected_pallet_is_stock_and_a_debt(warehouse: Warehouse) -> None:
    """given 2 cases of 10 bolts on order at 4.00; when they come in; then 20 bolts, 80.00 owed."""
    first, second = warehouse.tag(1), warehouse.tag(2)
    warehouse.expect(Kind.PURCHASE_RECEIPT, "BOLT", 20, price="4.00", document="PO-1")
    warehouse.log.passage(first, "in")
    warehouse.log.passage(second, "in", 0.5)
    warehouse.record(warehouse.log.message())
    assert warehouse.stock() == {("BOLT", "STORE"): 20}
    assert warehouse.accounts() == {"goods": 80.00, "grni": -80.00}
    assert warehouse.outcomes() == ["moved", "moved"]


def test_fifo_sells_the_oldest_cost_first(warehouse: Warehouse) -> None:
    """given 10 @ 4.00, 10 @ 4.20; when 10 and 10 leave; then cost of goods sold is 40.00 and then 42.00."""
    tags = [warehouse.tag(number) for number in (1, 2)]
    warehouse.expect(Kind.PURCHASE_RECEIPT, "BOLT", 10, price="4.00", epc=tags[0])
    warehouse.expect(Kind.PURCHASE_RECEIPT, "BOLT", 10, price="4.20", epc=tags[1])
    warehouse.expect(Kind.SALES_SHIPMENT, "BOLT", 20, document="SO-1")
    for number, tag in enumerate(tags):
        warehouse.log.passage(tag, "in", number)
    warehouse.log.passage(tags[1], "out", 3600)
    warehouse.record(warehouse.log.message())
    assert warehouse.accounts() == {"goods": 42.00, "grni": -82.00, "cogs": 40.00}
    warehouse.log.passage(tags[0], "out", 3700)
    warehouse.record(warehouse.log.message(4))
    assert warehouse.accounts() == {"grni": -82.00, "cogs": 82.00}
    assert warehouse.stock() == {}


def test_moving_average_sells_at_the_mean(warehouse: Warehouse) -> None:
    """given 10 lamps @ 4.00 and 10 @ 5.00; when 10 leave; then they cost 45.00."""
    tags = [warehouse.tag(number, "LAMP") for number in (1, 2)]
    warehouse.expect(Kind.PURCHASE_RECEIPT, "LAMP", 10, price="4.00", epc=tags[0])
    warehouse.expect(Kind.PURCHASE_RECEIPT, "LAMP", 10, price="5.00", epc=tags[1])
    warehouse.expect(Kind.SALES_SHIPMENT, "LAMP", 10)
    for number, tag in enumerate(tags):
        warehouse.log.passage(tag, "in", number)
    warehouse.log.passage(tags[0], "out", 3600)
    warehouse.record(warehouse.log.message())
    assert warehouse.accounts() == {"goods": 45.00, "grni": -90.00, "cogs": 45.00}


def test_a_foreign_price_is_rounded_once(warehouse: Warehouse) -> None:
    """given 10 bolts at 0.333 USD and 7.12345 CNY a dollar; then 23.72 CNY, not a sum of roundings."""
    tag = warehouse.tag(1)
    warehouse.expect(
        Kind.PURCHASE_RECEIPT,
        "BOLT",
        10,
        price="0.333",
        currency="USD",
        rate_nano=7_123_450_000,
        document="PO-USD",
    )
    warehouse.log.passage(tag, "in")
    warehouse.record(warehouse.log.message())
    assert warehouse.accounts() == {"goods": 23.72, "grni": -23.72}


def test_goods_nobody_expected_wait_in_clarification(warehouse: Warehouse) -> None:
    """given bolts last bought at 4.00; when 10 come in unexpected; then clarification holds them at 40.00."""
    bought, found = warehouse.tag(1), warehouse.tag(2)
    warehouse.expect(Kind.PURCHASE_RECEIPT, "BOLT", 10, price="4.00", epc=bought)
    warehouse.log.passage(bought, "in")
    warehouse.log.passage(found, "in", 5)
    warehouse.record(warehouse.log.message())
    assert warehouse.stock() == {("BOLT", "STORE"): 10, ("BOLT", "CLARIFICATION-MAIN"): 10}
    assert warehouse.accounts() == {
        "goods": 40.00, "grni": -40.00, "clarification_stock": 40.00, "clarification": -40.00,
    }  # fmt: skip
    assert warehouse.kinds() == ["purchase_receipt", "unexplained_in"]


def test_what_leaves_clarification_again_leaves_nothing_behind(warehouse: Warehouse) -> None:
    tag = warehouse.tag(1)
    warehouse.log.passage(tag, "in")
    warehouse.log.passage(tag, "out", 900)
    warehouse.record(warehouse.log.message())
    assert warehouse.stock() == {}
    assert warehouse.accounts() == {}
    assert warehouse.kinds() == ["unexplained_in", "unexplained_out"]


def test_a_transfer_stands_in_transit_until_it_arrives(warehouse: Warehouse) -> None:
    """given 10 bolts at MAIN; when they leave for EAST; then in transit, and at EAST once its gate saw them."""
    tag = warehouse.tag(1)
    warehouse.expect(Kind.PURCHASE_RECEIPT, "BOLT", 10, price="4.00")
    warehouse.expect(Kind.TRANSFER_OUT, "BOLT", 10, document="TO-1")
    warehouse.log.passage(tag, "in")
    warehouse.log.passage(tag, "out", 600)
    warehouse.record(warehouse.log.message())
    assert warehouse.stock() == {("BOLT", "IN-TRANSIT"): 10}
    assert warehouse.accounts() == {"in_transit": 40.00, "grni": -40.00}
    east = GatewayLog(*warehouse.gateways["gw-2"])
    east.passage(tag, "in", 7200, gate="east-1")
    warehouse.record(east.message())
    assert warehouse.stock() == {("BOLT", "EAST"): 10}
    assert warehouse.accounts() == {"goods": 40.00, "grni": -40.00}


def test_a_move_between_zones_of_a_site_posts_nothing(warehouse: Warehouse) -> None:
    tag = warehouse.tag(1)
    warehouse.expect(Kind.PURCHASE_RECEIPT, "BOLT", 10, price="4.00")
    warehouse.log.passage(tag, "in")
    warehouse.log.passage(tag, "in", 60, gate="inner-1")
    warehouse.record(warehouse.log.message())
    assert warehouse.stock() == {("BOLT", "YARD"): 10}
    assert warehouse.fetch("SELECT count(*) FROM journal_entries") == [(1,)]


def test_two_gates_that_see_one_crossing_move_it_once(warehouse: Warehouse) -> None:
    tag = warehouse.tag(1)
    warehouse.log.passage(tag, "in", 0, gate="dock-1", confidence=0.7)
    warehouse.log.passage(tag, "in", 3, gate="dock-2", confidence=0.95)
    warehouse.record(warehouse.log.message())
    assert warehouse.outcomes() == ["same_crossing", "moved"]
    assert warehouse.stock() == {("BOLT", "CLARIFICATION-MAIN"): 10}


def test_two_gates_that_see_one_crossing_move_it_once_even_in_two_batches(warehouse: Warehouse) -> None:
    tag = warehouse.tag(1)
    warehouse.log.passage(tag, "in", 0, gate="dock-1", confidence=0.7)
    warehouse.record(warehouse.log.message())
    warehouse.log.passage(tag, "in", 3, gate="dock-2", confidence=0.95)
    warehouse.record(warehouse.log.message(2))
    assert warehouse.outcomes() == ["moved", "same_crossing"]
    assert warehouse.kinds() == ["unexplained_in"]


def test_a_better_sighting_of_the_same_crossing_corrects_the_first(warehouse: Warehouse) -> None:
    """given dock-1 guessed `in`; when dock-2 saw it surely go out; then the guess is undone, by a new entry."""
    tag = warehouse.tag(1)
    warehouse.expect(Kind.PURCHASE_RECEIPT, "BOLT", 10, price="4.00")
    warehouse.log.passage(tag, "in", 0, gate="dock-1", confidence=0.55)
    warehouse.record(warehouse.log.message())
    assert warehouse.stock() == {("BOLT", "STORE"): 10}
    warehouse.log.passage(tag, "out", 2, gate="dock-2", confidence=0.98)
    warehouse.record(warehouse.log.message(2))
    assert warehouse.stock() == {("BOLT", "STORE"): -10}  # it left before we ever saw it come
    corrections = warehouse.fetch("SELECT count(*) FROM movements WHERE corrects IS NOT NULL")
    assert corrections == [(1,)]


def test_the_same_gate_twice_within_the_time_is_two_crossings(warehouse: Warehouse) -> None:
    tag = warehouse.tag(1)
    warehouse.log.passage(tag, "in", 0)
    warehouse.log.passage(tag, "out", 8)
    warehouse.record(warehouse.log.message())
    assert warehouse.outcomes() == ["moved", "moved"]
    assert warehouse.stock() == {}


def test_a_passage_to_where_the_tag_is_moves_nothing(warehouse: Warehouse) -> None:
    tag = warehouse.tag(1)
    warehouse.log.passage(tag, "in", 0)
    warehouse.log.passage(tag, "in", 500)
    warehouse.record(warehouse.log.message())
    assert warehouse.outcomes() == ["moved", "already_there"]
    assert warehouse.stock() == {("BOLT", "CLARIFICATION-MAIN"): 10}


def test_turned_back_and_undecided_are_kept_and_move_nothing(warehouse: Warehouse) -> None:
    tag = warehouse.tag(1)
    warehouse.log.passage(tag, "turned_back", 0)
    warehouse.log.passage(tag, "undecided", 30)
    warehouse.record(warehouse.log.message())
    assert warehouse.outcomes() == ["turned_back", "undecided"]
    assert warehouse.stock() == {}


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("verdict", ["turned_back", "undecided"])
def test_a_gate_that_saw_no_crossing_undoes_none_that_another_saw(
    warehouse: Warehouse, verdict: str, late: bool
) -> None:
    """given `in` at dock-1, not very sure; when dock-2 is very sure of no crossing, before or after; then 10 are in."""
    tag = warehouse.tag(1)
    warehouse.expect(Kind.PURCHASE_RECEIPT, "BOLT", 10, price="4.00")
    said = [("in", "dock-1", 0.5, 0), (verdict, "dock-2", 1.0, 1)]
    for direction, gate, confidence, at_s in said if late else said[::-1]:
        warehouse.log.passage(tag, direction, at_s, gate=gate, confidence=confidence)
        warehouse.record(warehouse.log.message(len(warehouse.log.written)))
    assert warehouse.stock() == {("BOLT", "STORE"): 10}
    assert warehouse.kinds() == ["purchase_receipt"]


def test_a_tag_that_stayed_moves_nothing_even_where_a_gateway_says_so(warehouse: Warehouse) -> None:
    """`stayed` is no event and gateways keep it; one that sends it all the same finds it in quarantine."""
    tag = warehouse.tag(1)
    warehouse.log.passage(tag, "stayed", 0, confidence=1.0)
    warehouse.log.passage(tag, "in", 60)
    warehouse.record(warehouse.log.message())
    assert warehouse.outcomes() == ["moved"]
    assert warehouse.stock() == {("BOLT", "CLARIFICATION-MAIN"): 10}
    ((reason,),) = warehouse.fetch("SELECT reason FROM quarantine")
    assert "direction: expected one of in, out, turned_back, undecided, got 'stayed'" in reason


def test_in_and_back_again_after_the_hold_is_in_and_out_and_worth_nothing(warehouse: Warehouse) -> None:
    """given 10 @ 4.00 came in; when the forklift returns after the gate decided; then out, and nothing is left."""
    tag = warehouse.tag(1)
    warehouse.expect(Kind.PURCHASE_RECEIPT, "BOLT", 10, price="4.00", document="PO-1")
    warehouse.expect(Kind.SUPPLIER_RETURN, "BOLT", 10, document="PO-1")
    warehouse.log.passage(tag, "in", 0)
    warehouse.record(warehouse.log.message())
    assert warehouse.stock() == {("BOLT", "STORE"): 10}
    warehouse.log.passage(tag, "out", 9)
    warehouse.log.passage(tag, "turned_back", 15)
    warehouse.record(warehouse.log.message(2))
    assert warehouse.kinds() == ["purchase_receipt", "supplier_return"]
    assert warehouse.stock() == {}


def test_after_a_correction_the_next_crossing_goes_by_where_the_tag_is_now(warehouse: Warehouse) -> None:
    """given `in` by dock-1, corrected to `out` by dock-2; when the tag then comes in; then that moves it, once."""
    tag = warehouse.tag(1)
    warehouse.expect(Kind.PURCHASE_RECEIPT, "BOLT", 10, price="4.00")
    warehouse.log.passage(tag, "in", 0, gate="dock-1", confidence=0.55)
    warehouse.record(warehouse.log.message())
    warehouse.log.passage(tag, "out", 2, gate="dock-2", confidence=0.98)
    warehouse.record(warehouse.log.message(2))
    assert warehouse.stock() == {("BOLT", "STORE"): -10}
    warehouse.log.passage(tag, "in", 600, gate="dock-2", confidence=0.99)
    warehouse.record(warehouse.log.message(3))
    assert sum(warehouse.stock().values()) == 0  # left once and came once; it had never been booked before
    assert [kind.startswith("-") for kind in warehouse.kinds()].count(True) == 1


def test_goods_leave_before_their_papers_and_the_receipt_settles_the_cost(warehouse: Warehouse) -> None:
    """given nothing on stock, last known cost 4.00; when 10 leave and 10 @ 5.00 come; then 50.00 was sold."""
    known, sold, late = warehouse.tag(1), warehouse.tag(2), warehouse.tag(3)
    warehouse.expect(Kind.PURCHASE_RECEIPT, "BOLT", 10, price="4.00", epc=known)
    warehouse.expect(Kind.SALES_SHIPMENT, "BOLT", 20)
    warehouse.log.passage(known, "in")
    warehouse.log.passage(known, "out", 60)
    warehouse.log.passage(sold, "out", 120)
    warehouse.record(warehouse.log.message())
    assert warehouse.accounts() == {"goods": -40.00, "grni": -40.00, "cogs": 80.00}
    warehouse.expect(Kind.PURCHASE_RECEIPT, "BOLT", 10, price="5.00", epc=late)
    warehouse.log.passage(late, "in", 180)
    warehouse.record(warehouse.log.message(4))
    assert warehouse.accounts() == {"grni": -90.00, "cogs": 90.00}


def test_goods_without_any_cost_get_the_first_one(warehouse: Warehouse) -> None:
    """given steel nobody ever bought; when 10 leave uncosted and 10 @ 3.00 come; then 30.00 was sold."""
    first, second = warehouse.tag(1, "STEEL"), warehouse.tag(2, "STEEL")
    warehouse.expect(Kind.SALES_SHIPMENT, "STEEL", 10)
    warehouse.expect(Kind.PURCHASE_RECEIPT, "STEEL", 10, price="3.00")
    warehouse.log.passage(first, "out")
    warehouse.record(warehouse.log.message())
    assert warehouse.fetch("SELECT tags & 4 FROM movements") == [(4,)]
    warehouse.log.passage(second, "in", 60)
    warehouse.record(warehouse.log.message(2))
    assert warehouse.accounts() == {"grni": -30.00, "cogs": 30.00}


def test_an_offline_gateway_changes_the_past_of_one_tag_only(warehouse: Warehouse) -> None:
    """given `out` at dock-1 heard first; when `in` at dock-2 an hour earlier arrives late; then both moved.

    Nobody expected what came in: it waited in clarification, and it is from there that it went out.
    """
    tag = warehouse.tag(1)
    warehouse.log.passage(tag, "out", 7200)
    warehouse.record(warehouse.log.message())
    late = GatewayLog(*warehouse.gateways["gw-2"])
    late.passage(tag, "in", 3600, gate="dock-2")
    warehouse.record(late.message())
    # Taken back, and made again from where the goods were.
    assert warehouse.kinds() == ["unexplained_in", "unexplained_out", "-unexplained_out", "-unexplained_out"]
    assert warehouse.stock() == {}
    assert [place for place, _ in warehouse.fetch("SELECT area_id, epc FROM places")] == [
        warehouse.places["WORLD"]
    ]


def test_a_late_crossing_makes_the_next_one_move_that_had_nothing_to_do(warehouse: Warehouse) -> None:
    """given in at 8, in again at 10 (nothing); when `out` at 9 arrives late; then the second `in` moves too."""
    tag = warehouse.tag(1)
    warehouse.log.passage(tag, "in", 0)
    warehouse.log.passage(tag, "in", 7200)
    warehouse.record(warehouse.log.message())
    assert warehouse.kinds() == ["unexplained_in"]
    late = GatewayLog(*warehouse.gateways["gw-2"])
    late.passage(tag, "out", 3600, gate="dock-2")
    warehouse.record(late.message())
    assert warehouse.kinds() == ["unexplained_in", "unexplained_out", "unexplained_in"]
    assert warehouse.stock() == {("BOLT", "CLARIFICATION-MAIN"): 10}


def test_a_late_crossing_undoes_the_next_one_that_it_has_done_already(warehouse: Warehouse) -> None:
    """given in at 8, out at 10; when another `out` at 9 arrives late; then it moved, and the later is undone."""
    tag = warehouse.tag(1)
    warehouse.log.passage(tag, "in", 0)
    warehouse.log.passage(tag, "out", 7200)
    warehouse.record(warehouse.log.message())
    late = GatewayLog(*warehouse.gateways["gw-2"])
    late.passage(tag, "out", 3600, gate="dock-2")
    warehouse.record(late.message())
    assert warehouse.kinds() == ["unexplained_in", "unexplained_out", "unexplained_out", "-unexplained_out"]
    assert warehouse.stock() == {}


def test_a_tag_nobody_registered_waits_and_is_booked_when_it_is_bound(warehouse: Warehouse) -> None:
    from cloud.flows.bind_tag import bind_tag
    from tests.makers import epc

    warehouse.expect(Kind.PURCHASE_RECEIPT, "BOLT", 10, price="4.00", document="PO-9")
    warehouse.log.passage(epc(5), "in", 0)
    warehouse.record(warehouse.log.message())
    assert warehouse.outcomes() == ["unregistered"]
    assert warehouse.stock() == {}
    made = bind_tag(warehouse.owner, warehouse.company_id, epc(5), warehouse.items["BOLT"], 10_000_000)
    assert len(made) == 1
    assert warehouse.stock() == {("BOLT", "STORE"): 10}
    assert warehouse.fetch("SELECT movement_id = %s::uuid, occurred_us FROM movements", made[0]) == [
        (True, warehouse.log.written[0].occurred_at_us)
    ]
    assert warehouse.fetch("SELECT count(*) FROM open_observations") == [(0,)]
    assert bind_tag(warehouse.owner, warehouse.company_id, epc(5), warehouse.items["BOLT"], 10_000_000) == []


def test_a_clock_far_ahead_is_not_believed(warehouse: Warehouse) -> None:
    tag = warehouse.tag(1)
    year = 365 * 86_400 * 1_000_000
    received = warehouse.log.passage(tag, "in", occurred_at_us=warehouse.clock_us + 3 * year)
    warehouse.record(warehouse.log.message())
    rows = warehouse.fetch("SELECT occurred_us, claimed_us FROM observations")
    assert rows[0][0] < received.occurred_at_us == rows[0][1]
    assert warehouse.fetch("SELECT tags & 2 FROM movements") == [(2,)]


def test_what_happened_months_ago_goes_to_clarification(warehouse: Warehouse) -> None:
    tag = warehouse.tag(1)
    warehouse.expect(Kind.PURCHASE_RECEIPT, "BOLT", 10, price="4.00")
    warehouse.log.passage(tag, "in", -40 * 86_400)
    warehouse.record(warehouse.log.message())
    assert warehouse.stock() == {("BOLT", "CLARIFICATION-MAIN"): 10}


def test_a_late_event_is_posted_behind_a_locked_period_and_says_so(warehouse: Warehouse) -> None:
    tag = warehouse.tag(1)
    warehouse.close(202608)
    warehouse.expect(Kind.PURCHASE_RECEIPT, "BOLT", 10, price="4.00")
    warehouse.log.passage(tag, "in", -25 * 86_400)  # 27 August
    warehouse.record(warehouse.log.message())
    entries = warehouse.fetch("SELECT posting_date::text, tags & 1 FROM journal_entries")
    assert entries == [("2026-09-01", 1)]


def test_a_tag_that_is_bound_stays_what_it_is(warehouse: Warehouse) -> None:
    """Its movements were booked as that item: another binding would make goods out of nothing."""
    from cloud.flows.bind_tag import CannotBind, bind_tag

    tag = warehouse.tag(1, "BOLT")
    with pytest.raises(CannotBind, match="BOLT"):
        bind_tag(warehouse.owner, warehouse.company_id, tag, warehouse.items["LAMP"], 10_000_000)
    with pytest.raises(CannotBind, match="BOLT"):
        bind_tag(warehouse.owner, warehouse.company_id, tag, warehouse.items["BOLT"], 5_000_000)
    assert bind_tag(warehouse.owner, warehouse.company_id, tag, warehouse.items["BOLT"], 10_000_000) == []


def test_an_adjustment_of_a_locked_month_is_posted_behind_the_lock_and_says_so(warehouse: Warehouse) -> None:
    """given 10 sold short in August; when August is locked and 10 @ 5.00 come; then 10.00 falls in September."""
    known, sold, late = warehouse.tag(1), warehouse.tag(2), warehouse.tag(3)
    august = -25 * 86_400
    warehouse.expect(Kind.PURCHASE_RECEIPT, "BOLT", 10, price="4.00", epc=known)
    warehouse.expect(Kind.SALES_SHIPMENT, "BOLT", 20)
    warehouse.log.passage(known, "in", august)
    warehouse.log.passage(known, "out", august + 60)
    warehouse.log.passage(sold, "out", august + 120)
    warehouse.record(warehouse.log.message())
    warehouse.close(202608)
    warehouse.expect(Kind.PURCHASE_RECEIPT, "BOLT", 10, price="5.00", epc=late)
    warehouse.log.passage(late, "in", 180)
    warehouse.record(warehouse.log.message(4))
    [(day, tags, amount)] = warehouse.fetch(
        "SELECT e.posting_date::text, e.tags & 1, l.amount FROM journal_entries e"
        " JOIN journal_lines l USING (company_id, source_id, step) JOIN accounts a USING (company_id, account_id)"
        " WHERE e.step >= 2 AND a.role = 'cogs'"
    )
    assert (day, tags, amount) == ("2026-09-01", 1, 1000)
    assert warehouse.accounts() == {"grni": -90.00, "cogs": 90.00}
