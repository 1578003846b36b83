"""A running Odoo: started on a database, watched until it answers, stopped with all its workers."""

import contextlib
import ctypes
import os
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request

from dev.console import Problem, Progress, log_file, say, tail
from dev.installation import Installation, environment
from dev.ports import free_port

START_SECONDS = 180
STOP_SECONDS = 15
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


class OdooServer:
    """One Odoo with its own ports and process group, serving one database on loopback.

    Without workers it is one process with threads, and everything, chat included, is
    reached through one port. With workers, requests run in parallel processes.
    """

    def __init__(
        self,
        installation: Installation,
        database: str,
        *,
        port: int | None = None,
        workers: int = 0,
        cron_threads: int = 1,
    ):
        self.installation = installation
        self.database = database
        self.port = port or free_port()
        self.gevent_port = free_port(avoid={self.port})
        self.workers = workers
        self.cron_threads = cron_threads
        self.log = log_file(f"server {database}")
        self.process: subprocess.Popen | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exception):
        self.stop()

    def command(self) -> list[str]:
        return self.installation.odoo_command(
            f"--database={self.database}",
            f"--db-filter=^{self.database}$",
            f"--http-port={self.port}",
            f"--gevent-port={self.gevent_port}",
            f"--workers={self.workers}",
            f"--max-cron-threads={self.cron_threads}",
        )

    def start(self) -> None:
        """Start and wait until the server answers; raises Problem when it does not."""
        self.publish_address()
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment(),
                start_new_session=True,
                preexec_fn=end_with_parent if in_main_thread() else None,
            )
        try:
            self.wait_until_healthy()
        except BaseException:
            self.stop()
            raise

    def publish_address(self) -> None:
        """Let links in mails and the pictures in PDFs point to this server."""
        for key in ("web.base.url", "report.url"):
            self.installation.databases.query(
                "INSERT INTO ir_config_parameter (key, value) VALUES (%s, %s)"
                " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                key,
                self.url,
                database=self.database,
            )

    def wait_until_healthy(self) -> None:
        progress = Progress(f"Starting Odoo on {self.url}")
        deadline = time.monotonic() + START_SECONDS
        while not self.is_healthy():
            if self.process.poll() is not None or time.monotonic() > deadline:
                say(tail(self.log))
                raise Problem(f"Odoo does not answer on {self.url}; its log is {self.log}.")
            time.sleep(0.25)
            progress.beat()
        progress.end("it answers")

    def is_healthy(self) -> bool:
        """Whether requests are answered from the database."""
        with contextlib.suppress(urllib.error.URLError, OSError):
            with urllib.request.urlopen(f"{self.url}/web/login", timeout=60) as answer:
                return answer.status == 200
        return False

    def stop(self) -> None:
        """End the process and all its workers, gently first."""
        if not self.process:
            return
        group = self.process.pid
        with contextlib.suppress(ProcessLookupError):
            os.kill(group, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(STOP_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
        self.process.wait()
        self.process = None


def in_main_thread() -> bool:
    """The kernel means by parent the thread that started a process; only this one stays."""
    return threading.current_thread() is threading.main_thread()


def end_with_parent() -> None:
    """Ask the kernel to end this process when the one that started it is gone."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
