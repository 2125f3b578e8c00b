"""What the demo shows as text or JSON: tags, passages, movements, balances, layers, entries, the difference.

The same rows as on the live page, read from the same place in one snapshot.
"""

import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg

from cloud.domain.access import Company
from cloud.domain.costing.methods import Method
from cloud.domain.decimals import micro_text, minor_text
from cloud.domain.movement import Crossing, Kind, Outcome
from cloud.store import feeds
from cloud.store.feeds import Order, Reading
from cloud.store.live import Picture, read_picture

MOST_ROWS = 1000  # of each feed; a demo's run has some sixty passages, a recording a few thousand reads
MOST_SHOWN = 40  # on a terminal; --json has them all


@dataclass(frozen=True, slots=True)
class Report:
    """One picture of the books, and of each feed what was recorded since the run began."""

    company: Company
    picture: Picture
    passages: list[Any]
    movements: list[Any]
    entries: list[Any]
    lines: dict[tuple[UUID, int], list[Any]]
    reads: int


def read_report(
    connection: psycopg.Connection, company: Company, since: datetime, reads_before: int = 0
) -> Report:
    """Everything recorded since `since`, oldest first; reads beyond `reads_before`. Raises psycopg.Error."""
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        picture = read_picture(connection, company)
        passages = _since(connection, feeds.PASSAGES, company, since)
        movements = _since(connection, feeds.MOVEMENTS, company, since)
        entries = _since(connection, feeds.JOURNAL_ENTRIES, company, since)
        lines = feeds.read_lines(connection, company.company_id, [(e.source_id, e.step) for e in entries])
    reads = sum(gate.reads_total or 0 for gate in picture.gates) - reads_before
    # A tag known by its GTIN alone is in no registry: its movement says what it is.
    by_id = {m.movement_id: m.item for m in movements}
    passages = [replace(p, item=p.item or by_id.get(p.movement_id)) for p in passages]
    return Report(company, picture, passages, movements, entries, dict(lines), reads)


def _since(connection: psycopg.Connection, feed: Any, company: Company, since: datetime) -> list[Any]:
    reading: Reading[Any] = Reading(feed, company.company_id, Order.NEWEST, only_settled=False)
    rows = feeds.read_page(connection, reading, None, MOST_ROWS).rows
    return [row for row in reversed(rows) if row.recorded_at >= since]


# ── JSON ────────────────────────────────────────────────────────────────────────────────────────────


def as_json(report: Report, checks: Sequence[dict[str, Any]]) -> str:
    """One object; amounts and quantities are decimal texts."""
    digits = report.company.minor_digits
    agreement = report.picture.agreement
    return json.dumps(
        {
            "company": report.company.code,
            "currency": report.company.currency,
            "tags_read": {"reads": report.reads, "tags": sorted({p.epc for p in report.passages})},
            "passages": [
                {"epc": p.epc, "gate": p.gate, "direction": Crossing(p.direction).name.lower(), "item": p.item,
                 "confidence": round(p.confidence, 3), "outcome": Outcome(p.outcome).name.lower(),
                 "occurred_at": _iso(p.occurred_us), "gateway": p.gateway, "epoch": p.epoch.hex, "seq": p.seq,
                 "evidence": p.evidence}
                for p in report.passages
            ],
            "movements": [
                {"id": str(m.movement_id), "kind": Kind(m.kind).name.lower(), "item": m.item,
                 "quantity": micro_text(m.qty_micro), "from": m.from_code, "to": m.to_code,
                 "document": m.document, "occurred_at": _iso(m.occurred_us)}
                for m in report.movements
            ],
            "balances": [
                {"item": b.item, "location": b.location, "quantity": micro_text(b.qty_micro)}
                for b in report.picture.balances
            ],
            "layers": [
                {"item": pool.item, "site": pool.site, "account": pool.account, "layer": layer.layer_no,
                 "quantity": micro_text(layer.qty_left), "value": micro_text(layer.value_left, digits)}
                for pool, layer in _layers(report.picture)
            ],
            "entries": [
                {"source": str(e.source_id), "step": e.step, "kind": Kind(e.kind).name.lower(),
                 "posting_date": e.posting_date.isoformat(), "document": e.document,
                 "lines": [
                     {"account": line.number, "name": line.name_en,
                      "debit": minor_text(max(line.amount, 0), digits),
                      "credit": minor_text(max(-line.amount, 0), digits)}
                     for line in report.lines[e.source_id, e.step]
                 ]}
                for e in report.entries
            ],
            "stock_value": minor_text(agreement.stock_value, digits),
            "ledger": minor_text(agreement.ledger, digits),
            "difference": minor_text(agreement.difference, digits) if agreement.difference else "0",
            "checks": list(checks),
        },
        ensure_ascii=False,
        indent=2,
    )  # fmt: skip


# ── Text ────────────────────────────────────────────────────────────────────────────────────────────


def as_text(report: Report) -> str:
    """Tables for a terminal, and the line that matters last."""
    digits = report.company.minor_digits
    seen = Counter((p.gate, Crossing(p.direction).name.lower()) for p in report.passages)
    directions = ", ".join(f"{count} {direction}" for (_, direction), count in sorted(seen.items())) or "none yet"
    blocks = [
        f"Tags read: {report.reads} reads; passages of {len({p.epc for p in report.passages})} tags ({directions})",
        _table(
            "Passages",
            ("time", "gate", "tag", "item", "direction", "conf.", "what it did"),
            [
                (
                    _clock(p.occurred_us),
                    p.gate or "",
                    p.epc,
                    p.item or "–",
                    Crossing(p.direction).name.lower(),
                    f"{p.confidence:.2f}",
                    Outcome(p.outcome).name.lower(),
                )
                for p in report.passages
            ],
        ),
        _table(
            "Movements",
            ("time", "kind", "item", "quantity", "from", "to", "document"),
            [
                (
                    _clock(m.occurred_us),
                    Kind(m.kind).name.lower(),
                    m.item or "",
                    micro_text(m.qty_micro),
                    m.from_code or "",
                    m.to_code or "",
                    m.document,
                )
                for m in report.movements
            ],
        ),
        _table(
            "Balances",
            ("item", "name", "place", "quantity"),
            [
                (b.item, b.item_zh or b.item_en, b.location, micro_text(b.qty_micro))
                for b in report.picture.balances
            ],
        ),
        _table(
            "Cost layers",
            ("item", "site", "account", "method", "layer", "quantity", f"value {report.company.currency}"),
            [
                (
                    pool.item,
                    pool.site or "",
                    pool.account,
                    Method(pool.method).label.replace("_", " "),
                    str(layer.layer_no),
                    micro_text(layer.qty_left),
                    micro_text(layer.value_left, digits),
                )
                for pool, layer in _layers(report.picture)
            ],
        ),
        _journal(report),
        agreement_line(report),
    ]
    return "\n\n".join(blocks)  # fmt: skip


def agreement_line(report: Report) -> str:
    """Promise 2 in one line."""
    digits, currency = report.company.minor_digits, report.company.currency
    agreement = report.picture.agreement
    difference = minor_text(agreement.difference, digits) if agreement.difference else "0"
    stock, ledger = minor_text(agreement.stock_value, digits), minor_text(agreement.ledger, digits)
    return f"stock value = ledger: difference {difference}  ({stock} {currency} = {ledger} {currency})"


def _journal(report: Report) -> str:
    digits = report.company.minor_digits
    rows: list[tuple[str, ...]] = []
    for entry in report.entries:
        head = (entry.posting_date.isoformat(), Kind(entry.kind).name.lower(), entry.document)
        for line in report.lines[entry.source_id, entry.step]:
            debit = minor_text(line.amount, digits) if line.amount > 0 else ""
            credit = minor_text(-line.amount, digits) if line.amount < 0 else ""
            rows.append((*head, f"{line.number} {line.name_en}", debit, credit))
            head = ("", "", "")
    heads = ("date", "kind", "document", "account", "debit", "credit")
    return _table("Journal entries", heads, rows, len(report.entries))


def _layers(picture: Picture) -> Iterable[tuple[Any, Any]]:
    pools = {pool.pool_id: pool for pool in picture.pools}
    return [(pools[layer.pool_id], layer) for layer in picture.layers if layer.pool_id in pools]


_RIGHT = {"quantity", "debit", "credit", "conf.", "layer"}


def _table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]], count: int | None = None) -> str:
    """Aligned columns; where there are too many rows the newest stay and the rest is counted.

    count  how many things the rows tell of, where one takes several
    """
    if not rows:
        return f"{title}: none"
    shown = list(rows)[-MOST_SHOWN:]
    widths = [max(_width(row[i]) for row in (heads, *shown)) for i in range(len(heads))]

    def line(cells: Sequence[str]) -> str:
        padded = (
            " " * (width - _width(cell)) + cell if head in _RIGHT or head.startswith("value ") else
            cell + " " * (width - _width(cell))
            for cell, width, head in zip(cells, widths, heads, strict=True)
        )  # fmt: skip
        return ("  " + "  ".join(padded)).rstrip()

    left_out = [f"  … {len(rows) - len(shown)} rows before these"] if len(rows) > len(shown) else []
    return "\n".join(
        [f"{title} ({len(rows) if count is None else count})", line(heads), *left_out, *map(line, shown)]
    )


def _width(text: str) -> int:
    """Columns on a terminal: East Asian wide characters take two (Unicode Annex 11)."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def _iso(us: int) -> str:
    return datetime.fromtimestamp(us / 1e6, UTC).isoformat().replace("+00:00", "Z")


def _clock(us: int) -> str:
    return datetime.fromtimestamp(us / 1e6, UTC).astimezone().strftime("%H:%M:%S")
