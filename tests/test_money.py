"""Random lives of contracts, played by several processes, each in a database of its own."""

import contextlib
import os
import subprocess

from dev import settings
from dev.installation import CONFIGURATION, environment, existing
from tests.server import template

FOLDER = settings.ROOT / "tests/money"
SECONDS = int(os.environ.get("MONEY_SECONDS", 45 * 60))


class Player:
    """A process that does its part of the lives and of the seeded bugs."""

    def __init__(self, number: int, parts: int):
        self.databases = existing().databases
        self.database = f"{settings.DATABASE_PREFIX}_system_money_{number}"
        self.log = settings.LOGS / f"money-{number}.log"
        self.environment = environment(MONEY_PART=f"{number}/{parts}")
        self.process = None

    def __enter__(self):
        self.databases.copy(template(existing()), self.database)
        command = [existing().python, "-m", "pytest", FOLDER / "play.py", "--quiet", "--capture=no"]
        command += ["-p", "no:cacheprovider", f"--odoo-config={CONFIGURATION}", f"--odoo-database={self.database}"]
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=settings.ROOT,
                env=self.environment,
            )
        return self

    def __exit__(self, *exception):
        self.process.kill()
        self.process.wait()
        self.databases.drop(self.database)

    def report(self) -> str:
        """Wait for the end; what the process printed."""
        self.process.wait(SECONDS)
        return self.log.read_text(errors="replace")


def test_money_stays_right_and_seeded_bugs_are_found(capsys):
    """`make test` plays the same lives every time; `make test-long` more, longer and new ones."""
    parts = len(os.sched_getaffinity(0))
    with contextlib.ExitStack() as stack:
        players = [stack.enter_context(Player(number, parts)) for number in range(1, parts + 1)]
        reports = [player.report() for player in players]
        codes = [player.process.returncode for player in players]
    with capsys.disabled():
        print(*reports, sep="\n")
    assert not any(codes), "\n".join(report for report, code in zip(reports, codes, strict=True) if code)
