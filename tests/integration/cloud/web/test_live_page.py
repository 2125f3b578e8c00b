"""The live page in a real browser: sign in, see the books, see them change without a reload."""

import json
import re
from typing import Any

from playwright.sync_api import Browser, Page, expect

from cloud.domain.movement import Kind
from protocols.epc.sgtin import encode, sgtin_of
from tests.browser import WAIT_MS, sign_in
from tests.makers import epc


def test_the_page_shows_the_books(page: Page, house: Any) -> None:
    sign_in(page, house)
    expect(page.locator("#agreement")).to_contain_text("Stock value = ledger")
    expect(page.locator("#agreement .difference dd")).to_have_text("0.00CNY")
    expect(page.locator("#agreement .figure dd").first).to_have_text("133.34CNY")
    expect(page.locator("#count-clarification b")).to_have_text("1")
    expect(page.locator("#count-open b")).to_have_text("1")
    expect(page.locator("#count-quarantine b")).to_have_text("0")
    passages = page.locator("table.passages tbody tr")
    expect(passages).to_have_count(6)
    expect(passages.nth(0)).to_contain_text("Out")
    expect(passages.nth(0)).to_contain_text("Moved")
    expect(passages.filter(has_text="Turned back")).to_have_count(1)
    expect(passages.filter(has_text="E28000000000000000000BAD")).to_contain_text("Unregistered")
    movement = page.locator("table.movements tbody tr").nth(0)
    for text in ("Sales shipment", "SO-9", "BOLT", "STORE", "CUSTOMER", "10"):
        expect(movement).to_contain_text(text)
    expect(page.locator("table.balances tbody tr")).to_have_count(2)
    expect(page.locator("table.pools tr.pool")).to_have_count(2)
    expect(page.locator("table.pools tr.pool").filter(has_text="LAMP")).to_contain_text("133.34")
    entry = page.locator("article.entry").filter(has_text="SO-9")
    assert [re.sub(r"\s+", " ", one) for one in entry.locator("tbody tr").all_inner_texts()] == [
        "640101 Cost of goods sold 42.00 ",
        "140501 Merchandise and finished goods 42.00",
    ]


def test_a_commit_arrives_without_a_reload(page: Page, own_house: Any) -> None:
    sign_in(page, own_house)
    page.evaluate("window.wasHere = true")
    warehouse = own_house.warehouse
    tag = warehouse.tag(90, "BOLT", 7)
    warehouse.expect(Kind.PURCHASE_RECEIPT, "BOLT", 7, price="5", party="ACME", document="PO-90")
    warehouse.log.passage(tag, "in", 7200)
    warehouse.record(warehouse.log.message(len(warehouse.log.written)))
    fresh = page.locator("table.movements tbody tr").nth(0)
    expect(fresh).to_contain_text("PO-90")
    expect(fresh).to_have_class(re.compile("fresh"))
    expect(page.locator("#agreement .figure dd").first).to_have_text("168.34CNY")
    expect(page.locator("article.entry").nth(0)).to_contain_text("35.00")
    assert page.evaluate("window.wasHere")


def test_tags_in_a_gate_are_shown_while_they_are_read(page: Page, own_house: Any) -> None:
    sign_in(page, own_house)
    gate = page.locator(".gate-card").filter(has_text="dock-2")
    expect(gate).to_have_attribute("data-state", "never")
    own_house.admin.post("/v1/items", {"code": "TEA", "name_en": "Green tea", "gtin": "06901234000016"})
    tea = encode(sgtin_of("06901234000016", 8, 7))
    tags = [
        {"epc": tea, "reads": 44, "antennas": [1], "peak_rssi_dbm": -45.0},
        {"epc": epc(2), "reads": 31, "antennas": [1, 2], "peak_rssi_dbm": -51.5},
        {"epc": "E2801170" + "0" * 16, "reads": 2, "antennas": [3], "peak_rssi_dbm": -70.0},
    ]
    summary = {"schema": 1, "gate": "dock-2", "from_us": 1, "to_us": 2, "reads": 77, "tags_total": 3, "tags": tags}
    own_house.owner.execute(
        "INSERT INTO gate_readings VALUES (%s, 'dock-2', now(), %s, 33)",
        [own_house.warehouse.company_id, json.dumps(summary)],
    )
    expect(gate).to_have_attribute("data-state", "reading")
    expect(gate.locator("li").nth(0)).to_contain_text("Green tea")
    expect(gate.locator("li").nth(1)).to_contain_text("Lamp")
    expect(gate.locator("li").nth(1)).to_contain_text("31")
    expect(gate.locator("li").nth(2)).to_contain_text("Unregistered tag")
    expect(gate).to_have_attribute("data-state", "quiet")  # nothing more is read, so it is no longer "now"
    expect(gate.locator("li")).to_have_count(0)


def test_a_crossing_within_the_hold_is_shown_as_a_question_until_its_passage_arrives(
    page: Page, own_house: Any
) -> None:
    sign_in(page, own_house)
    gate = page.locator(".gate-card").filter(has_text="dock-1")
    tag = own_house.warehouse.tag(70, "LAMP", 1)
    seen = [
        {"epc": epc(1), "reads": 12, "antennas": [1, 3], "peak_rssi_dbm": -60.0},
        {"epc": tag, "reads": 0, "antennas": [1, 3], "peak_rssi_dbm": -48.0, "provisional": "in"},
    ]
    summary = {"schema": 1, "gate": "dock-1", "from_us": 1, "to_us": 2, "reads": 12, "tags_total": 2, "tags": seen}
    own_house.owner.execute(
        "INSERT INTO gate_readings VALUES (%s, 'dock-1', clock_timestamp(), %s, 12)",
        [own_house.warehouse.company_id, json.dumps(summary)],
    )
    expect(gate.locator("li").filter(has_text="Lamp").locator(".provisional")).to_have_text("In?")
    expect(gate.locator(".provisional")).to_have_count(1)
    before = own_house.warehouse.fetch("SELECT count(*) FROM movements")
    assert own_house.warehouse.fetch("SELECT count(*) FROM observations WHERE epc = %s", tag) == [(0,)]
    own_house.warehouse.log.passage(tag, "in", 7200)
    now_us = own_house.warehouse.fetch("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint")[0][0]
    own_house.warehouse.record(own_house.warehouse.log.message(7), at_us=now_us)
    expect(page.locator("table.passages tbody tr").nth(0)).to_contain_text("In")
    expect(gate.locator(".provisional")).to_have_count(0)
    assert own_house.warehouse.fetch("SELECT count(*) FROM movements") == [(before[0][0] + 1,)]


def test_a_gateways_state_is_shown(page: Page, own_house: Any) -> None:
    sign_in(page, own_house)
    expect(page.locator("#count-gateways b")).to_have_text("0/2")
    status = {
        "devices": [{"name": "portal-1", "connected": True}, {"name": "portal-2", "connected": False}],
        "counters": {"portal-1.wrong_epc": 1200, "portal-1.reads": 5, "portal-2.unknown_eye": 0, "refused": 3},
    }
    own_house.owner.execute(
        "INSERT INTO gateway_status VALUES (%s, %s, now(), true, -3500000, %s)",
        [own_house.warehouse.company_id, own_house.warehouse.gateways["gw-1"][0], json.dumps(status)],
    )
    expect(page.locator("#count-gateways b")).to_have_text("1/2")
    row = page.locator("#gateways li").filter(has_text="MAIN/gw-1")
    expect(row).to_contain_text("Online")
    expect(row).to_contain_text("clock 3.5 s behind")
    expect(row).to_contain_text(re.compile(r"left out: portal-1\.wrong_epc 1,200$"))
    expect(row.locator(".chip[data-look=bad]")).to_have_text("portal-2")
    own_house.owner.execute("UPDATE gateway_status SET online = false, received_at = now()")
    expect(row).to_contain_text("Offline")


def test_a_difference_is_red_and_plain_to_see(page: Page, own_house: Any) -> None:
    change = (
        "UPDATE turnovers t SET debit = debit + %s FROM accounts a"
        " WHERE a.account_id = t.account_id AND a.role = 'goods'"
    )
    own_house.owner.execute(change, [1])
    sign_in(page, own_house)
    agreement = page.locator("#agreement")
    expect(agreement).to_have_attribute("data-agrees", "false")
    expect(agreement).to_contain_text("Stock value ≠ ledger")
    expect(agreement.locator(".difference dd")).to_have_text("−0.01CNY")
    own_house.owner.execute(change, [-1])
    own_house.owner.execute("SELECT pg_notify('tallygate_commits', '{\"company\": 1}')")
    expect(agreement).to_have_attribute("data-agrees", "true")


def test_the_page_speaks_chinese_and_english(page: Page, house: Any) -> None:
    sign_in(page, house, "fang", "zh")
    expect(page.locator("#agreement")).to_contain_text("库存价值 = 总账")
    expect(page.locator("table.movements tbody tr").nth(0)).to_contain_text("销售出库")
    expect(page.locator("article.entry").filter(has_text="SO-9")).to_contain_text("主营业务成本")
    page.click("text=English")
    expect(page.locator("#agreement")).to_contain_text("Stock value = ledger")


def test_a_service_that_goes_and_comes_is_said_and_survived(page: Page, own_house: Any) -> None:
    sign_in(page, own_house)
    page.route("**/live**", lambda route: route.abort())
    own_house.web.server.config.app.state.live_feed.close()  # ends the stream as a going server does
    expect(page.locator("#connection")).to_have_attribute("data-state", "reconnecting")
    expect(page.locator("#connection")).to_contain_text("Reconnecting")
    expect(page.locator("table.passages tbody tr")).to_have_count(6)  # what is known stays
    own_house.web.server.config.app.state.live_feed._closed = False
    page.unroute("**/live**")
    expect(page.locator("#connection")).to_have_attribute("data-state", "live")


def test_who_is_signed_out_elsewhere_is_asked_to_sign_in(page: Page, own_house: Any) -> None:
    sign_in(page, own_house)
    own_house.owner.execute("DELETE FROM sessions")
    own_house.owner.execute("SELECT pg_notify('tallygate_commits', '{\"company\": 1}')")
    page.wait_for_url("**/sign-in")


def test_signing_out_leads_back_to_the_form(page: Page, house: Any) -> None:
    sign_in(page, house)
    page.click("text=Sign out")
    page.wait_for_url("**/sign-in")
    page.goto(house.web.address)
    page.wait_for_url("**/sign-in")


def test_the_page_fits_a_phone(chromium: Browser, house: Any) -> None:
    with chromium.new_context(viewport={"width": 360, "height": 740}, is_mobile=True, has_touch=True) as context:
        context.set_default_timeout(WAIT_MS)
        page = context.new_page()
        sign_in(page, house)
        expect(page.locator("table.movements tbody tr").nth(0)).to_be_visible()
        wide = page.evaluate(
            "[...document.querySelectorAll('main *')]"
            ".filter((one) => one.getBoundingClientRect().right > innerWidth + 1)"
            ".map((one) => one.outerHTML.slice(0, 90))"
        )
        assert wide == []
        assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_markup_in_names_stays_text(page: Page, own_house: Any) -> None:
    evil = "<img src=x onerror='window.hurt=1'></script><script>window.hurt=1</script>"
    own_house.owner.execute("UPDATE items SET name_en = %s", [evil])
    own_house.owner.execute("UPDATE locations SET name = %s", [evil])
    own_house.owner.execute("UPDATE accounts SET name_en = %s", [evil])
    sign_in(page, own_house)
    expect(page.locator("table.movements tbody tr").nth(0)).to_contain_text("<img src=x")
    expect(page.locator("article.entry").nth(0)).to_contain_text("<script>")
    assert page.evaluate("window.hurt") is None
    assert page.locator("main img").count() == 0
