"""Stories of a year's end: results become profit, profit becomes retained earnings, once."""

from datetime import date
from uuid import uuid4

import psycopg
import pytest

from cloud.domain.movement import Kind
from cloud.flows.ledger.carry_forward import CannotCarry, Carried, carry_forward, carry_month, fiscal_year
from cloud.flows.ledger.post_document import CannotPost, Document, DocumentLine, post_documents
from cloud.store.batches import close_batch, load_company, open_batch
from tests.makers import NOON_US, Warehouse
from tests.valuing import receive, sell

DECEMBER_S = 80 * 86_400  # noon of the tests is on 21 September
JANUARY_S = 110 * 86_400


@pytest.fixture
def number(warehouse: Warehouse) -> dict[str, int]:
    """Accounts by number."""
    return dict(warehouse.fetch("SELECT number, account_id FROM accounts"))


def manual(warehouse: Warehouse, day: date, *lines: DocumentLine) -> None:
    """A manual entry."""
    with warehouse.owner.transaction(), warehouse.owner.cursor() as cursor:
        company = load_company(cursor, warehouse.company_id)
        batch = open_batch(cursor, company, 5, NOON_US, "Mei", posts_soft_closed=True)
        post_documents(cursor, batch, [Document(uuid4(), Kind.MANUAL, "M", day, lines)])
        close_batch(cursor, batch)


def balances(warehouse: Warehouse, *prefixes: str) -> dict[str, int]:
    """Minor units by number, of accounts whose numbers begin so, nothing left out but what stands at nought."""
    rows = warehouse.fetch("SELECT number, balance FROM account_balances WHERE balance <> 0 ORDER BY number")
    return {number: balance for number, balance in rows if number.startswith(prefixes)}


def year(warehouse: Warehouse, which: int = 2026) -> Carried:
    """Carried forward."""
    return carry_forward(warehouse.ingest, warehouse.company_id, which)


def test_results_become_profit_and_profit_retained_earnings(warehouse: Warehouse, number: dict[str, int]) -> None:
    """given 40.00 of goods sold for 100.00 and rent of 25.00 by cost centre; when the year is carried forward; then
    35.00 stand on retained earnings, nothing on revenues, expenses and the year's profit, and the entries are of the
    last day of the year and say what they are."""
    [(centre,)] = warehouse.fetch(
        "INSERT INTO dimension_sets (company_id, code) VALUES (%s, 'cost_centre=A1') RETURNING dimension_id",
        warehouse.company_id,
    )
    receive(warehouse, "BOLT", 20, "4.00")
    sell(warehouse, "BOLT", 10, 60)
    manual(
        warehouse, date(2026, 10, 1), DocumentLine(number["1002"], 10_000), DocumentLine(number["6001"], -10_000)
    )
    manual(
        warehouse,
        date(2026, 11, 2),
        DocumentLine(number["6601"], 2_500, centre),
        DocumentLine(number["1002"], -2_500),
    )
    done = year(warehouse)
    assert (done.day, done.profit, done.retained, len(done.documents)) == (date(2026, 12, 31), 3_500, 3_500, 3)
    assert balances(warehouse, "6", "4") == {"410406": -3_500}
    entries = warehouse.fetch(
        "SELECT e.posting_date, e.kind, d.narration, d.recorded_by FROM journal_entries e"
        " JOIN ledger_documents d ON d.document_id = e.source_id WHERE e.kind = 55 ORDER BY e.row_no"
    )
    assert [row[2] for row in entries] == ["结转收入", "结转成本费用", "结转本年利润"]
    assert {row[:2] + row[3:] for row in entries} == {(date(2026, 12, 31), 55, "carry-forward")}
    assert warehouse.fetch("SELECT amount FROM journal_lines WHERE dimension_id = %s ORDER BY 1", centre) == [
        (-2_500,), (2_500,),
    ]  # fmt: skip


def test_a_second_run_posts_the_difference_only(warehouse: Warehouse, number: dict[str, int]) -> None:
    manual(warehouse, date(2026, 10, 1), DocumentLine(number["1002"], 9_000), DocumentLine(number["6001"], -9_000))
    assert year(warehouse).retained == 9_000
    assert year(warehouse).documents == ()
    warehouse.close(202612, "soft_closed")
    manual(
        warehouse, date(2026, 12, 31), DocumentLine(number["6601"], 1_000), DocumentLine(number["1002"], -1_000)
    )
    done = year(warehouse)
    assert (done.profit, done.retained, len(done.documents)) == (-1_000, -1_000, 2)
    assert balances(warehouse, "6", "4") == {"410406": -8_000}
    warehouse.close(202612)
    with pytest.raises(CannotCarry, match="202612 is locked"):
        year(warehouse)


def test_what_happens_in_the_next_year_stays_there(warehouse: Warehouse, number: dict[str, int]) -> None:
    manual(warehouse, date(2026, 10, 1), DocumentLine(number["1002"], 9_000), DocumentLine(number["6001"], -9_000))
    manual(warehouse, date(2027, 1, 5), DocumentLine(number["1002"], 700), DocumentLine(number["6001"], -700))
    assert year(warehouse).retained == 9_000
    assert balances(warehouse, "6", "4") == {"410406": -9_000, "6001": -700}


def test_accounts_of_production_cost_stay_open(warehouse: Warehouse, number: dict[str, int]) -> None:
    manual(warehouse, date(2026, 10, 1), DocumentLine(number["5101"], 800), DocumentLine(number["1002"], -800))
    assert year(warehouse).documents == ()
    assert balances(warehouse, "5") == {"5101": 800}


def test_adjustments_of_earlier_years_pass_by_the_years_profit(
    warehouse: Warehouse, number: dict[str, int]
) -> None:
    manual(warehouse, date(2026, 10, 1), DocumentLine(number["6901"], 800), DocumentLine(number["1002"], -800))
    done = year(warehouse)
    assert (done.profit, done.retained, len(done.documents)) == (0, -800, 1)
    assert balances(warehouse, "6", "4") == {"410406": 800}


def test_months_that_close_by_themselves_leave_the_rest_to_the_year(
    warehouse: Warehouse, number: dict[str, int]
) -> None:
    manual(warehouse, date(2026, 10, 5), DocumentLine(number["1002"], 9_000), DocumentLine(number["6001"], -9_000))
    manual(warehouse, date(2026, 11, 5), DocumentLine(number["6601"], 2_000), DocumentLine(number["1002"], -2_000))
    done = carry_month(warehouse.ingest, warehouse.company_id, 202610)
    assert (done.day, done.profit, done.retained) == (date(2026, 10, 31), 9_000, 0)
    assert balances(warehouse, "6", "4") == {"4103": -9_000, "6601": 2_000}
    assert carry_month(warehouse.ingest, warehouse.company_id, 202610).documents == ()
    done = year(warehouse)
    assert (done.profit, done.retained) == (-2_000, 7_000)
    assert balances(warehouse, "6", "4") == {"410406": -7_000}
    with pytest.raises(CannotCarry, match="there is no period 190001"):
        carry_month(warehouse.ingest, warehouse.company_id, 190001)


def test_years_are_carried_in_their_order(warehouse: Warehouse, number: dict[str, int]) -> None:
    manual(warehouse, date(2026, 10, 5), DocumentLine(number["1002"], 9_000), DocumentLine(number["6001"], -9_000))
    with pytest.raises(CannotCarry, match="2026 comes before it and is not carried forward"):
        year(warehouse, 2027)
    year(warehouse)
    assert year(warehouse, 2027).documents == ()
    with pytest.raises(CannotCarry, match="no period of the calendar ends on 1990-12-31"):
        year(warehouse, 1990)


def test_a_fiscal_year_may_begin_in_another_month(warehouse: Warehouse, number: dict[str, int]) -> None:
    warehouse.owner.execute("UPDATE companies SET fiscal_year_month = 11")
    manual(warehouse, date(2026, 10, 5), DocumentLine(number["1002"], 9_000), DocumentLine(number["6001"], -9_000))
    manual(warehouse, date(2026, 11, 5), DocumentLine(number["6601"], 2_000), DocumentLine(number["1002"], -2_000))
    done = year(warehouse, 2025)
    assert (done.day, done.retained) == (date(2026, 10, 31), 9_000)
    assert fiscal_year(2026, 1) == (date(2026, 1, 1), date(2026, 12, 31))
    assert fiscal_year(2024, 3) == (date(2024, 3, 1), date(2025, 2, 28))


def test_what_stands_on_an_account_that_has_ended_is_carried_too(
    warehouse: Warehouse, number: dict[str, int]
) -> None:
    manual(warehouse, date(2026, 10, 5), DocumentLine(number["6601"], 2_000), DocumentLine(number["1002"], -2_000))
    warehouse.owner.execute("UPDATE accounts SET valid_to = '2026-11-30' WHERE number = '6601'")
    with pytest.raises(CannotPost, match="is not valid on 2026-12-01"):
        manual(warehouse, date(2026, 12, 1), DocumentLine(number["6601"], 5), DocumentLine(number["1002"], -5))
    assert year(warehouse).retained == -2_000


def test_two_runs_at_once_carry_once(warehouse: Warehouse, number: dict[str, int]) -> None:
    """given a run that has posted and not committed; when another begins, it waits and finds nothing more."""
    manual(warehouse, date(2026, 10, 1), DocumentLine(number["1002"], 9_000), DocumentLine(number["6001"], -9_000))
    with warehouse.owner.transaction():
        assert carry_forward(warehouse.owner, warehouse.company_id, 2026).retained == 9_000
        warehouse.ingest.execute("SET lock_timeout = '100ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            year(warehouse)
    warehouse.ingest.execute("RESET lock_timeout")
    assert year(warehouse).documents == ()


def test_differences_of_rounding_close_with_the_rest(warehouse: Warehouse) -> None:
    """given receipts of 1.005, each posted as 1.01: what the ledger lacks of them stands on the rounding account, which
    only movements write, and the year's end."""
    for at in (1, 2):
        receive(warehouse, "BOLT", 1, "1.005", at)
    assert balances(warehouse, "6") == {"660391": 1}
    assert year(warehouse).retained == -1
    assert balances(warehouse, "6", "4") == {"410406": 1}
