from odoo import fields, models
from odoo.exceptions import AccessError


class ResConfigSettings(models.TransientModel):
    _inherit = "res.config.settings"

    milestone_retention_percentage = fields.Float(related="company_id.milestone_retention_percentage", readonly=False)
    milestone_retention_base = fields.Selection(
        related="company_id.milestone_retention_base", readonly=False, required=True
    )
    milestone_retention_cap = fields.Float(related="company_id.milestone_retention_cap", readonly=False)
    milestone_retention_reduced_percentage = fields.Float(
        related="company_id.milestone_retention_reduced_percentage", readonly=False
    )
    milestone_retention_reduced_after = fields.Float(
        related="company_id.milestone_retention_reduced_after", readonly=False
    )
    milestone_retention_method = fields.Selection(
        related="company_id.milestone_retention_method", readonly=False, required=True
    )
    milestone_retention_trigger = fields.Selection(
        related="company_id.milestone_retention_trigger", readonly=False, required=True
    )
    milestone_retention_days = fields.Integer(related="company_id.milestone_retention_days", readonly=False)
    milestone_retention_account_id = fields.Many2one(
        related="company_id.milestone_retention_account_id", readonly=False
    )

    def action_create_retention_account(self):
        """Give the company a retention account: the chart's own, or a new one.

        :raises AccessError: for others than accounting managers
        """
        if not self.env.user.has_group("account.group_account_manager"):
            raise AccessError(self.env._("Only accounting managers create accounts."))
        company = self.env.company
        if not company.milestone_retention_account_id:
            company.sudo()._create_retention_account()
        return {"type": "ir.actions.client", "tag": "reload"}
