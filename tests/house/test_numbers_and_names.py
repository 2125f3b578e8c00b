"""The small numbers of the tables are those of the code; both are written by hand, so they are compared."""

import re
from collections.abc import Iterator
from enum import Enum, IntEnum

import psycopg
import pytest

from cloud.domain.access import Role, Scope
from cloud.domain.costing.methods import NAMES, Method
from cloud.domain.movement import Crossing, Kind, Outcome, Tag
from cloud.flows.verify import APPEND_ONLY, HASHED
from edge.readings import Direction

pytestmark = pytest.mark.editions


@pytest.fixture
def connection(dsn: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(dsn, autocommit=True) as opened:
        yield opened


@pytest.mark.parametrize(
    ("table", "column", "names"), [("movement_kinds", "kind", Kind), ("outcomes", "outcome", Outcome)]
)
def test_the_tables_of_names_are_the_enums(
    connection: psycopg.Connection, table: str, column: str, names: type[IntEnum]
) -> None:
    rows = connection.execute(f"SELECT {column}, name FROM {table}").fetchall()  # noqa: S608  names of ours
    assert dict(rows) == {member.value: member.name.lower() for member in names}


def allowed(connection: psycopg.Connection, table: str, column: str) -> set[str]:
    """The texts that a CHECK lets into a column."""
    checks = connection.execute(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = %s::regclass AND contype = 'c'",
        (table,),
    ).fetchall()
    (found,) = [text for (text,) in checks if re.search(rf"\(+{column}\b", text) and "ARRAY[" in text]
    return set(re.findall(r"'([^']+)'::text", found))


def test_roles_of_people_are_those_of_the_code(connection: psycopg.Connection) -> None:
    assert allowed(connection, "person_roles", "role") == {role.value for role in Role}


def test_costing_methods_are_those_of_the_kernels(connection: psycopg.Connection) -> None:
    assert allowed(connection, "items", "method") == set(NAMES)
    assert allowed(connection, "companies", "default_method") == set(NAMES)


def test_every_table_that_the_promises_call_append_only_refuses(connection: psycopg.Connection) -> None:
    rows = connection.execute(
        "SELECT DISTINCT tgrelid::regclass::text FROM pg_trigger WHERE tgname = 'append_only' AND NOT tgisinternal"
    ).fetchall()
    refusing = {name for (name,) in rows if not name.startswith("_timescaledb_internal.")}
    assert refusing == set(APPEND_ONLY)


def test_every_table_of_rows_with_a_digest_is_hashed_into_the_chain(connection: psycopg.Connection) -> None:
    rows = connection.execute(
        "SELECT table_name FROM information_schema.columns WHERE column_name = 'digest' AND table_schema = 'public'"
        " AND table_name IN (SELECT table_name FROM information_schema.columns WHERE column_name = 'row_no')"
        " AND table_name IN (SELECT tablename FROM pg_tables WHERE schemaname = 'public')"
    ).fetchall()
    assert {name for (name,) in rows} == set(HASHED)


def test_directions_of_the_wire_have_a_number_in_the_books() -> None:
    said = {member.value for member in Direction} - {Direction.STAYED}  # no event, never on the wire
    assert said == {member.name.lower() for member in Crossing}


@pytest.mark.parametrize("names", [Kind, Outcome, Crossing, Tag, Role, Scope, Method])
def test_no_two_names_share_a_number(names: type[Enum]) -> None:
    assert len(names.__members__) == len({member.value for member in names})
