from odoo import fields, models
from odoo.fields import Command


def prepare_deliverable_commands(deliverables):
    """Return the commands that make the same deliverables, from a template to a milestone or the other way."""
    return [
        Command.create(
            {
                "sequence": deliverable.sequence,
                "name": deliverable.name,
                "acceptance_criteria": deliverable.acceptance_criteria,
            }
        )
        for deliverable in deliverables
    ]


class SaleMilestoneTemplateDeliverable(models.Model):
    _name = "sale.milestone.template.deliverable"
    _description = "Deliverable of a Milestone Template"
    _order = "line_id, sequence, id"

    line_id = fields.Many2one("sale.milestone.template.line", required=True, index=True, ondelete="cascade")
    company_id = fields.Many2one(related="line_id.company_id", store=True)
    sequence = fields.Integer(default=10)
    name = fields.Char(string="Deliverable", required=True, translate=True)
    acceptance_criteria = fields.Text(translate=True)
