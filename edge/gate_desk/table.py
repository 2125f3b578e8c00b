"""Rows of texts → lines with aligned columns, for a terminal."""

from collections.abc import Sequence

RIGHT = ">"  # before a head: the column is aligned to the right


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The heads, then a line for each row; no line has blanks at its end."""
    is_right = [head.startswith(RIGHT) for head in heads]
    lines = [[head.removeprefix(RIGHT) for head in heads], *map(list, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, is_right, strict=True)
        ).rstrip()
        for line in lines
    )
