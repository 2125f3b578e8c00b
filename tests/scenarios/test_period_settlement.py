"""Stories of periods that are settled: their issues take their price, and it follows the goods."""

import psycopg
import pytest

from cloud.domain.movement import Kind
from cloud.flows.settle_period import CannotSettle, settle_period
from tests.late_goods import Event, Unchanged, arrive, at_rest, books, buy, move, sell
from tests.makers import Warehouse

DAY_S = 86_400
AUGUST_S = -30 * DAY_S  # 22 August; noon of the tests is on 21 September


@pytest.fixture
def periodic(warehouse: Warehouse) -> Warehouse:
    """Bolts at the periodic average."""
    warehouse.owner.execute("UPDATE items SET method = 'periodic_average' WHERE code = 'BOLT'")
    return warehouse


def state(warehouse: Warehouse, period: int, state: str) -> None:
    """Of the period and all that went before."""
    warehouse.close(period, state)


def settle(warehouse: Warehouse, period: int) -> None:
    """As the services' role; everything is at rest behind it and every promise holds."""
    before = Unchanged(warehouse)
    settle_period(warehouse.ingest, warehouse.company_id, period)
    before.check()
    warehouse.check()
    assert warehouse.fetch("SELECT count(*) FROM cost_pools WHERE late_from_us IS NOT NULL") == [(0,)]


def issue_costs(warehouse: Warehouse) -> list[float]:
    """What each issue costs by now, by its time."""
    rows = warehouse.fetch(
        "SELECT sum(-e.value) FROM movements m"
        " JOIN cost_entries e ON coalesce(e.corrects, e.movement_id) = m.movement_id WHERE"
        " m.kind = 3 GROUP BY m.movement_id, m.occurred_us ORDER BY m.occurred_us"
    )
    return [float(value) / 1e6 for (value,) in rows]


def test_a_settled_period_gives_all_its_issues_one_price_on_its_last_day(periodic: Warehouse) -> None:
    """given 10 @ 4.00, 5 sold, 10 @ 6.00, 5 sold; when the month is settled; then each sale costs 5.00 a piece, the
    difference stands on the last day of the month, and the average stays with what is left."""
    arrive(periodic, [buy(1, 10, 4, AUGUST_S), sell(2, 5, AUGUST_S + 60), buy(3, 10, 6, AUGUST_S + 120),
                      sell(4, 5, AUGUST_S + 180)])  # fmt: skip
    at_rest(periodic)
    state(periodic, 202608, "soft_closed")
    settle(periodic, 202608)
    assert issue_costs(periodic) == [25.0, 25.0]
    assert periodic.accounts() == {"goods": 50.0, "cogs": 50.0, "grni": -100.0}
    days = periodic.fetch("SELECT DISTINCT posting_date::text FROM cost_entries WHERE journal_id IS NOT NULL")
    assert days == [("2026-08-31",)]
    # The next month's issues leave at the last settled price until their own is known.
    arrive(periodic, [buy(5, 10, 9, 0), sell(6, 4, 60)])
    assert issue_costs(periodic)[2] == 20.0


def test_the_difference_follows_the_goods_into_the_pools_they_went_to(periodic: Warehouse) -> None:
    arrive(periodic, [buy(1, 10, 4, AUGUST_S), move(2, 10, AUGUST_S + 60, "STORE", "EAST"),
                      buy(3, 10, 6, AUGUST_S + 120), sell(4, 5, AUGUST_S + 180, "EAST")])  # fmt: skip
    state(periodic, 202608, "soft_closed")
    settle(periodic, 202608)
    assert issue_costs(periodic) == [25.0]
    assert sorted(value for _, _, value in books(periodic).pools) == [25_000_000, 50_000_000]


def test_a_settlement_is_repeated_until_the_lock_and_what_comes_later_belongs_to_the_next(
    periodic: Warehouse,
) -> None:
    """given a settled August; when a sale of August comes late, it takes August's price by the next settlement or at
    once by re-costing; when August is locked it cannot be settled, and what comes then waits for September's."""
    arrive(periodic, [buy(1, 10, 4, AUGUST_S), sell(2, 2, AUGUST_S + 60), buy(3, 10, 6, AUGUST_S + 120)])
    state(periodic, 202608, "soft_closed")
    settle(periodic, 202608)
    arrive(periodic, [buy(4, 20, 7, AUGUST_S + 180)])
    settle(periodic, 202608)
    assert issue_costs(periodic) == [12.0]
    state(periodic, 202608, "locked")
    with pytest.raises(CannotSettle, match="202608 is locked"):
        settle_period(periodic.ingest, periodic.company_id, 202608)
    arrive(periodic, [sell(5, 2, AUGUST_S + 200), buy(6, 2, 60, 0)])
    at_rest(periodic)
    state(periodic, 202609, "soft_closed")
    settle(periodic, 202609)
    # 38 pieces worth 228.00 and 2 @ 60.00: 8.70 a piece for what was posted in September.
    assert issue_costs(periodic) == [12.0, 17.4]
    assert periodic.fetch("SELECT count(*) FROM journal_entries WHERE period_id = 202608 AND kind = 38"
                          " AND recorded_at > (SELECT min(recorded_at) FROM movements WHERE occurred_us > 0)"
                          " AND tags & 1 = 1") == [(0,)]  # fmt: skip


def test_periods_are_settled_in_their_order_and_soft_closed(periodic: Warehouse) -> None:
    arrive(periodic, [buy(1, 10, 4, AUGUST_S), sell(2, 2, AUGUST_S + 60), sell(3, 2, 0)])
    with pytest.raises(CannotSettle, match="expected it to be soft-closed, got open"):
        settle_period(periodic.ingest, periodic.company_id, 202608)
    state(periodic, 202608, "soft_closed")
    state(periodic, 202609, "soft_closed")
    with pytest.raises(CannotSettle, match="202608 comes before it and is not settled"):
        settle_period(periodic.ingest, periodic.company_id, 202609)
    with pytest.raises(CannotSettle, match="there is no period 190001"):
        settle_period(periodic.ingest, periodic.company_id, 190001)
    settle(periodic, 202608)
    settle(periodic, 202609)


@pytest.mark.parametrize(
    ("method", "costs"), [("periodic_fifo", [20.0, 25.0]), ("periodic_lifo", [30.0, 20.0 + 5.0])]
)
def test_layers_are_taken_at_the_end_of_their_period(
    warehouse: Warehouse, method: str, costs: list[float]
) -> None:
    """given 6 @ 4.00, 5 sold, 10 @ 6.00, 5 sold; when the month is settled; then the issues take the layers in turn:
    the oldest first, or the youngest that came by the end of the month."""
    warehouse.owner.execute("UPDATE companies SET profile = 'US_GAAP'")
    warehouse.owner.execute("UPDATE items SET method = %s WHERE code = 'BOLT'", [method])
    arrive(warehouse, [buy(1, 5, 4, AUGUST_S), sell(2, 5, AUGUST_S + 60), buy(3, 5, 5, AUGUST_S + 90),
                       buy(4, 5, 6, AUGUST_S + 120), sell(5, 5, AUGUST_S + 180)])  # fmt: skip
    state(warehouse, 202608, "soft_closed")
    settle(warehouse, 202608)
    assert issue_costs(warehouse) == ([20.0, 25.0] if method == "periodic_fifo" else [30.0, 25.0])


def test_a_return_comes_at_what_its_issue_costs_after_all(periodic: Warehouse) -> None:
    arrive(periodic, [buy(1, 10, 4, AUGUST_S), sell(2, 5, AUGUST_S + 60), buy(3, 10, 6, AUGUST_S + 120)])
    arrive(periodic, [Event(4, Kind.CUSTOMER_RETURN, "BOLT", 5, "CUSTOMER", "STORE", 0, None, 2)])
    state(periodic, 202608, "soft_closed")
    settle(periodic, 202608)
    assert periodic.accounts() == {"goods": 100.0, "grni": -100.0}


def test_a_service_cannot_settle_behind_the_job(periodic: Warehouse) -> None:
    """A settlement waits for a re-costing that is at it, and does its own work then."""
    arrive(periodic, [buy(1, 10, 4, AUGUST_S), sell(2, 2, AUGUST_S + 60)])
    state(periodic, 202608, "soft_closed")
    info = periodic.ingest.info
    with psycopg.connect(host=info.host, port=info.port, dbname=info.dbname, user=info.user, password=info.password,
                         autocommit=True) as other:  # fmt: skip
        other.execute("SELECT pg_advisory_lock(hashtext('tallygate recosting'), %s)", [periodic.company_id])
        periodic.ingest.execute("SET lock_timeout = '200ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            settle_period(periodic.ingest, periodic.company_id, 202608)
        periodic.ingest.execute("RESET lock_timeout")
    settle(periodic, 202608)
