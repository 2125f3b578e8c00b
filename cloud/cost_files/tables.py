"""Rows of texts → a table for a terminal: columns as wide as their widest cell, empty columns left out."""

import unicodedata
from collections.abc import Iterable, Sequence

INDENT = "  "


def width(text: str) -> int:
    """How many columns of a terminal a text takes: Chinese characters take two."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], right: Iterable[str] = ()) -> list[str]:
    """Lines of a table; columns named in `right` are set right, and a column with no cell at all is left out."""
    kept_rows = list(rows)
    shown = [at for at in range(len(heads)) if any(row[at] for row in kept_rows)]
    aligned_right = set(right)
    widths = [max(width(heads[at]), *(width(row[at]) for row in kept_rows)) for at in shown]
    lines = []
    for row in ([heads[at] for at in range(len(heads))], *kept_rows):
        cells = []
        for at, wide in zip(shown, widths, strict=True):
            blank = " " * (wide - width(row[at]))
            cells.append(blank + row[at] if heads[at] in aligned_right else row[at] + blank)
        lines.append((INDENT + "  ".join(cells)).rstrip())
    return lines
