"""Cursors: each belongs to its list and filters, and gives back the key it was made of."""

import base64

import pytest

from cloud.api.paging import read_cursor, read_place, write_cursor, write_place
from cloud.api.problems import Problem
from cloud.store.feeds import Place


def test_a_cursor_gives_back_the_key_it_was_made_of() -> None:
    cursor = write_cursor("balances", {"item": "BOLT"}, [7, 12, 0, 1])
    assert read_cursor(cursor, "balances", {"item": "BOLT"}, (int, int, int, int)) == [7, 12, 0, 1]


def test_a_filter_that_is_not_set_is_no_filter() -> None:
    cursor = write_cursor("items", {"gtin": None}, ["周转箱/7"])
    assert read_cursor(cursor, "items", {}, (str,)) == ["周转箱/7"]


@pytest.mark.parametrize(
    ("list_name", "filters", "kinds"),
    [
        ("tags", {"item": "BOLT"}, (int,)),
        ("balances", {"item": "NUT"}, (int,)),
        ("balances", {}, (int,)),
        ("balances", {"item": "BOLT"}, (str,)),
        ("balances", {"item": "BOLT"}, (int, int)),
    ],
)
def test_a_cursor_of_another_list_or_filter_is_refused(list_name: str, filters: dict, kinds: tuple) -> None:
    cursor = write_cursor("balances", {"item": "BOLT"}, [7])
    with pytest.raises(Problem) as refused:
        read_cursor(cursor, list_name, filters, kinds)
    assert (refused.value.status, refused.value.slug) == (400, "bad-cursor")


@pytest.mark.parametrize(
    "raw", [b"", b"nonsense", b"[]", b"7", b'{"a":1}', b"[1]", b"[" * 500, b"\xff\xfe", b'[1,"items","x",1e999]']
)
def test_what_was_never_a_cursor_is_refused(raw: bytes) -> None:
    with pytest.raises(Problem) as refused:
        read_cursor(base64.urlsafe_b64encode(raw).decode(), "items", {}, (str,))
    assert refused.value.slug == "bad-cursor"


@pytest.mark.parametrize("text", ["%%%", "ä", "a", "\x00", "====="])
def test_text_outside_the_cursors_alphabet_is_refused(text: str) -> None:
    with pytest.raises(Problem) as refused:
        read_cursor(text, "items", {}, (str,))
    assert refused.value.slug == "bad-cursor"


def test_a_place_survives_its_cursor() -> None:
    place = Place(2**40, 15, 2**33, 19_999)
    assert read_place(write_place("movements", {}, 3, place), "movements", {}, 3) == place


def test_a_place_of_an_earlier_incarnation_is_refused_with_both_numbers() -> None:
    cursor = write_place("movements", {}, 3, Place(1, 0, 1, 0))
    with pytest.raises(Problem) as refused:
        read_place(cursor, "movements", {}, 4)
    assert (refused.value.status, refused.value.slug) == (410, "cursor-of-an-earlier-life")
    assert "expected incarnation 4, got 3" in refused.value.detail


@pytest.mark.parametrize(
    "key", [[2**63, 0, 0, 0], [-1, 0, 0, 0], [1, 2**15, 0, 0], [1, 0, 0, 2**31], [True, 0, 0, 0]]
)
def test_a_place_that_no_column_can_hold_is_refused(key: list[int]) -> None:
    with pytest.raises(Problem) as refused:
        read_place(write_cursor("movements", {}, [0, *key]), "movements", {}, 0)
    assert refused.value.slug == "bad-cursor"
