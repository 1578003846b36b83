"""SQL from outside Odoo, through the psycopg2 of Odoo's Python.

This file is both the client (`query`) and the program that it starts: the tools run on
any Python, psycopg2 is only in the environment made for Odoo.
"""

import json
import subprocess
import sys
from pathlib import Path


class SqlError(Exception):
    """What PostgreSQL answered, in one line."""


def query(python, dsn: dict, statement: str, *parameters) -> list[list]:
    """Run one statement outside a transaction and return its rows."""
    task = {"dsn": dsn, "statement": statement, "parameters": parameters}
    done = subprocess.run(
        [str(python), "-I", str(Path(__file__).resolve())],
        input=json.dumps(task),
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise SqlError(" ".join(done.stderr.split()) or "psycopg2 ended without a word")
    return json.loads(done.stdout)


def serve_one() -> None:
    import psycopg2

    task = json.load(sys.stdin)
    try:
        connection = psycopg2.connect(**task["dsn"])
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(task["statement"], task["parameters"] or None)
            rows = cursor.fetchall() if cursor.description else []
    except psycopg2.Error as error:
        sys.exit(str(error))
    json.dump(rows, sys.stdout, default=str)


if __name__ == "__main__":
    serve_one()
