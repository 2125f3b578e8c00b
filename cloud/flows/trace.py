"""What somebody asks a trace for, and what the books have of it.

A journal line is `{source}.{step}.{line}`, an entry `{source}.{step}`, a record (movement, value event, document,
re-costing) its UUID, a voucher its number and period (`记-12`), a tag its EPC in hex or as a URN.
"""

import re
import uuid
from dataclasses import dataclass, field
from uuid import UUID

import psycopg

from cloud.store import lists, trace
from cloud.store.feeds import MovementRow, PassageRow
from cloud.store.lists import TagRow
from cloud.store.trace import LIST_MAX, Record, read_record
from protocols.epc.decoded import WrongEpc
from protocols.epc.tag_memory import memories_of

EPC_MAX = 128  # hex digits: 512 bits, the longest EPC memory bank that readers report
SMALLINT_MAX = 2**15 - 1
INTEGER_MAX = 2**31 - 1

_ENTRY = re.compile(r"(?P<source>[0-9a-fA-F-]{32,36})\.(?P<step>[0-9]{1,5})(?:\.(?P<line>[0-9]{1,5}))?")
_VOUCHER = re.compile(r"(?P<word>[^\W\d_]{1,8})-(?P<number>[0-9]{1,10})")
_HEX = re.compile(r"(?:[0-9A-F]{4})+")


class CannotTrace(ValueError):
    """The text is nothing that can be traced."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a text stands for: a record with, where told, one of its entries and lines; or a voucher; or tags."""

    text: str
    record_id: UUID | None = None
    step: int | None = None
    line_no: int | None = None
    word: str = ""
    number: int = 0
    epcs: tuple[str, ...] = ()

    @property
    def what(self) -> str:
        """In a word, for who looks in vain."""
        if self.line_no is not None:
            return "journal line"
        if self.step is not None:
            return "journal entry"
        if self.word:
            return "voucher"
        return "tag" if self.record_id is None else "movement" + " or tag" * bool(self.epcs)


@dataclass(frozen=True, slots=True)
class Found:
    """What the books have of it: a record, or a tag with its passages and movements, newest first.

    line, entry  ids of what was asked for within the record
    """

    asked: Asked
    record: Record | None = None
    entry: str | None = None
    line: str | None = None
    tag: TagRow | None = None
    epc: str | None = None
    passages: list[PassageRow] = field(default_factory=list)
    movements: list[MovementRow] = field(default_factory=list)


def parse(text: str) -> Asked:
    """Raises CannotTrace."""
    if match := _ENTRY.fullmatch(text):
        source = _uuid(match["source"])
        if source is not None:
            line = match["line"]
            return Asked(text, source, int(match["step"]), None if line is None else int(line))
    if text.lower().startswith("urn:epc:"):
        return Asked(text, epcs=_memories(text))
    record_id, epc = _uuid(text), text.upper()
    epcs = (epc,) if len(epc) <= EPC_MAX and _HEX.fullmatch(epc) else ()
    if record_id is not None or epcs:
        return Asked(text, record_id, epcs=epcs)
    if match := _VOUCHER.fullmatch(text):
        return Asked(text, word=match["word"], number=int(match["number"]))
    raise CannotTrace(
        "expected a journal line {source}.{step}.{line}, a movement's UUID, a voucher such as 记-12 or an EPC in hex,"
        f" got {text[:100]!r}"
    )


def find(
    connection: psycopg.Connection,
    company_id: int,
    asked: Asked,
    period_id: int | None = None,
    limit: int = LIST_MAX,
) -> Found | None:
    """What the company's books have of it; None where they have nothing. Lists stop at `limit`.

    Raises CannotTrace where a voucher is asked for without its period.
    """
    if asked.word:
        if period_id is None:
            raise CannotTrace(f"{asked.text} is a number within a period: say which")
        if asked.number > INTEGER_MAX:
            return None
        entry = trace.entry_of_voucher(connection, company_id, period_id, asked.word, asked.number)
        if entry is None:
            return None
        return _found(connection, company_id, Asked(asked.text, entry[0], entry[1]), limit)
    if asked.step is not None:
        line = asked.line_no if asked.line_no is not None else 1
        assert asked.record_id is not None  # noqa: S101  parse names both
        if max(asked.step, line) > SMALLINT_MAX or not trace.has_line(
            connection, company_id, asked.record_id, asked.step, line
        ):
            return None
    if asked.record_id is not None and (found := _found(connection, company_id, asked, limit)):
        return found
    for epc in asked.epcs:
        if found := _tag(connection, company_id, asked, epc, limit):
            return found
    return None


def _found(connection: psycopg.Connection, company_id: int, asked: Asked, limit: int) -> Found | None:
    assert asked.record_id is not None  # noqa: S101  its callers have one
    record = read_record(connection, company_id, asked.record_id, limit)
    if record is None:
        return None
    entry = None if asked.step is None else f"{asked.record_id}.{asked.step}"
    return Found(asked, record, entry, None if asked.line_no is None else f"{entry}.{asked.line_no}")


def _tag(connection: psycopg.Connection, company_id: int, asked: Asked, epc: str, limit: int) -> Found | None:
    tag = lists.find_tag(connection, company_id, epc)
    passages = trace.passages_of_tag(connection, company_id, epc, limit)
    if tag is None and not passages:
        return None
    movements = trace.movements_of(connection, company_id, [passage.movement_id for passage in passages])
    return Found(asked, tag=tag, epc=epc, passages=passages, movements=movements[::-1])


def _memories(text: str) -> tuple[str, ...]:
    """The EPC memories that a URN may stand for: a pure identity tells neither scheme nor filter value.

    Raises CannotTrace.
    """
    # EPC Tag Data Standard 2.1, section 6.3: a URN's name may be written in any case, the key after it may not.
    *name, key = text.split(":", 4)
    try:
        return memories_of(":".join([*map(str.lower, name), key]))
    except WrongEpc as error:
        raise CannotTrace(f"{text[:100]!r} names no tag: {error}") from None


def _uuid(text: str) -> UUID | None:
    try:
        return uuid.UUID(text) if len(text) in (32, 36) else None
    except ValueError:
        return None
