"""Share an amount over several targets, exactly: freight over receipts, overhead over work orders.

Amounts, weights and parts are integers. Each part is the difference of two rounded running totals, so that the
parts sum to the amount whatever the weights are, no part is more than one unit off its exact share, and a
target without weight gets nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate

from cloud.domain.rounding import round_ratio


class Basis(StrEnum):
    """What a target's share follows."""

    QUANTITY = "quantity"
    VALUE = "value"
    WEIGHT = "weight"
    VOLUME = "volume"


class CannotShare(ValueError):
    """An amount cannot be shared so; `target` is the number of the target at fault, None where it is all of them."""

    def __init__(self, reason: str, target: int | None = None) -> None:
        super().__init__(reason if target is None else f"target {target}: {reason}")
        self.reason = reason
        self.target = target


@dataclass(frozen=True, slots=True)
class Target:
    """What a share can go to.

    qty_micro    10⁻⁶ stock units, value_micro 10⁻⁶ of the company's currency
    weight_mg    of one stock unit, volume_mm3 of one stock unit; None where the item does not say
    """

    qty_micro: int
    value_micro: int
    weight_mg: int | None = None
    volume_mm3: int | None = None


def share(amount: int, weights: Sequence[int]) -> list[int]:
    """`amount` (of either sign) over as many targets as there are weights, in proportion to them.

    Raises CannotShare when a weight is negative, or when no target has any weight.
    """
    for number, weight in enumerate(weights):
        if weight < 0:
            raise CannotShare(f"expected a weight of 0 or more, got {weight}", number)
    total = sum(weights)
    if total == 0:
        raise CannotShare(f"none of {len(weights)} targets has any weight to share {amount} by")
    return list(_differences(round_ratio(amount * running, total) for running in accumulate(weights)))


def _differences(totals: Iterator[int]) -> Iterator[int]:
    before = 0
    for total in totals:
        yield total - before
        before = total


def weights_of(basis: Basis, targets: Sequence[Target]) -> list[int]:
    """What each target weighs by this basis. Raises CannotShare for a target whose item does not say."""
    return [_weight(basis, target, number) for number, target in enumerate(targets)]


def _weight(basis: Basis, target: Target, number: int) -> int:
    if basis is Basis.QUANTITY:
        return target.qty_micro
    if basis is Basis.VALUE:
        return target.value_micro
    of_one = target.weight_mg if basis is Basis.WEIGHT else target.volume_mm3
    if of_one is None:
        raise CannotShare(f"expected an item with a {basis}, got one that has none", number)
    return target.qty_micro * of_one


def share_by(basis: Basis, amount: int, targets: Sequence[Target]) -> list[int]:
    """`amount` over `targets` by `basis`. Raises CannotShare."""
    return share(amount, weights_of(basis, targets))
