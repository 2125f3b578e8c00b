"""Every error is problem details (RFC 9457), says what and where, and nothing of our insides."""

import json
from typing import Any

import httpx
import psycopg
import pytest

from cloud.api.limits import BODY_MAX_BYTES
from standalone.ports import free_port
from tests.web_house import start_web

MOVEMENT = {"kind": "purchase_receipt", "item": "BOLT", "quantity": "1", "from": "SUPPLIER", "to": "STORE"}


def problem(answer: httpx.Response, status: int, slug: str | None) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    body = answer.json()
    assert body["type"] == (f"urn:tallygate:problem:{slug}" if slug else "about:blank")
    assert body["status"] == status
    assert body["instance"] == f"urn:uuid:{answer.headers['X-Request-Id']}"
    assert body["title"]
    assert body["detail"]
    return body


def test_a_path_that_is_not_there(house: Any) -> None:
    assert problem(house.http.get("/v2/items"), 404, None)["detail"] == "there is nothing at /v2/items"


def test_a_thing_that_is_not_there(house: Any) -> None:
    assert "NO-SUCH" in problem(house.admin.get("/v1/items/NO-SUCH"), 404, "not-found")["detail"]


def test_a_method_that_is_not_possible_names_those_that_are(house: Any) -> None:
    answer = house.http.delete("/v1/balances", headers=house.admin.headers)
    problem(answer, 405, None)
    assert answer.headers["Allow"] == "GET"


def test_wrong_values_are_all_named_with_their_places(house: Any) -> None:
    body = {"movements": [MOVEMENT, MOVEMENT | {"kind": "gift", "quantity": "-3", "colour": "red"}]}
    found = problem(house.admin.post("/v1/movements", body, Idempotency_Key="p1"), 422, "wrong-value")
    assert {error["pointer"] for error in found["errors"]} == {
        "/movements/1/kind",
        "/movements/1/quantity",
        "/movements/1/colour",
    }
    assert "gift" not in json.dumps(found), "what was sent may be a secret in the wrong field"


def test_a_wrong_parameter_is_named(house: Any) -> None:
    found = problem(house.admin.get("/v1/items", limit=0), 422, "wrong-value")
    assert [error["pointer"] for error in found["errors"]] == ["query/limit"]


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"code": "\\ud800", "name_en": "x"}'])
def test_a_body_that_is_not_json_or_no_text(house: Any, body: bytes) -> None:
    answer = house.http.post(
        "/v1/items", content=body, headers=house.admin.headers | {"Content-Type": "application/json"}
    )
    assert answer.status_code in (400, 422)
    assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("text", ["a\x00b", "a\nb", "a\x1b[31m", "\x7f", "x" * 65, ""])
def test_control_characters_and_long_codes_are_refused(house: Any, text: str) -> None:
    problem(house.admin.post("/v1/items", {"code": text, "name_en": "X"}), 422, "wrong-value")


def test_a_nul_in_a_parameter_is_refused_by_the_database_and_told(house: Any) -> None:
    problem(house.admin.get("/v1/balances", item="a\x00b"), 422, "wrong-value")
    problem(house.http.get("/v1/items/a%00b", headers=house.admin.headers), 422, "wrong-value")


def test_a_body_beyond_the_bound_is_refused_unread(house: Any) -> None:
    answer = house.http.post("/v1/items", content=b" " * (BODY_MAX_BYTES + 1), headers=house.admin.headers)
    problem(answer, 413, "too-large")


def test_a_body_that_does_not_say_its_length_is_bounded_too(house: Any) -> None:
    def pieces() -> Any:
        for _ in range(20):
            yield b" " * (BODY_MAX_BYTES // 10)

    try:
        answer = house.http.post("/v1/items", content=pieces(), headers=house.admin.headers)
    except httpx.TransportError:
        return  # the server closed while we were still sending, which is an answer too
    problem(answer, 413, "too-large")


def test_our_own_fault_says_nothing_of_our_insides(own_house: Any) -> None:
    own_house.owner.execute("ALTER TABLE parties RENAME COLUMN name TO title")
    try:
        found = problem(own_house.admin.get("/v1/parties"), 500, "our-fault")
    finally:
        own_house.owner.execute("ALTER TABLE parties RENAME COLUMN title TO name")
    assert "name" not in json.dumps(found)
    assert "SELECT" not in json.dumps(found)


def test_books_that_somebody_holds_are_busy_not_broken(own_house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloud.store.pool.LOCK_TIMEOUT_MS", 200)
    web = start_web(own_house.api_dsn)
    try:
        with psycopg.connect(own_house.owner_dsn) as other, httpx.Client(base_url=web.address, timeout=30) as http:
            other.execute("LOCK TABLE items IN ACCESS EXCLUSIVE MODE")
            answer = http.get("/v1/items", headers=own_house.admin.headers)
        problem(answer, 503, "busy")
        assert int(answer.headers["Retry-After"]) > 0
    finally:
        web.stop()


def test_a_database_out_of_reach_is_a_503_that_asks_to_come_back(
    house: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cloud.store.pool.POOL_WAIT_S", 0.3)
    monkeypatch.setattr("cloud.api.health.READY_WAIT_S", 0.3)
    key = house.admin.headers
    nowhere = start_web(f"host=127.0.0.1 port={free_port()} dbname=x user=x connect_timeout=1")
    try:
        with httpx.Client(base_url=nowhere.address, timeout=30) as http:
            assert http.get("/healthz").status_code == 200
            answer = http.get("/v1/items", headers=key)
            problem(answer, 503, "database-unreachable")
            assert int(answer.headers["Retry-After"]) > 0
            problem(http.get("/readyz"), 503, "not-ready")
    finally:
        nowhere.stop()


def test_a_schema_that_lacks_a_migration_is_not_ready(own_house: Any) -> None:
    row = own_house.owner.execute(
        "DELETE FROM schema_migrations WHERE name LIKE '0003%%' RETURNING name"
    ).fetchone()
    probe = own_house.web.server.config.app.state.ready_probe
    probe._asked_at = float("-inf")
    found = problem(own_house.http.get("/readyz"), 503, "not-ready")
    assert row[0] in found["detail"]
    own_house.owner.execute("INSERT INTO schema_migrations (name) VALUES (%s)", row)
    probe._asked_at = float("-inf")
    assert own_house.http.get("/readyz").json()["schema"] == "right"


def test_readiness_reports_ingests_newest_lease(own_house: Any) -> None:
    probe = own_house.web.server.config.app.state.ready_probe
    for interval, word in (("30 seconds", "held"), ("-90 seconds", "lapsed")):
        own_house.owner.execute("UPDATE lane_leases SET expires_at = now() + %s::interval", [interval])
        probe._asked_at = float("-inf")
        said = own_house.http.get("/readyz").json()
        assert said["ingest_lease"] == word
        assert abs(said["ingest_lease_left_s"] - (30 if word == "held" else -90)) < 20


def test_answers_tell_browsers_to_be_careful(house: Any) -> None:
    headers = house.admin.get("/v1/items").headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "server" not in headers


def test_the_description_names_problems_and_examples(house: Any) -> None:
    described = house.admin.get("/v1/openapi.json").json()
    post = described["paths"]["/v1/movements"]["post"]
    assert "application/problem+json" in post["responses"]["422"]["content"]
    assert "HTTPValidationError" not in json.dumps(described)
    assert described["components"]["schemas"]["MovementsIn"]["examples"]
    assert described["components"]["securitySchemes"]["API key"]["scheme"] == "bearer"
