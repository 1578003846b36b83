"""The commands behind the Makefile's targets."""

import signal
import sys

from dev import demo, postgres, settings
from dev.console import Problem, say
from dev.files import is_locked, lock, read_json, remove

INTERRUPTED = 130


def test() -> int:
    """Run the whole suite: the addon's tests, browser tests included, and the system tests."""
    from dev import testing

    return testing.run_tests()


def test_native() -> int:
    """Run Odoo's own tests without and with the addon and print the difference (long)."""
    from dev import native_tests

    return native_tests.compare()


def lint() -> int:
    """Check style, Odoo's conventions, XML formatting and the translation template."""
    from dev import lint

    return lint.check()


def format() -> int:
    """Bring Python and XML files into shape."""
    from dev import lint

    return lint.apply()


def pot() -> None:
    """Export the translation template and merge it into the translations."""
    from dev import translations

    translations.export()


def bench() -> None:
    """Run the benchmarks in a fresh database."""
    from dev import measuring

    measuring.bench()


def screenshots() -> None:
    """Take the pictures of the documentation from a served demo."""
    from dev import measuring

    measuring.screenshots()


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
    from dev import virtualenv
    from dev.databases import LEDGER, Databases

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
    "test": test,
    "test-native": test_native,
    "lint": lint,
    "format": format,
    "pot": pot,
    "bench": bench,
    "screenshots": screenshots,
    "stop": stop,
    "clean": clean,
}


def show_help() -> None:
    """List the commands."""
    width = max(map(len, COMMANDS))
    for name, command in COMMANDS.items():
        say(f"  make {name:<{width}}  {command.__doc__.strip().splitlines()[0]}")


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
