from odoo import fields, models
from odoo.exceptions import UserError

MILESTONE_GROUPS = "sales_team.group_sale_salesman,account.group_account_invoice,account.group_account_readonly"


class ResPartner(models.Model):
    _inherit = "res.partner"

    billing_milestone_count = fields.Integer(
        string="Milestones",
        compute="_compute_billing_milestone_count",
        groups=MILESTONE_GROUPS,
    )

    def _compute_billing_milestone_count(self):
        """Count the milestones that the user may see, those of the contacts of a company included."""
        self.billing_milestone_count = 0
        family = self.with_context(active_test=False).search_fetch([("id", "child_of", self.ids)], ["parent_id"])
        groups = self.env["sale.milestone"]._read_group([("partner_id", "in", family.ids)], ["partner_id"], ["__count"])
        counted = set(self._ids)
        for partner, count in groups:
            while partner:
                if partner.id in counted:
                    partner.billing_milestone_count += count
                partner = partner.parent_id

    def action_bill_milestones(self):
        """Bill everything approved of these customers now, whatever day their contracts wait for.

        :return: the action that shows the invoices
        :raises AccessError: without invoicing rights
        :raises UserError: when nothing waits, or something cannot be invoiced
        """
        domain = fields.Domain("billing_state", "=", "to_invoice") & fields.Domain("on_hold", "=", False)
        customers = fields.Domain("partner_id.commercial_partner_id", "in", self.commercial_partner_id.ids)
        milestones = self.env["sale.milestone"]
        milestones._check_invoicing()
        milestones = milestones.search(domain & customers)
        if not milestones:
            raise UserError(
                self.env._(
                    "No approved milestone of %(customers)s waits to be billed.",
                    customers=", ".join(self.mapped("display_name")),
                )
            )
        return milestones.action_create_invoices()
