"""`tallygate ingest`: settings, logging, one worker, a clean end."""

import argparse
import logging
import os
import secrets
import signal
import socket
import sys

from cloud import settings
from cloud.domain.costing.warm_up import warm_up
from cloud.ingest.subscriber import Subscriber
from cloud.ingest.worker import Worker
from cloud.store import copy_kernels


def main(argv: list[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT; exit status 2 when a setting is wrong."""
    parser = argparse.ArgumentParser(prog="tallygate ingest", description=__doc__)
    parser.add_argument("--name", default=f"{socket.gethostname()}-{os.getpid()}", help="name of this worker")
    arguments = parser.parse_args(argv)
    try:
        settings.dsn(), settings.broker()  # asked again at every try: a password may change in its file
        lease_s = settings.lease_s()
    except settings.WrongSetting as error:
        print(f"tallygate ingest: {error}", file=sys.stderr)
        return 2
    # A client id of its own for each life: a broker that still believes in the last one would shut us out.
    subscriber = Subscriber(settings.broker, f"tallygate-ingest-{secrets.token_hex(4)}")
    worker = Worker(settings.dsn, subscriber, arguments.name, lease_s)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: worker.stop.set())
    copy_kernels.warm_up()
    warm_up()  # before the first message: a batch does not wait for a compiler
    subscriber.start()
    try:
        worker.run()
    finally:
        subscriber.stop()
        logging.getLogger(__name__).info("ingest stopped", extra={"counters": dict(worker.counters)})
    return 0
