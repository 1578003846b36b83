from odoo import fields, models


class ResPartner(models.Model):
    _inherit = "res.partner"

    billing_milestone_count = fields.Integer(
        string="Milestones",
        compute="_compute_billing_milestone_count",
        groups="sales_team.group_sale_salesman,account.group_account_invoice,account.group_account_readonly",
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
