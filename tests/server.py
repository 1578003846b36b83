"""Real servers for the system tests, each on a database of its own, and clients for them."""

import os
import tempfile
import textwrap
from pathlib import Path

import psutil
import psycopg2
import requests

from dev import settings, templates
from dev.inside import in_database
from dev.installation import existing
from dev.server import OdooServer

TIMEOUT_SECONDS = 120


class RpcError(Exception):
    """What the server raised: `kind` is its exception's name, the text its message."""

    def __init__(self, kind: str, message: str):
        super().__init__(message)
        self.kind = kind


class SystemServer(OdooServer):
    """Odoo in several processes, with cron, on a fresh copy of the template database.

    A context manager: entering makes the database and waits until the server answers,
    leaving stops every process and drops the database.
    """

    def __init__(self, name: str, *, workers: int = 4, cron_threads: int = 1):
        super().__init__(
            existing(),
            f"{settings.DATABASE_PREFIX}_system_{name}",
            workers=workers,
            cron_threads=cron_threads,
        )
        self.databases = self.installation.databases

    def __enter__(self):
        self.databases.copy(template(self.installation), self.database)
        try:
            return super().__enter__()
        except BaseException:
            self.databases.drop(self.database)
            raise

    def __exit__(self, *exception):
        super().__exit__(*exception)
        self.databases.drop(self.database)

    def is_healthy(self) -> bool:
        """Whether it answers and every worker has been started."""
        chat_servers = 1 if self.workers else 0
        expected = self.workers + self.cron_threads + chat_servers
        return super().is_healthy() and len(self.processes()) >= expected

    def connect(self):
        """A psycopg2 connection to the server's database; the caller closes it."""
        return psycopg2.connect(**self.installation.server.dsn(self.database))

    def session(self, login: str, password: str | None = None) -> "Session":
        """A logged-in browser session; demo users have their login as password."""
        session = Session(self)
        session.log_in(login, password or login)
        return session

    def visitor(self) -> "Session":
        """A session of somebody who is not logged in."""
        return Session(self)

    def shell(self, code: str):
        """Run the body of a function of `env` in another process, commit, return its value.

        What it returns must be fit for JSON:
        `server.shell("return env['sale.order'].search([], limit=1).id")`.
        """
        body = textwrap.indent(textwrap.dedent(code), "    ")
        with tempfile.TemporaryDirectory() as folder:
            script = Path(folder) / "shell.py"
            script.write_text(f"def run(env):\n{body}\n")
            return in_database(self.installation, self.database, script, "run")

    def api_key(self, login: str) -> str:
        """A new key for `json2`."""
        return self.shell(f"""
            from odoo import fields
            user = env["res.users"].search([("login", "=", {login!r})])
            expires = fields.Datetime.add(fields.Datetime.now(), days=1)
            return user.with_user(user).env["res.users.apikeys"]._generate("rpc", "tests", expires)
        """)

    def json2(self, key: str, model: str, method: str, **body) -> requests.Response:
        """The answer of one call of the external API, whatever its status."""
        return requests.post(
            f"{self.url}/json/2/{model}/{method}",
            headers={"Authorization": f"bearer {key}", "X-Odoo-Database": self.database},
            json=body,
            timeout=TIMEOUT_SECONDS,
        )

    def twin(self, **options) -> OdooServer:
        """Another server on the same database, as in a production with several machines."""
        return OdooServer(self.installation, self.database, **options)

    def processes(self) -> list[psutil.Process]:
        """The processes below the main one: HTTP workers, cron workers, the chat server."""
        return psutil.Process(self.process.pid).children(recursive=True)


class Session(requests.Session):
    """A browser's session without the browser: cookies are kept, paths are relative."""

    def __init__(self, server: SystemServer):
        super().__init__()
        self.server = server

    def request(self, method, path, **options):
        url = path if path.startswith("http") else f"{self.server.url}{path}"
        return super().request(method, url, **{"timeout": TIMEOUT_SECONDS, **options})

    def log_in(self, login: str, password: str) -> None:
        """Log in; raises RpcError when the server refuses."""
        credentials = {"db": self.server.database, "login": login, "password": password}
        self.json_rpc("/web/session/authenticate", **credentials)

    def call(self, model: str, method: str, *arguments, **options):
        """Call a public method as the web client does and return its result."""
        return self.json_rpc(
            f"/web/dataset/call_kw/{model}/{method}",
            model=model,
            method=method,
            args=arguments,
            kwargs=options,
        )

    def json_rpc(self, path: str, **parameters):
        """The result of a `jsonrpc` route; raises RpcError with what the server raised."""
        answer = self.post(path, json={"jsonrpc": "2.0", "id": 1, "params": parameters})
        answer.raise_for_status()
        content = answer.json()
        if "error" in content:
            data = content["error"].get("data", {})
            raise RpcError(data.get("name", ""), data.get("message") or content["error"]["message"])
        return content.get("result")


def template(installation) -> str:
    """The template that this test run started with, even if the addon changes meanwhile."""
    return os.environ.get("MILESTONE_BILLING_TEMPLATE") or templates.with_addon(installation)
