"""Real clients, at the same time, on a server of four workers: one decision, one invoice."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from tests.contracts import Client, has_won, make_contract, read_state, wait_until_invoiced


def approve_together(clients):
    """Let every client look at the page first, then approve at one moment."""
    for client in clients:
        assert client.open_page().status_code == 200
    barrier = Barrier(len(clients))

    def approve(client):
        barrier.wait()
        return client.approve()

    with ThreadPoolExecutor(len(clients)) as pool:
        return list(pool.map(approve, clients))


@pytest.mark.parametrize("count", [2, 50])
def test_parallel_approvals_of_one_milestone_make_one_approval_and_one_invoice(server, count):
    [milestone] = make_contract(server, approvers=2)["milestones"]
    clients = [Client(server, milestone, link=number % 2) for number in range(count)]

    responses = approve_together(clients)

    codes = sorted({response.status_code for response in responses})
    winners = sum(map(has_won, responses))
    print(f"\n{count} at once: {winners} won, answers {codes}")
    assert max(codes) < 500
    assert winners == 1
    assert all("Traceback" not in response.text for response in responses)
    [state] = wait_until_invoiced(server, [milestone])
    assert (state["state"], state["billing_state"]) == ("approved", "invoiced")
    assert (state["approved"], state["invoices"]) == (1, 1)
    assert state["net"] == state["planned"]
    assert state["evidence"] == ""


def test_approval_against_request_for_changes_has_one_winner(server):
    [milestone] = make_contract(server, approvers=2)["milestones"]
    approver, critic = Client(server, milestone, link=0), Client(server, milestone, link=1)
    approver.open_page()
    critic.open_page()
    barrier = Barrier(2)

    def act(action):
        barrier.wait()
        return action()

    with ThreadPoolExecutor(2) as pool:
        responses = list(pool.map(act, [approver.approve, critic.ask_for_changes]))

    assert all(response.status_code < 500 for response in responses)
    [state] = read_state(server, [milestone])
    assert sorted(state["decisions"]) in (["approved"], ["changes_requested"])
    assert state["state"] == state["decisions"][0]
    assert state["evidence"] == ""


def test_milestones_of_one_order_approved_at_once_are_all_billed(server):
    milestones = make_contract(server, milestones=12)["milestones"]

    responses = approve_together([Client(server, milestone) for milestone in milestones])

    assert max(response.status_code for response in responses) < 500
    again = [
        Client(server, milestone)
        for milestone, response in zip(milestones, responses, strict=True)
        if not has_won(response)
    ]
    print(f"\n{len(milestones)} milestones of one order at once: {len(again)} had to approve again")
    for client in again:
        client.open_page()
        client.approve()
    states = wait_until_invoiced(server, milestones)
    assert {state["billing_state"] for state in states} == {"invoiced"}
    assert {state["invoices"] for state in states} == {1}
    assert sum(state["net"] for state in states) == sum(state["planned"] for state in states)
    assert not any(state["evidence"] for state in states)
