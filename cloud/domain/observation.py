"""What gateways' logs say they saw, checked for form, as columns; and whether their clocks can be believed."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cloud.domain.movement import Bytes16, Int64

_DAY_US = 86_400_000_000

# docs/postings.md "Times and order": a claim further ahead than this is a wrong clock; one further back than that
# is too old to be booked by anybody but a person.
CLOCK_AHEAD_US = 5 * 60 * 1_000_000
TOO_OLD_US = 30 * _DAY_US

Bool = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Observed:
    """n passages as gateways' logs said them, checked for form, struct of arrays. Times µs since 1970-01-01 UTC.

    movement_id  uint8[n, 16];  epoch  uint8[n, 16];  gateway, seq  int64[n]
    gate         int64[n], index into the gates that they were checked against
    tag          int64[n], index into `epcs`;  epcs  the distinct EPCs, upper-case hex
    direction    int64[n], Crossing;  confidence  float64[n], 0 … 1
    claimed_us, received_us  int64[n]
    qty          int64[n], 10⁻⁶ stock units that the device counted, or NONE
    evidence     n JSON objects
    """

    movement_id: Bytes16
    gateway: Int64
    epoch: Bytes16
    seq: Int64
    gate: Int64
    tag: Int64
    epcs: list[str]
    direction: Int64
    confidence: NDArray[np.float64]
    claimed_us: Int64
    received_us: Int64
    qty: Int64
    evidence: list[bytes]

    def __len__(self) -> int:
        return len(self.seq)

    def take(self, rows: Int64) -> "Observed":
        """These rows, in this order; `epcs` stays whole."""
        fixed = {
            name: getattr(self, name)[rows] for name in self.__slots__ if name not in ("epcs", "evidence")
        }  # fmt: skip
        return replace(self, evidence=[self.evidence[row] for row in rows.tolist()], **fixed)

    @property
    def has_wrong_clock(self) -> Bool:
        """Claims that lie too far ahead of their receipt to be believed."""
        return np.asarray(self.claimed_us > self.received_us + CLOCK_AHEAD_US)

    @property
    def is_too_old(self) -> Bool:
        """What happened so long before its receipt that only a person may say why."""
        return np.asarray(self.claimed_us < self.received_us - TOO_OLD_US)

    @property
    def occurred_us(self) -> Int64:
        """When each is ordered and dated."""
        return np.where(self.has_wrong_clock, self.received_us, self.claimed_us)
