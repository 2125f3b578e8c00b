"""The page of one passage in a real browser: a person sees why the gate decided so, and what came of it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from cloud.console.catalogue import texts
from cloud.domain.access import Role
from cloud.domain.movement import Kind
from cloud.flows.ledger.number_vouchers import number_vouchers
from cloud.flows.set_up_company import apply_description
from cloud.flows.sign_in import hash_password
from cloud.flows.sign_in import sign_in as open_session
from cloud.store.access import add_person
from tests.browser import WAIT_MS, sign_in, too_wide
from tests.makers import DESCRIPTION, gate_evidence
from tests.web_house import PASSWORD

WORLD = "外部 · The world outside"


@pytest.fixture
def tell(own_house: Any) -> Callable[..., str]:
    """Has a gateway tell of a passage with all its evidence; the passage's id."""

    def told(direction: str, at_s: float = 7000, number: int = 60, **more: Any) -> str:
        warehouse = own_house.warehouse
        changes = more.pop("changes", {})
        tag = warehouse.tag(number, "BOLT", 5)
        evidence = gate_evidence(direction, at_s) | changes
        one = warehouse.log.passage(tag, direction, at_s, evidence=evidence, **more)
        warehouse.record(warehouse.log.message(one.seq))
        return one.id

    return told


def test_a_person_sees_why_the_gate_said_out(page: Page, own_house: Any, tell: Callable[..., str]) -> None:
    warehouse = own_house.warehouse
    tell("in", 6000)
    warehouse.expect(Kind.SALES_SHIPMENT, "BOLT", 5, party="SHOP", document="SO-60")
    tell("out", 9000, confidence=0.97)
    number_vouchers(warehouse.owner, warehouse.company_id)
    sign_in(page, own_house)
    row = page.locator("table.passages tbody tr").nth(0)
    row.get_by_role("link", name="Out").click()
    page.wait_for_url("**/passages/*")
    verdict = page.locator(".verdict")
    expect(verdict.locator("h1")).to_have_text(f"Went out: from Store to {WORLD}")
    for text in (
        "The antennas inside saw the tag at its strongest first", "it went out", "97 %", "dock-1", "Bolt M8",
        "3110 ms", "its own reads", "MAIN/gw-1", "Stock was moved by it.",
    ):  # fmt: skip
        expect(verdict).to_contain_text(text)
    chart = page.locator("svg.rssi")
    expect(chart.locator("polyline")).to_have_count(4)
    expect(chart.locator("g[data-side=inside] circle")).to_have_count(2)
    expect(chart.locator("g[data-side=outside] rect")).to_have_count(2)
    expect(chart.locator(".crossed text")).to_have_text("crossed 2.00 s")
    expect(chart.locator(".course text")).to_have_text(["Outside 3", "Outside 4", "Inside 1", "Inside 2"])
    rows = page.locator("table.antennas tbody tr")
    assert [one.split("\t") for one in rows.all_inner_texts()] == [
        ["1", "Inside", "11", "0.00 … 4.00 s", "1.00 s · −48.0 dBm", "13.5 dB", "0.05"],
        ["2", "Inside", "12", "0.00 … 4.00 s", "1.00 s · −55.0 dBm", "13.5 dB", "0.10"],
        ["3", "Outside", "13", "0.00 … 4.00 s", "3.00 s · −47.0 dBm", "13.5 dB", "0.15"],
        ["4", "Outside", "14", "0.00 … 4.00 s", "3.00 s · −53.5 dBm", "13.5 dB", "0.20"],
    ]
    expect(page.locator("main")).to_contain_text(
        "7 of 8 tags that moved then crossed this way: Out; 0 the other way, 1 neither."
    )
    moved = page.locator(".moved li")
    expect(moved).to_have_count(1)
    for text in ("Sales shipment", "5 pcs BOLT", "SO-60", "SHOP", "记-"):
        expect(moved).to_contain_text(text)


def test_the_drawing_is_told_to_those_who_cannot_see_it(
    page: Page, own_house: Any, tell: Callable[..., str]
) -> None:
    one = tell("in")
    sign_in(page, own_house)
    page.goto(f"{own_house.web.address}/passages/{one}")
    chart = page.get_by_role("img", name="RSSI of each antenna over time")
    expect(chart).to_be_visible()
    expect(chart.locator("desc")).to_contain_text("Outside, antenna 3: strongest at 1.00 s · −47.0 dBm.")
    assert page.locator(".course-table tbody tr").count() == 64
    page.get_by_text("The drawing as a table").click()
    expect(page.locator(".course-table tbody tr").nth(0)).to_be_visible()
    # Sides differ by more than their colour.
    dashes = page.evaluate(
        "['inside', 'outside'].map((side) => getComputedStyle(document.querySelector("
        "`.course[data-side=${side}] polyline`)).strokeDasharray)"
    )
    assert dashes[0] == "none"
    assert dashes[1] != "none"


def test_labels_of_the_drawing_do_not_cover_each_other(
    page: Page, own_house: Any, tell: Callable[..., str]
) -> None:
    one = tell("out")
    sign_in(page, own_house)
    for width in (1280, 375):
        page.set_viewport_size({"width": width, "height": 800})
        page.goto(f"{own_house.web.address}/passages/{one}")
        boxes = page.evaluate(
            "[...document.querySelectorAll('.rssi .course text, .rssi .crossed text')]"
            ".map((one) => { const b = one.getBoundingClientRect(); return [b.left, b.top, b.right, b.bottom]; })"
        )
        drawing = page.locator(".rssi").bounding_box()
        assert drawing is not None
        for i, (left, top, right, bottom) in enumerate(boxes):
            assert drawing["x"] <= left
            assert right <= drawing["x"] + drawing["width"] + 1
            assert top >= drawing["y"] - 1
            for other in boxes[i + 1 :]:
                # Boxes of letters have some air above and below.
                apart = right <= other[0] or other[2] <= left or bottom <= other[1] + 4 or other[3] <= top + 4
                assert apart, (width, boxes)


def test_the_photo_eyes_are_drawn_where_the_evidence_has_them(
    page: Page, own_house: Any, tell: Callable[..., str]
) -> None:
    said = gate_evidence("in", 7000)
    begin = said["first_seen_us"]
    eyes = [
        {"eye": "outside", "from_us": begin + 1_500_000, "until_us": begin + 2_500_000},
        {"eye": "inside", "from_us": begin + 1_900_000, "until_us": None},
    ]
    one = tell("in", changes={"eyes": eyes})
    sign_in(page, own_house)
    page.goto(f"{own_house.web.address}/passages/{one}")
    expect(page.locator(".rssi .eye text")).to_have_text(["Photo-eye outside", "Photo-eye inside"])
    widths = [
        float(w)
        for w in page.locator(".rssi .eye rect").evaluate_all(
            "(all) => all.map((one) => one.getAttribute('width'))"
        )
    ]
    assert widths[0] == pytest.approx(160, abs=2)  # 1 s of 4 s of 640 units
    assert widths[1] == pytest.approx(336, abs=2)  # still broken at the end


def test_what_an_older_gateway_sent_is_shown_as_far_as_it_goes(
    page: Page, own_house: Any, tell: Callable[..., str]
) -> None:
    turned = own_house.admin.everything("/v1/passages", direction="turned_back")[0]
    sign_in(page, own_house)
    page.goto(f"{own_house.web.address}{turned['page']}")
    expect(page.locator("h1")).to_have_text(f"Turned back between {WORLD} and Store")
    expect(page.locator("main")).to_contain_text("The gateway gave no reason.")
    expect(page.locator("main")).to_contain_text("This gateway sent no RSSI course")
    expect(page.locator("main")).to_contain_text("Nothing is moved by it.")
    expect(page.locator("svg.rssi")).to_have_count(0)
    expect(page.locator("#order")).to_have_attribute("value", "0.9")


def test_of_two_gates_the_page_says_which_one_counts_and_leads_there(
    page: Page, own_house: Any, tell: Callable[..., str]
) -> None:
    weak = tell("in", 7000, gate="dock-1", confidence=0.5)
    tell("in", 7002, gate="dock-2", confidence=0.95)
    tell("out", 7003, gate="dock-2", confidence=0.9)
    sign_in(page, own_house)
    page.goto(f"{own_house.web.address}/passages/{weak}")
    seen = page.locator(".sightings li")
    expect(seen).to_have_count(2)
    expect(seen.nth(0)).to_contain_text("this one")
    # The first was booked and stays the mover where a surer one says the same.
    expect(seen.nth(0)).to_contain_text("Counts")
    expect(seen.nth(1)).to_contain_text("Evidence")
    seen.nth(1).get_by_role("link", name="dock-2").click()
    expect(page.locator(".verdict")).to_contain_text("Another gate saw the same crossing more surely")


def test_a_passage_that_was_undone_says_so(page: Page, own_house: Any, tell: Callable[..., str]) -> None:
    guess = tell("in", 7000, gate="dock-1", confidence=0.55)
    tell("out", 7002, gate="dock-2", confidence=0.98)
    sign_in(page, own_house)
    page.goto(f"{own_house.web.address}/passages/{guess}")
    expect(page.locator(".verdict .effect")).to_contain_text("was undone")
    expect(page.locator(".moved li")).to_have_count(2)
    expect(page.locator(".moved li .chip")).to_have_text("Correction")


def test_the_page_speaks_chinese_without_a_word_left_over(
    page: Page, own_house: Any, tell: Callable[..., str]
) -> None:
    one = tell("out")
    sign_in(page, own_house, "fang", "zh")
    page.goto(f"{own_house.web.address}/passages/{one}")
    expect(page.locator("h1")).to_have_text(f"出门：从Store到{WORLD}")
    expect(page.locator(".verdict")).to_contain_text("货物出门。")
    expect(page.locator("main")).to_contain_text("7 个同方向（出）")
    said = page.locator("main").inner_text()
    english = {
        text for key, text in texts("en").items() if key.startswith("why.") and len(text) > 8 and "{" not in text
    }
    assert [text for text in english if text in said] == []
    page.click("text=English")
    expect(page.locator("h1")).to_have_text(f"Went out: from Store to {WORLD}")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_page_fits_a_phone(chromium: Browser, own_house: Any, tell: Callable[..., str], language: str) -> None:
    one = tell("out")
    with chromium.new_context(viewport={"width": 360, "height": 740}, is_mobile=True, has_touch=True) as context:
        context.set_default_timeout(WAIT_MS)
        page = context.new_page()
        sign_in(page, own_house)
        page.goto(f"{own_house.web.address}/passages/{one}?lang={language}")
        expect(page.locator(".rssi")).to_be_visible()
        assert too_wide(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_markup_in_evidence_and_names_stays_text(page: Page, own_house: Any, tell: Callable[..., str]) -> None:
    evil = "</title></svg><img src=x onerror='window.hurt=1'><script>window.hurt=1</script>"
    eyes = [{"eye": evil, "from_us": None, "until_us": None}]
    one = tell("in", changes={"reason": evil, "decided_by": evil, "eyes": eyes})
    own_house.owner.execute("UPDATE items SET name_en = %s", [evil])
    own_house.owner.execute("UPDATE locations SET name = %s", [evil])
    sign_in(page, own_house)
    page.goto(f"{own_house.web.address}/passages/{one}")
    expect(page.locator(".reason")).to_contain_text("<img src=x")
    assert page.evaluate("window.hurt") is None
    assert page.locator("main img").count() == 0


@pytest.fixture
def browser_of(own_house: Any) -> Callable[[int], httpx.Client]:
    """Somebody of a company who is signed in, without a screen."""

    def client(company_id: int) -> httpx.Client:
        name = f"keeper-{company_id}"
        add_person(own_house.owner, company_id, name, "en", {}, [Role.KEEPER], name, hash_password(PASSWORD))
        session = open_session(own_house.web.server.config.app.state.pool, name, PASSWORD)
        assert session is not None
        return httpx.Client(
            base_url=own_house.web.address, cookies={"tallygate_session": session.cookie}, timeout=20
        )

    return client


def test_the_page_is_for_those_who_are_signed_in_and_for_their_own_company(
    own_house: Any, tell: Callable[..., str], browser_of: Callable[[int], httpx.Client]
) -> None:
    one = tell("in")
    answer = own_house.http.get(f"/passages/{one}")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/sign-in")
    settings = replace(DESCRIPTION.settings, code="other")
    other = apply_description(own_house.owner, replace(DESCRIPTION, settings=settings))
    with browser_of(other) as stranger:
        assert stranger.get(f"/passages/{one}").status_code == 404
    with browser_of(own_house.warehouse.company_id) as keeper:
        answer = keeper.get(f"/passages/{one}")
        assert answer.status_code == 200
        assert "style=" not in answer.text
        assert "<script" not in answer.text
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        for strange in ("nonsense", "00000000-0000-0000-0000-000000000000", "%00", "é" * 500):
            missing = keeper.get(f"/passages/{strange}")
            assert (missing.status_code, "No such passage" in missing.text) == (404, True)


STRANGE = [
    {},
    {"antennas": [{"antenna": 1, "side": "inside", "course": [[0, -50]]}]},
    {"antennas": [{"antenna": 1, "side": "inside", "course": [[2**61, -50], [0, 2**61]]}], "first_seen_us": 0},
    {"first_seen_us": 2**61, "last_seen_us": 1, "decided_at_us": 5, "peak_inside_us": 2**61, "order": -7},
    {"antennas": [{"antenna": n, "side": "inside", "course": [[n, -50]]} for n in range(30)]},
    {"group": {"direction": "up", "agreeing": 3, "contrary": 9, "moving": 0}, "reason": ";;"},
    {
        "eyes": [{"eye": "door", "from_us": 2**61, "until_us": 0}],
        "antennas": [None],
        "reason": "the moon was full",
    },
]


def test_strange_evidence_makes_a_page_all_the_same(
    own_house: Any, browser_of: Callable[[int], httpx.Client]
) -> None:
    warehouse = own_house.warehouse
    with browser_of(warehouse.company_id) as keeper:
        for number, evidence in enumerate(STRANGE):
            one = warehouse.log.passage(warehouse.tag(200 + number), "undecided", 100 + number, evidence=evidence)
            warehouse.record(warehouse.log.message(one.seq))
            for language in ("en", "zh"):
                answer = keeper.get(f"/passages/{one.id}?lang={language}")
                assert answer.status_code == 200, (evidence, answer.text)
                assert "nan" not in answer.text.lower().replace("finance", "")
