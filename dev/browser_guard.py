"""A pytest plugin: browser tests that do not run are failures, not silence.

A skipped HttpCase (no browser, no websocket-client, no HTTP server) counts as failed, and
so does a run of the whole suite in which no browser was started at all.
"""

from pathlib import Path

import pytest


class BrowserGuard:
    def __init__(self):
        self.browsers = 0

    def count_browsers(self):
        """Count how often Odoo starts a browser."""
        from odoo.tests import common

        guard, start = self, common.ChromeBrowser.__init__

        def counting_start(browser, *args, **kwargs):
            start(browser, *args, **kwargs)
            guard.browsers += 1

        common.ChromeBrowser.__init__ = counting_start

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item, call):
        report = yield
        if report.skipped and is_http_case(item) and not hasattr(report, "wasxfail"):
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
            report.outcome = "failed"
            report.longrepr = f"A browser or HTTP test did not run. {reason}"
        return report

    def pytest_collection_modifyitems(self, session, config, items):
        if config.getoption("--expect-browser") and items:
            items.append(BrowsersRan.from_parent(session, name="browser tests ran", guard=self))


class BrowsersRan(pytest.Item):
    """The last test of a whole run: at least one browser was started."""

    def __init__(self, guard, **kwargs):
        super().__init__(**kwargs)
        self.guard = guard

    def runtest(self):
        if not self.guard.browsers:
            pytest.fail("No browser was started in this run: no tour was tested.", pytrace=False)

    def reportinfo(self):
        return Path(__file__), None, self.name


def is_http_case(item) -> bool:
    from odoo.tests import HttpCase

    return isinstance(getattr(item, "cls", None), type) and issubclass(item.cls, HttpCase)


def pytest_addoption(parser):
    parser.addoption(
        "--expect-browser",
        action="store_true",
        help="Fail when no browser was started: the whole suite is being run.",
    )


def pytest_configure(config):
    guard = BrowserGuard()
    guard.count_browsers()
    config.pluginmanager.register(guard, "browser guard")
