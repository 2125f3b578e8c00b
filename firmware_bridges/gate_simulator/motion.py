"""How goods and people go: ways in the plane as straight pieces between points in time.

x along the way (0 the door, positive inside), y across, in metres; times in seconds. Speeds wander by some
percent as carriers' do, and nobody walks a perfectly straight line. Before its first and after its last point
whatever goes there is AWAY_M off, beyond every effect.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from firmware_bridges.gate_simulator.propagation import Floats

FAR_M: Final = 8.0  # where ways begin and end: beyond what a gate reads of most tags
AWAY_M: Final = 10_000.0
STEP_S: Final = 0.25  # between points of a way


@dataclass(frozen=True, slots=True)
class Way:
    """Points (times_s, x_m, y_m), each [P], times ascending."""

    times_s: Floats
    x_m: Floats
    y_m: Floats

    @property
    def starts_s(self) -> float:
        return float(self.times_s[0])

    @property
    def ends_s(self) -> float:
        return float(self.times_s[-1])

    def at(self, times_s: Floats) -> tuple[Floats, Floats]:
        """(x, y) at `times_s`, of any shape."""
        x = np.interp(times_s, self.times_s, self.x_m, left=AWAY_M, right=AWAY_M)
        return np.asarray(x), np.asarray(np.interp(times_s, self.times_s, self.y_m))

    def is_still(self, from_s: float, to_s: float) -> bool:
        """Whether it is there and stands all the time between the two."""
        if from_s < self.starts_s or to_s > self.ends_s:
            return False
        low = max(int(np.searchsorted(self.times_s, from_s, side="right")) - 1, 0)
        high = int(np.searchsorted(self.times_s, to_s)) + 1
        return bool(np.ptp(self.x_m[low:high]) == 0 and np.ptp(self.y_m[low:high]) == 0)

    def crossing_s(self, ahead_m: float, from_s: float, to_s: float) -> float | None:
        """When a point `ahead_m` before the middle was last at x = 0 between the two, where it ended on another
        side than it began; else None."""
        inside = (self.times_s > from_s) & (self.times_s < to_s)
        times = np.concatenate([[from_s], self.times_s[inside], [to_s]])
        x = np.interp(times, self.times_s, self.x_m) + ahead_m
        if x[0] * x[-1] >= 0:
            return None
        (turns,) = np.nonzero(x[:-1] * x[1:] <= 0)
        last = int(turns[-1])
        share = x[last] / (x[last] - x[last + 1]) if x[last] != x[last + 1] else 0.0
        return float(times[last] + share * (times[last + 1] - times[last]))


def standing(x_m: float, y_m: float, from_s: float, to_s: float) -> Way:
    """Parked."""
    return Way(np.array([from_s, to_s]), np.full(2, x_m), np.full(2, y_m))


def along(
    points: list[tuple[float, float]],
    starts_s: float,
    speed_m_s: float,
    random: np.random.Generator,
    waits_s: dict[int, float] | None = None,
) -> Way:
    """From point to point (x, y) at about `speed_m_s`, waiting `waits_s[i]` at point i.

    The speed wanders by 10 % (a first-order process of about 1 s), the way by 5 cm to the side.
    """
    corners = np.array(points)
    lengths = np.hypot(*np.diff(corners, axis=0).T)
    total = float(lengths.sum())
    stops = np.concatenate([[0.0], np.cumsum(lengths)])
    drift, gone, now = 0.0, 0.0, starts_s
    times, distances = [now], [0.0]
    waits = {round(float(stops[i]), 9): wait for i, wait in (waits_s or {}).items()}
    pending = sorted(waits)
    while gone < total - 1e-9:
        drift = 0.78 * drift + 0.0626 * float(random.standard_normal())
        step = max(0.3, 1 + drift) * speed_m_s * STEP_S
        next_stop = pending[0] if pending else total
        reached = min(gone + step, next_stop, total)
        now += STEP_S * (reached - gone) / step
        gone = reached
        times.append(now)
        distances.append(gone)
        if pending and gone >= pending[0] - 1e-9:
            now += waits[pending.pop(0)]
            times.append(now)
            distances.append(gone)
    moved = np.array(distances)
    weave = 0.05 * np.sin(moved / 1.3 + random.uniform(0, 2 * np.pi))
    x, y = np.interp(moved, stops, corners[:, 0]), np.interp(moved, stops, corners[:, 1])
    return Way(np.array(times), x, y + weave)


def through(
    inwards: bool,
    crosses_s: float,
    speed_m_s: float,
    random: np.random.Generator,
    y_m: float = 0.0,
    waits_s: float = 0.0,
    waits_at_m: float = 0.0,
) -> Way:
    """Through the door, straight; a wait, if any, within it."""
    sign = 1.0 if inwards else -1.0
    starts_s = crosses_s - FAR_M / speed_m_s
    points = [(-sign * FAR_M, y_m), (sign * waits_at_m, y_m), (sign * FAR_M, y_m)]
    return along(points, starts_s, speed_m_s, random, {1: waits_s} if waits_s else None)


def past(
    side: float, starts_s: float, away_m: float, speed_m_s: float, random: np.random.Generator, leftwards: bool
) -> Way:
    """Along the wall, `away_m` from the door's line on side −1 (outside) or 1 (inside)."""
    y = FAR_M if leftwards else -FAR_M
    return along([(side * away_m, -y), (side * away_m, y)], starts_s, speed_m_s, random)


def approach(
    side: float,
    starts_s: float,
    nearest_m: float,
    speed_m_s: float,
    random: np.random.Generator,
    y_m: float = 0.0,
    waits_s: float = 0.0,
) -> Way:
    """Towards the door as far as `nearest_m`, a wait, and back on the same side."""
    points = [(side * FAR_M, y_m), (side * nearest_m, y_m), (side * FAR_M, y_m + 0.5)]
    return along(points, starts_s, speed_m_s, random, {1: waits_s} if waits_s else None)


def turn_back(
    side: float,
    starts_s: float,
    beyond_m: float,
    speed_m_s: float,
    random: np.random.Generator,
    y_m: float = 0.0,
    waits_s: float = 0.0,
) -> Way:
    """Through the door to `beyond_m` behind it, a wait there, and back out."""
    points = [(side * FAR_M, y_m), (-side * beyond_m, y_m), (side * FAR_M, y_m)]
    return along(points, starts_s, speed_m_s, random, {1: waits_s} if waits_s else None)


def leaving(
    x_m: float, y_m: float, from_s: float, leaves_s: float, speed_m_s: float, random: np.random.Generator
) -> Way:
    """Parked since `from_s`, at `leaves_s` taken through the door to the other side."""
    sign = 1.0 if x_m > 0 else -1.0
    points = [(x_m, y_m), (sign * 0.8, 0.0), (-sign * FAR_M, 0.0)]
    way = along(points, leaves_s, speed_m_s, random)
    return Way(
        np.concatenate([[from_s], way.times_s]),
        np.concatenate([[way.x_m[0]], way.x_m]),
        np.concatenate([[way.y_m[0]], way.y_m]),
    )
