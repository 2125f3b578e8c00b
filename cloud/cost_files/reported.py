"""Figures that another system booked for the same goods → which methods explain them, item by item.

The report is a CSV with the columns issue and cost (the number of an issue among the file's issues, and what the
other system booked for it) and closing_value (what it says is left, of the item in the column item). A row holds
either or both. One item needs no name.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloud.cost_files.cells import BadFile, Problem, read_cells
from cloud.cost_files.costed_file import CostedFile, cost_file
from cloud.cost_files.plan import MIXED
from cloud.cost_files.reading import ABSENT, Movements, Type, read_amounts
from cloud.cost_files.tables import table
from cloud.domain.costing.method_evidence import Evidence, Figures, Parting, reproducing, weigh
from cloud.domain.costing.methods import Method
from cloud.domain.decimals import micro_text

TOLERANCE = 10_000  # 0.01 of the currency: what rounding to its minor unit can do to one figure


@dataclass(frozen=True, slots=True)
class ItemEvidence:
    """What is known of one item: which methods reproduce the report, and where ours first parts from it."""

    item: str
    evidence: list[Evidence]
    ours: Evidence

    @property
    def reproduced_by(self) -> list[str]:
        return reproducing([one for one in self.evidence if one.method != MIXED])


def read_report(path: Path, movements: Movements, encoding: str = "utf-8") -> dict[str, Figures]:
    """Item → what the report says of it. Raises BadFile, OSError."""
    cells = read_cells(path, encoding, needed=("issue", "closing_value"))
    amounts = {name: read_amounts(cells, name) for name in ("issue", "cost", "closing_value")}
    items = cells.texts("item")
    issues = movements.of_kind(Type.ISSUE).nonzero()[0]
    costs: dict[str, dict[int, int]] = {}
    closing: dict[str, int] = {}
    problems: list[Problem] = []
    for row in range(cells.rows):
        number, cost, left = (int(amounts[name][row]) for name in ("issue", "cost", "closing_value"))
        item = items[row] or (movements.items[0] if len(movements.items) == 1 else "")
        if number != ABSENT:
            at, rest = divmod(number, 10**6)
            if rest or not 1 <= at <= len(issues):
                complaint = f"expected the number of one of the {len(issues)} issues"
                problems.append(Problem(cells.place(row, "issue"), complaint))
                continue
            if cost == ABSENT:
                problems.append(Problem(cells.place(row, "cost"), "expected the issue's cost, got none"))
                continue
            code = int(movements.item[issues[at - 1]])
            of_issue = movements.items[code] if code >= 0 else ""
            if items[row] and items[row] != of_issue:
                problems.append(Problem(cells.place(row, "item"), f"expected {of_issue}, got {items[row]}"))
            item = of_issue
            costs.setdefault(item, {})[at] = cost
        if left != ABSENT:
            closing[item] = left
        if number == ABSENT and left == ABSENT:
            problems.append(Problem(cells.place(row), "expected an issue or a closing value, got neither"))
        if item not in {"", *movements.items}:
            problems.append(Problem(cells.place(row, "item"), f"expected an item of the movements, got {item}"))
    if problems:
        raise BadFile(path.name, problems)
    names = dict.fromkeys([*costs, *closing])
    return {item: Figures(costs.get(item, {}), closing.get(item)) for item in names}


def explain(
    movements: Movements,
    report: dict[str, Figures],
    ours: CostedFile,
    tolerance: int,
    told: Callable[[float], None],
) -> list[ItemEvidence]:
    """Cost the file by every method and weigh each against the report. Raises BadFile."""
    results = {ours.method: ours}
    for done, method in enumerate(Method):
        told(done / len(Method))
        if method.label not in results and (method != Method.SPECIFIC or len(movements.lots)):
            try:
                results[method.label] = cost_file(movements, method)
            except BadFile:
                if method != Method.SPECIFIC:  # goods whose lots are not all known cannot have been identified
                    raise
    found = []
    for item, figures in report.items():
        by_method = {name: _figures(movements, result, item) for name, result in results.items()}
        evidence = weigh(figures, by_method, tolerance)
        found.append(ItemEvidence(item, evidence, next(one for one in evidence if one.method == ours.method)))
    return found


def _figures(movements: Movements, result: CostedFile, item: str) -> Figures:
    code = movements.items.index(item) if item in movements.items else -1
    of_item = {
        number: int(cost)
        for number, (row, cost) in enumerate(zip(result.issues, result.cost_of_issue, strict=True), 1)
        if movements.item[row] == code
    }
    return Figures(of_item, next((one.value for one in result.closing if one.item == item), 0))


def evidence_json(found: list[ItemEvidence], movements: Movements) -> dict[str, Any]:
    """What `--json` prints."""
    return {
        "agrees": all(one.ours.reproduces for one in found),
        "items": [
            {
                "item": one.item,
                "reproduced_by": one.reproduced_by,
                "ours": one.ours.method,
                "agrees": one.ours.reproduces,
                "figures": one.ours.compared,
                "agreeing": {each.method: each.agreeing for each in one.evidence},
                "first_difference": _parting_json(one.ours.parting, movements),
            }
            for one in found
        ],
    }


def _parting_json(parting: Parting | None, movements: Movements) -> dict[str, Any] | None:
    if parting is None:
        return None
    return {
        "issue": parting.issue,
        "at": _where(parting, movements),
        "reported": micro_text(parting.reported),
        "ours": micro_text(parting.computed),
    }


def evidence_text(found: list[ItemEvidence], movements: Movements, report_name: str) -> str:
    """A table: item, who reproduces the report, whether ours does, where it first does not."""
    rows = [
        (
            one.item,
            ", ".join(one.reproduced_by) or "no method",
            f"{one.ours.method}: {'yes' if one.ours.reproduces else 'no'}",
            _parting_text(one.ours.parting, movements),
        )
        for one in found
    ]
    heads = ("item", "reproduced by", "by ours", "first difference")
    figures = sum(one.ours.compared for one in found)
    return "\n".join([f"{report_name}: {figures} figures against {movements.cells.name}", "", *table(heads, rows)])


def _parting_text(parting: Parting | None, movements: Movements) -> str:
    if parting is None:
        return ""
    reported, ours = micro_text(parting.reported, 2), micro_text(parting.computed, 2)
    return f"{_where(parting, movements)}: reported {reported}, ours {ours}"


def _where(parting: Parting, movements: Movements) -> str:
    if parting.issue is None:
        return "closing value"
    row = int(movements.of_kind(Type.ISSUE).nonzero()[0][parting.issue - 1])
    return f"issue {parting.issue} ({movements.cells.place(row)})"
