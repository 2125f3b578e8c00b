"""Whatever parts a receipt is invoiced in, at whatever prices and rates: in the end nothing of it is open, its goods
cost what was invoiced at the receipt's rate, and the rest is exchange difference."""

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from fractions import Fraction

import psycopg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloud.domain.currency import digits_of
from cloud.domain.movement import MICRO, Kind
from cloud.flows.answer_once import CannotRecord
from cloud.flows.ledger.supplier_invoice import ReceiptRow
from tests.makers import Warehouse
from tests.papers import JPY, KWD, USD, bill, of, open_items
from tests.valuing import add_item, move, receive, values

_numbers = itertools.count()
DAY = date(2026, 9, 21)

rates = st.integers(1, 30_000_000_000)
prices = st.integers(MICRO, 500 * MICRO)  # an invoice of nothing makes no entry
parts = st.lists(st.tuples(st.integers(1, 20), prices, rates), min_size=1, max_size=4)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(currency=st.sampled_from([0, USD, JPY, KWD]), price=prices, rate=rates, invoices=parts)
def test_a_receipt_that_is_invoiced_in_full_is_open_no_more(
    warehouse: Warehouse, currency: int, price: int, rate: int, invoices: list[tuple[int, int, int]]
) -> None:
    item = add_item(warehouse, f"THING-{next(_numbers)}", "fifo")
    code = next(name for name, one in warehouse.items.items() if one == item)
    pieces = sum(n for n, _, _ in invoices)
    terms = {"rate_nano": rate, "currency": currency} if currency else {}
    goods = move(warehouse, Kind.PURCHASE_RECEIPT, code, pieces, "SUPPLIER", "STORE", price_micro=price, **terms)
    for n, at, day_rate in invoices:
        more = {"currency": currency, "rate_nano": day_rate} if currency else {}
        bill(warehouse, f"PART-{next(_numbers)}", ReceiptRow(goods, None, at, n * MICRO), **more)
    assert _grni(warehouse, goods) is None
    # The goods cost what was invoiced, at the receipt's rate, but for what each paper's amount was rounded by.
    to_rate = Fraction(rate, 10**9) if currency else Fraction(1)
    invoiced = sum(Fraction(n * at, MICRO) for n, at, _ in invoices) * to_rate
    unit = 1 + to_rate * 100 / 10 ** digits_of(currency) if currency else Fraction(1)
    cost = round(values(warehouse).get(code, (0, 0.0))[1] * 100)
    assert abs(cost - invoiced * 100) <= (len(invoices) + 1) * unit
    assert round(sum(warehouse.accounts().values()) * 100) == 0


def _grni(warehouse: Warehouse, item: object) -> tuple[float, float] | None:
    return next(
        (told for (role, one), told in open_items(warehouse).items() if one == item and role == "grni"), None
    )


def test_two_invoices_at_once_cover_a_receipt_once(warehouse: Warehouse) -> None:
    bolts = receive(warehouse, "BOLT", 10, "4.00")
    info = warehouse.owner.info
    dsn = psycopg.conninfo.make_conninfo(info.dsn, password=info.password)

    def post(number: int) -> bool:
        with psycopg.connect(dsn, autocommit=True) as connection:
            alone = replace(warehouse, owner=connection)
            return _posts(lambda: bill(alone, f"INV-{number}", of(bolts, "4.00", "4")))

    with ThreadPoolExecutor(5) as pool:
        assert sorted(pool.map(post, range(5))) == [False, False, False, True, True]
    assert open_items(warehouse)["grni", bolts] == (-8.00, 0)


def _posts(post: Callable[[], object]) -> bool:
    """Whether the books take it."""
    try:
        post()
    except CannotRecord:
        return False
    return True
