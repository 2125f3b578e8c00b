"""gate.toml ↔ GateSettings. Pure: text in, settings out, and back.

    [gate]
    name = "dock-1"            # absent: "gate"
    hold_s = 3.0               # any field of GateSettings by its name; absent ones keep their default

    [gate.antennas]
    inside = [1, 2]            # antenna numbers (1-based) that face the warehouse
    outside = [3, 4]           # … the yard

    [gate.photo_eyes]          # GPI ports (1-based) that photo-eyes are wired to; optional
    door = 1                   # or outside = 1 and inside = 2

Which keys there are, their types and defaults are those of GateSettings, so a field that is added there is
known here. A key that is not known, of the wrong type or with an impossible value is refused as WrongGate
with the file, the key, what was expected and what was found.
"""

import dataclasses
import json
import tomllib
import types
import typing
from collections.abc import Mapping
from functools import cache
from math import isfinite
from textwrap import wrap
from typing import Any

from edge.recognition.gate import GateSettings, WrongGate

DEFAULT_NAME = "gate"  # of a file that names none
MOST_NUMBER = 65_535  # of an antenna or a GPI port: LLRP 1.0.1 gives both 16 bits
LONGEST_NAME = 64  # characters, as in gateway.toml
WRAP_AT = 100  # columns of a written file

_EYE = "eye_"  # fields of GateSettings that stand in [gate.photo_eyes], without this beginning
_SIDES = ("inside", "outside")  # fields that stand in [gate.antennas]


def read_gate(text: str, where: str) -> GateSettings:
    """The gate that `text` describes; `where` names the file in messages. Raises WrongGate."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise WrongGate(f"{where} is no TOML: {error}") from error
    if unknown := sorted(set(document) - {"gate"}):
        raise WrongGate(f"{where}: unknown key {unknown[0]}: expected the table [gate] and nothing else")
    gate = _table(document, "gate", where, is_needed=True)
    antennas = _table(gate, "antennas", where, is_needed=True, within="gate.")
    eyes = _table(gate, "photo_eyes", where, is_needed=False, within="gate.")
    known: dict[str, Any] = {"name": DEFAULT_NAME}
    known |= _values(antennas, "gate.antennas", {side: side for side in _SIDES}, where)
    known |= _values(eyes, "gate.photo_eyes", {name.removeprefix(_EYE): name for name in _eyes()}, where)
    plain = {name: name for name in fields() if name not in (*_SIDES, *_eyes())}
    known |= _values({k: v for k, v in gate.items() if k not in ("antennas", "photo_eyes")}, "gate", plain, where)
    if absent := [side for side in _SIDES if side not in known]:
        raise WrongGate(f"{where}: key gate.antennas.{absent[0]}: expected a list of antenna numbers, got nothing")
    try:
        return GateSettings(**known)
    except WrongGate as error:
        raise WrongGate(f"{where}: {error}") from error


def read_fields(table: Mapping[str, Any], at: str, where: str) -> dict[str, Any]:
    """The fields of GateSettings that `table` sets by name: all but the name, the antennas and the photo-eyes.

    `at` names the table and `where` the file in messages. Raises WrongGate.
    """
    return _values(table, at, {name: name for name in fields() if name not in ("name", *_SIDES, *_eyes())}, where)


def write_gate(settings: GateSettings, why: str = "") -> str:
    """The text that `read_gate` makes `settings` of. `why` stands on top, as a comment.

    What differs from its default stands as a value, the rest as a comment: a default that a later version
    improves then reaches this gate too.
    """
    lines = [*_comment(why), "", "[gate]", f"name = {_toml(settings.name)}"]
    for name in fields():
        if name not in ("name", *_SIDES, *_eyes()):
            lines += ["", *_setting(settings, name, name)]
    lines += ["", "[gate.antennas]"]
    for side in _SIDES:
        lines += [*_comment(told(side).why), f"{side} = {_toml(getattr(settings, side))}"]
    if _eyes():
        lines += ["", "[gate.photo_eyes]"]
        for name in _eyes():
            lines += _setting(settings, name, name.removeprefix(_EYE))
    return "\n".join(lines).lstrip("\n") + "\n"


@dataclasses.dataclass(frozen=True, slots=True)
class Told:
    """What GateSettings says about one of its fields: default, unit ("" for a bare number) and reason."""

    default: Any
    unit: str
    why: str


@cache
def fields() -> dict[str, tuple[type, ...]]:
    """Each field of GateSettings with the types that it takes, in their order."""
    hints = typing.get_type_hints(GateSettings)
    return {field.name: _types(hints[field.name]) for field in dataclasses.fields(GateSettings)}


def told(name: str) -> Told:
    """What GateSettings says about the field `name`."""
    (field,) = [one for one in dataclasses.fields(GateSettings) if one.name == name]
    return Told(field.default, str(field.metadata.get("unit", "")), str(field.metadata.get("why", "")))


def _types(hint: Any) -> tuple[type, ...]:
    members = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    return tuple(typing.get_origin(member) or member for member in members)


def _eyes() -> tuple[str, ...]:
    return tuple(name for name in fields() if name.startswith(_EYE))


# ── Reading ─────────────────────────────────────────────────────────────────────────────────────────


def _table(
    above: Mapping[str, Any], name: str, where: str, *, is_needed: bool, within: str = ""
) -> Mapping[str, Any]:
    if name not in above and not is_needed:
        return {}
    if not isinstance(above.get(name), dict):
        found = "nothing" if name not in above else repr(above[name])
        raise WrongGate(f"{where}: expected a table [{within}{name}], got {found}")
    return typing.cast(Mapping[str, Any], above[name])


def _values(table: Mapping[str, Any], at: str, keys: Mapping[str, str], where: str) -> dict[str, Any]:
    """The fields that `table` sets; `keys` says which key is which field."""
    values = {}
    for key, value in table.items():
        if key not in keys:
            raise WrongGate(f"{where}: unknown key {at}.{key}: {_hint(key, at, keys)}")
        values[keys[key]] = _value(keys[key], value, f"{where}: key {at}.{key}")
    return values


def _hint(key: str, at: str, keys: Mapping[str, str]) -> str:
    if at == "gate" and key in _SIDES:
        return "antennas stand in [gate.antennas]"
    if at == "gate" and key in _eyes():
        return f"photo-eyes stand in [gate.photo_eyes], this one as {key.removeprefix(_EYE)}"
    return f"expected one of {', '.join(keys)}" if keys else "expected nothing here"


def _value(name: str, value: Any, key: str) -> Any:
    kinds = fields()[name]
    if frozenset in kinds:
        numbers = value if isinstance(value, list) else [value]
        if not isinstance(value, list) or not all(_is_number(one) for one in numbers):
            raise WrongGate(f"{key}: expected a list of numbers from 1 to {MOST_NUMBER}, got {value!r}")
        if len(set(numbers)) < len(numbers):
            raise WrongGate(f"{key}: expected each number once, got {value!r}")
        return frozenset(numbers)
    if name in _eyes():
        if not _is_number(value):
            raise WrongGate(f"{key}: expected the number of a GPI port from 1 to {MOST_NUMBER}, got {value!r}")
        return value
    if bool in kinds and isinstance(value, bool):
        return value
    if isinstance(value, str) and str in kinds:
        if not 0 < len(value) <= LONGEST_NAME:
            raise WrongGate(f"{key}: expected 1 to {LONGEST_NAME} characters, got {len(value)}")
        return value
    if isinstance(value, int) and not isinstance(value, bool) and int in kinds:
        return value
    if isinstance(value, int | float) and not isinstance(value, bool) and float in kinds and isfinite(value):
        return float(value)
    raise WrongGate(f"{key}: expected {_expected(kinds)}{_of_unit(name)}, got {_found(value)}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST_NUMBER


_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


def _expected(kinds: tuple[type, ...]) -> str:
    return " or ".join(_WORDS[kind] for kind in kinds if kind in _WORDS)


def _of_unit(name: str) -> str:
    return f" ({told(name).unit})" if told(name).unit else ""


def _found(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value)


# ── Writing ─────────────────────────────────────────────────────────────────────────────────────────


def _setting(settings: GateSettings, name: str, key: str) -> list[str]:
    value, about = getattr(settings, name), told(name)
    lines = _comment(about.why)
    if value is None:
        return [*lines, f"# {key} =" + (f"  # {about.unit}" if about.unit else "")]
    notes = [about.unit] if about.unit else []
    is_default = value == about.default
    if not is_default and about.default is not None and about.default is not dataclasses.MISSING:
        notes.append(f"default {_toml(about.default)}")
    line = f"{'# ' if is_default else ''}{key} = {_toml(value)}"
    return [*lines, line + (f"  # {', '.join(notes)}" if notes else "")]


def _comment(text: str) -> list[str]:
    return [
        f"# {line}".rstrip()
        for paragraph in text.splitlines()
        for line in wrap(paragraph, WRAP_AT - 2, break_long_words=False) or [""]
    ]


def _toml(value: Any) -> str:
    if isinstance(value, frozenset):
        return str(sorted(value))
    if isinstance(value, str | bool):
        # JSON's strings, true and false are TOML's too, but for DEL, which JSON leaves as it is.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
    return repr(value)
