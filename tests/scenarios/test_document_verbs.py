"""`tallygate ledger drafts`, `documents` and `reverse` at a terminal."""

from collections.abc import Callable
from uuid import uuid4

import pytest
from psycopg.conninfo import make_conninfo

import tallygate
from cloud.domain.movement import Kind
from tests.makers import Warehouse
from tests.papers import bill, charge, of, party, sold
from tests.valuing import micro, move, receive

Terminal = Callable[..., tuple[int, str, str]]


@pytest.fixture
def terminal(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Terminal:
    """Run a command; (status, what it printed, what it complained)."""
    info = warehouse.owner.info
    monkeypatch.setenv("TALLYGATE_DSN", make_conninfo(info.dsn, password=info.password))

    def run(*words: str) -> tuple[int, str, str]:
        status = tallygate.main(["ledger", *words])
        told = capsys.readouterr()
        return status, told.out, told.err

    return run


def test_what_waits_is_shown_until_it_is_invoiced_and_documents_are_taken_back(
    warehouse: Warehouse, terminal: Terminal
) -> None:
    bolts = receive(warehouse, "BOLT", 10, "4.00")
    sale = move(warehouse, Kind.SALES_SHIPMENT, "BOLT", 4, "STORE", "CUSTOMER", 10, price_micro=micro("9.00"),
                party_id=party(warehouse, "customer", "SHOP"), document="SO-9")  # fmt: skip
    status, shown, _ = terminal("drafts", "demo")
    assert status == 0
    assert all(part in shown for part in ("SHOP", "SO-9", "BOLT", "36.00", "CNY", "waiting", str(sale)))
    made = charge(warehouse, "R-1", sold(sale))
    assert terminal("drafts", "demo")[1] == "demo: no shipment waits for its invoice\n"
    assert "posted" in terminal("drafts", "demo", "--all")[1]
    invoice = bill(warehouse, "INV-1", of(bolts, "4.00"))
    _, shown, _ = terminal("documents", "demo", "--kind", "supplier_invoice")
    assert str(invoice) in shown
    assert str(made) not in shown
    _, shown, _ = terminal("documents", "demo", "--id", str(made))
    assert "Dr 112201" in shown
    assert "36.00" in shown
    status, shown, _ = terminal("reverse", "demo", str(invoice), "--reason", "twice")
    assert status == 0
    assert shown.startswith(f"{invoice} is taken back by ")
    assert "was taken back before by" in terminal("reverse", "demo", str(invoice), "--reason", "twice")[1]
    assert "grni" in warehouse.accounts()


def test_what_cannot_be_taken_back_is_told(warehouse: Warehouse, terminal: Terminal) -> None:
    bolts = receive(warehouse, "BOLT", 10, "4.00")
    status, _, said = terminal("reverse", "demo", str(bolts))
    assert status == 2
    assert "is the entry of a purchase_receipt: correct the movement" in said
    assert terminal("reverse", "demo", str(uuid4()))[0] == 2
    assert terminal("documents", "demo", "--id", str(uuid4()))[0] == 1
