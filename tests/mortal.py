"""Processes inside Odoo that die: killed, or with their database connection ended."""

import contextlib
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg2

from dev import settings
from dev.inside import in_database
from dev.installation import CONFIGURATION, environment, existing

START_SECONDS = 120


class Mortal:
    """Functions of a script, run in one database by processes of their own.

    A function that shall die writes the id of its database backend into the file that READY names,
    when it begins.
    """

    def __init__(self, database, script):
        self.installation = existing()
        self.database, self.script = database, script

    def run(self, function, **variables):
        """Run a function to its end and return what it returns."""
        with tempfile.TemporaryDirectory() as folder:
            ready = str(Path(folder, "ready"))
            return in_database(self.installation, self.database, self.script, function, READY=ready, **variables)

    def die(self, function, after, how="kill", **variables):
        """Run a function, and end its process, or its connection, so many seconds after it has begun."""
        with tempfile.TemporaryDirectory() as folder:
            ready = Path(folder, "ready")
            command = [self.installation.python, "-m", "dev.inside", CONFIGURATION, self.database, self.script]
            process = subprocess.Popen(
                [str(part) for part in (*command, function)],
                cwd=settings.ROOT,
                env=environment(READY=str(ready), RESULT_FILE=str(Path(folder, "result")), **variables),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            try:
                self.wait_for(ready, process)
                time.sleep(after)
                if how == "kill":
                    process.kill()
                else:
                    self.terminate_backend(int(ready.read_text()))
                    process.wait(START_SECONDS)
            finally:
                process.kill()
                process.wait()

    def wait_for(self, ready, process):
        deadline = time.monotonic() + START_SECONDS
        while not (ready.exists() and ready.read_text()):
            assert process.poll() is None, "it has ended before it began"
            assert time.monotonic() < deadline, "it does not begin"
            time.sleep(0.02)

    def connect(self):
        return contextlib.closing(psycopg2.connect(**self.installation.server.dsn(self.database)))

    def terminate_backend(self, pid):
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [pid])
