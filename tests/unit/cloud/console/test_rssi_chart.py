"""The drawing of a passage's signal: everything within its frame, texts apart, sides told apart."""

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.console.rssi_chart import (
    LETTER_WIDTH,
    LINE_HEIGHT,
    TICKS_MAX,
    WIDE_LETTER_WIDTH,
    Chart,
    Label,
    draw,
)
from cloud.domain.gate_evidence import AntennaSeen, EyeBroken, read_evidence
from tests.makers import NOON_US, gate_evidence


def name_of(one: AntennaSeen | EyeBroken) -> str:
    return f"{one.side} {one.antenna}" if isinstance(one, AntennaSeen) else one.eye


def drawn(said: dict[str, Any], crossed_us: int | None = NOON_US) -> Chart | None:
    return draw(read_evidence(said), crossed_us, name_of, lambda seconds: f"crossed {seconds} s")


def points(text: str) -> Iterator[tuple[float, float]]:
    for point in text.split():
        x, y = point.split(",")
        yield float(x), float(y)


def test_a_stronger_signal_stands_higher_and_a_later_one_further_right() -> None:
    chart = drawn(gate_evidence("in"))
    assert chart is not None
    strong, weak = (
        next(line for line in chart.lines if line.label.text == name) for name in ("inside 1", "inside 2")
    )
    assert strong.peak_y < weak.peak_y
    outside = next(line for line in chart.lines if line.label.text == "outside 3")
    assert chart.crossed_x is not None
    assert outside.peak_x < chart.crossed_x < strong.peak_x  # in: the outside saw it first


def test_the_peak_stands_where_the_gateway_says_and_else_at_the_highest_point() -> None:
    antenna = {"antenna": 1, "side": "inside", "course": [[0, -60], [1000, -50], [2000, -70]]}
    by_course = drawn({"antennas": [antenna], "first_seen_us": NOON_US})
    told = drawn(
        {"antennas": [antenna | {"peak_us": NOON_US + 1_500_000, "peak_dbm": -52}], "first_seen_us": NOON_US}
    )
    assert by_course is not None
    assert told is not None
    line = by_course.lines[0]
    assert (line.peak_x, line.peak_y) == list(points(line.points))[1]
    assert told.lines[0].peak_x == pytest.approx(chart_x(told, 1.5))


def chart_x(chart: Chart, seconds: float) -> float:
    """Where a time stands, by the chart's own ticks."""
    first, last = chart.times[0], chart.times[-1]
    return first.at + (seconds - float(first.text)) * (last.at - first.at) / (float(last.text) - float(first.text))


def test_without_a_course_nothing_is_drawn() -> None:
    assert drawn({"order": 0.9}) is None
    assert drawn({"antennas": [{"antenna": 1, "side": "inside", "course": []}]}) is None


def test_without_the_first_reads_time_there_is_no_crossing_to_mark() -> None:
    antenna = {"antenna": 1, "side": "inside", "course": [[0, -60]]}
    chart = drawn({"antennas": [antenna]})
    assert chart is not None
    assert (chart.crossed, chart.crossed_x) == (None, None)
    assert chart.lines[0].peak_x == chart.left


courses = st.lists(
    st.tuples(st.integers(-5000, 60_000), st.floats(-110, 0, allow_nan=False)).map(list), min_size=1, max_size=16
)
antennas = st.lists(
    st.fixed_dictionaries({"antenna": st.integers(1, 32), "side": st.sampled_from(["inside", "outside"]),
                           "course": courses}), min_size=1, max_size=8,
)  # fmt: skip
eyes = st.lists(
    st.fixed_dictionaries({"eye": st.sampled_from(["door", "inside", "outside"]),
                           "from_us": st.none() | st.integers(0, NOON_US * 2),
                           "until_us": st.none() | st.integers(0, NOON_US * 2)}), max_size=6,
)  # fmt: skip


@given(antennas, eyes, st.integers(0, 60_000_000))
def test_everything_stands_within_the_frame(
    seen: list[dict[str, Any]], broken: list[dict[str, Any]], after_us: int
) -> None:
    said = {"antennas": seen, "eyes": broken, "first_seen_us": NOON_US, "last_seen_us": NOON_US + 9_000_000}
    chart = drawn(said, NOON_US + after_us)
    assert chart is not None
    assert len(chart.lines) == len(seen)
    for line in chart.lines:
        for x, y in [*points(line.points), (line.peak_x, line.peak_y)]:
            assert chart.left <= x <= chart.right
            assert chart.top <= y <= chart.bottom
        assert 0 < line.label.y < chart.height
    assert 2 <= len(chart.times) <= TICKS_MAX + 1
    assert len(chart.levels) >= 2
    assert all(chart.top <= tick.at <= chart.bottom for tick in chart.levels)
    for eye in chart.eyes:
        for x, width in eye.broken:
            assert chart.left <= x
            assert width >= 0
            assert x + width <= chart.right + 0.2


def box(label: Label) -> tuple[float, float, float, float]:
    width = sum(WIDE_LETTER_WIDTH if ord(letter) > 0x2E80 else LETTER_WIDTH for letter in label.text)
    return label.x - width / 2, label.y - LINE_HEIGHT, label.x + width / 2, label.y


@given(st.lists(courses, min_size=1, max_size=4))
def test_texts_do_not_cover_each_other(courses_seen: list[list[list[float]]]) -> None:
    seen = [{"antenna": n, "side": "inside", "course": course} for n, course in enumerate(courses_seen, 1)]
    chart = drawn({"antennas": seen, "first_seen_us": NOON_US}, NOON_US + 1_000_000)
    assert chart is not None
    assert chart.crossed is not None
    for one, other in combinations(
        [box(label) for label in (chart.crossed, *(li.label for li in chart.lines))], 2
    ):
        within = min(one[2], other[2]) - max(one[0], other[0]), min(one[3], other[3]) - max(one[1], other[1])
        assert min(within) < 0.2, (one, other)  # places are rounded to a tenth


@pytest.mark.parametrize(
    "course", [[[0, -50]], [[0, -50], [0, -50]], [[2**61, -50], [0, 2**61]], [[-(2**61), 0], [2**61, -(2**61)]]]
)
def test_a_course_without_extent_or_beyond_all_measure_is_drawn_all_the_same(course: list[list[float]]) -> None:
    chart = drawn({"antennas": [{"antenna": 1, "side": "outside", "course": course}], "first_seen_us": 0})
    assert chart is not None
    assert "nan" not in chart.lines[0].points
    assert "inf" not in chart.lines[0].points
