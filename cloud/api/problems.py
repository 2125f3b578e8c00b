"""Every error of the web service as problem details (RFC 9457), application/problem+json.

A problem's `type` is a URN of ours that a program can rely on; titles and details are for people. What
went wrong on our side says nothing of our insides: the log has it under the same `instance`.
"""

import logging
import uuid
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import msgspec
import psycopg
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from psycopg_pool import PoolTimeout
from starlette.exceptions import HTTPException

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 5
ERRORS_MAX = 50  # of one request; nobody reads more, and a body of 1 MiB can hold a great many mistakes

log = logging.getLogger(__name__)


class Problem(Exception):
    """What a route answers instead of what was asked.

    slug     last part of the type's URN; None for a plain HTTP status
    members  extension members, such as `errors`
    """

    def __init__(
        self,
        status: int,
        slug: str | None,
        detail: str,
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.slug = slug
        self.detail = detail
        self.headers = dict(headers or {})
        self.members = members


def not_found(what: str, code: object) -> Problem:
    """The company has no such thing."""
    return Problem(404, "not-found", f"no {what} {str(code)[:100]!r}")


def taken(what: str) -> Problem:
    """A code that must be unique stands for something else already."""
    return Problem(409, "already-there", what)


def wrong_value(pointer: str, detail: str) -> Problem:
    """One value of the request cannot be; pointer is a JSON pointer into it (RFC 6901)."""
    return Problem(422, "wrong-value", detail, errors=[{"pointer": pointer, "detail": detail}])


def answer(request: Request, problem: Problem) -> Response:
    """A problem as a response."""
    body = {
        "type": f"urn:tallygate:problem:{problem.slug}" if problem.slug else "about:blank",
        "title": _TITLES.get(problem.slug or "") or HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
        "instance": f"urn:uuid:{request_id(request)}",
        **problem.members,
    }
    return Response(
        msgspec.json.encode(body), problem.status, {"Cache-Control": "no-store", **problem.headers}, MEDIA_TYPE
    )


def request_id(request: Request) -> str:
    """What this request is called in answers and logs."""
    found = getattr(request.state, "request_id", None)
    if found is None:
        found = request.state.request_id = str(uuid.uuid4())
    return str(found)


def install(app: FastAPI) -> None:
    """Let `app` answer every error as a problem."""
    for kind, handler in (
        (Problem, _on_problem),
        (HTTPException, _on_http_exception),
        (RequestValidationError, _on_validation_error),
        (PoolTimeout, _on_unreachable),
        (psycopg.errors.QueryCanceled, _on_overrun),
        (psycopg.errors.LockNotAvailable, _on_overrun),
        (psycopg.errors.SerializationFailure, _on_overrun),
        (psycopg.errors.DeadlockDetected, _on_overrun),
        (psycopg.DataError, _on_data_error),
        (psycopg.OperationalError, _on_unreachable),
    ):
        app.add_exception_handler(kind, handler)


async def _on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101  registered for this kind
    return answer(request, error)


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  registered for this kind
    details = {
        404: f"there is nothing at {request.url.path[:200]}",
        405: f"{request.method} is not possible at {request.url.path[:200]}",
    }
    detail = details.get(error.status_code) or str(error.detail)
    return answer(request, Problem(error.status_code, None, detail, error.headers))


async def _on_validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101  registered for this kind
    found = error.errors()
    # The offending input is not repeated: it may be a secret in the wrong field, or no text at all.
    errors = [{"pointer": _pointer(one["loc"], error.body), "detail": one["msg"]} for one in found[:ERRORS_MAX]]
    if any(one["type"] == "json_invalid" for one in found):
        return answer(request, Problem(400, "not-json", "the body is not JSON", errors=errors))
    what = "one value" if len(found) == 1 else f"{len(found)} values"
    return answer(request, Problem(422, "wrong-value", f"{what} of the request cannot be", errors=errors))


async def _on_data_error(request: Request, error: Exception) -> Response:
    """A value that only the database could tell is wrong, such as a text with a NUL in it."""
    return answer(request, Problem(422, "wrong-value", f"the database cannot hold a value: {_first_line(error)}"))


async def _on_overrun(request: Request, error: Exception) -> Response:
    log.warning("gave up waiting", extra={"request_id": request_id(request), "error": _first_line(error)})
    problem = Problem(503, "busy", "the books are busy; the request changed nothing, try again", _retry())
    return answer(request, problem)


async def _on_unreachable(request: Request, error: Exception) -> Response:
    log.warning("database out of reach", extra={"request_id": request_id(request), "error": _first_line(error)})
    problem = Problem(
        503,
        "database-unreachable",
        "the database is out of reach; ask again with the same Idempotency-Key",
        _retry(),
    )
    return answer(request, problem)


def _pointer(location: tuple[int | str, ...], body: Any) -> str:
    """`("body", "movements", 3, "kind")` is /movements/3/kind; other parts of the request stand in front."""
    first, *rest = location or ("body",)
    parts = [str(part).replace("~", "~0").replace("/", "~1") for part in _in_body(rest, body)]
    return "".join(f"/{part}" for part in parts) if first == "body" else "/".join([str(first), *parts])


def _in_body(parts: Sequence[int | str], body: Any) -> Iterator[int | str]:
    """The parts that lead through `body`. Which of several shapes was tried is no part of it, but stands among them."""
    last = len(parts) - 1
    for number, part in enumerate(parts):
        if isinstance(body, dict) and part not in body and number != last:
            continue
        yield part
        found = (isinstance(body, dict) and part in body) or (isinstance(body, list) and isinstance(part, int))
        body = body[part] if found else None


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]


def _retry() -> dict[str, str]:
    return {"Retry-After": str(RETRY_AFTER_S)}


_TITLES = {
    "already-there": "Already there",
    "bad-cursor": "No cursor of this list",
    "busy": "The books are busy",
    "cannot-book": "Cannot be booked",
    "cannot-close": "The period cannot be brought to that state",
    "cursor-of-an-earlier-life": "Cursor of an earlier life of the database",
    "database-unreachable": "The database is out of reach",
    "key-used-before": "Idempotency-Key used before",
    "missing-role": "The person lacks a role",
    "missing-scope": "The key lacks a scope",
    "not-found": "Not found",
    "not-json": "Not JSON",
    "not-ready": "Not ready",
    "our-fault": "Our fault",
    "sign-in-needed": "Sign-in needed",
    "too-large": "Request too large",
    "too-many-attempts": "Too many attempts",
    "unknown-key": "No valid API key",
    "wrong-value": "Wrong value",
}
