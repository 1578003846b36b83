from odoo import SUPERUSER_ID, api


def migrate(cr, version):
    """Look again at what is billed of reduced milestones, and at releases that credit notes took back as a whole."""
    if not version:
        return
    env = api.Environment(cr, SUPERUSER_ID, {})
    reduced = env["sale.order.line"].search([("is_reduction", "=", True)]).billing_milestone_id
    lines = reduced.order_line_ids.filtered(lambda line: line.state == "sale")
    env.add_to_compute(lines._fields["invoice_status"], lines)
    env.add_to_compute(reduced._fields["billing_state"], reduced)
    env["sale.retention.release"].search([("state", "=", "released"), ("amount", "=", 0.0)])._end_without_amount()
    env.flush_all()
