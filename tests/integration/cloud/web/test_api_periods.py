"""/v1/periods: who may close, what the answers say, and that a period goes one way."""

import pytest

from cloud.domain.access import Role, Scope
from cloud.flows.api_keys import make_key
from cloud.store.access import add_person
from tests.integration.cloud.web.conftest import House
from tests.web_house import Client

pytestmark = pytest.mark.editions


def client_of(house: House, role: Role, *scopes: Scope) -> Client:
    """A client of somebody new with this role."""
    person = add_person(house.owner, house.warehouse.company_id, f"Ms {role.title()}", "en", {}, [role])
    return Client(house.http, make_key(house.owner, person, scopes))


def test_a_period_is_closed_and_locked_over_the_api(own_house: House) -> None:
    finance = client_of(own_house, Role.FINANCE, Scope.FINANCE)
    listed = {one["id"]: one for one in finance.everything("/v1/periods")}
    assert (listed[202609]["state"], listed[202609]["changed_at"]) == ("open", None)
    checklist = finance.get("/v1/periods/202609/checklist").json()
    states = {one["name"]: one["state"] for one in checklist["items"]}
    assert states["stock_equals_ledger"] == "passed"
    assert checklist["passed"]

    refused = finance.post("/v1/periods/202609/lock", {})
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:tallygate:problem:cannot-close")
    assert "soft-closed before it is locked" in refused.json()["detail"]

    closed = finance.post("/v1/periods/202609/close", {"reason": "month end"})
    assert closed.status_code == 200, closed.text
    assert (closed.json()["state"], closed.json()["changed"]) == ("soft_closed", True)
    assert not finance.post("/v1/periods/202609/close", {}).json()["changed"]
    opened = finance.post("/v1/periods/202609/reopen", {"reason": "an invoice was forgotten"})
    assert opened.json() == {"period": 202609, "state": "open", "changed": True}
    finance.post("/v1/periods/202609/close", {})
    locked = finance.post("/v1/periods/202609/lock", {})
    assert locked.status_code == 200, locked.text
    assert finance.post("/v1/periods/202609/lock", {}).json()["report"] == locked.json()["report"]

    kept = finance.get("/v1/periods/202609/report").json()
    assert kept["report"] == locked.json()["report"]
    assert kept["recorded_by"].startswith("Ms Finance (")
    assert len(kept["digest"]) == 64
    after = {one["id"]: one for one in finance.everything("/v1/periods", limit=20)}
    assert (after[202609]["state"], after[202610]["state"]) == ("locked", "open")
    assert after[202609]["changed_by"].startswith("Ms Finance (")
    again = finance.post("/v1/periods/202609/reopen", {"reason": "please"})
    assert (again.status_code, "nothing opens it again" in again.json()["detail"]) == (409, True)


def test_a_failing_checklist_comes_with_the_refusal_and_can_be_forced(own_house: House) -> None:
    finance = client_of(own_house, Role.FINANCE, Scope.FINANCE)
    own_house.owner.execute("UPDATE companies SET clarification_days = 0")
    assert not finance.post("/v1/periods/202609/close", {}).json()["passed"]
    refused = finance.post("/v1/periods/202609/lock", {})
    assert refused.status_code == 409
    assert [one["name"] for one in refused.json()["items"]] == ["clarification_age"]
    unexplained = finance.post("/v1/periods/202609/lock", {"force": True})
    assert (unexplained.status_code, "expected a reason" in unexplained.json()["detail"]) == (409, True)
    forced = finance.post("/v1/periods/202609/lock", {"force": True, "reason": "counted by hand"})
    assert (forced.json()["passed"], forced.json()["report"]["forced"]) == (False, True)


def test_who_may_close(house: House) -> None:
    for path in ("close", "lock", "reopen"):
        without_scope = client_of(house, Role.FINANCE, Scope.READ).post(
            f"/v1/periods/202609/{path}", {"reason": "x"}
        )
        assert (without_scope.status_code, without_scope.json()["type"]) == (
            403, "urn:tallygate:problem:missing-scope",
        )  # fmt: skip
        keeper = client_of(house, Role.KEEPER, Scope.FINANCE).post(f"/v1/periods/202609/{path}", {"reason": "x"})
        assert (keeper.status_code, keeper.json()["type"]) == (403, "urn:tallygate:problem:missing-role")
    assert client_of(house, Role.KEEPER, Scope.FINANCE).get("/v1/periods/202609/checklist").status_code == 200
    assert house.client(Scope.READ).get("/v1/periods").status_code == 403
    house.owner.execute("UPDATE companies SET soft_close_roles = '{buyer}'")
    try:
        for role, status in ((Role.FINANCE, 403), (Role.BUYER, 409), (Role.ADMIN, 409)):
            answered = client_of(house, role, Scope.FINANCE).post("/v1/periods/202609/lock", {})
            assert answered.status_code == status
    finally:
        house.owner.execute("UPDATE companies SET soft_close_roles = DEFAULT")


def test_periods_that_are_not_there_and_reports_that_were_never_made(house: House) -> None:
    admin = client_of(house, Role.ADMIN, Scope.ADMIN)
    assert admin.get("/v1/periods/190001/checklist").status_code == 404
    assert admin.post("/v1/periods/190001/close", {}).status_code == 404
    assert admin.get("/v1/periods/202610/report").status_code == 404
    assert admin.post("/v1/periods/202610/reopen", {"reason": ""}).status_code == 422
    assert admin.post("/v1/periods/202610/close", {"forced": True}).status_code == 422
