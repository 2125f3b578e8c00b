"""Named statements: queries/<noun>.sql holds `-- name --`, a line of why, then the statement."""

import re
from functools import cache
from pathlib import Path

from psycopg.sql import SQL

from cloud.store import arrays

arrays.register()  # whoever asks for a statement may hand it columns

QUERIES = Path(__file__).parent / "queries"
_HEAD = re.compile(r"^-- ([a-z][a-z0-9_]*) --$", re.MULTILINE)


class UnknownStatement(LookupError):
    """No statement of that name is in the file."""


@cache
def statements(noun: str) -> dict[str, SQL]:
    """Every statement of queries/<noun>.sql by name. Raises FileNotFoundError."""
    text = (QUERIES / f"{noun}.sql").read_text(encoding="utf-8")
    parts = _HEAD.split(text)
    # SQL() wants a literal so that nobody builds statements from data; this text is a file of ours.
    return {name: SQL(body.strip()) for name, body in zip(parts[1::2], parts[2::2], strict=True)}


def statement(noun: str, name: str) -> SQL:
    """One statement. Raises UnknownStatement."""
    try:
        return statements(noun)[name]
    except KeyError:
        raise UnknownStatement(f"{noun}.sql has no statement {name!r}") from None
