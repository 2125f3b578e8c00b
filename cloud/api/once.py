"""Requests that change the books once: the Idempotency-Key, what was said, and refusals as problems."""

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any
from uuid import UUID

import msgspec
from fastapi import Depends, Header, Response
from pydantic import BaseModel

from cloud.api.access import Needs
from cloud.api.problems import Problem
from cloud.api.values import MICRO_DIGITS, MomentIn, parse_decimal
from cloud.domain.access import Caller, Scope
from cloud.domain.moments import us_of
from cloud.flows.answer_once import Answered, CannotRecord, Request
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


def request_of(caller: Caller, key: str, noun: str, body: BaseModel, *path: str) -> Request:
    """The request as a flow takes it. Its digest is of what was said, not of how it was spaced."""
    said = body.model_dump(mode="json", by_alias=True, exclude_unset=True)
    text = msgspec.json.encode([noun, *path, said], order="deterministic")
    return Request(key, hashlib.sha256(text).digest(), f"{caller.person_name} ({caller.key_id})")


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


def told(response: Response, answered: Answered) -> list[UUID]:
    """The answer's ids; the header says when they were given before."""
    if answered.replayed:
        response.headers["Idempotency-Replayed"] = "true"
    return [UUID(one) for one in answered.ids]


def unknown_codes(errors: list[dict[str, Any]]) -> Problem:
    """Codes that stand for nothing, all of them at once."""
    return Problem(422, "wrong-value", f"{len(errors)} codes are unknown; nothing was booked", errors=errors[:50])
