"""Names, numbers and refusals of the costing methods, and the kernels' own copies of the numbers."""

import pytest

from cloud.domain.costing import kernels
from cloud.domain.costing.methods import (
    LAYERED,
    NAMES,
    PERIODIC,
    Method,
    UnknownMethod,
    UnknownProfile,
    method_named,
    refused_by,
)
from cloud.domain.costing.pools import METHODS, Op


def test_the_kernels_number_methods_and_ops_as_the_books_do() -> None:
    for one in (*Method, *Op):
        assert getattr(kernels, one.name) == one
    assert {name: method_named(name) for name in NAMES} == METHODS


@pytest.mark.parametrize("profile", ["ASBE", "IFRS"])
def test_last_in_first_out_is_refused_where_the_standards_forbid_it(profile: str) -> None:
    assert refused_by(profile) == {Method.LIFO, Method.PERIODIC_LIFO}


def test_us_gaap_refuses_nothing() -> None:
    assert refused_by("US_GAAP") == set()


def test_what_nobody_knows_is_named() -> None:
    with pytest.raises(UnknownMethod, match=r"expected one of moving_average, .* got 'FIFO'"):
        method_named("FIFO")
    with pytest.raises(UnknownProfile, match="got 'HGB'"):
        refused_by("HGB")


def test_every_method_is_layered_periodic_or_one_of_the_rest() -> None:
    assert {Method.PERIODIC_AVERAGE} == PERIODIC - LAYERED
    assert set(Method) - LAYERED - PERIODIC == {Method.MOVING_AVERAGE, Method.STANDARD}
