"""What a gateway's log says it saw, checked for form, and whether its clock can be believed."""

import uuid
from dataclasses import dataclass

from cloud.domain.movement import Crossing

_DAY_US = 86_400_000_000

# docs/postings.md "Times and order": a claim further ahead than this is a wrong clock; one further back than that
# is too old to be booked by anybody but a person.
CLOCK_AHEAD_US = 5 * 60 * 1_000_000
TOO_OLD_US = 30 * _DAY_US


@dataclass(frozen=True, slots=True)
class Observed:
    """One passage as a gateway's log said it, checked for form. Times µs since 1970-01-01 UTC."""

    movement_id: uuid.UUID
    gateway_id: int
    epoch: uuid.UUID
    seq: int
    gate: str
    epc: str
    direction: Crossing
    confidence: float
    claimed_us: int
    received_us: int
    qty_micro: int | None
    evidence: bytes

    @property
    def has_wrong_clock(self) -> bool:
        """Whether its claim lies too far ahead of its receipt to be believed."""
        return self.claimed_us > self.received_us + CLOCK_AHEAD_US

    @property
    def is_too_old(self) -> bool:
        """Whether it happened so long before its receipt that only a person may say why."""
        return self.claimed_us < self.received_us - TOO_OLD_US

    @property
    def occurred_us(self) -> int:
        """When it is ordered and dated."""
        return self.received_us if self.has_wrong_clock else self.claimed_us
