"""`tallygate import …` and `tallygate company apply`, called as from a shell."""

import json
from pathlib import Path

import psycopg
import pytest

from cloud.imports.program import company_main, main
from standalone.warehouse import prepare
from tests.conftest import Database
from tests.order_lines import SMALL_DAY, write_lines

DEMO = Path(prepare.__file__).with_name("company.toml")


@pytest.fixture
def as_owner(database: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    monkeypatch.setenv("TALLYGATE_DSN", database.owner_dsn)
    return database


def test_a_company_an_item_list_and_expectations_come_in_by_command(
    as_owner: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    items, expected = tmp_path / "items.csv", tmp_path / "expected.csv"
    items.write_text("code,name_zh,name_en\nTEA,碧螺春,Tea\nMUG,,Mug\n", encoding="utf-8")
    expected.write_text(
        "gate,direction,item,kind,quantity,open_until\ndock-1,in,TEA,purchase_receipt,12,2026-11-30T18:00\n",
        encoding="utf-8",
    )
    assert company_main(["apply", str(DEMO)]) == 0
    assert company_main(["apply", str(DEMO)]) == 0
    assert main(["items", str(items), "--company", "demo"]) == 0
    for _ in range(2):
        assert main(["expectations", str(expected), "--company", "demo"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert said.out.splitlines() == [
        "company demo: 2 sites, 1 gates, 1 gateways, 0 items",
        "company demo: 2 sites, 1 gates, 1 gateways, 0 items",
        "2 items in demo, 2 of them new",
        "1 expectations in demo",
        "1 expectations in demo, all of them there already: nothing changed",
    ]


def test_a_trading_day_is_told_line_by_line(
    as_owner: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_lines(tmp_path / "small.parquet", SMALL_DAY)
    assert main(["online-retail", str(path)]) == 0
    told = capsys.readouterr().out
    assert "lines      20, each of them counted once:" in told
    assert "row 14, invoice 540013, code 'SP1002': expected five digits" in told
    assert "B 1, D 1, GIFT_0001_20 1, POST 1" in told
    assert "4 receipts of 108 pieces for 270.144 GBP before the day's first line, at 60 %" in told
    assert "made up" in told
    assert main(["online-retail", str(path), "--day", "2011-03-24", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["replayed"]
    assert answer["lines"] == sum(answer["fates"].values()) == 20
    assert answer["made_up"]["cost"] == {"amount": "270.144", "currency": "GBP"}
    assert not answer["sold"]["posted"]
    assert [aside["row"] for aside in answer["put_aside"]] == [14, 15, 16, 17, 18, 19]


def test_refusals_go_to_standard_error_and_exit_with_1(
    as_owner: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text("code,name_en\nA,a\nB,\n", encoding="utf-8")
    company_main(["apply", str(DEMO)])
    capsys.readouterr()
    for arguments, reason in (
        (["items", str(bad), "--company", "demo"], "bad.csv: line 3, column name_en: expected a name"),
        (["items", str(bad), "--company", "nobody"], "no company has the code 'nobody'"),
        (["online-retail", str(bad)], "expected a Parquet file"),
        (["online-retail", str(tmp_path / "absent")], "absent"),
    ):
        assert main(arguments) == 1
        said = capsys.readouterr()
        assert (said.out, reason in said.err) == ("", True), said.err
    other = tmp_path / "other.toml"
    other.write_text(DEMO.read_text(encoding="utf-8").replace("CNY", "EUR"), encoding="utf-8")
    assert company_main(["apply", str(other)]) == 1
    assert "expected currency CNY as its books are kept, got EUR" in capsys.readouterr().err


def test_who_may_not_make_a_company_is_told_so(
    database: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TALLYGATE_DSN", database.dsn_of("tallygate_api"))
    assert company_main(["apply", str(DEMO)]) == 1
    assert "permission denied" in capsys.readouterr().err
    with psycopg.connect(database.owner_dsn) as owner:
        assert owner.execute("SELECT count(*) FROM companies").fetchall() == [(0,)]


def test_without_a_database_it_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("TALLYGATE_DSN", raising=False)
    monkeypatch.delenv("TALLYGATE_DSN_FILE", raising=False)
    assert company_main(["apply", str(DEMO)]) == 1
    assert "neither TALLYGATE_DSN_FILE nor TALLYGATE_DSN is set" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["tea"],
        ["online-retail", "x", "--day", "24.3.2011"],
        ["items", "x"],
        ["items", "x", "--company", "c", "--encoding", "klingon"],
    ],
)
def test_a_wrong_call_exits_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 2
    assert "usage: tallygate import" in capsys.readouterr().err
