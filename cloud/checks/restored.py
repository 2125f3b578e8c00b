"""`tallygate restored`: say that the database was put back to an earlier state by hand.

The next incarnation begins; gateways are told how far this database has come and send again what it lacks.
"""

import argparse
import sys
from collections.abc import Sequence

import psycopg

from cloud import settings
from cloud.flows.incarnation import begin_incarnation


def main(argv: Sequence[str] | None = None) -> int:
    """The program; 0 when said, 2 when it cannot be."""
    parser = argparse.ArgumentParser(
        prog="tallygate restored", description="begin the database's next incarnation"
    )
    parser.add_argument("--reason", required=True, help="from when the state is, and why it was put back")
    arguments = parser.parse_args(argv)
    try:
        with psycopg.connect(settings.dsn(), application_name="tallygate restored") as connection:
            number = begin_incarnation(connection, arguments.reason)
    except (settings.WrongSetting, psycopg.Error) as error:
        print(f"tallygate restored: {str(error).strip()}", file=sys.stderr)
        return 2
    print(f"incarnation {number} has begun; restart the ingest workers so that every gateway is told")
    return 0
