"""The browser of the system tests itself: what it sees, what it complains about, what it cannot click."""

import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote

import pytest

from tests import browser as tested
from tests.browser import Browser, NotSeen

PAGE = """
<p id="hidden" style="display: none">Secret</p>
<button id="covered" onclick="this.textContent = 'clicked'">Covered</button>
<div style="position: fixed; inset: 0 0 auto 0; height: 60px"></div>
<p style="margin-top: 80px">
<button id="free" onclick="this.textContent = 'clicked'">Free</button>
<input id="name" value="old" />
</p>
"""
BROKEN = "<script>console.error('odd'); undefinedFunction();</script>"


@pytest.fixture(scope="module")
def browser():
    with Browser("") as running:
        yield running


def open_page(browser, content):
    browser.problems.clear()
    browser.go("about:blank", "html")
    browser.call("Page.navigate", url=f"data:text/html,{quote(content)}")
    browser.see("html")


def test_only_what_a_person_could_click_is_clicked(browser, monkeypatch):
    monkeypatch.setattr(tested.wait, "__defaults__", (1,))
    open_page(browser, PAGE)
    browser.click("#free")
    browser.see("#free", "clicked")
    with pytest.raises(NotSeen):
        browser.click("#covered")
    with pytest.raises(NotSeen):
        browser.see("#hidden", "Secret")
    browser.see("#covered", "Covered")


def test_a_text_takes_the_place_of_what_is_there(browser):
    open_page(browser, PAGE)
    browser.fill("#name", "new")
    assert browser.evaluate("document.querySelector('#name').value") == "new"


def test_errors_of_a_page_and_failed_requests_are_kept(browser):
    open_page(browser, PAGE)
    assert browser.problems == []
    open_page(browser, BROKEN)
    assert len(browser.problems) == 2
    assert "console: odd" in browser.problems
    assert "undefinedFunction is not defined" in " ".join(browser.problems)
    browser.problems.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/nowhere"
        browser.go(address, "body")
        server.shutdown()
    assert f"404 {address}" in browser.problems
