"""Runs inside Odoo's Python: opens a database and calls a function of a script with it.

`python -m dev.inside <config> <database> <script> <function>` calls `function(env)` as
the superuser and commits what it did; what it returns goes, as JSON, to the file named by
RESULT_FILE. Use `in_database` to call it from the tools.
"""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

from dev import settings


class ScriptFailed(Exception):
    """The script ended with an error, which it has already shown."""


def in_database(installation, database: str, script: Path, function: str, **variables: str):
    """Call `function(env)` of the script in Odoo and return what it returned."""
    from dev.installation import CONFIGURATION, environment

    result = settings.RUN / f"result-{os.getpid()}.json"
    command = [installation.python, "-m", "dev.inside", CONFIGURATION, database, script, function]
    try:
        done = subprocess.run(
            [str(part) for part in command],
            cwd=settings.ROOT,
            env=environment(RESULT_FILE=str(result), **variables),
        )
        if done.returncode:
            raise ScriptFailed(f"{script} ended with code {done.returncode}")
        return json.loads(result.read_text())
    finally:
        result.unlink(missing_ok=True)


def call(config: str, database: str, script: str, function: str) -> None:
    import odoo
    from odoo.modules.registry import Registry

    options = [f"--config={config}", f"--database={database}", "--no-http"]
    # Odoo's libraries warn of their own future at length.
    options += ["--max-cron-threads=0", "--log-level=warn", "--log-handler=py.warnings:ERROR"]
    if addons_path := os.environ.get("ADDONS_PATH"):
        options.append(f"--addons-path={addons_path}")
    odoo.tools.config.parse_config(options, setup_logging=True)
    with Registry(database).cursor() as cursor:
        env = odoo.api.Environment(cursor, odoo.SUPERUSER_ID, {})
        env = env(context=env["res.users"].context_get())
        result = runpy.run_path(script)[function](env)
        cursor.commit()
    Path(os.environ["RESULT_FILE"]).write_text(json.dumps(result, default=str))


if __name__ == "__main__":
    call(*sys.argv[1:])
