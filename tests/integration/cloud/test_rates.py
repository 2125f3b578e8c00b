"""Exchange rates on the real database: which one a day takes, what is known when, files, and the terminal."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cloud.bookkeeping import program
from cloud.domain.company import CompanySettings
from cloud.domain.currency import CURRENCIES, NANO, number_of
from cloud.domain.moments import us_of
from cloud.flows.answer_once import CannotRecord
from cloud.flows.ledger.rates import RATE_AGE_DAYS, NoRate, rate_on, rates_at, rates_on, record_rates
from cloud.flows.set_up_company import set_up_company
from cloud.imports.csv_file import BadFile
from cloud.imports.import_rates import import_rates
from cloud.store.ledger import rates as store
from cloud.store.ledger.rates import Known
from tests.conftest import Database

USD, JPY, KWD, CNY = (number_of(code) for code in ("USD", "JPY", "KWD", "CNY"))
DAY = date(2026, 10, 30)


@pytest.fixture
def connection(module_database: Database) -> Iterator[psycopg.Connection]:
    """One database for all tests of the file: each leaves nothing behind."""
    with (
        psycopg.connect(module_database.owner_dsn, autocommit=True) as opened,
        opened.transaction(force_rollback=True),
    ):
        yield opened


@pytest.fixture
def company_id(connection: psycopg.Connection) -> int:
    return set_up_company(connection, CompanySettings("cn", "中", "CNY", "Asia/Shanghai", "ASBE"))


def know(connection: psycopg.Connection, company_id: int, *rates: Known) -> int:
    return len(record_rates(connection, company_id, rates, "Mei"))


def usd(rate: float, day: date = DAY, source: str = "safe") -> Known:
    return Known(USD, day, round(rate * NANO), source)


def test_the_table_of_currencies_is_the_one_that_programs_know(connection: psycopg.Connection) -> None:
    rows = connection.execute("SELECT currency, code::text, minor_digits FROM currencies").fetchall()
    assert sorted(rows) == sorted((one.number, one.code, one.minor_digits) for one in CURRENCIES)


# ── Which rate a day takes ──


def test_a_day_takes_the_last_rate_known_on_or_before_it(connection: psycopg.Connection, company_id: int) -> None:
    know(connection, company_id, usd(7.1), usd(7.2, DAY + timedelta(days=3)))
    taken = [rate_on(connection, company_id, USD, DAY + timedelta(days=n)).rate_nano for n in (0, 2, 3, 5)]
    assert taken == [7_100_000_000, 7_100_000_000, 7_200_000_000, 7_200_000_000]


def test_a_rate_that_is_too_old_is_none(connection: psycopg.Connection, company_id: int) -> None:
    know(connection, company_id, usd(7.1))
    last = DAY + timedelta(days=RATE_AGE_DAYS)
    assert rate_on(connection, company_id, USD, last).day == DAY
    with pytest.raises(NoRate, match=r"rate: no rate of USD is known on 2026-11-10 or in the 10 days before it"):
        rate_on(connection, company_id, USD, last + timedelta(days=1))
    assert rate_on(connection, company_id, USD, last + timedelta(days=1), age_days=11).day == DAY
    with pytest.raises(NoRate, match="USD is known on 2026-10-29"):
        rate_on(connection, company_id, USD, DAY - timedelta(days=1))


def test_the_newest_row_of_a_day_and_source_counts(connection: psycopg.Connection, company_id: int) -> None:
    know(connection, company_id, usd(7.1))
    know(connection, company_id, usd(7.3))
    know(connection, company_id, usd(7.2))
    assert rate_on(connection, company_id, USD, DAY).rate_nano == 7_200_000_000
    counting, all_of_them = (
        store.rates(connection, company_id, 0, None, superseded=superseded) for superseded in (False, True)
    )
    assert [rate.rate_nano for rate in counting] == [7_200_000_000]
    assert [rate.rate_nano for rate in all_of_them] == [7_100_000_000, 7_300_000_000, 7_200_000_000]


def test_the_same_rate_again_adds_nothing(connection: psycopg.Connection, company_id: int) -> None:
    assert know(connection, company_id, usd(7.1), usd(7.1, source="bank")) == 2
    assert know(connection, company_id, usd(7.1), usd(7.15, source="bank")) == 1
    assert len(store.rates(connection, company_id, 0, None, superseded=True)) == 3


def test_the_companys_source_is_asked_unless_another_is_named(
    connection: psycopg.Connection, company_id: int
) -> None:
    know(connection, company_id, usd(7.1), usd(7.5, source="bank"))
    assert rate_on(connection, company_id, USD, DAY).source == "bank"  # any: what was recorded last
    connection.execute("UPDATE companies SET rate_source = 'safe'")
    assert rate_on(connection, company_id, USD, DAY).source == "safe"
    assert rate_on(connection, company_id, USD, DAY, "bank").rate_nano == 7_500_000_000
    with pytest.raises(NoRate, match="no rate of USD from ecb is known"):
        rate_on(connection, company_id, USD, DAY, "ecb")


def test_what_was_known_at_a_moment_can_be_asked_later(connection: psycopg.Connection, company_id: int) -> None:
    know(connection, company_id, usd(7.1))
    then = datetime.now(UTC)
    know(connection, company_id, usd(7.3))
    assert rate_on(connection, company_id, USD, DAY, recorded=then).rate_nano == 7_100_000_000
    with pytest.raises(NoRate):
        rate_on(connection, company_id, USD, DAY, recorded=then - timedelta(days=1))


def test_many_days_are_asked_at_once(connection: psycopg.Connection, company_id: int) -> None:
    know(connection, company_id, usd(7.1), Known(JPY, DAY, 47_000_000), Known(KWD, DAY, 23 * NANO))
    far = DAY + timedelta(days=90)
    found = rates_on(connection, company_id, [(USD, DAY), (JPY, DAY), (KWD, far), (USD, DAY)])
    assert {key: rate.rate_nano for key, rate in found.items()} == {
        (USD, DAY): 7_100_000_000,
        (JPY, DAY): 47_000_000,
    }
    assert rates_on(connection, company_id, []) == {}


def test_rows_take_the_rate_of_their_day_in_the_companys_zone(
    connection: psycopg.Connection, company_id: int
) -> None:
    """given rates of two days; when goods come at 16:00 UTC on the first; then in Shanghai it is the second."""
    know(connection, company_id, usd(7.1), usd(7.2, DAY + timedelta(days=1)))
    after = us_of(datetime(2026, 10, 30, 16, tzinfo=UTC))
    before = after - 1
    rows = [(USD, before), (0, before), (USD, after)]
    assert rates_at(connection, company_id, rows) == [7_100_000_000, NANO, 7_200_000_000]
    with pytest.raises(NoRate, match=r"row 1, rate: no rate of KWD is known on 2026-10-31"):
        rates_at(connection, company_id, [(USD, before), (KWD, after)])


def test_rates_are_each_companys_own(connection: psycopg.Connection, company_id: int) -> None:
    other = set_up_company(connection, CompanySettings("jp", "日", "JPY", "Asia/Tokyo", "IFRS"))
    know(connection, company_id, usd(7.1))
    know(connection, other, usd(150))
    assert rate_on(connection, company_id, USD, DAY).rate_nano == 7_100_000_000
    assert rate_on(connection, other, USD, DAY).rate_nano == 150 * NANO


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (Known(CNY, DAY, NANO), "row 1, currency: CNY is the company's own currency"),
        (Known(USD, DAY, 0), "row 1, rate: expected more than 0"),
        (Known(1, DAY, NANO), "row 1, currency: expected an ISO 4217 number"),
        (Known(JPY, DAY, NANO, "x" * 65), "row 1, source: expected at most 64 characters, got 65"),
        (usd(7.2), "row 1: row 0 says the rate of that day and source already"),
    ],
)
def test_a_wrong_rate_is_named_and_none_is_recorded(
    connection: psycopg.Connection, company_id: int, wrong: Known, why: str
) -> None:
    with pytest.raises(CannotRecord, match=why):
        know(connection, company_id, usd(7.1), wrong)
    assert store.rates(connection, company_id, 0, None) == []


def test_rates_are_appended_only_and_by_the_api_alone(module_database: Database, database: Database) -> None:
    with psycopg.connect(database.owner_dsn, autocommit=True) as owner:
        company = set_up_company(owner, CompanySettings("cn", "中", "CNY", "Asia/Shanghai", "ASBE"))
        with psycopg.connect(database.dsn_of("tallygate_api"), autocommit=True) as api:
            know(api, company, usd(7.1))
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                api.execute("UPDATE exchange_rates SET rate_nano = 1")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):  # nobody says when it was recorded
                api.execute(
                    "INSERT INTO exchange_rates (company_id, currency, day, source, rate_nano, recorded_by,"
                    " recorded_at) VALUES (%s, 840, '2026-10-01', '', 1, 'x', '2020-01-01')", [company],
                )  # fmt: skip
        with psycopg.connect(database.dsn_of("tallygate_ingest"), autocommit=True) as ingest:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                know(ingest, company, usd(7.2))
            assert rate_on(ingest, company, USD, DAY).rate_nano == 7_100_000_000
        for change in (
            "UPDATE exchange_rates SET rate_nano = 1",
            "DELETE FROM exchange_rates",
            "TRUNCATE exchange_rates",
        ):
            with pytest.raises(psycopg.Error) as refused:
                owner.execute(change)
            assert refused.value.sqlstate == "TG001"


# ── Files ──


def load(connection: psycopg.Connection, tmp_path: Path, text: str, **how: Any) -> tuple[int, int]:
    path = tmp_path / "rates.csv"
    path.write_text(text, encoding="utf-8")
    done = import_rates(connection, path, "cn", how.pop("source", "safe"), "Mei", **how)
    return done.rates, done.added


def known(connection: psycopg.Connection, company_id: int) -> list[tuple[int, str, str, int]]:
    rows = store.rates(connection, company_id, 0, None)
    return [(row.currency, str(row.day), row.source, row.rate_nano) for row in rows]


def test_a_file_is_recorded_and_again_it_adds_nothing(
    connection: psycopg.Connection, company_id: int, tmp_path: Path
) -> None:
    text = "date,currency,rate,source,units\n2026-10-30,USD,7.1234,,\n2026-10-30,JPY,4.7215,boc,100\n"
    assert load(connection, tmp_path, text) == (2, 2)
    assert known(connection, company_id) == [
        (USD, "2026-10-30", "safe", 7_123_400_000), (JPY, "2026-10-30", "boc", 47_215_000),
    ]  # fmt: skip
    assert load(connection, tmp_path, text) == (2, 0)


def test_a_file_that_quotes_the_other_way_round(
    connection: psycopg.Connection, company_id: int, tmp_path: Path
) -> None:
    text = "date,currency,rate,units\n2026-10-30,usd,0.14038,\n2026-10-30,KWD,4.296,100\n"
    assert load(connection, tmp_path, text, inverted=True, source="cfets") == (2, 2)
    assert [row[3] for row in known(connection, company_id)] == [7_123_521_869, 23_277_467_412]


def test_every_bad_row_is_named_and_nothing_is_recorded(
    connection: psycopg.Connection, company_id: int, tmp_path: Path
) -> None:
    text = (
        "date,currency,rate,units\n2026-10-30,USD,7.1,\n2026-13-01,USD,7.1,\n2026-10-31,XXX,7.1,\n"
        "2026-10-31,EUR,0,\n2026-10-31,EUR,7.1234567891,\n2026-10-31,JPY,4.7,0\n2026-10-31,JPY,0.000000001,1000\n"
    )
    with pytest.raises(BadFile) as refused:
        load(connection, tmp_path, text)
    assert [(problem.line, problem.column) for problem in refused.value.problems] == [
        (3, "date"), (4, "currency"), (5, "rate"), (6, "rate"), (7, "units"), (8, "rate"),
    ]  # fmt: skip
    assert "rates.csv: line 3, column date: expected a day such as 2026-11-22, got '2026-13-01'" in str(
        refused.value
    )
    assert known(connection, company_id) == []


def test_a_rate_of_the_own_currency_and_one_twice_are_named_by_their_line(
    connection: psycopg.Connection, company_id: int, tmp_path: Path
) -> None:
    with pytest.raises(BadFile, match=r"rates\.csv: line 2, column currency: CNY is the company's own"):
        load(connection, tmp_path, "date,currency,rate\n2026-10-30,CNY,1\n")
    with pytest.raises(BadFile, match=r"rates\.csv: line 3: line 2 has the rate of that day and source already"):
        load(connection, tmp_path, "date,currency,rate\n2026-10-30,USD,7.1\n2026-10-30,USD,7.2\n")


# ── The terminal ──


@pytest.fixture
def ledger(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[psycopg.Connection]:
    """A company of which `tallygate ledger` knows the database."""
    with psycopg.connect(database.owner_dsn, autocommit=True) as owner:
        set_up_company(owner, CompanySettings("cn", "中", "CNY", "Asia/Shanghai", "ASBE"))
        monkeypatch.setenv("TALLYGATE_DSN", database.dsn_of("tallygate_api"))
        yield owner


def test_rates_are_loaded_and_shown_at_the_terminal(
    ledger: psycopg.Connection, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "october.csv"
    path.write_text("date,currency,rate\n2026-10-30,USD,7.1234\n2026-10-30,JPY,0.0472\n", encoding="utf-8")
    assert program.main(["rates", "load", "cn", str(path), "--source", "safe"]) == 0
    assert capsys.readouterr().out == "cn: 2 of 2 rates are new\n"
    assert program.main(["rates", "show", "cn"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert [line.split("  recorded")[0] for line in shown] == [
        "2026-10-30  1 JPY = 0.0472 CNY  safe", "2026-10-30  1 USD = 7.1234 CNY  safe",
    ]  # fmt: skip
    assert program.main(["rates", "show", "cn", "--currency", "usd", "--on", "2026-11-02"]) == 0
    assert capsys.readouterr().out.startswith("2026-10-30  1 USD = 7.1234 CNY  safe")


def test_the_owner_names_whose_rates_count(
    ledger: psycopg.Connection,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert program.main(["rates", "source", "cn"]) == 0
    assert program.main(["rates", "source", "cn", "--name", "safe"]) == 2
    shown = capsys.readouterr()
    assert (shown.out, "permission denied for table companies" in shown.err) == ("cn: any source\n", True)
    monkeypatch.setenv("TALLYGATE_DSN", database.owner_dsn)
    assert program.main(["rates", "source", "cn", "--name", "safe"]) == 0
    assert program.main(["rates", "show", "cn", "--currency", "USD", "--on", "2026-11-02"]) == 2
    shown = capsys.readouterr()
    assert shown.out == "cn: safe\n"
    assert "no rate of USD from safe is known on 2026-11-02" in shown.err


def test_what_the_terminal_is_refused_says_why(
    ledger: psycopg.Connection, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "wrong.csv"
    path.write_text("date,currency,rate\n2026-10-30,USD,seven\n", encoding="utf-8")
    assert program.main(["rates", "load", "cn", str(path)]) == 2
    assert "tallygate ledger: wrong.csv: line 2, column rate" in capsys.readouterr().err
    assert program.main(["rates", "show", "cn", "--currency", "USD", "--on", "2026-11-02"]) == 2
    assert "no rate of USD is known on 2026-11-02" in capsys.readouterr().err
    assert program.main(["rates", "show", "cn", "--on", "2026-11-02"]) == 2
    assert "name it by --currency" in capsys.readouterr().err
