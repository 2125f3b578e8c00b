"""A batch on its way into the books: the company it belongs to, its place in its lane, what it has written."""

from dataclasses import dataclass, field
from typing import NamedTuple

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
    gateways_post_back: bool = True  # late events of gateways go into soft-closed periods

    @property
    def unit(self) -> int:
        """10⁻⁶ of the currency in one minor unit."""
        return minor_unit(self.minor_digits)


class Turnover(NamedTuple):
    """Lines on their way into the turnovers, int64[k] each: target, period, amount, currency, amount in it."""

    account: Int64
    period: Int64
    amount: Int64
    currency: Int64
    currency_amount: Int64


# The tables whose rows a batch's link covers, in the order in which it takes their digests.
HASHED = (
    "movements", "value_events", "cost_entries", "allowance_entries", "ledger_documents", "journal_entries",
    "observations",
)  # fmt: skip


class OutOfOrder(RuntimeError):
    """A batch writes each table once and in the link's order; what more there is belongs to the next batch."""


@dataclass(slots=True)
class Batch:
    """One transaction's batch: where it stands in its lane, and what it has written so far.

    posts_soft_closed: whether who asked for it may post into soft-closed periods.
    hashed holds the digests of everything appended, by table; `chain` adds them.
    """

    company: Company
    lane: int
    batch_no: int
    previous: bytes
    recorded_us: int
    worker: str
    observed: int = 0
    moved: int = 0
    posts_soft_closed: bool = False
    hashed: dict[str, NDArray[np.uint8]] = field(default_factory=dict)
    turnovers: list[Turnover] = field(default_factory=list)

    def chain(self, table: str, digests: NDArray[np.uint8]) -> None:
        """What was appended to a table. Raises OutOfOrder: rows are numbered from 0 in each table of a batch."""
        place = HASHED.index(table)
        if any(HASHED.index(one) >= place for one in self.hashed):
            before = ", ".join(self.hashed)
            raise OutOfOrder(f"batch {self.batch_no} of lane {self.lane} writes {table} behind {before}")
        self.hashed[table] = digests
