"""numpy arrays and texts as parameters: the server gets what psycopg's own lists would have told it."""

import numpy as np
import psycopg
import pytest

from cloud.store import arrays
from cloud.store.arrays import Texts

arrays.register()


@pytest.fixture
def connection(dsn: str) -> psycopg.Connection:
    with psycopg.connect(dsn, autocommit=True) as made:
        yield made


@pytest.mark.parametrize(
    ("cast", "array"),
    [
        ("bigint", np.array([1, -(2**63), 2**63 - 1])),
        ("integer", np.array([5, -7], np.int32)),
        ("smallint", np.array([1, 2], np.int16)),
        ("bigint", np.empty(0, np.int64)),
        ("boolean", np.array([True, False])),
        ("double precision", np.array([0.5, -1e300, float("inf")])),
        ("real", np.array([0.25, 0.75])),
    ],
)
def test_an_array_arrives_as_it_is(connection: psycopg.Connection, cast: str, array: np.ndarray) -> None:
    row = connection.execute(f"SELECT %s::{cast}[]", [array]).fetchone()
    assert row is not None
    assert row[0] == array.tolist()


def test_ids_arrive_as_uuids(connection: psycopg.Connection) -> None:
    ids = np.arange(48, dtype=np.uint8).reshape(3, 16)
    row = connection.execute("SELECT %s::uuid[]", [ids]).fetchone()
    assert row is not None
    assert [one.bytes for one in row[0]] == [one.tobytes() for one in ids]


@pytest.mark.parametrize("texts", [[], ["E280"], ["", "a,b", '"{}"', "\\", "螺栓", "NULL"]])
def test_texts_arrive_letter_by_letter(connection: psycopg.Connection, texts: list[str]) -> None:
    row = connection.execute("SELECT %s::text[]", [Texts(texts)]).fetchone()
    assert row is not None
    assert row[0] == texts


def test_one_statement_takes_arrays_of_several_types(connection: psycopg.Connection) -> None:
    rows = connection.execute(
        "SELECT * FROM unnest(%s::text[], %s::bigint[], %s::boolean[])",
        [Texts(["a", "b"]), np.array([1, 2]), np.array([True, False])],
    ).fetchall()
    assert rows == [("a", 1, True), ("b", 2, False)]


@pytest.mark.parametrize("array", [np.zeros((2, 3), np.uint8), np.zeros(2, np.complex128), np.zeros((2, 2))])
def test_an_array_of_another_kind_is_refused_by_name(connection: psycopg.Connection, array: np.ndarray) -> None:
    with pytest.raises(psycopg.ProgrammingError, match=array.dtype.name):
        connection.execute("SELECT %s", [array])
