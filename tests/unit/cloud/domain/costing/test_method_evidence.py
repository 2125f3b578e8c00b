"""Which methods explain the figures that another system booked."""

import pytest

from cloud.domain.costing.method_evidence import Evidence, Figures, NothingToCompare, Parting, reproducing, weigh

CENT = 10_000
FIFO = Figures({1: 20_000_000, 2: 30_000_000}, 50_000_000)
AVERAGE = Figures({1: 25_000_000, 2: 25_000_000}, 50_000_000)
METHODS = {"fifo": FIFO, "moving_average": AVERAGE}


def test_the_method_whose_figures_all_agree_is_found() -> None:
    evidence = weigh(AVERAGE, METHODS, CENT)
    assert reproducing(evidence) == ["moving_average"]
    assert evidence == [
        Evidence("fifo", agreeing=1, compared=3, parting=Parting(1, 25_000_000, 20_000_000)),
        Evidence("moving_average", agreeing=3, compared=3, parting=None),
    ]


def test_methods_that_the_goods_do_not_tell_apart_are_all_named() -> None:
    assert reproducing(weigh(Figures({}, 50_000_000), METHODS, CENT)) == ["fifo", "moving_average"]


def test_figures_of_no_method_are_explained_by_none() -> None:
    evidence = weigh(Figures({1: 20_000_000, 2: 31_000_000}), METHODS, CENT)
    assert reproducing(evidence) == []
    assert evidence[0].parting == Parting(2, 31_000_000, 30_000_000)


@pytest.mark.parametrize(("off", "agrees"), [(CENT, True), (-CENT, True), (CENT + 1, False), (-CENT - 1, False)])
def test_an_issue_agrees_up_to_the_tolerance(off: int, agrees: bool) -> None:
    (evidence,) = weigh(Figures({2: 30_000_000 + off}), {"fifo": FIFO}, CENT)
    assert evidence.reproduces is agrees


@pytest.mark.parametrize(("off", "agrees"), [(3 * CENT, True), (3 * CENT + 1, False)])
def test_a_closing_value_may_be_off_by_what_its_issues_were_rounded_by(off: int, agrees: bool) -> None:
    (evidence,) = weigh(Figures({}, 50_000_000 + off), {"fifo": FIFO}, CENT)
    assert evidence.reproduces is agrees


def test_the_parting_is_the_first_issue_before_the_closing_value() -> None:
    (evidence,) = weigh(Figures({2: 0, 1: 20_000_000}, 0), {"fifo": FIFO}, CENT)
    assert evidence.parting == Parting(2, 0, 30_000_000)
    (evidence,) = weigh(Figures({1: 20_000_000}, 0), {"fifo": FIFO}, CENT)
    assert evidence.parting == Parting(None, 0, 50_000_000)


def test_a_report_without_figures_shows_nothing() -> None:
    (evidence,) = weigh(Figures({}), {"fifo": FIFO}, CENT)
    assert (evidence.compared, evidence.reproduces) == (0, False)


def test_an_issue_that_the_goods_do_not_have_is_refused() -> None:
    with pytest.raises(NothingToCompare, match="expected one of 2 issues, got number 3"):
        weigh(Figures({3: 1}), METHODS, CENT)
