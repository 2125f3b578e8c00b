"""`tallygate ledger chart` and `tallygate ledger dimensions` at the terminal."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from cloud.bookkeeping import program
from cloud.domain.ledger.chart_file import read_chart
from cloud.domain.ledger.charts import chart_of
from tests.conftest import Database
from tests.makers import Warehouse, make_warehouse
from tests.valuing import receive

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def warehouse(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Warehouse]:
    monkeypatch.setenv("TALLYGATE_DSN", database.owner_dsn)
    with (
        psycopg.connect(database.owner_dsn, autocommit=True) as owner,
        psycopg.connect(database.dsn_of("tallygate_ingest"), autocommit=True) as ingest,
    ):
        made = make_warehouse(owner, ingest)
        yield made
        made.check()


def run(capture: Capture, *arguments: str) -> list[str]:
    """What a command that succeeds says."""
    capture.readouterr()
    assert program.main(arguments) == 0, capture.readouterr().err
    return capture.readouterr().out.splitlines()


def refused(capture: Capture, *arguments: str) -> list[str]:
    """What a command that is refused says."""
    capture.readouterr()
    assert program.main(arguments) == 2
    told = capture.readouterr()
    assert told.out == ""
    return told.err.splitlines()


@pytest.mark.parametrize("ending", ["toml", "csv"])
def test_an_exported_chart_loads_again_without_a_change(
    warehouse: Warehouse, tmp_path: Path, capsys: Capture, ending: str
) -> None:
    receive(warehouse, "BOLT", 10, "4")
    path = tmp_path / f"chart.{ending}"
    assert run(capsys, "chart", "export", "demo", str(path)) == [f"{path}: 168 accounts"]
    exported = read_chart(path.read_text("utf-8"), path.name).accounts
    assert exported == tuple(sorted(chart_of("ASBE"), key=lambda one: one.number))
    assert run(capsys, "chart", "load", "demo", str(path), "--remove") == ["demo: nothing differs"]
    assert run(capsys, "chart", "export", "demo")[0] == "accounts = ["


def test_a_dry_run_tells_what_a_load_then_does(warehouse: Warehouse, tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "more.csv"
    path.write_text(
        "number,name_zh,name_en,type,parent,header,dimensions\n"
        "6601,销售费用,Selling and marketing,expense,,true,\n"
        "660101,,Rent,expense,6601,,project=required\n",
        "utf-8",
    )
    expected = [
        "~ 6601 name_en Selling expenses → Selling and marketing, header false → true,"
        " dimensions cost_centre=allowed;fund_source=allowed;profit_centre=allowed;project=allowed → none",
        "+ 660101 Rent",
    ]
    would = run(capsys, "chart", "load", "demo", str(path), "--dry-run")
    assert would == [*expected, "demo: 2 accounts would change"]
    assert "660101" not in "".join(run(capsys, "chart", "show", "demo"))
    assert run(capsys, "chart", "load", "demo", str(path)) == [*expected, "demo: 2 accounts changed"]
    assert "  660101  Rent  expense  [project required]" in run(capsys, "chart", "show", "demo")
    assert run(capsys, "chart", "load", "demo", str(path)) == ["demo: nothing differs"]


def test_what_cannot_be_loaded_is_told_with_file_and_row_and_changes_nothing(
    warehouse: Warehouse, tmp_path: Path, capsys: Capture
) -> None:
    receive(warehouse, "BOLT", 10, "4")
    path = tmp_path / "wrong.csv"
    path.write_text("number,name_en,type\n7001,New,asset\n220201,Old,asset\n7002,,asset\n", "utf-8")
    assert refused(capsys, "chart", "load", "demo", str(path)) == [
        "tallygate ledger: wrong.csv: line 4: account 7002: name_en: expected a name, Chinese or English, got none"
    ]
    path.write_text("number,name_en,type\n7001,New,asset\n220201,Old,asset\n", "utf-8")
    told = refused(capsys, "chart", "load", "demo", str(path))
    assert "tallygate ledger: wrong.csv: line 3: account 220201, type: it has lines" in told[0]
    assert (
        "wrong.csv: line 3: account 220201, role: no account would stand for grni: name another one for it" in told
    )
    assert warehouse.fetch("SELECT 1 FROM accounts WHERE number = '7001'") == []
    few = tmp_path / "few.csv"
    few.write_text("number,name_en,type\n7001,New,asset\n", "utf-8")
    told = refused(capsys, "chart", "load", "demo", str(few), "--remove")
    assert "few.csv: not in the file: account 140501: it has lines or cost pools and is never deleted" in told[0]
    assert refused(capsys, "chart", "load", "demo", str(tmp_path / "chart.xls")) == [
        "tallygate ledger: expected a file .toml or .csv, got chart.xls"
    ]
    assert refused(capsys, "chart", "show", "nobody") == [
        "tallygate ledger: no company has the code 'nobody'; `tallygate company apply` makes one"
    ]


def test_a_chart_is_shown_as_of_a_day_with_sub_accounts_below_their_headers(
    warehouse: Warehouse, tmp_path: Path, capsys: Capture
) -> None:
    lines = run(capsys, "chart", "show", "demo")
    start = lines.index("2221  应交税费 · Taxes payable  liability  [sums]")
    assert lines[start + 1 : start + 3] == [
        "  222101  应交税费——应交增值税 · VAT payable  liability  [sums]",
        "    22210101  应交税费——应交增值税（进项税额） · Input VAT  liability  [input_vat]",
    ]
    assert (
        "  220201  应付账款——暂估 · Goods received not invoiced  liability  [grni, control, items, monetary]"
        in lines
    )
    path = tmp_path / "end.csv"
    path.write_text("number,name_en,type,valid_to\n6601,Selling,expense,2026-06-30\n", "utf-8")
    run(capsys, "chart", "load", "demo", str(path))
    assert "6601  Selling  expense  [up to 2026-06-30]" in run(
        capsys, "chart", "show", "demo", "--on", "2026-06-30"
    )
    assert not any("6601" in line for line in run(capsys, "chart", "show", "demo", "--on", "2026-07-01"))


def test_dimensions_are_loaded_shown_and_exported(warehouse: Warehouse, tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "own.toml"
    path.write_text(
        'types = [ { code = "season", name_zh = "季节", name_en = "Season" } ]\n'
        'values = [ { type = "season", code = "夏", name = "Summer" },\n'
        '           { type = "project", code = "P7", name = "Hall", valid_to = 2026-12-31 } ]\n',
        "utf-8",
    )
    expected = ["+ type season 季节 · Season", "+ season 夏 Summer", "+ project P7 Hall"]
    would = run(capsys, "dimensions", "load", "demo", str(path), "--dry-run")
    assert would == [*expected, "demo: 3 types and values would change"]
    assert run(capsys, "dimensions", "load", "demo", str(path))[-1] == "demo: 3 types and values changed"
    assert run(capsys, "dimensions", "show", "demo", "--type", "project") == [
        "project  项目 · Project",
        "  P7  Hall  from 0001-01-01 to 2026-12-31",
    ]
    assert run(capsys, "dimensions", "show", "demo", "--type", "project", "--on", "2027-01-01") == [
        "project  项目 · Project"
    ]
    for ending in ("toml", "csv"):
        again = tmp_path / f"again.{ending}"
        told = run(capsys, "dimensions", "export", "demo", str(again))
        assert told == [f"{again}: 5 types, 2 values"]
        assert run(capsys, "dimensions", "load", "demo", str(again)) == ["demo: nothing differs"]
    path.write_text('values = [ { type = "project", code = "P7", name = "New hall" } ]\n', "utf-8")
    told = run(capsys, "dimensions", "load", "demo", str(path))
    assert told[0] == "~ project P7 name Hall → New hall, valid_to 2026-12-31 → 9999-12-31"
    path.write_text('values = [ { type = "tribe", code = "x" } ]\n', "utf-8")
    assert "there is no type of dimension 'tribe'" in refused(capsys, "dimensions", "load", "demo", str(path))[0]
