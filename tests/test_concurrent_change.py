"""Changes and approvals at the same moment, on a server of four workers: one after the other, never a mix."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from tests.contracts import (
    Client,
    has_won,
    make_contract,
    make_requests,
    read_requests,
    read_state,
    wait_until_invoiced,
)

ROUNDS = 5


def approve_together(clients):
    """Let every client look at the page first, then approve at one moment."""
    for client in clients:
        assert client.open_page().status_code == 200
    barrier = Barrier(len(clients))

    def approve(client):
        barrier.wait()
        return client.approve()

    with ThreadPoolExecutor(len(clients)) as pool:
        responses = list(pool.map(approve, clients))
    assert max(response.status_code for response in responses) < 500
    assert all("Traceback" not in response.text for response in responses)
    return responses


def assert_sound(state):
    """Original + changes = revised, and what is applied is applied wholly, once."""
    assert round(state["original"] + state["changes"] - state["revised"], 2) == 0
    applied = [request for request in state["requests"] if request["state"] == "approved"]
    assert round(sum(sum(request["lines"]) for request in applied) - state["changes"], 2) == 0
    assert sorted(request["number"] for request in applied) == list(range(1, len(applied) + 1))
    for request in state["requests"]:
        assert request["evidence"] == ""
        assert (request["state"] == "approved") == ("approved" in request["decisions"])
        assert bool(request["lines"]) == (request["state"] == "approved")


def test_approval_of_a_milestone_against_a_change_of_it(server):
    outcomes = []
    for _round in range(ROUNDS):
        contract = make_contract(server, milestones=2)
        first, _second = contract["milestones"]
        [request] = make_requests(server, contract, [contract["milestones"]])
        approver, changer = Client(server, first), Client(server, request, kind="change_requests")

        responses = approve_together([approver, changer])

        [milestone], changed = read_state(server, [first]), read_requests(server, [request])
        assert_sound(changed)
        approved, applied = milestone["state"] == "approved", changed["changes"] != 0
        outcomes.append("approved" if approved else "changed" if applied else "neither")
        assert not (approved and applied), "approved and changed at once"
        assert sum(map(has_won, responses)) == int(approved) + int(applied)
        assert milestone["evidence"] == ""
        if approved:
            [billed] = wait_until_invoiced(server, [first])
            assert (billed["net"], billed["invoices"]) == (1000.0, 1)
        elif applied:
            assert milestone["planned"] == 1100.0
            assert milestone["decisions"] == ["withdrawn"]
    print(f"\nMilestone against change, at once: {outcomes}")
    assert set(outcomes) & {"approved", "changed"}


def test_two_changes_of_one_milestone_at_once(server):
    outcomes = []
    for _round in range(ROUNDS):
        contract = make_contract(server, milestones=1)
        requests = make_requests(server, contract, [contract["milestones"], contract["milestones"]])

        responses = approve_together([Client(server, request, kind="change_requests") for request in requests])

        state = read_requests(server, requests)
        assert_sound(state)
        outcomes.append(state["changes"])
        assert state["changes"] in (0.0, 100.0, 200.0), "both were applied"
        assert sum(map(has_won, responses)) == bool(state["changes"])
    print(f"\nTwo changes of one milestone at once: {outcomes}")
    assert any(outcomes)


def test_two_changes_of_one_contract_at_once_are_numbered(server):
    contract = make_contract(server, milestones=6)
    requests = make_requests(server, contract, [[milestone] for milestone in contract["milestones"]])
    clients = [Client(server, request, kind="change_requests") for request in requests]

    responses = approve_together(clients)

    assert_sound(read_requests(server, requests))
    # who came second saw another contract: the answer leads to the new version, and the client approves that
    for client, response in zip(clients, responses, strict=True):
        for _look in range(3):
            if has_won(response):
                break
            client.open_page()
            response = client.approve()
        assert has_won(response)
    state = read_requests(server, requests)
    print(f"\n{len(requests)} changes of one contract at once: {sum(map(has_won, responses))} applied at first")
    assert_sound(state)
    assert {request["state"] for request in state["requests"]} == {"approved"}
    assert state["changes"] == sum(100.0 * number for number in range(1, 7))
