"""`tallygate gate …`: replay, score, tune and simulate a gate.

    tallygate gate replay FILE [--format emse|generic-csv] [--gate gate.toml] [--eyes FILE] [--json]
    tallygate gate score FILE… --labels … [--gate gate.toml] [--eyes FILE…] [--json]
    tallygate gate fit FILE… --labels … [--gate gate.toml] [--out gate.toml]
    tallygate gate simulate …

What is found goes to standard output; what had to be left out, and why, to standard error. Exit codes: 0 done; 2 the
call, a file or a gate is wrong. docs/guides/gates.md shows each of them at work.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import import_module
from itertools import repeat
from pathlib import Path
from typing import Any

from edge.gate_desk.fit import TooLittle, fit, why
from edge.gate_desk.fit import as_text as fit_text
from edge.gate_desk.labels import WrongLabels, read_labels
from edge.gate_desk.recording import FORMATS, NoRecording, Recording, read_recording
from edge.gate_desk.replay import as_json, as_text, replay
from edge.gate_desk.score import score
from edge.gate_desk.score_text import SHOWN_FAILURES
from edge.gate_desk.score_text import as_json as score_json
from edge.gate_desk.score_text import as_text as score_text
from edge.recognition.gate import GateSettings, WrongGate
from edge.recognition.gate_file import read_gate, write_gate

# What recordings of this format are made with, when no gate file says otherwise.
EMSE_INSIDE, EMSE_OUTSIDE = frozenset({1, 2}), frozenset({3, 4})

Program = Callable[[Sequence[str]], int]


class WrongCall(ValueError):
    """The files that were named do not go together."""


def main(argv: Sequence[str] | None = None) -> int:
    """`tallygate gate …`; argv without the verb itself."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_usage())
        return 0 if arguments else 2
    if arguments[0] not in PROGRAMS:
        print(f"tallygate gate: no command {arguments[0]!r}\n\n{_usage()}", file=sys.stderr)
        return 2
    try:
        status = PROGRAMS[arguments[0]][0](arguments[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever reads has seen enough (`| head`); Python would complain once more when it closes the pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (NoRecording, WrongGate, WrongLabels, TooLittle, WrongCall) as error:
        print(f"tallygate: {error}", file=sys.stderr)
        return 2
    return status


def _replay(argv: Sequence[str]) -> int:
    parser = _parser("replay", "One row for each passage of a recording.")
    parser.add_argument("file", type=Path, metavar="FILE", help="the recording, plain or gzipped")
    _add_reading(parser)
    parser.add_argument("--eyes", type=Path, metavar="FILE", help="the photo-eyes: time, port, state")
    parser.add_argument("--json", action="store_true", help="print one array")
    arguments = parser.parse_args(argv)
    gate, (recording,) = _read([arguments.file], arguments, arguments.eyes and [arguments.eyes])
    replayed = replay(recording, gate)
    _tell_counters(recording.name, replayed.counters)
    print(_array(map(as_json, replayed.passages)) if arguments.json else as_text(replayed.passages))
    return 0


def _score(argv: Sequence[str]) -> int:
    parser = _parser("score", "How often a gate is right on labelled recordings, with 95 % intervals.")
    _add_labelled(parser)
    parser.add_argument("--eyes", type=Path, nargs="+", metavar="FILE", help="photo-eyes, one file a recording")
    parser.add_argument("--failures", type=int, default=SHOWN_FAILURES, metavar="N", help="how many to list")
    parser.add_argument("--json", action="store_true", help="print one object")
    arguments = parser.parse_args(argv)
    labels = read_labels(arguments.labels)
    gate, recordings = _read(arguments.file, arguments, arguments.eyes)
    scored = []
    for recording in recordings:
        replayed = replay(recording, gate)
        _tell_counters(recording.name, replayed.counters)
        scored.append((recording, replayed, labels))
    found = score(scored, gate)
    if not found.right.of:
        raise WrongCall(
            f"not one label belongs to {', '.join(map(str, arguments.file))}: expected the same EPCs and times"
        )
    print(
        json.dumps(score_json(found), ensure_ascii=False, indent=1)
        if arguments.json
        else score_text(found, arguments.failures)
    )
    return 0


def _fit(argv: Sequence[str]) -> int:
    parser = _parser(
        "fit", "Tune a gate's thresholds on labelled recordings, as far as it holds on those left out."
    )
    _add_labelled(parser)
    parser.add_argument("--out", type=Path, metavar="TOML", help="where the gate is written; default: printed")
    arguments = parser.parse_args(argv)
    out: Path | None = arguments.out
    if out is not None and not out.parent.is_dir():
        raise WrongCall(f"{out} cannot be written: there is no folder {out.parent}")
    labels = read_labels(arguments.labels)
    gate, recordings = _read(arguments.file, arguments)
    fitted = fit([(recording, labels) for recording in recordings], gate, _tell)
    written = write_gate(fitted.gate, why(fitted, [recording.name for recording in recordings]))
    print(fit_text(fitted))
    if out is None:
        print(f"\n{written}", end="")
        return 0
    try:
        out.write_text(written, encoding="utf-8")
    except OSError as error:
        raise WrongCall(f"{out} cannot be written: {error.strerror}") from error
    print(f"\nwritten: {out}")
    return 0


def _simulate(argv: Sequence[str]) -> int:
    program: Program = import_module("firmware_bridges.gate_simulator.run").main
    return program(argv)


# command → (program, what it does)
PROGRAMS: dict[str, tuple[Program, str]] = {
    "replay": (_replay, "one row for each passage of a recording"),
    "score": (_score, "how often a gate is right on labelled recordings"),
    "fit": (_fit, "tune a gate on labelled recordings"),
    "simulate": (_simulate, "a recording with its truth, from a simulated gate"),
}


def _usage() -> str:
    lines = [f"  {name:<10} {purpose}" for name, (_, purpose) in PROGRAMS.items()]
    return "usage: tallygate gate COMMAND …, and tallygate gate COMMAND --help\n\n" + "\n".join(lines)


def _parser(command: str, description: str) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(
        prog=f"tallygate gate {command}",
        description=description,
        epilog="docs/guides/gates.md explains the files, the words and the figures.",
    )


def _add_reading(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--format", choices=FORMATS, help="default: what the file's first line looks like")
    parser.add_argument("--gate", type=Path, metavar="TOML", help="the gate: its antennas and parameters")


def _add_labelled(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, nargs="+", metavar="FILE", help="recordings, plain or gzipped")
    parser.add_argument(
        "--labels",
        nargs="+",
        required=True,
        metavar="LABELS",
        help="moving=FILE stationary=FILE, files named labels_moving… or labels_stationary…, their folder, or a CSV of "
        "events (epc, from, to, truth)",
    )
    _add_reading(parser)


def _read(
    files: Sequence[Path], arguments: argparse.Namespace, eyes: Sequence[Path] | None = None
) -> tuple[GateSettings, list[Recording]]:
    """The gate and the recordings of it; tells what had to be left out. Raises NoRecording, WrongGate, WrongCall."""
    gate = None if arguments.gate is None else read_gate(_text(arguments.gate), str(arguments.gate))
    if eyes is not None and len(eyes) != len(files):
        raise WrongCall(f"expected a file of photo-eyes for each of the {len(files)} recordings, got {len(eyes)}")
    antennas = None if gate is None else gate.inside | gate.outside
    recordings: list[Recording] = []
    for path, eye in zip(files, eyes if eyes is not None else repeat(None, len(files)), strict=True):
        recording = read_recording(path, arguments.format, antennas=antennas, eyes=eye)
        if recording.name in [other.name for other in recordings]:
            recording = replace(recording, name=str(path))
        recordings.append(recording)
        for note in recording.notes:
            _tell(f"{path}: {note}")
        for problem in recording.problems:
            _tell(f"{path}: {problem}: {problem.kind}")
    return gate or _assumed(files, recordings), recordings


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise WrongGate(f"{path} cannot be read: {error}") from error


def _assumed(files: Sequence[Path], recordings: Sequence[Recording]) -> GateSettings:
    """The gate when none was named: only recordings whose form tells the antennas' sides have one."""
    for path, recording in zip(files, recordings, strict=True):
        if recording.format != "emse":
            raise WrongCall(
                f"{path}: which antennas face inside? Name the gate with --gate gate.toml, which holds\n"
                "[gate.antennas]\ninside = [1, 2]\noutside = [3, 4]"
            )
    inside, outside = (", ".join(map(str, sorted(side))) for side in (EMSE_INSIDE, EMSE_OUTSIDE))
    _tell(f"no --gate: antennas {inside} are taken as inside, {outside} as outside")
    return GateSettings("gate", EMSE_INSIDE, EMSE_OUTSIDE)


def _tell(line: str) -> None:
    print(f"tallygate: {line}", file=sys.stderr)


def _tell_counters(name: str, counters: dict[str, int]) -> None:
    if counters:
        told = ", ".join(f"{counter} {count}" for counter, count in counters.items())
        _tell(f"{name}: recognition counted {told}")


def _array(elements: Any) -> str:
    """One array, one element a line: a person can read it, and a program as well."""
    lines = ",\n".join(json.dumps(element, ensure_ascii=False) for element in elements)
    return f"[\n{lines}\n]" if lines else "[]"
