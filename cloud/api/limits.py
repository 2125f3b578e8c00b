"""What every request and answer passes through: headers that all answers carry, our own faults, a bound on bodies.

Plain ASGI: Starlette's BaseHTTPMiddleware would put a task and a queue around every live stream.
"""

import logging
from contextlib import suppress

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cloud.api.problems import Problem, answer, request_id

# A thousand movements with long documents are 300 KiB.
BODY_MAX_BYTES = 1024 * 1024

log = logging.getLogger(__name__)


class BodyLimit:
    """Refuses bodies beyond BODY_MAX_BYTES with 413, also those that do not say their length."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        announced = request.headers.get("content-length", "0")
        if not announced.isdecimal() or int(announced) > BODY_MAX_BYTES:
            await _too_large(request)(scope, receive, send)
            return
        taken = 0
        is_answered = False

        async def bounded() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > BODY_MAX_BYTES:
                raise _BodyTooLarge
            return message

        async def watched(message: Message) -> None:
            nonlocal is_answered
            if taken <= BODY_MAX_BYTES or is_answered:
                is_answered = True
                await send(message)
            # Else whoever read the body made an error of its own of our refusal; the answer below is the true one.

        with suppress(_BodyTooLarge):
            await self.app(scope, bounded, watched)
        if taken > BODY_MAX_BYTES and not is_answered:
            await _too_large(request)(scope, receive, send)


class _BodyTooLarge(Exception):
    """A body without a length went on beyond the bound."""


def _too_large(request: Request) -> ASGIApp:
    return answer(
        request,
        Problem(413, "too-large", f"expected a body of at most {BODY_MAX_BYTES} bytes", {"Connection": "close"}),
    )


class Faults:
    """The supervisor's edge of a request: what nobody handled is logged once, and answered as our fault."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        is_answered = False

        async def watched(message: Message) -> None:
            nonlocal is_answered
            is_answered = True
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except Exception:
            if is_answered:
                raise  # half an answer is on its way: only closing the connection tells the truth
            request = Request(scope)
            log.exception("request failed", extra={"request_id": request_id(request), "path": scope["path"]})
            fault = Problem(500, "our-fault", "the mistake is ours; the log has it under this instance")
            await answer(request, fault)(scope, receive, send)


class Headers:
    """Gives each request an id, and each answer the headers that tell browsers to be careful."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        identity = request_id(Request(scope))

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = identity
                headers.setdefault("X-Content-Type-Options", "nosniff")
                headers.setdefault("Cache-Control", "no-store")
                headers.setdefault("Referrer-Policy", "same-origin")
                headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
                headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
                # A JSON answer opened in a browser runs nothing; pages set a policy of their own.
                headers.setdefault("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
            await send(message)

        await self.app(scope, receive, with_headers)
