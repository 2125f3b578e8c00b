"""Journal lines: every entry balances, reads alike, and rounds by no more than it must."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.domain.ledger.posting import (
    ABSENT,
    NONE,
    POOL,
    Lines,
    PostingRule,
    beside,
    join,
    post,
    post_adjustments,
    post_allowances,
    rule_for,
)
from cloud.domain.movement import Kind
from cloud.domain.rounding import muldiv, to_minor

GOODS, TRANSIT, GRNI, COGS, PPV, ALLOWANCE, WRITE_DOWN, ROUNDING = 11, 12, 21, 31, 32, 33, 34, 99
CENT = 10_000


def column(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def rows(lines: Lines) -> list[tuple[int, int, int, int, int]]:
    """(entry, number, account, amount, step of the cost entry or NONE)."""
    columns = (lines.entry, lines.number, lines.account, lines.amount, lines.cost_step)
    return [(int(a), int(b), int(c), int(d), int(e)) for a, b, c, d, e in zip(*columns, strict=True)]


# A pool's value before and what moves, in 10⁻⁶: its posted change is what rounding makes of the two.
value = st.integers(-(10**12), 10**12)
amount = st.integers(0, 10**10)
one_entry = st.one_of(
    st.tuples(st.just("receipt"), value, value, amount, st.integers(0, 10**7)),
    st.tuples(st.sampled_from(["valued receipt", "issue", "transfer", "inner"]), value, value, amount, st.just(0)),
)


def posted_change(before: int, change: int) -> int:
    return int(to_minor(before + change, CENT) - to_minor(before, CENT))


def arrays(entries: list[tuple[str, int, int, int, int]]) -> tuple[np.ndarray, ...]:
    """The columns of `post`; a receipt costs price × quantity, its own amount is that rounded once."""
    made = []
    for kind, before, other, moved, price in entries:
        qty = moved
        cost = int(muldiv(price, qty, 1_000_000)) if kind == "receipt" else moved
        gone, come = posted_change(before, -cost), posted_change(other, cost)
        own = int(muldiv(price, qty, 1_000_000 * CENT)) if kind == "receipt" else ABSENT
        made.append(
            {
                "receipt": (NONE, 0, GOODS, come, GRNI, own),
                "valued receipt": (NONE, 0, GOODS, come, GRNI, ABSENT),
                "issue": (GOODS, gone, NONE, 0, COGS, ABSENT),
                "transfer": (GOODS, gone, TRANSIT, come, NONE, ABSENT),
                "inner": (NONE, 0, NONE, 0, NONE, ABSENT),
            }[kind]
        )
    return tuple(np.array([row[i] for row in made], np.int64) for i in range(6))


def rounding(n: int) -> np.ndarray:
    return np.full(n, ROUNDING, np.int64)


@given(st.lists(one_entry, max_size=12))
def test_every_entry_balances_with_debits_first_and_no_line_of_nothing(
    entries: list[tuple[str, int, int, int, int]],
) -> None:
    lines = post(*arrays(entries), rounding(len(entries)))
    assert (lines.amount != 0).all()
    assert lines.entry.tolist() == sorted(lines.entry.tolist())
    for entry in set(lines.entry.tolist()):
        own = lines.amount[lines.entry == entry]
        assert own.sum() == 0
        assert (own > 0).tolist() == sorted((own > 0).tolist(), reverse=True), "debits stand before credits"
        assert lines.number[lines.entry == entry].tolist() == list(range(1, len(own) + 1))


@given(st.lists(one_entry, max_size=12))
def test_rounding_takes_at_most_one_minor_unit_a_leg(entries: list[tuple[str, int, int, int, int]]) -> None:
    columns = arrays(entries)
    lines = post(*columns, rounding(len(entries)))
    for entry, (kind, *_) in enumerate(entries):
        mine = lines.entry == entry
        off = lines.amount[mine & (lines.account == ROUNDING)]
        assert len(off) <= 1
        assert abs(off.sum()) <= 1
        if kind not in ("receipt", "transfer"):
            assert not len(off), "a leg without an amount of its own takes the pool's"


@given(st.lists(one_entry, max_size=12))
def test_a_pool_leg_is_the_change_of_its_pools_posted_amount(
    entries: list[tuple[str, int, int, int, int]],
) -> None:
    src_account, src_posted, dst_account, dst_posted, _, _ = columns = arrays(entries)
    lines = post(*columns, rounding(len(entries)))
    for step, account, posted in ((0, src_account, src_posted), (1, dst_account, dst_posted)):
        expected = [
            (entry, int(account[entry]), int(posted[entry]))
            for entry in range(len(entries))
            if account[entry] != NONE and posted[entry] != 0
        ]
        mine = lines.cost_step == step
        found = zip(lines.entry[mine], lines.account[mine], lines.amount[mine], strict=True)
        assert [tuple(map(int, row)) for row in found] == expected


def test_a_receipt_is_posted_at_its_orders_amount_and_the_cent_goes_to_rounding() -> None:
    """The order says 10.00, the pool's rounded value grew by 10.01: the account owed is right to the cent."""
    lines = post(
        column(NONE), column(0), column(GOODS), column(1001), column(GRNI), column(1000), column(ROUNDING)
    )
    assert rows(lines) == [
        (0, 1, GOODS, 1001, 1),
        (0, 2, GRNI, -1000, NONE),
        (0, 3, ROUNDING, -1, NONE),
    ]


def test_a_sale_takes_the_pools_amount() -> None:
    lines = post(
        column(GOODS), column(-4840), column(NONE), column(0), column(COGS), column(ABSENT), column(ROUNDING)
    )
    assert rows(lines) == [(0, 1, COGS, 4840, NONE), (0, 2, GOODS, -4840, 0)]


def test_goods_worth_nothing_make_no_entry() -> None:
    lines = post(column(GOODS), column(0), column(NONE), column(0), column(COGS), column(ABSENT), column(ROUNDING))
    assert rows(lines) == []
    assert lines.number.tolist() == []


def test_a_transfer_of_half_a_cent_balances_through_rounding() -> None:
    lines = post(
        column(GOODS), column(-1), column(TRANSIT), column(0), column(NONE), column(ABSENT), column(ROUNDING)
    )
    assert rows(lines) == [(0, 1, ROUNDING, 1, NONE), (0, 2, GOODS, -1, 0)]


def test_what_was_paid_beyond_the_standard_goes_to_the_variance() -> None:
    """10 at 4.20 where the standard is 4.00: the account owed has the price, the stock its standard."""
    lines = post(column(NONE), column(0), column(GOODS), column(4000), column(GRNI), column(4200), column(PPV))
    assert rows(lines) == [(0, 1, GOODS, 4000, 1), (0, 2, PPV, 200, NONE), (0, 3, GRNI, -4200, NONE)]


def test_a_credit_note_below_cost_leaves_a_difference() -> None:
    """Goods of 42.00 go back, the supplier credits 40.00."""
    lines = post(column(GOODS), column(-4200), column(NONE), column(0), column(GRNI), column(4000), column(PPV))
    assert rows(lines) == [(0, 1, GRNI, 4000, NONE), (0, 2, PPV, 200, NONE), (0, 3, GOODS, -4200, 0)]


def test_an_invoice_lower_by_a_cent_is_an_amount_and_not_the_absence_of_one() -> None:
    lines = post(column(NONE), column(0), column(GOODS), column(0), column(GRNI), column(-1), column(COGS))
    assert rows(lines) == [(0, 1, GRNI, 1, NONE), (0, 2, COGS, -1, NONE)]


def test_an_allowance_grows_on_the_credit_side_and_is_released_beside_the_sale() -> None:
    grows = post_allowances(column(0), ALLOWANCE, column(1000), column(WRITE_DOWN))
    assert rows(grows) == [(0, 1, WRITE_DOWN, 1000, NONE), (0, 2, ALLOWANCE, -1000, NONE)]
    sale = post(
        column(GOODS), column(-4840), column(NONE), column(0), column(COGS), column(ABSENT), column(ROUNDING)
    )
    released = beside(sale, post_allowances(column(0), ALLOWANCE, column(-400), column(COGS)))
    assert rows(released) == [
        (0, 1, COGS, 4840, NONE), (0, 2, ALLOWANCE, 400, NONE), (0, 3, GOODS, -4840, 0), (0, 4, COGS, -400, NONE),
    ]  # fmt: skip


@given(st.lists(st.integers(-(10**12), 10**12), max_size=8))
def test_adjustments_balance_against_the_account_that_the_corrected_entry_used(changes: list[int]) -> None:
    n = len(changes)
    posted = np.array(changes, np.int64)
    lines = post_adjustments(np.full(n, GOODS), posted, np.full(n, COGS), np.arange(2, n + 2))
    for entry, change in enumerate(changes):
        mine = [row[2:] for row in rows(lines) if row[0] == entry]
        legs = [(GOODS, change, entry + 2), (COGS, -change, NONE)]
        assert mine == sorted(legs, key=lambda leg: leg[1] < 0) if change else mine == []


def test_joined_lines_are_numbered_within_their_own_entries() -> None:
    sale = post(column(GOODS), column(-5), column(NONE), column(0), column(COGS), column(ABSENT), column(ROUNDING))
    adjustment = post_adjustments(column(GOODS), column(3), column(COGS), column(2))
    assert rows(join(sale, adjustment, 1)) == [
        (0, 1, COGS, 5, NONE), (0, 2, GOODS, -5, 0), (1, 1, GOODS, 3, 2), (1, 2, COGS, -3, NONE),
    ]  # fmt: skip


SHIPMENT = Kind.SALES_SHIPMENT
RULES = [
    PostingRule(SHIPMENT, "goods", 7, "cogs_goods_7", POOL, 30),
    PostingRule(SHIPMENT, None, 7, "cogs_7", POOL, 20),
    PostingRule(SHIPMENT, "goods", None, "cogs_goods", POOL, 10),
    PostingRule(SHIPMENT, None, None, "cogs", POOL, 0),
    PostingRule(Kind.PURCHASE_RECEIPT, None, None, POOL, "grni", 0),
    PostingRule(Kind.TRANSFER_OUT, None, None, POOL, POOL, 0),
]


@pytest.mark.parametrize(
    ("kind", "item_class", "site", "counter"),
    [
        (SHIPMENT, "goods", 7, "cogs_goods_7"),
        (SHIPMENT, "raw_material", 7, "cogs_7"),
        (SHIPMENT, "goods", 8, "cogs_goods"),
        (SHIPMENT, "raw_material", 8, "cogs"),
        (Kind.PURCHASE_RECEIPT, "goods", 7, "grni"),
        (Kind.TRANSFER_OUT, "goods", 7, None),
    ],
)
def test_the_matching_rule_of_the_highest_priority_wins(
    kind: Kind, item_class: str, site: int, counter: str | None
) -> None:
    rule = rule_for(RULES, kind, item_class, site)
    assert rule is not None
    assert rule.counter_role == counter


def test_a_rule_with_a_reason_covers_that_reason_only() -> None:
    rules = [
        PostingRule(Kind.REVALUATION, None, None, POOL, "usage_variance", 10, "usage"),
        PostingRule(Kind.REVALUATION, None, None, POOL, "revaluation", 0),
    ]
    found = [rule_for(rules, Kind.REVALUATION, "goods", 7, reason) for reason in ("usage", "", "other")]
    assert [rule and rule.counter_role for rule in found] == ["usage_variance", "revaluation", "revaluation"]


def test_a_kind_without_a_rule_has_none() -> None:
    assert rule_for(RULES, Kind.SCRAP, "goods", 7) is None
