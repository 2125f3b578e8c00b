"""A batch on its way into the books: the company it belongs to, its place in its lane, what it has written."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cloud.domain.rounding import minor_unit

Int64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Company:
    """What the books must know of a company."""

    company_id: int
    code: str
    currency: str
    minor_digits: int
    time_zone: str

    @property
    def unit(self) -> int:
        """10⁻⁶ of the currency in one minor unit."""
        return minor_unit(self.minor_digits)


@dataclass(slots=True)
class Batch:
    """One transaction's batch: where it stands in its lane, and what it has written so far.

    hashed holds the digests of everything appended, in the order in which the chain takes them.
    """

    company: Company
    lane: int
    batch_no: int
    previous: bytes
    recorded_us: int
    worker: str
    observed: int = 0
    moved: int = 0
    hashed: list[NDArray[np.uint8]] = field(default_factory=list)
    turnovers: list[tuple[Int64, Int64, Int64]] = field(default_factory=list)
