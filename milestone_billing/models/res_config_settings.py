from odoo import fields, models


class ResConfigSettings(models.TransientModel):
    _inherit = "res.config.settings"

    milestone_product_id = fields.Many2one(related="company_id.milestone_product_id", readonly=False)
    milestone_internal_review = fields.Boolean(related="company_id.milestone_internal_review", readonly=False)
    milestone_client_approval = fields.Boolean(related="company_id.milestone_client_approval", readonly=False)
    milestone_review_days = fields.Integer(related="company_id.milestone_review_days", readonly=False)
    milestone_link_days = fields.Integer(related="company_id.milestone_link_days", readonly=False)
    milestone_invoice_policy = fields.Selection(
        related="company_id.milestone_invoice_policy", readonly=False, required=True
    )
    milestone_invoice_grouping = fields.Selection(
        related="company_id.milestone_invoice_grouping", readonly=False, required=True
    )
    milestone_create_project = fields.Boolean(related="company_id.milestone_create_project", readonly=False)
