"""The invoice queue dies at any point, goes on where it was, and bills nothing twice and nothing half."""

import contextlib
import random
import subprocess
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import psycopg2
import pytest

from dev import settings
from dev.inside import in_database
from dev.installation import CONFIGURATION, environment, existing
from tests.server import template

SCRIPT = settings.ROOT / "tests/interrupted_queue.py"
DATABASE = f"{settings.DATABASE_PREFIX}_system_interrupted"
DEATHS = 20
LATEST = 3.0  # seconds after the queue has begun
START_SECONDS = 120


class Queue:
    """The queue on a database of its own, run by processes that can be killed."""

    def __init__(self, ids):
        self.installation = existing()
        self.ids = ids

    def connect(self):
        return contextlib.closing(psycopg2.connect(**self.installation.server.dsn(DATABASE)))

    def count_invoices(self):
        """How many of the milestones have an invoice, as the database says."""
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(DISTINCT billing_milestone_id) FROM account_move_line WHERE billing_milestone_id IN %s",
                [tuple(self.ids)],
            )
            return cursor.fetchone()[0]

    def die(self, after, how):
        """Run the queue, and end its process, or its connection, so many seconds after it has begun."""
        with tempfile.TemporaryDirectory() as folder:
            ready = Path(folder, "ready")
            command = [self.installation.python, "-m", "dev.inside", CONFIGURATION, DATABASE, SCRIPT, "run_queue"]
            process = subprocess.Popen(
                [str(part) for part in command],
                cwd=settings.ROOT,
                env=environment(READY=str(ready), RESULT_FILE=str(Path(folder, "result"))),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            try:
                self.wait_for(ready, process)
                time.sleep(after)
                if how == "kill":
                    process.kill()
                else:
                    self.terminate_backend(int(ready.read_text()))
                    process.wait(START_SECONDS)
            finally:
                process.kill()
                process.wait()

    def wait_for(self, ready, process):
        deadline = time.monotonic() + START_SECONDS
        while not (ready.exists() and ready.read_text()):
            assert process.poll() is None, "the queue has ended before it began"
            assert time.monotonic() < deadline, "the queue does not begin"
            time.sleep(0.02)

    def terminate_backend(self, pid):
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [pid])

    def finish(self):
        """Run the queue to its end; what the ledger has then."""
        with tempfile.TemporaryDirectory() as folder:
            in_database(self.installation, DATABASE, SCRIPT, "run_queue", READY=str(Path(folder, "ready")))
        return in_database(self.installation, DATABASE, SCRIPT, "read", IDS=",".join(map(str, self.ids)))


@pytest.fixture
def queue():
    installation = existing()
    installation.databases.copy(template(installation), DATABASE)
    try:
        yield Queue(in_database(installation, DATABASE, SCRIPT, "prepare"))
    finally:
        installation.databases.drop(DATABASE)


def test_a_queue_that_dies_again_and_again_bills_everything_once(queue):
    chance, progress = random.Random(7), []
    for number in range(DEATHS):
        queue.die(after=chance.uniform(0, LATEST), how="terminate" if number % 4 == 3 else "kill")
        progress.append(queue.count_invoices())
        if progress[-1] == len(queue.ids):
            break

    rows = queue.finish()

    print(f"\n{len(progress)} deaths of the queue; milestones billed after each: {progress}")
    assert len(rows) == len(queue.ids)
    assert any(0 < billed < len(rows) for billed in progress), "no death came in between"
    customers = defaultdict(set)
    for row in rows:
        assert (row["billing_state"], row["states"], row["error"]) == ("invoiced", ["posted"], False), row
        assert len(row["invoices"]) == 1, row
        assert row["billed"] == row["planned"], row
        if row["customer"]:
            customers[row["customer"]] |= set(row["invoices"])
    assert customers
    assert all(len(invoices) == 1 for invoices in customers.values()), "a customer's invoice was torn apart"
