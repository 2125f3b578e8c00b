"""`tallygate cost FILE`: what a file of movements costs, without any books.

    tallygate cost FILE [--method M] [--json]
    tallygate cost FILE --compare fifo,moving_average [--json]
    tallygate cost FILE [--method M] --reported OTHER.csv [--tolerance 0.01] [--json]

Nothing is written anywhere. Exit codes: 0 done; 1 the file cannot be costed (every reason on standard error, with
its line and column, and nothing on standard output); 2 called wrongly; 3 another system's figures are not ours.
"""

import argparse
import codecs
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cloud.cost_files.cells import BadFile, Problem, Told
from cloud.cost_files.costed_file import CostedFile, cost_file, net_realisable_value, variance_of
from cloud.cost_files.output import as_json, as_text, compared_text
from cloud.cost_files.plan import MIXED
from cloud.cost_files.progress import Progress
from cloud.cost_files.reading import Movements, Type, read_amount, read_movements
from cloud.cost_files.reported import TOLERANCE, evidence_json, evidence_text, explain, read_report
from cloud.domain.costing.methods import NAMES, Method, UnknownMethod, method_named
from cloud.domain.decimals import micro_text

VARIANCE, NRV = "variance", "nrv"
OF_GOODS = (*NAMES, MIXED)
WITHOUT_GOODS: dict[str, Callable[[Movements], CostedFile]] = {VARIANCE: variance_of, NRV: net_realisable_value}
EVERY_METHOD = (*OF_GOODS, *WITHOUT_GOODS)
DIFFERS = 3


def main(argv: Sequence[str] | None = None) -> int:
    """`tallygate cost …`; argv without the verb itself."""
    arguments = _parser().parse_args(argv)
    progress = Progress(sys.stderr, {"reading": 1, "costing": 2 if arguments.compare or arguments.reported else 1})
    try:
        answer, text, status = _answer(arguments, progress)
    except (BadFile, OSError) as error:
        progress.close()
        print(f"tallygate: {error}", file=sys.stderr)
        return 1
    progress.close()
    print(json.dumps(answer, ensure_ascii=False, indent=2) if arguments.json else text)
    return status


def _answer(arguments: argparse.Namespace, progress: Progress) -> tuple[dict[str, Any], str, int]:
    """(what --json prints, what a person reads, exit status). Raises BadFile, OSError."""
    movements = read_movements(arguments.file, arguments.encoding, progress.told("reading"))
    if movements.ignored:
        names = ", ".join(movements.ignored)
        print(f"tallygate: {movements.cells.name}: columns that mean nothing here: {names}", file=sys.stderr)
    told = progress.told("costing")
    if arguments.compare:
        results = []
        for done, method in enumerate(arguments.compare):
            told(done / len(arguments.compare))
            results.append(_costed(movements, method))
        answer = {"compare": [as_json(result, movements) for result in results]}
        return answer, compared_text(results, movements), 0
    result = _costed(movements, arguments.method or _method_of(movements), told)
    if arguments.reported is None:
        return as_json(result, movements), as_text(result, movements), 0
    report = read_report(arguments.reported, movements, arguments.encoding)
    found = explain(movements, report, result, arguments.tolerance, told)
    status = 0 if all(one.ours.reproduces for one in found) else DIFFERS
    return evidence_json(found, movements), evidence_text(found, movements, arguments.reported.name), status


def _method_of(movements: Movements) -> str:
    """The file's own method; a file of variances or of net realisable values names itself by its types."""
    if movements.method is not None:
        named = movements.method.strip().lower()
        if named not in EVERY_METHOD:
            complaint = f"expected one of {', '.join(EVERY_METHOD)}, got {movements.method!r}"
            raise BadFile(movements.cells.name, [Problem("key method", complaint)])
        return named
    if movements.of_kind(Type.ACTUAL, Type.STANDARD).all():
        return VARIANCE
    if movements.of_kind(Type.NRV).all():
        return NRV
    return Method.MOVING_AVERAGE.label


def _costed(movements: Movements, name: str, told: Told = lambda _: None) -> CostedFile:
    if name in WITHOUT_GOODS:
        return WITHOUT_GOODS[name](movements)
    return cost_file(movements, MIXED if name == MIXED else method_named(name), told)


# ── The command line ────────────────────────────────────────────────────────────────────────────────


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tallygate cost",
        description="Cost the movements of a file: cost of goods sold, what is left, variances, journal.",
        epilog=f"methods: {', '.join(EVERY_METHOD)}. docs/guides/costing.md shows each of them at work.",
    )
    parser.add_argument("file", type=Path, help="CSV, Parquet (.parquet) or a case file (.json)")
    parser.add_argument("--method", type=_method, metavar="M", help="default: the file's own, else moving_average")
    other = parser.add_mutually_exclusive_group()
    other.add_argument(
        "--compare", type=_methods, metavar="M,M,…", help="what each method makes of the same goods"
    )
    other.add_argument(
        "--reported", type=Path, metavar="CSV", help="another system's figures: which method explains them"
    )
    parser.add_argument(
        "--tolerance",
        type=_tolerance,
        default=TOLERANCE,
        metavar="AMOUNT",
        help=f"how far a reported figure may be off (default {micro_text(TOLERANCE)})",
    )
    parser.add_argument("--encoding", type=_encoding, default="utf-8", help="such as gb18030; by default UTF-8")
    parser.add_argument("--json", action="store_true", help="answer in JSON")
    return parser


def _method(text: str) -> str:
    name = text.strip().lower()
    if name in WITHOUT_GOODS or name == MIXED:
        return name
    try:
        return method_named(name).label
    except UnknownMethod:
        raise argparse.ArgumentTypeError(f"expected one of {', '.join(EVERY_METHOD)}, got {text!r}") from None


def _methods(text: str) -> list[str]:
    names = [_method(part) for part in text.split(",")]
    if wrong := [name for name in names if name in WITHOUT_GOODS]:
        raise argparse.ArgumentTypeError(f"expected methods that cost goods, got {wrong[0]}")
    return list(dict.fromkeys(names))


def _tolerance(text: str) -> int:
    try:
        return read_amount(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _encoding(name: str) -> str:
    try:
        return codecs.lookup(name).name
    except LookupError:
        raise argparse.ArgumentTypeError(f"expected an encoding such as utf-8 or gb18030, got {name!r}") from None


if __name__ == "__main__":
    sys.exit(main())
