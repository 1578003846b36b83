from odoo import SUPERUSER_ID, api


def migrate(cr, version):
    """Look again at the invoice states of reduced milestones of which less than the smallest unit was credited."""
    if not version:
        return
    env = api.Environment(cr, SUPERUSER_ID, {})
    reduced = env["sale.order.line"].search([("is_reduction", "=", True)]).billing_milestone_id
    lines = reduced.order_line_ids.filtered(lambda line: line.state == "sale" and line.invoice_status == "no")
    env.add_to_compute(lines._fields["invoice_status"], lines)
    env.flush_all()
