"""Free loopback ports, remembered in the run folder so that addresses stay the same."""

import socket
import zlib

from dev import settings
from dev.files import read_json, write_json

# Away from the defaults of Odoo (8069, 8072) and PostgreSQL (5432), and below the range
# from which the system takes ports for outgoing connections.
FIRST_PORT = 18000
LAST_PORT = 29999
FILE = settings.RUN / "ports.json"


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port(avoid: set[int] = frozenset()) -> int:
    """A free port; clones start to look in different places."""
    span = LAST_PORT - FIRST_PORT + 1
    start = zlib.crc32(str(settings.RUN).encode()) % span
    for step in range(span):
        port = FIRST_PORT + (start + step) % span
        if port not in avoid and is_free(port):
            return port
    raise RuntimeError("no free port")


def remembered(name: str) -> int | None:
    return read_json(FILE).get(name)


def port_for(name: str) -> int:
    """The port remembered under that name if it is still free, else a new one."""
    ports = read_json(FILE)
    if not ports.get(name) or not is_free(ports[name]):
        taken = {port for other, port in ports.items() if other != name}
        ports[name] = free_port(avoid=taken)
        write_json(FILE, ports)
    return ports[name]
