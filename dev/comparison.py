"""Another addon for plans of invoices, to measure beside ours; fetched for that only."""

import configparser

from dev import settings
from dev.console import run_step
from dev.files import remove
from dev.installation import CONFIGURATION, Installation, environment
from dev.virtualenv import pip_environment

# The Odoo Community Association's, as it publishes it on PyPI for Odoo 19.
PACKAGE = "odoo-addon-sale_invoice_plan==19.0.1.0.0.3"
MODULE = "sale_invoice_plan"
FOLDER = settings.RUN / "comparison"


def provide(installation: Installation) -> None:
    """Download the addon unless it is here."""
    stamp = FOLDER / PACKAGE
    if stamp.exists():
        return
    remove(FOLDER)
    command = [installation.python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--no-compile", "--target", FOLDER, PACKAGE]
    remedy = "Does pip know its package index?"
    run_step(f"Downloading {MODULE}, for comparison", command, env=pip_environment(), remedy=remedy)
    stamp.touch()


def addons_path() -> str:
    """The folders of addons of our configuration, and the downloaded one."""
    parser = configparser.RawConfigParser()
    parser.read(CONFIGURATION)
    return f"{parser.get('options', 'addons_path')},{FOLDER / 'odoo/addons'}"


def install(installation: Installation, template: str, database: str) -> None:
    """Make a database with that addon, and without ours."""
    installation.databases.copy(template, database)
    options = (
        f"--database={database}",
        "--stop-after-init",
        "--no-http",
        "--max-cron-threads=0",
        f"--init={MODULE}",
        f"--addons-path={addons_path()}",
    )
    command = installation.odoo_command(*options)
    run_step(f"Installing {MODULE}, for comparison", command, env=environment(), cwd=settings.RUN)
