"""`make demo` and what belongs to its database: tell the story, serve, update, shell."""

import os
import time
from pathlib import Path

from dev import ports, settings, templates
from dev.console import Problem, say
from dev.files import is_locked, lock, read_json, write_json
from dev.inside import ScriptFailed, in_database
from dev.installation import Installation, environment, set_up
from dev.server import OdooServer

DATABASE = f"{settings.DATABASE_PREFIX}_demo"
STORY = Path(__file__).with_name("story.py")
GUIDE = settings.RUN / "demo.json"
SERVING = "demo server"


def demo() -> None:
    """Set everything up, play the main job in a fresh database and serve it (SERVE=0: do not)."""
    installation = set_up()
    refuse_while_served()
    server = make_demo(installation)
    if settings.flag("SERVE", default=True):
        serve_forever(server)


def serve() -> None:
    """Serve the demo database as it was left."""
    installation = set_up()
    refuse_while_served()
    if installation.databases.exists(DATABASE):
        serve_forever(demo_server(installation))
    else:
        serve_forever(make_demo(installation))


def update() -> None:
    """Bring the demo database up to the addon's present code and data."""
    installation = set_up()
    if not installation.databases.exists(DATABASE):
        raise Problem("There is no demo database yet: run `make demo` first.")
    modules = ",".join(path.name for path in settings.addons())
    installation.run_odoo("Updating the demo database", DATABASE, f"--update={modules}")
    if is_locked(SERVING):
        say("The demo server still runs the old code: stop it and run `make serve`.")


def shell() -> None:
    """Open an interactive Odoo shell on the demo database."""
    installation = set_up()
    if not installation.databases.exists(DATABASE):
        make_demo(installation)
    options = (f"--database={DATABASE}", "--no-http", "--log-level=warn")
    command = installation.odoo_command("shell", *options)
    os.execve(command[0], command, environment())


def refuse_while_served() -> None:
    if is_locked(SERVING):
        url = f"http://127.0.0.1:{ports.remembered('http')}"
        raise Problem(f"The demo is being served on {url}: stop that first (Ctrl-C there).")


def demo_server(installation: Installation) -> OdooServer:
    return OdooServer(installation, DATABASE, port=ports.port_for("http"))


def make_demo(installation: Installation) -> OdooServer:
    """Make the database and tell the story in it; returns the server that is to serve it."""
    with lock("demo database"):
        installation.databases.copy(templates.with_addon(installation), DATABASE)
        server = demo_server(installation)
        server.publish_address()  # the story sends links
        tell(installation, DATABASE)
    return server


def tell(installation: Installation, database: str) -> None:
    """Let the story happen and keep what it says about logins and pages."""
    try:
        write_json(GUIDE, in_database(installation, database, STORY, "tell") or {})
    except ScriptFailed as error:
        raise Problem(f"The story could not be told: {error}.") from None


def serve_forever(server: OdooServer) -> None:
    """Serve until Ctrl-C or a signal to end."""
    with lock(SERVING):
        with server:
            say(guide(server.url))
            say(f"The log is {server.log}. Ctrl-C stops the server; `make serve` starts it again.")
            try:
                while server.process.poll() is None:
                    time.sleep(0.5)
            except KeyboardInterrupt:
                say("\nStopping ...")
                return
        raise Problem(f"Odoo has ended by itself; its log is {server.log}.")


def guide(url: str) -> str:
    """Addresses and logins, as text."""
    content = read_json(GUIDE)
    lines = ["", f"Odoo is ready on {url}"]
    lines += [f"  {what}: {url}{path}" for what, path in content.get("pages", [])]
    logins = content.get("logins", [])
    width = max((len(role) for role, *_ in logins), default=0)
    lines += ["Logins:"] if logins else []
    lines += [f"  {role:<{width}}  {login} / {password}" for role, login, password in logins]
    return "\n".join([*lines, ""])
