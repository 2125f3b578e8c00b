"""`tallygate jobs`: what runs beside ingest, with the same rights.

tallygate jobs [--once]                                  re-cost marked pools, bring balance snapshots forward, drop
                                                         old readings; until told to stop, or once
tallygate jobs settle COMPANY --period 2026-10           settle a soft-closed period of periodic methods
"""

import argparse
import logging
import os
import re
import signal
import socket
import sys
import threading
from collections.abc import Sequence

import psycopg

from cloud import settings
from cloud.flows.post_adjustments import BooksDisagree
from cloud.flows.settle_period import CannotSettle, settle_period
from cloud.jobs.balance_keeping import BalanceKeeping
from cloud.jobs.readings_keeping import ReadingsKeeping
from cloud.jobs.recosting import APPLICATION, RecostingJob
from cloud.store.master import find_company

STOP_S = (
    10.0  # one round of dropping old readings, with its longest wait for a lock; one step of balance snapshots
)


def main(argv: Sequence[str] | None = None) -> int:
    """The program: 0 when done or told to stop, 1 when something stays marked, 2 when it cannot be asked."""
    arguments = _parser().parse_args(argv)
    try:
        return int(arguments.work(settings.dsn(), arguments))
    except (settings.WrongSetting, CannotSettle, BooksDisagree, LookupError, psycopg.Error) as error:
        print(f"tallygate jobs: {str(error).strip()}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tallygate jobs", description="re-cost what came late; settle periods")
    parser.add_argument("--once", action="store_true", help="bring to rest what waits, and end")
    parser.add_argument("--name", default=f"{socket.gethostname()}-{os.getpid()}", help="name of this job")
    parser.set_defaults(work=_recost)
    verbs = parser.add_subparsers(metavar="VERB")
    settle = verbs.add_parser("settle", help="settle a soft-closed period")
    settle.add_argument("company", help="the company's code")
    settle.add_argument("--period", required=True, type=_period, help="such as 2026-10")
    settle.set_defaults(work=_settle)
    return parser


def _period(text: str) -> int:
    if not (found := re.fullmatch(r"(\d{4})-?(0[1-9]|1[0-2])", text)):
        raise argparse.ArgumentTypeError(f"expected a period such as 2026-10, got {text!r}")
    return int(found[1] + found[2])


def _recost(dsn: str, arguments: argparse.Namespace) -> int:
    job = RecostingJob(dsn, arguments.name)
    beside = (ReadingsKeeping(dsn, settings.reading_days(), job.stop), BalanceKeeping(dsn, job.stop))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: job.stop.set())
    if arguments.once:
        failed = job.once()
        for one in beside:
            one.once()
        return 1 if failed else 0
    # In threads: re-costing a component may take longer than readings can wait for their partitions, and readers of
    # past balances for their snapshots.
    threads = [threading.Thread(target=one.run, name=type(one).__name__, daemon=True) for one in beside]
    for thread in threads:
        thread.start()
    try:
        job.run()
    finally:
        job.stop.set()
        for thread in threads:
            thread.join(STOP_S)
    for one in beside:
        job.counters.update(one.counters)
    logging.getLogger(__name__).info("jobs stopped", extra={"counters": dict(job.counters)})
    return 0


def _settle(dsn: str, arguments: argparse.Namespace) -> int:
    with psycopg.connect(dsn, autocommit=True, application_name=APPLICATION) as connection:
        company = find_company(connection, arguments.company)
        if company is None:
            raise LookupError(f"no company {arguments.company}")
        settled = settle_period(connection, company.company_id, arguments.period)
    adjusted = sum(one.adjusted for one in settled.recosted.done)
    print(f"{arguments.company} {arguments.period} is settled: {settled.pools} pools, {adjusted} adjusting costs")
    return 0
