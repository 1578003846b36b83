"""Random lives of contracts: the money stays right in every one, and seeded bugs do not."""

import os

from tests.money.players import PARTS, read

SECONDS = int(os.environ.get("MONEY_SECONDS", 45 * 60))


def test_money_stays_right_and_seeded_bugs_are_found(players, capsys):
    """`make test` plays the same lives every time; `make test-long` more, longer and new ones."""
    players.grow(len(os.sched_getaffinity(0)))
    failed = players.finish(SECONDS)
    with capsys.disabled():
        print("", *(read(part, "log") for part in PARTS), sep="\n")
    assert not failed, "\n".join(f"part {part}: {report}" for part, report in failed.items())
