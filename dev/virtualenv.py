"""The Python that runs Odoo: a virtual environment of ours, beside whatever is named."""

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

from dev import settings
from dev.console import Problem, output_of, run_step
from dev.files import fingerprint, read_json, remove, write, write_json
from dev.odoo_source import OdooSource

HERE = Path(__file__).parent
FOLDER = settings.RUN / "python"
PYTHON = FOLDER / "bin/python"
LINT_FOLDER = settings.RUN / "python-lint"
REQUIREMENTS = (HERE / "requirements.txt", HERE / "requirements-dev.txt")
LINT_REQUIREMENTS = (HERE / "requirements-lint.txt",)
# ofxparse is only published as source and needs a setuptools that still has pkg_resources.
BUILD_TOOLS = ("setuptools<81", "wheel")

REMEDY = "Is there a network, and does pip know its package index?"
ABOUT_PYTHON = (
    "import json, site, sys;"
    "print(json.dumps([list(sys.version_info[:2]), sys.base_prefix,"
    " [path for path in sys.path if path.endswith('-packages')]]))"
)


def provide(odoo: OdooSource) -> Path:
    """The Python that can import Odoo, its libraries and the test tools."""
    theirs = os.environ.get("ODOO_PYTHON")
    if theirs:
        base, requirements, folders = examine(theirs), REQUIREMENTS[1:], site_folders(theirs)
    else:
        base, requirements, folders = sys.executable, REQUIREMENTS, []
    make(FOLDER, base, requirements, "Odoo's Python packages")
    write_paths("odoo-python.pth", folders)
    write_paths("odoo-source.pth", [str(odoo.library)])
    check_import(fingerprint(odoo.key, *folders))
    return PYTHON


def provide_lint() -> Path:
    """A separate environment for the linters, whose libraries Odoo must not see."""
    make(LINT_FOLDER, sys.executable, LINT_REQUIREMENTS, "the linters")
    return LINT_FOLDER / "bin"


def examine(python: str) -> str:
    """Check the interpreter named by ODOO_PYTHON."""
    shown = output_of([python, "-c", ABOUT_PYTHON])
    if shown is None:
        raise Problem(f"ODOO_PYTHON={python} does not run: name a Python of version 3.10 or newer.")
    version = json.loads(shown)[0]
    if version < [3, 10]:
        number = ".".join(map(str, version))
        raise Problem(f"ODOO_PYTHON={python} is Python {number}: Odoo 19 needs 3.10 or newer.")
    return python


def site_folders(python: str) -> list[str]:
    """Where another Python keeps its packages, so that ours sees them too."""
    return json.loads(output_of([python, "-c", ABOUT_PYTHON]) or "[0, 0, []]")[2]


def make(folder: Path, base: str, requirements: tuple[Path, ...], what: str) -> None:
    """Make the virtual environment unless it is there and made from the same files."""
    stamp = folder / "made-from.json"
    version = output_of([base, "-c", "import sys; print(sys.version, sys.base_prefix)"]) or base
    wanted = {"key": fingerprint(version, *BUILD_TOOLS, *requirements)}
    if read_json(stamp) == wanted and output_of([folder / "bin/python", "-c", ""]) is not None:
        return
    remove(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    create(folder, base)
    pip = [folder / "bin/python", "-m", "pip", "install", "--disable-pip-version-check"]
    if os.environ.get("ODOO_PYTHON"):
        write_paths("odoo-python.pth", site_folders(os.environ["ODOO_PYTHON"]))
    run_step(f"Preparing {what}", [*pip, *BUILD_TOOLS], env=pip_environment(), remedy=REMEDY)
    for number, file in enumerate(requirements, start=1):
        title = f"Installing {what} ({number} of {len(requirements)})"
        command = [*pip, "--no-build-isolation", "-r", file]
        run_step(title, command, env=pip_environment(), remedy=REMEDY)
    write_json(stamp, wanted)


def create(folder: Path, base: str) -> None:
    if base == sys.executable:
        venv.create(folder, with_pip=True, symlinks=True)
        return
    done = subprocess.run([base, "-m", "venv", folder], capture_output=True, text=True)
    if done.returncode:
        raise Problem(f"{base} cannot make a virtual environment: install its venv module.")


def pip_environment() -> dict[str, str]:
    """Keep pip's downloads in our folder too."""
    return {**os.environ, "PIP_CACHE_DIR": str(settings.RUN / "cache/pip")}


def write_paths(name: str, folders: list[str]) -> None:
    """Put folders on the path of our environment, after its own packages."""
    places = list(FOLDER.glob("lib/python3*/site-packages"))
    write(places[0] / name, "".join(f"{folder}\n" for folder in folders))


def check_import(key: str) -> None:
    """Raise Problem, with what Python said, when this pair, named by a key, does not work."""
    stamp = FOLDER / "imports.json"
    wanted = {"key": key}
    if read_json(stamp) == wanted:
        return
    done = subprocess.run(
        [PYTHON, "-c", "import psycopg2, odoo.release, odoo.http, odoo.tests, pytest_odoo"],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise Problem(
            f"Odoo cannot be imported ({reason}): with ODOO_PYTHON, install Odoo's "
            f"requirements for it; without, remove {FOLDER} and try again."
        )
    write_json(stamp, wanted)
