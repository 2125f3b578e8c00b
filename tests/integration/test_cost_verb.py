"""`tallygate cost`: every worked case with its published figures, and the verb as people call it."""

import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from cloud.cost_files.program import DIFFERS, main

CHECKOUT = Path(__file__).resolve().parent.parent.parent
CASES = CHECKOUT.parent / "shared/data/costing"
VERB_TIMEOUT_S = 100
# The cases' names of accounts, and ours. Goods out without an invoice is an account of its own in some books; ours
# debit cost of goods sold. What is received is owed as goods received not invoiced, opening stock of a case too,
# because a case has no type of its own for it.
ACCOUNTS = {
    "inventory": "inventory",
    "cogs": "cogs",
    "stock_out_or_cogs": "cogs",
    "grni": "grni",
    "grni_or_opening": "grni",
    "ppv": "ppv",
    "landed_cost_clearing": "landed_clearing",
    "inventory_writedown_expense": "write_down",
    "inventory_allowance": "allowance",
}
FIGURES = ("cogs", "closing_qty", "closing_value")
VARIANCES = ("price_variance", "quantity_variance", "total", "write_down")
# What is told beside the figures: what other systems answer, or a unit cost at a moment within the case.
STORIES = {"odoo_without_replay", "wrong_before", "consumed", "unit_after"}


def case_files() -> list[Path]:
    return sorted(CASES.glob("*.json"))


def near(got: str, expected: str, case: dict[str, Any]) -> bool:
    tolerance = Decimal(case.get("tolerance") or "0") + Decimal("0.000002")
    return abs(Decimal(got) - Decimal(expected)) <= tolerance


def costed(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> Any:
    assert main([str(argument) for argument in (*arguments, "--json")]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.shared
def test_the_worked_cases_are_there() -> None:
    if not case_files():
        pytest.skip("no worked cases: the data folder beside the project is missing")
    assert len(case_files()) >= 36


@pytest.mark.shared
@pytest.mark.parametrize("path", case_files(), ids=lambda path: path.stem)
def test_a_worked_case_comes_to_its_published_figures(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = json.loads(path.read_text(encoding="utf-8"))
    expected = case["expected"]
    got = costed(capsys, path)
    unseen = set(expected) - STORIES
    for name in unseen & set(FIGURES):
        assert near(got[name], expected[name], case), (name, got[name], expected[name])
        unseen.discard(name)
    for name in unseen & set(VARIANCES):
        assert near(got["variances"][name], expected[name], case), (name, got["variances"], expected[name])
        unseen.discard(name)
    if "layers" in unseen:
        assert [[Decimal(n) for n in layer] for layer in got["layers"]] == [
            [Decimal(n) for n in layer] for layer in expected["layers"]
        ]
    for name in unseen & {"cogs_by_issue", "cogs_by_issue_1e6"}:
        assert [Decimal(cost) for cost in got["cogs_by_issue"]] == [Decimal(cost) for cost in expected[name]]
    if "unit" in unseen:
        assert Decimal(got["closing_value"]) / Decimal(got["closing_qty"]) == Decimal(expected["unit"])
    if "journal" in unseen:
        journal = {line["account"]: (Decimal(line["debit"]), Decimal(line["credit"])) for line in got["journal"]}
        assert journal == {
            ACCOUNTS[line["account"]]: (Decimal(line["debit"]), Decimal(line["credit"]))
            for line in expected["journal"]
        }
    if "price_difference" in unseen:  # "5 (credit note 10 vs 15 issued)"
        assert Decimal(got["variances"]["price_difference"]) == Decimal(expected["price_difference"].split()[0])
    seen = {"layers", "cogs_by_issue", "cogs_by_issue_1e6", "unit", "journal", "price_difference"}
    assert unseen - seen == set(), "figures that nobody compares"


def test_the_keys_of_the_answer_are_those_promised(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "goods.csv"
    file.write_text("type,qty,unit_cost\nreceipt,10,2.5\nissue,4,\n", encoding="utf-8")
    assert costed(capsys, file, "--method", "fifo") == {
        "method": "fifo",
        "cogs": "10",
        "cogs_by_issue": ["10"],
        "closing_qty": "6",
        "closing_value": "15",
        "layers": [["6", "2.5"]],
        "adjustments": [],
        "variances": {},
        "journal": [
            {"account": "inventory", "debit": "25", "credit": "10"},
            {"account": "grni", "debit": "0", "credit": "25"},
            {"account": "cogs", "debit": "10", "credit": "0"},
        ],
    }


def test_the_front_door_opens_the_verb(tmp_path: Path) -> None:
    file = tmp_path / "goods.csv"
    file.write_text("type,qty,unit_cost\nreceipt,10,2.5\nissue,4,\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "tallygate", "cost", str(file), "--json"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
        timeout=VERB_TIMEOUT_S,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["method"] == "moving_average"


def test_a_bad_row_is_named_and_nothing_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "goods.csv"
    file.write_text(
        "type,qty,unit_cost,of\nreceipt,10,2.5,\n\nreciept,1,1,\nissue,four,,\nreceipt,1,-2,\n", encoding="utf-8"
    )
    assert main([str(file), "--json"]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    told = printed.err.splitlines()
    assert told[0].startswith("tallygate: goods.csv: line 4, column type: expected one of receipt, opening, issue")
    assert told[0].endswith("got reciept")
    assert told[1:] == [
        "goods.csv: line 5, column qty: expected a decimal number such as 12 or 0.25, got 'four'",
        "goods.csv: line 6, column unit_cost: expected a cost of 0 or more, got -2",
    ]


def test_a_comparison_shows_each_method_beside_the_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "goods.csv"
    file.write_text("type,qty,unit_cost\nreceipt,10,2\nreceipt,10,3\nissue,10,\n", encoding="utf-8")
    answer = costed(capsys, file, "--compare", "fifo,lifo,moving_average")
    assert [(one["method"], one["cogs"]) for one in answer["compare"]] == [
        ("fifo", "20"),
        ("lifo", "30"),
        ("moving_average", "25"),
    ]
    assert main([str(file), "--compare", "fifo,lifo,moving_average"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].split("  ")[-3:] == ["value left", "against fifo", "refused by"]
    assert [line.split()[0] for line in lines[3:]] == ["fifo", "lifo", "moving_average"]
    assert lines[4].split()[-3:] == ["+10.00", "ASBE,", "IFRS"]


def test_another_systems_method_is_found_from_its_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    goods, erp = tmp_path / "goods.csv", tmp_path / "erp.csv"
    goods.write_text(
        "type,qty,unit_cost,item\nreceipt,3,1,A\nreceipt,3,2,A\nreceipt,6,5,B\nissue,4,,A\nissue,2,,B\n",
        encoding="utf-8",
    )
    erp.write_text("issue,cost,item,closing_value\n1,6.00,A,\n2,10.00,B,\n,,A,3.00\n,,B,20\n", encoding="utf-8")
    assert main([str(goods), "--method", "fifo", "--reported", str(erp), "--json"]) == DIFFERS
    answer = json.loads(capsys.readouterr().out)
    assert answer["agrees"] is False
    of_a, of_b = answer["items"]
    assert of_a["reproduced_by"] == ["moving_average", "periodic_average"]
    assert of_a["first_difference"] == {"issue": 1, "at": "issue 1 (line 5)", "reported": "6", "ours": "5"}
    assert of_b["agrees"] is True
    assert "fifo" in of_b["reproduced_by"]
    assert main([str(goods), "--method", "moving_average", "--reported", str(erp)]) == 0


def test_a_report_on_goods_that_are_not_there_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    goods, erp = tmp_path / "goods.csv", tmp_path / "erp.csv"
    goods.write_text("type,qty,unit_cost\nreceipt,3,1\nissue,1,\n", encoding="utf-8")
    erp.write_text("issue,cost\n1,1\n2,1\n", encoding="utf-8")
    assert main([str(goods), "--reported", str(erp)]) == 1
    assert capsys.readouterr().err == (
        "tallygate: erp.csv: line 3, column issue: expected the number of one of the 1 issues\n"
    )


def test_a_method_that_is_none_is_a_wrong_call(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main([str(tmp_path / "goods.csv"), "--method", "hifo"])
    assert left.value.code == 2
    assert "expected one of moving_average, fifo" in capsys.readouterr().err


def test_a_file_that_is_not_there_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "goods.csv")]) == 1
    assert "goods.csv" in capsys.readouterr().err


def test_a_column_that_means_nothing_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "goods.csv"
    file.write_text("type,qty,unit_cots\nreceipt,3,1\n", encoding="utf-8")
    assert main([str(file)]) == 0
    assert capsys.readouterr().err == "tallygate: goods.csv: columns that mean nothing here: unit_cots\n"
