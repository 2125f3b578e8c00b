"""The end of a period under ASBE: the material cost variance (材料成本差异, 1404) is spread over stock and issues.

At standard cost goods come in and go out at their standard, and what they cost beside it waits on the variance
account. At the end of the period each class of items (and each site that has a variance account of its own) bears it
by its rate, see cloud.domain.ledger.variance_rate with the worked example: what belongs to stock stays on the account,
what belongs to issues goes where the issues went, in proportion to what they took at standard.

Where a document may not write the account that issues went to:

- work in progress (生产成本) is a control account, written by its goods only: its share goes to the production
  variance, which is an expense of the period;
- goods shipped not invoiced (发出商品): their share goes to the cost of goods sold, where they are bound;
- other control accounts (clarification): nothing has become of these goods yet, and their share stays.

What manual entries wrote on the variance account has no class: the classes share it by what was available of each.
The entries are documents of kind VARIANCE_SPREAD on the period's last day. They may be made again until the period is
locked: another run posts the difference only. Periods are spread in their order: who spreads an earlier one again does
so with the later ones, whose opening variance changes with it. Under other profiles the variance is an expense when it
arises, and there is nothing to spread.
"""

import hashlib
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import psycopg

from cloud.domain.batch import Batch
from cloud.domain.costing.allocation import share
from cloud.domain.ledger.carry import Balance, close_into
from cloud.domain.ledger.variance_rate import rate_of, shares
from cloud.domain.movement import Kind, derived_id
from cloud.flows.ledger.post_document import LINES_MAX, Document, DocumentLine, post_documents
from cloud.store.batches import close_batch, load_company, open_batch
from cloud.store.ledger import variance
from cloud.store.ledger.variance import Group, Issues, SpreadPeriod

Cursor = psycopg.Cursor
Target = tuple[int, int]  # account and dimension set

WORKER = "variance-spread"
PROFILE = "ASBE"
# Whose share goes elsewhere because a document may not write them.
_INSTEAD_OF = {"wip": "production_variance", "shipped": "cogs"}


class CannotSpread(ValueError):
    """The variance of a period cannot be spread so; nothing was written."""


@dataclass(frozen=True, slots=True)
class ClassSpread:
    """One group's period, minor units.

    variance   before this period's spread;  available  at standard: opening stock and receipts
    issued     of that at standard;  share  of the variance that belongs to it;  note  why nothing was spread
    """

    account_id: int
    item_class: str
    variance: int
    available: int
    issued: int
    share: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class Spread:
    """What a run found and posted."""

    classes: tuple[ClassSpread, ...]
    documents: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a group's targets shall bear, and what they bear already."""

    found: ClassSpread
    shall: Mapping[Target, int]
    so_far: Mapping[Target, int]

    @property
    def missing(self) -> list[Balance]:
        """What is still to be posted, by target."""
        targets = sorted({*self.shall, *self.so_far})
        changes = ((one, self.shall.get(one, 0) - self.so_far.get(one, 0)) for one in targets)
        return [Balance(*target, change) for target, change in changes if change]


def spread_variance(connection: psycopg.Connection, company_id: int, period_id: int, by: str = WORKER) -> Spread:
    """Spread the variance of a period (yyyymm). Raises CannotSpread, CannotPost, LookupError, psycopg.Error."""
    with connection.transaction(), connection.cursor() as cursor:
        company = load_company(cursor, company_id)
        # One run waits for the other in the lane of this work, and then sees what it posted.
        lane = hashlib.sha256(f"spread/{company.code}".encode()).digest()[0] & 15
        batch = open_batch(cursor, company, lane, time.time_ns() // 1000, by, posts_soft_closed=True)
        period = _checked(variance.read_period(cursor, company_id, period_id), period_id, company.code)
        if period.state == "locked":
            raise CannotSpread(f"period {period_id} is locked: its variance is spread before that")
        plans = _plans(cursor, company_id, period)
        documents = [
            _document(batch, period, place, plan, lines)
            for place, (plan, lines) in enumerate(_entries(plans), start=1)
        ]
        post_documents(cursor, batch, documents)
        if documents:
            close_batch(cursor, batch)
        return Spread(tuple(plan.found for plan in plans), tuple(one.document_id for one in documents))


def left_to_spread(connection: psycopg.Connection, company_id: int, period_id: int) -> int:
    """How many lines a spread of the period would still post; 0 under other profiles. Raises CannotSpread."""
    with connection.transaction(), connection.cursor() as cursor:
        period = variance.read_period(cursor, company_id, period_id)
        if period is None:
            raise CannotSpread(f"there is no period {period_id}")
        if period.profile != PROFILE:
            return 0
        return sum(len(plan.missing) for plan in _plans(cursor, company_id, period))


def _checked(period: SpreadPeriod | None, period_id: int, company: str) -> SpreadPeriod:
    if period is None:
        raise CannotSpread(f"there is no period {period_id}")
    if period.profile != PROFILE:
        raise CannotSpread(
            f"company {company} keeps its books under {period.profile}: expected {PROFILE}; elsewhere a purchase price"
            " variance is an expense when it arises"
        )
    return period


def _plans(cursor: Cursor, company_id: int, period: SpreadPeriod) -> list[_Plan]:
    held = defaultdict(int, variance.stock(cursor, company_id, period))
    issued: dict[Group, dict[Target, int]] = defaultdict(lambda: defaultdict(int))
    roles = {role: variance.accounts_of(cursor, company_id, role) for role in _INSTEAD_OF.values()}
    for row in variance.issues(cursor, company_id, period):
        if (target := _target(row, roles)) is not None:
            issued[row.group][target] += row.amount
        else:  # still to be borne by goods that are not gone for good
            held[row.group] += row.amount
    so_far = variance.spread_so_far(cursor, company_id, period)
    amounts = variance.variances(cursor, company_id, period)
    groups = sorted(
        {group for group in (*held, *issued, *so_far, *amounts) if group.item_class is not None},
        key=lambda group: (group.account_id, group.item_class or ""),
    )
    available = {group: held[group] + sum(issued[group].values()) for group in groups}
    shared = _share_unnamed(amounts, available)
    return [_plan(group, shared[group], held[group], issued[group], so_far.get(group, {})) for group in groups]


def _target(row: Issues, roles: Mapping[str, Mapping[int, int]]) -> Target | None:
    """Where the share of these issues goes; None: it stays. Raises CannotSpread."""
    if row.writable and row.account_id is not None:
        return row.account_id, row.dimension_id
    if (role := _INSTEAD_OF.get(row.role)) is None:
        return None
    account = roles[role].get(row.site_id, roles[role].get(0))
    if account is None:
        raise CannotSpread(f"the chart has no account for {role}")
    return account, row.dimension_id


def _share_unnamed(amounts: Mapping[Group, int], available: Mapping[Group, int]) -> dict[Group, int]:
    """The variance of each group, with its part of what has no class: by what was available of each."""
    total = {group: amounts.get(group, 0) for group in available}
    for unnamed, amount in amounts.items():
        if unnamed.item_class is not None:
            continue
        groups = [one for one in available if one.account_id == unnamed.account_id and available[one] > 0]
        parts = share(amount, [available[one] for one in groups]) if groups else []
        for group, part in zip(groups, parts, strict=True):
            total[group] += part
    return total


def _plan(
    group: Group, amount: int, held: int, issued: Mapping[Target, int], so_far: Mapping[Target, int]
) -> _Plan:
    out = sum(issued.values())
    rate = rate_of(amount, held, out)
    shall = {} if rate is None else shares(rate, issued)
    note = "" if rate is not None or amount == 0 else "nothing was there at standard cost that could bear it"
    found = ClassSpread(
        group.account_id, group.item_class or "", amount, held + out, out, sum(shall.values()), note
    )
    return _Plan(found, shall, so_far)


def _entries(plans: Sequence[_Plan]) -> list[tuple[_Plan, list[Balance]]]:
    """Each plan that has something to post, with the lines of one document: the targets, the variance account last."""
    return [
        (plan, lines)
        for plan in plans
        for lines in close_into(
            [Balance(one.account_id, one.dimension_id, -one.amount) for one in plan.missing],
            plan.found.account_id,
            LINES_MAX,
        )
    ]


def _document(batch: Batch, period: SpreadPeriod, place: int, plan: _Plan, lines: Sequence[Balance]) -> Document:
    found, company_id = plan.found, batch.company.company_id
    source = f"{company_id}/spread/{period.period_id}/{batch.lane}/{batch.batch_no}/{place}"
    return Document(
        derived_id(source.encode()),
        Kind.VARIANCE_SPREAD,
        f"VS-{period.period_id}-{found.item_class}",
        period.last_day,
        tuple(DocumentLine(line.account_id, line.amount, line.dimension_id) for line in lines),
        narration="分摊材料成本差异",
        details={
            "period": period.period_id, "account_id": found.account_id, "item_class": found.item_class,
            "variance": found.variance, "available": found.available, "issued": found.issued, "share": found.share,
        },
    )  # fmt: skip
