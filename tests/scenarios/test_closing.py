"""Stories of periods that close: what is brought to rest, what the checklist says, who may still post."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from cloud.domain.ledger.checklist import State
from cloud.domain.movement import Kind
from cloud.flows.ledger.close_checklist import NoSuchPeriod, run_checklist
from cloud.flows.ledger.close_period import CannotClose, lock, reopen, soft_close
from cloud.flows.ledger.rates import record_rates
from cloud.store.ledger import closing
from cloud.store.ledger.rates import Known
from tests.late_goods import Event, arrive, buy, move, sell
from tests.makers import Warehouse

DAY_S = 86_400
AUGUST_S = -30 * DAY_S  # 22 August; noon of the tests is on 21 September
JULY_S = -60 * DAY_S
BY = "Wang Fang"


def states(warehouse: Warehouse, first: int = 202606, last: int = 202610) -> dict[int, str]:
    return dict(
        warehouse.fetch(
            "SELECT period_id, state FROM periods WHERE period_id BETWEEN %s AND %s ORDER BY 1", first, last
        )
    )


def events(warehouse: Warehouse, period: int) -> list[tuple[Any, ...]]:
    return warehouse.fetch(
        "SELECT from_state, to_state, recorded_by, reason FROM period_events WHERE period_id = %s ORDER BY link_no",
        period,
    )


def found(warehouse: Warehouse, period: int) -> dict[str, tuple[State, int]]:
    """What the checklist says, passed items left out."""
    items = run_checklist(warehouse.ingest, warehouse.company_id, period)
    return {item.name: (item.state, item.count) for item in items if item.state is not State.PASSED}


def close(warehouse: Warehouse, period: int, **more: Any) -> Any:
    return soft_close(warehouse.ingest, warehouse.company_id, period, by=BY, **more)


def lock_it(warehouse: Warehouse, period: int, **more: Any) -> Any:
    return lock(warehouse.ingest, warehouse.company_id, period, by=BY, **more)


@pytest.fixture
def warehouse(warehouse: Warehouse) -> Warehouse:
    """Goods received not invoiced are cleared item by item, whatever chart ships."""
    warehouse.owner.execute("UPDATE accounts SET has_items = true, is_monetary = true WHERE role = 'grni'")
    return warehouse


# ── States ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_period_is_soft_closed_and_locked_with_those_before_it_that_have_no_entries(
    warehouse: Warehouse,
) -> None:
    arrive(warehouse, [buy(1, 10, 4, AUGUST_S), sell(2, 4, AUGUST_S + 60)])
    closed = close(warehouse, 202608, reason="month end")
    assert (closed.state, closed.changed, closed.passed) == ("soft_closed", True, True)
    assert states(warehouse) == {
        202606: "soft_closed", 202607: "soft_closed", 202608: "soft_closed", 202609: "open", 202610: "open",
    }  # fmt: skip
    assert events(warehouse, 202608) == [("open", "soft_closed", BY, "month end")]
    assert events(warehouse, 202607) == [("open", "soft_closed", BY, "no entries when 202608 became soft_closed")]
    assert lock_it(warehouse, 202608).passed
    assert states(warehouse)[202606] == states(warehouse)[202608] == "locked"
    assert states(warehouse)[202609] == "open"


def test_a_period_before_that_has_entries_is_named_and_nothing_changes(warehouse: Warehouse) -> None:
    arrive(warehouse, [buy(1, 10, 4, JULY_S), sell(2, 4, AUGUST_S)])
    with pytest.raises(CannotClose, match="202607 comes before it, has entries and is open"):
        close(warehouse, 202608)
    assert set(states(warehouse).values()) == {"open"}
    close(warehouse, 202607)
    close(warehouse, 202608)
    with pytest.raises(CannotClose, match="202607 comes before it, has entries and is soft_closed"):
        lock_it(warehouse, 202608)
    assert states(warehouse)[202606] == "soft_closed"  # those without entries went nowhere either
    lock_it(warehouse, 202607)
    lock_it(warehouse, 202608)
    assert states(warehouse)[202608] == "locked"


def test_the_same_state_again_changes_nothing(warehouse: Warehouse) -> None:
    arrive(warehouse, [buy(1, 10, 4, AUGUST_S)])
    assert close(warehouse, 202608).changed
    assert not close(warehouse, 202608).changed
    first = lock_it(warehouse, 202608)
    again = lock_it(warehouse, 202608)
    assert (first.changed, again.changed) == (True, False)
    assert again.report == first.report
    assert len(events(warehouse, 202608)) == 2


def test_no_state_is_skipped_and_none_goes_back(warehouse: Warehouse) -> None:
    with pytest.raises(CannotClose, match="202608 is open: it is soft-closed before it is locked"):
        lock_it(warehouse, 202608)
    with pytest.raises(NoSuchPeriod, match="there is no period 190001"):
        close(warehouse, 190001)
    close(warehouse, 202608)
    assert reopen(warehouse.ingest, warehouse.company_id, 202608, by=BY, reason="an invoice was forgotten")
    assert not reopen(warehouse.ingest, warehouse.company_id, 202608, by=BY, reason="once more")
    assert events(warehouse, 202608)[-1] == ("soft_closed", "open", BY, "an invoice was forgotten")
    with pytest.raises(CannotClose, match="expected a reason why the period is opened again"):
        reopen(warehouse.ingest, warehouse.company_id, 202607, by=BY, reason=" ")
    with pytest.raises(CannotClose, match="202606 cannot be opened again: one behind it is closed"):
        reopen(warehouse.ingest, warehouse.company_id, 202606, by=BY, reason="out of order")
    close(warehouse, 202608)
    lock_it(warehouse, 202608)
    for refused in (
        lambda: close(warehouse, 202608),
        lambda: reopen(warehouse.ingest, warehouse.company_id, 202608, by=BY, reason="why not"),
    ):
        with pytest.raises(CannotClose, match="202608 is locked: nothing opens it again"):
            refused()


# ── What is brought to rest, and the report ─────────────────────────────────────────────────────────


def test_what_waits_is_brought_to_rest_and_the_report_tells_it(warehouse: Warehouse) -> None:
    """given 10 @ 4.00 and 4 sold of them; when 10 @ 6.00 come late from before the sale, a lamp of a periodic method
    is sold, and the month is closed; then costs are at rest and settled, and the report adds up."""
    warehouse.owner.execute("UPDATE items SET method = 'periodic_average' WHERE code = 'LAMP'")
    arrive(warehouse, [buy(1, 10, 4, AUGUST_S), sell(2, 4, AUGUST_S + 600)])
    arrive(warehouse, [buy(3, 10, 6, AUGUST_S - 600)])
    lamps = [Event(4, Kind.PURCHASE_RECEIPT, "LAMP", 10, "SUPPLIER", "STORE", AUGUST_S, 2_000_000),
             Event(5, Kind.SALES_SHIPMENT, "LAMP", 5, "STORE", "CUSTOMER", AUGUST_S + 60),
             Event(6, Kind.PURCHASE_RECEIPT, "LAMP", 10, "SUPPLIER", "STORE", AUGUST_S + 90, 4_000_000)]  # fmt: skip
    arrive(warehouse, lamps)
    assert found(warehouse, 202608)["pools_at_rest"] == (State.FAILED, 1)
    report = close(warehouse, 202608).report
    steps = {one["name"]: one for one in report["steps"]}
    assert steps["recost"]["result"]["adjusted"] >= 0
    assert steps["settle"]["result"]["pools"] == 1
    assert all(one["refused"] == "" for one in report["steps"])
    assert "pools_at_rest" not in found(warehouse, 202608)
    # 4 bolts @ 6.00 and 5 lamps @ 3.00.
    accounts = {one["account"]: one for one in report["accounts"]}
    stock = sum(float(one["value"]) for one in report["stock"])
    assert stock == 100 + 60 - 24 - 15 == float(warehouse.accounts()["goods"])
    assert report["debit"] == report["credit"]
    assert sum(float(one["closing"]) for one in accounts.values()) == 0
    assert sum(one["entries"] for one in report["entries"]) > 5
    assert any(head["chain"].startswith("lane ") and len(head["head"]) == 64 for head in report["heads"])
    stored = closing.read_report(warehouse.ingest, warehouse.company_id, 202608)
    assert stored is not None
    assert stored.report == report
    assert stored.recorded_by == BY


def test_the_next_period_opens_with_what_the_last_one_closed_at(warehouse: Warehouse) -> None:
    arrive(warehouse, [buy(1, 10, 4, AUGUST_S), sell(2, 4, AUGUST_S + 60), buy(3, 5, 4, 0)])
    august = {one["account"]: one["closing"] for one in close(warehouse, 202608).report["accounts"]}
    september = close(warehouse, 202609).report["accounts"]
    assert {one["account"]: one["opening"] for one in september if float(one["opening"])} == august


def test_the_last_month_of_the_fiscal_year_carries_its_results_forward_and_late_ones_too(
    warehouse: Warehouse,
) -> None:
    """given a fiscal year that begins in September; when August closes, what was sold is in retained earnings; when a
    sale comes late and August is locked, its cost is there as well."""
    warehouse.owner.execute("UPDATE companies SET fiscal_year_month = 9")
    arrive(warehouse, [buy(1, 10, 4, AUGUST_S), sell(2, 4, AUGUST_S + 60)])
    steps = {one["name"]: one for one in close(warehouse, 202608).report["steps"]}
    assert (steps["carry"]["result"]["profit"], steps["carry"]["refused"]) == ("-16.00", "")
    assert warehouse.accounts().get("cogs", 0) == 0
    arrive(warehouse, [sell(3, 1, AUGUST_S + 120)])
    lock_it(warehouse, 202608)
    accounts = warehouse.accounts()
    assert (accounts.get("cogs", 0), accounts["retained_earnings"]) == (0, 20.0)
    assert warehouse.fetch("SELECT count(*) FROM voucher_numbers WHERE period_id = 202608") == warehouse.fetch(
        "SELECT count(*) FROM journal_entries WHERE period_id = 202608"
    )


# ── The checklist ───────────────────────────────────────────────────────────────────────────────────


def test_a_quiet_month_passes_every_item(warehouse: Warehouse) -> None:
    assert found(warehouse, 202608) == {
        "periods_before": (State.TOLD, 21), "silent_gateways": (State.TOLD, 2),
    }  # fmt: skip


def test_receipts_without_an_invoice_are_told_with_their_age(warehouse: Warehouse) -> None:
    arrive(warehouse, [buy(1, 10, 4, AUGUST_S), buy(2, 5, 4, AUGUST_S + DAY_S), buy(3, 5, 4, 0)])
    items = {one.name: one for one in run_checklist(warehouse.ingest, warehouse.company_id, 202608)}
    receipts = items["unmatched_receipts"]
    assert (receipts.state, receipts.count) == (State.TOLD, 2)  # September's is not of August
    assert [(row["opened_on"], row["age_days"], row["amount"]) for row in receipts.details] == [
        ("2026-08-22", 9, "-40.00"), ("2026-08-23", 8, "-20.00"),
    ]  # fmt: skip
    assert receipts.en == "2 receipts are not invoiced yet"
    assert receipts.zh == "2 笔入库暂估, 尚未收到发票"
    clearing = items["clearing_explained"]
    assert clearing.state is State.PASSED
    assert [
        (row["balance"], row["open_items"], row["count"]) for row in clearing.details if row["role"] == "grni"
    ] == [("-60.00", "-60.00", 2)]


def test_old_clarifications_fail_and_can_be_forced_with_a_reason(warehouse: Warehouse) -> None:
    arrive(warehouse, [buy(1, 10, 4, AUGUST_S - 60)])
    log = warehouse.log
    log.passage(warehouse.tag(1), "in", AUGUST_S)  # nobody expects it
    warehouse.record(log.message())
    assert "clarification_age" not in found(warehouse, 202608)  # nine days old then
    warehouse.owner.execute("UPDATE companies SET clarification_days = 8")
    state, count = found(warehouse, 202608)["clarification_age"]
    assert (state, count > 0) == (State.FAILED, True)
    assert not close(warehouse, 202608).passed
    with pytest.raises(CannotClose, match="older than 8 days"):
        lock_it(warehouse, 202608)
    with pytest.raises(CannotClose, match="expected a reason"):
        lock_it(warehouse, 202608, force=True)
    assert states(warehouse)[202608] == "soft_closed"
    closed = lock_it(warehouse, 202608, force=True, reason="the owner of the pallet is known")
    assert (closed.passed, closed.report["forced"]) == (False, True)
    assert events(warehouse, 202608)[-1] == ("soft_closed", "locked", BY, "the owner of the pallet is known")
    assert warehouse.fetch(
        "SELECT passed, report ->> 'reason' FROM close_reports ORDER BY link_no DESC LIMIT 1"
    ) == [(False, "the owner of the pallet is known")]


def test_stock_that_differs_from_the_ledger_is_never_forced(warehouse: Warehouse) -> None:
    arrive(warehouse, [buy(1, 10, 4, AUGUST_S)])
    close(warehouse, 202608)
    before = warehouse.fetch("SELECT * FROM turnovers ORDER BY account_id")
    warehouse.owner.execute("UPDATE turnovers SET debit = debit + 100 WHERE account_id ="
                            " (SELECT account_id FROM accounts WHERE role = 'goods')")  # fmt: skip
    assert found(warehouse, 202608)["stock_equals_ledger"] == (State.FAILED, 1)
    with pytest.raises(CannotClose, match="cannot be forced: 1 stock accounts differ from the ledger") as refused:
        lock_it(warehouse, 202608, force=True, reason="we are in a hurry")
    assert [item.name for item in refused.value.items] == ["stock_equals_ledger"]
    warehouse.owner.execute("UPDATE turnovers SET debit = debit - 100 WHERE account_id ="
                            " (SELECT account_id FROM accounts WHERE role = 'goods')")  # fmt: skip
    assert warehouse.fetch("SELECT * FROM turnovers ORDER BY account_id") == before
    lock_it(warehouse, 202608)


def test_goods_in_transit_are_explained_by_their_layers(warehouse: Warehouse) -> None:
    arrive(warehouse, [buy(1, 10, 4, AUGUST_S), move(2, 6, AUGUST_S + 60, "STORE", "IN-TRANSIT")])
    items = {one.name: one for one in run_checklist(warehouse.ingest, warehouse.company_id, 202608)}
    layers = items["layers_explained"]
    assert layers.state is State.PASSED
    assert [
        (r["pools"], r["layers"], r["count"], r["age_days"]) for r in layers.details if r["role"] == "in_transit"
    ] == [("24", "24", 1, 9)]


def test_what_no_gate_could_book_stands_in_the_way(warehouse: Warehouse) -> None:
    log = warehouse.log
    log.passage(warehouse.tag(1), "in", AUGUST_S, gate="nowhere")
    log.passage("E28000000000000000000BAD", "in", AUGUST_S + 5)
    warehouse.record(log.message())
    warehouse.owner.execute("UPDATE gateway_logs SET stopped = 'another id under number 2'")
    told = found(warehouse, 202608)
    assert told["quarantine"] == (State.FAILED, 1)
    assert told["open_observations"] == (State.TOLD, 1)
    assert told["stopped_logs"] == (State.FAILED, 1)
    warehouse.owner.execute("UPDATE gateway_logs SET stopped = NULL")


def test_a_draft_of_the_period_stands_in_the_way(warehouse: Warehouse) -> None:
    arrive(warehouse, [buy(1, 10, 4, AUGUST_S), sell(2, 4, AUGUST_S + 60)])
    warehouse.owner.execute(
        "INSERT INTO journal_drafts (company_id, movement_id, document, item_id, qty_micro, price_micro, currency,"
        " rate_nano, net_amount, occurred_us)"
        " SELECT company_id, movement_id, 'SO-1', item_id, qty_micro, 9000000, 0, 1000000000, 3600, occurred_us"
        "   FROM movements WHERE kind = 3"
    )
    assert found(warehouse, 202608)["drafts"] == (State.FAILED, 1)
    assert "drafts" not in found(warehouse, 202607)
    items = {one.name: one for one in run_checklist(warehouse.ingest, warehouse.company_id, 202608)}
    assert items["drafts"].details[0]["net_amount"] == "36.00"
    warehouse.owner.execute("UPDATE journal_drafts SET state = 'dismissed', changed_by = 'test'")
    assert "drafts" not in found(warehouse, 202608)
    warehouse.owner.execute("DELETE FROM journal_drafts")  # its shipment had no price


def test_a_currency_with_a_balance_needs_its_closing_rate(warehouse: Warehouse) -> None:
    """given a receipt in US dollars; when no rate of September is known, revaluing is refused and the checklist fails;
    when it is, the balance is worth what it says."""
    warehouse.expect(Kind.PURCHASE_RECEIPT, "BOLT", 10, price="4.00", currency="USD", rate_nano=7_000_000_000)
    log = warehouse.log
    log.passage(warehouse.tag(1), "in", 0)
    warehouse.record(log.message())
    assert found(warehouse, 202609)["closing_rates"] == (State.FAILED, 1)
    closed = close(warehouse, 202609)
    assert [one["name"] for one in closed.report["steps"] if one["refused"]] == ["revalue"]
    failed = {one["name"] for one in closed.report["checklist"] if one["state"] == "failed"}
    assert failed == {"closing_rates", "steps_done"}
    record_rates(warehouse.owner, warehouse.company_id, [Known(840, date(2026, 9, 30), 7_100_000_000)], BY)
    again = close(warehouse, 202609)
    assert again.passed
    assert {one["name"]: one["result"] for one in again.report["steps"]}["revalue"]["difference"] == "-4.00"


def test_a_gateway_that_was_heard_since_the_period_ended_is_not_silent(warehouse: Warehouse) -> None:
    """One is heard today; one was last heard in August; an offline one says nothing of what it still holds."""
    put = (
        "INSERT INTO gateway_status (company_id, gateway_id, received_at, online, status)"
        " SELECT company_id, gateway_id, %s, %s, '{}' FROM gateways WHERE code = %s"
        " ON CONFLICT (company_id, gateway_id) DO UPDATE"
        "    SET received_at = excluded.received_at, online = excluded.online"
    )
    for at, online, code in (("2026-09-02", True, "gw-1"), ("2026-08-30", True, "gw-2")):
        warehouse.owner.execute(put, [at, online, code])
    items = {one.name: one for one in run_checklist(warehouse.ingest, warehouse.company_id, 202608)}
    assert [row["gateway"] for row in items["silent_gateways"].details] == ["EAST/gw-2"]
    warehouse.owner.execute(put, ["2026-09-02", False, "gw-2"])
    assert found(warehouse, 202608)["silent_gateways"] == (State.TOLD, 1)
    warehouse.owner.execute(put, ["2026-09-02", True, "gw-2"])
    assert "silent_gateways" not in found(warehouse, 202608)


def test_a_period_that_is_not_over_and_the_last_of_the_calendar_fail(warehouse: Warehouse) -> None:
    this_month = warehouse.fetch("SELECT to_char(now() AT TIME ZONE 'Asia/Shanghai', 'YYYYMM')::integer")[0][0]
    assert found(warehouse, this_month)["period_over"] == (State.FAILED, 1)
    last = warehouse.fetch("SELECT max(period_id) FROM periods")[0][0]
    assert found(warehouse, last)["next_period"] == (State.FAILED, 1)


def test_the_checklist_changes_nothing(warehouse: Warehouse) -> None:
    arrive(warehouse, [buy(1, 10, 4, AUGUST_S)])
    warehouse.ingest.execute("SET default_transaction_read_only = on")
    run_checklist(warehouse.ingest, warehouse.company_id, 202608)
    warehouse.ingest.execute("SET default_transaction_read_only = off")
    assert set(states(warehouse).values()) == {"open"}


def test_ages_are_counted_in_the_companys_days(warehouse: Warehouse) -> None:
    """23:30 UTC of the last day of August is the first of September in Shanghai: not August's."""
    late_evening = datetime(2026, 8, 31, 23, 30, tzinfo=UTC).timestamp() - 1_790_000_000
    arrive(warehouse, [buy(1, 10, 4, late_evening)])
    assert warehouse.fetch("SELECT posting_date FROM journal_entries") == [(date(2026, 9, 1),)]
    assert "unmatched_receipts" not in found(warehouse, 202608)
    assert found(warehouse, 202609)["unmatched_receipts"] == (State.TOLD, 1)
