"""The invoice queue dies at any point, goes on where it was, and bills nothing twice and nothing half."""

import random
from collections import defaultdict

import pytest

from dev import settings
from dev.installation import existing
from tests.mortal import Mortal
from tests.server import template

SCRIPT = settings.ROOT / "tests/interrupted_queue.py"
DATABASE = f"{settings.DATABASE_PREFIX}_system_interrupted"
DEATHS = 20
LATEST = 3.0  # seconds after the queue has begun


class Queue(Mortal):
    """The queue on a database of its own."""

    def __init__(self):
        super().__init__(DATABASE, SCRIPT)
        self.ids = self.run("prepare")

    def count_invoices(self):
        """How many of the milestones have an invoice, as the database says."""
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(DISTINCT billing_milestone_id) FROM account_move_line WHERE billing_milestone_id IN %s",
                [tuple(self.ids)],
            )
            return cursor.fetchone()[0]

    def finish(self):
        """Run the queue to its end; what the ledger has then."""
        self.run("run_queue")
        return self.run("read", IDS=",".join(map(str, self.ids)))


@pytest.fixture
def queue():
    installation = existing()
    installation.databases.copy(template(installation), DATABASE)
    try:
        yield Queue()
    finally:
        installation.databases.drop(DATABASE)


def test_a_queue_that_dies_again_and_again_bills_everything_once(queue):
    chance, progress = random.Random(7), []
    for number in range(DEATHS):
        queue.die("run_queue", after=chance.uniform(0, LATEST), how="terminate" if number % 4 == 3 else "kill")
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
