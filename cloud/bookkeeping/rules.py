"""`tallygate ledger rules`, `coverage`: posting rules at the terminal, and what none of them covers.

tallygate ledger rules list COMPANY [--ended] [--kind scrap]
tallygate ledger rules export COMPANY [FILE.toml | FILE.csv]          TOML on the terminal without a file
tallygate ledger rules add COMPANY --kind scrap --debit loss --credit pool [--item-class goods] [--site MAIN]
                           [--reason theft] [--party-class group] [--priority 10] [--dimensions project=P7]
tallygate ledger rules end COMPANY NUMBER
tallygate ledger rules load COMPANY FILE.toml|FILE.csv [--dry-run]    the whole set: what it lacks ends
tallygate ledger rules shipped COMPANY on|off                         goods shipped not invoiced
tallygate ledger coverage COMPANY                                     1 when something would be refused

A rule is never changed: it ends, and another begins.
"""

import argparse
import getpass
from pathlib import Path

from cloud.bookkeeping.terminal import company_of, connect, is_csv, put
from cloud.domain.ledger.rules import RULE_FIELDS, specificity
from cloud.domain.movement import Kind
from cloud.flows.ledger.check_coverage import check_coverage
from cloud.flows.ledger.edit_rules import Changed, add_rules, end_rule, keep_shipped, load_rules
from cloud.flows.ledger.rule_file import KINDS, new_rule, read_rules, rules_csv, rules_toml
from cloud.store.ledger import rules as store
from cloud.store.ledger.rules import StoredRule

UNCOVERED = 1


def add_commands(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """`rules list`, `export`, `add`, `end`, `load`, `shipped`; `coverage`."""
    nouns = verbs.add_parser("rules", help="posting rules").add_subparsers(metavar="COMMAND", required=True)
    listing = _command(nouns, "list", "those in force, as they count", _list)
    listing.add_argument("--ended", action="store_true", help="also those that are in force no more")
    listing.add_argument("--kind", choices=KINDS, metavar="KIND", help="of this kind only, such as scrap")
    export = _command(nouns, "export", "write them to a file that `load` reads", _export)
    export.add_argument("file", type=Path, nargs="?", help="its ending says the form: .toml or .csv")
    adding = _command(nouns, "add", "begin one", _add)
    for name in ("kind", "debit", "credit"):
        adding.add_argument(f"--{name}", required=True, choices=KINDS if name == "kind" else None, metavar="NAME")
    for name in ("item-class", "site", "reason", "party-class"):
        adding.add_argument(f"--{name}", help="any, unless said")
    adding.add_argument("--priority", type=int, default=0, help="the highest that matches counts (0)")
    adding.add_argument("--dimensions", default="", help="of the other side: cost_centre=A1;project=P7")
    ending = _command(nouns, "end", "end one", _end)
    ending.add_argument("number", type=int, help="as `list` shows it")
    load = _command(nouns, "load", "make the rules in force those of a file", _load)
    load.add_argument("file", type=Path, help="its ending says the form: .toml or .csv")
    load.add_argument("--dry-run", action="store_true", help="only tell what would change")
    shipped = _command(nouns, "shipped", "keep goods shipped not invoiced, or do not", _shipped)
    shipped.add_argument("state", choices=("on", "off"))
    coverage = verbs.add_parser("coverage", help="what no rule covers, before it happens")
    coverage.add_argument("company", help="the company's code")
    coverage.set_defaults(work=_coverage)


def _command(
    nouns: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, said: str, work: object
) -> argparse.ArgumentParser:
    parser = nouns.add_parser(name, help=said)
    parser.add_argument("company", help="the company's code")
    parser.set_defaults(work=work)
    return parser


def _list(dsn: str, arguments: argparse.Namespace) -> int:
    kind = None if arguments.kind is None else int(KINDS[arguments.kind])
    with connect(dsn) as connection:
        company = company_of(connection, arguments.company)
        rules = store.rules(connection, company, ended=arguments.ended, kind=kind)
    for one in sorted(rules, key=_rank):
        print(rule_line(one))
    return 0


def _export(dsn: str, arguments: argparse.Namespace) -> int:
    with connect(dsn) as connection:
        rules = store.rules(connection, company_of(connection, arguments.company))
    write = rules_csv if arguments.file is not None and is_csv(arguments.file) else rules_toml
    put(write(rules), arguments.file, f"{len(rules)} rules")
    return 0


def _add(dsn: str, arguments: argparse.Namespace) -> int:
    rule = new_rule({field: getattr(arguments, field) for field in RULE_FIELDS})
    with connect(dsn) as connection:
        company = company_of(connection, arguments.company)
        [made] = add_rules(connection, company, [rule], getpass.getuser())
    print(f"+ {rule_line(made)}")
    return 0


def _end(dsn: str, arguments: argparse.Namespace) -> int:
    with connect(dsn) as connection:
        company = company_of(connection, arguments.company)
        print(f"- {rule_line(end_rule(connection, company, arguments.number, getpass.getuser()))}")
    return 0


def _load(dsn: str, arguments: argparse.Namespace) -> int:
    is_csv(arguments.file)
    wanted = read_rules(arguments.file.read_text(encoding="utf-8"), arguments.file.name)
    with connect(dsn) as connection:
        company = company_of(connection, arguments.company)
        # What the new set leaves uncovered is told as well, of a dry run before everything is undone.
        with connection.transaction(force_rollback=arguments.dry_run):
            changed = load_rules(connection, company, wanted, getpass.getuser())
            gaps = [one for one in check_coverage(connection, company) if one.gap.blocks]
    _tell(changed)
    would = "would end" if arguments.dry_run else "ended"
    print(
        f"{arguments.company}: {len(changed.ended)} rules {would}, {len(changed.added)} begin, {changed.kept} stay"
    )
    for gap in gaps:
        print(f"uncovered: {gap.sentence}")
    return 0


def _shipped(dsn: str, arguments: argparse.Namespace) -> int:
    with connect(dsn) as connection:
        company = company_of(connection, arguments.company)
        changed = keep_shipped(connection, company, arguments.state == "on", getpass.getuser())
    _tell(changed)
    print(f"{arguments.company}: goods shipped not invoiced are {arguments.state}")
    return 0


def _coverage(dsn: str, arguments: argparse.Namespace) -> int:
    with connect(dsn) as connection:
        found = check_coverage(connection, company_of(connection, arguments.company))
    for one in found:
        print(f"{'uncovered' if one.gap.blocks else 'to be named'}: {one.sentence}")
    if not found:
        print(f"{arguments.company}: everything is covered")
    return UNCOVERED if any(one.gap.blocks for one in found) else 0


def _tell(changed: Changed) -> None:
    for sign, rules in (("-", changed.ended), ("+", changed.added)):
        for one in rules:
            print(f"{sign} {rule_line(one)}")


def _rank(one: StoredRule) -> tuple[int, int, int, int]:
    return one.rule.kind, -one.rule.priority, -specificity(one.rule), one.rule_id


def rule_line(one: StoredRule) -> str:
    """A rule on one line: number, kind, conditions, roles, and since when it is in force."""
    rule = one.rule
    named = (("class", rule.item_class), ("site", one.site), ("reason", rule.reason), ("party", rule.party_class))
    said = [f"{name} {value}" for name, value in named if value is not None]
    said += [f"priority {rule.priority}"] * (rule.priority != 0)
    line = f"{one.rule_id}  {Kind(rule.kind).name.lower()}"
    line += f" [{', '.join(said)}]" if said else ""
    line += f"  {rule.debit_role} / {rule.credit_role}"
    line += f"  {one.dimensions}" if one.dimensions else ""
    line += f"  by {one.made_by} since {one.made_at:%Y-%m-%d %H:%M}"
    if one.ended_at is not None:
        line += f", ended by {one.ended_by} {one.ended_at:%Y-%m-%d %H:%M}"
    return line
