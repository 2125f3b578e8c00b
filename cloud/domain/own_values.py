"""What goods are worth by their own document: price × quantity × rate, before any pool is asked."""

import numpy as np
from numpy.typing import NDArray

from cloud.domain.batch import Company
from cloud.domain.costing import kernels
from cloud.domain.currency import digits_of
from cloud.domain.ledger.posting import ABSENT, Foreign
from cloud.domain.movement import Kind, MovementColumns
from cloud.domain.rounding import OVERFLOW, minor_unit, muldiv_columns, round_ratio

NONE = kernels.NONE
Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

# Kinds whose document's price is a cost; the price of a sale or of its return is not.
_PRICED = (Kind.PURCHASE_RECEIPT, Kind.OPENING_STOCK, Kind.GROUP_RECEIPT)
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


def foreign_amounts(moves: MovementColumns) -> Foreign | None:
    """What documents in another currency come to in its minor units, opposite the goods; None where there is none.

    Amounts that pass the books are 0 here: their rows are rejected for their value (`overflowed`).
    """
    rows = np.flatnonzero((moves.currency != 0) & (moves.price != NONE) & np.isin(moves.kind, _POSTED_AT_PRICE))
    if len(rows) == 0:
        return None
    n = len(moves)
    currency, amount = np.zeros(n, np.int64), np.zeros(n, np.int64)
    for number in np.unique(moves.currency[rows]).tolist():
        here = rows[moves.currency[rows] == number]
        unit = minor_unit(digits_of(number))
        found = muldiv_columns(moves.price[here], moves.qty[here], np.full(len(here), 1_000_000 * unit))
        currency[here], amount[here] = number, np.where(found == OVERFLOW, 0, found)
    return Foreign(currency, amount)


def overflowed(moves: MovementColumns, value: Int64) -> Bool:
    """Rows whose price is a cost that passes what the books can hold.

    NONE and OVERFLOW are the same number: only a price that is a cost can overflow.
    """
    found: Bool = (value == OVERFLOW) & (moves.price != NONE) & np.isin(moves.kind, _PRICED)
    return found


def _bounded(value: int) -> int:
    return value if value < kernels.VALUE_LIMIT else OVERFLOW
