"""Items and expectations from CSV: every bad row is named by line and column, and nothing is half-applied."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest

from cloud.domain.company import CompanySettings, Gate, Site, Zone
from cloud.domain.currency import number_of
from cloud.domain.movement import Kind
from cloud.flows.declare import Declared, declare_movements
from cloud.flows.ledger.rates import record_rates
from cloud.flows.set_up_company import CompanyDescription, apply_description
from cloud.imports.csv_file import PROBLEMS_SHOWN, BadFile
from cloud.imports.import_expectations import import_expectations
from cloud.imports.import_items import import_items
from cloud.store import master
from cloud.store.ledger.rates import Known
from cloud.store.sql import statement
from tests.conftest import Database

TEA, MUG = "09524000000019", "09524000000026"
ITEMS_HEAD = "code,name_zh,name_en,unit,gtin,item_class,method\n"
EXPECTED_HEAD = "gate,direction,epc,item,kind,party,document,price,currency,rate,quantity,open_until,note\n"


@pytest.fixture
def connection(module_database: Database) -> Iterator[psycopg.Connection]:
    """One database for all tests of the file: each leaves nothing behind."""
    description = CompanyDescription(
        CompanySettings("cn", "中", "CNY", "Asia/Shanghai", "ASBE"),
        sites=(Site("MAIN", "主仓", (Zone("STORE", "库区"),)),),
        gates=(Gate("dock-1", "STORE", "WORLD"),),
    )
    with (
        psycopg.connect(module_database.owner_dsn, autocommit=True) as opened,
        opened.transaction(force_rollback=True),
    ):
        apply_description(opened, description)
        yield opened


def _file(tmp_path: Path, text: str, encoding: str = "utf-8") -> Path:
    path = tmp_path / "file.csv"
    path.write_bytes(text.encode(encoding))
    return path


def _items(connection: psycopg.Connection) -> list[Any]:
    return connection.execute(
        "SELECT code, name_zh, name_en, unit, gtin, item_class, method FROM items ORDER BY code"
    ).fetchall()


def _problems(refused: pytest.ExceptionInfo[BadFile]) -> list[tuple[int, str]]:
    return [(problem.line, problem.column) for problem in refused.value.problems]


# ── Items ───────────────────────────────────────────────────────────────────────────────────────────


def test_items_are_added_and_changed_by_code(connection: psycopg.Connection, tmp_path: Path) -> None:
    first = ITEMS_HEAD + f"TEA,碧螺春,Tea,tin,{TEA},goods,fifo\nMUG,,Mug,,,,\n"
    imported = import_items(connection, _file(tmp_path, first), "cn")
    assert (imported.items, imported.new) == (2, 2)
    second = "method,code,name_en\nmoving_average,MUG,White mug\nfifo,POT,Pot\n"
    assert import_items(connection, _file(tmp_path, second), "cn").new == 1
    assert _items(connection) == [
        ("MUG", "", "White mug", "pcs", None, "goods", "moving_average"),
        ("POT", "", "Pot", "pcs", None, "goods", "fifo"),
        ("TEA", "碧螺春", "Tea", "tin", TEA, "goods", "fifo"),
    ]


def test_methods_lots_and_weights_come_with_the_file_and_an_empty_method_is_the_companys(
    connection: psycopg.Connection, tmp_path: Path
) -> None:
    connection.execute("UPDATE companies SET default_method = 'periodic_average'")
    text = (
        "code,name_en,method,tracking,weight_g,volume_cm3\nA,A,,,125.5,\nB,B,specific,,,640\nC,C,standard,lot,,\n"
    )
    import_items(connection, _file(tmp_path, text), "cn")
    rows = connection.execute("SELECT code, method, tracking, weight_mg, volume_mm3 FROM items ORDER BY code")
    assert rows.fetchall() == [
        ("A", "periodic_average", "none", 125_500, None), ("B", "specific", "serial", None, 640_000),
        ("C", "standard", "lot", None, None),
    ]  # fmt: skip


def test_a_method_that_the_profile_forbids_is_refused_by_line(
    connection: psycopg.Connection, tmp_path: Path
) -> None:
    text = "code,name_en,method,weight_g\nA,A,fifo,\nB,B,lifo,\nC,C,fifo,heavy\nD,D,specific,0\n"
    with pytest.raises(BadFile, match="line 3, column method: ASBE does not allow lifo; it allows") as refused:
        import_items(connection, _file(tmp_path, text), "cn")
    assert _problems(refused) == [(3, "method"), (4, "weight_g"), (5, "weight_g")]
    assert _items(connection) == []


@pytest.mark.parametrize("encoding", ["utf-8-sig", "gb18030"])
def test_files_as_spreadsheets_write_them_are_read(
    connection: psycopg.Connection, tmp_path: Path, encoding: str
) -> None:
    text = ITEMS_HEAD.replace("\n", "\r\n") + '"TEA","碧螺春，\r\n两行",,,,,\r\n\r\n'
    import_items(connection, _file(tmp_path, text.replace("\r\n两行", "两行"), encoding), "cn", encoding)
    assert _items(connection)[0][:2] == ("TEA", "碧螺春，两行")


def test_every_bad_row_is_named_and_nothing_is_applied(connection: psycopg.Connection, tmp_path: Path) -> None:
    text = ITEMS_HEAD + (
        "GOOD,,Good,,,,\n"
        ",,Nameless,,,,\n"  # 3
        "A,,,,,,\n"  # 4
        "B,,B,,09524000000010,,\n"  # 5
        "\n"
        'C,,"a cell\nof two lines",,,,\n'  # 7: a control character in a name
        "D,,D,,,spare,\n"  # 9: after a row of two lines
        "E,,E,,,,lifo\n"  # 10
        "F,,F\n"  # 11
    )
    with pytest.raises(BadFile) as refused:
        import_items(connection, _file(tmp_path, text), "cn")
    assert _problems(refused) == [
        (3, "code"), (4, "name_en"), (5, "gtin"), (7, "name_en"), (9, "item_class"), (10, "method"), (11, ""),
    ]  # fmt: skip
    assert "line 5, column gtin: expected check digit 9 at the end of 09524000000010, got 0" in str(refused.value)
    assert "line 11: expected 7 cells, got 3" in str(refused.value)
    assert _items(connection) == []


def test_twins_in_a_file_are_named_with_both_lines(connection: psycopg.Connection, tmp_path: Path) -> None:
    text = ITEMS_HEAD + f"A,,A,,{TEA},,\nB,,B,,{TEA},,\nA,,A again,,,,\n"
    with pytest.raises(BadFile, match="line 4, column code: 'A' stands on line 2 already") as refused:
        import_items(connection, _file(tmp_path, text), "cn")
    assert _problems(refused) == [(4, "code"), (3, "gtin")]


def test_what_the_books_depend_on_is_refused_by_line(connection: psycopg.Connection, tmp_path: Path) -> None:
    import_items(connection, _file(tmp_path, ITEMS_HEAD + f"TEA,,Tea,,{TEA},,fifo\nMUG,,Mug,,,,\n"), "cn")
    company = master.find_company(connection, "cn")
    assert company is not None
    places = master.locations(connection, company.company_id)
    tea = master.item_ids(connection, company.company_id)["TEA"]
    receipt = Declared(
        Kind.PURCHASE_RECEIPT, tea, 1_000_000, places["SUPPLIER"].location_id, places["STORE"].location_id,
        1_795_000_000_000_000, price_micro=1_000_000,
    )  # fmt: skip
    declare_movements(connection, company.company_id, [receipt], "one", b"\0" * 32)
    before = _items(connection)
    text = (
        ITEMS_HEAD
        + f"NEW,,New,,,,\nTEA,,Tea,kg,{TEA},raw_material,moving_average\nMUG,,Mug,kg,,,fifo\nPOT,,Pot,,{TEA},,\n"
    )
    # In one file the tea keeps its GTIN, so the pot is a twin; in a file of its own it is another item's.
    with pytest.raises(BadFile) as refused:
        import_items(connection, _file(tmp_path, text.replace(f"Pot,,{TEA}", "Pot,,")), "cn")
    assert _problems(refused) == [(3, "item_class"), (3, "method"), (3, "unit")]
    with pytest.raises(BadFile, match=f"line 2, column gtin: {TEA} is the GTIN of item TEA"):
        import_items(connection, _file(tmp_path, ITEMS_HEAD + f"POT,,Pot,,{TEA},,\n"), "cn")
    assert _items(connection) == before


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "line 1, column code: expected columns code, name_zh"),
        ("name_en\nTea\n", "line 1, column code: expected columns code"),
        ("code,name_en,price\nA,a,1\n", "line 1, column price: expected one of code, name_zh"),
        ("code,name_en,code\nA,a,A\n", "line 1, column code: the column stands there twice"),
        ("code,name_en\n", "expected rows after the head line, got none"),
        ('code,name_en\nA,"a\n', "line 2: expected CSV: unexpected end of data"),
    ],
)
def test_a_file_that_is_no_list_of_items_says_why(
    connection: psycopg.Connection, tmp_path: Path, text: str, complaint: str
) -> None:
    with pytest.raises(BadFile, match=complaint):
        import_items(connection, _file(tmp_path, text), "cn")


def test_text_in_another_encoding_is_refused_not_guessed(connection: psycopg.Connection, tmp_path: Path) -> None:
    path = _file(tmp_path, ITEMS_HEAD + "TEA,碧螺春,,,,,\n", "gb18030")
    with pytest.raises(BadFile, match="expected text in utf-8-sig, got"):
        import_items(connection, path, "cn")


def test_a_file_in_the_wrong_form_throughout_is_cut_short(connection: psycopg.Connection, tmp_path: Path) -> None:
    rows = 2 * PROBLEMS_SHOWN
    with pytest.raises(BadFile, match=f"and {rows - PROBLEMS_SHOWN} more") as refused:
        import_items(connection, _file(tmp_path, "code,name_en\n" + "A,\n" * rows), "cn")
    assert len(refused.value.problems) == rows


def test_an_unknown_company_is_named(connection: psycopg.Connection, tmp_path: Path) -> None:
    with pytest.raises(master.UnknownCode, match="no company has the code 'xx'"):
        import_items(connection, _file(tmp_path, "code,name_en\nA,a\n"), "xx")


# ── Expectations ────────────────────────────────────────────────────────────────────────────────────


def _with_tea(connection: psycopg.Connection, tmp_path: Path) -> None:
    import_items(connection, _file(tmp_path, ITEMS_HEAD + "TEA,碧螺春,,,,,\n"), "cn")


def test_expectations_are_read_in_the_units_people_write(connection: psycopg.Connection, tmp_path: Path) -> None:
    _with_tea(connection, tmp_path)
    text = EXPECTED_HEAD + (
        "dock-1,in,,TEA,purchase_receipt,S-1,PO-1,4.75,USD,7.1386,120.5,2026-11-30T18:00,\n"
        "dock-1,out,3066C4409047E140075BCD15,,sales_shipment,C-1,SO-1,30,,,12,2026-11-30T18:00Z,today\n"
    )
    imported = import_expectations(connection, _file(tmp_path, text), "cn")
    assert len(imported.expectation_ids) == 2
    rows = connection.execute(
        "SELECT e.direction, e.kind, e.price_micro, e.currency, e.rate_nano, e.qty_micro, e.note, p.kind, p.code,"
        "       extract(epoch FROM open_until)::bigint"
        "  FROM expectations e JOIN parties p USING (company_id, party_id) ORDER BY expectation_id"
    ).fetchall()
    six_in_shanghai = 1_796_032_800
    assert rows == [
        (1, 1, 4_750_000, "USD", 7_138_600_000, 120_500_000, "", "supplier", "S-1", six_in_shanghai),
        (
            2,
            3,
            30_000_000,
            "CNY",
            1_000_000_000,
            12_000_000,
            "today",
            "customer",
            "C-1",
            six_in_shanghai + 8 * 3600,
        ),
    ]


def test_the_same_file_imported_again_changes_nothing(connection: psycopg.Connection, tmp_path: Path) -> None:
    _with_tea(connection, tmp_path)
    path = _file(tmp_path, EXPECTED_HEAD + "dock-1,in,,TEA,purchase_receipt,,PO-1,,,,1,2026-11-30T18:00,\n")
    first = import_expectations(connection, path, "cn")
    again = import_expectations(connection, path, "cn")
    assert (first.replayed, again.replayed) == (False, True)
    assert again.expectation_ids == first.expectation_ids
    assert connection.execute("SELECT count(*) FROM expectations").fetchall() == [(1,)]
    promised = statement("verify_logs", "requests")
    assert connection.execute(promised).fetchall() == [(0,)]
    connection.execute("DELETE FROM expectations")
    assert connection.execute(promised).fetchall() == [(1,)]


def test_a_foreign_price_without_a_rate_takes_the_one_of_today(
    connection: psycopg.Connection, tmp_path: Path
) -> None:
    _with_tea(connection, tmp_path)
    path = _file(tmp_path, EXPECTED_HEAD + "dock-1,in,,TEA,purchase_receipt,,PO-1,4,USD,,1,2026-11-30T18:00,\n")
    with pytest.raises(
        BadFile, match=r"line 2, column rate: expected a rate from USD to CNY: no rate of USD is known"
    ):
        import_expectations(connection, path, "cn")
    today = datetime.now(ZoneInfo("Asia/Shanghai")).date()
    company = master.find_company(connection, "cn")
    assert company is not None
    record_rates(connection, company.company_id, [Known(number_of("USD"), today, 7_123_400_000)], "Mei")
    import_expectations(connection, path, "cn")
    assert connection.execute("SELECT currency::text, rate_nano FROM expectations").fetchall() == [
        ("USD", 7_123_400_000)
    ]


def test_bad_expectations_are_all_named_and_none_is_written(
    connection: psycopg.Connection, tmp_path: Path
) -> None:
    _with_tea(connection, tmp_path)
    good = "dock-1,in,,TEA,purchase_receipt,S-1,PO-1,4.75,CNY,,1,2026-11-30T18:00,\n"
    text = EXPECTED_HEAD + good + (
        good.replace(",in,", ",through,")  # 3
        + good.replace("purchase_receipt", "count_gain")  # 4
        + good.replace("purchase_receipt", "sales_shipment")  # 5: comes in
        + good.replace("4.75", "4,75".replace(",", "."))  # 6: good
        + good.replace("4.75", "1e3")  # 7
        + good.replace(",CNY,,", ",USD,,")  # 8: no rate
        + good.replace(",1,2026", ",0,2026")  # 9
        + good.replace(",1,2026", ",,2026")  # 10
        + good.replace("2026-11-30T18:00", "tomorrow")  # 11
        + good.replace(",,TEA,", ",E28,,")  # 12
        + good.replace("4.75", "4.7500001")  # 13
    )  # fmt: skip
    with pytest.raises(BadFile) as refused:
        import_expectations(connection, _file(tmp_path, text), "cn")
    assert _problems(refused) == [
        (3, "direction"), (4, "kind"), (5, "direction"), (7, "price"), (8, "rate"), (9, "quantity"),
        (10, "quantity"), (11, "open_until"), (12, "epc"), (13, "price"),
    ]  # fmt: skip
    unknown = EXPECTED_HEAD + good + good.replace("dock-1", "dock-9") + good.replace("TEA", "MUG")
    with pytest.raises(BadFile) as refused:
        import_expectations(connection, _file(tmp_path, unknown), "cn")
    assert _problems(refused) == [(3, "gate"), (4, "item")]
    assert connection.execute("SELECT count(*) FROM expectations").fetchall() == [(0,)]
    assert connection.execute("SELECT count(*) FROM parties").fetchall() == [(0,)]
