"""The chart and its dimensions through the API: listed, added to, changed as far as the books let it."""

from typing import Any

import httpx
import pytest

from cloud.domain.access import Scope


def patch(house: Any, path: str, body: dict[str, Any]) -> httpx.Response:
    found: httpx.Response = house.http.patch(path, json=body, headers=house.admin.headers)
    return found


def numbers(house: Any, **filters: object) -> list[str]:
    return [row["number"] for row in house.admin.everything("/v1/accounts", **filters)]


def test_the_chart_is_listed_by_number_with_balances_and_headers_sum_what_is_below(house: Any) -> None:
    rows = {row["number"]: row for row in house.admin.everything("/v1/accounts", limit=50)}
    assert list(rows) == sorted(rows)
    assert len(rows) == 168
    goods, header = rows["140501"], rows["1405"]
    below = [row for row in rows.values() if row["parent"] == "1405"]
    assert goods["role"] == "goods"
    assert (goods["is_control"], goods["is_header"], header["is_header"]) == (True, False, True)
    for column in ("debit", "credit", "balance"):
        assert float(header[column]) == pytest.approx(sum(float(row[column]) for row in below))
    assert float(header["balance"]) != 0
    assert rows["2221"]["balance"] == "0.00"
    assert rows["6001"]["dimensions"] == dict.fromkeys(
        ("cost_centre", "fund_source", "profit_centre", "project"), "allowed"
    )
    assert (goods["valid_from"], goods["valid_to"], goods["type"]) == (None, None, "asset")


def test_the_chart_is_filtered(house: Any) -> None:
    assert numbers(house, parent="222101", limit=3)[:2] == ["22210101", "22210102"]
    assert numbers(house, role="bank") == ["1002"]
    assert set(numbers(house, type="cost")) == {"5001", "5101", "5201", "5301"}
    assert "1405" in numbers(house, is_header=True)
    assert "1405" not in numbers(house, is_header=False)
    assert numbers(house, site="MAIN") == []
    assert house.admin.get("/v1/accounts", type="thing").status_code == 422


def test_an_account_is_added_found_changed_and_ended(own_house: Any) -> None:
    body = {
        "number": "660209", "name_zh": "管理费用——租赁费", "name_en": "Rent", "type": "expense", "parent": "6602",
        "dimensions": {"cost_centre": "required", "project": "allowed"},
    }  # fmt: skip
    added = own_house.admin.post("/v1/accounts", body)
    assert added.status_code == 201, added.text
    assert own_house.admin.get(added.headers["Location"]).json() == added.json()
    assert {name: added.json()[name] for name in body} == body
    assert own_house.admin.post("/v1/accounts", body).status_code == 409
    renamed = patch(own_house, "/v1/accounts/660209", {"name_en": "Leases", "dimensions": {"project": "required"}})
    assert (renamed.json()["name_en"], renamed.json()["dimensions"]) == ("Leases", {"project": "required"})
    assert renamed.json()["name_zh"] == body["name_zh"]
    moved = patch(own_house, "/v1/accounts/660209", {"number": "660210", "valid_to": "2026-06-30"})
    assert (moved.json()["number"], moved.json()["valid_to"]) == ("660210", "2026-06-30")
    assert own_house.admin.get("/v1/accounts/660209").status_code == 404
    assert "660210" in numbers(own_house, valid_on="2026-06-30")
    assert "660210" not in numbers(own_house, valid_on="2026-07-01")
    reopened = patch(own_house, "/v1/accounts/660210", {"valid_to": None})
    assert reopened.json()["valid_to"] is None
    assert patch(own_house, "/v1/accounts/9", {"name_en": "x"}).status_code == 404


def test_a_bank_account_is_split_and_the_role_goes_with_the_one_that_payments_use(own_house: Any) -> None:
    moved = patch(own_house, "/v1/accounts/1002", {"number": "100201", "name_en": "Bank, current account"})
    assert (moved.json()["role"], moved.status_code) == ("bank", 200)
    header = {"number": "1002", "name_en": "Cash at bank", "type": "asset", "is_header": True}
    assert own_house.admin.post("/v1/accounts", header).status_code == 201
    assert patch(own_house, "/v1/accounts/100201", {"parent": "1002"}).json()["parent"] == "1002"
    other = {"number": "100202", "name_en": "Bank, savings", "type": "asset", "parent": "1002", "role": "bank"}
    answer = own_house.admin.post("/v1/accounts", other).json()
    assert (answer["role"], answer["is_monetary"]) == ("bank", True)
    assert own_house.admin.get("/v1/accounts/100201").json()["role"] is None
    back = patch(own_house, "/v1/accounts/100201", {"role": "bank"})
    assert back.json()["role"] == "bank"


@pytest.mark.parametrize(
    ("number", "body", "pointer", "detail"),
    [
        ("6711", {"role": None}, "/role", "no account would stand for loss"),
        ("140501", {"valid_to": "2026-12-31"}, "/valid_to", "move the role before it ends"),
        ("140501", {"parent": "1403"}, "/parent", "1403 takes lines itself"),
        ("140501", {"number": "1409"}, "/number", "begins as that of its parent 1405"),
        ("140501", {"type": "cost"}, "/type", "expected asset"),
        ("1405", {"role": "tea"}, "/role", "takes no lines"),
        ("1002", {"role": "goods"}, "/role", "cost pools of site MAIN stand on it"),
        ("220201", {"is_header": True, "role": None}, "/is_monetary", "takes no lines"),
        ("6601", {"dimensions": {"tribe": "allowed"}}, "/dimensions", "no type of dimension 'tribe'"),
        ("6601", {"dimensions": {"project": "maybe"}}, "/dimensions/project", "'required' or 'allowed'"),
        ("6601", {"valid_from": "2026-02-01", "valid_to": "2026-01-01"}, "/valid_to", "expected a day from"),
        ("6601", {"number": "66 01"}, "/number", "pattern"),
        ("6601", {"colour": "red"}, "/colour", "Extra inputs"),
    ],
)
def test_what_the_books_or_the_chart_forbid_is_refused_with_its_field(
    house: Any, number: str, body: dict[str, Any], pointer: str, detail: str
) -> None:
    before = house.admin.everything("/v1/accounts")
    answer = patch(house, f"/v1/accounts/{number}", body)
    assert answer.status_code == 422, answer.text
    told = {error["pointer"]: error["detail"] for error in answer.json()["errors"]}
    assert detail in told[pointer], told
    assert house.admin.everything("/v1/accounts") == before


def test_one_site_has_an_account_of_its_own(own_house: Any) -> None:
    body = {"number": "640102", "name_en": "COGS East", "type": "expense", "parent": "6401", "role": "cogs"}
    assert own_house.admin.post("/v1/accounts", body | {"site": "EAST"}).json()["site"] == "EAST"
    assert numbers(own_house, site="EAST") == ["640102"]
    assert numbers(own_house, role="cogs") == ["640101", "640102"]
    answer = own_house.admin.post("/v1/accounts", body | {"number": "640103", "site": "NOWHERE"})
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/site"]


def test_changing_the_chart_takes_both_scopes(house: Any) -> None:
    body = {"number": "6604", "name_en": "x", "type": "expense"}
    for path, said in (("/v1/accounts", body), ("/v1/dimension-types", {"code": "z1", "name_en": "z"})):
        for one in (Scope.FINANCE, Scope.WRITE_MASTER):
            assert house.client(one).post(path, said).status_code == 403
        assert house.client(Scope.FINANCE, Scope.WRITE_MASTER).post(path, said).status_code == 201
    assert house.client(Scope.READ).get("/v1/accounts").status_code == 403
    assert house.client(Scope.FINANCE).get("/v1/dimension-values").status_code == 200


# ── Dimensions ──────────────────────────────────────────────────────────────────────────────────────


def test_types_of_dimension_ship_and_a_company_adds_its_own(own_house: Any) -> None:
    post, get = own_house.admin.post, own_house.admin.everything
    assert [one["code"] for one in get("/v1/dimension-types", limit=2)] == [
        "cost_centre", "fund_source", "profit_centre", "project",
    ]  # fmt: skip
    assert post("/v1/dimension-types", {"code": "season", "name_zh": "季节"}).status_code == 201
    assert post("/v1/dimension-types", {"code": "season", "name_zh": "季节"}).status_code == 409
    assert post("/v1/dimension-types", {"code": "tribe"}).json()["errors"][0]["pointer"] == "/name_en"
    renamed = patch(own_house, "/v1/dimension-types/season", {"name_en": "Season"})
    assert renamed.json() == {"code": "season", "name_zh": "季节", "name_en": "Season"}
    assert patch(own_house, "/v1/dimension-types/tribe", {"name_en": "x"}).status_code == 404
    account = patch(own_house, "/v1/accounts/6601", {"dimensions": {"season": "required"}})
    assert account.json()["dimensions"] == {"season": "required"}


def test_values_have_days_and_sets_are_spelled_by_them(own_house: Any) -> None:
    post, get = own_house.admin.post, own_house.admin.everything
    for code in ("A1", "A2", "B/7 甲"):
        assert post("/v1/dimension-values", {"type": "cost_centre", "code": code}).status_code == 201
    made = post(
        "/v1/dimension-values", {"type": "project", "code": "P7", "name": "Hall", "valid_from": "2026-01-01"}
    )
    assert made.json() == {
        "type": "project", "code": "P7", "name": "Hall", "valid_from": "2026-01-01", "valid_to": None,
    }  # fmt: skip
    assert post("/v1/dimension-values", {"type": "project", "code": "P7"}).status_code == 409
    for body, pointer in (
        ({"type": "tribe", "code": "x"}, "/type"),
        ({"type": "project", "code": "a=b"}, "/code"),
        ({"type": "project", "code": "b", "valid_from": "2026-02-01", "valid_to": "2026-01-01"}, "/valid_to"),
    ):
        assert post("/v1/dimension-values", body).json()["errors"][0]["pointer"] == pointer
    ended = patch(own_house, "/v1/dimension-values/project/P7", {"valid_to": "2026-12-31"})
    assert (ended.json()["valid_from"], ended.json()["valid_to"]) == ("2026-01-01", "2026-12-31")
    renamed = patch(own_house, "/v1/dimension-values/cost_centre/B%2F7%20%E7%94%B2", {"name": "Bee"})
    assert renamed.json()["name"] == "Bee"
    assert patch(own_house, "/v1/dimension-values/project/P8", {"name": "x"}).status_code == 404
    assert [one["code"] for one in get("/v1/dimension-values", limit=2)] == ["A1", "A2", "B/7 甲", "P7"]
    assert [one["code"] for one in get("/v1/dimension-values", type="project")] == ["P7"]
    assert get("/v1/dimension-values", type="project", valid_on="2027-01-01") == []

    values = {"project": "P7", "cost_centre": "A1"}
    first = post("/v1/dimension-sets", {"values": values, "day": "2026-05-01"})
    assert first.json() == {"code": "cost_centre=A1;project=P7", "values": values}
    assert post("/v1/dimension-sets", {"values": values, "day": "2026-05-01"}).json() == first.json()
    post("/v1/dimension-sets", {"values": {"cost_centre": "A2"}})
    late = post("/v1/dimension-sets", {"values": values, "day": "2027-01-01"})
    assert "project P7 is valid from 2026-01-01 to 2026-12-31" in late.json()["errors"][0]["detail"]
    assert [one["code"] for one in get("/v1/dimension-sets", limit=1)] == [
        "cost_centre=A1;project=P7", "cost_centre=A2",
    ]  # fmt: skip
    assert [one["code"] for one in get("/v1/dimension-sets", type="project", value="P7")] == [first.json()["code"]]
    assert get("/v1/dimension-sets", type="project", value="P8") == []
    assert own_house.admin.get("/v1/dimension-sets", value="P7").status_code == 422


def test_the_description_shows_how_to_add_and_change(house: Any) -> None:
    schemas = house.admin.get("/v1/openapi.json").json()["components"]["schemas"]
    for name in ("AccountIn", "AccountChangeIn", "TypeIn", "ValueIn", "ValueChangeIn", "SetIn"):
        assert schemas[name]["examples"]
