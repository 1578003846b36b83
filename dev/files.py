"""Small helpers around files: fingerprints, atomic writing, locks."""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from dev import settings
from dev.console import say


def fingerprint(*parts: str | bytes | Path) -> str:
    """A hash of texts and of the contents of files."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, Path):
            part = part.read_bytes()
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()


def tree_fingerprint(folders: Iterable[Path], ignored: Iterable[str]) -> str:
    """A hash of the files below some folders: names and contents, not times."""
    parts: list[str | Path] = []
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            below = path.relative_to(folder)
            if path.is_file() and not set(below.parts).intersection(ignored):
                parts += [f"{folder.name}/{below}", path]
    return fingerprint(*parts)


def write(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w") as output:
        output.write(text)
    temporary.replace(path)


def read_json(path: Path) -> dict:
    """The content of a JSON file of ours; empty when it is missing or broken."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return {}


def write_json(path: Path, content: dict) -> None:
    write(path, json.dumps(content, indent=2, sort_keys=True) + "\n")


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def lock(name: str) -> Iterator[None]:
    """Only one process at a time; the others wait and say so."""
    path = settings.RUN / "locks" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.seek(0)
            holder = handle.read().strip() or "unknown"
            say(f"Waiting for another run (process {holder}) to finish its {name} ...")
            wait_for_lock(handle)
        handle.truncate(0)
        handle.write(f"{os.getpid()}\n")
        handle.flush()
        yield


def wait_for_lock(handle) -> None:
    while True:
        try:
            return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.5)


def is_locked(name: str) -> bool:
    """Whether another process holds that lock now."""
    path = settings.RUN / "locks" / name
    if not path.exists():
        return False
    with path.open("a+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
