"""`tallygate verify`: the promises on the running database, each with its difference.

Exit status 0 when all that is checked holds, 1 when one fails, 2 when it cannot be asked. With --hash one number for
what the books say takes the place of the checks (cloud/flows/verify/books_hash.py).
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import psycopg

from cloud import settings
from cloud.flows.verify import PROMISES, Check, verify
from cloud.flows.verify.books_hash import NotAtRest, books_hash
from protocols.wire.applied import Applied, decode
from protocols.wire.message import UnreadableMessage

CONNECT_TIMEOUT_S = 10


def main(argv: Sequence[str] | None = None) -> int:
    """The program."""
    parser = argparse.ArgumentParser(prog="tallygate verify", description="check the promises")
    parser.add_argument("--json", action="store_true", help="print the checks as JSON")
    parser.add_argument(
        "--witness", type=Path, metavar="FILE",
        help="`applied` or `status` messages of gateways, one a line, as the broker had them: the hash chains must"
        " still have the heads that they tell",
    )  # fmt: skip
    parser.add_argument(
        "--hash", action="store_true",
        help="print the books' hash instead: balances, layers, pools, movements and their final costs, the same for"
        " the same logs however they arrived; needs re-costing to be at rest",
    )  # fmt: skip
    arguments = parser.parse_args(argv)
    if arguments.hash and arguments.witness:
        parser.error("--hash asks for no witness")
    try:
        witnesses = [] if arguments.witness is None else read_witnesses(arguments.witness)
        with psycopg.connect(
            settings.dsn(), connect_timeout=CONNECT_TIMEOUT_S, application_name="tallygate verify"
        ) as connection:
            if arguments.hash:
                found = books_hash(connection)
                print(json.dumps({"books_hash": found}) if arguments.json else found)
                return 0
            checks = verify(connection, witnesses)
    except (NotAtRest, settings.WrongSetting, psycopg.Error, OSError, UnreadableMessage) as error:
        print(f"tallygate verify: {str(error).strip()}", file=sys.stderr)
        return 2
    print(as_json(checks) if arguments.json else as_text(checks))
    return 0 if all(check.holds for check in checks) else 1


def read_witnesses(path: Path) -> list[Applied]:
    """The messages in a file, one a line. Raises OSError, UnreadableMessage."""
    found = []
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        if not line.strip():
            continue
        try:
            # A `status` says again what it was told, in the same fields.
            found.append(decode(line))
        except UnreadableMessage as error:
            raise UnreadableMessage(f"{path}, line {number}: {error}") from error
    return found


def as_json(checks: Sequence[Check]) -> str:
    """The checks as a JSON array."""
    return json.dumps([asdict(check) | {"holds": check.holds} for check in checks], ensure_ascii=False, indent=2)


def as_text(checks: Sequence[Check]) -> str:
    """The checks by promise, and the sum of it."""
    lines = []
    for promise, title in PROMISES.items():
        lines.append(f"{promise} {title}")
        for check in (check for check in checks if check.promise == promise):
            detail = f"  ({check.detail})" if check.detail else ""
            if check.difference is None:
                lines.append(f"    not checked yet: {check.name}{detail}")
            else:
                mark = "ok  " if check.holds else "FAIL"
                lines.append(f"    {mark} {check.name}: difference {check.difference}{detail}")
    failed = [check for check in checks if not check.holds]
    asked = [check for check in checks if check.difference is not None]
    lines.append(f"{len(failed)} of {len(asked)} checks fail" if failed else f"all {len(asked)} checks hold")
    return "\n".join(lines)
