"""`tallygate migrate`: bring the database to the newest schema, as its owner.

With --service-passwords FOLDER the services' roles get the passwords in the files of that folder, named
after the roles.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import psycopg

from cloud.settings import WrongSetting, dsn
from cloud.store.migrate import SERVICE_ROLES, migrate, set_service_passwords


def main(argv: Sequence[str] | None = None) -> int:
    """The program; 0 when the schema is the newest, 2 when it cannot be asked."""
    parser = argparse.ArgumentParser(
        prog="tallygate migrate", description="bring the database to the newest schema"
    )
    parser.add_argument(
        "--service-passwords", type=Path, default=os.environ.get("TALLYGATE_SERVICE_PASSWORDS"),
        help="folder with a file for each service's role, holding its password",
    )  # fmt: skip
    arguments = parser.parse_args(argv)
    try:
        owner = dsn()
        applied = migrate(owner)
        if arguments.service_passwords is not None:
            folder = Path(arguments.service_passwords)
            set_service_passwords(
                owner, {role: (folder / role).read_text(encoding="utf-8").strip() for role in SERVICE_ROLES}
            )
    except (WrongSetting, OSError, psycopg.Error) as error:
        print(f"tallygate migrate: {str(error).strip()}", file=sys.stderr)
        return 2
    print(f"applied: {', '.join(applied)}" if applied else "the schema is the newest")
    return 0
