"""`tallygate import online-retail`: goods and one trading day into the books, once however often it is called."""

import hashlib
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import psycopg

from cloud.domain.catalog import Party, PartyKind
from cloud.domain.company import CompanySettings, Site, Zone
from cloud.domain.movement import Kind
from cloud.flows.declare import MAX_ROWS, Declared, RequestConflict, declare_movements
from cloud.flows.set_up_company import CompanyDescription, apply_description, ensure_periods
from cloud.imports.online_retail import Catalogue, read_catalogue, read_lines
from cloud.imports.trading_day import (
    CURRENCY,
    MADE_UP_SUPPLIER,
    TIME_ZONE,
    DayPlan,
    Planned,
    items_of,
    pieces_micro,
    plan_day,
)
from cloud.store import master

COMPANY = "retail"
LOCATION = "MAIN-STORE"


class WrongCompany(ValueError):
    """The company cannot take this file's goods."""


def retail_description(code: str = COMPANY) -> CompanyDescription:
    """The company that the file's goods go to where nobody named another: a wholesaler in London."""
    return CompanyDescription(
        CompanySettings(code, "Online Retail (real goods, made-up supply)", CURRENCY, TIME_ZONE, "IFRS"),
        sites=(
            Site(
                "MAIN", "主仓 · Main warehouse", (Zone("MAIN-DOCK", "月台 · Dock"), Zone(LOCATION, "库区 · Store"))
            ),
        ),
    )


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did. replayed: every movement was in the books already."""

    company: str
    plan: DayPlan
    catalogue: Catalogue
    items: int
    movements: int
    replayed: bool
    day_is_default: bool

    def as_json(self) -> dict[str, Any]:
        """For --json."""
        articles = self.catalogue.articles.values()
        return {
            "company": self.company,
            "items": self.items,
            "articles_with_several_descriptions": sum(len(article.names) > 1 for article in articles),
            "articles_with_several_spellings": sum(bool(article.spellings) for article in articles),
            "undated_lines_in_file": self.catalogue.undated,
            "day_is_default": self.day_is_default,
            "movements": self.movements,
            "replayed": self.replayed,
        } | self.plan.report.as_json()


def import_online_retail(
    connection: psycopg.Connection,
    path: Path,
    day: date | None = None,
    company_code: str = COMPANY,
    location_code: str = LOCATION,
    chunk_rows: int = MAX_ROWS,
) -> Imported:
    """Items of the whole file and one day's lines. `connection` is in autocommit.

    day  without one the file's most typical day
    A company that is not there yet is made, which needs the owner's connection.
    Raises WrongFile, WrongCompany, UnknownCode, CannotChange, RequestConflict, CannotBook, OSError, psycopg.Error.
    """
    catalogue = read_catalogue(path)
    chosen = day or catalogue.typical_day()
    plan = plan_day(catalogue, chosen, read_lines(path, chosen))
    company_id = _company(connection, company_code)
    with connection.transaction():
        ensure_periods(connection, company_id, min(catalogue.days), max(catalogue.days))
        item_ids = master.put_items(connection, company_id, items_of(catalogue))
        parties = master.put_parties(connection, company_id, _parties(plan))
    places = master.locations(connection, company_id)
    if location_code not in places:
        raise master.UnknownCode(f"company {company_code} has no location {location_code!r}")

    def declared(planned: Planned) -> Declared:
        outside, inward = _OUTSIDE[planned.kind]
        far, near = places[outside].location_id, places[location_code].location_id
        party_kind: PartyKind = "supplier" if planned.kind is Kind.PURCHASE_RECEIPT else "customer"
        return Declared(
            kind=planned.kind,
            item_id=item_ids[planned.code],
            qty_micro=pieces_micro(planned.pieces),
            from_id=far if inward else near,
            to_id=near if inward else far,
            occurred_us=planned.occurred_us,
            party_id=None if planned.party is None else parties[party_kind, planned.party],
            document=planned.document,
            price_micro=planned.price_micro,
        )

    replayed: list[bool] = []
    for number, start in enumerate(range(0, len(plan.movements), chunk_rows)):
        # The digest covers the whole plan, its place, and the cut, so that a chunk stands for one thing only.
        said = f"{plan.digest().hex()} {location_code} {number} {chunk_rows}"
        rows = [declared(planned) for planned in plan.movements[start : start + chunk_rows]]
        replayed.append(
            _declare(connection, company_id, plan.day, number, hashlib.sha256(said.encode()).digest(), rows)
        )
    return Imported(
        company=company_code,
        plan=plan,
        catalogue=catalogue,
        items=len(catalogue.articles),
        movements=len(plan.movements),
        replayed=bool(replayed) and all(replayed),
        day_is_default=day is None,
    )


# Kind → the virtual location on the other side, and whether the goods come from there.
_OUTSIDE = {
    Kind.PURCHASE_RECEIPT: ("SUPPLIER", True),
    Kind.CUSTOMER_RETURN: ("CUSTOMER", True),
    Kind.COUNT_GAIN: ("WORLD", True),
    Kind.SALES_SHIPMENT: ("CUSTOMER", False),
    Kind.SCRAP: ("SCRAP", False),
}


def _company(connection: psycopg.Connection, code: str) -> int:
    found = master.find_company(connection, code)
    if found is None:
        return apply_description(connection, retail_description(code))
    if found.settings.currency != CURRENCY:
        # Another base currency would need a rate for every day, and the file has none.
        raise WrongCompany(
            f"the file's prices are {CURRENCY}: expected a company kept in {CURRENCY}, "
            f"got {code}, which is kept in {found.settings.currency}"
        )
    return found.company_id


def _parties(plan: DayPlan) -> list[Party]:
    customers = {m.party for m in plan.movements if m.party is not None and m.kind is not Kind.PURCHASE_RECEIPT}
    return [MADE_UP_SUPPLIER, *(Party("customer", code, f"Customer {code}") for code in sorted(customers))]


def _declare(
    connection: psycopg.Connection, company_id: int, day: date, chunk: int, digest: bytes, rows: list[Declared]
) -> bool:
    """Whether these rows were in the books already.

    The key is the day's, not the file's: the same lines out of a re-saved file are the same day, and other
    lines for a day that is in the books are refused instead of booked on top.
    """
    try:
        return declare_movements(connection, company_id, rows, f"online-retail/{day}/{chunk}", digest).replayed
    except RequestConflict as error:
        raise RequestConflict(
            f"{day} is in the books already, with other lines, prices or another location"
        ) from error
