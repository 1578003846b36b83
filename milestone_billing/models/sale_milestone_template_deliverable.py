from odoo import fields, models


class SaleMilestoneTemplateDeliverable(models.Model):
    _name = "sale.milestone.template.deliverable"
    _description = "Deliverable of a Milestone Template"
    _order = "line_id, sequence, id"

    line_id = fields.Many2one("sale.milestone.template.line", required=True, index=True, ondelete="cascade")
    company_id = fields.Many2one(related="line_id.company_id", store=True)
    sequence = fields.Integer(default=10)
    name = fields.Char(string="Deliverable", required=True, translate=True)
    acceptance_criteria = fields.Text(translate=True)
