"""All parts together: the Odoo, Python and PostgreSQL of this run folder, ready to use."""

import configparser
import io
import itertools
import os
import secrets
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from dev import odoo_source, ports, postgres, settings, system, virtualenv
from dev.console import Problem, run_step
from dev.databases import FILESTORE, Databases
from dev.files import lock, write
from dev.odoo_source import OdooSource

CONFIGURATION = settings.RUN / "odoo.conf"
LAUNCHER = settings.ROOT / "dev/bin/odoo"
STAND_IN = settings.ROOT / "dev/stand_in"


@dataclass(frozen=True)
class Installation:
    """What every command needs; made by `set_up`, or by `existing` inside a test run."""

    odoo: OdooSource
    python: Path
    server: postgres.Server
    databases: Databases

    def odoo_command(self, *arguments: str) -> list[str]:
        """`odoo ...` with our configuration; leading words are the subcommand."""
        subcommand = list(itertools.takewhile(lambda word: not word.startswith("-"), arguments))
        rest = arguments[len(subcommand) :]
        return [str(self.python), str(LAUNCHER), *subcommand, f"--config={CONFIGURATION}", *rest]

    def run_odoo(self, title: str, database: str, *arguments: str) -> None:
        """Run Odoo once on a database, without serving it, and wait for its end."""
        options = (
            f"--database={database}",
            "--stop-after-init",
            "--no-http",
            "--max-cron-threads=0",
        )
        command = self.odoo_command(*options, *arguments)
        run_step(title, command, env=environment(), cwd=settings.RUN)


def set_up() -> Installation:
    """Bring everything here that is not here yet; safe to repeat after an interruption."""
    settings.RUN.mkdir(parents=True, exist_ok=True)
    with lock("setup"):
        check_disk()
        system.provide()
        odoo = odoo_source.find()
        python = virtualenv.provide(odoo)
        installation = assemble(odoo, python, postgres.provide())
        installation.databases.check_server()
        configure(installation)
    return installation


def existing() -> Installation:
    """The same, for programs that `make` has started after it set everything up."""
    return assemble(odoo_source.find(), virtualenv.PYTHON, postgres.provide())


def assemble(odoo: OdooSource, python: Path, server: postgres.Server) -> Installation:
    return Installation(odoo, python, server, Databases(server, python))


def check_disk() -> None:
    """Raise Problem when a first set up would fill the disk."""
    if virtualenv.PYTHON.exists():
        return
    gigabytes = shutil.disk_usage(settings.RUN).free / 1e9
    if gigabytes < settings.NEEDED_GIGABYTES:
        raise Problem(
            f"Only {gigabytes:.1f} GB are free in {settings.ROOT} and "
            f"{settings.NEEDED_GIGABYTES} GB are needed: make room, or name a folder elsewhere "
            "with `make RUN_DIR=/path ...`."
        )


def configure(installation: Installation) -> None:
    """Write Odoo's configuration file; it holds passwords, so nobody else may read it."""
    server = installation.server
    places: Iterable[Path] = (*installation.odoo.addons, settings.ROOT)
    options = {
        "addons_path": ",".join(map(str, places)),
        "admin_passwd": kept_secret(),
        "data_dir": FILESTORE.parent,
        "db_host": server.host,
        "db_port": server.port,
        "db_user": server.user,
        "db_password": server.password or False,
        "db_maxconn": 32,
        "list_db": False,
        "http_interface": "127.0.0.1",
        "http_port": ports.remembered("http") or ports.port_for("http"),
        "gevent_port": ports.remembered("gevent") or ports.port_for("gevent"),
        "max_cron_threads": 1,
        # Odoo's libraries warn of their own future at length.
        "log_handler": ":INFO,py.warnings:ERROR",
        # Development machines are slow, and a debugger stops the clock.
        "limit_time_cpu": 600,
        "limit_time_real": 1200,
    }
    parser = configparser.RawConfigParser()
    parser["options"] = {name: str(value) for name, value in options.items()}
    text = io.StringIO()
    parser.write(text)
    FILESTORE.mkdir(parents=True, exist_ok=True)
    write(CONFIGURATION, text.getvalue(), mode=0o600)


def kept_secret() -> str:
    """The master password of Odoo's database manager, which is off: anything but `admin`."""
    parser = configparser.RawConfigParser()
    parser.read(CONFIGURATION)
    return parser.get("options", "admin_passwd", fallback=secrets.token_hex(16))


def environment(**more: str) -> dict[str, str]:
    """The environment of Odoo's processes: caches and dot files go to the run folder."""
    home = settings.RUN / "home"
    home.mkdir(parents=True, exist_ok=True)
    values = {
        **os.environ,
        "PATH": f"{os.environ['PATH']}:{STAND_IN}",
        "HOME": str(home),
        "XDG_CACHE_HOME": str(settings.RUN / "cache"),
        "XDG_CONFIG_HOME": str(home / "config"),
        "PGPASSFILE": os.environ.get("PGPASSFILE") or str(Path.home() / ".pgpass"),
        "PYTHONPYCACHEPREFIX": str(settings.RUN / "cache/python"),
        "PYTHONPATH": str(settings.ROOT),
        **more,
    }
    values.pop("PYTHONDONTWRITEBYTECODE", None)
    return values
