"""PDFs of the story: whatever prints them takes styles and pictures from Odoo's address."""

import contextlib
import logging
import threading
from urllib.parse import urlsplit

from werkzeug.serving import make_server

from odoo import http


@contextlib.contextmanager
def served(env):
    """Answer on the published address while the block runs; nothing else of a server is there, no job runs."""
    address = urlsplit(env["ir.config_parameter"].get_param("report.url"))
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server(address.hostname, address.port, http.root, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
