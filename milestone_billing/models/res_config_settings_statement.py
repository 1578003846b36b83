from odoo import fields, models


class ResConfigSettings(models.TransientModel):
    _inherit = "res.config.settings"

    milestone_statement_policy = fields.Selection(
        related="company_id.milestone_statement_policy", readonly=False, required=True
    )
