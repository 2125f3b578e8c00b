"""`tallygate ledger rules | coverage | dry-run` at the terminal."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cloud.bookkeeping import program
from cloud.domain.ledger.rules_shipped import POSTING_RULES
from cloud.flows.ledger.rule_file import BadRuleFile, read_rules, rules_csv, rules_toml
from cloud.store.ledger import rules as store
from tests.conftest import Database
from tests.makers import Warehouse, make_warehouse
from tests.valuing import receive


@pytest.fixture
def warehouse(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Warehouse]:
    """100 lamps came @ 4.00; cost centre A1 is there."""
    monkeypatch.setenv("TALLYGATE_DSN", database.owner_dsn)
    with (
        psycopg.connect(database.owner_dsn, autocommit=True) as owner,
        psycopg.connect(database.dsn_of("tallygate_ingest"), autocommit=True) as ingest,
    ):
        made = make_warehouse(owner, ingest)
        receive(made, "LAMP", 100, "4")
        owner.execute(
            "INSERT INTO dimension_values (company_id, type_id, code)"
            " SELECT company_id, type_id, 'A1' FROM dimension_types WHERE code = 'cost_centre'"
        )
        yield made
        made.check()


def in_force(warehouse: Warehouse) -> list[Any]:
    return [one.rule for one in store.rules(warehouse.owner, warehouse.company_id)]


def add(*more: str) -> int:
    return program.main(["rules", "add", "demo", "--kind", "scrap", "--credit", "pool", *more])


def test_rules_are_added_listed_and_ended(warehouse: Warehouse, capsys: pytest.CaptureFixture[str]) -> None:
    before = in_force(warehouse)
    terms = ("--reason", "dust", "--site", "MAIN", "--priority", "5", "--dimensions", "cost_centre=A1")
    assert add("--debit", "admin_loss", *terms) == 0
    told = capsys.readouterr().out
    assert "scrap [site MAIN, reason dust, priority 5]  admin_loss / pool  cost_centre=A1  by" in told
    number = told.split()[1]
    assert program.main(["rules", "list", "demo", "--kind", "scrap"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{number}  scrap [site MAIN"), "the rule that counts first stands first"
    assert len(lines) == 6
    assert program.main(["rules", "end", "demo", number]) == 0
    assert f"- {number}  scrap" in capsys.readouterr().out
    assert in_force(warehouse) == before
    assert program.main(["rules", "end", "demo", number]) == 2
    assert capsys.readouterr().err == f"tallygate ledger: no rule {number} is in force\n"
    assert add("--debit", "loss") == 2
    assert (
        "rule 1, priority: one in force of the same priority can match the same scrap" in capsys.readouterr().err
    )


@pytest.mark.parametrize("ending", ["toml", "csv"])
def test_what_is_exported_is_loaded_again_without_a_change(
    warehouse: Warehouse, tmp_path: Path, capsys: pytest.CaptureFixture[str], ending: str
) -> None:
    add(
        "--debit", "admin_loss", "--reason", 'a "dusty" shelf', "--dimensions", "cost_centre=A1", "--priority", "2"
    )
    before = in_force(warehouse)
    file = tmp_path / f"rules.{ending}"
    assert program.main(["rules", "export", "demo", str(file)]) == 0
    assert program.main(["rules", "load", "demo", str(file)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"demo: 0 rules ended, 0 begin, {len(before)} stay"
    assert in_force(warehouse) == before


def test_a_dry_run_of_a_set_tells_what_would_change_and_what_it_would_not_cover(
    warehouse: Warehouse, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = in_force(warehouse)
    file = tmp_path / "rules.csv"
    text = rules_csv(store.rules(warehouse.owner, warehouse.company_id))
    file.write_text("".join(line for line in text.splitlines(keepends=True) if not line.startswith("scrap")))
    assert program.main(["rules", "load", "demo", str(file), "--dry-run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line[0] for line in lines[:5]] == ["-"] * 5
    assert lines[5:] == [
        f"demo: 5 rules would end, 0 begin, {len(POSTING_RULES) - 5} stay",
        "uncovered: scrap: no posting rule covers it",
    ]
    assert in_force(warehouse) == before
    assert program.main(["coverage", "demo"]) == 0
    assert capsys.readouterr().out == "demo: everything is covered\n"
    assert program.main(["rules", "load", "demo", str(file)]) == 0
    capsys.readouterr()
    assert program.main(["coverage", "demo"]) == 1
    assert capsys.readouterr().out == "uncovered: scrap: no posting rule covers it\n"


def test_goods_shipped_are_switched_at_the_terminal(
    warehouse: Warehouse, capsys: pytest.CaptureFixture[str]
) -> None:
    assert program.main(["rules", "shipped", "demo", "on"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "demo: goods shipped not invoiced are on"
    assert len(in_force(warehouse)) == len(POSTING_RULES) + 2
    assert program.main(["rules", "shipped", "demo", "off"]) == 0
    assert len(in_force(warehouse)) == len(POSTING_RULES)


def test_what_a_file_of_movements_would_post(
    warehouse: Warehouse, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    moved = {"kind": "scrap", "item": "LAMP", "quantity": "2", "from": "STORE", "to": "SCRAP",
             "occurred_at": "2026-09-22T04:00:00Z", "document": "S-1"}  # fmt: skip
    [receipt] = warehouse.fetch("SELECT movement_id FROM movements WHERE kind = 1")[0]
    file = tmp_path / "movements.json"
    said: dict[str, Any] = {
        "movements": [moved | {"reason": "damage", "dimensions": {"cost_centre": "A1"}}],
        "value_events": {"kind": "price_correction", "rows": [{"receipt": str(receipt), "price": "5"}]},
    }
    before = warehouse.fetch("SELECT count(*) FROM journal_entries")
    file.write_text(json.dumps(said))
    assert program.main(["dry-run", "demo", str(file)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "movement 1  scrap  2026-09-22  period 202609  S-1"
    assert lines[1].startswith("  rule ")
    assert "[reason damage]  admin_loss / pool" in lines[1]
    assert [line.split()[:1] + line.split()[-1:] for line in lines[2:4]] == [["Dr", "8.00"], ["Cr", "8.00"]]
    assert "cost_centre=A1" in lines[2]
    assert lines[4].startswith("value event  price_correction  ")
    file.write_text(json.dumps({"movements": [moved, moved | {"kind": "transfer_out", "to": "CUSTOMER"}]}))
    assert program.main(["dry-run", "demo", str(file)]) == 1
    assert (
        capsys.readouterr().out.splitlines()[-1].startswith("refused: movement 2: movement kind 5 joins two pools")
    )
    assert warehouse.fetch("SELECT count(*) FROM journal_entries") == before


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"movements": [{"kind": "scrap"}]}', "Object missing required field `item`"),
        ('{"movements": [', "Input data was truncated"),
        ('{"moves": []}', "unknown field `moves`"),
        ('{"movements": [{"kind": "lost", "item": "A", "quantity": "1", "from": "A", "to": "B"}]}',
         "movements/0/kind: expected one of purchase_receipt"),
        ('{"movements": [{"kind": "scrap", "item": "A", "quantity": "x", "from": "A", "to": "B"}]}',
         "movements/0/quantity: "),
        ('{"movements": [{"kind": "scrap", "item": "A", "quantity": "1", "from": "A", "to": "B"}]}',
         "movement 1, item: no item 'A'"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_told(
    warehouse: Warehouse, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, words: str
) -> None:
    file = tmp_path / "movements.json"
    file.write_text(text)
    assert program.main(["dry-run", "demo", str(file)]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("r.toml", "rules = [1]", "r.toml: rule 1: expected a table, got 1"),
        ("r.toml", "rule = []", "r.toml: expected one list, rules, got rule"),
        ("r.toml", "rules = [", "r.toml: expected TOML: "),
        (
            "r.toml",
            'rules = [{kind = "scrap", debit = "loss"}]',
            "r.toml: rule 1: credit: expected a value, got none",
        ),
        (
            "r.toml",
            'rules = [{kind = 8, debit = "loss", credit = "pool"}]',
            "rule 1: kind: expected a text, got 8",
        ),
        ("r.toml", 'rules = [{kind = "scrap", debit = "loss", credit = "pool", why = "x"}]', "got 'why'"),
        ("r.csv", "kind,debit,credit\nscrape,loss,pool\n", "line 2: kind: expected one of purchase_receipt"),
        ("r.csv", "kind,debit,credit\nscrap,loss\n", "line 2: expected 3 cells, got 2"),
        (
            "r.csv",
            "kind,debit,credit,priority\nscrap,loss,pool,high\n",
            "line 2: priority: expected a whole number",
        ),
        ("r.csv", "kind,debit,credit,dimensions\nscrap,loss,pool,A1\n", "line 2: dimensions: expected type=value"),
        ("r.csv", "kind,kind\n", "line 1: a column stands there twice"),
    ],
)
def test_a_file_of_rules_that_cannot_be_read_is_told(name: str, text: str, words: str) -> None:
    with pytest.raises(BadRuleFile) as refused:
        read_rules(text, name)
    assert words in str(refused.value)


def test_both_forms_of_a_file_say_the_same(warehouse: Warehouse) -> None:
    rules = store.rules(warehouse.owner, warehouse.company_id)
    assert read_rules(rules_toml(rules), "r.toml") == read_rules(rules_csv(rules), "r.csv")
    assert len(read_rules(rules_toml(rules), "r.toml")) == len(POSTING_RULES)
