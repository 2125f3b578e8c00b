"""Types of dimensions and their values: added, renamed, given days. Never deleted: entries name them."""

from collections.abc import Sequence

import psycopg

from cloud.domain.ledger.dimensions import (
    DimensionType,
    DimensionValue,
    WrongDimension,
    new_or_changed,
)
from cloud.store.ledger import dimensions as store

Connection = psycopg.Connection
Difference = tuple[DimensionType | DimensionValue | None, DimensionType | DimensionValue]


class NoSuchDimension(LookupError):
    """The company has no such type or value."""


class DimensionTaken(ValueError):
    """The company has a type or value of this code already."""


def load_dimensions(
    connection: Connection,
    company_id: int,
    types: Sequence[DimensionType],
    values: Sequence[DimensionValue],
    *,
    dry_run: bool = False,
) -> list[Difference]:
    """Add types and values, change those that differ; what is not named stays. (before, after) of each difference.

    Raises WrongDimension where a value's type is unknown; psycopg.Error.
    """
    with connection.transaction():
        known = store.types(connection, company_id)
        codes = {one.code for one in (*known, *types)}
        for value in values:
            if value.type not in codes:
                raise WrongDimension("type", f"value {value.code}: there is no type of dimension {value.type!r}")
        changed_types = list(new_or_changed(known, types))
        changed = list(new_or_changed(store.values(connection, company_id), values))
        if not dry_run:
            store.put_types(
                connection, company_id, [one for _, one in changed_types if isinstance(one, DimensionType)]
            )
            store.put_values(
                connection, company_id, [one for _, one in changed if isinstance(one, DimensionValue)]
            )
    return [*changed_types, *changed]


def add_type(connection: Connection, company_id: int, made: DimensionType) -> None:
    """Raises DimensionTaken."""
    if any(one.code == made.code for one in store.types(connection, company_id)):
        raise DimensionTaken(f"there is already a type of dimension {made.code}")
    store.put_types(connection, company_id, [made])


def rename_type(connection: Connection, company_id: int, made: DimensionType) -> None:
    """Raises NoSuchDimension."""
    if all(one.code != made.code for one in store.types(connection, company_id)):
        raise NoSuchDimension(f"there is no type of dimension {made.code}")
    store.put_types(connection, company_id, [made])


def add_value(connection: Connection, company_id: int, made: DimensionValue) -> None:
    """Raises DimensionTaken, WrongDimension."""
    if store.find_value(connection, company_id, made.type, made.code) is not None:
        raise DimensionTaken(f"there is already a {made.type} {made.code}")
    load_dimensions(connection, company_id, (), [made])


def change_value(connection: Connection, company_id: int, made: DimensionValue) -> None:
    """Give a value another name or other days. Raises NoSuchDimension."""
    if store.find_value(connection, company_id, made.type, made.code) is None:
        raise NoSuchDimension(f"there is no {made.type} {made.code!r}")
    store.put_values(connection, company_id, [made])


def spoken(difference: Difference) -> str:
    """A difference as people read it."""
    before, after = difference
    what = f"type {after.code}" if isinstance(after, DimensionType) else f"{after.type} {after.code}"
    if before is None:
        name = f"{after.name_zh} · {after.name_en}" if isinstance(after, DimensionType) else after.name
        return f"+ {what} {name}".rstrip()
    told = [
        f"{column} {getattr(before, column)} → {getattr(after, column)}"
        for column in type(after).__dataclass_fields__
        if getattr(before, column) != getattr(after, column)
    ]
    return f"~ {what} {', '.join(told)}"
