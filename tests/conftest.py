"""Fixtures of the system tests."""

import pytest

from tests.server import SystemServer


@pytest.fixture(scope="module")
def server(request):
    """Odoo with four workers and cron on a fresh database, shared by the tests of a module."""
    name = request.module.__name__.rpartition(".")[2].removeprefix("test_")
    with SystemServer(name) as running:
        yield running
