from odoo import fields, models

STATEMENT_POLICIES = [("none", "On demand only"), ("attach", "Attached to the mail of the invoice")]


class ResCompany(models.Model):
    _inherit = "res.company"

    milestone_statement_policy = fields.Selection(STATEMENT_POLICIES, string="Statement", default="none", required=True)
