"""`tallygate loss`: a person's word that numbers of a gateway's log are gone, so that the log can go on.

Only for a log that the cloud has stopped because its gateway no longer holds them; verify shows every one.
"""

import argparse
import sys
from collections.abc import Sequence
from uuid import UUID

import psycopg

from cloud import settings
from cloud.store.sql import statement
from protocols.wire.topics import GatewayAddress, WrongTopic


def main(argv: Sequence[str] | None = None) -> int:
    """The program; 0 when recorded, 2 when it cannot be."""
    parser = argparse.ArgumentParser(prog="tallygate loss", description="record lost numbers of a gateway's log")
    parser.add_argument("gateway", help="company/site/gateway")
    parser.add_argument("epoch", type=UUID, help="the epoch's id")
    parser.add_argument("first", type=int)
    parser.add_argument("last", type=int)
    parser.add_argument("--reason", required=True)
    parser.add_argument("--by", required=True, help="who says so")
    arguments = parser.parse_args(argv)
    try:
        address = GatewayAddress(*arguments.gateway.split("/"))
        with psycopg.connect(settings.dsn(), application_name="tallygate loss") as connection:
            record_loss(
                connection,
                address,
                arguments.epoch,
                arguments.first,
                arguments.last,
                arguments.reason,
                arguments.by,
            )
    except (settings.WrongSetting, WrongTopic, TypeError, ValueError, psycopg.Error) as error:
        print(f"tallygate loss: {str(error).strip()}", file=sys.stderr)
        return 2
    print(f"{address}, epoch {arguments.epoch}: numbers {arguments.first} … {arguments.last} are recorded as lost")
    return 0


def record_loss(
    connection: psycopg.Connection,
    address: GatewayAddress,
    epoch: UUID,
    first: int,
    last: int,
    reason: str,
    by: str,
) -> None:
    """Record it. Raises ValueError where the log is not stopped at these numbers, psycopg.Error."""
    where = {"company": address.company, "site": address.site, "gateway": address.gateway}
    row = connection.execute(statement("logs", "registered_gateway"), where).fetchone()
    if row is None:
        raise ValueError(f"no gateway {address} is registered")
    company_id, gateway_id, _ = row
    log = {"company": company_id, "gateway": gateway_id, "epoch": epoch}
    found = connection.execute(statement("logs", "stopped_log"), log).fetchone()
    if found is None:
        raise ValueError(f"the log of {address}, epoch {epoch}, is not stopped: nothing of it is missing")
    if first != found[0] + 1 or last < first:
        raise ValueError(f"expected a loss that begins at {found[0] + 1}, got {first} … {last}: {found[1]}")
    connection.execute(
        statement("logs", "record_loss"),
        log | {"first": first, "last": last, "reason": reason, "recorded_by": by},
    )
