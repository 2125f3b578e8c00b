"""Dimensions: types (cost centre, project, a company's own), their values, and sets of them that lines name.

A set has at most one value of each type. Its code spells it, types in alphabetical order:
`cost_centre=A1;project=P7`; the empty text is the set of nothing.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from cloud.domain.ledger.accounts import FIRST_DAY, LAST_DAY

CODE_MAX = 64
NAME_MAX = 200
SET_MAX = 500  # characters of a set's code

_TYPE = re.compile(r"[a-z][a-z0-9_]*")
# A set's code is cut at these.
_VALUE = re.compile(r"[^;=\s\x00-\x1f\x7f-\x9f]([^;=\x00-\x1f\x7f-\x9f]*[^;=\s\x00-\x1f\x7f-\x9f])?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class WrongDimension(ValueError):
    """A type, value or set that cannot be; `column` names the field, or the type within a set."""

    def __init__(self, column: str, complaint: str) -> None:
        super().__init__(f"{column}: {complaint}" if column else complaint)
        self.column = column
        self.complaint = complaint


def _check_name(column: str, name: str) -> None:
    if len(name) > NAME_MAX or _CONTROL.search(name):
        raise WrongDimension(column, f"expected up to {NAME_MAX} characters on one line, got {name[:NAME_MAX]!r}")


@dataclass(frozen=True, slots=True)
class DimensionType:
    """What costs can be kept apart by. Raises WrongDimension."""

    code: str
    name_zh: str
    name_en: str

    def __post_init__(self) -> None:
        if not _TYPE.fullmatch(self.code) or len(self.code) > CODE_MAX:
            raise WrongDimension("code", f"expected lower-case letters, digits and underscores, got {self.code!r}")
        if not self.name_zh and not self.name_en:
            raise WrongDimension("name_en", "expected a name, Chinese or English, got none")
        for column, name in (("name_zh", self.name_zh), ("name_en", self.name_en)):
            _check_name(column, name)


@dataclass(frozen=True, slots=True)
class DimensionValue:
    """One of a type's values; lines name it on days from valid_from to valid_to. Raises WrongDimension."""

    type: str
    code: str
    name: str = ""
    valid_from: date = FIRST_DAY
    valid_to: date = LAST_DAY

    def __post_init__(self) -> None:
        if not _VALUE.fullmatch(self.code) or len(self.code) > CODE_MAX:
            raise WrongDimension(
                "code", f"expected up to {CODE_MAX} characters without ; and =, got {self.code!r}"
            )
        _check_name("name", self.name)
        if self.valid_from > self.valid_to:
            raise WrongDimension("valid_to", f"expected a day from {self.valid_from} on, got {self.valid_to}")


DIMENSION_TYPES = (
    DimensionType("cost_centre", "成本中心", "Cost centre"),
    DimensionType("profit_centre", "利润中心", "Profit centre"),
    DimensionType("project", "项目", "Project"),
    DimensionType("fund_source", "资金来源", "Fund source"),
)


def parse_set(text: str) -> dict[str, str]:
    """Values by type from a set's code, in whatever order. Raises WrongDimension."""
    if len(text) > SET_MAX:
        raise WrongDimension("", f"expected at most {SET_MAX} characters, got {len(text)}")
    found: dict[str, str] = {}
    for part in text.split(";") if text.strip() else ():
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not _TYPE.fullmatch(name) or not _VALUE.fullmatch(value):
            raise WrongDimension("", f"expected type=value;type=value, got {part.strip()!r} in {text!r}")
        if name in found:
            raise WrongDimension(name, f"expected one value, got {found[name]!r} and {value!r}")
        found[name] = value
    return found


def set_code(values: Mapping[str, str]) -> str:
    """The code of the set of these values by type."""
    return ";".join(f"{name}={values[name]}" for name in sorted(values))


def new_or_changed(
    now: Sequence[DimensionType | DimensionValue], wanted: Sequence[DimensionType | DimensionValue]
) -> Iterator[tuple[DimensionType | DimensionValue | None, DimensionType | DimensionValue]]:
    """(before, after) of what `wanted` adds or changes; what it does not name stays."""
    old = {key_of(one): one for one in now}
    for one in wanted:
        if old.get(key_of(one)) != one:
            yield old.get(key_of(one)), one


def key_of(one: DimensionType | DimensionValue) -> tuple[str, ...]:
    """What a type or value is found again by."""
    return (one.code,) if isinstance(one, DimensionType) else (one.type, one.code)
