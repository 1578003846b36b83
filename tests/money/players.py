"""Processes that play lives of contracts: each takes part after part, in a database of its own.

They are niced, so that they may begin while other tests run, on the processors that are idle. Odoo ends the
children of a test run after every class, so they are none: each has a session of its own and leaves files behind,
``money-<part>.log``, ``money-<part>.code`` when the part is over, and ``money-<process>.pid`` while the process lives.

A run that keeps these files in a folder of its own (MONEY_FOLDER) goes on with the parts that have not passed.
With MONEY_SHARE="k/n" it plays the k-th of n shares of the parts: so several machines share a long run.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from dev import settings
from dev.console import Problem
from dev.files import lock, write
from dev.installation import CONFIGURATION, environment, existing
from tests.server import template

FOLDER = Path(__file__).parent
KEPT = os.environ.get("MONEY_FOLDER")
# The same on every machine, as every part has lives and bugs of its own; shared out to the processes as they are free.
COUNT = int(os.environ.get("MONEY_PARTS", 8))
SHARE, SHARES = (int(number) for number in os.environ.get("MONEY_SHARE", "1/1").split("/"))
PARTS = range(SHARE, COUNT + 1, SHARES)
SWEPT = (  # what lives write most
    "account_move, account_move_line, account_partial_reconcile, account_payment, mail_message, sale_approval, "
    "sale_milestone, sale_order, sale_order_line, sale_order_line_invoice_rel"
)
SWEPT_EVERY = 30  # seconds


def path(name: int | str, kind: str) -> Path:
    return Path(KEPT or settings.LOGS) / f"money-{name}.{kind}"


class Players:
    """Those who play: a context manager, leaving ends them."""

    def __init__(self):
        self.count = 0

    def __enter__(self):
        end_players()  # of a run that was killed
        for part in PARTS:
            if not (KEPT and has_passed(part)):
                path(part, "log").unlink(missing_ok=True)
                path(part, "code").unlink(missing_ok=True)
        return self

    def __exit__(self, *_exception):
        end_players()

    def grow(self, count: int) -> None:
        """Let there be so many of them."""
        for number in range(self.count, count):
            arguments = ["-m", "tests.money.players", str(number), str(os.getpid())]
            command = ["setsid", "--fork", "nice", sys.executable, *arguments]
            with path(f"player-{number}", "log").open("wb") as output:
                subprocess.run(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    cwd=settings.ROOT,
                    env=environment(),
                    check=True,
                )
        self.count = max(self.count, count)

    def finish(self, seconds: int) -> dict[int, str]:
        """Wait until all is played, but no longer than that; return what those parts report that have not passed."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not all(path(part, "code").exists() for part in PARTS):
            time.sleep(1)
        return {part: read(part, "log") or "not played" for part in PARTS if not has_passed(part)}


def end_players() -> None:
    for file in path("player-0", "pid").parent.glob("money-player-*.pid"):
        with contextlib.suppress(OSError, ValueError):  # it has just ended
            process = int(file.read_text())
            if b"tests.money.players" in Path(f"/proc/{process}/cmdline").read_bytes():
                os.killpg(process, signal.SIGKILL)
        file.unlink(missing_ok=True)


def has_passed(part: int) -> bool:
    return read(part, "code") == "0"


def read(name: int | str, kind: str) -> str:
    file = path(name, kind)
    return file.read_text(errors="replace").strip() if file.exists() else ""


def play_parts(player: str, run: int) -> None:
    """Play what no other process has begun, while the test run lives; called in a process of its own."""
    write(path(player, "pid"), str(os.getpid()))
    for part in PARTS:
        if not psutil.pid_exists(run):
            break
        try:
            log = path(part, "log").open("xb")
        except FileExistsError:
            continue
        code = "failed"
        try:
            with log:
                code = play(part, log)
        finally:
            write(path(part, "code"), str(code))  # whole: somebody waits for it
    path(player, "pid").unlink()


def play(part: int, log) -> int:
    installation, database = existing(), f"{settings.DATABASE_PREFIX}_system_money_{part}"
    with lock("players"):  # one at a time makes or drops a database
        installation.databases.copy(template(installation), database)
    try:
        process = subprocess.Popen(
            [
                *[str(installation.python), "-m", "pytest", str(FOLDER / "play.py"), "--quiet", "--capture=no"],
                *["-p", "no:cacheprovider", f"--odoo-config={CONFIGURATION}", f"--odoo-database={database}"],
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment(MONEY_PART=f"{part}/{COUNT}"),
        )
        try:
            while True:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    return process.wait(SWEPT_EVERY)
                sweep(installation, database)
        finally:
            process.kill()  # nothing to it when it has ended
            process.wait()
    finally:
        with lock("players"):
            installation.databases.drop(database)


def sweep(installation, database: str) -> None:
    """Remove the rows of lives that are over, which were undone in a transaction that goes on.

    PostgreSQL does so by itself between transactions only. Until then all lives would be read through after
    each step, by plans for the empty tables of the beginning.
    """
    with contextlib.suppress(Problem):  # the next one will do
        installation.databases.query(f"VACUUM {SWEPT}", database=database)


if __name__ == "__main__":
    play_parts(f"player-{sys.argv[1]}", int(sys.argv[2]))
