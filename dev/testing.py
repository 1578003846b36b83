"""`make test`: the addon's tests and the system tests, in one run of pytest."""

import os
import re
import secrets
import shlex
import subprocess

from dev import settings, templates
from dev.console import Problem, say
from dev.files import fingerprint, lock, tree_fingerprint
from dev.installation import CONFIGURATION, Installation, environment, set_up

DATABASE = f"{settings.DATABASE_PREFIX}_test"
SYSTEM_DATABASES = f"{settings.DATABASE_PREFIX}_system_"
SYSTEM_TESTS = settings.ROOT / "tests"
IGNORED = ("__pycache__", "i18n", "readme", "static")  # they change no life of a contract

# Of the long run: it is interrupted sooner or later, so its parts are small.
LIVES, STEPS, PARTS = 2000, 50, 40


def run_long_tests() -> int:
    """Play many long lives of contracts (hours); MONEY_SEED=... resumes, MONEY_SHARE=1/2 plays one half."""
    share = os.environ.setdefault("MONEY_SHARE", "1/1")
    if not (numbers := re.fullmatch(r"(\d+)/(\d+)", share)) or not 1 <= int(numbers[1]) <= int(numbers[2]) <= PARTS:
        raise Problem(f"MONEY_SHARE={share} is no share: 2/3 is the second of three, of at most {PARTS}.")
    seed = os.environ.get("MONEY_SEED") or str(secrets.randbelow(10**6))
    lives = os.environ.get("MONEY_LIVES") or str(LIVES)
    steps = os.environ.get("MONEY_STEPS") or str(STEPS)
    played = fingerprint(seed, lives, steps, tree_fingerprint([*settings.addons(), SYSTEM_TESTS / "money"], IGNORED))
    folder = settings.RUN / "lives" / played[:8]
    folder.mkdir(parents=True, exist_ok=True)
    say(f"Playing {lives} lives of {steps} steps, share {share}; MONEY_SEED={seed} goes on if this is interrupted")
    os.environ.update(
        MONEY_SEED=seed,
        MONEY_LIVES=lives,
        MONEY_STEPS=steps,
        MONEY_PARTS=str(PARTS),
        MONEY_FOLDER=str(folder),
        MONEY_SECONDS=str(24 * 60 * 60),
        ARGS="tests/test_money.py",
    )
    return run_tests()


def run_tests() -> int:
    """Run all tests in fresh databases; ARGS="..." hands arguments to pytest."""
    installation = set_up()
    arguments = shlex.split(os.environ.get("ARGS", ""))
    with lock("test run"):
        template = templates.with_addon(installation)
        installation.databases.drop_matching(SYSTEM_DATABASES)
        installation.databases.copy(template, DATABASE)
        command = pytest_command(installation, arguments)
        say("Running the tests")
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            cwd=settings.ROOT,
            env=environment(MILESTONE_BILLING_TEMPLATE=template),
        )
        installation.databases.drop_matching(SYSTEM_DATABASES)
    return done.returncode


def pytest_command(installation: Installation, arguments: list[str]) -> list[str]:
    options = [
        "-p",
        "dev.browser_guard",
        "-o",
        f"cache_dir={settings.RUN / 'cache/pytest'}",
        f"--odoo-config={CONFIGURATION}",
        f"--odoo-database={DATABASE}",
        "--odoo-http",  # without it every HttpCase is skipped in silence
        "--odoo-extra=max-cron-threads=0",
    ]
    if not arguments:
        options.append("--expect-browser")
    if not names_tests(arguments):
        options += [str(path) for path in test_folders()]
    return [str(installation.python), "-m", "pytest", *options, *arguments]


def test_folders() -> list:
    folders = [path / "tests" for path in settings.addons()] + [SYSTEM_TESTS]
    return [path for path in folders if path.is_dir()]


def names_tests(arguments: list[str]) -> bool:
    """Whether the arguments name files or tests themselves."""
    paths = (argument.split("::")[0] for argument in arguments)
    return any((settings.ROOT / path).exists() for path in paths if not path.startswith("-"))
