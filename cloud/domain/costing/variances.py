"""Variances: how far actual cost lies from standard, and why.

Quantities are integers of 10⁻⁶ stock units, unit costs of 10⁻⁶ currency per stock unit, values of 10⁻⁶ currency.
A positive variance is unfavourable: more was paid, or more was used, than the standard says. Each value is
rounded once, and the parts of a variance always sum to the whole of it.

Definitions: Horngren, Datar, Rajan, Cost Accounting, chapter 7: price variance = (actual price − standard price) ×
actual quantity; efficiency (usage) variance = (actual quantity − standard quantity) × standard price.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from cloud.domain.rounding import round_ratio

MICRO = 1_000_000


@dataclass(frozen=True, slots=True)
class MaterialVariance:
    """What a material cost beyond standard: by its price, by the quantity used."""

    price: int
    usage: int

    @property
    def total(self) -> int:
        """Actual value − standard value of the standard quantity."""
        return self.price + self.usage


def value_at(unit_cost: int, qty: int) -> int:
    """So much of a stock unit at this cost of one; the sign is that of both."""
    return round_ratio(unit_cost * qty, MICRO)


def purchase_price_variance(actual_value: int, qty: int, standard_cost: int) -> int:
    """What `qty` cost beyond its standard."""
    return actual_value - value_at(standard_cost, qty)


def usage_variance(actual_qty: int, standard_qty: int, standard_cost: int) -> int:
    """What was used beyond the standard quantity, at standard cost."""
    return value_at(standard_cost, actual_qty) - value_at(standard_cost, standard_qty)


def material_variance(
    actual_value: int, actual_qty: int, standard_qty: int, standard_cost: int
) -> MaterialVariance:
    """Both parts of what a material cost beyond standard."""
    return MaterialVariance(
        purchase_price_variance(actual_value, actual_qty, standard_cost),
        usage_variance(actual_qty, standard_qty, standard_cost),
    )


@dataclass(frozen=True, slots=True)
class Component:
    """What a work order used of one item.

    used_qty       10⁻⁶ stock units of the component
    standard_qty   10⁻⁶ stock units for one stock unit of the output
    standard_cost  of one stock unit, or None where the item has no standard
    """

    used_qty: int
    standard_qty: int
    standard_cost: int | None


@dataclass(frozen=True, slots=True)
class ProductionVariance:
    """What is left of a work order's cost when it closes: by usage of its components, and by all else."""

    usage: int
    rest: int

    @property
    def total(self) -> int:
        """What the order cost beyond the value that its output was received at."""
        return self.usage + self.rest


def standard_quantity(component: Component, output_qty: int) -> int:
    """What the standard allows of a component for so much output, 10⁻⁶ stock units."""
    return round_ratio(component.standard_qty * output_qty, MICRO)


def production_variance(left_value: int, output_qty: int, components: Sequence[Component]) -> ProductionVariance:
    """Split what is left of an order's cost.

    left_value  cost that went in − value of what came out
    output_qty  10⁻⁶ stock units received, which the standard quantities are for
    A component without a standard cost has no usage variance: what it cost is in the rest.
    """
    usage = sum(
        usage_variance(component.used_qty, standard_quantity(component, output_qty), component.standard_cost)
        for component in components
        if component.standard_cost is not None
    )
    return ProductionVariance(usage, left_value - usage)
