"""/v1: entries by hand, reversals, invoices, drafts, clearings, payments and trade in the group, over HTTP."""

import itertools
from collections.abc import Callable
from dataclasses import replace

import psycopg
import pytest

from cloud.domain.access import Scope
from cloud.domain.movement import Kind
from cloud.flows.ledger.edit_rules import keep_shipped
from cloud.flows.set_up_company import apply_description
from tests.integration.cloud.web.conftest import House
from tests.makers import DESCRIPTION
from tests.papers import number_of_role, party
from tests.valuing import micro, move, receive
from tests.web_house import Client, person_with_key

DAY = "2026-09-21"
_keys = itertools.count()

Role = Callable[[str], str]


def post(client: Client, path: str, body: object, key: str | None = None) -> dict:
    """What was made."""
    answer = client.post(path, body, Idempotency_Key=key or f"doc-{next(_keys)}")
    assert answer.status_code == 201, answer.text
    return answer.json()  # type: ignore[no-any-return]


def refused(client: Client, path: str, body: object) -> tuple[str, str]:
    """(Pointer, detail) of the first error."""
    answer = client.post(path, body, Idempotency_Key=f"doc-{next(_keys)}")
    assert answer.status_code == 422, answer.text
    [error, *_] = answer.json()["errors"]
    return error["pointer"], error["detail"]


def lines(document: dict) -> list[tuple[str, str | None, str | None]]:
    """(Account, debit, credit)."""
    return [(line["account"], line["debit"], line["credit"]) for line in document["lines"]]


@pytest.fixture(scope="module")
def role(house: House) -> Role:
    """Account numbers by role."""
    return lambda name: number_of_role(house.warehouse, name)


@pytest.fixture
def finance(house: House) -> Client:
    """Who may read and post money, and nothing else."""
    return house.client(Scope.FINANCE)


def entry(number: str, debit: str, credit: str, amount: str = "300", **more: object) -> dict:
    """An entry by hand of two lines."""
    return {
        "number": number,
        "date": DAY,
        "narration": "Rent of September",
        "lines": [{"account": debit, "debit": amount}, {"account": credit, "credit": amount}],
    } | more


def test_an_entry_by_hand_says_who_posted_it_and_is_posted_once(finance: Client, role: Role) -> None:
    body = entry("M-1", role("admin_loss"), role("bank"))
    made = post(finance, "/v1/journal-entries", body, "rent")
    assert (made["kind"], made["number"], made["period"]) == ("manual", "M-1", 202609)
    assert made["by"].startswith("Tester (")
    assert lines(made) == [(role("admin_loss"), "300.00", None), (role("bank"), None, "300.00")]
    again = finance.post("/v1/journal-entries", body, Idempotency_Key="rent")
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.json() == made
    other = finance.post("/v1/journal-entries", body | {"number": "M-2"}, Idempotency_Key="rent")
    assert other.status_code == 409
    assert finance.get(f"/v1/documents/{made['id']}").json() == made


def test_what_an_entry_may_not_say_is_a_problem_at_its_line(finance: Client, role: Role) -> None:
    bank, goods = role("bank"), role("goods")
    at, detail = refused(finance, "/v1/journal-entries", entry("M-3", bank, goods))
    assert at == "/lines/1/account"
    assert detail == f"account {goods} is a control account, written by its movements and documents only"
    assert refused(finance, "/v1/journal-entries", entry("M-3", "NONE", bank))[0] == "/lines/0/account"
    wrong = entry("M-3", bank, bank) | {
        "lines": [{"account": bank, "debit": "1"}, {"account": bank, "credit": "2"}]
    }
    assert refused(finance, "/v1/journal-entries", wrong) == (
        "/lines", "the lines do not balance: they sum to -100, not 0",
    )  # fmt: skip
    both = entry("M-3", bank, bank) | {
        "lines": [{"account": bank, "debit": "1", "credit": "1"}, {"account": bank, "credit": "2"}]
    }
    assert refused(finance, "/v1/journal-entries", both)[0] == "/lines/0"
    assert refused(finance, "/v1/journal-entries", entry("M-3", bank, bank, "1.234"))[0] == "/lines/0/debit"
    closed = entry("M-3", bank, bank) | {"date": "2066-01-01"}
    assert refused(finance, "/v1/journal-entries", closed) == ("/posting_date", "2066-01-01: no period covers it")
    assert refused(finance, "/v1/journal-entries", entry("M-3", bank, bank, currency="USD"))[0] == "/rate"
    assert refused(finance, "/v1/journal-entries", entry("M-3", bank, bank, currency="XXX"))[0] == "/currency"


def test_only_finance_posts(house: House, role: Role) -> None:
    reader = house.client(Scope.READ, Scope.WRITE_MOVEMENTS)
    for path in (
        "/v1/journal-entries",
        "/v1/clearings",
        "/v1/payments",
        "/v1/customer-invoices",
        "/v1/supplier-invoices",
    ):
        assert reader.post(path, {}, Idempotency_Key="none").status_code == 403
    assert reader.get("/v1/documents").status_code == 403
    assert reader.get("/v1/drafts").status_code == 403
    # What changes the cost of goods is for those who may write both.
    assert house.client(Scope.FINANCE).post("/v1/supplier-invoices", {}, Idempotency_Key="none").status_code == 403


def test_an_entry_is_taken_back_once(finance: Client, house: House, role: Role) -> None:
    made = post(finance, "/v1/journal-entries", entry("M-5", role("admin_loss"), role("bank")))
    back = post(finance, f"/v1/journal-entries/{made['id']}.0/reverse", {"reason": "twice"})
    assert (back["corrects"], back["narration"]) == (made["id"], "twice")
    assert finance.get(f"/v1/documents/{made['id']}").json()["corrected_by"] == back["id"]
    _, detail = refused(finance, f"/v1/journal-entries/{made['id']}/reverse", {})
    assert "was taken back before" in detail
    goods = receive(house.warehouse, "BOLT", 1, "4.00")
    _, detail = refused(finance, f"/v1/journal-entries/{goods}.0/reverse", {})
    assert detail.endswith("is the entry of a purchase_receipt: correct the movement, and its entry follows")
    for nobody in ("00000000-0000-0000-0000-000000000000", "nonsense", f"{made['id']}.x"):
        answer = finance.post(f"/v1/journal-entries/{nobody}/reverse", {}, Idempotency_Key="nobody")
        assert answer.status_code == 404


def test_a_suppliers_invoice_clears_receipts_and_is_paid(house: House, role: Role) -> None:
    buyer = house.client(Scope.FINANCE, Scope.WRITE_MOVEMENTS)
    party(house.warehouse, "supplier", "ACME")
    bolts = receive(house.warehouse, "BOLT", 10, "4.00")
    body = {
        "party": "ACME", "number": "INV-77", "date": DAY, "due": "2026-10-21",
        "rows": [{"receipt": str(bolts), "price": "4.50", "vat_rate": "0.13"},
                 {"account": role("admin_loss"), "net": "2"}],
    }  # fmt: skip
    made = post(buyer, "/v1/supplier-invoices", body)
    assert (made["party"], made["details"]["due"]) == ("ACME", "2026-10-21")
    assert sorted(lines(made)) == sorted([
        (role("grni"), "45.00", None), (role("admin_loss"), "2.00", None), (role("input_vat"), "5.85", None),
        (role("payables"), None, "52.85"),
    ])  # fmt: skip
    assert refused(buyer, "/v1/supplier-invoices", body)[0] == "/number"
    more = body | {"number": "INV-78", "rows": [{"receipt": str(bolts), "quantity": "1", "price": "4"}]}
    assert refused(buyer, "/v1/supplier-invoices", more)[0] == "/rows/0/quantity"
    assert refused(buyer, "/v1/supplier-invoices", more | {"party": "NOBODY"})[0] == "/party"
    [landed] = [{"landed_for": [str(bolts)], "net": "3.00", "by": "quantity"}]
    post(buyer, "/v1/supplier-invoices", body | {"number": "SHIP-78", "rows": [landed]})

    paid = post(
        buyer,
        "/v1/payments",
        {"number": "P-1", "date": DAY, "allocations": [{"item": made["id"], "amount": "50"}]},
    )
    assert lines(paid) == [(role("payables"), "50.00", None), (role("bank"), None, "50.00")]
    over = {"number": "P-2", "date": DAY, "allocations": [{"item": made["id"], "amount": "50"}]}
    assert refused(buyer, "/v1/payments", over)[0] == "/allocations/0/amount"
    rest = over | {"allocations": [{"item": made["id"]}], "charges": [{"account": role("admin_loss"), "amount": "1"}],
                   "amount": "-10", "side": "supplier", "party": "ACME"}  # fmt: skip
    advance = post(buyer, "/v1/payments", rest)
    assert (role("payables"), "6.15", None) in lines(advance)
    assert refused(buyer, "/v1/payments", rest | {"side": None})[0] == "/side"


def test_drafts_are_listed_invoiced_and_dismissed(house: House, finance: Client, role: Role) -> None:
    keep_shipped(house.owner, house.warehouse.company_id, True, "Mei")
    receive(house.warehouse, "BOLT", 10, "4.00")
    shop = party(house.warehouse, "customer", "SHOP")
    sales = [
        move(house.warehouse, Kind.SALES_SHIPMENT, "BOLT", 1, "STORE", "CUSTOMER", 10 + n, price_micro=micro("9.00"),
             party_id=shop, document="SO-1") for n in range(3)
    ]  # fmt: skip
    waiting = finance.everything("/v1/drafts", state="waiting", limit=2)
    assert [(one["shipment"], one["net"], one["party"]) for one in waiting] == [
        (str(one), "9.00", "SHOP") for one in sales
    ]
    made = post(
        finance, "/v1/customer-invoices",
        {"number": "R-1", "date": DAY, "rows": [{"shipment": str(sales[0]), "vat_rate": "0.13"},
                                                {"shipment": str(sales[1]), "net": "8.00"}]},
    )  # fmt: skip
    assert (role("receivables"), "18.17", None) in lines(made)
    assert (role("shipped"), None, "4.00") in lines(made)
    answer = finance.post(f"/v1/drafts/{sales[2]}/dismiss", {"reason": "a sample"})
    assert answer.status_code == 204
    assert finance.post(f"/v1/drafts/{sales[2]}/dismiss", {"reason": ""}).status_code == 422
    assert finance.post(f"/v1/drafts/{sales[0]}/dismiss", {"reason": "gone"}).status_code == 422
    assert (
        finance.post("/v1/drafts/00000000-0000-0000-0000-000000000000/dismiss", {"reason": "gone"}).status_code
        == 404
    )
    states = {
        one["shipment"]: (one["state"], one["invoice"], one["reason"]) for one in finance.everything("/v1/drafts")
    }
    assert states == {
        str(sales[0]): ("posted", made["id"], ""), str(sales[1]): ("posted", made["id"], ""),
        str(sales[2]): ("dismissed", None, "a sample"),
    }  # fmt: skip
    again = {"number": "R-2", "date": DAY, "rows": [{"shipment": str(sales[0])}]}
    assert refused(finance, "/v1/customer-invoices", again)[0] == "/rows/0/shipment"


def test_a_counted_loss_is_cleared(house: House, finance: Client, role: Role) -> None:
    receive(house.warehouse, "LAMP", 10, "20.00")
    lost = move(house.warehouse, Kind.COUNT_LOSS, "LAMP", 1, "STORE", "WORLD", 5000)
    body = {"number": "CL-1", "date": DAY, "rows": [{"item": str(lost), "amount": "5", "reason": "loss"}]}
    made = post(finance, "/v1/clearings", body)
    assert lines(made) == [(role("loss"), "5.00", None), (role("clarification"), None, "5.00")]
    assert (
        refused(finance, "/v1/clearings", body | {"rows": [{"item": str(lost), "amount": "500"}]})[0]
        == "/rows/0/amount"
    )
    post(finance, "/v1/clearings", body | {"rows": [{"item": str(lost)}]})


def test_goods_are_sold_within_the_group_by_each_companys_own_key(house: House, role: Role) -> None:
    settings = replace(DESCRIPTION.settings, code="sister", name="Sister")
    sister = apply_description(house.owner, replace(DESCRIPTION, settings=settings, gates=(), gateways=()))
    seller = house.client(Scope.FINANCE, Scope.WRITE_MOVEMENTS)
    buyer = Client(house.http, person_with_key(house.owner, sister, Scope.FINANCE, Scope.WRITE_MOVEMENTS))
    receive(house.warehouse, "STEEL", 10, "4.00")
    shipment = {
        "buyer": "sister", "number": "IC-9", "to": "CUSTOMER",
        "rows": [{"item": "STEEL", "quantity": "5", "price": "6.00", "from": "STORE"}],
    }  # fmt: skip
    made = post(seller, "/v1/group-shipments", shipment)
    assert lines(made) == [(role("group_receivable"), "30.00", None), (role("revenue"), None, "30.00")]
    receipt = {"seller": "demo", "number": "IC-9", "from": "SUPPLIER", "to": "STORE"}
    assert refused(buyer, "/v1/group-receipts", receipt | {"number": "IC-0"})[0] == "/number"
    assert refused(buyer, "/v1/group-receipts", receipt | {"to": "NOWHERE"})[0] == "/to"
    [received] = post(buyer, "/v1/group-receipts", receipt)["movement_ids"]
    [entry_of_it] = buyer.get("/v1/journal-entries", document="IC-9").json()["data"]
    assert (entry_of_it["source"], entry_of_it["kind"]) == (received, "group_receipt")
    # Nobody reads what was shipped to another.
    assert refused(seller, "/v1/group-receipts", receipt | {"seller": "sister"})[0] == "/number"


def test_documents_are_listed_by_kind_page_by_page(finance: Client) -> None:
    everything = finance.everything("/v1/documents", limit=3)
    assert len({one["id"] for one in everything}) == len(everything) > 8
    manual = finance.everything("/v1/documents", kind="manual", limit=1)
    assert [one["number"] for one in manual if one["corrects"] is None] == ["M-1", "M-5"]
    assert finance.get("/v1/documents/00000000-0000-0000-0000-000000000000").status_code == 404


def test_the_services_own_role_reads_no_more_than_it_must(house: House) -> None:
    """What the routes post, they post with the API's rights, which own nothing."""
    with psycopg.connect(house.api_dsn, autocommit=True) as connection:
        for table in ("ledger_documents", "journal_lines"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"DELETE FROM {table}")  # noqa: S608  a name of ours
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("UPDATE journal_drafts SET net_amount = 0")
