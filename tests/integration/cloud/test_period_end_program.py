"""`tallygate ledger number | vouchers | carry-forward | spread` at the terminal."""

from collections.abc import Iterator
from decimal import Decimal

import psycopg
import pytest

from cloud.bookkeeping import program
from cloud.flows.set_standard import NewStandard, set_standards
from tests.conftest import Database
from tests.makers import Warehouse, make_warehouse
from tests.valuing import add_item, ask, at, micro, receive, sell


@pytest.fixture
def warehouse(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Warehouse]:
    """Ore at a standard of 10.00: 100 came @ 11.00, 40 are sold."""
    monkeypatch.setenv("TALLYGATE_DSN", database.owner_dsn)
    with (
        psycopg.connect(database.owner_dsn, autocommit=True) as owner,
        psycopg.connect(database.dsn_of("tallygate_ingest"), autocommit=True) as ingest,
    ):
        made = make_warehouse(owner, ingest)
        add_item(made, "ORE", "standard", item_class="raw_material")
        set_standards(owner, made.company_id, [NewStandard("ORE", micro("10"))], at(-10), "", "", ask())
        receive(made, "ORE", 100, "11")
        sell(made, "ORE", 40, 60)
        yield made
        made.check()


def test_the_end_of_a_year_at_the_terminal(warehouse: Warehouse, capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["spread", "demo", "--period", "2026-09"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "raw_material: variance 100.00 on 1000.00 at standard, 400.00 of it issued: 40.00 to issues",
        "demo 202609: 1 documents",
    ]
    assert program.main(["carry-forward", "demo", "--period", "2026-09"]) == 0
    assert program.main(["carry-forward", "demo", "--year", "2026"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "demo 2026-09-30: 1 documents, -440.00 to the year's profit, 0.00 to retained earnings",
        "demo 2026-12-31: 1 documents, 0.00 to the year's profit, -440.00 to retained earnings",
    ]
    assert warehouse.accounts()["retained_earnings"] == Decimal(440)
    assert program.main(["number", "demo", "--period", "2026-09"]) == 0
    assert program.main(["number", "demo"]) == 0
    assert capsys.readouterr().out.splitlines() == ["demo: 4 entries are numbered", "demo: 1 entries are numbered"]
    assert program.main(["vouchers", "demo", "--period", "2026-12"]) == 0
    first, *lines = capsys.readouterr().out.splitlines()
    assert first.startswith("记-1  2026-12-31  carry_forward  CF-2026-1  ")
    assert [line.split()[:2] + line.split()[-1:] for line in lines] == [
        ["Dr", "410406", "440.00"],
        ["Cr", "4103", "440.00"],
    ]


def test_what_has_no_number_yet_is_told(warehouse: Warehouse, capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["vouchers", "demo", "--period", "2026-09"]) == 0
    assert capsys.readouterr().out == "2 entries have no number yet\n"


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["number", "nobody"], "no company has the code 'nobody'"),
        (["number", "demo", "--period", "1990-01"], "there is no period 199001"),
        (["carry-forward", "demo", "--year", "1990"], "no period of the calendar ends on 1990-12-31"),
        (["spread", "demo", "--period", "1990-01"], "there is no period 199001"),
    ],
)
def test_what_cannot_be_is_refused(
    warehouse: Warehouse, capsys: pytest.CaptureFixture[str], argv: list[str], said: str
) -> None:
    assert program.main(argv) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "argv", [["number", "demo", "--period", "2026"], ["carry-forward", "demo", "--year", "26"]]
)
def test_what_is_no_period_or_year_is_said(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        program.main(argv)
    assert "expected a" in capsys.readouterr().err
