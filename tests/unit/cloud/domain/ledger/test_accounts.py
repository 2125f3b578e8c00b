"""What an account and a chart must be, and what the books forbid of a change."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from cloud.domain.ledger.accounts import (
    Account,
    AccountType,
    Need,
    Standing,
    WrongAccount,
    belongs_under,
    change_complaints,
    chart_complaints,
    differences,
)
from cloud.domain.ledger.charts import ASBE

JUNE, AUGUST = date(2026, 6, 1), date(2026, 8, 1)


def account(number: str, **more: Any) -> Account:
    said: dict[str, Any] = {"name_zh": "", "name_en": number, "type": AccountType.ASSET} | more
    return Account(number, **said)


def complaints(accounts: Sequence[Account], sites: Sequence[str] = ()) -> list[str]:
    return [str(one) for one in chart_complaints(accounts, ["project"], sites)]


@pytest.mark.parametrize(
    ("said", "column", "complaint"),
    [
        ({"number": ""}, "number", "expected 1 … 20 digits"),
        ({"number": "14 05"}, "number", "expected 1 … 20 digits"),
        ({"number": "1" * 21}, "number", "expected 1 … 20 digits"),
        ({"number": "~1405"}, "number", "expected 1 … 20 digits"),
        ({"name_en": ""}, "name_en", "expected a name, Chinese or English, got none"),
        ({"name_zh": "two\nlines"}, "name_zh", "on one line"),
        ({"name_zh": " blank"}, "name_zh", "on one line"),
        ({"valid_from": AUGUST, "valid_to": JUNE}, "valid_to", "expected a day from 2026-08-01 on"),
        ({"is_postable": False, "role": "bank"}, "role", "takes no lines"),
        ({"is_postable": False, "is_monetary": True}, "monetary", "takes no lines"),
        ({"is_postable": False, "dimensions": {"project": Need.ALLOWED}}, "dimensions", "takes no lines"),
        ({"site": "MAIN"}, "site", "an account without a role is for all sites"),
        ({"role": "pool"}, "role", "not 'pool'"),
        ({"role": "Bank"}, "role", "expected lower-case letters"),
        ({"role": "allowance", "site": "MAIN"}, "site", "one account for the whole company"),
        ({"role": "goods", "has_items": True}, "has_items", "expected False for the role goods"),
        ({"role": "shipped"}, "has_items", "expected True for the role shipped"),
        ({"role": "bank"}, "monetary", "expected True for the role bank"),
        ({"role": "goods", "is_monetary": True}, "monetary", "expected False for the role goods"),
    ],
)
def test_an_account_that_cannot_be_is_refused_with_its_field(
    said: dict[str, Any], column: str, complaint: str
) -> None:
    with pytest.raises(WrongAccount, match=complaint) as refused:
        account(**({"number": "1405"} | said))
    assert refused.value.column == column


@pytest.mark.parametrize(
    ("number", "parent", "answer"),
    [
        ("140501", "1405", True), ("22210101", "222101", True), ("1310", "1300", True), ("1300.1", "1300", True),
        ("1405", "1405", False), ("1405", "140501", False), ("1406", "1405", False), ("1300", "1310", False),
        ("2", "0", False),
    ],
)  # fmt: skip
def test_a_sub_accounts_number_begins_as_its_headers(number: str, parent: str, answer: bool) -> None:
    assert belongs_under(number, parent) is answer


def test_a_chart_has_each_number_and_role_once_and_headers_for_its_sub_accounts() -> None:
    header = account("14", is_postable=False)
    right = [header, account("1401", parent="14"), account("15", role="tea"), account("16", role="tea", site="N")]
    assert complaints(right, ["N"]) == []
    assert complaints([*right, account("14", is_postable=False)], ["N"])[-1].endswith("stands there twice")
    assert complaints([*right, account("17", role="tea")], ["N"]) == [
        "account 17, role: 15 stands for tea already"
    ]
    assert complaints(right) == ["account 16, site: the company has no site 'N'"]
    assert complaints([account("1401", parent="14")]) == ["account 1401, parent: there is no account 14"]
    assert complaints([account("15"), account("1501", parent="15")]) == [
        "account 1501, parent: 15 takes lines itself: it is no header"
    ]
    assert complaints([header, account("1501", parent="14")]) == [
        "account 1501, number: expected a number that begins as that of its parent 14"
    ]
    assert complaints([header, account("1401", parent="14", type=AccountType.COST)]) == [
        "account 1401, type: expected asset as its parent, got cost"
    ]
    assert complaints([account("15", dimensions={"tribe": Need.REQUIRED})]) == [
        "account 15, dimensions: there is no type of dimension 'tribe'"
    ]


# ── What the books forbid ───────────────────────────────────────────────────────────────────────────

USED = Standing(account("10"), lines=(JUNE, AUGUST))


def forbidden(
    now: Sequence[Standing], wanted: Sequence[Account], renumbered: dict[str, str] | None = None, **more: Any
) -> list[str]:
    by_number = {one.account.number: one for one in now}
    return [str(one) for one in change_complaints(by_number, wanted, renumbered or {}, **more)]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"is_postable": False}, "header: it has lines"),
        ({"type": AccountType.COST}, "type: it has lines: expected asset, got cost"),
        ({"has_items": True}, "has_items: it has lines: expected False"),
        ({"valid_to": date(2026, 7, 31)}, "valid_to: it has lines of a period that begins on 2026-08-01"),
        ({"valid_from": date(2026, 6, 2)}, "valid_from: it has lines of a period that begins on 2026-06-01"),
        ({"role": "payables", "has_items": True, "is_monetary": True}, "role: it has lines of its own"),
    ],
)
def test_an_account_with_lines_stays_what_it_is(change: dict[str, Any], complaint: str) -> None:
    wanted = [replace(USED.account, **change)]
    assert any(complaint in one for one in forbidden([USED], wanted))
    assert forbidden([replace(USED, lines=None)], wanted) == []


@pytest.mark.parametrize(
    "change",
    [{"name_en": "x"}, {"valid_to": AUGUST}, {"valid_from": JUNE}, {"is_monetary": True}, {"role": "tea"},
     {"dimensions": {"project": Need.REQUIRED}}],
)  # fmt: skip
def test_an_account_with_lines_may_change_what_they_do_not_depend_on(change: dict[str, Any]) -> None:
    assert forbidden([USED], [replace(USED.account, **change)]) == []


def test_an_account_with_lines_or_pools_is_never_deleted() -> None:
    assert forbidden([USED], []) == [
        "account 10: it has lines or cost pools and is never deleted; end it by valid_to"
    ]
    assert forbidden([replace(USED, lines=None, pool_sites=frozenset(["N"]))], []) != []
    assert forbidden([replace(USED, lines=None)], []) == []
    assert forbidden([USED], [account("11")], {"11": "10"}) == [], "renumbered, it is still there"


def test_the_account_of_a_role_is_valid_as_long_as_books_are_open() -> None:
    now = [Standing(account("10", role="loss"))]
    ended = forbidden(now, [account("10", role="loss", valid_to=AUGUST)])
    assert ended == ["account 10, valid_to: it stands for loss: move the role before it ends"]
    later = forbidden(now, [account("10", role="loss", valid_from=AUGUST)], unlocked_from=JUNE)
    assert "expected a day up to 2026-06-01" in later[0]
    assert forbidden(now, [account("10", role="loss", valid_from=JUNE)], unlocked_from=JUNE) == []


def test_a_role_that_programs_or_rules_name_always_has_an_account() -> None:
    loss, tea = Standing(account("10", role="loss")), Standing(account("11", role="tea"))
    assert forbidden([loss], [account("10")]) == [
        "account 10, role: no account would stand for loss: name another one for it"
    ]
    assert forbidden([loss], [account("10"), account("12", role="loss")]) == []
    assert forbidden([loss], [account("10"), account("12", role="loss", site="N")]) != []
    assert forbidden([tea], [account("11")]) == []
    assert forbidden([tea], [account("11")], needed=["tea"]) != []


GOODS = Standing(account("10", role="goods"), pool_sites=frozenset(["N", "S"]))


def test_a_role_of_stock_stays_where_its_cost_pools_are() -> None:
    moved = [account("10"), account("12", role="goods")]
    assert forbidden([GOODS], moved) == [
        "account 10, role: cost pools of site N stand on it: goods stays where it is",
        "account 10, role: cost pools of site S stand on it: goods stays where it is",
    ]
    assert forbidden([replace(GOODS, pool_sites=frozenset())], moved) == []
    kept = account("10", role="goods")
    assert forbidden([GOODS], [kept, account("12", role="goods", site="N")]) == [
        "account 10, role: cost pools of site N stand on it: goods stays where it is"
    ]
    assert forbidden([GOODS], [kept, account("12", role="goods", site="E")]) == []
    company = replace(GOODS, account=account("10", role="in_transit"), pool_sites=frozenset([""]))
    assert "cost pools stand on it" in forbidden([company], [account("10"), account("12", role="in_transit")])[0]
    assert forbidden([GOODS], [account("13", role="goods")], {"13": "10"}) == [], "with another number it stays"


def test_a_role_with_items_moves_when_all_are_cleared() -> None:
    flags = {"has_items": True, "is_monetary": True}
    now = Standing(account("10", role="payables", **flags), lines=(JUNE, JUNE), open_items=True)
    moved = [account("10", **flags), account("12", role="payables", **flags)]
    assert forbidden([now], moved) == [
        "account 10, role: items on it are open: payables moves when they are cleared"
    ]
    assert forbidden([replace(now, open_items=False)], moved) == []


def test_roles_that_verify_ties_to_movements_move_only_before_they_have_lines() -> None:
    now = Standing(account("10", role="allowance"), lines=(JUNE, JUNE))
    moved = [account("10"), account("12", role="allowance")]
    assert "compared with movements: allowance stays" in forbidden([now], moved)[0]
    assert forbidden([replace(now, lines=None)], moved) == []


# ── Differences ─────────────────────────────────────────────────────────────────────────────────────


def test_differences_name_every_field_before_and_after() -> None:
    now = [account("10", role="tea"), account("11"), account("12")]
    wanted = [
        account("10", role="tea"),
        account("112", valid_to=AUGUST, dimensions={"project": Need.ALLOWED}, is_monetary=True),
        account("13", role="bank", is_monetary=True, name_zh="银行"),
    ]
    wanted[1] = replace(wanted[1], name_en="11")
    assert [str(one) for one in differences(now, wanted, {"112": "11"})] == [
        "~ 11 number 11 → 112, monetary false → true, valid_to 9999-12-31 → 2026-08-01,"
        " dimensions none → project=allowed",
        "- 12 12",
        "+ 13 银行 · 13 (bank)",
    ]
    assert differences(ASBE, list(reversed(ASBE)), {}) == ()
