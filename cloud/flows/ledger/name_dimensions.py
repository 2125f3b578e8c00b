"""Dimensions as people name them, {type: code of a value}, to the dimension sets that lines carry."""

from collections.abc import Mapping, Sequence
from datetime import date

import psycopg

from cloud.domain.ledger.dimensions import set_code
from cloud.store.ledger import dimension_sets as store
from cloud.store.ledger.dimension_sets import DimensionValue

Connection = psycopg.Connection | psycopg.Cursor


class UnknownDimension(LookupError):
    """The company has no such value of a dimension, or not on that day."""


def dimension_sets(
    connection: Connection, company_id: int, wanted: Sequence[tuple[Mapping[str, str], date]]
) -> list[int | UnknownDimension]:
    """The dimension_id of each set, on the day on which a line would carry it; 0 for the set of nothing.

    Sets that nobody named before are made, in order of their codes, so that two requests cannot wait for each other.
    In the place of one that cannot be stands the reason.
    """
    if not any(named for named, _ in wanted):
        return [0] * len(wanted)
    distinct = {(name, code) for named, _ in wanted for name, code in named.items()}
    known = store.values(connection, company_id, distinct)
    wrong = [_wrong(named, day, known) for named, day in wanted]
    codes = [set_code(named) for named, _ in wanted]
    right = {code: named for code, (named, _), why in zip(codes, wanted, wrong, strict=True) if not why and named}
    found = store.find(connection, company_id, right)
    for code in sorted(right.keys() - found.keys()):
        values = [known[one] for one in sorted(right[code].items())]
        found[code] = store.put(connection, company_id, code, values)
    return [
        UnknownDimension(why) if why else found[code] if code else 0
        for code, why in zip(codes, wrong, strict=True)
    ]


def _wrong(named: Mapping[str, str], day: date, known: Mapping[tuple[str, str], DimensionValue]) -> str | None:
    for name, code in named.items():
        value = known.get((name, code))
        if value is None:
            return f"there is no {name} {code!r}"
        if not value.valid_from <= day <= value.valid_to:
            return f"{name} {code} is valid from {value.valid_from} to {value.valid_to}, not on {day}"
    return None
