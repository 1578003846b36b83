"""Talking to the person at the terminal: steps with their progress, and plain problems."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from dev import settings

HEARTBEAT_SECONDS = 15
SHOWN_LOG_LINES = 25
GRACE_SECONDS = 20


class Problem(Exception):
    """What is wrong and what to do about it, in one line; shown without a traceback."""


def say(text: str) -> None:
    print(text, flush=True)


class Progress:
    """Prints that a step is still going on: every second on a terminal, else now and then."""

    def __init__(self, title: str):
        self.title = title
        self.started = time.monotonic()
        self.last_beat = self.started
        self.on_terminal = sys.stdout.isatty()
        if not self.on_terminal:
            say(f"{title} ...")

    @property
    def seconds(self) -> int:
        return round(time.monotonic() - self.started)

    def beat(self) -> None:
        if self.on_terminal:
            print(f"\r{self.title} ... {self.seconds} s", end="", flush=True)
        elif time.monotonic() - self.last_beat >= HEARTBEAT_SECONDS:
            self.last_beat = time.monotonic()
            say(f"  {self.title}: still at it, {self.seconds} s")

    def end(self, how: str) -> None:
        start = f"\r{self.title}: " if self.on_terminal else f"  {self.title}: "
        say(f"{start}{how}, {self.seconds} s")


def run_step(
    title: str,
    command: Sequence[str | Path],
    *,
    env: dict[str, str] | None = None,
    cwd: Path | None = None,
    remedy: str = "",
) -> None:
    """Run a long command with its output in a log file.

    Raises Problem, after showing the end of the log, when the command fails.
    """
    log = log_file(title)
    progress = Progress(title)
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=env,
            cwd=cwd,
        )
        code = wait(process, progress)
    progress.end("done" if code == 0 else "FAILED")
    if code:
        say(tail(log))
        raise Problem(f"{title} failed. {remedy}".rstrip() + f" The whole log is {log}.")


def wait(process: subprocess.Popen, progress: Progress) -> int:
    """Wait for the process; whoever interrupts us ends it too."""
    try:
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                return process.wait(timeout=1)
            progress.beat()
    except BaseException:
        end_process(process)
        raise


def end_process(process: subprocess.Popen) -> None:
    """Ask the process to end, and end it if it does not."""
    process.terminate()
    try:
        process.wait(timeout=GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def log_file(title: str) -> Path:
    settings.LOGS.mkdir(parents=True, exist_ok=True)
    name = "".join(char if char.isalnum() else "-" for char in title.lower())
    return settings.LOGS / f"{name.strip('-')}.log"


def tail(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()
    return "\n".join(f"  | {line}" for line in lines[-SHOWN_LOG_LINES:])


def output_of(command: Sequence[str | Path], env: dict[str, str] | None = None) -> str | None:
    """What a short command prints, or None when it fails or is not there."""
    try:
        done = subprocess.run(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=env,
        )
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None
