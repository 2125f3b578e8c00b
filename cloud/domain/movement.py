"""Movements of goods: their kinds, what may become of a sighting, and a batch of them as columns."""

import hashlib
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

QTY_MAX = 2**53  # 9 × 10⁹ stock units; a sum stays inside int64 for 1,023 movements of the most
VALUE_MAX = 2**61
MICRO = 1_000_000
NONE = -1  # no price, no value, no row: none of these is ever negative

Int64 = NDArray[np.int64]
Bytes16 = NDArray[np.uint8]  # shape (n, 16): UUIDs as their bytes


class Kind(IntEnum):
    """Why goods moved, or why their cost changed without it. The numbers are those of the table movement_kinds."""

    PURCHASE_RECEIPT = 1
    SUPPLIER_RETURN = 2
    SALES_SHIPMENT = 3
    CUSTOMER_RETURN = 4
    TRANSFER_OUT = 5
    TRANSFER_IN = 6
    OPENING_STOCK = 7
    SCRAP = 8
    COUNT_GAIN = 9
    COUNT_LOSS = 10
    UNEXPLAINED_IN = 11
    UNEXPLAINED_OUT = 12
    INTERNAL_MOVE = 13
    PRODUCTION_ISSUE = 14
    PRODUCTION_RECEIPT = 15
    PRODUCTION_START = 16
    PRODUCTION_END = 17
    GROUP_SHIPMENT = 18  # to another company of the group, and
    GROUP_RECEIPT = 19  # from one
    # Value events: no goods move.
    PRICE_CORRECTION = 30
    LANDED_COST = 31
    LABOUR = 32
    OVERHEAD = 33
    WRITE_DOWN = 34
    STANDARD_CHANGE = 35
    METHOD_CHANGE = 36
    PERIOD_SETTLEMENT = 37
    RECOSTING = 38
    REVALUATION = 39
    # Entries of documents that no movement made.
    SUPPLIER_INVOICE = 50
    CUSTOMER_INVOICE = 51
    PAYMENT = 52
    CLEARING = 53
    CURRENCY_REVALUATION = 54
    CARRY_FORWARD = 55
    MANUAL = 56
    VARIANCE_SPREAD = 57
    INTER_COMPANY = 58

    @property
    def moves_goods(self) -> bool:
        """Whether this is a kind of movement; the others are kinds of value events and of their entries."""
        return self < Kind.PRICE_CORRECTION

    @property
    def is_document(self) -> bool:
        """Whether only entries of sub-ledger documents and manual ones are of this kind."""
        return self >= Kind.SUPPLIER_INVOICE


class Outcome(IntEnum):
    """What became of a sighting. The numbers are those of the table outcomes."""

    MOVED = 1
    ALREADY_THERE = 2
    SAME_CROSSING = 3
    TURNED_BACK = 4
    UNDECIDED = 5
    UNREGISTERED = 6


class Crossing(IntEnum):
    """A passage's direction as stored: the gate's outside to its inside, or back, or neither."""

    IN = 1
    OUT = 2
    TURNED_BACK = 3
    UNDECIDED = 4


class Tag(IntFlag):
    """What a reader of a movement or an entry should know about it."""

    LATE = 1
    CLOCK = 2
    UNCOSTED = 4


def derived_id(source: bytes) -> UUID:
    """A UUIDv8 (RFC 9562, section 5.8) of what it is derived from: the same source, the same id."""
    raw = bytearray(hashlib.sha256(source).digest()[:16])
    raw[6] = raw[6] & 0x0F | 0x80
    raw[8] = raw[8] & 0x3F | 0x80
    return UUID(bytes=bytes(raw))


@dataclass(slots=True)
class MovementColumns:
    """A batch of movements, n rows, struct of arrays, in the order in which they are costed.

    movement_id   uint8[n, 16]
    kind          int64[n], Kind
    item          int64[n], item_id
    qty           int64[n], 10⁻⁶ stock units, 1 … QTY_MAX
    from_id/to_id int64[n], location_id
    party         int64[n], party_id or 0
    document      list of n texts
    price         int64[n], 10⁻⁶ of the document's currency per stock unit, or NONE
    rate          int64[n], base currency per unit of the document's currency in 10⁻⁹
    value         int64[n], 10⁻⁶ of the company's currency where the receipt's cost is known as such, or NONE
    occurred_us   int64[n], as ordered and dated
    tags          int64[n], Tag bits
    gateway, seq  int64[n]; gateway 0 is the cloud's own log
    epoch         uint8[n, 16]
    corrects      uint8[n, 16], all zero where nothing is corrected
    lot           int64[n], lot_id or 0
    original      uint8[n, 16], the movement that this one returns; all zero where none is named
    reason        list of n texts: why, in the words that posting rules know
    dimension     int64[n], dimension set of the leg opposite the pool, 0 for none
    currency      int64[n], ISO 4217 number of the price's currency, 0 where it is the company's own
    source_row    int64[n], row of the batch's input this came from
    """

    movement_id: Bytes16
    kind: Int64
    item: Int64
    qty: Int64
    from_id: Int64
    to_id: Int64
    party: Int64
    document: list[str]
    price: Int64
    rate: Int64
    value: Int64
    occurred_us: Int64
    tags: Int64
    gateway: Int64
    seq: Int64
    epoch: Bytes16
    corrects: Bytes16
    lot: Int64
    original: Bytes16
    reason: list[str]
    dimension: Int64
    currency: Int64
    source_row: Int64

    def __len__(self) -> int:
        return len(self.kind)

    def take(self, index: Int64) -> "MovementColumns":
        """The rows of `index`, in its order."""
        columns: dict[str, Any] = {}
        for name in self.__slots__:
            column = getattr(self, name)
            columns[name] = [column[i] for i in index] if isinstance(column, list) else column[index]
        return MovementColumns(**columns)
