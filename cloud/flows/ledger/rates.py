"""Exchange rates: recording what is known, and which rate a day's documents take.

A rate is a fact of a day and a source; when a source says something else later, that is another row, and the newest
counts. A day takes the last rate known on or before it, of the company's own source where it has named one, unless it
is older than RATE_AGE_DAYS: a rate that nobody kept up to date must not price documents in silence.
"""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from zoneinfo import ZoneInfo

import psycopg

from cloud.domain.currency import NANO, UnknownCurrency, code_of
from cloud.domain.moments import moment_of
from cloud.flows.answer_once import CannotRecord
from cloud.store.batches import load_company
from cloud.store.ledger import rates as store
from cloud.store.ledger.rates import Known, Rate

RATE_AGE_DAYS = 10  # banks rest for eight or nine days at most (China's golden weeks), and a day to say so
RATE_MAX_NANO = 10**18  # a thousand million of the company's currency for one unit
SOURCE_MAX = 64  # characters
ROWS_MAX = 20_000  # of one recording

Connection = psycopg.Connection | psycopg.Cursor


class NoRate(CannotRecord):
    """No rate of the currency is known for the day, so nothing can be priced with it."""

    def __init__(self, currency: int, day: date, source: str, age_days: int, row: int | None = None) -> None:
        code = code_of(currency)
        of = f" from {source}" if source else ""
        super().__init__(
            f"no rate of {code}{of} is known on {day} or in the {age_days} days before it", row, "rate"
        )
        self.currency = code
        self.day = day


def record_rates(connection: psycopg.Connection, company_id: int, rates: Sequence[Known], by: str) -> list[Rate]:
    """Record rates, all or none; those that were added. The same rate told again adds nothing.

    Raises CannotRecord with the number of the row, psycopg.Error.
    """
    if not 1 <= len(rates) <= ROWS_MAX:
        raise CannotRecord(f"expected 1 … {ROWS_MAX} rates, got {len(rates)}")
    with connection.transaction(), connection.cursor() as cursor:
        base = load_company(cursor, company_id).currency
        seen: dict[tuple[int, date, str], int] = {}
        for number, rate in enumerate(rates):
            _check(rate, base, number)
            if (before := seen.setdefault((rate.currency, rate.day, rate.source), number)) != number:
                raise CannotRecord(f"row {before} says the rate of that day and source already", number)
        return store.record(cursor, company_id, rates, by)


def rate_on(
    connection: Connection,
    company_id: int,
    currency: int,
    day: date,
    source: str | None = None,
    *,
    age_days: int = RATE_AGE_DAYS,
    recorded: datetime | None = None,
) -> Rate:
    """The rate that a day takes. Raises NoRate.

    currency  ISO 4217 number, not the company's own
    source    None: the company's own source, any where it has named none
    recorded  as it was known at this moment, None: now
    """
    found = rates_on(connection, company_id, [(currency, day)], source, age_days=age_days, recorded=recorded)
    if (rate := found.get((currency, day))) is None:
        raise no_rate(connection, company_id, currency, day, source, age_days=age_days)
    return rate


def no_rate(
    connection: Connection,
    company_id: int,
    currency: int,
    day: date,
    source: str | None = None,
    *,
    age_days: int = RATE_AGE_DAYS,
    row: int | None = None,
) -> NoRate:
    """What to raise where `rates_on` has found none; it names the source that was asked."""
    asked = store.own_source(connection, company_id) if source is None else source
    return NoRate(currency, day, asked, age_days, row)


def rates_on(
    connection: Connection,
    company_id: int,
    wanted: Iterable[tuple[int, date]],
    source: str | None = None,
    *,
    age_days: int = RATE_AGE_DAYS,
    recorded: datetime | None = None,
) -> dict[tuple[int, date], Rate]:
    """`rate_on` for many (currency, day) in one statement; absent where no rate is known."""
    distinct = sorted(set(wanted))
    return store.on_days(connection, company_id, distinct, source, age_days, recorded) if distinct else {}


def rates_at(connection: Connection, company_id: int, wanted: Sequence[tuple[int, int]]) -> list[int]:
    """What rows without a rate of their own take: that of the day on which each happened in the company's time zone.

    wanted  (ISO 4217 number or 0 for the company's own, µs since 1970-01-01 UTC) of each row
    returns rate_nano of each. Raises NoRate with the number of the row.
    """
    zone = ZoneInfo(store.time_zone(connection, company_id))
    days = [(currency, moment_of(us).astimezone(zone).date()) for currency, us in wanted]
    found = rates_on(connection, company_id, [day for day in days if day[0]])
    for number, (currency, day) in enumerate(days):
        if currency and (currency, day) not in found:
            raise no_rate(connection, company_id, currency, day, row=number)
    return [found[day].rate_nano if day[0] else NANO for day in days]


def _check(rate: Known, base: str, number: int) -> None:
    try:
        code = code_of(rate.currency)
    except UnknownCurrency as error:
        raise CannotRecord(str(error), number, "currency") from error
    if code == base:
        raise CannotRecord(f"{code} is the company's own currency: its rate is always 1", number, "currency")
    if not 1 <= rate.rate_nano <= RATE_MAX_NANO:
        raise CannotRecord(
            f"expected more than 0 and at most {RATE_MAX_NANO} × 10⁻⁹, got {rate.rate_nano}", number, "rate"
        )
    if len(rate.source) > SOURCE_MAX:
        raise CannotRecord(f"expected at most {SOURCE_MAX} characters, got {len(rate.source)}", number, "source")
