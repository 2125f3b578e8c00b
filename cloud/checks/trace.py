"""`tallygate trace`: from a journal line to the sighting that caused it, and back, as a tree.

tallygate trace LINE|VOUCHER|MOVEMENT|EPC [--company CODE] [--period 2026-10] [--depth 3] [--limit 10] [--json]

LINE is `source.step.line` or an entry `source.step`, VOUCHER a voucher number such as 记-12 with its period, MOVEMENT
the id of a movement, value event, document or re-costing, EPC a tag's memory in hex or as a URN.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import psycopg
from psycopg.rows import class_row

from cloud import settings
from cloud.checks import trace_evidence
from cloud.domain.access import Company
from cloud.domain.costing.pools import METHODS
from cloud.domain.decimals import micro_text, minor_text
from cloud.domain.gate_evidence import read_evidence
from cloud.domain.moments import moment_of
from cloud.domain.movement import Crossing, Kind, Outcome, Tag
from cloud.flows.trace import CannotTrace, Found, find, parse
from cloud.store.feeds import EntryRow, LineRow, MovementRow, PassageRow
from cloud.store.trace import CostEntryRow, LinkRow, NameRow, Record, Sort, ids_in, read_record

RECORDS_MAX = 100  # told in full in one answer; a reader asks for the next by its id
_METHOD_NAMES = {number: name.replace("_", " ") for name, number in METHODS.items()}


class NotThere(LookupError):
    """Nothing of that id is on the books."""


@dataclass(frozen=True, slots=True)
class Node:
    """A line of the tree: what it says to people, what to programs, and what hangs on it."""

    text: str
    facts: dict[str, Any] = field(default_factory=dict)
    children: list["Node"] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        """The tree as text."""
        yield self.text
        for number, child in enumerate(self.children, 1):
            is_last = number == len(self.children)
            head, rest = ("└─ ", "   ") if is_last else ("├─ ", "│  ")
            for at, line in enumerate(child.lines()):
                yield (rest if at else head) + line

    def as_json(self) -> dict[str, Any]:
        """The tree as JSON can hold it."""
        children = [child.as_json() for child in self.children]
        return self.facts | {"text": self.text} | ({"children": children} if children else {})


def main(argv: Sequence[str] | None = None) -> int:
    """The program; 0 when told, 1 when the books have nothing of it, 2 when it cannot be asked."""
    arguments = _parser().parse_args(argv)
    try:
        with psycopg.connect(settings.dsn(), autocommit=True, application_name="tallygate trace") as connection:
            tree = trace(
                connection, arguments.what, arguments.company, arguments.period, arguments.depth, arguments.limit
            )
    except NotThere as error:
        print(f"tallygate trace: {error}", file=sys.stderr)
        return 1
    except (settings.WrongSetting, ValueError, LookupError, psycopg.Error) as error:
        print(f"tallygate trace: {str(error).strip()}", file=sys.stderr)
        return 2
    if arguments.json:
        print(json.dumps(tree.as_json(), ensure_ascii=False, indent=2))
    else:
        print("\n".join(tree.lines()))
    return 0


def trace(
    connection: psycopg.Connection, what: str, company_code: str | None = None, period_id: int | None = None,
    depth: int = 3, limit: int = 10,
) -> Node:  # fmt: skip
    """What hangs together with it, in one snapshot. Raises CannotTrace, NotThere, LookupError, psycopg.Error."""
    asked = parse(what)
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        companies = _companies(connection, company_code)
        hits = [
            (company, found)
            for company in companies
            if (found := find(connection, company.company_id, asked, period_id, limit)) is not None
        ]
        if not hits:
            raise NotThere(f"no {asked.what} {what}")
        if len(hits) > 1:
            codes = ", ".join(company.code for company, _ in hits)
            raise CannotTrace(f"{what} is on the books of {codes}: choose one by --company")
        company, found = hits[0]
        return _Teller(connection, company, limit).tell(found, depth)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tallygate trace", description="from a journal line to its evidence, and back"
    )
    parser.add_argument("what", help="a journal line or entry, a voucher number, a movement's id, an EPC")
    parser.add_argument("--company", help="the company's code, where more than one has it")
    parser.add_argument("--period", type=_period, help="of a voucher number, such as 2026-10")
    parser.add_argument("--depth", type=_count, default=3, help="how many records to walk on from the first (3)")
    parser.add_argument("--limit", type=_count, default=10, help="rows of each list, at most (10)")
    parser.add_argument("--json", action="store_true", help="as JSON")
    return parser


def _period(text: str) -> int:
    if not (found := re.fullmatch(r"(\d{4})-?(0[1-9]|1[0-2])", text)):
        raise argparse.ArgumentTypeError(f"expected a period such as 2026-10, got {text!r}")
    return int(found[1] + found[2])


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 10_000:
        raise argparse.ArgumentTypeError(f"expected a number from 1 to 10000, got {text!r}")
    return int(text)


def _companies(connection: psycopg.Connection, code: str | None) -> list[Company]:
    with connection.cursor(row_factory=class_row(Company)) as cursor:
        cursor.execute("SELECT company_id, code, name, currency, minor_digits, time_zone, profile FROM companies")
        companies = sorted(cursor.fetchall(), key=lambda company: company.code)
    if code is None:
        return companies
    if not (chosen := [company for company in companies if company.code == code]):
        raise LookupError(f"no company {code!r}")
    return chosen


class _Teller:
    """Tells records of one company in words, and walks on from each to those that it names."""

    def __init__(self, connection: psycopg.Connection, company: Company, limit: int) -> None:
        self.connection = connection
        self.company = company
        self.limit = limit
        self.zone = ZoneInfo(company.time_zone)
        self.in_chinese = company.profile == "ASBE"
        self.told: set[UUID] = set()
        self.asked: str | None = None

    def tell(self, found: Found, depth: int) -> Node:
        self.asked = found.line
        if found.record is None:
            return self._tag(found, depth)
        node = self._record(found.record, depth)
        if found.entry is None:
            return node
        what = "journal line" if found.line else "journal entry"
        return Node(f"{what} {found.line or found.entry}", {"what": what, "id": found.line or found.entry}, [node])

    def _tag(self, found: Found, depth: int) -> Node:
        tag = found.tag
        words = [f"tag {found.epc}"]
        if tag is not None:
            words.append(f"{micro_text(tag.qty_micro)} of {tag.item}")
            words.append(f"now in {tag.location}" if tag.location else "never seen")
        passages = [self._passage(passage, None) for passage in found.passages]
        movements = [
            self._walk(movement.movement_id, None, depth - 1) for movement in found.movements[: self.limit]
        ]
        rest = _rest(len(found.movements) - self.limit, "movements")
        return Node(" · ".join(words), {"what": "tag", "id": found.epc}, [*passages, *movements, *rest])

    def _walk(self, one: UUID, name: NameRow | None, depth: int) -> Node:
        """Another record: in full while there is depth left, else in a few words."""
        facts = {"what": name.sort if name else "record", "id": str(one)}
        if one in self.told:
            return Node(f"{self._name(one, name)} (told above)", facts)
        if depth <= 0 or len(self.told) >= RECORDS_MAX:
            return Node(f"{self._name(one, name)} …", facts)
        record = read_record(self.connection, self.company.company_id, one, self.limit)
        return Node(f"{one}: not on the books", facts) if record is None else self._record(record, depth)

    def _record(self, record: Record, depth: int) -> Node:
        self.told.add(record.record_id)
        children = [*self._origin(record), *self._entries(record), *self._costs(record, depth)]
        children += self._relatives(record, depth)
        children += [node for name, left in record.more.items() for node in _rest(left, name.replace("_", " "))]
        head, facts = self._head(record)
        return Node(head, {"what": record.sort.value, "id": str(record.record_id)} | facts, children)

    def _head(self, record: Record) -> tuple[str, dict[str, Any]]:
        if record.movement is not None:
            return self._movement(record.movement), {"kind": Kind(record.movement.kind).name.lower()}
        if record.event is not None:
            event = record.event
            goods = self._goods(event.item, event.item_zh, event.item_en)
            words = [
                _kind(event.kind), self._value(event.value_micro), goods, event.document, event.reason,
                event.party, self._time(moment_of(event.occurred_us)), str(event.event_id),
            ]  # fmt: skip
            return _words("value event", *words), {"kind": Kind(event.kind).name.lower()}
        if record.document is not None:
            paper = record.document
            rate = "" if paper.currency is None else f"{paper.currency} at {_rate(paper.rate_nano)}"
            words = [
                _kind(paper.kind), paper.number, str(paper.day), paper.party_name or paper.party, rate,
                paper.narration, f"by {paper.recorded_by}", str(paper.document_id),
            ]  # fmt: skip
            return _words("document", *words), {"kind": Kind(paper.kind).name.lower()}
        return _words("re-costing", str(record.record_id)), {}

    def _movement(self, movement: MovementRow) -> str:
        tags = ", ".join(tag.name.lower() for tag in Tag if tag & movement.tags and tag.name)
        return _words(
            "movement", _kind(movement.kind), self._quantity(movement.qty_micro, movement.unit, movement),
            f"lot {movement.lot}" if movement.lot else "", f"{movement.from_code} → {movement.to_code}",
            movement.party, movement.document, self._time(moment_of(movement.occurred_us)), tags,
            str(movement.movement_id),
        )  # fmt: skip

    # ── Where it came from ──

    def _origin(self, record: Record) -> Iterator[Node]:
        born, batch = record.born, record.batch
        if record.observation is not None:
            yield self._passage(record.observation, record)
        elif born is not None and batch is not None:
            yield Node(
                f"declared by {batch.worker} · the cloud's own log, number {born.seq}",
                {"what": "declared", "by": batch.worker, "seq": born.seq, "digest": born.digest},
            )
        if born is not None and (born.reason or born.price_micro is not None or born.value_micro is not None):
            yield self._terms(record)
        if batch is not None:
            yield Node(
                f"recorded {self._time(batch.recorded_at)} by {batch.worker}"
                f" · lane {batch.lane}, batch {batch.batch_no} · chain head {batch.head[:16]}…",
                {"what": "batch", "lane": batch.lane, "batch": batch.batch_no, "head": batch.head,
                 "previous": batch.previous, "by": batch.worker, "recorded_at": batch.recorded_at.isoformat()},
            )  # fmt: skip
        if (rule := record.rule) is not None:
            since = (
                f"since {self._time(rule.made_at)} by {rule.made_by}" if rule.made_by != "shipped" else "shipped"
            )
            until = f", ended {self._time(rule.ended_at)} by {rule.ended_by}" if rule.ended_at else ""
            yield Node(
                f"posting rule {rule.rule_id}: debit {rule.debit_role}, credit {rule.credit_role} ({since}{until})",
                {
                    "what": "posting_rule",
                    "rule": rule.rule_id,
                    "debit": rule.debit_role,
                    "credit": rule.credit_role,
                },
            )

    def _terms(self, record: Record) -> Node:
        born = record.born
        assert born is not None  # noqa: S101  asked before
        words = [f"reason {born.reason}" if born.reason else ""]
        if born.price_micro is not None:
            price = f"price {micro_text(born.price_micro, 2)} {born.currency or self.company.currency}"
            words.append(price + (f" at {_rate(born.rate_nano)}" if born.currency else ""))
        if born.value_micro is not None:
            words.append(f"came with a cost of {self._value(born.value_micro)}")
        text = " · ".join(word for word in words if word)
        return Node(text, {"what": "terms", "reason": born.reason, "dimension": born.dimension})

    def _passage(self, passage: PassageRow, record: Record | None) -> Node:
        direction = Crossing(passage.direction).name.lower().replace("_", " ")
        outcome = Outcome(passage.outcome).name.lower().replace("_", " ")
        children = [_evidence(passage)]
        facts: dict[str, Any] = {
            "what": "message", "site": passage.gateway_site, "gateway": passage.gateway, "epoch": str(passage.epoch),
            "seq": passage.seq, "lane": passage.lane, "batch": passage.batch_no, "row": passage.row_no,
            "signature": None,
        }  # fmt: skip
        digest = ""
        if record is not None and record.message is not None:
            facts["digest"] = record.message.digest
            digest = f" · digest {record.message.digest[:16]}…"
        children.append(
            Node(
                f"message of {passage.gateway_site}/{passage.gateway}"
                f" · epoch {passage.epoch.hex[:8]}, number {passage.seq}"
                f" · lane {passage.lane}, batch {passage.batch_no}, row {passage.row_no}{digest} · unsigned",
                facts,
            )
        )
        if record is not None:
            children += [self._passage(other, None) for other in record.evidence]
        text = _words(
            f"passage {direction} at {passage.gate}", passage.epc, outcome, f"confidence {passage.confidence:.2f}",
            self._time(moment_of(passage.occurred_us)),
        )  # fmt: skip
        facts = {"what": "passage", "id": str(passage.movement_id), "epc": passage.epc}
        return Node(text, facts | {"page": f"/passages/{passage.movement_id}"}, children)

    # ── Money ──

    def _entries(self, record: Record) -> Iterator[Node]:
        mine = {
            line_id(line)
            for cost in record.cost_entries
            if cost.journal_id is not None
            for line in record.lines_of(cost)
        } | {
            line_id(line)
            for change in record.allowances
            for line in record.lines_of_allowance(self.company.company_id, change)
        }
        for entry in record.entries:
            lines = record.lines[entry.source_id, entry.step]
            if entry.kind == Kind.RECOSTING and entry.source_id != record.record_id:
                shown = [line for line in lines if line_id(line) in mine]
                rest = _rest(len(lines) - len(shown), "lines of other costs")
            else:
                shown, rest = lines, []
            yield Node(
                self._entry(entry, record),
                {"what": "journal_entry", "id": f"{entry.source_id}.{entry.step}", "voucher": entry.voucher,
                 "posting_date": entry.posting_date.isoformat(), "period": entry.period_id},
                [*(self._line(line) for line in shown), *rest],
            )  # fmt: skip

    def _entry(self, entry: EntryRow, record: Record) -> str:
        corrects = ""
        if entry.corrects is not None and entry.corrects != entry.source_id:
            of = (
                "this"
                if entry.corrects == record.record_id
                else self._name(entry.corrects, record.names.get(entry.corrects))
            )
            corrects = f"corrects {of}"
        source = ""
        if entry.source_id != record.record_id:
            source = "of " + self._name(entry.source_id, record.names.get(entry.source_id))
        tags = ", ".join(tag.name.lower() for tag in Tag if tag & entry.tags and tag.name)
        return _words(
            f"entry {entry.step}", source, entry.voucher, str(entry.posting_date), f"period {entry.period_id}",
            entry.document, entry.narration, corrects, tags,
        )  # fmt: skip

    def _line(self, line: LineRow) -> Node:
        side = "Dr" if line.amount > 0 else "Cr"
        account = f"{line.number} {line.name_zh if self.in_chinese else line.name_en}"
        foreign = ""
        if line.currency is not None:
            foreign = f"{minor_text(abs(line.currency_amount), line.currency_digits or 0)} {line.currency}"
        amount = self._money(abs(line.amount))
        mark = "  ◀ asked" if line_id(line) == self.asked else ""
        clears = "" if line.open_item is None else f"clears {line.open_item}"
        return Node(
            _words(f"{side} {account} {amount}", foreign, line.dimension, clears, line_id(line)) + mark,
            {"what": "journal_line", "id": line_id(line), "account": line.number, "side": side.lower(),
             "amount": minor_text(abs(line.amount), self.company.minor_digits), "dimension": line.dimension,
             "currency": line.currency, "clears": None if line.open_item is None else str(line.open_item)},
        )  # fmt: skip

    # ── Cost ──

    def _costs(self, record: Record, depth: int) -> Iterator[Node]:
        for cost in record.cost_entries:
            taken = [
                link for link in record.consumed if (link.movement_id, link.step) == (cost.movement_id, cost.step)
            ]
            children = [self._link(link, link.source_id, "took", record, depth) for link in taken]
            children += [
                Node(
                    f"layer {layer.layer_no}: {micro_text(layer.qty_left)} left, worth {self._value(layer.value_left)}"
                    + (", without a cost yet" if layer.uncosted else ""),
                    {"what": "layer", "layer": layer.layer_no, "quantity": micro_text(layer.qty_left)},
                )
                for layer in record.layers
                if cost.movement_id == record.record_id
                and (layer.pool_id, layer.step) == (cost.pool_id, cost.step)
            ]
            if record.sort is Sort.RECOSTING:
                of = cost.corrects or cost.movement_id
                children.append(self._walk(of, record.names.get(of), depth - 1))
            yield Node(self._cost(record, cost), self._cost_facts(record, cost), children)
        for change in record.allowances:
            lines = record.lines_of_allowance(self.company.company_id, change)
            children = []
            if record.sort is Sort.RECOSTING:
                children.append(self._walk(change.movement_id, record.names.get(change.movement_id), depth - 1))
            yield Node(
                f"allowance of {change.item} in {change.site or self.company.code} by {self._value(change.value)}",
                {
                    "what": "allowance_entry",
                    "step": change.step,
                    "journal_lines": [line_id(line) for line in lines],
                },
                children,
            )
        if record.consumed_by:
            yield Node(
                "its layers went to",
                {"what": "consumed_by"},
                [self._link(link, link.movement_id, "gave", record, depth) for link in record.consumed_by],
            )

    def _cost(self, record: Record, cost: CostEntryRow) -> str:
        pool = _words(cost.item, cost.site, cost.account_number, cost.dimension, _METHOD_NAMES.get(cost.method))
        of = (
            ""
            if cost.movement_id == record.record_id
            else "by " + self._name(cost.movement_id, record.names.get(cost.movement_id))
        )
        quantity = f"{micro_text(cost.qty)} {cost.unit or ''}".strip() if cost.qty else ""
        carried = "" if cost.journal_id is None else f"in re-costing {cost.journal_id}"
        return _words(f"cost entry {cost.step}", quantity, self._value(cost.value), f"pool {pool}", of, carried)

    def _cost_facts(self, record: Record, cost: CostEntryRow) -> dict[str, Any]:
        return {
            "what": "cost_entry", "movement": str(cost.movement_id), "step": cost.step,
            "quantity": micro_text(cost.qty), "value": micro_text(cost.value, self.company.minor_digits),
            "posted": minor_text(cost.posted, self.company.minor_digits),
            "journal_lines": [line_id(line) for line in record.lines_of(cost)],
        }  # fmt: skip

    def _link(self, link: LinkRow, other: UUID, did: str, record: Record, depth: int) -> Node:
        node = self._walk(other, record.names.get(other), depth - 1)
        preposition = "of" if did == "took" else "to"
        what = f"{micro_text(link.qty)}, {self._value(link.value)}, layer {link.layer_no}"
        text = f"{did} {what} {preposition} {node.text}"
        return Node(text, node.facts | {"link": did, "layer": link.layer_no}, node.children)

    # ── Who names whom ──

    def _relatives(self, record: Record, depth: int) -> Iterator[Node]:
        movement, event = record.movement, record.event
        if movement is not None and movement.corrects not in (None, record.record_id):
            yield from self._named("corrects", [movement.corrects], record, depth)
        if movement is not None:
            yield from self._named("returns", [movement.returns], record, depth)
        if event is not None:
            yield from self._named("concerns", [event.original_id], record, depth)
        yield from self._named("corrected by", record.corrected_by, record, depth)
        yield from self._named("returned by", record.returned_by, record, depth)
        yield from self._named("cost changed by", record.events, record, depth)
        yield from self._named("clears", (line.open_item for line in record.cleared()), record, depth)
        for row in record.cleared_by:
            node = self._walk(row.source_id, record.names.get(row.source_id), depth - 1)
            amount = f"{self._money(abs(row.amount))} on {row.account_number}"
            text = f"cleared on {row.posting_date} by {amount}: {node.text}"
            yield Node(text, node.facts | {"relation": "cleared by"}, node.children)
        for draft in record.drafts:
            digits = self.company.minor_digits if draft.currency is None else draft.currency_digits or 0
            amount = f"{minor_text(draft.net_amount, digits)} {draft.currency or self.company.currency}"
            other = draft.posted_as if draft.movement_id == record.record_id else draft.movement_id
            head = f"draft {draft.state}, {amount}"
            if other is None:
                yield Node(head, {"what": "draft", "state": draft.state})
            else:
                node = self._walk(other, record.names.get(other), depth - 1)
                yield Node(f"{head}: {node.text}", node.facts | {"relation": "draft"}, node.children)
        if record.document is not None:
            said = [one for one in ids_in(record.document.details) if one in record.names]
            yield from self._named("names", said, record, depth)

    def _named(self, relation: str, ids: Iterable[UUID | None], record: Record, depth: int) -> Iterator[Node]:
        known = [one for one in dict.fromkeys(ids) if one is not None and one != record.record_id]
        for one in known[: self.limit]:
            node = self._walk(one, record.names.get(one), depth - 1)
            yield Node(f"{relation} {node.text}", node.facts | {"relation": relation}, node.children)
        yield from _rest(
            len(known) - self.limit, f"that it {relation}" if relation in ("clears", "names") else relation
        )

    # ── Words ──

    def _name(self, one: UUID, name: NameRow | None) -> str:
        if name is None:
            return str(one)
        goods = self._goods(name.item, name.item_zh, name.item_en)
        if name.qty_micro is not None:
            goods = f"{micro_text(name.qty_micro)} {name.unit or ''} {goods}".replace("  ", " ").strip()
        return _words(_kind(name.kind), goods, name.document, name.party, str(one))

    def _goods(self, code: str | None, zh: str | None, en: str | None) -> str:
        name = (zh or en) if self.in_chinese else (en or zh)
        return " ".join(word for word in (code, name) if word)

    def _quantity(self, qty_micro: int, unit: str | None, of: MovementRow) -> str:
        return f"{micro_text(qty_micro)} {unit or ''} {self._goods(of.item, of.item_zh, of.item_en)}".strip()

    def _money(self, minor: int) -> str:
        return f"{minor_text(minor, self.company.minor_digits)} {self.company.currency}"

    def _value(self, micro: int) -> str:
        return f"{micro_text(micro, self.company.minor_digits)} {self.company.currency}"

    def _time(self, moment: datetime) -> str:
        return moment.astimezone(self.zone).isoformat(" ", "seconds")


def _evidence(passage: PassageRow) -> Node:
    """Why the gateway decided so, and what it saw; what cannot be read stands as it was sent."""
    evidence = read_evidence(passage.evidence)
    facts = {"what": "evidence", "said": passage.evidence}
    if evidence.is_empty:
        return Node(f"evidence {json.dumps(passage.evidence, ensure_ascii=False)}", facts)
    seen = [Node(line, {"what": "seen"}) for line in trace_evidence.lines(evidence)]
    page = Node(f"drawn on the console's page /passages/{passage.movement_id}", {"what": "page"})
    return Node(f"evidence: {trace_evidence.headline(evidence) or 'no reason given'}", facts, [*seen, page])


def line_id(line: LineRow) -> str:
    """A line as the API shows it."""
    return f"{line.source_id}.{line.step}.{line.line_no}"


def _kind(kind: int) -> str:
    return Kind(kind).name.lower().replace("_", " ")


def _words(*words: str | None) -> str:
    return " · ".join(word for word in words if word)


def _rate(rate_nano: int) -> str:
    return minor_text(rate_nano, 9).rstrip("0").rstrip(".")


def _rest(left: int, of_what: str) -> list[Node]:
    return [Node(f"… and {left} more: {of_what}", {"what": "left_out", "count": left})] if left > 0 else []
