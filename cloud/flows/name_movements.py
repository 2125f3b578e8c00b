"""Movements as people and programs name them, by codes, to the rows that are booked.

Every code that is unknown is told at once, row by row; lots that are new are made. Asked for by the API, the dry run
and the command line alike, so that all three read a movement the same way.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from uuid import UUID
from zoneinfo import ZoneInfo

import psycopg

from cloud.domain.catalog import PARTY_OF_KIND
from cloud.domain.currency import NANO, UnknownCurrency, foreign_number
from cloud.domain.moments import moment_of
from cloud.domain.movement import Kind
from cloud.flows.declare import Declared
from cloud.flows.ledger.name_dimensions import UnknownDimension, dimension_sets
from cloud.flows.ledger.rates import NoRate, rates_at
from cloud.store import codes, master
from cloud.store.codes import ItemCode


@dataclass(frozen=True, slots=True)
class NamedMovement:
    """One movement by codes. qty_micro and price_micro as in Declared.

    currency    of the price, ISO 4217 code; None: the company's own, or one that only the rate tells of
    rate_nano   None: 1, or in another currency the rate that the day takes of those on record
    dimensions  {type: code of a value} of the side opposite the pool
    """

    kind: Kind
    item: str
    qty_micro: int
    from_location: str
    to_location: str
    occurred_us: int
    party: str | None = None
    document: str = ""
    price_micro: int | None = None
    currency: str | None = None
    rate_nano: int | None = None
    lot: str | None = None
    returns: UUID | None = None
    reason: str = ""
    dimensions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Unknown:
    """What cannot be understood: the row from 0, the field in the words of requests, why."""

    row: int
    field: str
    why: str


class UnknownNames(LookupError):
    """Movements name what is not there, or what does not fit; nothing was booked."""

    def __init__(self, found: Sequence[Unknown]) -> None:
        super().__init__("\n".join(f"movement {one.row + 1}, {one.field}: {one.why}" for one in found))
        self.found = list(found)


def resolve(
    connection: psycopg.Connection, company_id: int, movements: Sequence[NamedMovement], base: str, time_zone: str
) -> list[Declared]:
    """Codes to ids. Raises UnknownNames, psycopg.Error.

    base, time_zone  the company's own currency and zone
    """
    known = _Known.of(connection, company_id, movements)
    zone = ZoneInfo(time_zone)
    days = [moment_of(one.occurred_us).astimezone(zone).date() for one in movements]
    currencies, found = _currencies(movements, base)
    found += [wrong for row, one in enumerate(movements) for wrong in known.wrong(row, one)]
    dimensions = _dimensions(connection, company_id, movements, days, found)
    if found:
        raise UnknownNames(sorted(found, key=lambda one: one.row))
    rates = _rates(connection, company_id, movements, currencies)
    rows = [
        Declared(
            kind=one.kind,
            item_id=known.items[one.item].item_id,
            qty_micro=one.qty_micro,
            from_id=known.places[one.from_location],
            to_id=known.places[one.to_location],
            occurred_us=one.occurred_us,
            party_id=known.party(one),
            document=one.document,
            price_micro=one.price_micro,
            rate_nano=rate,
            original_id=one.returns,
            reason=one.reason,
            dimension_id=dimension,
            currency=currency,
        )
        for one, rate, dimension, currency in zip(movements, rates, dimensions, currencies, strict=True)
    ]
    named = {(row.item_id, one.lot) for row, one in zip(rows, movements, strict=True) if one.lot is not None}
    lots = master.put_lots(connection, company_id, sorted(named))
    return [
        row if one.lot is None else replace(row, lot_id=lots[row.item_id, one.lot])
        for row, one in zip(rows, movements, strict=True)
    ]


def wrong_lot(lot: str | None, item: ItemCode) -> str | None:
    """Why a movement's lot, or its lack of one, does not fit its item."""
    if lot is not None and item.tracking == "none":
        return f"the item's lots are not told apart, got {lot!r}"
    if lot is None and item.method == "specific":
        return "expected the lot or serial number, by which this item is costed, got none"
    return None


@dataclass(frozen=True, slots=True)
class _Known:
    """What the codes of some movements stand for."""

    items: Mapping[str, ItemCode]
    places: Mapping[str, int]
    parties: Mapping[tuple[str, str], int]

    @classmethod
    def of(cls, connection: psycopg.Connection, company_id: int, movements: Collection[NamedMovement]) -> "_Known":
        return cls(
            codes.items(connection, company_id, {one.item for one in movements}),
            codes.location_ids(
                connection,
                company_id,
                {code for one in movements for code in (one.from_location, one.to_location)},
            ),
            codes.party_ids(connection, company_id, {one.party for one in movements if one.party is not None}),
        )

    def party(self, one: NamedMovement) -> int | None:
        return self.parties.get((PARTY_OF_KIND.get(one.kind, ""), one.party or ""))

    def wrong(self, row: int, one: NamedMovement) -> list[Unknown]:
        """Codes of a movement that stand for nothing, or do not fit it."""
        found = []
        if one.item not in self.items:
            found.append(Unknown(row, "item", f"no item {one.item!r}"))
        elif (wrong := wrong_lot(one.lot, self.items[one.item])) is not None:
            found.append(Unknown(row, "lot", wrong))
        for name, code in (("from", one.from_location), ("to", one.to_location)):
            if code not in self.places:
                found.append(Unknown(row, name, f"no location {code!r}"))
        if one.party is not None and self.party(one) is None:
            kind = PARTY_OF_KIND.get(one.kind)
            why = f"no {kind} {one.party!r}" if kind else "this kind of movement has no party"
            found.append(Unknown(row, "party", why))
        if one.price_micro is None and one.rate_nano is not None:
            found.append(Unknown(row, "rate", "a rate needs a price"))
        if one.price_micro is None and one.currency is not None:
            found.append(Unknown(row, "currency", "a currency needs a price"))
        return found


def _currencies(movements: Sequence[NamedMovement], base: str) -> tuple[list[int], list[Unknown]]:
    """ISO 4217 number of each price, 0 for the company's own; and those that nobody knows."""
    numbers, found = [], []
    for row, one in enumerate(movements):
        try:
            numbers.append(foreign_number(one.currency, base))
        except UnknownCurrency as error:
            numbers.append(0)
            found.append(Unknown(row, "currency", str(error)))
        if one.currency == base and one.rate_nano not in (None, NANO):
            found.append(Unknown(row, "rate", f"{base} is the company's own currency: its rate is 1"))
    return numbers, found


def _rates(
    connection: psycopg.Connection, company_id: int, movements: Sequence[NamedMovement], currencies: Sequence[int]
) -> list[int]:
    """What was said, else what the day takes. Raises UnknownNames."""
    asked = [row for row, one in enumerate(movements) if currencies[row] and one.rate_nano is None]
    rates = [NANO if one.rate_nano is None else one.rate_nano for one in movements]
    if asked:
        try:
            taken = rates_at(
                connection, company_id, [(currencies[row], movements[row].occurred_us) for row in asked]
            )
        except NoRate as error:
            row = asked[error.row or 0]
            raise UnknownNames([Unknown(row, "rate", error.reason)]) from error
        for row, rate in zip(asked, taken, strict=True):
            rates[row] = rate
    return rates


def _dimensions(
    connection: psycopg.Connection,
    company_id: int,
    movements: Sequence[NamedMovement],
    days: Sequence[date],
    found: list[Unknown],
) -> list[int]:
    """The dimension set of each; `found` grows by those that cannot be."""
    wanted = [(one.dimensions, day) for one, day in zip(movements, days, strict=True)]
    numbers = []
    for row, named in enumerate(dimension_sets(connection, company_id, wanted)):
        if isinstance(named, UnknownDimension):
            found.append(Unknown(row, "dimensions", str(named)))
        numbers.append(0 if isinstance(named, UnknownDimension) else named)
    return numbers
