"""A progress bar for work that takes longer than a person likes to wait without a sign."""

import time
from collections.abc import Callable
from typing import TextIO

SILENT_S = 2.0  # work that is done sooner shows nothing
REDRAWN_S = 0.1
CELLS = 30


class Progress:
    """One bar over several stages of known weight, on a terminal only; nothing is shown before SILENT_S."""

    def __init__(
        self, stream: TextIO, weights: dict[str, float], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream = stream
        self._clock = clock
        whole = sum(weights.values())
        self._begins, self._lasts = {}, {}
        done = 0.0
        for stage, weight in weights.items():
            self._begins[stage], self._lasts[stage] = done / whole, weight / whole
            done += weight
        self._started = clock()
        self._drawn_at = self._started
        self._is_drawn = False
        self._is_terminal = stream.isatty()

    def told(self, stage: str) -> Callable[[float], None]:
        """What a stage calls with the share of itself that is done, 0 … 1."""

        def tell(share: float) -> None:
            self._draw(stage, self._begins[stage] + share * self._lasts[stage])

        return tell

    def _draw(self, stage: str, share: float) -> None:
        now = self._clock()
        if not self._is_terminal or now - self._started < SILENT_S or now - self._drawn_at < REDRAWN_S:
            return
        filled = round(min(max(share, 0.0), 1.0) * CELLS)
        bar = "█" * filled + "░" * (CELLS - filled)
        self._stream.write(f"\r{bar} {share:4.0%}  {stage:<24}")
        self._stream.flush()
        self._drawn_at, self._is_drawn = now, True

    def close(self) -> None:
        """Take the bar away."""
        if self._is_drawn:
            self._stream.write("\r" + " " * (CELLS + 32) + "\r")
            self._stream.flush()
            self._is_drawn = False
