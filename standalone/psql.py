"""`make psql`: a psql on the demo's database, or on the one that TALLYGATE_DSN names.

When the demo runs, its server is used; otherwise the server is started for as long as psql runs.

    python -m standalone.psql [--state FOLDER] [--database NAME] [-- ARGUMENT …]
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from standalone.child import ChildTrouble
from standalone.postgres import DATABASE, Postgres, PostgresTrouble, binaries_for, find_binaries, server_pids

DSN_VARIABLE = "TALLYGATE_DSN"


def main(argv: Sequence[str] | None = None) -> int:
    """The program; returns psql's exit code, or 1 when there is nothing to open."""
    parser = argparse.ArgumentParser(prog="make psql", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--state", type=Path, default=Path(".tallygate"), help="the demo's state folder")
    parser.add_argument("--database", default=DATABASE)
    parser.add_argument("arguments", nargs="*", help="handed on to psql, after --")
    chosen = parser.parse_args(argv)
    try:
        dsn = os.environ.get(DSN_VARIABLE)
        if dsn:
            return _run_psql(dsn, chosen.arguments)
        return _on_the_demos(chosen.state, chosen.database, chosen.arguments)
    except (PostgresTrouble, ChildTrouble) as error:
        print(f"make psql: {error}", file=sys.stderr)
        return 1


def _on_the_demos(state: Path, database: str, arguments: Sequence[str]) -> int:
    server = Postgres(state, binaries_for(state))
    if server_pids(server.data):
        return _run_psql(server.dsn(database), arguments)
    server.start()
    try:
        return _run_psql(server.dsn(database), arguments)
    finally:
        server.stop()


def _run_psql(dsn: str, arguments: Sequence[str]) -> int:
    psql = find_binaries().bin_dir / "psql"
    # By the environment rather than the command line, which other users of the machine can read.
    return subprocess.run([psql, *arguments], env={**os.environ, **_libpq_variables(dsn)}, check=False).returncode


def _libpq_variables(dsn: str) -> dict[str, str]:
    from psycopg.conninfo import conninfo_to_dict

    names = {
        "host": "PGHOST",
        "port": "PGPORT",
        "user": "PGUSER",
        "password": "PGPASSWORD",
        "dbname": "PGDATABASE",
    }
    names |= {"sslmode": "PGSSLMODE", "sslrootcert": "PGSSLROOTCERT", "options": "PGOPTIONS"}
    return {names[key]: str(value) for key, value in conninfo_to_dict(dsn).items() if key in names}


if __name__ == "__main__":
    sys.exit(main())
