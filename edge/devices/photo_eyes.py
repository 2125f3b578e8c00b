"""From a reader's general purpose inputs to EyeChanges: the photo-eyes wired to it.

In: GPIEvents and GPIPortCurrentStates as sllurp 3.0.5 decodes them (LLRP 1.0.1, sections 13.2.6.2 and
13.2.5.5), the time they arrived. Out: an EyeChange where an eye is not as it was last told. What cannot be
used is counted by what is wrong with it, and named in the log once per kind and connection.

Whether a high input means a broken beam depends on the eye and on how it is wired (light-on or dark-on,
PNP or NPN): a setting of each eye. We choose `high` where nothing is said: a dark-on PNP output, which
drives the input while something stands in the beam.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from edge.devices.reader_clock import Arrival, ReaderClock
from edge.readings import EyeChange

log = logging.getLogger(__name__)

PORT_MOST: Final = 0xFFFF  # GPIPortNum has 16 bits

LOW: Final = 0  # GPIState (section 16.2.6.10); 2 is `unknown`
HIGH: Final = 1

UNKNOWN_EYE: Final = "unknown_eye"
UNKNOWN_EYE_STATE: Final = "unknown_eye_state"


@dataclass(frozen=True, slots=True)
class PhotoEye:
    """A photo-eye on input `port` (1-based), and which level of that input means that its beam is broken."""

    port: int
    broken_when: Literal["high", "low"] = "high"

    def __post_init__(self) -> None:
        if not 1 <= self.port <= PORT_MOST or self.broken_when not in ("high", "low"):
            raise ValueError(
                f"photo-eye: expected an input of 1 to {PORT_MOST} and high or low, "
                f"got {self.port!r} and {self.broken_when!r}"
            )

    def is_broken(self, is_high: bool) -> bool:
        """Whether the beam is broken while the input is at this level."""
        return is_high == (self.broken_when == "high")


class PhotoEyes:
    """The photo-eyes of one reader, as last told; used by one thread."""

    def __init__(self, device: str, eyes: Iterable[PhotoEye], clock: ReaderClock) -> None:
        self._device = device
        self._eyes = {eye.port: eye for eye in eyes}
        self._clock = clock
        self._is_broken: dict[int, bool] = {}
        self._named: set[str] = set()
        self.counts = {"eye_changes": 0, "eye_repeats": 0, UNKNOWN_EYE: 0, UNKNOWN_EYE_STATE: 0}

    def forget_named(self) -> None:
        """A new connection: each kind of fault is worth a line again."""
        self._named.clear()

    def event(self, event: Mapping[str, Any], stamp_us: int | None, arrival: Arrival) -> EyeChange | None:
        """What a GPIEvent with the reader's stamp says; None when it is no change of an eye of ours."""
        eye = self._eyes.get(event["GPIPortNumber"])
        if eye is None:
            self._count(UNKNOWN_EYE, f"expected input {sorted(self._eyes)}, got {event['GPIPortNumber']}")
            return None
        return self._changed(eye, bool(event["GPIEvent"]), self._clock.seen_at_us(stamp_us, arrival))

    def states(self, states: Iterable[Mapping[str, Any]], at_us: int) -> list[EyeChange]:
        """How the eyes stand at `at_us`, where that is not as last told: in an answer, which carries no time."""
        levels = {state["GPIPortNum"]: state["GPIState"] for state in states}
        changes = []
        for port, eye in self._eyes.items():
            level = levels.get(port)
            if level not in (LOW, HIGH):
                self._count(UNKNOWN_EYE_STATE, f"expected low or high (0, 1) of input {port}, got {level}")
            elif change := self._changed(eye, level == HIGH, at_us):
                changes.append(change)
        return changes

    def _changed(self, eye: PhotoEye, is_high: bool, seen_at_us: int) -> EyeChange | None:
        is_broken = eye.is_broken(is_high)
        if self._is_broken.get(eye.port) is is_broken:
            self.counts["eye_repeats"] += 1
            return None
        self._is_broken[eye.port] = is_broken
        self.counts["eye_changes"] += 1
        return EyeChange(eye.port, is_broken, seen_at_us)

    def _count(self, kind: str, why: str) -> None:
        self.counts[kind] += 1
        if kind not in self._named:
            self._named.add(kind)
            log.warning("%s: %s, more like it are only counted: %s", self._device, kind, why)
