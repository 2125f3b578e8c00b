"""Two systems that cost one item by different methods: found from the figures that each of them booked.

In come the figures that another system reported for an item, and what each method makes of the same goods; out
come, for every method, how many of the figures it explains and where it first parts from them. Amounts are
integers of 10⁻⁶ currency.

A system that rounds each amount to its currency's minor unit is up to half a unit off for each figure, and what
it rounded away in its issues gathers in its closing value. So a figure agrees within `tolerance`, and a closing
value within `tolerance` for every issue before it and once more.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figures:
    """What one system, or one method, says of one item.

    cost_by_issue   the issue's number → its cost; a report may leave issues out
    closing_value   or None where none was reported
    """

    cost_by_issue: Mapping[int, int]
    closing_value: int | None = None


@dataclass(frozen=True, slots=True)
class Parting:
    """The first issue where a method and a report differ; issue None: in the closing value only."""

    issue: int | None
    reported: int
    computed: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """How one method stands to a report: so many of its figures agree; `parting` is None when all of them do."""

    method: str
    agreeing: int
    compared: int
    parting: Parting | None

    @property
    def reproduces(self) -> bool:
        """Whether the report can come from this method: there are figures, and all of them agree."""
        return self.compared > 0 and self.parting is None


class NothingToCompare(ValueError):
    """A report names an issue that the goods do not have."""


def weigh(reported: Figures, by_method: Mapping[str, Figures], tolerance: int) -> list[Evidence]:
    """Every method's evidence, in the order of `by_method`. Raises NothingToCompare."""
    return [_evidence(name, reported, computed, tolerance) for name, computed in by_method.items()]


def reproducing(evidence: list[Evidence]) -> list[str]:
    """The methods that explain the report; several, where the goods do not tell them apart."""
    return [one.method for one in evidence if one.reproduces]


def _evidence(method: str, reported: Figures, computed: Figures, tolerance: int) -> Evidence:
    partings = []
    for issue in sorted(reported.cost_by_issue):
        if issue not in computed.cost_by_issue:
            raise NothingToCompare(f"expected one of {len(computed.cost_by_issue)} issues, got number {issue}")
        cost, ours = reported.cost_by_issue[issue], computed.cost_by_issue[issue]
        if abs(cost - ours) > tolerance:
            partings.append(Parting(issue, cost, ours))
    compared = len(reported.cost_by_issue)
    if reported.closing_value is not None:
        compared += 1
        ours = computed.closing_value or 0
        if abs(reported.closing_value - ours) > tolerance * (1 + len(computed.cost_by_issue)):
            partings.append(Parting(None, reported.closing_value, ours))
    return Evidence(method, compared - len(partings), compared, partings[0] if partings else None)
