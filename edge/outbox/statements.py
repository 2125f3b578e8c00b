"""The outbox's statements: outbox.sql holds `-- name --`, a line of why, then the statement."""

import re
from functools import cache
from pathlib import Path

_HEAD = re.compile(r"^-- ([a-z][a-z0-9_]*) --$", re.MULTILINE)


@cache
def statements() -> dict[str, str]:
    """Every statement of outbox.sql by name."""
    parts = _HEAD.split(Path(__file__).with_name("outbox.sql").read_text(encoding="utf-8"))
    return {name: body.strip() for name, body in zip(parts[1::2], parts[2::2], strict=True)}
