"""What must come from the operating system, and how APT brings it."""

import importlib.util
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dev import postgres, settings
from dev.console import Problem, output_of, run_step, say
from dev.files import read_json, write, write_json

# What this release of the distribution does not have, so that it is asked for only once.
UNAVAILABLE = settings.RUN / "apt/unavailable.json"
BROWSERS = ("google-chrome", "chromium", "chromium-browser", "google-chrome-stable")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

# Odoo's Debian package links to these instead of carrying copies.
PACKAGES_OF_ODOO = (
    "libjs-jquery",
    "libjs-jquery-form",
    "libjs-underscore",
    "fonts-font-awesome",
    "fonts-roboto-unhinted",
    "fonts-inconsolata",
)
FONTS = ("fonts-dejavu-core", "fonts-noto-core")

NO_WKHTMLTOPDF = "PDFs as Odoo makes them (the browser prints them instead)"

# Answers only the question whether installing PostgreSQL shall also create and start a
# cluster; we make our own and want no other.
NO_MAIN_CLUSTER = """\
#!/bin/sh
case "$*" in
    *create_main_cluster*) echo off ;;
    *) exec /usr/bin/pg_conftool "$@" ;;
esac
"""


@dataclass(frozen=True)
class Need:
    """Something the machine must have, the packages that bring it, how to see it is there."""

    what: str
    packages: tuple[str, ...]
    is_met: Callable[[], bool]
    loss: str = ""  # what does not work without it, when that is bearable


def has_apt() -> bool:
    return bool(shutil.which("apt-get") and shutil.which("dpkg-query"))


def has_command(*names: str) -> bool:
    return any(shutil.which(name) for name in names)


def has_packages(*names: str) -> bool:
    if not has_apt():
        return True  # nobody to ask; only commands can be checked
    shown = output_of(["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *names])
    return {f"{name} installed" for name in names} <= set((shown or "").splitlines())


def has_postgresql() -> bool:
    return bool(os.environ.get("PGHOST") or postgres.installed())


def has_venv() -> bool:
    return bool(importlib.util.find_spec("ensurepip") and importlib.util.find_spec("venv"))


def needs() -> list[Need]:
    """What this machine must have for the way in which it is going to be used."""
    found = [
        Need("PostgreSQL", ("postgresql",), has_postgresql),
        Need("Python's venv", ("python3-venv",), has_venv),
        Need("certificates", ("ca-certificates",), lambda: has_packages("ca-certificates")),
        Need("fonts", FONTS, lambda: has_packages(*FONTS), "tidy pictures and PDFs"),
        Need("a browser", ("chromium",), lambda: has_command(*BROWSERS), "browser tests"),
        Need("pdftotext", ("poppler-utils",), lambda: has_command("pdftotext"), "PDF tests"),
        Need("gettext", ("gettext",), lambda: has_command("msgmerge"), "merging translations"),
        Need("wkhtmltopdf", ("wkhtmltopdf",), lambda: has_command("wkhtmltopdf"), NO_WKHTMLTOPDF),
    ]
    if not os.environ.get("ODOO_HOME"):
        packages = PACKAGES_OF_ODOO
        found.append(Need("Odoo's libraries", packages, lambda: has_packages(*packages)))
        found.append(Need("Debian's keys", ("debian-archive-keyring",), KEYRING.exists))
    return found


def provide() -> None:
    """Install what is missing; raise Problem when that cannot be done."""
    missing = [need for need in needs() if not need.is_met()]
    if has_apt():
        install([need for need in missing if need.what not in read_json(UNAVAILABLE)])
        missing = [need for need in missing if not need.is_met()]
        write_json(UNAVAILABLE, {need.what: need.packages for need in missing if need.loss})
    for need in missing:
        if not need.loss:
            raise Problem(remedy_for(need))
        say(f"Note: missing on this machine: {need.what}; without it no {need.loss}.")


def remedy_for(need: Need) -> str:
    if "venv" in need.what:
        return (
            f"{sys.executable} has no venv and ensurepip: install them, or use another "
            "Python with `make PYTHON=/path/to/python3 ...`."
        )
    if need.what == "PostgreSQL":
        return (
            "PostgreSQL 13 or newer was not found: install it, or name a server with "
            "PGHOST, PGPORT, PGUSER and PGPASSWORD."
        )
    return f"Missing on this machine: {need.what}; install {' '.join(need.packages)}."


def install(missing: list[Need]) -> None:
    """Let APT install the packages of what is missing, as far as this release has them."""
    if not missing or not may_install(missing):
        return
    network = "Is there a network, and does APT know a mirror (/etc/apt)?"
    run_step("Reading APT's package lists", as_root("apt-get", "update"), remedy=network)
    known = [package for need in missing for package in need.packages if is_known(package)]
    if known:
        arguments = ("install", "-y", "--no-install-recommends", *known)
        title = "Installing system packages"
        run_step(title, as_root("apt-get", *arguments), remedy=network)


def may_install(missing: list[Need]) -> bool:
    """Whether we are or can become root; raises Problem when that cannot be done without."""
    if settings.is_root() or shutil.which("sudo"):
        return True
    if all(need.loss for need in missing):
        return False
    wanted = [package for need in missing for package in need.packages if is_known(package) or not need.loss]
    raise Problem(
        "System packages are missing and there is no sudo: as root, run "
        f"`apt-get install --no-install-recommends {' '.join(wanted)}`."
    )


def is_known(package: str) -> bool:
    """Whether this release of the distribution has the package."""
    policy = output_of(["env", "LC_ALL=C", "apt-cache", "policy", package]) or ""
    return "Candidate:" in policy and "Candidate: (none)" not in policy


def as_root(*command: str) -> list[str]:
    """The APT command, run as root, without questions and without making a PostgreSQL cluster."""
    shims = settings.RUN / "apt/shims"
    write(shims / "pg_conftool", NO_MAIN_CLUSTER, mode=0o755)
    options = (
        "-o",
        f"DPkg::Path={shims}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    )
    sudo = () if settings.is_root() else ("sudo",)
    return [*sudo, "env", "DEBIAN_FRONTEND=noninteractive", *command, *options]
