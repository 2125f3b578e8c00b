"""The front door: `tallygate VERB …`, one verb a program. Each verb's own module is loaded when it is called.

Logs go to standard error as events: short text, then fields.
"""

import importlib
import json
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cloud import settings

# verb → (module and function that takes the arguments and returns the exit status, what it does)
VERBS: dict[str, tuple[str, str]] = {
    "demo": (
        "standalone.demo:main",
        "the whole way on this machine: database, broker, virtual warehouse, live page",
    ),
    "edge": ("edge.wiring:main", "a gateway: readers, recognition, outbox, uplink"),
    "ingest": ("cloud.ingest.program:main", "apply the gateways' logs"),
    "jobs": ("cloud.jobs.program:main", "re-cost what came late, settle periods"),
    "api": ("cloud.wiring:main", "the web service: API and live page"),
    "migrate": ("cloud.store.program:main", "bring the database to the newest schema"),
    "verify": ("cloud.checks.verify:main", "check the promises on the running database"),
    "trace": ("cloud.checks.trace:main", "from a journal line to its evidence, and back"),
    "loss": ("cloud.checks.loss:main", "record numbers of a gateway's log as lost for good"),
    "quarantine": ("cloud.checks.quarantine:main", "what could not be booked: list, book, dismiss"),
    "restored": ("cloud.checks.restored:main", "say that the database was put back to an earlier state"),
    "company": ("cloud.imports.program:company_main", "set up a company from its description"),
    "import": ("cloud.imports.program:main", "items, expectations, trading days from files"),
    "ledger": ("cloud.bookkeeping.program:main", "chart, posting rules, periods, rates, documents, drafts"),
    "cost": ("cloud.cost_files.program:main", "what a file of movements costs, by any method, without books"),
    "gate": ("standalone.gate_program:main", "replay, score, tune and simulate a gate, from files"),
    "epc": ("standalone.epc_program:main", "what a tag's memory says, and the memory that says it"),
    "reader": ("firmware_bridges.virtual_reader.run:main", "a virtual LLRP reader"),
    "broker": ("standalone.broker:main", "the embedded MQTT broker"),
    "secrets": ("standalone.secret_files:main", "make the secrets of a production installation"),
}

# Verbs that ask or change the books: without a database in the environment they mean the demo's in this folder.
OF_THE_BOOKS = frozenset(
    {"migrate", "jobs", "verify", "trace", "quarantine", "loss", "restored", "company", "import", "ledger"}
)
DEMO_DSN = Path(".tallygate/tallygate_owner.dsn")

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class EventFormatter(logging.Formatter):
    """One line an event: time, level, room, text, then the fields as key=value."""

    default_msec_format = "%s.%03d"

    def format(self, record: logging.LogRecord) -> str:
        line = super().format(record)
        fields = " ".join(
            f"{key}={json.dumps(value, ensure_ascii=False, default=str)}"
            for key, value in record.__dict__.items()
            if key not in _STANDARD
        )
        return f"{line} · {fields}" if fields else line


def configure_logging(level: int = logging.INFO) -> None:
    """Log events to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(EventFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=level, handlers=[handler])


def main(argv: list[str] | None = None) -> int:
    """Run one verb; its exit status, or 2 when there is no such verb."""
    arguments = sys.argv[1:] if argv is None else argv
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_usage())
        return 0 if arguments else 2
    verb, rest = arguments[0], arguments[1:]
    if verb not in VERBS:
        print(f"tallygate: no verb {verb!r}\n\n{_usage()}", file=sys.stderr)
        return 2
    configure_logging()
    _place_kernels()
    if verb in OF_THE_BOOKS:
        _fall_back_to_the_demo()
    module, function = VERBS[verb][0].split(":")
    program: Callable[[list[str]], Any] = getattr(importlib.import_module(module), function)
    return int(program(rest) or 0)


def _place_kernels() -> None:
    """Compiled kernels go where the setting says: here, because numba reads it once, when it is imported."""
    if folder := settings.kernel_cache():
        os.environ["NUMBA_CACHE_DIR"] = str(folder)


def _fall_back_to_the_demo() -> None:
    if not {"TALLYGATE_DSN", "TALLYGATE_DSN_FILE"} & set(os.environ) and DEMO_DSN.is_file():
        os.environ["TALLYGATE_DSN_FILE"] = str(DEMO_DSN)


def _usage() -> str:
    lines = [f"  {verb:<10} {purpose}" for verb, (_, purpose) in VERBS.items()]
    return "usage: tallygate VERB …, and tallygate VERB --help\n\n" + "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
