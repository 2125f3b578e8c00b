"""Signing in and out of the console over HTTP: cookies, form tokens, throttling, languages."""

import hashlib
import re
from collections.abc import Callable
from typing import Any

import httpx
import psycopg
import pytest
from psycopg import sql

from cloud import settings
from cloud.console.throttle import ADDRESS_BURST, NAME_BURST
from cloud.wiring import WebServer, create_web
from standalone.ports import free_port
from tests.web_house import PASSWORD, person_with_password, start_web

SESSION = "tallygate_session"


@pytest.fixture
def browser(house: Any) -> Any:
    """A browser without cookies; the house's throttle is as new."""
    house.web.server.config.app.state.throttle.__init__()
    with httpx.Client(base_url=house.web.address, timeout=20) as http:
        yield http


@pytest.fixture(scope="module", autouse=True)
def wang(house: Any) -> str:
    """Somebody who speaks English."""
    person_with_password(house.owner, house.warehouse.company_id, "wang", "en")
    person_with_password(house.owner, house.warehouse.company_id, "fang", "zh")
    return "wang"


def token_of(page: httpx.Response) -> str:
    return re.search(r'name="token" value="([0-9a-f]{64})"', page.text)[1]


def sign_in(browser: httpx.Client, name: str = "wang", password: str = PASSWORD) -> httpx.Response:
    token = token_of(browser.get("/sign-in"))
    return browser.post("/sign-in", data={"name": name, "password": password, "token": token})


def test_the_page_sends_a_stranger_to_the_sign_in(browser: httpx.Client) -> None:
    answer = browser.get("/")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/sign-in")


@pytest.mark.parametrize("path", ["/live", "/live/state"])
def test_news_are_for_those_who_are_signed_in(browser: httpx.Client, path: str) -> None:
    answer = browser.get(path)
    assert (answer.status_code, answer.headers["Content-Type"]) == (401, "application/problem+json")


def test_a_right_password_opens_the_page(browser: httpx.Client) -> None:
    answer = sign_in(browser)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    cookie = next(line for line in answer.headers.get_list("set-cookie") if line.startswith(SESSION))
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    assert "Path=/" in cookie
    page = browser.get("/")
    assert page.status_code == 200
    assert "Stock value" in page.text
    assert browser.get("/sign-in").headers["Location"] == "/"
    assert browser.get("/live/state").json()["company"]["currency"] == "CNY"


def test_of_the_cookie_only_its_digest_is_kept(house: Any, browser: httpx.Client) -> None:
    sign_in(browser)
    cookie = browser.cookies[SESSION]
    digests = {bytes(row[0]) for row in house.owner.execute("SELECT digest FROM sessions")}
    assert hashlib.sha256(cookie.encode()).digest() in digests
    assert cookie.encode() not in digests


@pytest.mark.parametrize(
    ("name", "password"), [("wang", "wrong"), ("nobody", PASSWORD), ("", ""), ("wa\x00ng", "x")]
)
def test_a_wrong_name_and_a_wrong_password_get_the_same_answer(
    browser: httpx.Client, name: str, password: str
) -> None:
    answer = sign_in(browser, name, password)
    assert answer.status_code == 401
    assert "Name or password is wrong" in answer.text or "用户名或密码不正确" in answer.text
    assert SESSION not in browser.cookies


def test_a_name_comes_back_escaped(browser: httpx.Client) -> None:
    answer = sign_in(browser, '"><script>alert(1)</script>', "x")
    assert "<script>alert" not in answer.text
    assert "&lt;script&gt;" in answer.text


@pytest.mark.parametrize("token", ["", "0" * 64, "é"])
def test_a_form_from_elsewhere_signs_nobody_in(browser: httpx.Client, token: str) -> None:
    browser.get("/sign-in")
    answer = browser.post("/sign-in", data={"name": "wang", "password": PASSWORD, "token": token})
    assert answer.status_code == 403
    assert SESSION not in browser.cookies


def test_a_form_without_the_visits_cookie_signs_nobody_in(house: Any, browser: httpx.Client) -> None:
    token = token_of(browser.get("/sign-in"))
    with httpx.Client(base_url=house.web.address) as elsewhere:
        answer = elsewhere.post("/sign-in", data={"name": "wang", "password": PASSWORD, "token": token})
        assert answer.status_code == 403


def test_signing_out_ends_the_session_everywhere(house: Any, browser: httpx.Client) -> None:
    sign_in(browser)
    cookie = browser.cookies[SESSION]
    token = token_of(browser.get("/"))
    assert browser.post("/sign-out", data={"token": "0" * 64}).status_code == 403
    assert browser.get("/").status_code == 200
    assert browser.post("/sign-out", data={"token": token}).headers["Location"] == "/sign-in"
    assert SESSION not in browser.cookies
    with httpx.Client(base_url=house.web.address, cookies={SESSION: cookie}) as thief:
        assert thief.get("/live/state").status_code == 401


def test_a_session_ends_when_its_time_is_over_or_the_person_leaves(house: Any, browser: httpx.Client) -> None:
    sign_in(browser, "fang")
    assert browser.get("/live/state").status_code == 200
    house.owner.execute("UPDATE people SET active = false WHERE sign_in = 'fang'")
    assert browser.get("/live/state").status_code == 401
    assert sign_in(browser, "fang").status_code == 401
    house.owner.execute("UPDATE people SET active = true WHERE sign_in = 'fang'")
    assert browser.get("/live/state").status_code == 200
    house.owner.execute("UPDATE sessions SET expires_at = now() - interval '1 second'")
    assert browser.get("/live/state").status_code == 401
    sign_in(browser)
    assert house.owner.execute("SELECT count(*) FROM sessions WHERE expires_at <= now()").fetchone() == (0,)


def test_too_many_wrong_passwords_pause_the_name_even_for_the_right_one(
    browser: httpx.Client, monkeypatch: Any
) -> None:
    monkeypatch.setattr("cloud.flows.sign_in._is_password", lambda _, password: password == PASSWORD)
    answers = [sign_in(browser, "wang", f"wrong-{n}").status_code for n in range(NAME_BURST)]
    assert set(answers) == {401}
    paused = sign_in(browser)
    assert paused.status_code == 429
    assert 0 < int(paused.headers["Retry-After"]) <= 61
    assert sign_in(browser, "fang").status_code == 303


def test_an_address_that_tries_many_names_is_paused(browser: httpx.Client, monkeypatch: Any) -> None:
    monkeypatch.setattr("cloud.flows.sign_in._is_password", lambda *_: False)
    answers = [sign_in(browser, f"name-{n}", "x").status_code for n in range(ADDRESS_BURST + 1)]
    assert answers[-2:] == [401, 429]


def test_more_sign_ins_than_can_be_hashed_are_asked_to_wait(browser: httpx.Client, monkeypatch: Any) -> None:
    import threading

    monkeypatch.setattr("cloud.flows.sign_in._hashings", threading.BoundedSemaphore(1))
    monkeypatch.setattr("cloud.flows.sign_in.HASHING_WAIT_S", 0.05)
    from cloud.flows import sign_in as flow

    with flow._Hashing():
        busy = sign_in(browser)
    assert busy.status_code == 503
    assert int(busy.headers["Retry-After"]) > 0
    assert sign_in(browser).status_code == 303


def test_pages_run_and_load_nothing_from_elsewhere(browser: httpx.Client) -> None:
    pages = [browser.get("/sign-in")]
    sign_in(browser)
    pages.append(browser.get("/"))
    for page in pages:
        policy = page.headers["Content-Security-Policy"]
        for part in ("default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"):
            assert part in policy
        assert "unsafe" not in policy
        assert page.headers["Cache-Control"] == "no-store"
        assert page.headers["X-Content-Type-Options"] == "nosniff"
        assert not re.search(r'(?:src|href|action)="(?!/|\?)', page.text)
        assert not re.search(r"<[^>]+ on[a-z]+=", page.text)
        assert " style=" not in page.text
    for path in ("live.js", "console.css", "icon.svg"):
        found = browser.get(f"/static/{path}")
        assert (found.status_code, found.headers["Cache-Control"]) == (200, "no-cache")
        if path != "icon.svg":  # which names its own language by its address
            assert "http" not in found.text
    assert browser.get("/static/../pages.py").status_code == 404
    assert browser.get("/static/%2e%2e/pages.py").status_code == 404


def test_the_page_speaks_the_persons_language_unless_told_otherwise(browser: httpx.Client) -> None:
    chinese = {"Accept-Language": "zh-CN"}
    assert "登录" in browser.get("/sign-in", headers=chinese).text
    assert "Sign in" in browser.get("/sign-in", headers={"Accept-Language": "en-GB"}).text
    assert "Sign in" in browser.get("/sign-in?lang=en", headers=chinese).text
    assert "Sign in" in browser.get("/sign-in", headers=chinese).text, "a choice is kept"
    sign_in(browser, "fang")
    assert "库存价值" in browser.get("/").text, "the person's own language after the sign-in"
    assert 'lang="en"' in browser.get("/?lang=en").text
    assert 'lang="en"' in browser.get("/").text
    assert 'lang="zh-CN"' in browser.get("/?lang=zh").text
    assert browser.get("/?lang=fr").status_code == 200


def test_names_from_the_books_reach_the_page_as_text(own_house: Any) -> None:
    evil = "</script><script>alert(1)</script>"
    own_house.owner.execute("UPDATE items SET name_en = %s, name_zh = %s", [evil, evil])
    own_house.owner.execute("UPDATE companies SET name = %s", [evil])
    person_with_password(own_house.owner, own_house.warehouse.company_id, "wang")
    with httpx.Client(base_url=own_house.web.address, timeout=20) as browser:
        sign_in(browser)
        page = browser.get("/").text
    assert evil not in page
    assert page.count("<script") == 3, "the module, the picture and the texts"


def test_behind_a_proxy_that_ends_tls_cookies_are_for_https_only(own_house: Any) -> None:
    person_with_password(own_house.owner, own_house.warehouse.company_id, "wang")
    import threading
    import time

    server = WebServer(
        create_web(own_house.api_dsn), settings.Listen("127.0.0.1", free_port()), settings.proxies(
            {"TALLYGATE_API_PROXIES": "127.0.0.1"}
        )
    )  # fmt: skip
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.01)
    try:
        address = f"http://127.0.0.1:{server.config.port}"
        with httpx.Client(base_url=address, headers={"X-Forwarded-Proto": "https"}, timeout=20) as http:
            page = http.get("/sign-in")
            visit = re.match(r"__Host-tallygate_visit=([^;]+);", page.headers["set-cookie"])[1]
            answer = http.post(
                "/sign-in",
                data={"name": "wang", "password": PASSWORD, "token": token_of(page)},
                headers={"Cookie": f"__Host-tallygate_visit={visit}"},
            )
            cookie = next(c for c in answer.headers.get_list("set-cookie") if "_session=" in c)
            assert cookie.startswith("__Host-tallygate_session=")
            assert "Secure" in cookie
        with httpx.Client(base_url=own_house.web.address, headers={"X-Forwarded-Proto": "https"}) as http:
            assert "Secure" not in http.get("/sign-in").headers["set-cookie"], "nobody is believed unless named"
    finally:
        server.should_exit = True
        thread.join(20)
    assert not thread.is_alive()


def test_the_service_starts_and_stops_with_any_database(clone: Callable[[str], Any], edition: str) -> None:
    web = start_web(clone(edition).dsn_of("tallygate_api"))
    assert httpx.get(f"{web.address}/healthz").status_code == 200
    web.stop()
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{web.address}/healthz")


def test_ingest_and_readers_cannot_see_who_may_come_in(database: Any) -> None:
    for role in ("tallygate_ingest", "tallygate_read"):
        with psycopg.connect(database.dsn_of(role), autocommit=True) as connection:
            for table in ("people", "api_keys", "sessions"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(table)))
