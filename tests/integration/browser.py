"""A headless Chromium: the machine's own, driven by Playwright."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from tests.programs import require

FLAGS = ("--no-sandbox", "--disable-quic", "--disable-background-networking")


@contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=require("chromium"), args=[*FLAGS])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(browser: Browser, url: str, **context: Any) -> Iterator[Page]:
    """Opens a page in a window of its own.

    Fails in the end if the page loaded anything from elsewhere, broke its own policy, or threw.
    """
    made = browser.new_context(**({"locale": "en-GB", "viewport": SCREEN} | context))
    page = made.new_page()
    page.set_default_timeout(30_000)
    asked: list[str] = []
    wrong: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on(
        "console",
        lambda message: wrong.append(message.text) if "Security Policy" in message.text else None,
    )
    page.goto(url)
    try:
        yield page
    finally:
        made.close()
    origin = "/".join(url.split("/")[:3]) + "/"
    assert not [address for address in asked if not address.startswith((origin, "blob:"))]
    assert not wrong


SCREEN = {"width": 1200, "height": 900}
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
