"""Markdown tables, and shares and rates with their 95 % intervals."""

from collections.abc import Sequence

from edge.gate_desk.intervals import poisson, wilson


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table; columns whose head begins with `>` are aligned to the right."""
    rules = ["---:" if head.startswith(">") else "---" for head in heads]
    lines = [[head.removeprefix(">") for head in heads], rules, *([str(cell) for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def share(count: int, of: int) -> str:
    """`98.5 % (97.1 … 99.2)`, by Wilson; a dash when nothing was counted."""
    if not of:
        return "–"
    interval = wilson(count, of)
    return f"{percent(count / of)} ({percent(interval.low, '')} … {percent(interval.high, '')})"


def percent(value: float, unit: str = " %") -> str:
    """With one decimal; two below 1 %, where they matter."""
    return f"{100 * value:.{2 if 0 < value < 0.01 or 0.99 < value < 1 else 1}f}{unit}"


def rate(count: int, hours: float) -> str:
    """Events an hour with Garwood's exact interval."""
    if hours <= 0:
        return "–"
    interval = poisson(count)
    return f"{count / hours:.2g} ({interval.low / hours:.2g} … {interval.high / hours:.2g})"


def seconds(value: float) -> str:
    """With milliseconds."""
    return f"{value:.3f}"
