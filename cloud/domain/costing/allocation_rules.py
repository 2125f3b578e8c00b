"""How costs are commonly shared in an industry (requirement R128), as data: allocation_rules.toml beside this file.

A company takes over the rules of its industry and changes them as it needs; what it then has stands in its table
allocation_rules, and nothing here is asked any more. A company may also bring a file of its own of the same form.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from cloud.domain.costing.allocation import Basis

# Over what goods a cost is shared.
DIMENSIONS = ("document", "batch", "workshop")
COST_TYPE_MAX = 64

_SHIPPED = Path(__file__).parent / "allocation_rules.toml"


class UnknownIndustry(ValueError):
    """No rules are known for this industry."""


class WrongRules(ValueError):
    """Text that says no rules; the message names the place and both what was expected and what was there."""


@dataclass(frozen=True, slots=True)
class AllocationRule:
    """A cost of this type is shared over the goods of one document, batch or workshop, by what they have of `basis`."""

    cost_type: str
    basis: Basis
    dimension: str


@cache
def shipped_rules() -> Mapping[str, tuple[AllocationRule, ...]]:
    """The rules that ship, by industry, in the order of the file."""
    return parse_rules(_SHIPPED.read_text(encoding="utf-8"))


def rules_of(industry: str) -> tuple[AllocationRule, ...]:
    """The rules that ship for an industry. Raises UnknownIndustry."""
    rules = shipped_rules()
    if industry not in rules:
        raise UnknownIndustry(f"expected one of {', '.join(rules)}, got {industry!r}")
    return rules[industry]


def parse_rules(text: str) -> dict[str, tuple[AllocationRule, ...]]:
    """Rules by industry from TOML: a table for each industry, in it a line for each type of cost. Raises WrongRules."""
    try:
        said = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise WrongRules(str(error)) from error
    return rules_from(said)


def rules_from(said: Mapping[str, Any]) -> dict[str, tuple[AllocationRule, ...]]:
    """The same from a table that was read already. Raises WrongRules."""
    return {industry: tuple(_rules(industry, lines)) for industry, lines in said.items()}


def _rules(industry: str, lines: Any) -> list[AllocationRule]:
    if not isinstance(lines, dict):
        raise WrongRules(f"{industry}: expected a table of types of cost, got {lines!r}")
    return [_rule(f"{industry}.{cost_type}", cost_type, line) for cost_type, line in lines.items()]


def _rule(place: str, cost_type: str, line: Any) -> AllocationRule:
    if not isinstance(line, dict) or set(line) != {"basis", "dimension"}:
        raise WrongRules(f"{place}: expected basis and dimension, got {line!r}")
    if not cost_type or len(cost_type) > COST_TYPE_MAX:
        raise WrongRules(f"{place}: expected a type of cost of 1 … {COST_TYPE_MAX} characters")
    for name, allowed in (("basis", tuple(Basis)), ("dimension", DIMENSIONS)):
        if line[name] not in allowed:
            raise WrongRules(f"{place}: expected {name} among {', '.join(allowed)}, got {line[name]!r}")
    return AllocationRule(cost_type, Basis(line["basis"]), line["dimension"])
