from odoo import fields, models


class ResConfigSettings(models.TransientModel):
    _inherit = "res.config.settings"

    milestone_project_template_id = fields.Many2one(related="company_id.milestone_project_template_id", readonly=False)
    milestone_lead_days = fields.Integer(related="company_id.milestone_lead_days", readonly=False)
    milestone_kickoff_meeting = fields.Selection(related="company_id.milestone_kickoff_meeting", readonly=False)
    milestone_kickoff_days = fields.Integer(related="company_id.milestone_kickoff_days", readonly=False)
    milestone_welcome = fields.Boolean(related="company_id.milestone_welcome", readonly=False)
    milestone_update_rhythm = fields.Selection(related="company_id.milestone_update_rhythm", readonly=False)
