"""Realised exchange differences: an open item in another currency, settled at what its settlement is worth.

An item was opened at its own rate: so much of its currency, so much in the company's. Each settlement clears a part of
its currency and, of the item's own base amount, the same share; what the settlement is worth in the company's currency
beyond that share is the difference by rate: an exchange gain or loss (IAS 21, paragraph 28; ASBE 19), never a cost of
goods. The last part takes what is left of the base amount, so that an item whose currency is settled is worth nothing,
and what was realised in all is what its settlements were worth less what it was opened at, to the minor unit.

Amounts are minor units, debit positive, as on journal lines: a payable of 100 dollars is −100.00, the payment that
settles it +100.00. Items in the company's own currency have no such difference and are no case of this module.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from cloud.domain.rounding import round_ratio


class CannotSettleItem(ValueError):
    """A settlement that is none of this item: on the item's own side, or more than is open."""


@dataclass(frozen=True, slots=True)
class OpenItem:
    """What is open: `currency_amount` of its currency, in the books at `amount` of the company's."""

    currency_amount: int
    amount: int


@dataclass(frozen=True, slots=True)
class Settlement:
    """What a settlement posts. The other side (the bank, the payable) takes −worth and −currency_amount.

    currency_amount, amount  for the item's account, naming the item
    exchange                 for the exchange account, debit positive: a loss above 0, a gain below
    left                     the item afterwards
    """

    currency_amount: int
    amount: int
    exchange: int
    left: OpenItem

    @property
    def exchange_role(self) -> str:
        """The role of the account that takes the difference."""
        return "exchange_loss" if self.exchange > 0 else "exchange_gain"


def settle(item: OpenItem, currency_amount: int, worth: int) -> Settlement:
    """Settle a part of an item, or all of it. Raises CannotSettleItem.

    currency_amount  of the item's currency: on the side opposite the item, at most what is open
    worth            the same in the company's currency at the settlement's own rate, on the same side as it; 0 where
                     a small amount comes to nothing
    """
    _check(item, currency_amount, worth)
    share = item.amount
    if currency_amount != -item.currency_amount:
        share = round_ratio(item.amount * abs(currency_amount), abs(item.currency_amount))
    left = OpenItem(item.currency_amount + currency_amount, item.amount - share)
    return Settlement(currency_amount, -share, worth + share, left)


def settle_all(item: OpenItem, parts: Sequence[tuple[int, int]]) -> list[Settlement]:
    """Settle an item by several parts (currency_amount, worth), one after the other. Raises CannotSettleItem."""
    found: list[Settlement] = []
    for currency_amount, worth in parts:
        found.append(settle(found[-1].left if found else item, currency_amount, worth))
    return found


def _check(item: OpenItem, currency_amount: int, worth: int) -> None:
    if currency_amount == 0:
        raise CannotSettleItem("expected an amount to settle, got 0")
    if item.currency_amount == 0:
        raise CannotSettleItem(f"nothing of the item is open, got {currency_amount} to settle")
    if (currency_amount > 0) == (item.currency_amount > 0):
        raise CannotSettleItem(
            f"expected an amount opposite the item's {item.currency_amount}, got {currency_amount}"
        )
    if abs(currency_amount) > abs(item.currency_amount):
        raise CannotSettleItem(f"expected at most {-item.currency_amount}, which is open, got {currency_amount}")
    if worth and (worth > 0) != (currency_amount > 0):
        raise CannotSettleItem(f"expected a worth on the side of {currency_amount}, got {worth}")
