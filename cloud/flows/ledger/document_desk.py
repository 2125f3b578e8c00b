"""What documents have in common on their way to the books: accounts by role, terms of payment in another currency,
the exchange difference that closes an entry, and the place of the batch.

A document is written by cloud.flows.ledger.post_document; the flows of invoices, payments, clearings and manual entries
make its lines here.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import psycopg

from cloud.domain.batch import Batch
from cloud.domain.currency import code_of, digits_of, to_base
from cloud.domain.ledger.chart import Accounts, DimensionNeeds
from cloud.domain.movement import derived_id
from cloud.flows.answer_once import CannotRecord
from cloud.flows.ledger.name_dimensions import UnknownDimension, dimension_sets
from cloud.flows.ledger.post_document import CannotPost, Document, DocumentLine, post_documents
from cloud.flows.ledger.rates import rate_on
from cloud.store.batches import close_batch
from cloud.store.ledger import documents as store
from cloud.store.ledger.documents import AccountRow

Cursor = psycopg.Cursor

ROWS_MAX = 1000
NUMBER_MAX = 200
HOME_RATE = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Terms:
    """A document's currency (ISO 4217 number, 0: the company's own) and its rate in 10⁻⁹."""

    currency: int
    rate_nano: int


@dataclass(slots=True)
class Desk:
    """A batch on which documents are made. accounts: the chart by role and site."""

    cursor: Cursor
    batch: Batch
    accounts: Accounts
    _needs: dict[int, DimensionNeeds] = field(default_factory=dict)  # by dimension set

    @classmethod
    def at(cls, cursor: Cursor, batch: Batch) -> "Desk":
        """The desk of a batch."""
        return cls(cursor, batch, store.accounts_by_role(cursor, batch.company.company_id))

    @property
    def company_id(self) -> int:
        """Whose books these are."""
        return self.batch.company.company_id

    def account(self, role: str, site: int = 0) -> int:
        """The account that stands for a role. Raises CannotRecord."""
        found = self.accounts.at(role, site)
        if found is None:
            raise CannotRecord(f"the chart has no account for {role}")
        return found

    def named_account(self, number: str, day: date, row: int | None = None) -> AccountRow:
        """An account that a person may name: no control account, no header, valid that day. Raises CannotRecord."""
        found = store.accounts_numbered(self.cursor, self.company_id, [number]).get(number)
        return checked_account(found, number, day, row)

    def terms(self, currency: int, rate_nano: int | None, day: date) -> Terms:
        """A document's currency with the rate it names, else the one known for its day. Raises CannotRecord."""
        own = self.batch.company.currency
        if currency == 0 or code_of(currency) == own:
            if rate_nano not in (None, HOME_RATE):
                raise CannotRecord(f"expected 1 for {own}, the company's own currency", field="rate")
            return Terms(0, HOME_RATE)
        if rate_nano is None:
            rate_nano = rate_on(self.cursor, self.company_id, currency, day).rate_nano
        if not 1 <= rate_nano < 2**62:
            raise CannotRecord(f"expected more than 0 × 10⁻⁹, below 2⁶², got {rate_nano}", field="rate")
        return Terms(currency, rate_nano)

    def base(self, amount: int, terms: Terms) -> int:
        """Minor units of a document's currency as the company's, at the document's rate."""
        if terms.currency == 0:
            return amount
        return to_base(amount, digits_of(terms.currency), terms.rate_nano, self.batch.company.minor_digits)

    def digits(self, terms: Terms) -> int:
        """Digits behind the point of the document's currency."""
        return digits_of(terms.currency) if terms.currency else self.batch.company.minor_digits

    def line(self, account: int, amount: int, terms: Terms, **more: object) -> DocumentLine:
        """A line at the document's rate. amount: minor units of its currency, debit positive."""
        if terms.currency == 0:
            return DocumentLine(account, amount, **more)  # type: ignore[arg-type]
        return DocumentLine(
            account,
            self.base(amount, terms),
            currency=terms.currency,
            currency_amount=amount,
            **more,  # type: ignore[arg-type]
        )

    def refuses(self, account: int, dimension_id: int) -> str | None:
        """Why lines of the account cannot bear this dimension set; None when they can."""
        if dimension_id not in self._needs:
            self._needs[dimension_id] = store.dimension_needs(self.cursor, self.company_id, [dimension_id])
        return self._needs[dimension_id].refuses(account, dimension_id)

    def taken_by(self, account: int, dimension_id: int) -> int:
        """The dimension set where the account takes it, else none; what it asks for beyond, the books refuse."""
        return dimension_id if dimension_id and self.refuses(account, dimension_id) is None else 0

    def dimension(
        self, account: int, values: Mapping[str, str], day: date, row: int | None = None, field: str = "dimensions"
    ) -> int:
        """The dimension set of these values by type, valid that day, for a line of the account. Raises CannotRecord."""
        return self.dimensions([account], [values], day, field, [row])[0]

    def dimensions(
        self, accounts: Sequence[int], values: Sequence[Mapping[str, str]], day: date, field: str = "dimensions",
        rows: Sequence[int | None] | None = None,
    ) -> list[int]:  # fmt: skip
        """The same for many lines; `rows` are their numbers, 0, 1, 2 … unless told. Raises CannotRecord."""
        numbers = range(len(accounts)) if rows is None else rows
        found: list[int] = []
        named = dimension_sets(self.cursor, self.company_id, [(one, day) for one in values])
        for row, account, one in zip(numbers, accounts, named, strict=True):
            if isinstance(one, UnknownDimension):
                raise CannotRecord(str(one), row, field)
            if (wrong := self.refuses(account, one)) is not None:
                raise CannotRecord(wrong, row, field)
            found.append(one)
        return found

    def closed(self, lines: Sequence[DocumentLine]) -> tuple[DocumentLine, ...]:
        """The lines with what they lack: the difference by rate as exchange gain or loss.

        A currency that stands on one side only (an item in the company's own currency, paid in another) is taken
        over by the exchange account too, so that the entry balances in every currency.
        """
        kept = [line for line in lines if line.amount or line.currency_amount]
        rest = -sum(line.amount for line in kept)
        rests: dict[int, int] = {}
        for line in kept:
            if line.currency:
                rests[line.currency] = rests.get(line.currency, 0) - line.currency_amount
        open_currencies = [(currency, amount) for currency, amount in rests.items() if amount]
        if not rest and not open_currencies:
            return tuple(kept)
        account = self.account("exchange_loss" if rest > 0 else "exchange_gain")
        for number, (currency, amount) in enumerate(open_currencies or [(0, 0)]):
            kept.append(DocumentLine(account, 0 if number else rest, currency=currency, currency_amount=amount))
        return tuple(kept)

    def post(self, document: Document, *, move_when_closed: bool = False) -> None:
        """Append the document; refusals without a row, since it is the only one. Raises CannotRecord."""
        try:
            post_documents(self.cursor, self.batch, [document], move_when_closed=move_when_closed)
        except CannotPost as error:
            raise CannotRecord(error.reason, None, error.field) from error

    def begin_next_batch(self) -> None:
        """Close the batch and go on with the next of its lane, in the same transaction.

        For documents that came with value events: in a batch's link every table has one place, and the journal of
        goods has taken that of the entries.
        """
        batch = self.batch
        if not batch.hashed:
            return
        batch.previous = close_batch(self.cursor, batch)
        batch.batch_no += 1
        batch.hashed.clear()
        batch.turnovers.clear()
        batch.observed = batch.moved = 0


def document_id(company_id: int, key: str) -> UUID:
    """The id of the document that a request makes."""
    return derived_id(f"{company_id}/{key}/document".encode())


def check_number(number: str) -> None:
    """A document's number as on the paper. Raises CannotRecord."""
    if not 1 <= len(number.strip()) <= NUMBER_MAX:
        raise CannotRecord(f"expected 1 … {NUMBER_MAX} characters, got {len(number)}", field="number")


def check_rows(count: int, field: str) -> None:
    """Raises CannotRecord."""
    if not 1 <= count <= ROWS_MAX:
        raise CannotRecord(f"expected 1 … {ROWS_MAX}, got {count}", field=field)


def checked_account(found: AccountRow | None, number: str, day: date, row: int | None) -> AccountRow:
    """An account that a person may post to that day. Raises CannotRecord."""
    if found is None:
        raise CannotRecord(f"there is no account {number!r}", row, "account")
    if not found.is_postable:
        raise CannotRecord(f"account {number} sums its sub-accounts and takes no lines", row, "account")
    if found.is_control:
        raise CannotRecord(
            f"account {number} is a control account, written by its movements and documents only", row, "account"
        )
    if not found.valid_from <= day <= found.valid_to:
        raise CannotRecord(
            f"account {number} is valid from {found.valid_from} to {found.valid_to}, not on {day}", row, "account"
        )
    return found


def moment_on(day: date, time_zone: str, not_before_us: int) -> int:
    """When a value event of a document happened: at the end of its day, but neither after now nor before the goods
    that it concerns. µs since 1970-01-01 UTC."""
    end = datetime.combine(day + timedelta(days=1), datetime.min.time(), ZoneInfo(time_zone))
    return max(min(int(end.timestamp() * 1_000_000) - 1, time.time_ns() // 1000), not_before_us)
