"""The console's pages: sign-in, one live page of everything that happens, and one page for each passage.

Nothing is open but the sign-in page and its static files. Pages load nothing from elsewhere and run no
inline script; templates escape everything, and the page's module builds its rows from text nodes.
"""

import logging
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import psycopg
from fastapi import APIRouter, FastAPI, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from fastapi.staticfiles import StaticFiles
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from psycopg_pool import ConnectionPool
from starlette.exceptions import HTTPException
from starlette.types import Scope

from cloud.console import passage_page, visit
from cloud.console.catalogue import LANGUAGES, texts
from cloud.console.live import LiveFeed, TooManyStreams
from cloud.console.state import Pictures
from cloud.console.throttle import SignInThrottle
from cloud.console.visit import MaybeVisitor, find_visitor
from cloud.domain.access import Company
from cloud.flows import sign_in
from cloud.flows.explain_passage import ExplainedPassage, explain_passage
from cloud.flows.sign_in import TooManySignIns
from cloud.store.access import Visitor

HERE = Path(__file__).parent
NAME_MAX = 200
PASSWORD_MAX = 1000
RETRY_AFTER_S = 5

# Everything from ourselves, nothing inline: a text that slipped through unescaped still runs nothing.
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Vary": "Cookie, Accept-Language",
}

log = logging.getLogger(__name__)
router = APIRouter(include_in_schema=False)
_templates = Environment(
    loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)


def install(app: FastAPI, pool: ConnectionPool, feed: LiveFeed) -> None:
    """Put the console on `app`, beside the API."""
    app.state.live_feed = feed
    app.state.pictures = Pictures(pool, feed)
    app.state.throttle = SignInThrottle()
    app.include_router(router)
    app.mount("/static", _Static(directory=HERE / "static"), name="static")


@router.get("/")
def live_page(request: Request, visitor: MaybeVisitor) -> Response:
    """The live page, with the first picture in it; somebody who is not signed in is asked to."""
    if visitor is None:
        return RedirectResponse("/sign-in", 303)
    pictures: Pictures = request.app.state.pictures
    content = _render(
        "live.html",
        visit.language_of(request, visitor),
        visitor=visitor,
        # JSON within a script element must not close it; \u003c is the same letter to JSON.
        picture=pictures.get(visitor.company).decode().replace("<", "\\u003c"),
        token=visit.form_token(visit.read_cookie(request, visit.SESSION)),
    )
    page = HTMLResponse(content, headers=PAGE_HEADERS)
    visit.keep_language(request, page)
    return page


@router.get("/passages/{passage}")
def passage_page_of(passage: str, request: Request, visitor: MaybeVisitor) -> Response:
    """One passage: why the gate decided so, and what came of it. Whoever is signed in may read it."""
    if visitor is None:
        return RedirectResponse("/sign-in", 303)
    language = visit.language_of(request, visitor)
    token = visit.form_token(visit.read_cookie(request, visit.SESSION))
    found = _explained(request, visitor.company, passage)
    if found is None:
        content = _render("passage_missing.html", language, visitor=visitor, token=token)
    else:
        page = passage_page.show(found, visitor.company, language, texts(language))
        content = _render("passage.html", language, visitor=visitor, token=token, page=page)
    answer = HTMLResponse(content, 404 if found is None else 200, headers=PAGE_HEADERS)
    visit.keep_language(request, answer)
    return answer


@router.get("/live/state")
def live_state(request: Request, visitor: MaybeVisitor) -> Response:
    """The picture as JSON, for the page's module."""
    company = _company_of(visitor)
    return Response(request.app.state.pictures.get(company), media_type="application/json")


@router.get("/live")
async def live_stream(request: Request, visitor: MaybeVisitor) -> Response:
    """Server-sent events: `changed` says that /live/state has something new."""
    company = _company_of(visitor)
    feed: LiveFeed = request.app.state.live_feed
    try:
        feed.check_room()
    except TooManyStreams as error:
        raise HTTPException(503, str(error), {"Retry-After": str(RETRY_AFTER_S)}) from None

    def may_go_on() -> bool:
        try:
            return find_visitor(request) is not None
        except psycopg.OperationalError:
            return True  # the database is away for a moment; the next time will tell

    return StreamingResponse(
        feed.stream(company.company_id, may_go_on),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


@router.get("/sign-in")
def sign_in_page(request: Request, visitor: MaybeVisitor) -> Response:
    """The form; somebody who is signed in needs none."""
    if visitor is not None:
        return RedirectResponse("/", 303)
    return _sign_in_form(request, 200, None)


@router.post("/sign-in")
def sign_in_post(
    request: Request,
    name: Annotated[str, Form(max_length=NAME_MAX)] = "",
    password: Annotated[str, Form(max_length=PASSWORD_MAX)] = "",
    token: Annotated[str, Form(max_length=NAME_MAX)] = "",
) -> Response:
    """Open a session. A wrong name and a wrong password get the same answer in the same time."""
    if not visit.is_form_token(visit.read_cookie(request, visit.VISIT), token):
        return _sign_in_form(request, 403, "sign_in.stale", name)
    throttle: SignInThrottle = request.app.state.throttle
    address = request.client.host if request.client else ""
    wait_s = throttle.take_try(name, address)
    if wait_s > 0:
        log.warning("sign-in paused", extra={"address": address, "wait_s": round(wait_s)})
        return _sign_in_form(request, 429, "sign_in.too_many", name, int(wait_s) + 1)
    try:
        signed_in = sign_in.sign_in(request.app.state.pool, name, password) if _is_text(name) else None
    except TooManySignIns:
        throttle.forgive(name, address)
        return _sign_in_form(request, 503, "sign_in.busy", name, RETRY_AFTER_S)
    if signed_in is None:
        # Without the name: people type their password there, and logs are read by many.
        log.warning("sign-in refused", extra={"address": address})
        return _sign_in_form(request, 401, "sign_in.wrong", name)
    throttle.forgive(name, address)
    log.info("signed in", extra={"address": address, "person_id": signed_in.person_id})
    answer = RedirectResponse("/", 303)
    visit.set_session(request, answer, signed_in.cookie)
    return answer


@router.post("/sign-out")
def sign_out_post(request: Request, token: Annotated[str, Form(max_length=NAME_MAX)] = "") -> Response:
    """End the session, here and in the database."""
    cookie = visit.read_cookie(request, visit.SESSION)
    if not visit.is_form_token(cookie, token):
        raise HTTPException(403, "this form is not from a page of this session; open the page again")
    with request.app.state.pool.connection() as connection:
        sign_in.sign_out(connection, cookie)
    answer = RedirectResponse("/sign-in", 303)
    visit.drop_cookie(request, answer, visit.SESSION)
    return answer


def _explained(request: Request, company: Company, passage: str) -> ExplainedPassage | None:
    try:
        one = UUID(passage)
    except ValueError:
        return None
    pool: ConnectionPool = request.app.state.pool
    with pool.connection() as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        return explain_passage(connection, company.company_id, one)


def _sign_in_form(
    request: Request, status: int, complaint: str | None, name: str = "", wait_s: int | None = None
) -> Response:
    cookie = visit.visit_cookie(request)
    content = _render(
        "sign_in.html",
        visit.language_of(request, None),
        token=visit.form_token(cookie),
        complaint=complaint,
        name=name,
        wait_s=wait_s,
    )
    headers = PAGE_HEADERS if wait_s is None else PAGE_HEADERS | {"Retry-After": str(wait_s)}
    page = HTMLResponse(content, status, headers)
    visit.keep_visit(request, page, cookie)
    visit.keep_language(request, page)
    return page


def _render(template: str, language: str, **values: Any) -> str:
    words = texts(language)
    return _templates.get_template(template).render(
        language=language, languages=LANGUAGES, t=words.__getitem__, texts=words, **values
    )


def _company_of(visitor: Visitor | None) -> Company:
    if visitor is None:
        raise HTTPException(401, "sign in at /sign-in", {"WWW-Authenticate": 'Session realm="tallygate"'})
    return visitor.company


def _is_text(name: str) -> bool:
    return bool(name) and "\x00" not in name


class _Static(StaticFiles):
    """Our own files; the browser asks each time whether its copy is still right, which costs a 304."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """One file, or 404."""
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "no-cache"
        return response
