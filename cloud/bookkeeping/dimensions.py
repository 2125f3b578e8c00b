"""`tallygate ledger dimensions`: cost centres, projects and the like: their types and values.

tallygate ledger dimensions show COMPANY [--type TYPE] [--on DAY]
tallygate ledger dimensions export COMPANY [FILE.toml | FILE.csv]     CSV holds values only
tallygate ledger dimensions load COMPANY FILE.toml|FILE.csv [--dry-run]

What a file does not name stays as it is: types and values are never deleted, since entries name them.
"""

import argparse
from datetime import date
from pathlib import Path

from cloud.bookkeeping.terminal import company_of, connect, is_csv, put, told
from cloud.domain.ledger.accounts import FIRST_DAY, LAST_DAY
from cloud.domain.ledger.chart_file import dimensions_csv, dimensions_toml, read_dimensions
from cloud.domain.ledger.dimensions import DimensionValue
from cloud.flows.ledger.edit_dimensions import load_dimensions, spoken
from cloud.store.ledger import dimensions as store


def add_commands(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """`dimensions show`, `dimensions export` and `dimensions load`."""
    nouns = verbs.add_parser("dimensions", help="cost centres, projects and the like").add_subparsers(
        metavar="COMMAND", required=True
    )
    show = nouns.add_parser("show", help="types, and the values of each")
    show.add_argument("--type", help="of this type only")
    show.add_argument("--on", type=date.fromisoformat, help="those that lines of this day may name (2026-01-31)")
    show.set_defaults(work=_show)
    export = nouns.add_parser("export", help="write them to a file that `load` reads")
    export.set_defaults(work=_export)
    load = nouns.add_parser("load", help="add and change what a file says")
    load.add_argument("--dry-run", action="store_true", help="only tell what would change")
    load.set_defaults(work=_load)
    for command in (show, export, load):
        command.add_argument("company", help="the company's code")
    export.add_argument("file", type=Path, nargs="?", help="its ending says the form: .toml or .csv")
    load.add_argument("file", type=Path, help="its ending says the form: .toml or .csv")


def _show(dsn: str, arguments: argparse.Namespace) -> int:
    with connect(dsn) as connection:
        company_id = company_of(connection, arguments.company)
        types = store.types(connection, company_id)
        values = store.values(connection, company_id, type_=arguments.type, valid_on=arguments.on)
    for one in types:
        if arguments.type in (None, one.code):
            print(f"{one.code}  {one.name_zh} · {one.name_en}")
            for value in values:
                if value.type == one.code:
                    print(f"  {value.code}  {value.name}{_days(value)}".rstrip())
    return 0


def _export(dsn: str, arguments: argparse.Namespace) -> int:
    with connect(dsn) as connection:
        company_id = company_of(connection, arguments.company)
        types = store.types(connection, company_id)
        values = store.values(connection, company_id)
    as_csv = arguments.file is not None and is_csv(arguments.file)
    text = dimensions_csv(values) if as_csv else dimensions_toml(types, values)
    put(text, arguments.file, f"{len(types)} types, {len(values)} values")
    return 0


def _load(dsn: str, arguments: argparse.Namespace) -> int:
    is_csv(arguments.file)
    file = read_dimensions(arguments.file.read_text(encoding="utf-8"), arguments.file.name)
    with connect(dsn) as connection:
        company_id = company_of(connection, arguments.company)
        done = load_dimensions(connection, company_id, file.types, file.values, dry_run=arguments.dry_run)
    for difference in done:
        print(spoken(difference))
    print(told(arguments.company, len(done), "types and values", is_dry=arguments.dry_run))
    return 0


def _days(value: DimensionValue) -> str:
    if (value.valid_from, value.valid_to) == (FIRST_DAY, LAST_DAY):
        return ""
    return f"  from {value.valid_from} to {value.valid_to}"
