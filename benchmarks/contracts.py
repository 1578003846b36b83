"""Contracts to measure with: milestone orders beside native orders of the same lines."""

from odoo import fields
from odoo.fields import Command


def make_partner(env, number):
    return env["res.partner"].create({"name": f"Client {number}", "email": f"client{number}@example.com"})


def make_native_orders(env, count):
    """Return confirmed orders of one service line each, invoiceable at once."""
    product = env.company._get_milestone_product()
    orders = env["sale.order"].create(
        [
            {
                "partner_id": partner.id,
                "order_line": [Command.create({"product_id": product.id, "price_unit": 1000.0 + number})],
            }
            for number, partner in enumerate(make_partner(env, number) for number in range(count))
        ]
    )
    orders.action_confirm()
    return orders


def make_native_sections(env, partner, count, sections):
    """Return confirmed orders of a customer, of sections with one service line each."""
    product = env.company._get_milestone_product()
    lines = []
    for number in range(sections):
        lines.append(Command.create({"display_type": "line_section", "name": f"Section {number}"}))
        lines.append(Command.create({"product_id": product.id, "price_unit": 1000.0 + number}))
    orders = env["sale.order"].create([{"partner_id": partner.id, "order_line": lines} for _order in range(count)])
    orders.action_confirm()
    return orders


def make_contracts(env, count, milestones=1, policy="post", partner=None, **values):
    """Return confirmed orders with ``milestones`` milestones each, of a client each or of ``partner``."""
    orders = env["sale.order"].create(
        [
            {
                "partner_id": (partner or make_partner(env, number)).id,
                "milestone_invoice_policy": policy,
                "milestone_create_project": False,
                "milestone_ids": [
                    Command.create(
                        {
                            "name": f"Milestone {position}",
                            "amount_untaxed": 1000.0 + number,
                            "contract_date": fields.Date.today(),
                            "deliverable_ids": [
                                Command.create({"name": "Report", "url": "https://example.com/report"})
                            ],
                        }
                    )
                    for position in range(1, milestones + 1)
                ],
                **values,
            }
            for number in range(count)
        ]
    )
    orders.action_confirm()
    return orders


def find_milestones(env, orders):
    """Return the milestones of ``orders`` as a search finds them, which is how the queue gets them."""
    return env["sale.milestone"].search([("order_id", "in", orders.ids)], order="id")


def submit(milestones):
    milestones.action_start()
    milestones.action_submit()


def approve(milestones):
    """Let the client of each milestone approve what was submitted."""
    for milestone in milestones:
        milestone._approve(
            {
                "partner": milestone.partner_id,
                "method": "link",
                "snapshot_hash": milestone.approval_id.snapshot_hash,
                "signed_by": milestone.partner_id.name,
                "consent": "I approve.",
            }
        )
