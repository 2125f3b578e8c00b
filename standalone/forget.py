"""`make forget`: delete the demo's state folder and the data that root had to keep elsewhere.

python -m standalone.forget [--state FOLDER]
"""

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from standalone.postgres import PostgresTrouble, remove_home


def main(argv: Sequence[str] | None = None) -> int:
    """The program; 0 when nothing is left, 1 when the data is in use or the folder is not ours."""
    parser = argparse.ArgumentParser(prog="make forget", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--state", type=Path, default=Path(".tallygate"), help="the demo's state folder")
    state: Path = parser.parse_args(argv).state
    if not state.exists():
        print(f"{state} is not there: nothing to forget")
        return 0
    if not (state / "postgres").is_dir():
        # A mistyped folder must not be deleted.
        print(f"make forget: {state} is no state folder of ours: it holds no postgres/", file=sys.stderr)
        return 1
    try:
        for home in sorted((state / "postgres").iterdir()):
            remove_home(home)
    except PostgresTrouble as error:
        print(f"make forget: {error}", file=sys.stderr)
        return 1
    shutil.rmtree(state)
    print(f"{state} is deleted")
    return 0


if __name__ == "__main__":
    sys.exit(main())
