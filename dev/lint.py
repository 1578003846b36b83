"""`make lint` and `make format`."""

import os
import subprocess
from pathlib import Path

from dev import settings, translations, virtualenv, xml_style
from dev.console import say
from dev.files import lock
from dev.installation import set_up

CONCISE = ("--quiet", "--output-format=concise")


def check() -> int:
    """Check style, Odoo's conventions, XML and the translation template.

    Says what each check found, and returns 1 when any found something.
    """
    installation = set_up()
    programs = linters()
    results = {
        "ruff": run(programs / "ruff", "check", *CONCISE),
        "ruff format": run(programs / "ruff", "format", "--check", *CONCISE),
        "pylint-odoo": run(programs / "pylint", *addon_names()) if addon_names() else True,
        "xml": report(xml_style.complaints()),
        "translation template": report(translations.complaints(installation)),
    }
    for name, is_fine in results.items():
        say(f"lint: {name}: {'ok' if is_fine else 'NOT OK'}")
    return 0 if all(results.values()) else 1


def apply() -> int:
    """Bring Python and XML files into shape."""
    programs = linters()
    run(programs / "ruff", "check", "--fix", "--quiet", ".")
    run(programs / "ruff", "format", ".")
    for path in xml_style.apply():
        say(f"{path.relative_to(settings.ROOT)} is in shape now.")
    return 0


def linters() -> Path:
    """The folder with the linters' programs."""
    with lock("setup"):
        return virtualenv.provide_lint()


def addon_names() -> list[str]:
    return [path.name for path in settings.addons()]


def run(*command: str | Path) -> bool:
    """Run a linter over the project; what it says goes to the terminal."""
    caches = {
        "RUFF_CACHE_DIR": str(settings.RUN / "cache/ruff"),
        "PYLINTHOME": str(settings.RUN / "cache/pylint"),
    }
    done = subprocess.run(
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        cwd=settings.ROOT,
        env={**os.environ, **caches},
        check=False,
    )
    return done.returncode == 0


def report(complaints: list[str]) -> bool:
    for complaint in complaints:
        say(complaint)
    return not complaints
