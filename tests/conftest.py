"""Fixtures of the system tests, and their order."""

import os
from pathlib import Path

import pytest

from tests.money.players import Players
from tests.server import SystemServer

FOLDER = Path(__file__).parent
MONEY = FOLDER / "test_money.py"
PLAYERS = pytest.StashKey()


def pytest_collection_modifyitems(items):
    """The money test comes after the addon's, so that it is over when browsers want the machine for themselves."""
    items.sort(key=lambda item: (FOLDER in item.path.parents, item.path != MONEY))


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session):
    """The money test takes longest: it begins at once, on the processors that the tests before it leave idle."""
    if session.config.option.collectonly or not any(item.path == MONEY for item in session.items):
        return (yield)
    with Players() as players:
        session.config.stash[PLAYERS] = players
        players.grow(len(os.sched_getaffinity(0)) - 1)
        return (yield)


@pytest.fixture(scope="session")
def players(request):
    """Those who play the parts of the money test."""
    return request.config.stash[PLAYERS]


@pytest.fixture(scope="module")
def server(request):
    """Odoo with four workers and cron on a fresh database, shared by the tests of a module."""
    name = request.module.__name__.rpartition(".")[2].removeprefix("test_")
    with SystemServer(name) as running:
        yield running
