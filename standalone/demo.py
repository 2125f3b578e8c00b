"""`tallygate demo`: a truck is unloaded at a virtual dock, and the books move.

Brings up the site, prepares the run's goods, prints the address of the live page, and shows what happens
until Ctrl-C. With --once it runs the scenario to its end, prints the result and stops; exit status 0 when
every promise holds, 1 when one does not, 2 when it cannot run.
"""

import argparse
import json
import signal
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from cloud.checks.verify import as_text as checks_as_text
from cloud.domain.access import Company
from cloud.flows.first_access import make_first_access
from cloud.flows.verify import Check, verify
from cloud.imports.import_retail import import_online_retail
from cloud.imports.program import retail_text
from firmware_bridges.virtual_reader.recording import UnreadableRecording
from standalone import report
from standalone.child import ChildTrouble
from standalone.files import replace_text
from standalone.postgres import PostgresTrouble
from standalone.site import Site
from standalone.warehouse.prepare import address, declare_opening_stock, next_run, prepare_run
from standalone.warehouse.recorded import prepare_recording

STATE = Path(".tallygate")
LOOK_S = 1.0  # how often the books are looked at
SETTLE_S = 4.0  # a gate holds a visit open for 3 s of silence before it decides
ONCE_TIMEOUT_S = 600.0  # a recording at its true pace lasts some minutes


def main(argv: Sequence[str] | None = None) -> int:
    """The program."""
    arguments = _parser().parse_args(argv)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    if arguments.catalogue is not None and not arguments.catalogue.is_file():
        print(f"tallygate demo: no catalogue {arguments.catalogue}", file=sys.stderr)
        return 2
    site = Site(arguments.state, address(arguments.catalogue), arguments.port)
    try:
        return Demo(site, arguments, stop).run()
    except (PostgresTrouble, ChildTrouble, UnreadableRecording, OSError, ValueError, psycopg.Error) as error:
        print(f"tallygate demo: {str(error).strip()}", file=sys.stderr)
        return 2
    finally:
        site.stop()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tallygate demo", description="the whole way on this machine")
    parser.add_argument("--once", action="store_true", help="run the scenario to its end, print, and stop")
    parser.add_argument("--json", action="store_true", help="with --once: print JSON")
    parser.add_argument("--reads", type=Path, help="play recorded reads (generic CSV or EMSE log) instead")
    parser.add_argument("--pace", type=float, default=1.0, help="times the true pace (default %(default)s)")
    parser.add_argument(
        "--catalogue", type=Path, help="goods and a trading day of the Online Retail set (Parquet)"
    )
    parser.add_argument(
        "--state", type=Path, default=STATE, help="folder of books and secrets (default %(default)s)"
    )
    parser.add_argument("--port", type=int, help="port of the live page (default 8080, or a free one)")
    return parser


class Demo:
    """One run of the demo."""

    def __init__(self, site: Site, arguments: argparse.Namespace, stop: threading.Event) -> None:
        self._site = site
        self._arguments = arguments
        self._stop = stop
        self._quiet = bool(arguments.json)
        self._reads_before = 0

    def run(self) -> int:
        """Prepare, start, show. Raises what the parts raise."""
        self._say("Starting the database …")
        self._site.open()
        with psycopg.connect(self._site.owner_dsn, autocommit=True) as connection:
            reader = self._prepare(connection)
            self._reads_before = _reads(connection)
            since = datetime.now(UTC)
            self._say("Starting broker, ingest, page, reader and gateway …")
            access = make_first_access(self._site.owner_dsn)
            self._site.start(reader)
            self._say(f"\nLive page: {self._site.page}")
            if access.sign_in is not None:
                self._say(f"  sign in as {access.sign_in.name} with password {access.sign_in.password}")
            if access.key is not None:
                self._say(f"  API key: {access.key}")
            if access.sign_in is not None or access.key is not None:
                self._say("  (shown this once; only their hashes are kept)")
            self._say("")
        return self._once(since) if self._arguments.once else self._live(since)

    def _prepare(self, connection: psycopg.Connection) -> list[str]:
        """Write what the run needs; the virtual reader's arguments."""
        catalogue = self._arguments.catalogue
        run = next_run(connection, catalogue)
        goods = prepare_run(connection, run, catalogue)
        declare_opening_stock(connection, catalogue)
        if catalogue is not None:
            self._say(retail_text(import_online_retail(connection, catalogue)))
        pace = ["--pace", str(self._arguments.pace)]
        if self._arguments.reads is not None:
            tags = prepare_recording(connection, self._arguments.reads, catalogue)
            self._say(f"Run {run}: {tags} recorded tags, bound to the demo's goods for the occasion")
            return ["--reads", str(self._arguments.reads), *pace]
        path = self._site.state / "goods.json"
        replace_text(path, json.dumps(goods))
        self._say(f"Run {run}: a truck with {len(goods)} tags is at the dock")
        return ["--goods", str(path), "--seed", str(run), *pace]

    # ── Once ──

    def _once(self, since: datetime) -> int:
        deadline = time.monotonic() + ONCE_TIMEOUT_S
        with psycopg.connect(self._site.owner_dsn, autocommit=True) as connection:
            played_us = self._await_played(deadline)
            while not self._site.is_settled(connection, played_us + int(SETTLE_S * 1_000_000)):
                self._wait(deadline, "the gateway's last movements to be booked")
            found = report.read_report(connection, self._company(connection), since, self._reads_before)
            checks = verify(connection)
        self._print(found, checks)
        return 0 if all(check.holds for check in checks) else 1

    def _await_played(self, deadline: float) -> int:
        while not self._site.done_file.exists():
            self._wait(deadline, "the reader to have played everything")
        return self._site.done_file.stat().st_mtime_ns // 1000

    def _wait(self, deadline: float, what: str) -> None:
        if self._stop.wait(LOOK_S):
            raise ChildTrouble("stopped before the end")
        if time.monotonic() > deadline:
            raise ChildTrouble(f"waited {ONCE_TIMEOUT_S:.0f} s for {what}; see the logs in {self._site.state}")

    def _print(self, found: report.Report, checks: list[Check]) -> None:
        if self._arguments.json:
            print(report.as_json(found, [asdict(check) | {"holds": check.holds} for check in checks]))
            return
        print(report.as_text(found))
        print()
        print(checks_as_text(checks))

    # ── Live ──

    def _live(self, since: datetime) -> int:
        """Show what is new until told to stop; a database that is killed meanwhile is waited for."""
        self._say("Ctrl-C stops everything; the books stay for the next time.\n")
        shown, settled = "", False
        while not self._stop.wait(LOOK_S):
            try:
                with psycopg.connect(self._site.owner_dsn, autocommit=True) as connection:
                    found = report.read_report(connection, self._company(connection), since, self._reads_before)
                    if not settled and self._is_over(connection):
                        settled = True
                        print("\n" + report.as_text(found) + "\n", flush=True)
            except psycopg.Error as error:
                line = f"the database is away: {str(error).strip().splitlines()[0]}"
            else:
                line = _line(found)
            if line != shown:
                print(f"{datetime.now().astimezone():%H:%M:%S}  {line}", flush=True)
                shown = line
        self._say("\nStopping …")
        return 0

    def _is_over(self, connection: psycopg.Connection) -> bool:
        if not self._site.done_file.exists():
            return False
        played_us = self._site.done_file.stat().st_mtime_ns // 1000
        return self._site.is_settled(connection, played_us + int(SETTLE_S * 1_000_000))

    def _company(self, connection: psycopg.Connection) -> Company:
        row = connection.execute(
            "SELECT company_id, code, name, currency, minor_digits, time_zone, profile FROM companies WHERE code = %s",
            [self._site.address.company],
        ).fetchone()
        if row is None:
            raise ValueError(f"no company {self._site.address.company}")
        return Company(*row)

    def _say(self, text: object) -> None:
        # With --json standard output is the JSON and nothing else.
        print(text, file=sys.stderr if self._quiet else sys.stdout, flush=True)


def _reads(connection: psycopg.Connection) -> int:
    row = connection.execute("SELECT coalesce(sum(reads_total), 0)::bigint FROM gate_readings").fetchone()
    return int(row[0]) if row else 0


def _line(found: report.Report) -> str:
    return (
        f"{found.reads} reads · {len(found.passages)} passages · {len(found.movements)} movements · "
        f"{len(found.entries)} entries · {report.agreement_line(found)}"
    )
