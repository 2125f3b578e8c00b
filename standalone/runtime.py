"""Where programs lie that `make timescaledb` unpacked: `.runtime/` of the checkout.

An installed package without a checkout has it under the working directory; TALLYGATE_RUNTIME names
another place.
"""

import os
from pathlib import Path

VARIABLE = "TALLYGATE_RUNTIME"
FOLDER = ".runtime"
COMPLETE = "complete"  # a file that stands in an unpacked folder and names what is in it


def runtime_folder() -> Path:
    """The folder of unpacked programs; it may not exist."""
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named).absolute()
    checkout = Path(__file__).resolve().parent.parent
    return (checkout if (checkout / "pyproject.toml").exists() else Path.cwd()) / FOLDER


def unpacked(name: str) -> Path | None:
    """The folder of one unpacked program, None when it is not there."""
    folder = runtime_folder() / name
    return folder if (folder / COMPLETE).exists() else None
