"""What a terminal shows: tables that line up in two scripts, and a bar only where somebody waits."""

import io

from cloud.cost_files.progress import SILENT_S, Progress
from cloud.cost_files.tables import table, width


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_numbers_stand_right_and_chinese_letters_take_two_columns() -> None:
    assert width("螺栓 M8") == 7
    lines = table(("item", "cost"), [("螺栓", "1.00"), ("M8", "120.00")], ("cost",))
    assert lines == ["  item    cost", "  螺栓    1.00", "  M8    120.00"]


def test_a_column_without_a_cell_is_left_out() -> None:
    assert table(("item", "lot", "cost"), [("A", "", "1")]) == ["  item  cost", "  A     1"]


def test_work_that_is_done_soon_shows_nothing() -> None:
    stream, clock = Terminal(), Clock()
    progress = Progress(stream, {"reading": 1, "costing": 1}, clock)
    clock.now += SILENT_S - 0.01
    progress.told("reading")(0.9)
    progress.close()
    assert stream.getvalue() == ""


def test_longer_work_shows_how_far_it_is_and_cleans_up() -> None:
    stream, clock = Terminal(), Clock()
    progress = Progress(stream, {"reading": 1, "costing": 3}, clock)
    clock.now += SILENT_S
    progress.told("costing")(1 / 3)
    assert "50%" in stream.getvalue()
    assert "costing" in stream.getvalue()
    shown = len(stream.getvalue())
    progress.told("costing")(0.4)  # too soon for another
    assert len(stream.getvalue()) == shown
    progress.close()
    assert stream.getvalue().endswith("\r")


def test_a_file_or_a_pipe_never_sees_the_bar() -> None:
    stream, clock = io.StringIO(), Clock()
    progress = Progress(stream, {"reading": 1}, clock)
    clock.now += 10
    progress.told("reading")(0.5)
    progress.close()
    assert stream.getvalue() == ""
