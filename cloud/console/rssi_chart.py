"""The RSSI course of a passage as a drawing: geometry only; the template makes SVG of it.

A line for each antenna, in the colour and the line style of its side, its peak marked and named; the time of
the crossing as a line across; below, a strip for each photo-eye with the times when its beam was broken.
All coordinates are in units of the drawing (WIDTH wide), y downwards as in SVG.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import ceil, floor, log10

from cloud.domain.gate_evidence import SIDES, AntennaSeen, EyeBroken, GateEvidence

WIDTH = 720.0
LEFT, RIGHT, TOP, BOTTOM = 62.0, 18.0, 52.0, 62.0
PLOT_HEIGHT = 250.0
EYE_HEIGHT = 40.0  # a strip: its name, and the bar below that
# A phone shows the drawing at half its size, so the sheet sets its letters larger there; room is kept for those.
LETTER_WIDTH, WIDE_LETTER_WIDTH, LINE_HEIGHT = 11.0, 20.0, 24.0
TICKS_MAX = 7
LEAST_SPAN_DB, LEAST_STEP_DB = 10.0, 5.0
LEAST_SPAN_S = 1.0


@dataclass(frozen=True, slots=True)
class Tick:
    """A place on an axis and what stands there."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Label:
    """A text with its middle at x, its base line at y."""

    x: float
    y: float
    text: str


@dataclass(frozen=True, slots=True)
class Line:
    """One antenna's course: `points` as SVG wants them; its peak and the name beside that."""

    side: str
    points: str
    peak_x: float
    peak_y: float
    label: Label


@dataclass(frozen=True, slots=True)
class Eye:
    """One photo-eye's strip, `y` its upper edge: (x, width) of the times when its beam was broken."""

    name: str
    y: float
    broken: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """Everything to draw; `crossed` is the name of the line at crossed_x."""

    width: float
    height: float
    left: float
    right: float
    top: float
    bottom: float
    times: tuple[Tick, ...]
    levels: tuple[Tick, ...]
    lines: tuple[Line, ...]
    crossed: Label | None
    crossed_x: float | None
    eyes: tuple[Eye, ...]


def draw(
    evidence: GateEvidence,
    crossed_us: int | None,
    name_of: Callable[[AntennaSeen | EyeBroken], str],
    crossed_words: Callable[[str], str],
) -> Chart | None:
    """The drawing; None where no antenna sent its course.

    crossed_us     gateway's clock;  name_of  what stands at an antenna's peak and a photo-eye's strip
    crossed_words  what stands at the crossing, given its seconds as text
    """
    seen = [antenna for antenna in evidence.antennas if antenna.course]
    if not seen:
        return None
    crossed_ms = _after_ms(evidence, crossed_us)
    peaks = {id(antenna): _peak(evidence, antenna) for antenna in seen}
    points = [point for antenna in seen for point in (*antenna.course, peaks[id(antenna)])]
    # From the first read to the last, and what stands outside of that all the same.
    ends = (0.0, _after_ms(evidence, evidence.last_seen_us), crossed_ms)
    moments = [at_ms / 1000 for at_ms in (*(at_ms for at_ms, _ in points), *ends) if at_ms is not None]
    from_s, until_s = _span(moments, LEAST_SPAN_S)
    levels = [dbm for _, dbm in points]
    step_db = max(LEAST_STEP_DB, _step(max(levels) - min(levels)))
    low = floor(min(levels) / step_db) * step_db
    high = max(ceil(max(levels) / step_db) * step_db, low + LEAST_SPAN_DB)
    right, bottom = WIDTH - RIGHT, TOP + PLOT_HEIGHT

    def x(at_ms: float) -> float:
        return round(LEFT + (at_ms / 1000 - from_s) / (until_s - from_s) * (right - LEFT), 1)

    def y(dbm: float) -> float:
        return round(TOP + (high - dbm) / (high - low) * PLOT_HEIGHT, 1)

    labels = _Labels()
    crossed = None
    if crossed_ms is not None:
        crossed = labels.put(crossed_words(seconds(crossed_ms)), x(crossed_ms), LINE_HEIGHT, right)
    lines = []
    # The strongest get the places beside their peaks; the others make way.
    for antenna in sorted(seen, key=lambda one: (-peaks[id(one)][1], one.antenna)):
        peak_x, peak_y = x(peaks[id(antenna)][0]), y(peaks[id(antenna)][1])
        drawn = " ".join(f"{x(at_ms)},{y(dbm)}" for at_ms, dbm in antenna.course)
        label = labels.put(name_of(antenna), peak_x, peak_y - 10, right)
        lines.append(Line(antenna.side, drawn, peak_x, peak_y, label))
    eyes = _eyes(evidence, name_of, bottom, x, from_s * 1000, until_s * 1000)
    return Chart(
        width=WIDTH,
        height=bottom + EYE_HEIGHT * len(eyes) + BOTTOM,
        left=LEFT,
        right=right,
        top=TOP,
        bottom=bottom,
        times=tuple(Tick(x(1000 * at), _plain(at)) for at in _ticks(from_s, until_s, _step(until_s - from_s))),
        levels=tuple(Tick(y(at), _plain(at)) for at in _ticks(low, high, step_db)),
        lines=tuple(sorted(lines, key=lambda line: SIDES.index(line.side))),
        crossed=crossed,
        crossed_x=None if crossed_ms is None else x(crossed_ms),
        eyes=eyes,
    )


def seconds(at_ms: float) -> str:
    """Milliseconds as seconds with two digits."""
    return f"{at_ms / 1000:.2f}".replace("-", "−")


class _Labels:
    """Places texts so that none covers another: at the place asked for, or higher, or lower."""

    def __init__(self) -> None:
        self._taken: list[tuple[float, float, float, float]] = []

    def put(self, text: str, x: float, y: float, right: float) -> Label:
        half = sum(WIDE_LETTER_WIDTH if ord(letter) > 0x2E80 else LETTER_WIDTH for letter in text) / 2
        x = round(max(LEFT + half, min(x, right - half)), 1)
        tries = [y, *(y - LINE_HEIGHT * n for n in range(1, 9)), *(y + LINE_HEIGHT * n for n in range(1, 9))]
        free = [at for at in tries if at >= LINE_HEIGHT - 4 and not self._covers(x - half, at, x + half)]
        at = free[0] if free else y
        self._taken.append((x - half, at - LINE_HEIGHT, x + half, at))
        return Label(x, round(at, 1), text)

    def _covers(self, left: float, base: float, right: float) -> bool:
        return any(
            left < other_right and right > other_left and base - LINE_HEIGHT < other_base and base > other_top
            for other_left, other_top, other_right, other_base in self._taken
        )


def _eyes(
    evidence: GateEvidence, name_of: Callable[[EyeBroken], str], bottom: float, x: Callable[[float], float],
    first_ms: float, last_ms: float,
) -> tuple[Eye, ...]:  # fmt: skip
    strips = []
    for number, name in enumerate(dict.fromkeys(name_of(eye) for eye in evidence.eyes)):
        spans = [_within(evidence, eye, first_ms, last_ms) for eye in evidence.eyes if name_of(eye) == name]
        broken = tuple((x(begin), round(x(end) - x(begin), 1)) for begin, end in spans if end > begin)
        strips.append(Eye(name, bottom + EYE_HEIGHT * number + 6, broken))
    return tuple(strips)


def _within(evidence: GateEvidence, eye: EyeBroken, first_ms: float, last_ms: float) -> tuple[float, float]:
    begin, end = _after_ms(evidence, eye.from_us), _after_ms(evidence, eye.until_us)
    begin, end = first_ms if begin is None else begin, last_ms if end is None else end
    return max(begin, first_ms), min(end, last_ms)


def _peak(evidence: GateEvidence, antenna: AntennaSeen) -> tuple[float, float]:
    """(ms, dBm): as the gateway says, else the highest point of the course."""
    at_ms, dbm = max(antenna.course, key=lambda point: point[1])
    told_ms = _after_ms(evidence, antenna.peak_us)
    if told_ms is None or antenna.peak_dbm is None:
        return at_ms, dbm
    return told_ms, antenna.peak_dbm


def _after_ms(evidence: GateEvidence, at_us: int | None) -> float | None:
    if at_us is None or evidence.first_seen_us is None:
        return None
    return (at_us - evidence.first_seen_us) / 1000


def _span(values: Iterable[float], least: float) -> tuple[float, float]:
    values = list(values)
    low, high = min(values), max(values)
    return (low, high) if high - low >= least else (low, low + least)


def _step(span: float) -> float:
    """The smallest of 1, 2, 5 × 10ⁿ that makes at most TICKS_MAX steps of a span."""
    rough = span / TICKS_MAX
    scale = 10.0 ** floor(log10(rough)) if rough > 0 else 1.0
    return next(scale * many for many in (1, 2, 5, 10) if scale * many >= rough * 0.999)


def _ticks(low: float, high: float, step: float) -> list[float]:
    first = ceil(low / step - 1e-9)
    return [n * step for n in range(first, floor(high / step + 1e-9) + 1)]


def _plain(value: float) -> str:
    return f"{value:.6g}".replace("-", "−")
