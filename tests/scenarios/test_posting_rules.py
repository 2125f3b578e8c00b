"""Stories of posting rules: added, ended, loaded, refused; what would be posted, and what nobody covers yet."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from cloud.domain.ledger.coverage import Lack
from cloud.domain.ledger.posting import POOL, PostingRule
from cloud.domain.ledger.rules import in_order
from cloud.domain.ledger.rules_shipped import POSTING_RULES
from cloud.domain.movement import MICRO, Kind
from cloud.flows.declare import CannotBook, Declared, declare_movements
from cloud.flows.ledger.check_coverage import check_coverage
from cloud.flows.ledger.dry_run import Rehearsal, dry_run
from cloud.flows.ledger.edit_rules import (
    NewRule,
    NoSuchRule,
    WrongRules,
    add_rules,
    end_rule,
    keep_shipped,
    keeps_shipped,
    load_rules,
)
from cloud.flows.record_value_events import Paper, PriceCorrection, correct_prices
from cloud.imports.csv_file import BadFile
from cloud.imports.import_expectations import import_expectations
from cloud.store.ledger import rules as store
from cloud.store.sql import statement
from tests.makers import NOON_US, SECOND_US, Warehouse

BY = "Mei"
DEEP_TABLES = (
    "movements", "value_events", "batches", "cost_entries", "consumption_links", "journal_entries", "journal_lines",
    "journal_drafts", "cloud_requests", "cost_pools", "cost_layers", "balances", "turnovers", "item_costs",
    "lane_heads", "dimension_sets", "lots",
)  # fmt: skip


def scrap(warehouse: Warehouse, pieces: int = 1, reason: str = "", at_s: int = 60, **more: Any) -> Declared:
    return row(warehouse, Kind.SCRAP, "STORE", "SCRAP", pieces, at_s, reason=reason, **more)


def row(
    warehouse: Warehouse, kind: Kind, source: str, target: str, pieces: int, at_s: int = 0, item: str = "BOLT",
    **more: Any,
) -> Declared:  # fmt: skip
    return Declared(
        kind, warehouse.items[item], pieces * MICRO, warehouse.places[source], warehouse.places[target],
        NOON_US + at_s * SECOND_US, **more,
    )  # fmt: skip


def stock(warehouse: Warehouse, pieces: int = 100, price: int = 4) -> Declared:
    return row(warehouse, Kind.PURCHASE_RECEIPT, "SUPPLIER", "STORE", pieces, price_micro=price * MICRO)


def declare(warehouse: Warehouse, key: str, *rows: Declared) -> list[str]:
    return declare_movements(warehouse.owner, warehouse.company_id, rows, key, b"\0" * 32).movement_ids


def add(warehouse: Warehouse, *rules: NewRule) -> list[int]:
    return [one.rule_id for one in add_rules(warehouse.owner, warehouse.company_id, rules, BY)]


def rehearse(warehouse: Warehouse, *rows: Declared, **more: Any) -> Rehearsal:
    return dry_run(warehouse.owner, warehouse.company_id, rows, **more)


def in_force(warehouse: Warehouse) -> list[PostingRule]:
    return [one.rule for one in store.rules(warehouse.owner, warehouse.company_id)]


def everything(warehouse: Warehouse) -> dict[str, Any]:
    """Row counts and heads."""
    counts = {table: warehouse.fetch(f"SELECT count(*) FROM {table}") for table in DEEP_TABLES}  # noqa: S608
    return counts | {"heads": warehouse.fetch("SELECT lane, batch_no, head FROM lane_heads ORDER BY lane")}


def opposite(warehouse: Warehouse, source: str) -> list[str]:
    """Roles of the accounts opposite the goods in a movement's entry."""
    rows = warehouse.fetch(
        "SELECT a.role FROM journal_lines l JOIN accounts a USING (company_id, account_id)"
        " WHERE l.source_id = %s AND a.role <> 'goods' ORDER BY l.line_no",
        source,
    )
    return [role for (role,) in rows]


def dimension(warehouse: Warehouse, kind: str, code: str) -> None:
    warehouse.owner.execute(
        "INSERT INTO dimension_values (company_id, type_id, code)"
        " SELECT company_id, type_id, %s FROM dimension_types WHERE company_id = %s AND code = %s",
        [code, warehouse.company_id, kind],
    )


def need(warehouse: Warehouse, role: str, kind: str, how: str) -> None:
    warehouse.owner.execute(
        "INSERT INTO account_dimensions (company_id, account_id, type_id, need)"
        " SELECT a.company_id, a.account_id, t.type_id, %s FROM accounts a JOIN dimension_types t USING (company_id)"
        " WHERE a.company_id = %s AND a.role = %s AND t.code = %s"
        " ON CONFLICT (company_id, account_id, type_id) DO UPDATE SET need = excluded.need",
        [how, warehouse.company_id, role, kind],
    )


# ── Which rule counts ──


@pytest.mark.parametrize(
    ("reason", "role"),
    [("", "loss"), ("damage", "admin_loss"), ("expiry", "write_down"), ("theft", "loss"), ("moths", "loss")],
)
def test_goods_are_scrapped_to_the_account_of_their_reason(warehouse: Warehouse, reason: str, role: str) -> None:
    declare(warehouse, "in", stock(warehouse))
    [made] = declare(warehouse, "out", scrap(warehouse, reason=reason))
    assert opposite(warehouse, made) == [role]


def test_the_database_hands_rules_out_in_the_order_in_which_they_count(warehouse: Warehouse) -> None:
    add(
        warehouse,
        NewRule(Kind.SCRAP, "admin_loss", POOL, item_class="goods", reason="moths", priority=3),
        NewRule(Kind.SCRAP, "admin_loss", POOL, site="EAST", reason="damage"),
        NewRule(Kind.SCRAP, "other_income", POOL, priority=-1),
    )
    query = statement("books", "rules")
    rows = warehouse.owner.execute(query, {"company": warehouse.company_id}).fetchall()
    assert [PostingRule(*one) for one in rows] == in_order(in_force(warehouse))


def test_a_rule_for_a_site_is_an_exception_to_the_general_one_whatever_their_age(warehouse: Warehouse) -> None:
    declare(warehouse, "in", stock(warehouse), replace(stock(warehouse), to_id=warehouse.places["EAST"]))
    add(warehouse, NewRule(Kind.COUNT_LOSS, "loss", POOL, site="EAST"))
    here, there = declare(
        warehouse, "out", *(row(warehouse, Kind.COUNT_LOSS, place, "WORLD", 1, 60) for place in ("STORE", "EAST"))
    )
    assert (opposite(warehouse, here), opposite(warehouse, there)) == (["clarification"], ["loss"])


def test_a_rule_that_ended_posts_no_more_and_stays_to_explain_what_it_posted(warehouse: Warehouse) -> None:
    declare(warehouse, "in", stock(warehouse))
    [number] = add(warehouse, NewRule(Kind.SCRAP, "other_income", POOL, priority=10))
    [before] = declare(warehouse, "before", scrap(warehouse))
    ended = end_rule(warehouse.owner, warehouse.company_id, number, BY)
    [after] = declare(warehouse, "after", scrap(warehouse))
    assert (opposite(warehouse, before), opposite(warehouse, after)) == (["other_income"], ["loss"])
    assert (ended.rule_id, ended.made_by, ended.ended_by) == (number, BY, BY)
    with pytest.raises(NoSuchRule, match=f"no rule {number} is in force"):
        end_rule(warehouse.owner, warehouse.company_id, number, BY)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE posting_rules SET credit_role = 'loss'",
        "UPDATE posting_rules SET ended_at = NULL, ended_by = NULL WHERE ended_at IS NOT NULL",
        "DELETE FROM posting_rules",
        "TRUNCATE posting_rules",
    ],
)
def test_the_database_refuses_to_change_a_rule(warehouse: Warehouse, change: str) -> None:
    [number] = add(warehouse, NewRule(Kind.SCRAP, "other_income", POOL, priority=10))
    end_rule(warehouse.owner, warehouse.company_id, number, BY)
    with pytest.raises(psycopg.Error) as refused:
        warehouse.owner.execute(change)  # type: ignore[arg-type]
    assert refused.value.sqlstate == "TG001"


# ── What is refused ──


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (NewRule(Kind.SCRAP, "loss", POOL), "rule 1, priority: one in force of the same priority can match"),
        (NewRule(Kind.SCRAP, "loss", POOL, site="MOON"), "rule 1, site: the company has no site 'MOON'"),
        (NewRule(Kind.SCRAP, "loss", POOL, site="STORE"), "rule 1, site: the company has no site 'STORE'"),
        (NewRule(Kind.SCRAP, "los", POOL, site="MAIN"), "rule 1, debit: expected pool or a role of the chart"),
        (NewRule(Kind.SCRAP, "loss", "cogs"), "rule 1, debit: scrap moves stock: one side must be pool"),
        (
            NewRule(Kind.SCRAP, "loss", POOL, item_class="fish"),
            "rule 1, item_class: expected raw_material or goods",
        ),
        (NewRule(Kind.SCRAP, "loss", POOL, reason=" "), "rule 1, reason: expected a text"),
        (NewRule(Kind.SCRAP, "loss", POOL, priority=5000), "rule 1, priority: expected -1000 … 1000, got 5000"),
        (NewRule(Kind.RECOSTING, "loss", POOL), "rule 1, kind: no rule covers recosting"),
        (
            NewRule(Kind.SCRAP, "loss", POOL, priority=1, dimensions={"project": "P7"}),
            "rule 1, dimensions: there is no project 'P7'",
        ),
        (
            NewRule(Kind.PURCHASE_RECEIPT, POOL, "grni", priority=1, dimensions={"cost_centre": "A1"}),
            "(grni) takes no cost_centre",
        ),
    ],
)
def test_a_rule_that_cannot_be_in_force_is_refused_and_changes_nothing(
    warehouse: Warehouse, wrong: NewRule, words: str
) -> None:
    dimension(warehouse, "cost_centre", "A1")
    before = in_force(warehouse)
    with pytest.raises(WrongRules) as refused:
        add(warehouse, NewRule(Kind.SCRAP, "loss", POOL, priority=7), wrong)
    assert words.replace("rule 1", "rule 2") in str(refused.value)
    assert in_force(warehouse) == before


def test_two_new_rules_that_only_their_age_would_tell_apart_are_refused(warehouse: Warehouse) -> None:
    with pytest.raises(WrongRules, match="rule 2, priority: rule 1 of the same priority can match the same scrap"):
        add(
            warehouse,
            NewRule(Kind.SCRAP, "loss", POOL, site="EAST", priority=5),
            NewRule(Kind.SCRAP, "cogs", POOL, item_class="goods", priority=5),
        )


# ── A whole set ──


def as_new(rules: Sequence[PostingRule]) -> list[NewRule]:
    return [
        NewRule(Kind(r.kind), r.debit_role, r.credit_role, reason=r.reason, priority=r.priority) for r in rules
    ]


def test_loading_a_set_ends_what_it_lacks_begins_what_is_new_and_keeps_the_rest(warehouse: Warehouse) -> None:
    wanted = [one for one in as_new(POSTING_RULES) if one.reason != "theft"]
    wanted.append(NewRule(Kind.SCRAP, "other_income", POOL, reason="sold", site="EAST", priority=1))
    before = in_force(warehouse)
    told = load_rules(warehouse.owner, warehouse.company_id, wanted, BY, dry_run=True)
    assert in_force(warehouse) == before
    done = load_rules(warehouse.owner, warehouse.company_id, wanted, BY)
    for changed in (told, done):
        assert [one.rule.reason for one in changed.ended] == ["theft"]
        assert [(one.rule.reason, one.site) for one in changed.added] == [("sold", "EAST")]
        assert changed.kept == len(POSTING_RULES) - 1
    assert len(in_force(warehouse)) == len(POSTING_RULES)
    again = load_rules(warehouse.owner, warehouse.company_id, wanted, BY)
    assert (again.ended, again.added, again.kept) == ([], [], len(POSTING_RULES))


def test_goods_shipped_not_invoiced_are_switched_on_and_off(warehouse: Warehouse) -> None:
    declare(warehouse, "in", stock(warehouse))

    def ship(key: str) -> list[str]:
        [made] = declare(warehouse, key, row(warehouse, Kind.SALES_SHIPMENT, "STORE", "CUSTOMER", 1, 60))
        return opposite(warehouse, made)

    assert ship("before") == ["cogs"]
    assert len(keep_shipped(warehouse.owner, warehouse.company_id, True, BY).added) == 2
    assert keeps_shipped(warehouse.owner, warehouse.company_id)
    assert keep_shipped(warehouse.owner, warehouse.company_id, True, BY).added == []
    assert ship("on") == ["shipped"]
    assert len(keep_shipped(warehouse.owner, warehouse.company_id, False, BY).ended) == 2
    assert not keeps_shipped(warehouse.owner, warehouse.company_id)
    assert ship("off") == ["cogs"]


# ── Dry runs ──


def told(rehearsal: Rehearsal) -> list[Any]:
    """Entries without what differs between a rehearsal and the booking itself."""
    return [
        (one.row, one.step, one.kind, one.posting_date, one.period_id, one.tags, one.document,
         [replace(line, source_id=None) for line in one.lines])
        for one in rehearsal.entries
    ]  # fmt: skip


def booked(warehouse: Warehouse, ids: list[str]) -> list[Any]:
    """The same of what is on the books."""
    entries: dict[Any, list[Any]] = {}
    rows = warehouse.owner.execute(
        "SELECT e.source_id, e.step, e.kind, e.posting_date, e.period_id, e.tags, e.document, l.line_no, a.number,"
        " a.name_zh, a.name_en, a.role, coalesce(d.code, ''), l.amount, l.currency, l.currency_amount"
        " FROM journal_entries e JOIN journal_lines l USING (company_id, source_id, step)"
        " JOIN accounts a USING (company_id, account_id)"
        " LEFT JOIN dimension_sets d ON d.company_id = l.company_id AND d.dimension_id = l.dimension_id"
        " WHERE e.source_id = ANY(%s::uuid[]) ORDER BY e.row_no, l.line_no",
        [ids],
    ).fetchall()
    for one in rows:
        entries.setdefault((str(one[0]), one[1]), []).append(store.EntryLine(None, *one[1:]))  # type: ignore[arg-type]
    return [
        (ids.index(source), step, lines[0].kind, lines[0].posting_date, lines[0].period_id, lines[0].tags,
         lines[0].document, lines)
        for (source, step), lines in entries.items()
    ]  # fmt: skip


def a_busy_day(warehouse: Warehouse) -> list[Declared]:
    """A receipt in a foreign currency, shipments beyond what is there, a late receipt, scrap with a cost centre."""
    [centre] = warehouse.fetch("SELECT dimension_id FROM dimension_sets WHERE code = 'cost_centre=A1'")[0]
    return [
        row(warehouse, Kind.PURCHASE_RECEIPT, "SUPPLIER", "STORE", 7, 10, price_micro=3_333_333,
            rate_nano=7_123_456_789, currency=840, document="PO-7"),
        row(warehouse, Kind.SALES_SHIPMENT, "STORE", "CUSTOMER", 150, 20, document="SO-1", price_micro=9 * MICRO),
        scrap(warehouse, 2, "damage", 5, dimension_id=centre),
        row(warehouse, Kind.PURCHASE_RECEIPT, "SUPPLIER", "STORE", 90, 30, price_micro=5 * MICRO),
        row(warehouse, Kind.TRANSFER_OUT, "STORE", "IN-TRANSIT", 3, 40),
        row(warehouse, Kind.INTERNAL_MOVE, "STORE", "YARD", 3, 41),
    ]  # fmt: skip


def make_ready(warehouse: Warehouse) -> None:
    dimension(warehouse, "cost_centre", "A1")
    need(warehouse, "admin_loss", "cost_centre", "allowed")
    add(warehouse, NewRule(Kind.SCRAP, "admin_loss", POOL, reason="dust", dimensions={"cost_centre": "A1"}))
    declare(warehouse, "in", stock(warehouse))


def test_a_dry_run_tells_the_entries_that_are_booked_afterwards(warehouse: Warehouse) -> None:
    make_ready(warehouse)
    rows = a_busy_day(warehouse)
    rehearsed = rehearse(warehouse, *rows)
    assert rehearsed.would_be_booked
    entries = told(rehearsed)
    assert entries == booked(warehouse, declare(warehouse, "day", *rows))
    assert len(entries) >= len(
        rows
    )  # the shortage's adjustment is an entry of its own, the internal move has none
    assert any(line.currency == 840 for one in rehearsed.entries for line in one.lines)
    assert any(line.dimensions == "cost_centre=A1" for one in rehearsed.entries for line in one.lines)
    assert {n: (one.rule.debit_role, one.rule.credit_role) for n, one in rehearsed.rules.items()} == {
        0: (POOL, "grni"), 1: ("cogs", POOL), 2: ("admin_loss", POOL), 3: (POOL, "grni"), 4: (POOL, POOL),
    }  # fmt: skip


def test_a_dry_run_leaves_nothing_behind(warehouse: Warehouse) -> None:
    make_ready(warehouse)
    before = everything(warehouse)
    for _ in range(2):
        rehearse(warehouse, *a_busy_day(warehouse))
        assert everything(warehouse) == before
    warehouse.check()


def test_a_dry_run_of_value_events_tells_their_entries(warehouse: Warehouse) -> None:
    [receipt] = declare(warehouse, "in", stock(warehouse, 10))
    before = everything(warehouse)

    def dearer(connection: psycopg.Connection, request: Any) -> Any:
        one = PriceCorrection(UUID(receipt), price_micro=5 * MICRO)
        paper = Paper(NOON_US + 9 * SECOND_US, "INV-1")
        return correct_prices(connection, warehouse.company_id, [one], paper, request)

    rehearsed = rehearse(warehouse, value_events=dearer)
    [entry] = rehearsed.entries
    assert [(line.role, line.amount) for line in entry.lines] == [("goods", 1000), ("grni", -1000)]
    assert entry.row is None
    assert entry.rule is not None
    assert entry.rule.rule.kind == Kind.PRICE_CORRECTION
    assert everything(warehouse) == before


def test_a_dry_run_tells_why_each_row_is_refused_and_what_the_others_post(warehouse: Warehouse) -> None:
    declare(warehouse, "in", stock(warehouse))
    need(warehouse, "admin_loss", "cost_centre", "required")
    warehouse.owner.execute("UPDATE accounts SET valid_to = '2020-01-01' WHERE role = 'write_down'")
    theft = [
        one.rule_id for one in store.rules(warehouse.owner, warehouse.company_id) if one.rule.reason == "theft"
    ]
    assert theft
    rows = [
        scrap(warehouse, 1, "damage"),
        scrap(warehouse, 1, "theft"),
        scrap(warehouse, 1, "expiry"),
        replace(scrap(warehouse), qty_micro=0),
        row(warehouse, Kind.TRANSFER_OUT, "STORE", "CUSTOMER", 1, 60),
    ]
    rehearsed = rehearse(warehouse, *rows)
    assert [one.row for one in rehearsed.refused] == [0, 2, 3, 4]
    assert [one.why.split(" ")[-3:] for one in rehearsed.refused[:1]] == [["for", "a", "cost_centre"]]
    assert "is not valid on 2026-09-2" in rehearsed.refused[1].why
    assert "quantity: expected 1" in rehearsed.refused[2].why
    assert "joins two pools, but only one side is stock" in rehearsed.refused[3].why
    assert [one.row for one in rehearsed.entries] == [1]
    assert not rehearsed.would_be_booked
    with pytest.raises(CannotBook):
        declare(warehouse, "all", *rows)


# ── Coverage ──


def uncovered(warehouse: Warehouse) -> list[str]:
    return [one.sentence for one in check_coverage(warehouse.owner, warehouse.company_id)]


def end_rules(warehouse: Warehouse, kind: Kind) -> None:
    for one in store.rules(warehouse.owner, warehouse.company_id, kind=kind):
        end_rule(warehouse.owner, warehouse.company_id, one.rule_id, BY)


def test_the_rules_that_ship_cover_everything(warehouse: Warehouse) -> None:
    assert uncovered(warehouse) == []


def test_a_kind_without_a_rule_is_found_before_anything_happens(warehouse: Warehouse) -> None:
    end_rules(warehouse, Kind.SCRAP)
    assert uncovered(warehouse) == ["scrap: no posting rule covers it"]
    add(
        warehouse,
        NewRule(Kind.SCRAP, "loss", POOL, site="MAIN"),
        NewRule(Kind.SCRAP, "loss", POOL, reason="theft", priority=1),
    )
    assert uncovered(warehouse) == [
        "scrap anywhere else without a reason that a rule knows: no posting rule covers it"
    ]


def test_what_a_gate_expects_is_asked_with_its_own_terms(warehouse: Warehouse) -> None:
    later = datetime.now(UTC) + timedelta(days=1)
    warehouse.expect(Kind.SCRAP, "BOLT", 5, open_until=later)
    warehouse.expect(Kind.SCRAP, "LAMP", 5, open_until=later)
    end_rules(warehouse, Kind.SCRAP)
    found = check_coverage(warehouse.owner, warehouse.company_id)
    assert [(one.expectations, one.site) for one in found] == [(0, None), (2, "MAIN")]
    assert found[1].sentence.endswith("no posting rule covers it; 2 expectations from number 1 on")


def test_accounts_that_take_no_lines_are_found(warehouse: Warehouse) -> None:
    warehouse.owner.execute("UPDATE accounts SET valid_to = '2020-01-01' WHERE role = 'grni'")
    warehouse.owner.execute("UPDATE accounts SET is_postable = false WHERE role = 'in_transit'")
    found = check_coverage(warehouse.owner, warehouse.company_id)
    assert [(one.gap.lack, one.gap.role, one.gap.thing.kind) for one in found] == [
        (Lack.HEADER, "in_transit", None),
        (Lack.NOT_VALID, "grni", Kind.PURCHASE_RECEIPT),
        (Lack.NOT_VALID, "grni", Kind.SUPPLIER_RETURN),
        (Lack.NOT_VALID, "grni", Kind.PRICE_CORRECTION),
    ]


def test_a_dimension_that_nobody_can_name_blocks_and_one_that_a_person_can_is_told(warehouse: Warehouse) -> None:
    need(warehouse, "admin_loss", "cost_centre", "required")
    need(warehouse, "landed_clearing", "project", "required")
    found = check_coverage(warehouse.owner, warehouse.company_id)
    assert [(one.gap.role, one.gap.types, one.gap.blocks) for one in found] == [
        ("landed_clearing", ("project",), True),
        ("admin_loss", ("cost_centre",), False),
    ]
    assert found[1].sentence.endswith("asks for cost_centre; who declares it must name it")
    dimension(warehouse, "cost_centre", "A1")
    add(warehouse, NewRule(Kind.SCRAP, "admin_loss", POOL, reason="damage", priority=1,
                           dimensions={"cost_centre": "A1"}))  # fmt: skip
    assert [one.gap.role for one in check_coverage(warehouse.owner, warehouse.company_id)] == ["landed_clearing"]


def test_sightings_of_unknown_tags_are_counted_where_their_goods_could_not_be_posted(warehouse: Warehouse) -> None:
    warehouse.log.passage("E28000000000000000000BAD", "in", 10)
    warehouse.record(warehouse.log.message())
    end_rules(warehouse, Kind.UNEXPLAINED_IN)
    [found] = check_coverage(warehouse.owner, warehouse.company_id)
    assert (found.observations, found.gap.thing.kind) == (1, Kind.UNEXPLAINED_IN)
    assert found.sentence.endswith("1 sighting of tags without an item wait there")


def test_what_coverage_finds_is_what_would_be_refused(warehouse: Warehouse) -> None:
    """Every gap of rules is a refusal of the booking itself, and where there is none it is booked."""
    declare(warehouse, "in", stock(warehouse))
    end_rules(warehouse, Kind.SCRAP)
    add(
        warehouse,
        NewRule(Kind.SCRAP, "loss", POOL, reason="theft"),
        NewRule(Kind.SCRAP, "loss", POOL, item_class="raw_material", priority=1),
    )
    found = check_coverage(warehouse.owner, warehouse.company_id)
    [gap] = [one.gap.thing for one in found]
    assert (gap.item_class, gap.site, gap.reason) == ("goods", None, "")
    rehearsed = rehearse(warehouse, scrap(warehouse), scrap(warehouse, reason="theft"))
    assert [one.row for one in rehearsed.refused] == [0]


# ── What is expected at gates ──

EXPECTATIONS = """gate,direction,item,kind,quantity,open_until,reason,dimensions
dock-1,out,BOLT,scrap,10,2030-01-01T00:00:00Z,damage,{dimensions}
"""


def test_what_leaves_through_a_gate_is_posted_by_the_reason_and_dimensions_that_its_expectation_names(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    dimension(warehouse, "cost_centre", "A1")
    need(warehouse, "admin_loss", "cost_centre", "required")
    bolts = warehouse.tag(1)
    warehouse.expect(Kind.PURCHASE_RECEIPT, "BOLT", 10, price="4.20")
    file = tmp_path / "expected.csv"
    file.write_text(EXPECTATIONS.format(dimensions="cost_centre=A1"))
    import_expectations(warehouse.owner, file, "demo")
    warehouse.log.passage(bolts, "in", 0)
    warehouse.log.passage(bolts, "out", 3600)
    warehouse.record(warehouse.log.message())
    rows = warehouse.fetch(
        "SELECT a.role, d.code, l.amount FROM journal_lines l JOIN accounts a USING (company_id, account_id)"
        " JOIN dimension_sets d USING (company_id, dimension_id)"
    )
    assert rows == [("admin_loss", "cost_centre=A1", 4200)]


def test_an_expectation_of_dimensions_that_nobody_has_is_refused_with_its_line(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    file = tmp_path / "expected.csv"
    file.write_text(EXPECTATIONS.format(dimensions="project=P7"))
    with pytest.raises(BadFile, match="line 2, column dimensions: there is no project 'P7'"):
        import_expectations(warehouse.owner, file, "demo")
    assert warehouse.fetch("SELECT count(*) FROM expectations") == [(0,)]
