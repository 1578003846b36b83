"""Entry point of `python3 -m dev <command>`; old Pythons must be able to read this file."""

import sys

OLDEST_PYTHON = (3, 10)


def main():
    if sys.version_info < OLDEST_PYTHON:
        sys.exit(
            "Python {}.{} is too old, Odoo 19 needs {}.{} or newer: install one and run "
            "`make PYTHON=/path/to/python3 ...`.".format(*sys.version_info[:2] + OLDEST_PYTHON)
        )
    from dev.commands import main as run

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
