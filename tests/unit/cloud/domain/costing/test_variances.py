"""Variances against published figures, and what must hold of any."""

import json
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.domain.costing.variances import (
    Component,
    material_variance,
    production_variance,
    purchase_price_variance,
    usage_variance,
    value_at,
)

MICRO = 1_000_000
CASES = Path(__file__).parents[6] / "shared" / "data" / "costing"

numbers = st.integers(0, 2**53)


def micro(text: str) -> int:
    return int(Decimal(text) * MICRO)


def published(name: str) -> dict:
    """A case with figures that somebody published."""
    path = CASES / f"{name}.json"
    if not path.is_file():
        pytest.skip(f"{path.name} is not here: published cases stand beside the project")
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.shared
@pytest.mark.parametrize("name", ["warren_dm_variance", "dm_variance_3"])
def test_price_and_quantity_variances_are_those_published(name: str) -> None:
    case = published(name)
    actual, standard = (
        {key: micro(row[key]) for key in ("qty", "unit_cost")}
        for kind in ("actual", "standard")
        for row in case["movements"]
        if row["type"] == kind
    )
    found = material_variance(
        value_at(actual["unit_cost"], actual["qty"]), actual["qty"], standard["qty"], standard["unit_cost"]
    )
    expected = {key: micro(text) for key, text in case["expected"].items()}
    assert (found.price, found.usage, found.total) == (
        expected["price_variance"],
        expected["quantity_variance"],
        expected["total"],
    )


@given(numbers, numbers, numbers, numbers)
def test_price_and_usage_are_the_whole_of_a_material_variance(
    actual_value: int, actual_qty: int, standard_qty: int, standard_cost: int
) -> None:
    found = material_variance(actual_value, actual_qty, standard_qty, standard_cost)
    assert found.total == actual_value - value_at(standard_cost, standard_qty)


def test_goods_bought_and_used_as_the_standard_says_vary_by_nothing() -> None:
    assert purchase_price_variance(44_000_000, 10 * MICRO, 4_400_000) == 0
    assert usage_variance(10 * MICRO, 10 * MICRO, 4_400_000) == 0


def test_what_was_used_beyond_the_orders_standard_is_told_apart_from_the_rest() -> None:
    """10 made, 2 steel and 1 bolt allowed for each; 23 steel at 5.00 and 9 bolts at 1.00 used; 30.00 left."""
    components = [
        Component(23 * MICRO, 2 * MICRO, 5 * MICRO),
        Component(9 * MICRO, MICRO, MICRO),
        Component(100 * MICRO, MICRO, None),
    ]
    found = production_variance(30 * MICRO, 10 * MICRO, components)
    assert (found.usage, found.rest, found.total) == (14 * MICRO, 16 * MICRO, 30 * MICRO)


@given(
    st.integers(-(2**60), 2**60), numbers, st.lists(st.builds(Component, numbers, numbers, st.none() | numbers))
)
def test_the_parts_of_a_production_variance_are_what_was_left(
    left: int, output: int, components: list[Component]
) -> None:
    assert production_variance(left, output, components).total == left
