"""Taxes that clients withhold from their payments are none of the invoice: its amounts stay exact beside them."""

import pytest

from dev import settings
from dev.inside import in_database
from dev.installation import existing
from tests.server import template

SCRIPT = settings.ROOT / "tests/withholding.py"
DATABASE = f"{settings.DATABASE_PREFIX}_system_withholding"


@pytest.fixture
def database():
    installation = existing()
    installation.databases.copy(template(installation), DATABASE)
    try:
        module = "l10n_account_withholding_tax"
        installation.run_odoo("Installing withholding taxes", DATABASE, "--with-demo", f"--init={module}")
        yield installation
    finally:
        installation.databases.drop(DATABASE)


def test_milestones_with_withholding_taxes_are_billed_to_the_cent(database):
    for billed in in_database(database, DATABASE, SCRIPT, "bill"):
        print(billed)
        assert billed["invoices"] == [round(amount, 2) for amount in billed["order"]], billed
        assert billed["milestones"] == billed["invoices"][2], billed
        assert billed["withheld_taxes"] == int(billed["withheld"]), billed
