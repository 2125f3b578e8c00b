"""Who looks at the console: cookies, the token that a form carries, and the language.

The session's cookie is HttpOnly and SameSite=Strict, and Secure with the name prefix __Host- (RFC 6265bis,
section 4.1.3.2) over HTTPS. A form carries a token that is made from the cookie: who cannot read the cookie
cannot make it, and it tells nothing about the cookie. Before the sign-in, a cookie of its own does that.
"""

import hashlib
import hmac
import secrets
from typing import Annotated

from fastapi import Depends, Request, Response
from psycopg_pool import ConnectionPool

from cloud.console.catalogue import LANGUAGES, preferred
from cloud.flows.sign_in import SESSION_LIFETIME_S, visitor_of
from cloud.store.access import Visitor

SESSION = "tallygate_session"
VISIT = "tallygate_visit"
LANGUAGE = "tallygate_language"
VISIT_LIFETIME_S = 3600
COOKIE_BYTES = 32
COOKIE_MAX = 200


def find_visitor(request: Request) -> Visitor | None:
    """Who is signed in, if anybody; asks the database."""
    cookie = read_cookie(request, SESSION)
    if not cookie:
        return None
    pool: ConnectionPool = request.app.state.pool
    with pool.connection() as connection:
        return visitor_of(connection, cookie)


MaybeVisitor = Annotated[Visitor | None, Depends(find_visitor)]


def read_cookie(request: Request, name: str) -> str:
    """The cookie of this name as we would set it on this connection; empty without one."""
    value = request.cookies.get(_name(request, name), "")
    return value if len(value) <= COOKIE_MAX else ""


def set_session(request: Request, response: Response, cookie: str) -> None:
    """Sign the browser in; what belonged to the visit before it ends."""
    _set(request, response, SESSION, cookie, SESSION_LIFETIME_S)
    drop_cookie(request, response, VISIT)
    drop_cookie(request, response, LANGUAGE)


def visit_cookie(request: Request) -> str:
    """The cookie of a visitor who is not signed in, made when there is none."""
    return read_cookie(request, VISIT) or secrets.token_urlsafe(COOKIE_BYTES)


def keep_visit(request: Request, response: Response, cookie: str) -> None:
    """Let the browser keep it while the form is open."""
    _set(request, response, VISIT, cookie, VISIT_LIFETIME_S)


def drop_cookie(request: Request, response: Response, name: str) -> None:
    """Take a cookie back."""
    _set(request, response, name, "", 0)


def form_token(cookie: str) -> str:
    """What a form of the page with this cookie must carry."""
    return hmac.new(cookie.encode(), b"tallygate form", hashlib.sha256).hexdigest()


def is_form_token(cookie: str, token: str) -> bool:
    """Whether the form came from a page of ours in this browser."""
    return bool(cookie) and hmac.compare_digest(form_token(cookie).encode(), token.encode("utf-8", "replace"))


def language_of(request: Request, visitor: Visitor | None) -> str:
    """?lang= first, then what was chosen with it before, then the person's own, then the browser's."""
    for wanted in (request.query_params.get("lang", ""), read_cookie(request, LANGUAGE)):
        if wanted in LANGUAGES:
            return wanted
    if visitor is not None and visitor.language in LANGUAGES:
        return visitor.language
    return preferred(request.headers.get("accept-language", ""))


def keep_language(request: Request, response: Response) -> None:
    """Remember a choice made with ?lang= until the browser closes or somebody signs in."""
    if (wanted := request.query_params.get("lang", "")) in LANGUAGES:
        _set(request, response, LANGUAGE, wanted, None)


def _set(request: Request, response: Response, name: str, value: str, lifetime_s: int | None) -> None:
    response.set_cookie(
        _name(request, name),
        value,
        max_age=lifetime_s,
        path="/",
        secure=_is_https(request),
        httponly=True,
        samesite="strict",
    )


def _name(request: Request, name: str) -> str:
    return f"__Host-{name}" if _is_https(request) else name


def _is_https(request: Request) -> bool:
    return request.url.scheme == "https"
