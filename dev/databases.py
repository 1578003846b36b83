"""Our databases: made, copied together with their files, and never anybody else's.

A database counts as ours only when the ledger in the run folder says that we made it, so
that a server shared with others is safe.
"""

import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from dev import postgres, settings, sql
from dev.console import Problem
from dev.files import read_json, remove, write_json

LEDGER = settings.RUN / "databases.json"
FILESTORE = settings.RUN / "data/filestore"


@dataclass(frozen=True)
class Databases:
    """The databases of one PostgreSQL server, seen through one Python."""

    server: postgres.Server
    python: Path

    def query(self, statement: str, *parameters: str, database: str = "postgres") -> list[list]:
        """Rows of one statement; raises Problem with PostgreSQL's own words."""
        try:
            return sql.query(self.python, self.server.dsn(database), statement, *parameters)
        except sql.SqlError as error:
            where = f"{self.server.host}:{self.server.port}"
            raise Problem(f"PostgreSQL at {where}, user {self.server.user}: {error}") from None

    def check_server(self) -> None:
        """Raise Problem when the server is too old or we may not create databases."""
        [[version, may_create]] = self.query(
            "SELECT current_setting('server_version_num')::int / 10000,"
            " rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user"
        )
        if version < settings.OLDEST_POSTGRESQL:
            raise Problem(
                f"PostgreSQL {version} is too old, Odoo 19 needs {settings.OLDEST_POSTGRESQL} or "
                "newer: name another server with PGHOST, or none to use one of our own."
            )
        if not may_create:
            raise Problem(
                f"PostgreSQL's user {self.server.user} may not create databases: as its "
                f'administrator, run `ALTER ROLE "{self.server.user}" CREATEDB`.'
            )

    def exists(self, name: str) -> bool:
        """Whether that database of ours is there; raises Problem when it is not ours."""
        there = bool(self.query("SELECT 1 FROM pg_database WHERE datname = %s", name))
        if there and name not in read_json(LEDGER):
            raise Problem(
                f"Database {name} is on that server already and was not made by this folder: "
                "choose another prefix, for example `make DB_PREFIX=mine ...`."
            )
        return there

    def create(self, name: str) -> None:
        """An empty database, the way Odoo makes them."""
        self.drop(name)
        enter(name)
        how = "ENCODING 'UTF8' LC_COLLATE 'C' TEMPLATE template0"
        self.query(f'CREATE DATABASE "{name}" {how}')
        self.query("CREATE EXTENSION IF NOT EXISTS pg_trgm", database=name)

    def copy(self, source: str, name: str) -> None:
        """A database with the content and the files of another one.

        Odoo never changes a stored file, so that links serve as copies.
        """
        self.drop(name)
        enter(name)
        self.query(f'CREATE DATABASE "{name}" TEMPLATE "{source}"')
        if (FILESTORE / source).exists():
            shutil.copytree(FILESTORE / source, FILESTORE / name, copy_function=os.link)

    def finish_template(self, unfinished: str, name: str) -> None:
        """Give a template its final name, last of all, and let nobody in any more."""
        remove(FILESTORE / name)
        if (FILESTORE / unfinished).exists():
            (FILESTORE / unfinished).rename(FILESTORE / name)
        enter(name)
        self.query(f'ALTER DATABASE "{unfinished}" WITH ALLOW_CONNECTIONS false')
        self.query(f'ALTER DATABASE "{unfinished}" RENAME TO "{name}"')

    def drop(self, name: str) -> None:
        """Drop a database of ours with its files and whoever is still connected."""
        if self.exists(name):
            self.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", name)
            self.query(f'DROP DATABASE "{name}" WITH (FORCE)')
        remove(FILESTORE / name)
        strike(name)

    def drop_matching(self, beginning: str, keep: int = 0) -> None:
        """Drop our databases whose names begin so, but the ones used last."""
        ledger = read_json(LEDGER)
        names = [name for name in ledger if name.startswith(beginning)]
        names.sort(key=ledger.get, reverse=True)
        for name in names[keep:]:
            self.drop(name)


def enter(name: str) -> None:
    """Note in the ledger that the database is ours and used now."""
    write_json(LEDGER, read_json(LEDGER) | {name: time.time()})


def strike(name: str) -> None:
    ledger = read_json(LEDGER)
    if ledger.pop(name, None):
        write_json(LEDGER, ledger)
