"""The story that `make demo` tells: one engagement, played once on a fresh database.

`tell(env)` writes down what a client needs, proposes and negotiates it, has it signed by both
sides, delivers, changes the contract, bills, and is paid: each step as the user whose step it is.
It prints what happened with the figures of the database, and returns the logins and the pages
worth opening. The chapters are in `dev/chapters`.
"""

from dev.chapters import accounts, change, contract, delivery, paper, people
from dev.chapters.words import say


def tell(env):
    """Print the story; return {'logins': [[role, login, password]], 'pages': [[what, path]]}."""
    users, client_user = people.make_users(env), people.make_client(env)
    people.prepare(env)
    with paper.served(env):
        order = make_contract(env, users, client_user)
    deliver_first(env, users, client_user, order)
    change_contract(env, users, client_user, order)
    deliver_second(env, users, client_user, order)
    leave_to_visitor(env, users, order)
    env.cr.commit()
    return {
        "logins": [[role, user.login, user.login] for role, user in users.items()]
        + [["Client", client_user.login, client_user.login], ["Administrator", "admin", "admin"]],
        "pages": [
            ["Milestones", "/odoo/action-milestone_billing.sale_milestone_action"],
            ["The contract", f"/odoo/sales/{order.id}"],
            ["The client's portal", "/my/milestones"],
        ],
    }


def make_contract(env, users, client_user):
    """Requirements, proposal, negotiation, both signatures; return the signed contract."""
    order = contract.plan(env(user=users["Salesperson"]), client_user.partner_id)
    contract.write_requirements(order)
    contract.agree(order)
    contract.propose(order)
    contract.negotiate(order, client_user)
    contract.revise(order)
    contract.sign(order, client_user)
    contract.countersign(env(user=users["Managing director"]), order)
    contract.keep_contract(env, order)
    return order


def deliver_first(env, users, client_user, order):
    """Kickoff and advance; the first milestone is delivered, approved, billed and paid."""
    manager, accountant = env(user=users["Project manager"]), env(user=users["Accountant"])
    delivery.kick_off(manager, order)
    accounts.pay(accountant, accounts.bill_advance(env, order))
    milestone = delivery.deliver(manager, order.milestone_ids[0])
    delivery.approve(milestone, client_user)
    invoice = accounts.bill(env, milestone)
    delivery.begin_next(env, order)
    accounts.pay(accountant, invoice)
    accounts.keep_accounts(env, order)
    accounts.reconcile(env, order, invoice)


def change_contract(env, users, client_user, order):
    """The client wants a change; it is priced, presented, approved and applied."""
    request = change.ask_for_change(client_user, order)
    request = change.estimate(env(user=users["Salesperson"]), request)
    delivery.approve(request, client_user)
    change.tell_application(env, request)


def deliver_second(env, users, client_user, order):
    """The changed milestone is delivered, approved and billed; the statement says where the contract stands."""
    milestone = delivery.deliver(env(user=users["Project manager"]), order.milestone_ids[1])
    delivery.approve(milestone, client_user)
    accounts.bill(env, milestone)
    accounts.keep_accounts(env, order)
    accounts.state(env, order)


def leave_to_visitor(env, users, order):
    milestone = delivery.present(env(user=users["Project manager"]), order.milestone_ids[2])
    request = change.offer_more(env(user=users["Salesperson"]), order)
    say(f"{milestone.name} and change request {request.name} wait for the client in the portal: those are yours.")
