"""A real browser before the console: what the tests of its pages share."""

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.conftest import absent
from tests.web_house import PASSWORD, person_with_password

# What keeps a browser in a container quiet: it asks nobody on the network anything.
ARGUMENTS = (
    "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
WAIT_MS = 20_000


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The machine's own Chromium."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        absent("Chromium", "install Debian's package chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A page of its own; an error in its console fails the test."""
    with chromium.new_context(viewport={"width": 1280, "height": 900}, locale="en-GB") as context:
        context.set_default_timeout(WAIT_MS)
        expect.set_options(timeout=WAIT_MS)
        page = context.new_page()
        troubles: list[str] = []
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("console", lambda said: troubles.append(said.text) if said.type == "error" else None)
        yield page
        # The browser itself reports each answer of 4xx and 5xx, which some stories ask for.
        assert [one for one in troubles if "Failed to load resource" not in one] == []


def sign_in(page: Page, house: Any, name: str = "wang", language: str = "en") -> None:
    """Sign in by the form, as somebody who is made for it, and wait for the live page."""
    if not house.warehouse.fetch("SELECT 1 FROM people WHERE sign_in = %s", name):
        person_with_password(house.owner, house.warehouse.company_id, name, language)
    page.goto(house.web.address)
    page.fill("#name", name)
    page.fill("#password", PASSWORD)
    page.click("button[type=submit]")
    page.wait_for_selector("#connection[data-state=live]")


def too_wide(page: Page) -> list[str]:
    """What stands out over the window's right edge, but for what scrolls within its own box."""
    found: list[str] = page.evaluate(
        "[...document.querySelectorAll('main *')]"
        ".filter((one) => !one.closest('.wide, pre') && one.getBoundingClientRect().right > innerWidth + 1)"
        ".map((one) => one.outerHTML.slice(0, 90))"
    )
    return found
