"""Value events: changes of cost without goods, and a batch of them as columns.

An invoice that says another price, freight that comes behind the goods, labour of a work order, a write-down,
a new standard cost. Each concerns one receipt or one cost pool, at its own place in time.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloud.domain.movement import Bytes16, Kind

NONE = -1

Int64 = NDArray[np.int64]

# Those that concern a receipt (`original`); all others concern a pool.
AT_RECEIPT = frozenset((Kind.PRICE_CORRECTION, Kind.LANDED_COST))

# Order within one instant: changes of a pool's value, then goods, what a receipt learns about itself behind it, and
# last what takes another movement of the instant back.
RANK_CHANGE, RANK_RECEIPT, RANK_TRANSFER, RANK_AT_RECEIPT, RANK_ISSUE, RANK_CORRECTION = range(6)


def ranks(kind: Int64) -> Int64:
    """The places of value events of these kinds within their instant, int64[n]."""
    return np.where(np.isin(kind, list(AT_RECEIPT)), RANK_AT_RECEIPT, RANK_CHANGE)


@dataclass(frozen=True, slots=True)
class ValueEventColumns:
    """A batch of value events, n rows, struct of arrays.

    event_id      uint8[n, 16]; ids of movements and of events are of one space
    kind          int64[n], Kind, 30 … 39
    value         int64[n], signed, 10⁻⁶ of the company's currency: how much dearer the goods are; for a write-down
                  by how much the allowance grows; for a standard change the new standard of one stock unit; for a
                  method change the number of the method; 0 for a period settlement
    occurred_us   int64[n], as ordered and dated
    original      uint8[n, 16], the receipt it concerns; all zero for events of a pool
    pool          int64[n], pool_id of a pool that exists, or NONE: the pool of `item` and `lot` at `location`,
                  which is made when it does not exist yet
    item          int64[n], item_id or 0 (with `pool` or `original`)
    location      int64[n], location_id or 0; of a work order: the order's own location
    lot           int64[n], lot_id or 0
    period        int64[n], period_id or 0
    dimension     int64[n], dimension_id or 0: what share key a cost was allocated by
    party         int64[n], party_id or 0
    currency, currency_amount  int64[n], ISO 4217 number of the document's currency (0: the company's own), and the
                  change in its minor units
    document      list of n texts
    reason        list of n texts
    source_row    int64[n], row of the batch's input this came from; numbered apart from the movements'
    """

    event_id: Bytes16
    kind: Int64
    value: Int64
    occurred_us: Int64
    original: Bytes16
    pool: Int64
    item: Int64
    location: Int64
    lot: Int64
    period: Int64
    dimension: Int64
    party: Int64
    currency: Int64
    currency_amount: Int64
    document: list[str]
    reason: list[str]
    source_row: Int64

    def __len__(self) -> int:
        return len(self.kind)

    @classmethod
    def of(
        cls, event_id: Bytes16, kind: Int64, value: Int64, occurred_us: Int64, **columns: Any
    ) -> "ValueEventColumns":
        """Columns that are not named take their default: no receipt, no pool, nobody, no text."""
        n = len(kind)
        defaults: dict[str, Any] = {
            name: np.zeros(n, np.int64)
            for name in (
                "item",
                "location",
                "lot",
                "period",
                "dimension",
                "party",
                "currency",
                "currency_amount",
            )
        }
        defaults |= {"original": np.zeros((n, 16), np.uint8), "pool": np.full(n, NONE, np.int64)}
        defaults |= {"document": [""] * n, "reason": [""] * n, "source_row": np.arange(n)}
        return cls(event_id, kind, value, occurred_us, **(defaults | columns))

    @classmethod
    def empty(cls) -> "ValueEventColumns":
        """No events."""
        nothing = np.zeros(0, np.int64)
        return cls.of(np.zeros((0, 16), np.uint8), nothing, nothing, nothing)

    def take(self, index: Int64) -> "ValueEventColumns":
        """The rows of `index`, in its order."""
        columns: dict[str, Any] = {}
        for name in self.__slots__:
            column = getattr(self, name)
            columns[name] = [column[i] for i in index] if isinstance(column, list) else column[index]
        return ValueEventColumns(**columns)
