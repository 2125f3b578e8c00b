"""No route is open; a key may what its scopes say, in its own company, as long as it is in force."""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cloud.domain.access import Role, Scope
from cloud.domain.company import CompanySettings
from cloud.flows.api_keys import make_key
from cloud.flows.first_access import make_first_access, make_first_key, make_first_sign_in
from cloud.flows.set_up_company import set_up_company
from cloud.store.access import add_person
from tests.web_house import Client, person_with_key

OPEN_ROUTES = {("get", "/healthz"), ("get", "/readyz")}

SCOPE_OF = [
    ("GET", "/v1/items", Scope.READ),
    ("GET", "/v1/items/BOLT", Scope.READ),
    ("POST", "/v1/items", Scope.WRITE_MASTER),
    ("GET", "/v1/locations", Scope.READ),
    ("POST", "/v1/locations", Scope.WRITE_MASTER),
    ("POST", "/v1/parties", Scope.WRITE_MASTER),
    ("GET", "/v1/tags", Scope.READ),
    ("GET", "/v1/balances", Scope.READ),
    ("GET", "/v1/movements", Scope.READ),
    ("POST", "/v1/movements", Scope.WRITE_MOVEMENTS),
    ("POST", "/v1/expectations", Scope.WRITE_MOVEMENTS),
    ("GET", "/v1/work-orders", Scope.READ),
    ("POST", "/v1/work-orders", Scope.WRITE_MOVEMENTS),
    ("GET", "/v1/allocation-rules", Scope.FINANCE),
    ("POST", "/v1/allocation-rules", Scope.WRITE_MASTER),
    ("GET", "/v1/passages", Scope.READ),
    ("GET", "/v1/quarantine", Scope.READ),
    ("GET", "/v1/journal-entries", Scope.FINANCE),
    ("GET", "/v1/accounts", Scope.FINANCE),
    ("GET", "/v1/trace/E280", Scope.FINANCE),
    ("GET", "/v1/people", Scope.ADMIN),
    ("POST", "/v1/people", Scope.ADMIN),
    ("GET", "/v1/api-keys", Scope.ADMIN),
    ("POST", "/v1/api-keys", Scope.ADMIN),
]


def test_every_route_but_the_health_probes_asks_for_a_key(house: Any) -> None:
    described = house.admin.get("/v1/openapi.json").json()["paths"]
    asked = {(method, path) for path, operations in described.items() for method in operations} - OPEN_ROUTES
    assert len(asked) > 25
    for method, path in asked | {("get", "/v1/openapi.json")}:
        answer = house.http.request(method.upper(), path.replace("{", "").replace("}", ""), json={})
        assert answer.status_code == 401, (method, path)
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="tallygate"'
        assert answer.json()["type"] == "urn:tallygate:problem:unknown-key"


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json"])
def test_there_is_no_open_description_of_the_service(house: Any, path: str) -> None:
    assert house.http.get(path).status_code == 404


def test_the_health_probes_answer_everybody(house: Any) -> None:
    assert house.http.get("/healthz").json() == {"status": "alive"}
    assert house.http.get("/readyz").status_code == 200


@pytest.mark.parametrize(("method", "path", "scope"), SCOPE_OF)
def test_a_key_without_the_scope_is_told_which_one_it_lacks(
    house: Any, method: str, path: str, scope: Scope
) -> None:
    others = house.client(*(set(Scope) - {scope, Scope.ADMIN}))
    answer = house.http.request(method, path, json={}, headers=others.headers)
    assert answer.status_code == 403
    assert answer.json()["needed_scopes"] == [scope]
    assert f'error="insufficient_scope", scope="{scope}"' in answer.headers["WWW-Authenticate"]
    granted = house.http.request(method, path, json={}, headers=house.client(scope).headers)
    assert granted.status_code in (200, 404, 422)


def test_registering_a_tag_takes_both_writing_scopes(house: Any) -> None:
    body = {"epc": "E28000000000000000000077", "item": "BOLT"}
    for one in (Scope.WRITE_MASTER, Scope.WRITE_MOVEMENTS):
        assert house.client(one).post("/v1/tags", body).status_code == 403
    assert house.client(Scope.WRITE_MASTER, Scope.WRITE_MOVEMENTS).post("/v1/tags", body).status_code == 201


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer tg_000000000000_" + "0" * 64, "Basic dGc6dGc=", "Bearer \xe4", "Bearer tg__", "tg_1_2"],
)
def test_what_is_no_key_of_ours_opens_nothing(house: Any, authorization: str) -> None:
    headers = {"Authorization": authorization.encode("latin-1")}
    assert house.http.get("/v1/items", headers=headers).status_code == 401


def test_a_key_with_another_secret_is_no_key(house: Any) -> None:
    key = house.client(Scope.READ).key
    wrong = key[:-1] + ("0" if key[-1] != "0" else "1")
    assert Client(house.http, wrong).get("/v1/items").status_code == 401


def test_a_revoked_key_opens_nothing_and_revoking_again_changes_nothing(house: Any) -> None:
    client = house.client(Scope.READ)
    key_id = client.key.split("_")[1]
    first = house.http.delete(f"/v1/api-keys/{key_id}", headers=house.admin.headers)
    again = house.http.delete(f"/v1/api-keys/{key_id}", headers=house.admin.headers)
    assert (first.status_code, again.json()["revoked_at"]) == (200, first.json()["revoked_at"])
    assert client.get("/v1/items").status_code == 401


def test_an_expired_key_opens_nothing(house: Any) -> None:
    person = add_person(house.owner, house.warehouse.company_id, "Li", "zh", {}, [])
    key = make_key(house.owner, person, [Scope.READ], datetime.now(UTC) - timedelta(seconds=1))
    assert Client(house.http, key).get("/v1/items").status_code == 401


def test_the_key_of_somebody_who_left_opens_nothing(house: Any) -> None:
    person = add_person(house.owner, house.warehouse.company_id, "Zhao", "zh", {}, [])
    client = Client(house.http, make_key(house.owner, person, [Scope.READ]))
    assert client.get("/v1/items").status_code == 200
    house.owner.execute("UPDATE people SET active = false WHERE person_id = %s", [person])
    assert client.get("/v1/items").status_code == 401


def test_of_a_keys_secret_only_the_digest_is_kept(house: Any) -> None:
    _, key_id, secret = house.client(Scope.READ).key.split("_")
    row = house.owner.execute("SELECT * FROM api_keys WHERE key_id = %s", [key_id]).fetchone()
    assert hashlib.sha256(secret.encode()).digest() in row
    assert secret not in str(row)


def test_an_admin_adds_a_person_who_can_sign_in_and_a_key_for_them(house: Any) -> None:
    added = house.admin.post(
        "/v1/people",
        {"name": "王芳", "roles": ["keeper", "buyer"], "sign_in": "wangfang", "contacts": {"phone": "1"}},
    )
    assert added.status_code == 201
    person = added.json()
    assert (person["roles"], person["language"], len(person["password"])) == (["buyer", "keeper"], "zh", 20)
    stored = house.owner.execute("SELECT password FROM people WHERE person_id = %s", [person["id"]]).fetchone()[0]
    assert stored.startswith("$argon2id$")
    made = house.admin.post("/v1/api-keys", {"person": person["id"], "scopes": ["read"]})
    me = Client(house.http, made.json()["key"]).get("/v1/me").json()
    assert (me["person"], me["scopes"], me["company"]["currency"]) == ("王芳", ["read"], "CNY")
    listed = house.admin.everything("/v1/people", limit=1)
    assert "password" not in str(listed)
    assert [one["sign_in"] for one in listed if one["id"] == person["id"]] == ["wangfang"]
    assert "secret" not in str(house.admin.everything("/v1/api-keys", limit=2))
    twin = house.admin.post("/v1/people", {"name": "Other", "sign_in": "wangfang"})
    assert (twin.status_code, twin.json()["type"]) == (409, "urn:tallygate:problem:already-there")


def test_a_key_sees_and_changes_its_own_company_only(house: Any) -> None:
    other_id = set_up_company(house.owner, CompanySettings("other", "Other", "JPY", "Asia/Tokyo", "IFRS"))
    other = Client(house.http, person_with_key(house.owner, other_id, Scope.ADMIN))
    for path in ("items", "parties", "gates", "gateways", "tags", "expectations", "balances", "movements",
                 "passages", "journal-entries", "quarantine"):  # fmt: skip
        assert other.get(f"/v1/{path}").json()["data"] == [], path
        if path != "quarantine":
            assert house.admin.get(f"/v1/{path}").json()["data"] != [], path
    assert {one["code"] for one in other.everything("/v1/locations")} == {
        "SUPPLIER", "CUSTOMER", "IN-TRANSIT", "SCRAP", "PRODUCTION", "WORLD"
    }  # fmt: skip
    entry = house.admin.get("/v1/journal-entries").json()["data"][0]
    for what in (entry["lines"][0]["id"], entry["source"], "E28000000000000000000001"):
        assert other.get(f"/v1/trace/{what}").status_code == 404
    assert other.get("/v1/items/BOLT").status_code == 404
    assert other.get("/v1/expectations/1").status_code == 404
    key_id = house.client(Scope.READ).key.split("_")[1]
    assert house.http.delete(f"/v1/api-keys/{key_id}", headers=other.headers).status_code == 404
    somebody = house.admin.get("/v1/people").json()["data"][0]["id"]
    assert other.post("/v1/api-keys", {"person": somebody, "scopes": ["read"]}).status_code == 422


def test_the_first_key_and_sign_in_are_made_once_and_with_the_services_own_rights(database: Any, dsn: str) -> None:
    import psycopg

    api_dsn = database.dsn_of("tallygate_api")
    assert make_first_key(api_dsn) is None, "without a company there is nobody to give a key"
    with psycopg.connect(dsn, autocommit=True) as owner:
        set_up_company(owner, CompanySettings("demo", "Demo", "CNY", "Asia/Shanghai", "ASBE"))
        made = make_first_access(api_dsn)
        assert made.key is not None
        assert made.sign_in is not None
        assert made.sign_in.name == "admin"
        assert made.sign_in.password not in repr(made)
        assert made.key not in repr(made)
        rows = owner.execute(
            "SELECT name, role, password FROM people JOIN person_roles USING (person_id)"
        ).fetchall()
        assert [row[:2] for row in rows] == [("admin", Role.ADMIN)]
        assert rows[0][2].startswith("$argon2id$")
        again = make_first_access(api_dsn)
        assert (again.key, again.sign_in) == (None, None)
        set_up_company(owner, CompanySettings("second", "Second", "JPY", "Asia/Tokyo", "IFRS"))
        second = make_first_sign_in(api_dsn)
        assert second is not None
        assert second.name == "admin@second"
