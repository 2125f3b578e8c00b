"""The close checklist: what must stand, or be told, before a period is locked, in Chinese and in English.

An item passes, fails, or only tells: goods received and not invoiced at the end of a month are no mistake, but who
closes the month wants to see them. A lock refuses while an item fails, unless it is forced; stock = ledger never is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

DETAILS_MAX = 20  # rows of one item that stand in a report; the count tells of all


class State(StrEnum):
    """What an item came to."""

    PASSED = "passed"
    FAILED = "failed"
    TOLD = "told"


@dataclass(frozen=True, slots=True)
class Question:
    """One question of the list. fails: whether finding something is a failure, or only told."""

    name: str
    zh: str
    en: str
    found_zh: str
    found_en: str
    fails: bool = True


@dataclass(frozen=True, slots=True)
class Item:
    """An answer: how much was found (0: nothing speaks against it), and the first of it.

    details  at most DETAILS_MAX rows of texts and numbers that JSON can hold
    """

    name: str
    state: State
    count: int
    zh: str
    en: str
    details: Sequence[Mapping[str, Any]] = field(default_factory=tuple)

    @property
    def fails(self) -> bool:
        """Whether it stands against a lock."""
        return self.state is State.FAILED

    @property
    def can_be_forced(self) -> bool:
        """Whether somebody may lock all the same."""
        return self.name not in NEVER_FORCED

    def as_json(self) -> dict[str, Any]:
        """As reports and the API show it."""
        return {
            "name": self.name, "state": str(self.state), "count": self.count, "zh": self.zh, "en": self.en,
            "details": [dict(row) for row in self.details],
        }  # fmt: skip


QUESTIONS = {
    one.name: one
    for one in (
        Question(
            "stock_equals_ledger", "存货价值与总账一致", "Stock value = ledger, in each account",
            "{n} 个存货科目与总账不一致", "{n} stock accounts differ from the ledger",
        ),
        Question(
            "clearing_explained", "往来与暂估科目余额均有明细", "Every clearing account is the sum of its open items",
            "{n} 个科目的余额与未清项之和不符", "{n} accounts differ from the sum of their open items",
        ),
        Question(
            "layers_explained", "在途与待处理存货均有成本层",
            "Goods in transit and in clarification stand in cost layers",
            "{n} 个科目的余额与成本层之和不符", "{n} accounts differ from the sum of their cost layers",
        ),
        Question(
            "clarification_age", "没有超期的待处理项", "No clarification is older than allowed",
            "{n} 个待处理项超过 {days} 天", "{n} clarifications are older than {days} days",
        ),
        Question(
            "drafts", "没有未过账的草稿", "No draft waits",
            "{n} 张草稿未过账", "{n} drafts of shipments wait for their invoice",
        ),
        Question(
            "unmatched_receipts", "没有暂估入库", "Every receipt is invoiced",
            "{n} 笔入库暂估, 尚未收到发票", "{n} receipts are not invoiced yet", fails=False,
        ),
        Question(
            "pools_at_rest", "没有待重算的成本", "No cost waits for re-costing",
            "{n} 个成本池待重算", "{n} cost pools wait for re-costing",
        ),
        Question(
            "periods_before", "以前期间均已锁定", "Every period before is locked",
            "{n} 个以前期间未锁定", "{n} periods before are not locked", fails=False,
        ),
        Question(
            "period_over", "期间已结束", "The period is over",
            "期间到 {last_day} 才结束", "the period lasts until {last_day}",
        ),
        Question(
            "next_period", "下一期间已开启", "An open period follows",
            "后面没有开启的期间, 迟到的业务无处入账", "no open period follows: what comes late has nowhere to go",
        ),
        Question(
            "vouchers_numbered", "凭证均已编号", "Every entry has its voucher number",
            "{n} 张凭证待锁定时编号", "{n} entries get their voucher number by the lock", fails=False,
        ),
        Question(
            "quarantine", "没有被隔离的消息", "Nothing waits in quarantine",
            "{n} 条消息被隔离, 未处理", "{n} messages in quarantine are not resolved",
        ),
        Question(
            "open_observations", "没有未登记的标签", "Every tag that was seen has an item",
            "{n} 次读到的标签没有登记物料", "{n} sightings are of tags without an item", fails=False,
        ),
        Question(
            "stopped_logs", "没有停止的网关日志", "No gateway's log is stopped",
            "{n} 个网关日志已停止", "{n} gateway logs are stopped",
        ),
        Question(
            "silent_gateways", "期末以后所有网关均有消息", "Every gateway was heard since the period ended",
            "{n} 个网关在期末以后没有消息", "{n} gateways were not heard since the period ended", fails=False,
        ),
        Question(
            "closing_rates", "外币余额均有期末汇率", "Every currency with a balance has its closing rate",
            "{n} 种外币没有期末汇率", "{n} currencies with a balance have no closing rate",
        ),
        Question(
            "rules_cover", "所有业务均有凭证模板", "Posting rules cover all that could happen",
            "{n} 种可能的业务没有可用的凭证模板", "{n} things could happen that no posting rule covers", fails=False,
        ),
        Question(
            "steps_done", "结账步骤均已完成", "Every step of the close was done",
            "{n} 个结账步骤未完成", "{n} steps of the close were refused",
        ),
    )
}  # fmt: skip

# What a lock would hide for ever.
NEVER_FORCED = frozenset({"stock_equals_ledger"})


def answer(name: str, count: int, details: Sequence[Mapping[str, Any]] = (), **words: object) -> Item:
    """The item of a question of which so much was found. words: what its sentences name beside the count."""
    question = QUESTIONS[name]
    if count == 0:
        return Item(name, State.PASSED, 0, question.zh, question.en, tuple(details[:DETAILS_MAX]))
    state = State.FAILED if question.fails else State.TOLD
    named = {"n": count, **words}
    return Item(
        name, state, count, question.found_zh.format(**named), question.found_en.format(**named),
        tuple(details[:DETAILS_MAX]),
    )  # fmt: skip


def failing(items: Sequence[Item]) -> list[Item]:
    """What stands against a lock."""
    return [item for item in items if item.fails]
