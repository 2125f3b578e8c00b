"""One trading day of the Online Retail set on the real books."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cloud.domain.company import CompanySettings
from cloud.domain.rounding import round_ratio
from cloud.flows.declare import RequestConflict
from cloud.flows.set_up_company import apply_description, set_up_company
from cloud.imports.import_retail import WrongCompany, import_online_retail, retail_description
from cloud.store.master import UnknownCode
from tests.conftest import Database
from tests.order_lines import DAY, MUG, SMALL_DAY, real_file, write_lines

BOOKS = (
    "movements",
    "cost_entries",
    "cost_layers",
    "journal_entries",
    "journal_lines",
    "batches",
    "items",
    "parties",
)


@pytest.fixture
def connection(module_database: Database) -> Iterator[psycopg.Connection]:
    """One database for all tests of the file: each leaves nothing behind."""
    with (
        psycopg.connect(module_database.owner_dsn, autocommit=True) as opened,
        opened.transaction(force_rollback=True),
    ):
        yield opened


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return write_lines(tmp_path / "small.parquet", SMALL_DAY)


def _rows(connection: psycopg.Connection, query: str) -> list[Any]:
    return connection.execute(query).fetchall()


def _books(connection: psycopg.Connection) -> dict[str, list[Any]]:
    return {table: sorted(map(str, _rows(connection, f"SELECT * FROM {table}"))) for table in BOOKS}  # noqa: S608


def _stock(connection: psycopg.Connection) -> dict[str, int]:
    """Pieces in the store by item."""
    return {
        code: qty // 1_000_000
        for code, qty in _rows(
            connection,
            "SELECT i.code, b.qty_micro FROM balances b JOIN items i USING (company_id, item_id)"
            " JOIN locations l USING (company_id, location_id) WHERE l.code = 'MAIN-STORE'",
        )
    }


def _differences(connection: psycopg.Connection) -> list[int]:
    return [row[0] for row in _rows(connection, "SELECT difference FROM stock_ledger_difference")]


def test_the_day_moves_what_its_lines_say(connection: psycopg.Connection, small: Path) -> None:
    imported = import_online_retail(connection, small)
    assert imported.plan.day == DAY.date()
    assert imported.day_is_default
    # received + returned + found − sold − thrown away
    assert _stock(connection) == {
        "10001": 48 + 2 - 25 - 5,
        "10002A": 24 - 4 - 1,
        "10003": 12 + 7,
        "DCGS0003": 24 - 2,
    }
    assert _differences(connection) == [0]
    kinds = dict(
        _rows(connection, "SELECT k.name, count(*) FROM movements JOIN movement_kinds k USING (kind) GROUP BY 1")
    )
    assert kinds == {"purchase_receipt": 4, "sales_shipment": 6, "customer_return": 1, "scrap": 2, "count_gain": 1}
    assert imported.movements == 14


def test_sold_mugs_cost_what_was_made_up_for_them(connection: psycopg.Connection, small: Path) -> None:
    import_online_retail(connection, small)
    balances = dict(_rows(connection, "SELECT role, balance FROM account_balances"))
    # At 60 % of the median selling price: mugs 1.50, lamps 6.00, ashtrays 1.506, the unpriced article 1.50.
    received = 48 * 150 + 24 * 600 + 12 * 150 + round_ratio(24 * 1_506_000, 10_000)
    sold = (25 - 2) * 150 + 4 * 600 + round_ratio(2 * 1_506_000, 10_000)
    assert balances["grni"] == -received
    assert balances["cogs"] == sold
    assert balances["loss"] == 5 * 150 + 1 * 600
    assert balances["clarification"] == -7 * 150


def test_importing_twice_changes_nothing(connection: psycopg.Connection, small: Path) -> None:
    first = import_online_retail(connection, small)
    before = _books(connection)
    again = import_online_retail(connection, small)
    assert not first.replayed
    assert again.replayed
    assert _books(connection) == before


def test_the_same_lines_in_another_file_change_nothing(
    connection: psycopg.Connection, small: Path, tmp_path: Path
) -> None:
    import_online_retail(connection, small)
    before = _books(connection)
    assert import_online_retail(
        connection, write_lines(tmp_path / "b.parquet", SMALL_DAY, row_group_size=4)
    ).replayed
    assert _books(connection) == before


def test_other_lines_for_a_day_that_is_in_the_books_are_refused(
    connection: psycopg.Connection, small: Path, tmp_path: Path
) -> None:
    import_online_retail(connection, small)
    before = _rows(connection, "SELECT count(*) FROM movements")
    other = write_lines(tmp_path / "other.parquet", [*SMALL_DAY, ("540020", "10001", MUG, 1, 2.5, None)])
    with pytest.raises(RequestConflict, match="2011-03-24 is in the books already"):
        import_online_retail(connection, other)
    assert _rows(connection, "SELECT count(*) FROM movements") == before


def test_an_import_that_was_cut_off_between_chunks_is_finished_by_the_next(
    connection: psycopg.Connection, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cloud.imports import import_retail

    declare, calls = import_retail.declare_movements, []

    def cut_off(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 3:
            raise psycopg.OperationalError("the server went away")
        return declare(*arguments)

    monkeypatch.setattr(import_retail, "declare_movements", cut_off)
    with pytest.raises(psycopg.OperationalError):
        import_online_retail(connection, small, chunk_rows=5)
    assert _rows(connection, "SELECT count(*) FROM movements") == [(10,)]
    assert not import_online_retail(connection, small, chunk_rows=5).replayed
    assert _rows(connection, "SELECT count(*) FROM movements") == [(14,)]
    assert _stock(connection)["10001"] == 20
    assert _differences(connection) == [0]


def test_history_is_posted_on_its_own_days(connection: psycopg.Connection, small: Path) -> None:
    import_online_retail(connection, small)
    assert _rows(connection, "SELECT DISTINCT posting_date::text, period_id, tags FROM journal_entries") == [
        ("2011-03-24", 201103, 0)
    ]
    months = _rows(
        connection,
        "SELECT min(period_id), max(last_day) - min(first_day) + 1, sum(last_day - first_day + 1) FROM periods",
    )
    assert months[0][0] == 201103
    assert months[0][1] == months[0][2], "the calendar has no gap"


def test_a_company_in_another_currency_is_refused(connection: psycopg.Connection, small: Path) -> None:
    set_up_company(connection, CompanySettings("cn", "中", "CNY", "Asia/Shanghai", "ASBE"))
    with pytest.raises(WrongCompany, match="expected a company kept in GBP, got cn, which is kept in CNY"):
        import_online_retail(connection, small, company_code="cn")
    assert _rows(connection, "SELECT count(*) FROM items") == [(0,)]


def test_an_unknown_location_is_named(connection: psycopg.Connection, small: Path) -> None:
    with pytest.raises(UnknownCode, match="no location 'ATTIC'"):
        import_online_retail(connection, small, location_code="ATTIC")
    assert _rows(connection, "SELECT count(*) FROM movements") == [(0,)]


def test_a_day_without_lines_moves_nothing(connection: psycopg.Connection, small: Path) -> None:
    imported = import_online_retail(connection, small, DAY.date().replace(day=25))
    assert (imported.movements, imported.plan.report.lines, imported.replayed) == (0, 0, False)


def test_the_apis_role_imports_into_a_company_that_is_there(database: Database, small: Path) -> None:
    with psycopg.connect(database.owner_dsn, autocommit=True) as owner:
        apply_description(owner, retail_description())
    with psycopg.connect(database.dsn_of("tallygate_api"), autocommit=True) as api:
        assert import_online_retail(api, small).movements == 14
        assert _differences(api) == [0]


@pytest.mark.shared
def test_a_real_day_is_on_the_books_to_the_penny(connection: psycopg.Connection) -> None:
    imported = import_online_retail(connection, real_file())
    report = imported.plan.report
    assert (report.lines, imported.movements) == (1_577, 2_364)
    assert _differences(connection) == [0]
    balances = dict(_rows(connection, "SELECT role, balance FROM account_balances"))
    assert abs(-balances["grni"] * 10_000 - report.received_micro) <= 5_000 * report.receipts
    assert sum(balances.values()) == 0
    assert all(pieces >= 12 for pieces in _stock(connection).values())
    assert import_online_retail(connection, real_file()).replayed
