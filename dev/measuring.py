"""Programs that are run against a fresh database: the benchmarks, the pictures, the journal entries."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from dev import comparison, demo, settings, templates
from dev.console import Problem, say
from dev.files import lock
from dev.inside import ScriptFailed, in_database
from dev.installation import Installation, environment, set_up
from dev.server import OdooServer
from dev.testing import run_tests

BENCHMARKS = settings.ROOT / "benchmarks/run.py"
INSTALLMENTS = settings.ROOT / "benchmarks/installments.py"
# How often ours and the other addon take turns.
TURNS = 2
PICTURES = settings.ROOT / "docs/screenshots.py"
ENGAGEMENT = "tests/test_engagement.py"
ENTRIES = settings.ROOT / "docs/journal_entries.py"
ACCOUNTANT = settings.ROOT / "docs/accountant.md"
# The program's part of the document stands between these lines.
GENERATED = ("<!-- made by `make journal-entries`: do not edit -->\n\n", "\n\n<!-- end of what is made -->")


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
                compare_installments(installation, template)
        except ScriptFailed as error:
            raise Problem(f"The benchmarks have failed: {error}.") from None
        installation.databases.drop(database)


def compare_installments(installation: Installation, template: str) -> None:
    """Bill the same orders in twelve installments, in turn by our plan and by another addon's, and print both."""
    ours, theirs = (f"{settings.DATABASE_PREFIX}_bench_{name}" for name in ("ours", "theirs"))
    try:
        installation.databases.copy(template, ours)
        comparison.provide(installation)
        comparison.install(installation, templates.native(installation), theirs)
        figures = {"ours": [], "theirs": []}
        for _turn in range(TURNS):
            figures["ours"].append(in_database(installation, ours, INSTALLMENTS, "run_ours"))
            more = {"ADDONS_PATH": comparison.addons_path()}
            figures["theirs"].append(in_database(installation, theirs, INSTALLMENTS, "run_theirs", **more))
        show_installments(figures)
    except Problem as problem:
        say(f"\n{comparison.PACKAGE} could not be compared: {problem}")
    finally:
        installation.databases.drop(ours)
        installation.databases.drop(theirs)


def show_installments(figures: dict[str, list[dict]]) -> None:
    """Print the shortest times of all turns; the amounts are the same in each."""
    say(f"\nTwelve equal installments: ours beside {comparison.PACKAGE}, best of {TURNS} turns")
    say("  the invoices' sums less the order, and the worst invoice less its twelfth, in cents; seconds")
    head = f"{'untaxed':>8} {'tax':>6} {'total':>6} {'worst':>8} {'plan':>7} {'invoices':>9}"
    say(f"  {'order':<24} {'':<7} {head}")
    for order in figures["ours"][0]:
        for label, turns in figures.items():
            rows = [turn[order] for turn in turns]
            say(f"  {order:<24} {label:<7} {describe_installments(rows)}")


def describe_installments(rows: list[dict]) -> str:
    row = rows[0]
    if failed := next((row["error"] for row in rows if "error" in row), None):
        return f"fails: {failed}"
    plan, invoices = (min(row[name] for row in rows) for name in ("plan", "invoices"))
    amounts = f"{row['off_untaxed']:8} {row['off_tax']:6} {row['off_total']:6} {row['apart']:8}"
    return f"{amounts} {plan:7.2f} {invoices:9.2f}"


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
    pages) in the JSON file named by ODOO_GUIDE. The system test of a whole engagement
    then takes its own.
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
    os.environ.update(ENGAGEMENT_PICTURES="1", ARGS=ENGAGEMENT)
    if run_tests():
        raise Problem("The engagement of the pictures has failed.")


def journal_entries() -> None:
    """Write the journal entries of each case, from a real database, into the accountant's document."""
    document = ACCOUNTANT.read_text(encoding="utf-8")
    published, made = published_entries(), made_entries()
    ACCOUNTANT.write_text(document.replace(published, made), encoding="utf-8")


def published_entries() -> str:
    """The journal entries as the accountant's document has them."""
    begin, end = GENERATED
    _before, _begin, rest = ACCOUNTANT.read_text(encoding="utf-8").partition(begin)
    entries, found, _after = rest.partition(end)
    if not found:
        raise Problem(f"{ACCOUNTANT.name} has lost the lines between which the journal entries stand.")
    return entries


def made_entries() -> str:
    """The journal entries as the program makes them now."""
    must_exist(ENTRIES)
    installation, database = set_up(), f"{settings.DATABASE_PREFIX}_entries"
    with lock("entries"):
        installation.databases.copy(templates.with_addon(installation), database)
        try:
            return in_database(installation, database, ENTRIES, "tables")
        except ScriptFailed as error:
            raise Problem(f"The journal entries could not be made: {error}.") from None
        finally:
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
