"""`tallygate epc …`: what a tag's memory says, and what memory says it.

    tallygate epc decode HEX… [--json]
    tallygate epc encode URI [--filter N] [--prefix-digits N] [--scheme sgtin-96|sgtin-198|sgtin+|…] [--json]

Exit codes: 0 everything could be read or written; 1 something could not, and the output says what and why, beside
all that could; 2 the call is wrong.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict

from edge.gate_desk.table import table
from protocols.epc.decoded import Decoded, WrongEpc
from protocols.epc.tag_memory import SCHEME_NAMES, decode, encode

COLUMNS = ("hex", "scheme", "filter", "epc_uri", "element_string", "digital_link", "hostname", "error")

Program = Callable[[Sequence[str]], int]


def main(argv: Sequence[str] | None = None) -> int:
    """`tallygate epc …`; argv without the verb itself."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_usage())
        return 0 if arguments else 2
    if arguments[0] not in PROGRAMS:
        print(f"tallygate epc: no command {arguments[0]!r}\n\n{_usage()}", file=sys.stderr)
        return 2
    try:
        status = PROGRAMS[arguments[0]][0](arguments[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever reads has seen enough (`| head`); Python would complain once more when it closes the pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return status


def _decode(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="tallygate epc decode", description="What EPC memory says, in every spelling that GS1 has for it."
    )
    parser.add_argument("hex", nargs="+", metavar="HEX", help="EPC memory after the protocol control word")
    parser.add_argument("--json", action="store_true", help="print one array")
    arguments = parser.parse_args(argv)
    decoded = [decode(memory) for memory in arguments.hex]
    print(_array(decoded) if arguments.json else _table(decoded))
    return int(any(one.error is not None for one in decoded))


def _encode(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="tallygate epc encode",
        description="The hex digits of memory, in whole words of 16 bits, that carry what the URI names.",
        epilog=f"Schemes: {', '.join(SCHEME_NAMES)}. Without --scheme the shortest that can carry it is taken.",
    )
    parser.add_argument(
        "uri",
        metavar="URI",
        help="EPC tag URI, EPC URI, GS1 Digital Link, or element string with brackets: '(01)…(21)…'",
    )
    parser.add_argument("--filter", type=int, metavar="N", help="the filter value; default: the tag URI's, else 0")
    parser.add_argument(
        "--prefix-digits",
        type=int,
        metavar="N",
        help="length of the GS1 company prefix, 6 to 12, which a Digital Link and an element string do not tell; "
        "without it they go into a + scheme, which does not need it",
    )
    parser.add_argument("--scheme", metavar="NAME", help="sgtin-96, sgtin-198, sgtin+ …")
    parser.add_argument("--json", action="store_true", help="print an array as decode does")
    arguments = parser.parse_args(argv)
    if arguments.scheme is not None and arguments.scheme.lower() not in SCHEME_NAMES:
        parser.error(f"no scheme {arguments.scheme!r}; there are {', '.join(SCHEME_NAMES)}")
    try:
        memory = encode(
            arguments.uri,
            scheme=arguments.scheme,
            filter_value=arguments.filter,
            prefix_digits=arguments.prefix_digits,
        )
    except WrongEpc as refusal:
        print(f"tallygate: {arguments.uri}: {refusal}", file=sys.stderr)
        return 1
    print(_array([decode(memory)]) if arguments.json else memory)
    return 0


# command → (program, what it does)
PROGRAMS: dict[str, tuple[Program, str]] = {
    "decode": (_decode, "what EPC memory says"),
    "encode": (_encode, "the memory that says it"),
}


def _usage() -> str:
    lines = [f"  {name:<10} {purpose}" for name, (_, purpose) in PROGRAMS.items()]
    return "usage: tallygate epc COMMAND …, and tallygate epc COMMAND --help\n\n" + "\n".join(lines)


def _array(decoded: Sequence[Decoded]) -> str:
    """One array, one tag a line: a person can read it, and a program as well."""
    return "[\n" + ",\n".join(json.dumps(asdict(one), ensure_ascii=False) for one in decoded) + "\n]"


def _table(decoded: Sequence[Decoded]) -> str:
    """One tag a row under aligned columns, without the columns that none of the tags fills."""
    shown = [name for name in COLUMNS if any(getattr(one, name) is not None for one in decoded)]
    return table(shown, [[_cell(getattr(one, name)) for name in shown] for one in decoded])


def _cell(value: object) -> str:
    """A terminal obeys what cannot be printed: such an argument is shown quoted."""
    if value is None:
        return "–"
    return text if (text := str(value)).isprintable() else repr(text)
