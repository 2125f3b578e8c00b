"""Requests that change the books once: who asks, the Idempotency-Key, what was said, and refusals as problems.

A route takes a MovementChange, LedgerChange or CostChange, by the scopes that it needs, hands `request(…)` to a flow,
and gives what the flow answered to `told`.
"""

import hashlib
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any
from uuid import UUID

import msgspec
from fastapi import Depends, Header, Response
from psycopg_pool import ConnectionPool
from pydantic import BaseModel

from cloud.api.access import FinanceReader, MovementWriter, Needs, Pool
from cloud.api.problems import Problem
from cloud.api.values import MICRO_DIGITS, MomentIn, parse_decimal
from cloud.domain.access import Caller, Scope
from cloud.domain.moments import us_of
from cloud.flows.answer_once import CannotRecord, Request
from cloud.flows.declare import RequestConflict

IdempotencyKey = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        pattern=r"^[\x21-\x7e]+$",
        description="Yours to choose, one for each request. The same key and payload gets the first answer again; "
        "the same key with another payload is refused with 409.",
    ),
]

# What goods are worth is for those who may both write and see the books' money.
CostWriter = Annotated[Caller, Depends(Needs(Scope.FINANCE, Scope.WRITE_MOVEMENTS))]

SIGNED_DECIMAL = r"^-?[0-9]{1,13}(\.[0-9]{1,6})?$"


class Change:
    """A request to change the books once: who asks, under what key, and the connections to do it with."""

    def __init__(self, caller: Caller, pool: ConnectionPool, response: Response, key: str) -> None:
        self.caller = caller
        self.pool = pool
        self.key = key
        self._response = response

    @property
    def company_id(self) -> int:
        """The company whose books the caller may change."""
        return self.caller.company.company_id

    def request(self, noun: str, body: BaseModel, *path: str) -> Request:
        """The request as a flow takes it."""
        text = msgspec.json.encode([noun, *path, as_said(body)], order="deterministic")
        by = f"{self.caller.person_name} ({self.caller.key_id})"
        return Request(self.key, hashlib.sha256(text).digest(), by, self.caller.posts_soft_closed)

    def told(self, ids: Sequence[str], replayed: bool) -> list[UUID]:
        """The answer's ids; its header says when they were given before."""
        if replayed:
            self._response.headers["Idempotency-Replayed"] = "true"
        return [UUID(one) for one in ids]


# Both only remember, so they are async: a plain function would cost each request a walk to another thread.
async def movement_change(
    caller: MovementWriter, pool: Pool, response: Response, idempotency_key: IdempotencyKey
) -> Change:
    """Of those who may write movements."""
    return Change(caller, pool, response, idempotency_key)


async def cost_change(
    caller: CostWriter, pool: Pool, response: Response, idempotency_key: IdempotencyKey
) -> Change:
    """Of those who may change what goods are worth."""
    return Change(caller, pool, response, idempotency_key)


async def ledger_change(
    caller: FinanceReader, pool: Pool, response: Response, idempotency_key: IdempotencyKey
) -> Change:
    """Of those who may post to the ledger."""
    return Change(caller, pool, response, idempotency_key)


MovementChange = Annotated[Change, Depends(movement_change)]
LedgerChange = Annotated[Change, Depends(ledger_change)]
CostChange = Annotated[Change, Depends(cost_change)]


def as_said(body: BaseModel) -> dict[str, Any]:
    """What digests are taken of: what was said, not how it was spaced. A client may serialise a request anew."""
    return body.model_dump(mode="json", by_alias=True, exclude_unset=True)


def moment_us(moment: MomentIn | None) -> int:
    """When it happened; now, unless said. µs since 1970-01-01 UTC."""
    return time.time_ns() // 1000 if moment is None else us_of(moment)


def parse_signed(text: str, pointer: str) -> int:
    """A decimal text that may be below 0, as an integer of 10⁻⁶. Raises Problem."""
    if text.startswith("-"):
        return -parse_decimal(text[1:], MICRO_DIGITS, pointer)
    return parse_decimal(text, MICRO_DIGITS, pointer)


@contextmanager
def refusals(rows: str = "", missing: type[LookupError] | None = None) -> Iterator[None]:
    """What a flow refuses, as a problem that names field and row.

    rows     the pointer of the list whose rows the flow counts, such as "/rows"
    missing  what the flow raises when the thing in the path does not exist
    """
    try:
        yield
    except RequestConflict as error:
        raise Problem(409, "key-used-before", f"Idempotency-Key: {error}") from None
    except CannotRecord as error:
        pointer = (f"{rows}/{error.row}" if rows and error.row is not None else "") + (
            f"/{error.field}" if error.field else ""
        )
        raise Problem(
            422,
            "cannot-book",
            f"nothing was booked: {error}",
            errors=[{"pointer": pointer, "detail": error.reason}],
        ) from None
    except LookupError as error:
        if missing is None or not isinstance(error, missing):
            raise
        raise Problem(404, "not-found", str(error)) from None


def unknown_codes(errors: list[dict[str, Any]]) -> Problem:
    """Codes that stand for nothing, all of them at once."""
    return Problem(422, "wrong-value", f"{len(errors)} codes are unknown; nothing was booked", errors=errors[:50])
