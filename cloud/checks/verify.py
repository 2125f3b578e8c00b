"""`tallygate verify`: the promises on the running database, each with its difference.

Exit status 0 when all that is checked holds, 1 when one fails, 2 when it cannot be asked.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict

import psycopg

from cloud import settings
from cloud.flows.verify import PROMISES, Check, verify

CONNECT_TIMEOUT_S = 10


def main(argv: Sequence[str] | None = None) -> int:
    """The program."""
    parser = argparse.ArgumentParser(prog="tallygate verify", description="check the promises")
    parser.add_argument("--json", action="store_true", help="print the checks as JSON")
    arguments = parser.parse_args(argv)
    try:
        with psycopg.connect(
            settings.dsn(), connect_timeout=CONNECT_TIMEOUT_S, application_name="tallygate verify"
        ) as connection:
            checks = verify(connection)
    except (settings.WrongSetting, psycopg.Error) as error:
        print(f"tallygate verify: {str(error).strip()}", file=sys.stderr)
        return 2
    print(as_json(checks) if arguments.json else as_text(checks))
    return 0 if all(check.holds for check in checks) else 1


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
