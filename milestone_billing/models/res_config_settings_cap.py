from odoo import fields, models


class ResConfigSettings(models.TransientModel):
    _inherit = "res.config.settings"

    milestone_cap_warning = fields.Float(related="company_id.milestone_cap_warning", readonly=False)
