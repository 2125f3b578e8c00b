"""The lower of cost and net realisable value, item by item (IAS 2.28 to 2.33, ASBE 1 article 15), in integers."""

from collections.abc import Sequence
from dataclasses import dataclass

from cloud.domain.costing.allocation import share
from cloud.domain.costing.variances import value_at


@dataclass(frozen=True, slots=True)
class Holding:
    """What a pool holds at a moment: 10⁻⁶ stock units, 10⁻⁶ currency, and what is written off against it."""

    pool_id: int
    qty: int
    value: int
    allowance: int


def allowance_changes(holdings: Sequence[Holding], unit_value: int) -> list[int]:
    """By how much the allowance of each holding of one item changes, so that together they are what they should be:
    cost − what the goods will bring, and 0 where that is no loss.

    unit_value  what one stock unit will bring, 10⁻⁶ currency
    What is added follows what is not written off yet, what is taken back follows what is: no allowance passes its
    goods' cost or falls below 0.
    """
    cost = sum(one.value for one in holdings)
    wanted = max(cost - value_at(unit_value, sum(one.qty for one in holdings)), 0)
    change = wanted - sum(one.allowance for one in holdings)
    room = [max(one.value - one.allowance, 0) if change > 0 else one.allowance for one in holdings]
    if change == 0 or sum(room) == 0:
        return [0] * len(holdings)
    return share(max(min(change, sum(room)), -sum(room)), room)
