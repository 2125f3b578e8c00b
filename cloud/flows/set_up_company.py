"""Set up a company, its places, gates, gateways and items; a second time only carries its calendar on.

A new company gets the chart and posting rules of its profile, the virtual locations, and monthly periods
from 24 months back to 24 ahead. What books depend on (currency, time zone, profile, the kind of a place)
is refused when a later description says otherwise. The default costing method may change: it is that of items
that come later. How periods are closed may change, too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import psycopg

from cloud.domain.catalog import Item, WrongMasterData
from cloud.domain.company import (
    VIRTUAL_LOCATIONS,
    CompanySettings,
    Gate,
    Gateway,
    Site,
    WrongDescription,
    lane_of,
)
from cloud.domain.costing.allocation_rules import AllocationRule
from cloud.domain.ledger.charts import chart_of, posting_rules_of
from cloud.store import master
from cloud.store.master import CannotChange, Month
from protocols.wire.topics import GatewayAddress

PERIODS_BACK = 24  # months: a year's comparison and a late auditor
PERIODS_AHEAD = 24
MONTHS_MAX = 12 * 200  # a typing error in a year would otherwise fill the calendar


@dataclass(frozen=True, slots=True)
class CompanyDescription:
    """A company as an installer describes it in one file; names refer to codes.

    allocation_rules  by what costs are shared, by industry; what the company has changed stays as it is
    """

    settings: CompanySettings
    sites: tuple[Site, ...] = ()
    gates: tuple[Gate, ...] = ()
    gateways: tuple[Gateway, ...] = ()
    items: tuple[Item, ...] = ()
    allocation_rules: Mapping[str, Sequence[AllocationRule]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        places = [site.code for site in self.sites]
        places += [
            code for site in self.sites for code in (site.clarification_code, *(z.code for z in site.zones))
        ]
        _refuse_twins("location", [*places, *(location.code for location in VIRTUAL_LOCATIONS)])
        _refuse_twins("gate", [gate.code for gate in self.gates])
        _refuse_twins("gateway", [f"{gateway.site}/{gateway.code}" for gateway in self.gateways])
        _refuse_twins("item", [item.code for item in self.items])
        _refuse_twins("item GTIN", [item.gtin for item in self.items if item.gtin is not None])
        for item in self.items:
            try:
                item.decided(self.settings.default_method, self.settings.profile)
            except WrongMasterData as error:
                raise WrongDescription(f"item {item.code}: {error}") from error


def set_up_company(connection: psycopg.Connection, settings: CompanySettings, today: date | None = None) -> int:
    """The company_id of the company with this code, made or found; all or nothing.

    today  the day around which the calendar is laid, or up to 24 months after which it is carried on; by
           default today in the company's time zone
    Raises CannotChange, psycopg.Error. Making one needs the owner's connection, finding one does not.
    """
    found = master.find_company(connection, settings.code)
    day = today or datetime.now(UTC).astimezone(ZoneInfo(settings.time_zone)).date()
    if found is not None:
        _refuse_other_books(found.settings, settings)
        if found.settings.default_method != settings.default_method:
            master.set_default_method(connection, found.company_id, settings.default_method)
        if settings.closing is not None and settings.closing != found.settings.closing:
            master.set_closing(connection, found.company_id, settings.closing)
        ensure_periods(connection, found.company_id, day, _shift(day, PERIODS_AHEAD))
        return found.company_id
    with connection.transaction():
        company_id = master.add_company(connection, settings)
        if settings.closing is not None:
            master.set_closing(connection, company_id, settings.closing)
        master.add_chart(connection, company_id, chart_of(settings.profile), posting_rules_of(settings.profile))
        for location in VIRTUAL_LOCATIONS:
            master.put_location(connection, company_id, location.code, location.name, location.kind)
        ensure_periods(connection, company_id, _shift(day, -PERIODS_BACK), _shift(day, PERIODS_AHEAD))
    return company_id


def ensure_periods(connection: psycopg.Connection, company_id: int, first: date, last: date) -> None:
    """Months so that the calendar covers first … last without a gap; those that are there keep their state.

    Raises WrongDescription when that would be more than 200 years, or months before one that is closed.
    """
    span = master.period_span(connection, company_id)
    if span is not None:
        if span[0] <= first and last <= span[1]:
            return
        if first < span[0] and master.is_begun(connection, company_id):
            raise WrongDescription(
                f"the calendar begins on {span[0]} and its first period is closed: none can come before it"
            )
        first, last = min(first, span[0]), max(last, span[1])
    months = (last.year - first.year) * 12 + last.month - first.month + 1
    if not 1 <= months <= MONTHS_MAX:
        raise WrongDescription(f"expected a calendar of 1 … {MONTHS_MAX} months, got {first} … {last}")
    start = first.replace(day=1)
    master.add_periods(connection, company_id, [_month(_shift(start, n)) for n in range(months)])


def add_site(connection: psycopg.Connection, company_id: int, site: Site) -> int:
    """A site's location_id, with its zones and its clarification. Raises CannotChange."""
    site_id = master.put_location(connection, company_id, site.code, site.name, "site")
    for zone in site.zones:
        master.put_location(connection, company_id, zone.code, zone.name, "zone", site_id, site_id)
    master.put_location(
        connection,
        company_id,
        site.clarification_code,
        f"待处理 · Clarification, {site.name}",
        "clarification",
        site_id,
        site_id,
    )
    return site_id


def add_gateway(connection: psycopg.Connection, company_id: int, company_code: str, gateway: Gateway) -> int:
    """A gateway's gateway_id; its lane follows from its address. Raises WrongTopic."""
    address = GatewayAddress(company_code, gateway.site, gateway.code)
    return master.put_gateway(connection, company_id, gateway.site, gateway.code, lane_of(address))


def apply_description(
    connection: psycopg.Connection, description: CompanyDescription, today: date | None = None
) -> int:
    """Write the whole description, all or nothing; the company_id.

    Raises CannotChange, UnknownCode, WrongTopic, psycopg.Error.
    """
    with connection.transaction():
        company_id = set_up_company(connection, description.settings, today)
        for site in description.sites:
            add_site(connection, company_id, site)
        for gate in description.gates:
            master.put_gate(connection, company_id, gate)
        places = master.locations(connection, company_id)
        for gateway in description.gateways:
            if (place := places.get(gateway.site)) is None or place.kind != "site":
                raise master.UnknownCode(f"gateway {gateway.code}: the company has no site {gateway.site!r}")
            add_gateway(connection, company_id, description.settings.code, gateway)
        if description.items:
            master.put_items(connection, company_id, description.items)
        if description.allocation_rules:
            master.add_allocation_rules(connection, company_id, description.allocation_rules)
    return company_id


def _refuse_other_books(books: CompanySettings, wanted: CompanySettings) -> None:
    changeable = ("name", "default_method", "closing")
    for name in (one.name for one in fields(CompanySettings) if one.name not in changeable):
        old, new = getattr(books, name), getattr(wanted, name)
        if old != new:
            raise CannotChange(f"company {books.code}: expected {name} {old} as its books are kept, got {new}")


def _refuse_twins(what: str, codes: Sequence[str]) -> None:
    seen: set[str] = set()
    for code in codes:
        if code in seen:
            raise WrongDescription(f"{what} {code} is described twice")
        seen.add(code)


def _shift(day: date, months: int) -> date:
    """The first day of the month so many months away."""
    index = day.year * 12 + day.month - 1 + months
    return date(index // 12, index % 12 + 1, 1)


def _month(first: date) -> Month:
    return Month(first.year * 100 + first.month, first, _shift(first, 1) - timedelta(days=1))
