from odoo import SUPERUSER_ID, api


def migrate(cr, version):
    """Look again at what change requests amount to, and at what is paid.

    Requests did not follow the changes that were approved before them, and what a credit note settles counted as paid
    while that was a draft.
    """
    if not version:
        return
    env = api.Environment(cr, SUPERUSER_ID, {})
    requests = env["sale.change.request"].search([])
    requests.filtered(lambda request: request._is_open())._refresh_deltas()
    for request in requests.filtered("accepted_approval_id"):
        impact = request._get_decided_snapshot()["impact"]
        request._write_protected({"amount_delta": float(impact["this_change"]), "days_delta": impact["days"]})
    settled = env["sale.milestone"].search([("billing_state", "in", ("partial", "paid"))])
    env.add_to_compute(settled._fields["billing_state"], settled)
    env.flush_all()
