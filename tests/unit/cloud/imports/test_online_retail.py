"""What each line of the Online Retail set means, and that none of them is lost."""

from collections import Counter, defaultdict
from datetime import date, datetime, timedelta
from itertools import groupby
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cloud.domain.movement import Kind
from cloud.imports.online_retail import (
    Fate,
    Line,
    WrongFile,
    fate_of,
    micro_of,
    read_catalogue,
    read_lines,
)
from cloud.imports.trading_day import CASE_PIECES, COST_PERCENT, KIND_OF_FATE, DayPlan, items_of, plan_day
from tests.order_lines import DAY, LAMP, MUG, SCHEMA, SMALL_DAY, real_file, write_lines


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return write_lines(tmp_path / "small.parquet", SMALL_DAY)


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _plan(path: Path, day: date | None = None) -> DayPlan:
    day = day or DAY.date()
    return plan_day(read_catalogue(path), day, read_lines(path, day))


def test_every_line_has_one_fate(small: Path) -> None:
    catalogue = read_catalogue(small)
    fates = {(line.row, line.code): fate_of(line, catalogue)[0] for line in read_lines(small)}
    assert fates == {
        (1, "10001"): Fate.SALE,
        (2, "10001"): Fate.SALE,
        (3, "10002A"): Fate.SALE,
        (4, "10002a"): Fate.SALE,
        (5, "10001"): Fate.SALE,
        (6, "10001"): Fate.RETURN,
        (7, "10001"): Fate.SCRAP,
        (8, "10002A"): Fate.SCRAP,
        (9, "10003"): Fate.FOUND,
        (10, "POST"): Fate.SERVICE,
        (11, "D"): Fate.SERVICE,
        (12, "gift_0001_20"): Fate.SERVICE,
        (13, "DCGS0003"): Fate.SALE,
        (14, "SP1002"): Fate.UNKNOWN_CODE,
        (15, "10001"): Fate.UNREADABLE,
        (16, "10001"): Fate.UNREADABLE,
        (17, "10001"): Fate.UNREADABLE,
        (18, ""): Fate.UNREADABLE,
        (19, "10001"): Fate.UNREADABLE,
        (20, "B"): Fate.SERVICE,
    }


def test_the_report_counts_every_line_and_lists_what_was_put_aside(small: Path) -> None:
    report = _plan(small).report
    assert report.lines == len(SMALL_DAY) == sum(report.fates.values())
    assert report.services == {"POST": 1, "D": 1, "GIFT_0001_20": 1, "B": 1}
    assert [(aside.row, aside.invoice) for aside in report.put_aside] == [
        (14, "540013"), (15, "540014"), (16, "C540015"), (17, "540016"), (18, "540017"), (19, "540018"),
    ]  # fmt: skip
    assert all("expected" in aside.reason and "got" in aside.reason for aside in report.put_aside)
    assert report.prices_missing == 2
    assert report.sold_micro == 20 * 2_500_000 + 4 * 2_500_000 + 3 * 10_000_000 + 2 * 2_510_000


def test_stock_corrections_carry_their_reason_and_no_customer(small: Path) -> None:
    by_kind = defaultdict(list)
    for movement in _plan(small).movements:
        by_kind[movement.kind].append(movement)
    assert [(m.document, m.pieces, m.party) for m in by_kind[Kind.SCRAP]] == [
        ("540006 · thrown away", 5, None),
        ("540007 · no reason given", 1, None),
    ]
    assert [(m.document, m.pieces) for m in by_kind[Kind.COUNT_GAIN]] == [("540008 · found", 7)]
    assert [(m.document, m.pieces, m.party) for m in by_kind[Kind.CUSTOMER_RETURN]] == [("C540005", 2, "17001")]


def test_selling_prices_are_never_taken_for_costs(small: Path) -> None:
    for movement in _plan(small).movements:
        assert (movement.price_micro is not None) == (movement.kind is Kind.PURCHASE_RECEIPT)


def test_receipts_are_made_up_in_whole_cases_before_the_first_line_and_say_so(small: Path) -> None:
    plan = _plan(small)
    receipts = [m for m in plan.movements if m.kind is Kind.PURCHASE_RECEIPT]
    # Mugs: 20 + 4 + 1 sold, 5 thrown away: 30 pieces are 3 cases, and one more.
    assert [(r.code, r.pieces) for r in receipts] == [
        ("10001", 48),
        ("10002A", 24),
        ("10003", 12),
        ("DCGS0003", 24),
    ]
    assert {r.code: r.price_micro for r in receipts}["10001"] == 2_500_000 * COST_PERCENT // 100
    assert all(r.document.startswith("MADE-UP-20110324-") and r.party == "MADE-UP" for r in receipts)
    moved = [m for m in plan.movements if m.kind is not Kind.PURCHASE_RECEIPT]
    assert max(r.occurred_us for r in receipts) < min(m.occurred_us for m in moved)
    assert plan.report.receipts == len(receipts)
    assert plan.report.received_pieces == sum(r.pieces for r in receipts)


def test_an_article_that_never_had_a_price_is_received_at_the_median_articles(small: Path) -> None:
    plan = _plan(small)
    prices = {m.code: m.price_micro for m in plan.movements if m.kind is Kind.PURCHASE_RECEIPT}
    # Priced lines of goods: eight of 2.50 (two of them unreadable otherwise), one of 2.51, one of 10.00.
    assert prices["10003"] == 2_500_000 * COST_PERCENT // 100
    assert plan.report.default_prices == 1


def test_codes_that_differ_only_in_case_are_one_article(small: Path) -> None:
    article = read_catalogue(small).articles["10002A"]
    assert article.spellings == ("10002A", "10002a")
    assert article.name == LAMP


def test_the_commonest_description_of_priced_lines_names_the_article(tmp_path: Path) -> None:
    rows = [
        ("1", "10001", "WHITE MUG, CHIPPED", 1, 1.0, None),
        ("2", "10001", "WHITE MUG", 1, 1.0, None),
        ("3", "10001", "WHITE MUG", 1, 1.0, None),
        *[(str(n), "10001", "damages", -1, 0.0, None) for n in range(4, 9)],
    ]
    catalogue = read_catalogue(write_lines(tmp_path / "names.parquet", rows))
    assert catalogue.articles["10001"].name == MUG
    assert len(catalogue.articles["10001"].names) == 2
    assert [item.name_en for item in items_of(catalogue)] == [MUG]
    assert all("made up" in item.provenance for item in items_of(catalogue))


def test_the_typical_day_is_the_one_with_the_median_number_of_lines(tmp_path: Path) -> None:
    def line(day: int) -> tuple:
        return ("1", "10001", MUG, 1, 1.0, None, DAY + timedelta(days=day))

    rows = [line(0)] * 9 + [line(1)] * 4 + [line(2)] * 1 + [line(3)] * 4
    assert read_catalogue(write_lines(tmp_path / "days.parquet", rows)).typical_day() == date(2011, 3, 25)


def test_only_the_asked_day_is_read_whatever_the_row_groups(tmp_path: Path) -> None:
    rows = [
        ("1", "10001", MUG, 1, 1.0, None, _at("2011-03-23T23:59")),
        ("2", "10001", MUG, 2, 1.0, None, _at("2011-03-24T00:00")),
        ("3", "10001", MUG, 3, 1.0, None, _at("2011-03-24T23:59")),
        ("4", "10001", MUG, 4, 1.0, None, _at("2011-03-25T00:00")),
        ("5", "10001", MUG, 5, 1.0, None, None),
    ]
    for size in (1, 2, 5):
        path = write_lines(tmp_path / f"groups{size}.parquet", rows, row_group_size=size)
        assert [(line.row, line.quantity) for line in read_lines(path, DAY.date())] == [(2, 2), (3, 3)]
        assert [line.row for line in read_lines(path)] == [1, 2, 3, 4]
        assert read_catalogue(path).undated == 1


def test_local_minutes_become_utc_on_both_sides_of_summer_time(tmp_path: Path) -> None:
    winter, summer = _at("2011-03-26T12:00"), _at("2011-03-28T12:00")  # clocks went forward on the 27th
    rows = [("1", "10001", MUG, 1, 1.0, None, winter), ("2", "10001", MUG, 1, 1.0, None, summer)]
    path = write_lines(tmp_path / "clocks.parquet", rows)
    for minute, hour in ((winter, 12), (summer, 11)):
        shipment = _plan(path, minute.date()).movements[-1]
        assert shipment.occurred_us == round(datetime.fromisoformat(
            f"{minute:%Y-%m-%d}T{hour}:00+00:00").timestamp()) * 1_000_000  # fmt: skip


def test_the_same_lines_are_the_same_request_and_others_are_not(small: Path, tmp_path: Path) -> None:
    other = write_lines(tmp_path / "other.parquet", [*SMALL_DAY, ("540020", "10001", MUG, 1, 2.5, None)])
    resaved = write_lines(tmp_path / "resaved.parquet", SMALL_DAY, row_group_size=3)
    assert _plan(small).digest() == _plan(resaved).digest() != _plan(other).digest()


def test_prices_are_the_decimals_that_were_written() -> None:
    assert micro_of(2.55) == 2_550_000
    assert micro_of(0.001) == 1_000
    assert micro_of(1e-7) == 0


def test_a_price_that_is_no_number_is_missing() -> None:
    def line(price: float | None) -> Line:
        return Line(1, "1", "10001", None, 1, DAY, price, "17001")

    assert [line(p).has_price for p in (1.0, 0.0, -1.0, float("nan"), float("inf"), None)] == [True] + [False] * 5


def test_a_file_of_another_kind_is_refused_with_what_is_missing(tmp_path: Path) -> None:
    no_parquet = tmp_path / "no.parquet"
    no_parquet.write_text("InvoiceNo,StockCode\n", encoding="utf-8")
    with pytest.raises(WrongFile, match="expected a Parquet file"):
        read_catalogue(no_parquet)
    pq.write_table(pa.table({"InvoiceNo": ["1"], "StockCode": ["10001"]}), tmp_path / "narrow.parquet")
    with pytest.raises(WrongFile, match="got no CustomerID, Description, InvoiceDate, Quantity, UnitPrice"):
        read_catalogue(tmp_path / "narrow.parquet")
    wrong_type = pa.table(
        {"Quantity": ["many"]} | {n: pa.nulls(1, SCHEMA.field(n).type) for n in SCHEMA.names if n != "Quantity"}
    )
    pq.write_table(wrong_type, tmp_path / "typed.parquet")
    with pytest.raises(WrongFile, match="column Quantity: expected int64"):
        read_catalogue(tmp_path / "typed.parquet")
    with pytest.raises(WrongFile, match="expected lines with a date, got none"):
        read_catalogue(write_lines(tmp_path / "undated.parquet", [("1", "10001", MUG, 1, 1.0, None)], minute=None))


# ── The real set ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.shared
@pytest.mark.slow
def test_on_every_real_day_every_line_is_counted_once_and_moves_what_it_says() -> None:
    catalogue = read_catalogue(real_file())
    assert len(catalogue.days) == 305
    assert sum(catalogue.days.values()) == 541_909
    total: Counter[str] = Counter()
    # The file is in order of time, so that one pass over it sees day after day.
    for day, lines in groupby(read_lines(real_file()), key=lambda line: line.minute.date()):
        plan = plan_day(catalogue, day, lines)
        report = plan.report
        assert report.lines == catalogue.days[day] == sum(report.fates.values())
        assert report.fates[Fate.SERVICE] == sum(report.services.values())
        assert len(report.put_aside) == report.fates[Fate.UNKNOWN_CODE] + report.fates[Fate.UNREADABLE]
        assert len(plan.movements) == report.receipts + sum(report.fates[fate] for fate in KIND_OF_FATE)
        _assert_supply_covers_demand(plan)
        total += report.fates
    # Counted from the file by other means; the set has no code that is unknown to us.
    assert total == {"sale": 528_170, "return": 8_704, "scrap": 1_336, "found": 749, "service": 2_950}


def _assert_supply_covers_demand(plan: DayPlan) -> None:
    stock: Counter[str] = Counter()
    for movement in plan.movements:
        goes_out = movement.kind in (Kind.SALES_SHIPMENT, Kind.SCRAP)
        if movement.kind is not Kind.CUSTOMER_RETURN and movement.kind is not Kind.COUNT_GAIN:
            stock[movement.code] += -movement.pieces if goes_out else movement.pieces
    assert all(CASE_PIECES <= left < 2 * CASE_PIECES for left in stock.values())


@pytest.mark.shared
def test_the_real_catalogue_is_what_is_known_of_the_set() -> None:
    catalogue = read_catalogue(real_file())
    assert len(catalogue.articles) == 3_942
    assert catalogue.typical_day() == date(2011, 3, 24)
    assert catalogue.articles["85123A"].name == "WHITE HANGING HEART T-LIGHT HOLDER"
    assert catalogue.articles["DCGS0003"].name == "BOXED GLASS ASHTRAY"
    assert "POST" not in catalogue.articles
