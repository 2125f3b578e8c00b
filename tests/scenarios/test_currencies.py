"""Stories of goods bought in other currencies: base amounts, period ends at the closing rate, settlement.

Amounts are minor units, debit positive: (role, company's currency, currency, amount in it).
"""

from collections.abc import Callable
from datetime import date
from uuid import UUID

import pytest
from psycopg.conninfo import make_conninfo

from cloud.bookkeeping import program
from cloud.domain.currency import NANO, from_base, minor_digits, number_of, to_base
from cloud.domain.ledger.realised import OpenItem, settle
from cloud.domain.movement import Kind, derived_id
from cloud.flows.answer_once import CannotRecord, answer_once
from cloud.flows.ledger.post_document import Document, DocumentLine, post_documents
from cloud.flows.ledger.rates import NoRate, rates_at, record_rates
from cloud.flows.ledger.revalue_currencies import CannotRevalue, Revalued, compare, revalue
from cloud.store.ledger.rates import Known
from tests.makers import Warehouse, close_periods
from tests.valuing import ask, at, invoice, receive, sell

USD, EUR, JPY, KWD = (number_of(code) for code in ("USD", "EUR", "JPY", "KWD"))
SEPTEMBER, OCTOBER = 202609, 202610
BOUGHT = date(2026, 9, 21)  # noon of the makers, in Shanghai
MONTH_END, NEXT_MONTH_END = date(2026, 9, 30), date(2026, 10, 31)
CURRENCIES = ("USD", "EUR", "JPY", "KWD")

# What one unit was worth in dollars, by the currency, when the goods came and at the end of the month.
WORTH = {
    "USD": (1.0, 1.0),
    "EUR": (1.12, 1.09),
    "JPY": (0.0066, 0.0068),
    "KWD": (3.24, 3.26),
    "CNY": (0.14, 0.139),
}

Line = tuple[str, int, int, int]


def know(warehouse: Warehouse, rates: dict[int, float], day: date) -> None:
    """Rates of a day: company's currency for one unit."""
    known = [Known(currency, day, round(rate * NANO), "test") for currency, rate in rates.items()]
    record_rates(warehouse.owner, warehouse.company_id, known, "Mei")


def lines(warehouse: Warehouse, *kinds: Kind) -> list[list[Line]]:
    """Entries of these kinds, by posting date, each with its lines in order of role."""
    rows = warehouse.fetch(
        "SELECT e.source_id, a.role, l.amount, l.currency, l.currency_amount FROM journal_entries e"
        " JOIN journal_lines l USING (company_id, source_id, step) JOIN accounts a USING (company_id, account_id)"
        " WHERE e.kind = ANY(%s) ORDER BY e.posting_date, e.recorded_at, e.row_no, a.role",
        [int(kind) for kind in kinds],
    )
    entries: dict[UUID, list[Line]] = {}
    for source, *line in rows:
        entries.setdefault(source, []).append(tuple(line))
    return list(entries.values())


def held(warehouse: Warehouse, role: str) -> dict[int, tuple[int, int]]:
    """{currency: (amount in it, company's currency)} of an account by its turnovers, zero left out."""
    rows = warehouse.fetch(
        "SELECT t.currency, sum(t.currency_debit - t.currency_credit)::bigint, sum(t.debit - t.credit)::bigint"
        " FROM turnovers t JOIN accounts a USING (company_id, account_id) WHERE a.role = %s GROUP BY 1", role,
    )  # fmt: skip
    return {currency: (amount, base) for currency, amount, base in rows if amount or base}


def open_items(warehouse: Warehouse, role: str) -> list[tuple[UUID, int, int, int]]:
    """(item, company's currency, currency, amount in it) of what is open on an account."""
    return warehouse.fetch(
        "SELECT o.item, o.amount, o.currency, o.currency_amount FROM open_items o"
        " JOIN accounts a USING (company_id, account_id) WHERE a.role = %s ORDER BY o.opened_on, o.item", role,
    )  # type: ignore[return-value]  # fmt: skip


def account(warehouse: Warehouse, role: str) -> int:
    return int(warehouse.fetch("SELECT account_id FROM accounts WHERE role = %s", role)[0][0])


def close_month(warehouse: Warehouse, period_id: int = SEPTEMBER) -> Revalued:
    return revalue(warehouse.owner, warehouse.company_id, period_id, "Mei")


def post(warehouse: Warehouse, kind: Kind, day: date, *posted: DocumentLine, number: str = "D-1") -> UUID:
    """A document of one entry; its id."""
    request = ask()
    document = derived_id(f"{warehouse.company_id}/{request.key}/0".encode())

    def work(cursor, batch):  # type: ignore[no-untyped-def]
        post_documents(cursor, batch, [Document(document, kind, number, day, posted)])
        return [str(document)]

    answer_once(warehouse.owner, warehouse.company_id, request, work)
    return document


# ── Goods in another currency ──


@pytest.mark.parametrize("base", ["CNY", "JPY", "KWD"])
@pytest.mark.parametrize("currency", CURRENCIES)
def test_goods_are_posted_in_both_currencies_with_the_digits_of_each(
    new_warehouse: Callable[..., Warehouse], base: str, currency: str
) -> None:
    """given books in yuan, yen or dinars; when 8 bolts come @ 12.345 of another currency; then both lines say both."""
    if base == currency:
        return
    warehouse = new_warehouse(base, "ASBE" if base == "CNY" else "IFRS")
    rate = WORTH[currency][0] / WORTH[base][0]
    know(warehouse, {number_of(currency): rate}, BOUGHT)
    (rate_nano,) = rates_at(warehouse.owner, warehouse.company_id, [(number_of(currency), at(0))])
    receive(warehouse, "BOLT", 8, "12.345", rate_nano=rate_nano, currency=number_of(currency))
    told = {"USD": 98_76, "EUR": 98_76, "JPY": 99, "KWD": 98_760}[currency]
    # The books round price × quantity × rate once, not what is left of it in the other currency.
    worth = to_base(98_760_000, 6, rate_nano, minor_digits(base))
    assert lines(warehouse, Kind.PURCHASE_RECEIPT) == [
        [("goods", worth, number_of(currency), told), ("grni", -worth, number_of(currency), -told)]
    ]
    assert held(warehouse, "grni") == {number_of(currency): (-told, -worth)}
    off = abs(from_base(worth, minor_digits(currency), rate_nano, minor_digits(base)) - told)
    assert off <= max(1, from_base(1, minor_digits(currency), rate_nano, minor_digits(base)))


def test_a_gate_books_what_it_expects_in_its_currency_and_takes_it_back_whole(warehouse: Warehouse) -> None:
    """given a pallet @ $3.00 that dock-1 guessed to come in; when dock-2 saw it surely go out; then nothing is owed."""
    tag = warehouse.tag(1)
    warehouse.expect(Kind.PURCHASE_RECEIPT, "BOLT", 10, price="3.00", currency="USD", rate_nano=7_100_000_000)
    warehouse.log.passage(tag, "in", 0, gate="dock-1", confidence=0.55)
    warehouse.record(warehouse.log.message())
    assert held(warehouse, "grni") == {USD: (-30_00, -213_00)}
    warehouse.log.passage(tag, "out", 2, gate="dock-2", confidence=0.98)
    warehouse.record(warehouse.log.message(2))
    assert lines(warehouse, Kind.PURCHASE_RECEIPT) == [
        [("goods", 213_00, USD, 30_00), ("grni", -213_00, USD, -30_00)],
        [("goods", -213_00, USD, -30_00), ("grni", 213_00, USD, 30_00)],
    ]
    assert held(warehouse, "grni") == {}


def test_a_return_at_a_price_owes_less_and_taken_back_owes_it_again(warehouse: Warehouse) -> None:
    """given 10 lamps @ $3.00; when a gate guessed that they go back @ $2.50, and they did not; then $30.00 are owed."""
    tag = warehouse.tag(1, "LAMP")
    receive(warehouse, "LAMP", 10, "3.00", -600, rate_nano=7 * NANO, currency=USD)
    warehouse.expect(Kind.SUPPLIER_RETURN, "LAMP", 10, price="2.50", currency="USD", rate_nano=7 * NANO)
    warehouse.log.passage(tag, "out", 0, gate="dock-1", confidence=0.55)
    warehouse.record(warehouse.log.message())
    assert held(warehouse, "grni") == {USD: (-5_00, -35_00)}
    warehouse.log.passage(tag, "in", 2, gate="dock-2", confidence=0.98)
    warehouse.record(warehouse.log.message(2))
    assert held(warehouse, "grni")[USD][0] == -30_00


# ── The end of a month ──


@pytest.mark.editions
def test_a_month_ends_at_the_closing_rate_and_the_next_begins_at_the_old_one(warehouse: Warehouse) -> None:
    """given $100.00 owed at 7.00; when the month ends at 7.12; then 12.00 are lost, and taken back the next day."""
    receipt = receive(warehouse, "BOLT", 10, "10", rate_nano=7 * NANO, currency=USD)
    know(warehouse, {USD: 7.12}, MONTH_END)
    found = close_month(warehouse)
    assert [
        (one.number[:4], one.currency_balance, one.balance, one.worth, one.difference) for one in found.lines
    ] == [("2202", -100_00, -700_00, -712_00, -12_00)]
    assert found.difference == -12_00
    loss = [("exchange_loss", 12_00, 0, 0), ("grni", -12_00, USD, 0)]
    back = [("exchange_loss", -12_00, 0, 0), ("grni", 12_00, USD, 0)]
    assert lines(warehouse, Kind.CURRENCY_REVALUATION) == [loss, back]
    assert warehouse.fetch(
        "SELECT e.posting_date, e.corrects, d.number, d.recorded_by FROM journal_entries e"
        " JOIN ledger_documents d ON d.document_id = e.source_id ORDER BY e.posting_date"
    ) == [
        (MONTH_END, None, "FX-2026-09-1", "Mei"),
        (date(2026, 10, 1), found.documents[0], "FX-2026-09-1-R", "Mei"),
    ]
    # The item of the receipt kept its own rate; the revaluation's own item is cleared.
    assert open_items(warehouse, "grni") == [(receipt, -700_00, USD, -100_00)]


def test_a_month_may_be_revalued_again_and_posts_what_it_lacks(warehouse: Warehouse) -> None:
    """given a month revalued at 7.12; when the rate is put right and goods come late; then only that is posted."""
    receive(warehouse, "BOLT", 10, "10", rate_nano=7 * NANO, currency=USD)
    know(warehouse, {USD: 7.12}, MONTH_END)
    close_month(warehouse)
    assert close_month(warehouse).documents == ()
    know(warehouse, {USD: 7.05}, MONTH_END)
    assert close_month(warehouse).difference == 7_00
    receive(warehouse, "BOLT", 1, "10", 60, rate_nano=7 * NANO, currency=USD)
    close_periods(warehouse.owner, warehouse.company_id, SEPTEMBER, "soft_closed")
    assert close_month(warehouse).difference == -50
    posted = [line for entry in lines(warehouse, Kind.CURRENCY_REVALUATION) for line in entry if line[0] == "grni"]
    assert [line[1] for line in posted] == [-12_00, 7_00, -50, 12_00, -7_00, 50]
    numbers = warehouse.fetch("SELECT number FROM ledger_documents WHERE number !~ 'R$' ORDER BY number")
    assert numbers == [("FX-2026-09-1",), ("FX-2026-09-2",), ("FX-2026-09-3",)]
    at_month_end = warehouse.fetch(
        "SELECT sum(debit - credit)::bigint FROM turnovers JOIN accounts USING (company_id, account_id)"
        " WHERE role = 'grni' AND period_id <= %s", SEPTEMBER,
    )  # fmt: skip
    assert at_month_end == [(-775_50,)]  # $110.00 at 7.05
    assert held(warehouse, "grni") == {USD: (-110_00, -770_00)}


def test_each_month_is_measured_from_the_items_own_rates(warehouse: Warehouse) -> None:
    """given $100.00 at 7.00; when September ends at 7.12 and October at 7.05; then October gains 7.00 in all."""
    receive(warehouse, "BOLT", 10, "10", rate_nano=7 * NANO, currency=USD)
    know(warehouse, {USD: 7.12}, MONTH_END)
    know(warehouse, {USD: 7.05}, NEXT_MONTH_END)
    assert close_month(warehouse).difference == -12_00
    assert close_month(warehouse, OCTOBER).difference == -5_00
    by_month = warehouse.fetch(
        "SELECT t.period_id, sum(t.debit - t.credit)::bigint"
        " FROM turnovers t JOIN accounts USING (company_id, account_id)"
        " WHERE role IN ('exchange_loss', 'exchange_gain') AND period_id <= %s GROUP BY 1 ORDER BY 1", OCTOBER,
    )  # fmt: skip
    assert by_month == [(SEPTEMBER, 12_00), (OCTOBER, -7_00)]


@pytest.mark.parametrize("base", ["CNY", "JPY", "KWD"])
def test_books_of_no_two_and_three_digits_revalue_what_they_owe_in_every_currency(
    new_warehouse: Callable[..., Warehouse], base: str
) -> None:
    warehouse = new_warehouse(base, "IFRS")
    foreign = [currency for currency in CURRENCIES if currency != base]
    for moment, day in enumerate((BOUGHT, MONTH_END)):
        rates = {number_of(one): WORTH[one][moment] / WORTH[base][moment] for one in foreign}
        know(warehouse, rates, day)
    numbers = [number_of(one) for one in foreign]
    for number, rate in zip(
        numbers, rates_at(warehouse.owner, warehouse.company_id, [(n, at(0)) for n in numbers]), strict=True
    ):
        receive(warehouse, "BOLT", 7, "33.333", rate_nano=rate, currency=number)
    found = close_month(warehouse)
    assert [one.currency for one in found.lines] == sorted(numbers)
    assert all(one.difference for one in found.lines)
    for one in found.lines:
        assert one.rate is not None
        assert one.worth == to_base(
            one.currency_balance, minor_digits_of(one.currency), one.rate.rate_nano, minor_digits(base)
        )
    gained = sum(one.difference for one in found.lines if one.difference > 0)
    lost = sum(one.difference for one in found.lines if one.difference < 0)
    posted, back = lines(warehouse, Kind.CURRENCY_REVALUATION)
    totals = {role: amount for role, amount, *_ in posted if role.startswith("exchange")}
    assert totals == {
        role: -amount for role, amount in (("exchange_gain", gained), ("exchange_loss", lost)) if amount
    }
    assert sorted(back) == sorted((role, -amount, currency, 0) for role, amount, currency, _ in posted)
    assert [item for item in open_items(warehouse, "grni") if item[0] in found.documents] == []
    assert close_month(warehouse).documents == ()


def minor_digits_of(number: int) -> int:
    return {USD: 2, EUR: 2, JPY: 0, KWD: 3}[number]


def test_a_price_correction_says_what_is_owed_and_the_month_end_knows_it(warehouse: Warehouse) -> None:
    """given 10 @ $10.00 at 7.00, 4 of them sold; when the invoice says $11.00; then $110.00 are owed at 7.00."""
    receipt = receive(warehouse, "BOLT", 10, "10", rate_nano=7 * NANO, currency=USD)
    sell(warehouse, "BOLT", 4, 1)
    invoice(warehouse, receipt, "11")
    assert lines(warehouse, Kind.PRICE_CORRECTION) == [
        [("cogs", 28_00, 0, 0), ("goods", 42_00, USD, 10_00), ("grni", -70_00, USD, -10_00)]
    ]
    invoice(warehouse, receipt, "10.50", 200)
    assert held(warehouse, "grni") == {USD: (-105_00, -735_00)}
    know(warehouse, {USD: 7.1}, MONTH_END)
    assert close_month(warehouse).difference == -10_50
    assert open_items(warehouse, "grni") == [(receipt, -735_00, USD, -105_00)]


def test_what_a_receipt_owes_less_by_a_fraction_is_said_once(warehouse: Warehouse) -> None:
    """given 3 @ ¥10.5, which is ¥32; when the price falls to ¥10.4 and ¥10.3; then ¥31 are owed, however often said."""
    receipt = receive(warehouse, "BOLT", 3, "10.5", rate_nano=47_000_000, currency=JPY)
    assert held(warehouse, "grni")[JPY][0] == -32
    invoice(warehouse, receipt, "10.4", 100)
    invoice(warehouse, receipt, "10.3", 200)
    assert held(warehouse, "grni") == {JPY: (-31, -1_46)}


def test_what_is_in_the_companys_own_currency_stays_as_it_is(warehouse: Warehouse) -> None:
    receive(warehouse, "BOLT", 10, "10")
    assert close_month(warehouse) == Revalued(SEPTEMBER, ())
    assert lines(warehouse, Kind.CURRENCY_REVALUATION) == []


def test_money_at_the_bank_is_revalued_and_goods_are_not(warehouse: Warehouse) -> None:
    """given $50.00 brought in at 7.00; when the month ends at 6.90; then 5.00 are lost, and stock keeps its cost."""
    bank, equity = account(warehouse, "bank"), account(warehouse, "retained_earnings")
    receive(warehouse, "BOLT", 10, "10", rate_nano=7 * NANO, currency=USD)
    post(
        warehouse, Kind.MANUAL, BOUGHT, DocumentLine(bank, 350_00, 0, USD, 50_00),
        DocumentLine(equity, -350_00, 0, USD, -50_00),
    )  # fmt: skip
    know(warehouse, {USD: 6.9}, MONTH_END)
    close_month(warehouse)
    posted, back = lines(warehouse, Kind.CURRENCY_REVALUATION)
    assert posted == [
        ("bank", -5_00, USD, 0), ("exchange_gain", -10_00, 0, 0), ("exchange_loss", 5_00, 0, 0),
        ("grni", 10_00, USD, 0),
    ]  # fmt: skip
    assert sum(line[1] for line in back) == 0
    assert held(warehouse, "goods") == {USD: (100_00, 700_00)}


def test_a_rest_without_currency_is_worth_nothing_and_needs_no_rate(warehouse: Warehouse) -> None:
    """given an account of which $50.00 came at 7.00 and went at 7.10; then the month ends with the 5.00 as a gain."""
    bank, equity = account(warehouse, "bank"), account(warehouse, "retained_earnings")
    for amount, told in ((350_00, 50_00), (-355_00, -50_00)):
        post(
            warehouse, Kind.MANUAL, BOUGHT, DocumentLine(bank, amount, 0, USD, told),
            DocumentLine(equity, -amount, 0, USD, -told),
        )  # fmt: skip
    found = close_month(warehouse)
    assert [(one.rate, one.worth, one.difference) for one in found.lines] == [(None, 0, 5_00)]


def test_a_month_without_a_rate_names_currency_and_day_and_posts_nothing(warehouse: Warehouse) -> None:
    receive(warehouse, "BOLT", 10, "10", rate_nano=7 * NANO, currency=USD)
    receive(warehouse, "BOLT", 10, "10", 1, rate_nano=8 * NANO, currency=EUR)
    know(warehouse, {USD: 7.1}, MONTH_END)
    know(warehouse, {EUR: 8.1}, date(2026, 9, 19))  # eleven days old
    with pytest.raises(NoRate, match="no rate of EUR is known on 2026-09-30 or in the 10 days before it"):
        close_month(warehouse)
    assert lines(warehouse, Kind.CURRENCY_REVALUATION) == []


def test_a_locked_month_is_final_and_one_needs_a_month_behind_it(warehouse: Warehouse) -> None:
    receive(warehouse, "BOLT", 10, "10", rate_nano=7 * NANO, currency=USD)
    know(warehouse, {USD: 7.1}, MONTH_END)
    close_periods(warehouse.owner, warehouse.company_id, SEPTEMBER)
    with pytest.raises(CannotRevalue, match="period 202609 is locked"):
        close_month(warehouse)
    with pytest.raises(CannotRevalue, match="there is no period 209901"):
        close_month(warehouse, 209901)
    [(last,)] = warehouse.fetch("SELECT max(period_id) FROM periods")
    with pytest.raises(CannotRevalue, match=f"no period follows {last}"):
        close_month(warehouse, last)


def test_what_would_be_posted_can_be_asked_first(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    receive(warehouse, "BOLT", 10, "10", rate_nano=7 * NANO, currency=USD)
    know(warehouse, {USD: 7.1234}, MONTH_END)
    (line,) = compare(warehouse.owner, warehouse.company_id, SEPTEMBER)
    assert line.difference == -12_34
    service = warehouse.ingest.info
    monkeypatch.setenv("TALLYGATE_DSN", make_conninfo(service.dsn, password=service.password))
    asked = ["revalue", "demo", "--period", "2026-09"]
    assert program.main([*asked, "--dry-run"]) == 0
    shown = f"{line.number}  -100.00 USD at 7.1234 = -712.34 CNY  was -700.00  difference -12.34"
    assert capsys.readouterr().out.splitlines() == [
        shown,
        "demo 202609: 1 balances, 1 would post, -12.34 CNY in all",
    ]
    assert lines(warehouse, Kind.CURRENCY_REVALUATION) == []
    assert program.main(asked) == 0
    assert capsys.readouterr().out.splitlines() == [shown, "demo 202609: 1 balances, 1 posted, -12.34 CNY in all"]
    assert program.main(asked) == 0
    assert capsys.readouterr().out.endswith("1 balances, 0 posted, 0.00 CNY in all\n")
    assert program.main(["revalue", "demo", "--period", "2026-10"]) == 2
    assert "no rate of USD is known on 2026-10-31" in capsys.readouterr().err


# ── Settlement ──


def test_an_invoice_in_two_parts_realises_what_the_rate_has_moved(warehouse: Warehouse) -> None:
    """given $100.01 owed at 7.00; when a month later it is invoiced in thirds at other rates; then nothing is open."""
    receipt = receive(warehouse, "BOLT", 1, "100.01", rate_nano=7 * NANO, currency=USD)
    know(warehouse, {USD: 7.12}, MONTH_END)
    close_month(warehouse)
    grni, payables = account(warehouse, "grni"), account(warehouse, "payables")
    exchange = {role: account(warehouse, role) for role in ("exchange_gain", "exchange_loss")}
    item, realised = OpenItem(-100_01, -700_07), 0
    for number, (part, rate) in enumerate(((33_33, 6.95), (33_33, 7.2), (33_35, 7.3))):
        worth = to_base(part, 2, round(rate * NANO), 2)
        done = settle(item, part, worth)
        item, realised = done.left, realised + done.exchange
        post(
            warehouse, Kind.SUPPLIER_INVOICE, date(2026, 10, 5),
            DocumentLine(grni, done.amount, 0, USD, part, open_item=receipt),
            DocumentLine(payables, -worth, 0, USD, -part),
            DocumentLine(exchange[done.exchange_role], done.exchange), number=f"INV-{number}",
        )  # fmt: skip
    assert open_items(warehouse, "grni") == []
    assert held(warehouse, "grni") == {}
    [(owed,)] = warehouse.fetch(
        "SELECT sum(amount)::bigint FROM item_amounts JOIN accounts USING (account_id) WHERE role = 'payables'"
    )
    assert realised == -owed - 700_07
    assert {role: held(warehouse, role)[0][1] for role in exchange} == {
        "exchange_gain": -1_67,
        "exchange_loss": 16_68,
    }


def test_a_document_that_balances_in_base_but_not_in_its_currency_is_refused(warehouse: Warehouse) -> None:
    bank, equity = account(warehouse, "bank"), account(warehouse, "retained_earnings")
    with pytest.raises(CannotRecord, match="do not balance in currency 840"):
        post(warehouse, Kind.MANUAL, BOUGHT, DocumentLine(bank, 7_00, 0, USD, 1_00), DocumentLine(equity, -7_00))
