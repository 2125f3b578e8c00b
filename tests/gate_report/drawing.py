"""A small drawing of points and lines over time, as SVG: axes with round numbers, a legend, a source below.

Deterministic: the same figures draw the same bytes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from math import ceil, floor, log10

WIDTH, HEIGHT = 860, 360
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 44, 72  # margins that axes, title and source need
TICKS = 8  # about so many on an axis
INK, FAINT = "#333333", "#dddddd"
# Okabe and Ito's palette, which people who see colours differently can tell apart as well.
INSIDE, OUTSIDE, MARK = "#0072B2", "#D55E00", "#009E73"


@dataclass(frozen=True, slots=True)
class Dots:
    """Points of one colour; joined by a line if `is_line`."""

    label: str
    colour: str
    points: Sequence[tuple[float, float]]
    radius: float = 3.0
    is_line: bool = False


@dataclass(frozen=True, slots=True)
class Bars:
    """Columns from zero: (left, right, height)."""

    label: str
    colour: str
    columns: Sequence[tuple[float, float, float]]


@dataclass(frozen=True, slots=True)
class Upright:
    """A vertical line with a word at its top."""

    at: float
    word: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """One picture. `source` says where its figures come from, and under which licence."""

    title: str
    across: str
    up: str
    source: str
    parts: Sequence[Dots | Bars]
    uprights: Sequence[Upright] = ()
    is_log: bool = False
    has_rows: bool = False  # the upright axis counts rows, whose numbers say nothing
    frame: list[float] = field(default_factory=list)  # left, right, low, high; empty: what the parts need

    def svg(self) -> str:
        """The whole file."""
        left, right, low, high = self.frame or self._frame()
        plot = _Plot(left, right, low, high, self.is_log)
        lines = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
            f'role="img" font-family="sans-serif" font-size="12" fill="{INK}">',
            f"<title>{escape(self.title)}</title>",
            f"<desc>{escape(self.source)}</desc>",
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
            f'<text x="{LEFT}" y="20" font-size="14" font-weight="bold">{escape(self.title)}</text>',
            *self._axes(plot),
            *(line for upright in self.uprights for line in _upright(plot, upright)),
            *(line for part in self.parts for line in _part(plot, part)),
            *self._legend(),
            f'<text x="{LEFT}" y="{HEIGHT - 8}" font-size="11" fill="#666666">{escape(self.source)}</text>',
            "</svg>",
        ]
        return "\n".join(lines) + "\n"

    def _frame(self) -> tuple[float, float, float, float]:
        xs, ys = [], []
        for part in self.parts:
            if isinstance(part, Bars):
                xs += [edge for one in part.columns for edge in one[:2]]
                ys += [0.0, *(height for *_, height in part.columns)]
            else:
                xs += [x for x, _ in part.points]
                ys += [y for _, y in part.points]
        room = (max(ys) - min(ys)) * 0.05 or 1.0
        return min(xs), max(xs), min(ys) - (0 if min(ys) == 0 else room), max(ys) + room

    def _axes(self, plot: "_Plot") -> Iterable[str]:
        bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
        for value in plot.across_ticks():
            x = plot.x(value)
            yield f'<line x1="{x}" y1="{TOP}" x2="{x}" y2="{bottom}" stroke="{FAINT}"/>'
            yield f'<text x="{x}" y="{bottom + 16}" text-anchor="middle">{value:g}</text>'
        for value in [] if self.has_rows else _ticks(plot.low, plot.high):
            y = plot.y(value)
            yield f'<line x1="{LEFT}" y1="{y}" x2="{right}" y2="{y}" stroke="{FAINT}"/>'
            yield f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>'
        yield f'<rect x="{LEFT}" y="{TOP}" width="{right - LEFT}" height="{bottom - TOP}" fill="none" stroke="{INK}"/>'
        middle = (LEFT + right) / 2
        yield f'<text x="{middle}" y="{bottom + 34}" text-anchor="middle">{escape(self.across)}</text>'
        turn = f"rotate(-90 16 {(TOP + bottom) / 2})"
        yield f'<text x="16" y="{(TOP + bottom) / 2}" text-anchor="middle" transform="{turn}">{escape(self.up)}</text>'

    def _legend(self) -> Iterable[str]:
        x = float(LEFT)
        for part in self.parts:
            if part.label:
                yield f'<circle cx="{x + 4:.1f}" cy="34" r="4" fill="{part.colour}"/>'
                yield f'<text x="{x + 12:.1f}" y="38">{escape(part.label)}</text>'
                x += 30 + 6.4 * len(part.label)


@dataclass(frozen=True, slots=True)
class _Plot:
    """From figures to places on the paper."""

    left: float
    right: float
    low: float
    high: float
    is_log: bool

    def x(self, value: float) -> float:
        left, right, at = (log10(one) if self.is_log else one for one in (self.left, self.right, value))
        return round(LEFT + (at - left) / (right - left) * (WIDTH - LEFT - RIGHT), 1)

    def y(self, value: float) -> float:
        return round(HEIGHT - BOTTOM - (value - self.low) / (self.high - self.low) * (HEIGHT - TOP - BOTTOM), 1)

    def across_ticks(self) -> list[float]:
        if not self.is_log:
            return _ticks(self.left, self.right)
        decades = range(floor(log10(self.left)), ceil(log10(self.right)) + 1)
        every = [float(f"{step}e{decade}") for decade in decades for step in (1, 2, 5)]
        return [one for one in every if self.left <= one <= self.right]


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers between the two."""
    rough = (high - low) / TICKS
    size = 10.0 ** floor(log10(rough))
    step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= rough)
    return [round(number * step, 9) for number in range(ceil(low / step), floor(high / step) + 1)]


def _part(plot: _Plot, part: Dots | Bars) -> Iterable[str]:
    if isinstance(part, Bars):
        for left, right, height in part.columns:
            x, y = plot.x(left), plot.y(height)
            yield (
                f'<rect x="{x}" y="{y}" width="{max(plot.x(right) - x - 1, 0.5):.1f}" '
                f'height="{plot.y(max(plot.low, 0)) - y:.1f}" fill="{part.colour}"/>'
            )
        return
    if part.is_line:
        path = " ".join(f"{plot.x(x)},{plot.y(y)}" for x, y in part.points)
        yield f'<polyline points="{path}" fill="none" stroke="{part.colour}" stroke-width="2" opacity="0.7"/>'
    if part.radius:
        for x, y in part.points:
            yield f'<circle cx="{plot.x(x)}" cy="{plot.y(y)}" r="{part.radius}" fill="{part.colour}"/>'


def _upright(plot: _Plot, upright: Upright) -> Iterable[str]:
    x = plot.x(upright.at)
    yield f'<line x1="{x}" y1="{TOP}" x2="{x}" y2="{HEIGHT - BOTTOM}" stroke="{MARK}" stroke-dasharray="5 4"/>'
    yield f'<text x="{x + 4:.1f}" y="{TOP + 14}" fill="{MARK}">{escape(upright.word)}</text>'
