"""What shipments will be invoiced at: the revenue and the receivable that wait for their invoice.

A draft is no entry. It names the movement and what its document says it sells for; what the goods cost is posted
at once, and never waits.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cloud.domain.batch import Company
from cloud.domain.currency import digits_of
from cloud.domain.movement import Kind, MovementColumns
from cloud.domain.rounding import OVERFLOW, minor_unit, muldiv_columns

Int64 = NDArray[np.int64]

# A customer's return waits for its credit note: its draft is negative. A transfer price within the group is posted
# with the inter-company document.
_SIGN = {Kind.SALES_SHIPMENT: 1, Kind.CUSTOMER_RETURN: -1}


@dataclass(frozen=True, slots=True)
class Drafts:
    """Drafts of a batch. row: of its movements;  net: minor units of the document's currency, both int64[d]."""

    row: Int64
    net: Int64


def drafts(moves: MovementColumns, company: Company) -> Drafts:
    """One for each priced shipment to a customer or return from one, but none for what corrects another movement.

    An amount that passes the books is no draft: a person has to say what was meant.
    """
    priced = (moves.price > 0) & np.isin(moves.kind, list(_SIGN)) & ~moves.corrects.any(axis=1)
    rows = np.flatnonzero(priced)
    net = np.zeros(len(rows), np.int64)
    for number in np.unique(moves.currency[rows]).tolist():
        here = moves.currency[rows] == number
        unit = minor_unit(digits_of(number)) if number else company.unit
        price, qty = moves.price[rows[here]], moves.qty[rows[here]]
        net[here] = muldiv_columns(price, qty, np.full(len(qty), 1_000_000 * unit))
    kept = (net != OVERFLOW) & (net != 0)
    rows, net = rows[kept], net[kept]
    return Drafts(rows, np.where(moves.kind[rows] == Kind.CUSTOMER_RETURN, -net, net))
