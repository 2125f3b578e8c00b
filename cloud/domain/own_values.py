"""What goods are worth by their own document: price × quantity × rate, before any pool is asked."""

import numpy as np
from numpy.typing import NDArray

from cloud.domain.batch import Company
from cloud.domain.costing import kernels
from cloud.domain.ledger.posting import ABSENT
from cloud.domain.movement import Kind, MovementColumns
from cloud.domain.rounding import OVERFLOW, muldiv_columns, round_ratio

NONE = kernels.NONE
Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

# Kinds whose document's price is a cost; the price of a sale or of its return is not.
_PRICED = (Kind.PURCHASE_RECEIPT, Kind.OPENING_STOCK)
# Kinds whose document's price is what is posted opposite the goods: order, opening list, credit note.
_POSTED_AT_PRICE = (*_PRICED, Kind.SUPPLIER_RETURN)


def own_values(moves: MovementColumns, company: Company) -> tuple[Int64, Int64]:
    """Price × quantity × rate as a cost value (10⁻⁶) and as a ledger amount (minor units), each rounded once.

    value   int64[n], `moves.value` where no price says what the goods cost; OVERFLOW where it passes the books
    amount  int64[n], what is posted opposite the goods, or ABSENT
    """
    value = moves.value.copy()
    amount = np.full(len(moves), ABSENT, np.int64)
    priced = (moves.price != NONE) & np.isin(moves.kind, _POSTED_AT_PRICE)
    costs = np.isin(moves.kind, _PRICED)
    home = priced & (moves.rate == 1_000_000_000)
    if home.any():
        price, qty = moves.price[home], moves.qty[home]
        value[home] = np.where(costs[home], muldiv_columns(price, qty, np.full(len(qty), 1_000_000)), value[home])
        amount[home] = muldiv_columns(price, qty, np.full(len(qty), 1_000_000 * company.unit))
    for row in np.flatnonzero(priced & ~home):
        # Three factors need more than 128 bits; foreign prices are few, and Python's integers are exact.
        product = int(moves.price[row]) * int(moves.qty[row]) * int(moves.rate[row])
        if costs[row]:
            value[row] = _bounded(round_ratio(product, 10**15))
        amount[row] = _bounded(round_ratio(product, 10**15 * company.unit))
    return value, amount


def overflowed(moves: MovementColumns, value: Int64) -> Bool:
    """Rows whose price is a cost that passes what the books can hold.

    NONE and OVERFLOW are the same number: only a price that is a cost can overflow.
    """
    found: Bool = (value == OVERFLOW) & (moves.price != NONE) & np.isin(moves.kind, _PRICED)
    return found


def _bounded(value: int) -> int:
    return value if value < kernels.VALUE_LIMIT else OVERFLOW
