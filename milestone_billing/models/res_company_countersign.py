from odoo import fields, models


class ResCompany(models.Model):
    _inherit = "res.company"

    milestone_countersign = fields.Boolean(
        string="Countersign Milestone Contracts",
        help="A milestone contract is confirmed when the client has signed it and the company has countersigned it.",
    )


class ResConfigSettings(models.TransientModel):
    _inherit = "res.config.settings"

    milestone_countersign = fields.Boolean(related="company_id.milestone_countersign", readonly=False)
