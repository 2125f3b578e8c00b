"""Files and folders that are whole or absent, and private where they hold secrets."""

import contextlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

PRIVATE = 0o600
PUBLIC = 0o644


def replace_text(path: Path, text: str, mode: int = PUBLIC) -> None:
    """Give the file new content: readers see the old or the new, a power cut leaves one of them."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    _sync_folder(path.parent)


def replace_json(path: Path, content: Mapping[str, Any], mode: int = PUBLIC) -> None:
    """`replace_text` with JSON, for people's eyes too."""
    replace_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n", mode)


@contextlib.contextmanager
def whole_folder(final: Path) -> Iterator[Path]:
    """A folder to fill that gets its name `final` only when the block ends well.

    When somebody else made `final` meanwhile, theirs stays.
    """
    final.parent.mkdir(parents=True, exist_ok=True)
    fresh = final.with_name(f"{final.name}.{secrets.token_hex(4)}.new")
    fresh.mkdir()
    try:
        yield fresh
        try:
            fresh.rename(final)
        except OSError:
            if not final.is_dir():
                raise
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
