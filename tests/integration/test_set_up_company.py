"""A company on the real database: its chart, calendar and places, and what may not change any more."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import psycopg
import pytest

from cloud.domain.catalog import BoundTag, Expectation, Item, Party, WrongMasterData
from cloud.domain.company import Closing, CompanySettings, Gate, Gateway, Site, WrongDescription, Zone
from cloud.domain.costing.allocation import Basis
from cloud.domain.costing.allocation_rules import AllocationRule, rules_of
from cloud.domain.ledger.charts import chart_of
from cloud.domain.ledger.rules_shipped import POSTING_RULES
from cloud.domain.movement import Crossing, Kind
from cloud.flows.declare import Declared, declare_movements
from cloud.flows.set_up_company import CompanyDescription, apply_description, ensure_periods, set_up_company
from cloud.store import master
from cloud.store.master import CannotChange, UnknownCode
from tests.conftest import Database
from tests.makers import close_periods

CN = CompanySettings("cn-1", "一号公司", "CNY", "Asia/Shanghai", "ASBE")
TODAY = date(2026, 11, 22)
UNTIL = datetime(2026, 11, 30, tzinfo=UTC)
TABLES = ("companies", "accounts", "posting_rules", "periods", "locations", "gates", "gateways", "items")

DESCRIPTION = CompanyDescription(
    CN,
    sites=(Site("MAIN", "主仓", (Zone("MAIN-STORE", "库区"),)), Site("EAST", "东仓")),
    gates=(Gate("dock-1", "MAIN-STORE", "WORLD"), Gate("dock-2", "MAIN-STORE", "WORLD", crossing_group=7)),
    gateways=(Gateway("MAIN", "gw-1"),),
    items=(Item("A", name_zh="茶", gtin="09524000000019"), Item("B", name_en="Mug", method="fifo")),
)


@pytest.fixture
def connection(module_database: Database) -> Iterator[psycopg.Connection]:
    """One database for all tests of the file: each leaves nothing behind."""
    with (
        psycopg.connect(module_database.owner_dsn, autocommit=True) as opened,
        opened.transaction(force_rollback=True),
    ):
        yield opened


def _all(connection: psycopg.Connection) -> dict[str, list[Any]]:
    return {
        table: sorted(map(str, connection.execute(f"SELECT * FROM {table}").fetchall()))  # noqa: S608
        for table in TABLES
    }


def _move(connection: psycopg.Connection, company_id: int, code: str) -> None:
    places = master.locations(connection, company_id)
    item = master.item_ids(connection, company_id)[code]
    row = Declared(
        Kind.PURCHASE_RECEIPT, item, 1_000_000, places["SUPPLIER"].location_id, places["MAIN-STORE"].location_id,
        1_795_000_000_000_000, price_micro=1_000_000,
    )  # fmt: skip
    declare_movements(connection, company_id, [row], "one", b"\0" * 32)


def test_a_new_company_has_its_chart_its_calendar_and_the_places_beyond_its_walls(
    connection: psycopg.Connection,
) -> None:
    company_id = set_up_company(connection, CN, TODAY)
    numbers = {row[0] for row in connection.execute("SELECT number FROM accounts")}
    assert numbers == {account.number for account in chart_of("ASBE")}
    kinds = [row[0] for row in connection.execute("SELECT kind FROM posting_rules ORDER BY kind")]
    assert kinds == sorted(rule.kind for rule in POSTING_RULES)
    span = connection.execute("SELECT count(*), min(first_day), max(last_day), min(state) FROM periods").fetchone()
    assert span == (49, date(2024, 11, 1), date(2028, 11, 30), "open")
    places = master.locations(connection, company_id)
    assert {code: place.kind for code, place in places.items()} == {
        "SUPPLIER": "supplier", "CUSTOMER": "customer", "IN-TRANSIT": "in_transit", "SCRAP": "scrap",
        "PRODUCTION": "production", "WORLD": "world",
    }  # fmt: skip
    assert all(place.site_id is None for place in places.values())


@pytest.mark.parametrize(("currency", "digits"), [("CNY", 2), ("JPY", 0), ("KWD", 3)])
def test_the_currency_decides_the_digits_of_the_ledger(
    connection: psycopg.Connection, currency: str, digits: int
) -> None:
    set_up_company(connection, replace(CN, currency=currency))
    assert connection.execute("SELECT minor_digits FROM companies").fetchall() == [(digits,)]


def test_setting_up_twice_changes_nothing(connection: psycopg.Connection) -> None:
    first = apply_description(connection, DESCRIPTION, TODAY)
    before = _all(connection)
    assert apply_description(connection, DESCRIPTION, TODAY) == first
    assert _all(connection) == before


def test_a_later_set_up_carries_the_calendar_on(connection: psycopg.Connection) -> None:
    apply_description(connection, DESCRIPTION, TODAY)
    apply_description(connection, DESCRIPTION, date(2031, 2, 28))
    span = connection.execute("SELECT count(*), min(period_id), max(period_id) FROM periods").fetchone()
    assert span == (49 + 51, 202411, 203302)


def test_sites_have_zones_and_a_clarification_of_their_own(connection: psycopg.Connection) -> None:
    company_id = apply_description(connection, DESCRIPTION)
    places = master.locations(connection, company_id)
    main = places["MAIN"]
    assert (main.kind, main.site_id, main.parent_id) == ("site", main.location_id, None)
    for code, kind in (("MAIN-STORE", "zone"), ("CLARIFICATION-MAIN", "clarification")):
        assert (places[code].kind, places[code].site_id) == (kind, main.location_id)
    assert places["CLARIFICATION-EAST"].site_id == places["EAST"].location_id


def test_a_gate_without_a_group_has_one_of_its_own(connection: psycopg.Connection) -> None:
    company_id = apply_description(connection, DESCRIPTION)
    master.put_gate(connection, company_id, Gate("dock-3", "MAIN-STORE", "WORLD"))
    groups = dict(connection.execute("SELECT code, crossing_group FROM gates").fetchall())
    assert groups == {"dock-1": 1, "dock-2": 7, "dock-3": 8}


def test_a_gateways_lane_is_the_same_on_every_machine(connection: psycopg.Connection) -> None:
    apply_description(connection, DESCRIPTION)
    # sha256("cn-1/MAIN/gw-1") begins with this byte; its low half is the lane.
    assert connection.execute("SELECT site, code, lane FROM gateways").fetchall() == [("MAIN", "gw-1", 0x3B & 15)]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"currency": "EUR"}, "expected currency CNY as its books are kept, got EUR"),
        ({"time_zone": "Europe/Paris"}, "expected time_zone Asia/Shanghai"),
        ({"profile": "IFRS"}, "expected profile ASBE"),
    ],
)
def test_what_the_books_depend_on_is_not_described_anew(
    connection: psycopg.Connection, change: dict[str, str], complaint: str
) -> None:
    set_up_company(connection, CN)
    with pytest.raises(CannotChange, match=complaint):
        set_up_company(connection, replace(CN, **change))


def test_a_place_may_be_renamed_but_not_become_another_kind(connection: psycopg.Connection) -> None:
    company_id = apply_description(connection, DESCRIPTION)
    renamed = replace(
        DESCRIPTION, sites=(Site("MAIN", "总仓", (Zone("MAIN-STORE", "存储区"),)), Site("EAST", "东仓"))
    )
    apply_description(connection, renamed)
    assert master.locations(connection, company_id)["MAIN-STORE"].name == "存储区"
    with pytest.raises(CannotChange, match="location MAIN-STORE: expected kind zone"):
        master.put_location(connection, company_id, "MAIN-STORE", "x", "scrap")


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"gates": (Gate("dock-9", "NOWHERE", "WORLD"),)}, "gate dock-9: the company has no location 'NOWHERE'"),
        ({"gateways": (Gateway("WEST", "gw-1"),)}, "gateway gw-1: the company has no site 'WEST'"),
        ({"gateways": (Gateway("MAIN-STORE", "gw-1"),)}, "the company has no site 'MAIN-STORE'"),
    ],
)
def test_a_description_that_names_what_is_not_there_leaves_nothing_behind(
    connection: psycopg.Connection, wrong: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(UnknownCode, match=complaint):
        apply_description(connection, replace(DESCRIPTION, **wrong))
    assert connection.execute("SELECT count(*) FROM companies").fetchall() == [(0,)]


def test_the_calendar_grows_without_gaps_and_keeps_locks(connection: psycopg.Connection) -> None:
    company_id = set_up_company(connection, CN, TODAY)
    ensure_periods(connection, company_id, date(2024, 2, 29), date(2024, 2, 29))
    close_periods(connection, company_id, 202402)
    months = connection.execute("SELECT period_id, state FROM periods ORDER BY period_id").fetchall()
    assert [m[0] for m in months[:11]] == [*range(202402, 202413)]
    assert len(months) == 49 + 9
    ensure_periods(connection, company_id, TODAY, date(2031, 1, 1))
    months = connection.execute("SELECT period_id, state FROM periods ORDER BY period_id").fetchall()
    assert months[-1][0] == 203101
    assert {m for m, state in months if state == "locked"} == {202402}
    with pytest.raises(WrongDescription, match="calendar of 1 … 2400 months"):
        ensure_periods(connection, company_id, TODAY, date(9999, 1, 1))


def test_how_periods_are_closed_may_change_and_stays_where_a_description_is_silent(
    connection: psycopg.Connection,
) -> None:
    told = Closing("send_on", ("finance",), 7, 4, "PBOC", "three")
    company_id = set_up_company(connection, replace(CN, closing=told), TODAY)
    for settings in (CN, replace(CN, closing=told)):
        set_up_company(connection, settings, TODAY)
        found = master.find_company(connection, "cn-1")
        assert found is not None
        assert found.settings.closing == told
    set_up_company(connection, replace(CN, closing=replace(told, clarification_days=90)), TODAY)
    row = connection.execute(
        "SELECT late_policy, soft_close_roles, clarification_days, fiscal_year_month, rate_source, voucher_words"
        "  FROM companies WHERE company_id = %s",
        [company_id],
    ).fetchone()
    assert row == ("send_on", ["finance"], 90, 4, "PBOC", "three")
    set_up_company(connection, replace(CN, code="cn-2"), TODAY)
    usual = master.find_company(connection, "cn-2")
    assert usual is not None
    assert usual.settings.closing == Closing()


def test_no_month_comes_before_one_that_is_closed(connection: psycopg.Connection) -> None:
    company_id = set_up_company(connection, CN, TODAY)
    close_periods(connection, company_id, 202411, "soft_closed")
    with pytest.raises(WrongDescription, match="begins on 2024-11-01 and its first period is closed"):
        ensure_periods(connection, company_id, date(2024, 10, 31), TODAY)


# ── Items, tags, expectations ───────────────────────────────────────────────────────────────────────


def test_an_item_that_has_moved_keeps_its_method_and_may_change_its_name(connection: psycopg.Connection) -> None:
    company_id = apply_description(connection, DESCRIPTION)
    master.put_items(connection, company_id, [Item("B", name_en="Mug", method="moving_average")])
    _move(connection, company_id, "B")
    master.put_items(connection, company_id, [Item("B", name_en="White mug", method="moving_average")])
    with pytest.raises(
        CannotChange, match="item B has moved already: expected method moving_average as in the books"
    ):
        master.put_items(connection, company_id, [Item("B", name_en="White mug", method="fifo")])
    assert connection.execute("SELECT name_en, method FROM items WHERE code = 'B'").fetchall() == [
        ("White mug", "moving_average")
    ]


US = CompanySettings("us-1", "Company One", "USD", "America/Chicago", "US_GAAP", default_method="lifo")


def _methods(connection: psycopg.Connection) -> dict[str, tuple[str, str]]:
    rows = connection.execute("SELECT code, method, tracking FROM items ORDER BY code").fetchall()
    return {code: (method, tracking) for code, method, tracking in rows}


def test_an_item_without_a_method_takes_its_companys_and_keeps_it(connection: psycopg.Connection) -> None:
    items = (
        Item("A", "茶"),
        Item("B", "杯", method="specific"),
        Item("C", "壶", method="standard", tracking="lot"),
    )
    company_id = apply_description(connection, CompanyDescription(US, items=items))
    assert _methods(connection) == {"A": ("lifo", "none"), "B": ("specific", "serial"), "C": ("standard", "lot")}
    set_up_company(connection, replace(US, default_method="fifo"))
    master.put_items(connection, company_id, [*(replace(item, method=None) for item in items), Item("D", "盘")])
    assert _methods(connection) == {
        "A": ("lifo", "none"), "B": ("specific", "serial"), "C": ("standard", "lot"), "D": ("fifo", "none"),
    }  # fmt: skip


def test_what_an_item_weighs_is_kept(connection: psycopg.Connection) -> None:
    company_id = set_up_company(connection, CN)
    master.put_items(connection, company_id, [Item("A", "茶", weight_mg=125_500, volume_mm3=640_000)])
    assert connection.execute("SELECT weight_mg, volume_mm3 FROM items").fetchall() == [(125_500, 640_000)]


@pytest.mark.parametrize("profile", ["ASBE", "IFRS"])
@pytest.mark.parametrize("method", ["lifo", "periodic_lifo"])
def test_last_in_first_out_is_refused_where_the_profile_forbids_it(
    connection: psycopg.Connection, profile: str, method: str
) -> None:
    settings = replace(CN, profile=profile)
    with pytest.raises(WrongDescription, match=f"default method: {profile} does not allow {method}"):
        replace(settings, default_method=method)
    with pytest.raises(WrongDescription, match=f"item A: method: {profile} does not allow {method}; it allows"):
        CompanyDescription(settings, items=(Item("A", "茶", method=method),))
    company_id = set_up_company(connection, settings)
    with pytest.raises(WrongMasterData, match=f"{profile} does not allow {method}") as refused:
        master.put_items(connection, company_id, [Item("A", "茶", method=method)])
    assert refused.value.column == "method"
    # And whoever comes by another way is refused by the database.
    for statement in (
        "INSERT INTO items (company_id, code, method) VALUES (%s, 'A', %s)",
        "UPDATE companies SET default_method = %s WHERE company_id = %s",
    ):
        values = (company_id, method) if statement.startswith("INSERT") else (method, company_id)
        with (
            pytest.raises(
                psycopg.DatabaseError, match=f"{method} is not allowed under accounting profile"
            ) as error,
            connection.transaction(),
        ):
            connection.execute(statement, values)
        assert error.value.sqlstate == "TG006"


def test_a_company_with_lifo_items_cannot_take_a_profile_that_forbids_them(connection: psycopg.Connection) -> None:
    apply_description(connection, CompanyDescription(US, items=(Item("A", "茶"),)))
    connection.execute("UPDATE companies SET default_method = 'fifo'")
    with pytest.raises(psycopg.DatabaseError, match="method lifo is not allowed under accounting profile IFRS"):
        connection.execute("UPDATE companies SET profile = 'IFRS'")


def test_two_items_may_exchange_their_gtins_in_one_import(connection: psycopg.Connection) -> None:
    one, two = "09524000000019", "09524000000026"
    company_id = apply_description(connection, replace(DESCRIPTION, items=()))
    master.put_items(connection, company_id, [Item("A", "茶", gtin=one), Item("B", "杯", gtin=two)])
    master.put_items(connection, company_id, [Item("A", "茶", gtin=two), Item("B", "杯", gtin=one)])
    assert connection.execute("SELECT code, gtin FROM items ORDER BY code").fetchall() == [("A", two), ("B", one)]
    with pytest.raises(CannotChange, match=f"item C: GTIN {one} is that of item B"):
        master.put_items(connection, company_id, [Item("C", "壶", gtin=one)])


def test_a_tag_is_bound_once_and_never_quietly_to_another_item(connection: psycopg.Connection) -> None:
    company_id = apply_description(connection, DESCRIPTION)
    epc = "3066C4409047E140075BCD15"
    master.put_tags(connection, company_id, [BoundTag(epc, "A", 12_000_000)])
    master.put_tags(connection, company_id, [BoundTag(epc, "A", 10_000_000)])
    assert connection.execute("SELECT qty_micro FROM tags").fetchall() == [(10_000_000,)]
    with pytest.raises(CannotChange, match=f"tag {epc} is bound to another item than B"):
        master.put_tags(connection, company_id, [BoundTag(epc, "B", 1_000_000)])
    with pytest.raises(UnknownCode, match="no item 'Z'"):
        master.put_tags(connection, company_id, [BoundTag("E280", "Z", 1_000_000)])


def test_rules_for_sharing_costs_come_with_the_description_and_keep_what_the_company_made_of_them(
    connection: psycopg.Connection,
) -> None:
    own = {"tea": (AllocationRule("roasting", Basis.WEIGHT, "batch"),)}
    description = CompanyDescription(CN, allocation_rules={"retail": rules_of("retail")} | own)
    apply_description(connection, description)
    connection.execute("UPDATE allocation_rules SET basis = 'quantity' WHERE cost_type = 'duty'")
    apply_description(connection, description)
    rules = connection.execute("SELECT industry, cost_type, basis, dimension FROM allocation_rules ORDER BY 1, 2")
    assert rules.fetchall() == [
        ("retail", "duty", "quantity", "document"), ("retail", "freight", "value", "document"),
        ("tea", "roasting", "weight", "batch"),
    ]  # fmt: skip


def test_a_tag_is_bound_to_its_lot_and_a_serial_items_tag_is_a_lot_of_its_own(
    connection: psycopg.Connection,
) -> None:
    items = (Item("A", "茶", tracking="lot"), Item("B", "表", method="specific"), Item("C", "杯"))
    company_id = apply_description(connection, CompanyDescription(CN, items=items))
    tags = [
        BoundTag("E280", "A", 1_000_000, "2026-11"), BoundTag("E281", "A", 1_000_000, "2026-11"),
        BoundTag("E282", "A", 1_000_000), BoundTag("E283", "B", 1_000_000), BoundTag("E284", "B", 1_000_000, "SN-9"),
    ]  # fmt: skip
    master.put_tags(connection, company_id, tags)
    master.put_tags(connection, company_id, tags)
    bound = connection.execute(
        "SELECT t.epc, l.code FROM tags t LEFT JOIN lots l USING (company_id, lot_id, item_id) ORDER BY epc"
    ).fetchall()
    assert bound == [
        ("E280", "2026-11"), ("E281", "2026-11"), ("E282", None), ("E283", "E283"), ("E284", "SN-9"),
    ]  # fmt: skip
    assert connection.execute("SELECT count(*) FROM lots").fetchall() == [(3,)]
    with pytest.raises(CannotChange, match="tag E280 is bound to another item than A, or to another lot of it"):
        master.put_tags(connection, company_id, [BoundTag("E280", "A", 1_000_000, "2026-12")])
    with pytest.raises(WrongMasterData, match="the item's lots are not told apart, got '7'"):
        master.put_tags(connection, company_id, [BoundTag("E285", "C", 1_000_000, "7")])


def test_an_item_that_has_moved_keeps_its_tracking(connection: psycopg.Connection) -> None:
    company_id = apply_description(connection, DESCRIPTION)
    _move(connection, company_id, "B")
    with pytest.raises(CannotChange, match="item B has moved already: expected tracking none"):
        master.put_items(connection, company_id, [Item("B", name_en="Mug", tracking="serial")])


def _expectation(**change: Any) -> Expectation:
    return Expectation(
        **{
            "gate": "dock-1", "direction": Crossing.IN, "kind": Kind.PURCHASE_RECEIPT, "qty_micro": 5_000_000,
            "open_until": UNTIL, "item_code": "A", "party": "S-1", "price_micro": 2_000_000,
            "currency": "USD", "rate_nano": 7_100_000_000, "document": "PO-1",
        } | change
    )  # fmt: skip


def test_expectations_find_gate_item_and_party_by_code(connection: psycopg.Connection) -> None:
    company_id = apply_description(connection, DESCRIPTION)
    master.put_parties(connection, company_id, [Party("supplier", "S-1", "一号供应商")])
    out = _expectation(
        direction=Crossing.OUT, kind=Kind.TRANSFER_OUT, item_code=None, epc="E280", party=None, price_micro=None,
        currency=None,
    )  # fmt: skip
    ids = master.add_expectations(connection, company_id, [_expectation(), out])
    assert len(ids) == 2
    rows = connection.execute(
        "SELECT g.code, e.direction, e.kind, i.code, p.name, e.price_micro, e.currency, e.rate_nano, e.epc"
        "  FROM expectations e JOIN gates g USING (company_id, gate_id)"
        "  LEFT JOIN items i USING (company_id, item_id) LEFT JOIN parties p USING (company_id, party_id)"
        " ORDER BY expectation_id"
    ).fetchall()
    assert rows == [
        ("dock-1", 1, 1, "A", "一号供应商", 2_000_000, "USD", 7_100_000_000, None),
        ("dock-1", 2, 5, None, None, None, None, 7_100_000_000, "E280"),
    ]


@pytest.mark.parametrize(
    ("change", "column", "complaint"),
    [
        ({"direction": Crossing.OUT}, "direction", "purchase_receipt crosses in, got out"),
        ({"kind": Kind.COUNT_GAIN}, "direction", "count_gain crosses no gate"),
        ({"epc": "E280"}, "epc", "both or neither"),
        ({"qty_micro": 0}, "quantity", "more than 0"),
        ({"currency": None}, "price", "only one of the two"),
        ({"currency": "XXX"}, "currency", "ISO 4217"),
        ({"rate_nano": 0}, "rate", "more than 0"),
        ({"open_until": UNTIL.replace(tzinfo=None)}, "open_until", "time with its zone"),
        ({"item_code": None, "epc": "e280"}, "epc", "upper-case hex"),
        ({"note": "a\0b"}, "note", "U\\+0000"),
    ],
)
def test_an_expectation_that_cannot_be_is_never_made(change: dict[str, Any], column: str, complaint: str) -> None:
    with pytest.raises(WrongMasterData, match=complaint) as refused:
        _expectation(**change)
    assert refused.value.column == column
