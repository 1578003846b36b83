"""The commands behind the Makefile's targets."""

import signal
import sys

from dev import (
    demo,
    lint,
    measuring,
    native_tests,
    postgres,
    settings,
    testing,
    translations,
    virtualenv,
)
from dev.console import Problem, say
from dev.databases import LEDGER, Databases
from dev.files import is_locked, lock, read_json, remove

INTERRUPTED = 130


def stop() -> None:
    """Stop our PostgreSQL; the next command starts it again."""
    postgres.stop()


def clean() -> None:
    """Stop our PostgreSQL and remove everything that was made."""
    if is_locked(demo.SERVING):
        raise Problem("The demo is being served: stop it first (Ctrl-C there).")
    drop_from_named_server()
    postgres.stop()
    remove(settings.RUN)


def drop_from_named_server() -> None:
    """On a server that is not ours nothing of ours stays."""
    if postgres.DATA.exists() or not virtualenv.PYTHON.exists():
        return
    with lock("setup"):
        databases = Databases(postgres.provide(), virtualenv.PYTHON)
        for name in read_json(LEDGER):
            databases.drop(name)


COMMANDS = {
    "demo": demo.demo,
    "serve": demo.serve,
    "shell": demo.shell,
    "update": demo.update,
    "test": testing.run_tests,
    "test-long": testing.run_long_tests,
    "test-native": native_tests.compare,
    "lint": lint.check,
    "format": lint.apply,
    "pot": translations.export,
    "bench": measuring.bench,
    "screenshots": measuring.screenshots,
    "journal-entries": measuring.journal_entries,
    "stop": stop,
    "clean": clean,
}


VARIABLES = {
    "ODOO_HOME": "an Odoo 19 that is already there (checkout or dist-packages)",
    "ODOO_PYTHON": "the Python that it runs with",
    "PGHOST": "a PostgreSQL server to use (with PGPORT, PGUSER, PGPASSWORD)",
    "DB_PREFIX": f"how the names of our databases begin (default: {settings.ADDON})",
    "RUN_DIR": "where everything is put (default: .run)",
    "PYTHON": "the Python that runs these commands (default: python3)",
}


def show_help() -> None:
    """List the commands and the variables."""
    width = max(map(len, COMMANDS))
    for name, command in COMMANDS.items():
        say(f"  make {name:<{width}}  {command.__doc__.strip().splitlines()[0]}")
    say("Variables, as in `make demo ODOO_HOME=/opt/odoo`:")
    for name, meaning in VARIABLES.items():
        say(f"  {name:<{width + 5}}  {meaning}")


def main(arguments: list[str]) -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    name = arguments[0] if arguments else "help"
    if name == "help":
        return show_help() or 0
    if name not in COMMANDS:
        say(f"There is no command {name}; these are there:")
        return show_help() or 2
    try:
        return COMMANDS[name]() or 0
    except Problem as problem:
        print(f"{name}: {problem}", file=sys.stderr, flush=True)
        return 1
    except KeyboardInterrupt:
        print(f"\n{name}: interrupted; it can be repeated.", file=sys.stderr, flush=True)
        return INTERRUPTED
