"""The migration to full charts: a company of before has the chart of a new one, and accounts keep their ids."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from cloud.domain.company import CompanySettings
from cloud.flows.set_up_company import set_up_company
from cloud.store import migrate
from tests.conftest import Database
from tests.old_books import go_back, make_company

pytestmark = pytest.mark.editions

PROFILES = ("ASBE", "IFRS", "US_GAAP")


@pytest.fixture
def connection(database: Database) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database.owner_dsn, autocommit=True) as opened:
        go_back(opened)
        yield opened


def chart(connection: psycopg.Connection, company_id: int) -> dict[str, tuple[Any, ...]]:
    """All that a company's chart says, by number, with parents by number and dimensions by code."""
    rows = connection.execute(
        """SELECT a.number, a.name_zh, a.name_en, a.role, a.site_id, p.number, a.account_type, a.is_postable,
                  a.is_control, a.is_monetary, a.has_items, a.valid_from, a.valid_to,
                  (SELECT array_agg(t.code || '=' || d.need ORDER BY t.code)
                     FROM account_dimensions d JOIN dimension_types t USING (company_id, type_id)
                    WHERE d.company_id = a.company_id AND d.account_id = a.account_id)
             FROM accounts a
             LEFT JOIN accounts p ON p.company_id = a.company_id AND p.account_id = a.parent_id
            WHERE a.company_id = %s""",
        [company_id],
    )
    return {row[0]: row[1:] for row in rows}


def types(connection: psycopg.Connection, company_id: int) -> list[tuple[Any, ...]]:
    return connection.execute(
        "SELECT code, name_zh, name_en FROM dimension_types WHERE company_id = %s ORDER BY type_id", [company_id]
    ).fetchall()


def ids(connection: psycopg.Connection, company_id: int) -> dict[str, int]:
    rows = connection.execute("SELECT role, account_id FROM accounts WHERE company_id = %s", [company_id])
    return {role: account_id for role, account_id in rows if role}


@pytest.mark.parametrize("profile", PROFILES)
def test_a_company_of_before_has_the_chart_of_a_new_one_and_its_accounts_keep_their_ids(
    database: Database, connection: psycopg.Connection, profile: str
) -> None:
    old = make_company(connection, profile)
    before = ids(connection, old)
    migrate.migrate(database.owner_dsn)
    new = set_up_company(connection, CompanySettings("new", "New", "CNY", "Asia/Shanghai", profile))
    assert chart(connection, old) == chart(connection, new)
    assert types(connection, old) == types(connection, new)
    assert ids(connection, old).items() >= before.items()


def test_numbers_and_names_that_a_company_gave_itself_are_left_alone(
    database: Database, connection: psycopg.Connection
) -> None:
    company_id = make_company(connection, "ASBE")
    connection.execute("UPDATE accounts SET name_zh = '货物' WHERE role = 'cogs'")
    connection.execute("UPDATE accounts SET number = '1444' WHERE role = 'grni'")
    for number, role in (("140501", "tea"), ("1122", "friends"), ("1601", "vans")):
        connection.execute(
            "INSERT INTO accounts (company_id, number, name_zh, name_en, role, is_control)"
            " VALUES (%s, %s, '自有', 'Own', %s, false)",
            [company_id, number, role],
        )
    migrate.migrate(database.owner_dsn)
    found = chart(connection, company_id)
    assert {number: found[number][2] for number in ("140501", "1405", "1122", "1601", "1444")} == {
        "140501": "tea", "1405": "goods", "1122": "friends", "1601": "vans", "1444": "grni",
    }  # fmt: skip
    name, postable, parent, control = 0, 6, 4, 7
    assert found["640101"][name] == "货物"
    assert found["1405"][postable], "its number below a header is taken, so it stays and takes lines"
    assert found["140591"][parent] is None
    assert (found["112201"][2], found["112201"][parent]) == ("receivables", None)
    assert (found["1444"][parent], found["1444"][control]) == (None, True)
    assert found["220203"][parent] == "2202"
