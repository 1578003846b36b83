"""The support for system tests itself: what the other tests rely on."""

from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from tests.server import RpcError, SystemServer


def test_requests_are_served_by_several_workers(server):
    # Four HTTP workers, one for cron, one for chat.
    assert len(server.processes()) >= 6
    sessions = [server.session("admin") for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        counts = set(pool.map(lambda each: each.call("res.users", "search_count", []), sessions))
    assert len(counts) == 1


def test_session_acts_as_its_user(server):
    session = server.session("demo")
    [user] = session.call("res.users", "search_read", [("login", "=", "demo")], ["login"])
    assert user["login"] == "demo"


def test_refusals_name_the_exception(server):
    with pytest.raises(RpcError) as caught:
        server.session("admin").call("res.users", "_login", [])
    assert caught.value.kind == "odoo.exceptions.AccessError"
    with pytest.raises(RpcError):
        server.session("admin", "not the password")


def test_shell_commits_for_everybody_else(server):
    identifier = server.shell("return env['res.partner'].create({'name': 'By shell'}).id")
    connection = server.connect()
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT name FROM res_partner WHERE id = %s", [identifier])
        assert cursor.fetchone() == ("By shell",)
    connection.close()
    key = server.api_key("admin")
    answer = server.json2(key, "res.partner", "read", ids=[identifier], fields=["name"])
    assert answer.json() == [{"id": identifier, "name": "By shell"}]


def test_nothing_is_left_behind():
    with SystemServer("left_behind", workers=2) as server:
        processes = [psutil.Process(server.process.pid), *server.processes()]
        assert server.visitor().get("/web/login").status_code == 200
    psutil.wait_procs(processes, timeout=10)
    assert not [process for process in processes if process.is_running()]
    assert not server.databases.exists(server.database)
