"""Programs that are run against a fresh database: the benchmarks and the pictures."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

from dev import demo, settings, templates
from dev.console import Problem
from dev.files import lock
from dev.inside import ScriptFailed, in_database
from dev.installation import Installation, environment, set_up
from dev.server import OdooServer

BENCHMARKS = settings.ROOT / "benchmarks/run.py"
PICTURES = settings.ROOT / "docs/screenshots.py"


def bench() -> None:
    """Run the benchmarks (`run(env)` of benchmarks/run.py) in a fresh database."""
    must_exist(BENCHMARKS)
    installation, database = set_up(), f"{settings.DATABASE_PREFIX}_bench"
    with lock("benchmark"):
        template = templates.with_addon(installation)
        installation.databases.copy(template, database)
        try:
            variables = {"MILESTONE_BILLING_TEMPLATE": template}
            with durable_commits(installation):
                in_database(installation, database, BENCHMARKS, "run", **variables)
        except ScriptFailed as error:
            raise Problem(f"The benchmarks have failed: {error}.") from None
        installation.databases.drop(database)


@contextlib.contextmanager
def durable_commits(installation: Installation) -> Iterator[None]:
    """Let commits cost what they cost in production: our cluster does not wait for the disk."""
    if not installation.server.is_ours:
        yield
        return
    query = installation.databases.query
    query("ALTER SYSTEM SET fsync = on")
    query("SELECT pg_reload_conf()")
    try:
        yield
    finally:
        query("ALTER SYSTEM RESET fsync")
        query("SELECT pg_reload_conf()")


def screenshots() -> None:
    """Take the pictures of the documentation from a freshly made and served demo.

    It finds the server in ODOO_URL and ODOO_DB, and what the story returned (logins,
    pages) in the JSON file named by ODOO_GUIDE.
    """
    must_exist(PICTURES)
    installation, database = set_up(), f"{settings.DATABASE_PREFIX}_pictures"
    with lock("screenshots"):
        installation.databases.copy(templates.with_addon(installation), database)
        server = OdooServer(installation, database)
        server.publish_address()
        demo.tell(installation, database)
        with server:
            variables = {
                "ODOO_URL": server.url,
                "ODOO_DB": database,
                "ODOO_GUIDE": str(demo.GUIDE),
            }
            run_script(installation.python, PICTURES, variables)
        installation.databases.drop(database)


def must_exist(script: Path) -> None:
    if not script.exists():
        raise Problem(f"There is no {script.relative_to(settings.ROOT)} yet.")


def run_script(python: Path, script: Path, variables: dict[str, str]) -> None:
    done = subprocess.run(
        [python, script],
        stdin=subprocess.DEVNULL,
        cwd=settings.ROOT,
        env=environment(**variables),
        check=False,
    )
    if done.returncode:
        raise Problem(f"{script.relative_to(settings.ROOT)} ended with code {done.returncode}.")
