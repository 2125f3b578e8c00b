"""/v1/documents: what posts beside goods (invoices, payments, clearings, entries by hand), and taking it back."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Annotated, Any
from uuid import UUID

import psycopg
from fastapi import APIRouter, Query
from pydantic import BaseModel, Field, StringConstraints

from cloud.api.access import FinanceReader, Pool
from cloud.api.once import Change, LedgerChange, refusals, unknown_codes
from cloud.api.paging import LIMIT_DEFAULT, CursorText, Limit, Page, make_page, read_cursor
from cloud.api.problems import Problem, wrong_value
from cloud.api.values import RATE_DIGITS, Amount, Code, DecimalText, KindName, Moment, Text, parse_decimal
from cloud.domain.access import Company
from cloud.domain.currency import UnknownCurrency, code_of, digits_of, foreign_number
from cloud.domain.decimals import NotADecimal, minor_text, parse_scaled
from cloud.domain.moments import moment_of, us_of
from cloud.domain.movement import Kind
from cloud.flows.answer_once import Answered
from cloud.flows.ledger.reverse_document import NoEntry, reverse_document
from cloud.store import codes
from cloud.store.ledger import documents as store
from cloud.store.ledger.documents import DocumentLineRow, DocumentRow

router = APIRouter(tags=["documents"])

KINDS = tuple(kind for kind in Kind if kind.is_document)
ROWS_MAX = 1000

MoneyText = Annotated[
    str,
    StringConstraints(max_length=24, pattern=r"^-?[0-9]{1,13}(\.[0-9]{1,6})?$"),
    Field(examples=["45.20", "-5"]),
]
CurrencyCode = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$"), Field(examples=["USD"])]
Number = Annotated[Text, Field(min_length=1, max_length=200, description="As on the paper.")]
AccountNumber = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Dimensions = Annotated[
    dict[str, str],
    Field(max_length=20, description="Codes of values by type.", examples=[{"cost_centre": "A1"}]),
]


class PaperIn(BaseModel):
    """What every document says of itself."""

    model_config = {"extra": "forbid"}

    number: Number
    document_date: date = Field(alias="date", description="Of the paper.")
    posting_date: date | None = Field(None, description="Where it is posted: the document's date, unless said.")
    narration: Text = ""


class TermsIn(PaperIn):
    """A document that may be in another currency."""

    currency: CurrencyCode | None = Field(None, description="The company's own, unless said.")
    rate: DecimalText | None = Field(
        None, description="Company currency for one unit; the rate known for the document's date, unless said."
    )


class DocumentLineOut(BaseModel):
    """A line of the document's entry: an amount on one side, null on the other. `id` can be traced."""

    id: str
    account: str
    account_name_zh: str
    account_name_en: str
    dimensions: str | None = Field(examples=["cost_centre=A1;project=P7"])
    debit: Amount | None
    credit: Amount | None
    currency: str | None
    currency_amount: str | None = Field(description="Debit positive.")
    open_item: UUID | None = Field(description="The open item that the line clears.")


class DocumentOut(BaseModel):
    """A document with its entry. `corrects`: what it takes back; `corrected_by`: what took it back."""

    id: UUID
    kind: KindName
    party: str | None
    number: str
    document_date: date = Field(serialization_alias="date")
    posting_date: date
    period: int
    currency: str
    rate: str
    narration: str
    by: str
    recorded_at: Moment
    corrects: UUID | None
    corrected_by: UUID | None
    details: dict[str, Any] = Field(
        description="What its rows said; amounts in minor units of the document's currency."
    )
    lines: list[DocumentLineOut]


class ReversalIn(BaseModel):
    """Taking a document back."""

    model_config = {"extra": "forbid"}

    posting_date: date | None = Field(None, description="The original's, unless said.")
    reason: Text = ""


@router.get("/v1/documents", response_model=Page[DocumentOut], summary="Documents with the lines of their entries")
def list_documents(
    caller: FinanceReader,
    pool: Pool,
    limit: Limit = LIMIT_DEFAULT,
    cursor: CursorText = None,
    kind: Annotated[KindName | None, Query(description="Of one kind, such as supplier_invoice.")] = None,
) -> dict[str, Any]:
    """In the order in which they were recorded."""
    filters = {"kind": None if kind is None else int(kind)}
    after: tuple[datetime, UUID] = (datetime(1, 1, 1, tzinfo=UTC), UUID(int=0))
    if cursor is not None:
        at_us, one = read_cursor(cursor, "documents", filters, (int, str))
        after = moment_of(at_us), _uuid(one)
    kinds = KINDS if kind is None else (kind,)
    company = caller.company
    with pool.connection() as connection:
        rows = store.documents(connection, company.company_id, [int(one) for one in kinds], after, limit + 1)
        lines = store.document_lines(connection, company.company_id, [row.document_id for row in rows])
    return make_page(
        "documents", filters, rows, limit, lambda row: [us_of(row.recorded_at), str(row.document_id)],
        lambda row: show_document(company, row, lines[row.document_id]),
    )  # fmt: skip


@router.get("/v1/documents/{document_id}", response_model=DocumentOut, summary="A document")
def read_document(document_id: UUID, caller: FinanceReader, pool: Pool) -> DocumentOut:
    """With the lines of its entry."""
    with pool.connection() as connection:
        return one_document(connection, caller.company, document_id)


@router.post(
    "/v1/journal-entries/{entry}/reverse",
    response_model=DocumentOut,
    status_code=201,
    summary="Take an entry back",
)
def reverse(entry: str, body: ReversalIn, change: LedgerChange) -> DocumentOut:
    """An entry of the same kind with every line negated, once. What movements post follows their correction."""
    source, step = _entry(entry)
    request = change.request("reverse", body, entry)
    with change.pool.connection() as connection, refusals(missing=NoEntry):
        answered = reverse_document(
            connection, change.company_id, source, request, posting_day=body.posting_date, reason=body.reason,
            step=step,
        )  # fmt: skip
    return made(change, answered)


# ── What the routes of the documents share ──


def made(change: Change, answered: Answered) -> DocumentOut:
    """The document that a request made, as the books have it."""
    first, *_ = change.told(answered.ids, answered.replayed)
    with change.pool.connection() as connection:
        return one_document(connection, change.caller.company, first)


def one_document(connection: psycopg.Connection, company: Company, document_id: UUID) -> DocumentOut:
    """A document by id. Raises Problem."""
    start = (datetime(1, 1, 1, tzinfo=UTC), UUID(int=0))
    rows = store.documents(connection, company.company_id, [int(one) for one in KINDS], start, 1, document_id)
    if not rows:
        raise Problem(404, "not-found", f"no document {document_id}")
    lines = store.document_lines(connection, company.company_id, [document_id])
    return show_document(company, rows[0], lines[document_id])


def show_document(company: Company, row: DocumentRow, lines: Sequence[DocumentLineRow]) -> DocumentOut:
    """A document as the API shows it."""
    return DocumentOut(
        id=row.document_id,
        kind=Kind(row.kind),
        party=row.party,
        number=row.number,
        document_date=row.day,
        posting_date=row.posting_date,
        period=row.period_id,
        currency=code_of(row.currency) if row.currency else company.currency,
        rate=minor_text(row.rate_nano, RATE_DIGITS).rstrip("0").rstrip("."),
        narration=row.narration,
        by=row.recorded_by,
        recorded_at=row.recorded_at,
        corrects=row.corrects,
        corrected_by=row.corrected_by,
        details=row.details,
        lines=[_show_line(company, line) for line in lines],
    )


def _show_line(company: Company, line: DocumentLineRow) -> DocumentLineOut:
    text = minor_text(abs(line.amount), company.minor_digits)
    is_debit = line.amount > 0 or (line.amount == 0 and line.currency_amount > 0)
    return DocumentLineOut(
        id=f"{line.source_id}.0.{line.line_no}",
        account=line.number,
        account_name_zh=line.name_zh,
        account_name_en=line.name_en,
        dimensions=line.dimension or None,
        debit=text if is_debit else None,
        credit=None if is_debit else text,
        currency=code_of(line.currency) if line.currency else None,
        currency_amount=minor_text(line.currency_amount, digits_of(line.currency)) if line.currency else None,
        open_item=line.open_item,
    )


def currency_number(company: Company, code: str | None, pointer: str = "/currency") -> int:
    """The number of a currency, 0 for the company's own. Raises Problem."""
    try:
        return foreign_number(code, company.currency)
    except UnknownCurrency as error:
        raise wrong_value(pointer, str(error)) from None


def money(text: str, company: Company, currency: int, pointer: str) -> int:
    """A signed decimal text in minor units of a currency (0: the company's own). Raises Problem."""
    digits = digits_of(currency) if currency else company.minor_digits
    try:
        amount = parse_scaled(text.removeprefix("-"), digits)
    except NotADecimal as error:
        raise wrong_value(pointer, str(error)) from None
    return -amount if text.startswith("-") else amount


def rate_nano(text: str | None) -> int | None:
    """A rate in 10⁻⁹. Raises Problem."""
    return None if text is None else parse_decimal(text, RATE_DIGITS, "/rate")


def party_id(connection: psycopg.Connection, company_id: int, kind: str, code: str | None) -> int:
    """The party of this code, 0 for none. Raises Problem."""
    if code is None:
        return 0
    found = codes.party_ids(connection, company_id, [code]).get((kind, code))
    if found is None:
        raise unknown_codes([{"pointer": "/party", "detail": f"no {kind} {code!r}"}])
    return found


def item_ids(connection: psycopg.Connection, company_id: int, named: Sequence[str]) -> Mapping[str, int]:
    """Items by code, all of them. Raises Problem."""
    found = codes.item_ids(connection, company_id, named)
    wrong = [
        {"pointer": f"/rows/{number}/item", "detail": f"no item {code!r}"}
        for number, code in enumerate(named)
        if code not in found
    ]
    if wrong:
        raise unknown_codes(wrong)
    return found


def location_ids(connection: psycopg.Connection, company_id: int, named: Mapping[str, str]) -> dict[str, int]:
    """{pointer: location} from {pointer: code}, all of them. Raises Problem."""
    found = codes.location_ids(connection, company_id, set(named.values()))
    wrong = [
        {"pointer": pointer, "detail": f"no location {code!r}"}
        for pointer, code in named.items()
        if code not in found
    ]
    if wrong:
        raise unknown_codes(wrong)
    return {pointer: found[code] for pointer, code in named.items()}


PartyCode = Annotated[Code, Field(description="The party's code.")]


def _entry(text: str) -> tuple[UUID, int]:
    """Source and step of an entry's id, or of a document's alone. Raises Problem."""
    source, _, step = text.partition(".")
    if step and not (step.isdecimal() and len(step) < 5):
        raise Problem(404, "not-found", f"no journal entry {text[:80]}")
    return _uuid(source), int(step or 0)


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise Problem(404, "not-found", f"no journal entry {text[:80]}") from None
