"""How balance snapshots part movements into stretches, and what each stretch changes.

A *stretch* is the movements after one snapshot's moment and not after the next one's. It is cut when it holds twice
STRETCH_MOVEMENTS, or spans twice STRETCH_US: so neither a busy hour nor a quiet year is ever long to read.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cloud.domain.distinct import distinct_rows

Int64 = NDArray[np.int64]

OPEN_END_US = 2**63 - 1  # the moment of the stretch that is not at its end yet
STRETCH_MOVEMENTS = 20_000
STRETCH_US = 7 * 86_400_000_000


@dataclass(frozen=True, slots=True)
class Moved:
    """Movements as columns, n rows; the two clocks in µs UTC, quantities in 10⁻⁶ units."""

    occurred_us: Int64
    recorded_us: Int64
    item: Int64
    from_id: Int64
    to_id: Int64
    lot: Int64
    qty: Int64

    def __len__(self) -> int:
        return len(self.qty)

    def take(self, rows: Int64) -> "Moved":
        """These movements of it."""
        return Moved(*(getattr(self, name)[rows] for name in self.__slots__))


@dataclass(frozen=True, slots=True)
class Changes:
    """What balances change by, d rows in the order of (item, location, lot, stretch): 10⁻⁶ units."""

    item: Int64
    location: Int64
    lot: Int64
    stretch: Int64
    qty: Int64

    def running(self) -> Int64:
        """For each row what its balance has changed by until the end of its stretch, int64[d]."""
        if len(self.qty) == 0:
            return self.qty
        new = np.ones(len(self.qty), bool)
        for column in (self.item, self.location, self.lot):
            new[1:] &= column[1:] == column[:-1]
        new[1:] = ~new[1:]
        total = np.cumsum(self.qty)
        before = (total - self.qty)[new]
        return total - before[np.cumsum(new) - 1]


def changes_of(moved: Moved, stretch: Int64) -> Changes:
    """What movements change, by balance and stretch; stretch int64[n], of each movement."""
    item = np.concatenate([moved.item, moved.item])
    location = np.concatenate([moved.to_id, moved.from_id])
    lot = np.concatenate([moved.lot, moved.lot])
    where = np.concatenate([stretch, stretch])
    first, back = distinct_rows((item, location, lot, where))
    qty = np.zeros(len(first), np.int64)
    np.add.at(qty, back, np.concatenate([moved.qty, -moved.qty]))
    return Changes(item[first], location[first], lot[first], where[first], qty)


def is_long(moved: int, first_us: int, last_us: int, movements: int = STRETCH_MOVEMENTS) -> bool:
    """Whether a stretch is to be cut. Movements of one instant cannot be parted, and need not be: nobody can ask for
    a moment between them."""
    return last_us > first_us and (moved >= 2 * movements or last_us - first_us >= 2 * STRETCH_US)


def cuts(at_us: Int64, movements: int = STRETCH_MOVEMENTS) -> Int64:
    """Where to cut a stretch: moments, each the last of a part, rising; what lies behind the last one stays.

    at_us  int64[n], of its movements, rising
    """
    found: list[int] = []
    begin = 0
    while begin < len(at_us):
        end = min(begin + movements, int(np.searchsorted(at_us, at_us[begin] + STRETCH_US, "right")))
        last = at_us[end - 1]
        end = int(np.searchsorted(at_us, last, "right"))
        if end == len(at_us):  # the rest is one part, unless one instant fills its end
            before = int(np.searchsorted(at_us, last, "left"))
            if end - begin > movements and before > begin:
                found.append(int(at_us[before - 1]))
            break
        found.append(int(last))
        begin = end
    return np.array(found, np.int64)
