"""Random lives of contracts: the money stays right in every one, and seeded bugs do not."""

import os

SECONDS = int(os.environ.get("MONEY_SECONDS", 45 * 60))


def test_money_stays_right_and_seeded_bugs_are_found(players, capsys):
    """`make test` plays the same lives every time; `make test-long` more, longer and new ones."""
    players.grow(len(os.sched_getaffinity(0)))
    parts = players.finish(SECONDS)
    with capsys.disabled():
        print("", *(part.report for part in parts), sep="\n")
    failed = [part for part in parts if not part.passed]
    assert not failed, "\n".join(f"part {part.number}: {part.report or 'not played'}" for part in failed)
