"""The material cost variance and its rate: how much of what standard cost left out belongs to what was issued.

    rate    = (opening variance + variance of the period) ÷ (opening stock + receipts of the period, at standard)
    issued  = rate × issues of the period at standard;  the rest of the variance stays with the stock

This is the formula of Chinese cost accounting for materials at planned cost (材料成本差异率, as in the application
guidance to ASBE, account 1404, and in every textbook on it). What was there and what came in is what is left and what
went out, so the rate's divisor is taken as stock held + issued.

An example. Opening stock at standard 40,000 with a variance of 1,000 (dearer); receipts at standard 60,000 that cost
58,000 (2,000 cheaper). The rate is (1,000 − 2,000) ÷ (40,000 + 60,000) = −1 %. Of 70,000 that production and sales
took (50,000 and 20,000), the share is −500 and −200; −300 stay with the 30,000 in stock.

Amounts are minor units of the company's currency, debit positive: a positive variance is dearer than standard. The
rate itself is never rounded.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from cloud.domain.rounding import round_ratio

Target = TypeVar("Target")


@dataclass(frozen=True, slots=True)
class Rate:
    """variance ÷ available; available > 0."""

    variance: int
    available: int

    def of(self, amount: int) -> int:
        """The variance that belongs to so much at standard, half up on magnitude."""
        return round_ratio(self.variance * amount, self.available)


def rate_of(variance: int, held: int, issued: int) -> Rate | None:
    """The rate of a period's materials; None where nothing was there that could bear a variance.

    held    stock at standard when the period is over;  issued  what the period took of it, returns taken off

    Goods that were issued before they came leave less than nothing in stock: then the issues bear all of the variance,
    and never more.
    """
    available = max(held + issued, issued)
    return Rate(variance, available) if available > 0 else None


def shares(rate: Rate, issued: Mapping[Target, int]) -> dict[Target, int]:
    """What each target of issues bears, and together exactly what all of them bear.

    Each part is rounded by itself; what the parts lack of the whole goes to the target that took most, the last of
    equals. A target that took nothing, or bears nothing, is left out.
    """
    parts = {target: rate.of(amount) for target, amount in issued.items() if amount}
    if not parts:
        return {}
    most = max(abs(issued[target]) for target in parts)
    largest = [target for target in parts if abs(issued[target]) == most][-1]
    parts[largest] += rate.of(sum(issued.values())) - sum(parts.values())
    return {target: part for target, part in parts.items() if part}
