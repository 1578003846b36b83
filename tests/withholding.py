"""What `tests/test_withholding.py` runs inside Odoo, in a database with taxes that are withheld from payments."""

from odoo.fields import Command

LINES = [100.03, 99.99, 77.77]
PERCENTAGES = [10.0, 15.0, 20.0, 5.0, 30.0, 12.5, 7.5]


def bill(env):
    """Divide orders, bill all their milestones; return the totals of orders, milestones and invoices."""
    return [
        {"rounding": rounding, "withheld": withheld, **bill_order(env, rounding, withheld)}
        for rounding in ("round_per_line", "round_globally")
        for withheld in (False, True)
    ]


def bill_order(env, rounding, withheld):
    env.company.tax_calculation_rounding_method = rounding
    partner = env["res.partner"].create({"name": "Client", "email": "client@example.com"})
    product = env["product.product"].create({"name": "Work", "type": "service", "invoice_policy": "order"})
    taxes = env["account.tax"].create(
        [
            {"name": f"15 % {rounding} {withheld}", "amount": 15.0},
            {
                "name": f"Withheld {rounding} {withheld}",
                "amount": -5.0,
                "is_withholding_tax_on_payment": True,
                "withholding_sequence_id": env["ir.sequence"].create({"name": "Withheld"}).id,
            },
        ]
    )
    taxes = taxes if withheld else taxes[0]
    order = env["sale.order"].create(
        {
            "partner_id": partner.id,
            "milestone_invoice_policy": "post",
            "milestone_invoice_schedule": "at_once",
            "order_line": [
                Command.create({"product_id": product.id, "price_unit": price, "tax_ids": [Command.set(taxes.ids)]})
                for price in LINES
            ],
            "milestone_ids": [
                Command.create(
                    {
                        "name": f"Milestone {number}",
                        "sequence": number,
                        "deliverable_ids": [Command.create({"name": "Work", "url": "https://example.com"})],
                    }
                )
                for number, _percentage in enumerate(PERCENTAGES)
            ],
        }
    )
    order._split_into_milestones(percentages=PERCENTAGES, milestones=order.milestone_ids)
    order.action_confirm()
    for milestone in order.milestone_ids:
        milestone.action_start()
        milestone.action_submit()
        milestone._approve(
            {
                "partner": partner,
                "method": "link",
                "snapshot_hash": milestone.approval_id.snapshot_hash,
                "signed_by": "Client",
                "consent": "I approve.",
            }
        )
        milestone.action_create_invoices()
    totals = ("amount_untaxed", "amount_tax", "amount_total")
    return {
        "order": [order[name] for name in totals],
        "milestones": round(sum(order.milestone_ids.mapped("amount_total")), 2),
        "invoices": [round(sum(order.invoice_ids.mapped(name)), 2) for name in totals],
        "withheld_taxes": len(order.invoice_ids.invoice_line_ids.tax_ids & taxes[1:]),
    }
