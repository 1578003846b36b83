"""Names and places that the other modules agree on."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Everything that is made lives in this one folder, which git ignores.
RUN = ROOT / (os.environ.get("RUN_DIR") or ".run")
LOGS = RUN / "logs"

ADDON = "milestone_billing"
# Every database of ours starts with this; another prefix lets two clones share a server.
DATABASE_PREFIX = os.environ.get("DB_PREFIX") or ADDON

# What the addon needs and what it is shown and tested with.
NATIVE_MODULES = (
    "sale_project",
    "sale_management",
    "sale_timesheet",
    "calendar",
    "account_payment",
    "payment_demo",
)

OLDEST_POSTGRESQL = 13
NEEDED_GIGABYTES = 4


def addons() -> list[Path]:
    """The folders of our addons: the main one and the bridges beside it."""
    return sorted(path.parent for path in ROOT.glob("*/__manifest__.py"))


def is_root() -> bool:
    return os.geteuid() == 0


def flag(name: str, default: bool) -> bool:
    """An on/off switch of the environment: `SERVE=0` is off, `SERVE=1` is on."""
    value = os.environ.get(name, "")
    return default if value == "" else value.lower() not in {"0", "no", "false"}
