"""The page's JSON from the books' picture: figures as texts, strange readings without harm."""

from datetime import UTC, datetime

import msgspec
import pytest

from cloud.console.state import _unit_cost, show_picture
from cloud.domain.access import Company
from cloud.store.live import Agreement, Counts, GateNow, GatewayNow, Picture, TaggedItem

NOW = datetime(2026, 11, 22, 8, 15, tzinfo=UTC)


def company(minor_digits: int = 2) -> Company:
    return Company(1, "demo", "Demo", "CNY", minor_digits, "Asia/Shanghai", "ASBE")


def picture(agreement: Agreement | None = None, **parts: list) -> Picture:
    empty: dict = {
        name: []
        for name in (
            "gates",
            "gateways",
            "tagged_items",
            "passages",
            "movements",
            "balances",
            "pools",
            "layers",
            "entries",
        )
    }
    return Picture(
        agreement=agreement or Agreement(0, 0, 0), counts=Counts(0, 0, 0, 0, 0, 0), lines={}, **(empty | parts)
    )


def test_a_difference_of_one_minor_unit_is_no_agreement() -> None:
    shown = show_picture(company(), picture(Agreement(100_00, 99_99, 1)), NOW)["agreement"]
    assert shown == {"stock": "100.00", "ledger": "99.99", "difference": "0.01", "agrees": False}


def test_a_currency_without_minor_units_has_no_point() -> None:
    shown = show_picture(company(0), picture(Agreement(48_400, 48_400, 0)), NOW)["agreement"]
    assert (shown["stock"], shown["difference"], shown["agrees"]) == ("48400", "0", True)


@pytest.mark.parametrize(
    ("value", "qty", "text"),
    [
        (42_000_000, 10_000_000, "4.20"),
        (133_340_000, 4_000_000, "33.335"),
        (1_000_000, 3_000_000, "0.3333"),
        (-8_000_000, -2_000_000, "4.00"),
        (0, 5_000_000, "0.00"),
        (1, 0, None),
    ],
)
def test_a_unit_cost_is_for_people_and_has_at_most_four_digits(value: int, qty: int, text: str | None) -> None:
    assert _unit_cost(value, qty, 2) == text


def test_of_many_tags_at_a_gate_the_strongest_are_shown_and_the_rest_counted() -> None:
    tags = [{"epc": f"E{n:03}", "reads": n, "antennas": [1], "peak_rssi_dbm": -60.0} for n in range(1, 41)]
    gate = GateNow("g", "in", "out", NOW, {"reads": 820, "tags_total": 55, "tags": tags}, 9000)
    shown = show_picture(
        company(), picture(gates=[gate], tagged_items=[TaggedItem("E040", "BOLT", "螺栓", "Bolt")]), NOW
    )
    seen = shown["gates"][0]
    assert [tag["epc"] for tag in seen["tags"]][:2] == ["E040", "E039"]
    assert seen["tags"][0]["item"] == "BOLT"
    assert seen["tags"][1]["item"] is None
    assert len(seen["tags"]) + seen["more_tags"] == 55


def test_a_gate_and_a_gateway_that_were_never_heard_are_shown_as_such() -> None:
    shown = show_picture(
        company(),
        picture(
            gates=[GateNow("g", "in", "out", None, None, None)],
            gateways=[GatewayNow("MAIN", "gw-1", None, None, None, None, None)],
        ),
        NOW,
    )
    assert shown["gates"][0]["tags"] == []
    assert shown["gates"][0]["seen_at"] is None
    assert shown["gateways"][0]["heard_at"] is None


def test_a_gateway_whose_clock_names_the_year_60000_spoils_nothing() -> None:
    row = GatewayNow("MAIN", "gw-1", True, NOW, 2**62, {"oldest_unapplied_at_us": 2**62, "devices": []}, None)
    shown = show_picture(company(), picture(gateways=[row]), NOW)["gateways"][0]
    assert shown["waiting_since"] is None
    assert msgspec.json.encode(shown)
