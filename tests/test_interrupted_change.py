"""The approval of a change request dies at any point: the contract is the old one or the new one, never a mix."""

import random
import time

import pytest

from dev import settings
from dev.installation import existing
from tests.mortal import Mortal
from tests.server import template

SCRIPT = settings.ROOT / "tests/interrupted_change.py"
DATABASE = f"{settings.DATABASE_PREFIX}_system_interrupted_change"
DEATHS = 8


@pytest.fixture
def change():
    installation = existing()
    installation.databases.copy(template(installation), DATABASE)
    try:
        yield Mortal(DATABASE, SCRIPT)
    finally:
        installation.databases.drop(DATABASE)


def test_an_application_that_dies_leaves_the_old_contract_or_the_new_one(change):
    request = str(change.run("prepare"))
    before = change.run("read", REQUEST=request)
    assert (before["state"], before["lines"], before["changes"]) == ("submitted", 0, 0.0)
    chance, deaths = random.Random(11), 0
    latest = 0.5
    for number in range(DEATHS):
        start = time.monotonic()
        change.die("approve", chance.uniform(0, latest), "terminate" if number % 3 == 2 else "kill", REQUEST=request)
        state = change.run("read", REQUEST=request)
        if state["state"] == "approved":
            break
        deaths += 1
        assert state == before, "something of a change that was not approved stayed"
        latest = min(latest * 1.6, 8.0) if number % 2 else latest
        print(f"death {deaths} after {time.monotonic() - start:.1f} s", flush=True)
    else:
        change.run("approve", REQUEST=request)
        state = change.run("read", REQUEST=request)

    print(f"\n{deaths} deaths of an application of {2 * 30} lines; then {state}")
    assert deaths >= 3, "it was over before it could die"
    assert (state["state"], state["number"], state["decisions"]) == ("approved", 1, ["approved"])
    assert state["evidence"] == ""
    assert (state["milestones"], state["cancelled"], state["renamed"]) == (30 + 30 + 6, 6, 18)
    assert state["original"] == before["original"]
    assert round(state["original"] + state["changes"] - state["revised"], 2) == 0
    assert round(state["revised"] - state["agreed"], 2) == 0
    assert float(state["snapshot"]) == state["revised"]
