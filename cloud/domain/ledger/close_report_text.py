"""A close report as text that people read and print: its JSON in, Markdown out, Chinese beside English."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

_SIGNS = {"passed": "✓", "failed": "✗", "told": "·"}
_STATES = {"open": "未结 · open", "soft_closed": "关账 · soft-closed", "locked": "锁定 · locked"}


def checklist_text(items: Iterable[Mapping[str, Any]], details: bool = True) -> str:
    """The checklist: a line for each item, under it the first of what was found."""
    return "\n".join(_items(items, details))


def report_text(report: Mapping[str, Any]) -> str:
    """The whole report as Markdown."""
    return "\n".join(_report(report)) + "\n"


def _items(items: Iterable[Mapping[str, Any]], details: bool) -> Iterator[str]:
    for item in items:
        yield f"- {_SIGNS[item['state']]} {item['zh']} · {item['en']}"
        if details and item["state"] != "passed":
            for row in item["details"]:
                yield f"    - {_row(row)}"
            if (rest := item["count"] - len(item["details"])) > 0 and item["details"]:
                yield f"    - … {rest}"


def _row(row: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in row.items() if value not in (None, ""))


def _report(report: Mapping[str, Any]) -> Iterator[str]:
    currency = report["currency"]
    yield f"# 结账报告 · Close report {report['company']} {report['period']}"
    yield ""
    yield f"{report['company_name']}, {report['first_day']} … {report['last_day']} ({report['time_zone']}), {currency}"
    yield f"{_STATES[report['to_state']]}, {report['at']}, {report['by']}" + _why(report)
    yield ""
    yield "## 步骤 · Steps"
    yield ""
    yield from _table(
        ("步骤 · step", "", "ms", "结果 · result"),
        [(one["zh"], one["en"], one["took_ms"], one["refused"] or _row(one["result"])) for one in report["steps"]],
    )
    yield "## 检查 · Checklist"
    yield ""
    yield from _items(report["checklist"], details=True)
    yield ""
    yield f"## 科目 · Accounts, {currency}"
    yield ""
    yield from _table(
        ("科目 · account", "", "期初 · opening", "借方 · debit", "贷方 · credit", "期末 · closing"),
        [
            (one["account"], _names(one), one["opening"], one["debit"], one["credit"], one["closing"])
            for one in report["accounts"]
        ]
        + [("", "合计 · total", "", report["debit"], report["credit"], "")],
    )
    yield f"## 存货 · Stock, {currency}"
    yield ""
    yield from _table(
        ("科目 · account", "", "类别 · class", "金额 · value", "物料 · items"),
        [(one["account"], _names(one), one["item_class"], one["value"], one["items"]) for one in report["stock"]],
    )
    yield "## 凭证 · Entries"
    yield ""
    yield from _table(
        ("业务 · kind", "张数 · entries", "迟到 · late", "更正 · correcting"),
        [(one["kind"], one["entries"], one["late"], one["correcting"]) for one in report["entries"]],
    )
    for name, title in (("late", "迟到凭证 · Late entries"), ("adjusting", "调整凭证 · Adjusting entries")):
        if rows := report[name]:
            yield f"## {title}"
            yield ""
            yield from _table(
                ("日期 · date", "业务 · kind", f"金额 · amount, {currency}", "单据 · document", "凭证 · entry"),
                [(one["posting_date"], one["kind"], one["amount"], one["document"], one["entry"]) for one in rows],
            )
    yield "## 链 · Chains"
    yield ""
    yield from _table(
        ("链 · chain", "环 · link", "SHA-256"),
        [(one["chain"], one["link"], one["head"]) for one in report["heads"]],
    )


def _why(report: Mapping[str, Any]) -> str:
    forced = ", 强制 · forced" if report["forced"] else ""
    return forced + (f": {report['reason']}" if report["reason"] else "")


def _names(row: Mapping[str, Any]) -> str:
    return f"{row['name_zh']} · {row['name_en']}"


def _table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    yield "| " + " | ".join(heads) + " |"
    yield "|" + " --- |" * len(heads)
    for row in rows:
        yield "| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in row) + " |"
    yield ""
