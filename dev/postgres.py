"""PostgreSQL: a private cluster in the run folder, or the server named by PGHOST."""

import contextlib
import getpass
import os
import pwd
import re
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dev import ports, settings
from dev.console import Problem, output_of, run_step, say, tail
from dev.files import remove, write

FOLDER = settings.RUN / "postgresql"
DATA = FOLDER / "data"
LOG = FOLDER / "log"
PASSWORD_FILE = settings.RUN / "postgresql-password"
USER = "odoo"  # Odoo refuses to work as `postgres`
PORT_TRIES = 3
STOP_SECONDS = 30

CONFIGURATION = """
# ours
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 200
shared_buffers = 256MB
max_wal_size = 2GB
# Only a crash of the whole machine could cost data here, and `make demo` brings it back.
fsync = off
"""


@dataclass(frozen=True)
class Server:
    """How to reach PostgreSQL; an empty password leaves it to libpq (PGPASSWORD, .pgpass)."""

    host: str
    port: int
    user: str
    password: str
    is_ours: bool

    def dsn(self, database: str) -> dict[str, str | int]:
        """Keyword arguments for psycopg2.connect."""
        parts = {
            "host": self.host,
            "port": self.port,
            "user": self.user,
            "password": self.password,
            "dbname": database,
        }
        return {name: value for name, value in parts.items() if value != ""}


def provide() -> Server:
    """The running server to use: the named one, else our own, started if need be."""
    return named_server() if os.environ.get("PGHOST") else own_server()


def named_server() -> Server:
    user = os.environ.get("PGUSER") or getpass.getuser()
    if user == "postgres":
        raise Problem(
            "Odoo refuses to work as the PostgreSQL user `postgres`: name another one, "
            "which may create databases, with PGUSER."
        )
    port = int(os.environ.get("PGPORT") or 5432)
    return Server(os.environ["PGHOST"], port, user, "", is_ours=False)


def own_server() -> Server:
    programs = find_programs()
    if not programs:
        raise Problem(
            f"The PostgreSQL that made {DATA} is gone: install it again, or let `make clean` "
            "remove everything that was made, databases included."
        )
    if not DATA.exists():
        make_cluster(programs)
    if not running_port():
        start(programs)
    return Server("127.0.0.1", running_port(), USER, PASSWORD_FILE.read_text().strip(), True)


def find_programs() -> Path | None:
    """The folder with initdb and pg_ctl: the newest, or the one that made our cluster."""
    found = installed()
    with contextlib.suppress(OSError):
        return found.get(int((DATA / "PG_VERSION").read_text()))
    return found[max(found)] if found else None


def installed() -> dict[int, Path]:
    """The folders with PostgreSQL's programs on this machine, by major version."""
    on_path = shutil.which("initdb")
    places = [*Path("/usr/lib/postgresql").glob("*/bin")]
    places += [Path(on_path).parent] if on_path else []
    found = {}
    for place in places:
        shown = output_of([place / "initdb", "--version"]) or ""
        version = re.search(r"(\d+)", shown)
        if version and int(version[1]) >= settings.OLDEST_POSTGRESQL:
            found[int(version[1])] = place
    return found


def make_cluster(programs: Path) -> None:
    """Initialise the cluster beside its final place, then put it there."""
    remove(FOLDER)
    FOLDER.mkdir(parents=True)
    password = secrets.token_hex(16)
    write(PASSWORD_FILE, password + "\n", mode=0o600)
    unfinished, hint = FOLDER / "data.new", FOLDER / "password"
    write(hint, password + "\n", mode=0o600)
    if settings.is_root():
        owner = pwd.getpwnam(unprivileged_user())
        for path in (FOLDER, hint):
            os.chown(path, owner.pw_uid, owner.pw_gid)
    command = [programs / "initdb", "-D", unfinished, "-U", USER, f"--pwfile={hint}"]
    options = ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8"]
    remedy = "PGHOST=... uses a server that is already there."
    run_step("Making a PostgreSQL cluster", as_server(*command, *options), cwd=Path("/"), remedy=remedy)
    remove(hint)
    with (unfinished / "postgresql.conf").open("a") as configuration:
        configuration.write(CONFIGURATION)
    unfinished.rename(DATA)


def unprivileged_user() -> str:
    """Whom PostgreSQL runs as when we are root, which it refuses to run as."""
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    raise Problem("PostgreSQL does not run as root and there is no user `postgres`: make one.")


def as_server(*command: str | Path) -> list[str]:
    """The command as PostgreSQL's user.

    Below root's home that user could not even enter our folder: it keeps the one
    capability that lets it pass. PostgreSQL itself only asks not to be root.
    """
    parts = [str(part) for part in command]
    if not settings.is_root():
        return parts
    if not shutil.which("setpriv"):
        raise Problem("PostgreSQL does not run as root and `setpriv` is missing: install util-linux.")
    user = unprivileged_user()
    group = str(pwd.getpwnam(user).pw_gid)
    change = ["setpriv", "--reuid", user, "--regid", group, "--init-groups"]
    if not can_enter(change):
        change += ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
        if not can_enter(change):
            raise Problem(
                f"PostgreSQL's user `{user}` cannot enter {settings.RUN}: move the clone to a "
                "folder that others can enter, work as a normal user, or set PGHOST."
            )
    return [*change, *parts]


def can_enter(change: Sequence[str]) -> bool:
    return output_of([*change, "ls", str(FOLDER)]) is not None


def start(programs: Path) -> None:
    """Start the cluster on its remembered port, or on another when that is taken."""
    for _ in range(PORT_TRIES):
        options = f"-p {ports.port_for('postgresql')}"
        command = [programs / "pg_ctl", "-D", DATA, "-l", LOG, "-o", options, "-w", "-s", "start"]
        done = subprocess.run(
            as_server(*command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
        )
        if done.returncode == 0:
            return
    if LOG.exists():
        say(tail(LOG))
    raise Problem(f"Our PostgreSQL does not start (its log: {LOG}): `make clean` makes a new one.")


def running() -> tuple[int, int] | None:
    """Process and port of our cluster when it is up."""
    try:
        lines = (DATA / "postmaster.pid").read_text().splitlines()
        pid, port = int(lines[0]), int(lines[3])
        command = Path(f"/proc/{pid}/cmdline").read_bytes().decode()
    except (OSError, ValueError, IndexError):
        return None
    return (pid, port) if str(DATA) in command.split("\0") else None


def running_port() -> int | None:
    found = running()
    return found[1] if found else None


def stop() -> None:
    """Stop our cluster and no other."""
    found = running()
    if not found:
        return
    os.kill(found[0], signal.SIGINT)  # PostgreSQL's fast shutdown
    deadline = time.monotonic() + STOP_SECONDS
    while running() and time.monotonic() < deadline:
        time.sleep(0.1)
    if running():
        raise Problem(f"Our PostgreSQL (process {found[0]}) does not stop.")
