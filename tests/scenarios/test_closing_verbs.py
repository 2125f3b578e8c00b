"""`tallygate ledger periods|checklist|close|lock|reopen|report` as an accountant types them."""

import json

import pytest
from psycopg.conninfo import make_conninfo

import tallygate
from tests.late_goods import arrive, buy, sell
from tests.makers import Warehouse

AUGUST_S = -30 * 86_400  # 22 August; noon of the tests is on 21 September


@pytest.fixture
def books(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> Warehouse:
    """The warehouse with an August, named by the environment as an operator would."""
    info = warehouse.owner.info
    monkeypatch.setenv("TALLYGATE_DSN", make_conninfo(info.dsn, password=info.password))
    arrive(warehouse, [buy(1, 10, 4, AUGUST_S), sell(2, 4, AUGUST_S + 60)])
    return warehouse


def ledger(*words: str) -> int:
    return tallygate.main(["ledger", *words])


def test_a_month_is_closed_at_the_terminal(books: Warehouse, capsys: pytest.CaptureFixture[str]) -> None:
    assert ledger("checklist", "demo", "--period", "2026-08") == 0
    assert "✓ 存货价值与总账一致 · Stock value = ledger, in each account" in capsys.readouterr().out
    assert ledger("lock", "demo", "--period", "2026-08") == 2
    assert "soft-closed before it is locked" in capsys.readouterr().err
    assert ledger("close", "demo", "--period", "2026-08", "--by", "Wang Fang", "--reason", "month end") == 0
    assert "demo 202608 is now soft_closed" in capsys.readouterr().out
    assert ledger("reopen", "demo", "--period", "2026-08", "--reason", "an invoice") == 0
    assert ledger("close", "demo", "--period", "2026-08", "--by", "Wang Fang") == 0
    assert ledger("lock", "demo", "--period", "2026-08", "--by", "Wang Fang") == 0
    capsys.readouterr()
    assert ledger("periods", "demo") == 0
    lines = {line[:6]: line for line in capsys.readouterr().out.splitlines()}
    assert "2026-08-01 … 2026-08-31  locked" in lines["202608"]
    assert "Wang Fang" in lines["202608"]
    assert "  open" in lines["202609"]


def test_a_report_is_text_or_json(books: Warehouse, capsys: pytest.CaptureFixture[str]) -> None:
    assert ledger("report", "demo", "--period", "2026-08") == 2
    assert "was never closed" in capsys.readouterr().err
    ledger("close", "demo", "--period", "2026-08", "--by", "Wang Fang")
    capsys.readouterr()
    assert ledger("report", "demo", "--period", "2026-08") == 0
    text = capsys.readouterr().out
    for expected in ("# 结账报告 · Close report demo 202608", "关账 · soft-closed", "Wang Fang", "## 检查 · Checklist",
                     "| 合计 · total |", "24.00", "| lane 0 |"):  # fmt: skip
        assert expected in text, text
    assert ledger("report", "demo", "--period", "2026-08", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["period"], report["passed"], report["debit"]) == (202608, True, report["credit"])


def test_a_checklist_that_fails_ends_with_1_and_a_forced_close_does_not(
    books: Warehouse, capsys: pytest.CaptureFixture[str]
) -> None:
    books.log.passage(books.tag(1), "in", AUGUST_S + 120)  # nobody expects it
    books.record(books.log.message())
    books.owner.execute("UPDATE companies SET clarification_days = 0")
    assert ledger("checklist", "demo", "--period", "2026-08", "--json") == 1
    failed = [item["name"] for item in json.loads(capsys.readouterr().out) if item["state"] == "failed"]
    assert failed == ["clarification_age"]
    assert ledger("close", "demo", "--period", "2026-08") == 1
    assert ledger("close", "demo", "--period", "2026-08", "--force", "--reason", "known") == 0
    capsys.readouterr()
    assert ledger("lock", "demo", "--period", "2026-08") == 1
    told = capsys.readouterr()
    assert "✗" in told.out
    assert "the checklist fails" in told.err
    assert ledger("lock", "demo", "--period", "2026-08", "--force") == 2
    assert "expected a reason" in capsys.readouterr().err
    assert ledger("lock", "demo", "--period", "2026-08", "--force", "--reason", "counted by hand") == 0
    assert ledger("report", "demo", "--period", "2026-08") == 1
    assert "强制 · forced: counted by hand" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("checklist", "nobody", "--period", "2026-08"), "no company has the code 'nobody'"),
        (("checklist", "demo", "--period", "1900-01"), "there is no period 190001"),
        (("close", "demo", "--period", "1900-01"), "there is no period 190001"),
    ],
)
def test_what_is_not_there_is_named(
    books: Warehouse, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], told: str
) -> None:
    assert ledger(*words) == 2
    assert told in capsys.readouterr().err
