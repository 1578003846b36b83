"""Processes that play lives of contracts, each in a database of its own."""

import subprocess
import threading
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from dev import settings
from dev.installation import CONFIGURATION, environment, existing
from tests.server import template

FOLDER = Path(__file__).parent
# The same on every machine, as every part has lives and bugs of its own; shared out to the processes as they are free.
PARTS = 8


@dataclass
class Part:
    """A share of the lives and of the seeded bugs."""

    number: int
    process: subprocess.Popen | None = None
    report: str = ""

    @property
    def database(self) -> str:
        return f"{settings.DATABASE_PREFIX}_system_money_{self.number}"

    @property
    def log(self) -> Path:
        return settings.LOGS / f"money-{self.number}.log"

    @property
    def passed(self) -> bool:
        return bool(self.process) and self.process.returncode == 0


class Players:
    """They take part after part until all are played: a context manager, leaving ends them.

    They are niced, so that they may begin while other tests run, on the processors that are idle.
    """

    def __init__(self):
        self.installation = existing()
        self.parts = [Part(number) for number in range(1, PARTS + 1)]
        self.waiting = deque(self.parts)
        self.threads = []
        self.lock = threading.Lock()  # of the databases, and of what begins and ends
        self.over = False

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        with self.lock:
            self.over = True
            for part in self.parts:
                if part.process:
                    part.process.kill()
        for thread in self.threads:
            thread.join()

    def grow(self, count: int) -> None:
        """Let there be so many of them."""
        while len(self.threads) < count:
            self.threads.append(threading.Thread(target=self.play_parts, daemon=True))
            self.threads[-1].start()

    def finish(self, seconds: int) -> list[Part]:
        """Wait until all is played, or so long for each of them; return every part with its report."""
        for thread in self.threads:
            thread.join(seconds)
        return self.parts

    def play_parts(self) -> None:
        while part := self.begin_next():
            part.process.wait()
            part.report = part.log.read_text(errors="replace")
            with self.lock:
                self.installation.databases.drop(part.database)

    def begin_next(self) -> Part | None:
        with self.lock:
            if self.over or not self.waiting:
                return None
            part = self.waiting.popleft()
            self.installation.databases.copy(template(self.installation), part.database)
            with part.log.open("wb") as output:
                part.process = subprocess.Popen(
                    self.command(part),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    cwd=settings.ROOT,
                    env=environment(MONEY_PART=f"{part.number}/{PARTS}"),
                )
            return part

    def command(self, part: Part) -> list[str]:
        options = ["--quiet", "--capture=no", "-p", "no:cacheprovider"]
        options += [f"--odoo-config={CONFIGURATION}", f"--odoo-database={part.database}"]
        return ["nice", str(self.installation.python), "-m", "pytest", str(FOLDER / "play.py"), *options]
