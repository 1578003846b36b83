from odoo import api, fields, models
from odoo.exceptions import ValidationError

from ..tools import milestone_schedule
from ..tools.cycle import find_cycle
from .one_save import OneSave
from .sale_milestone_template_deliverable import prepare_deliverable_commands


class SaleMilestoneTemplateLine(models.Model):
    _name = "sale.milestone.template.line"
    _description = "Milestone of a Template"
    _order = "template_id, sequence, id"

    template_id = fields.Many2one("sale.milestone.template", required=True, index=True, ondelete="cascade")
    company_id = fields.Many2one(related="template_id.company_id", store=True)
    currency_id = fields.Many2one(related="template_id.currency_id")
    sequence = fields.Integer(default=10)
    name = fields.Char(required=True, translate=True)
    description = fields.Html(string="Scope", translate=True, help="What the client gets; part of what is approved.")
    amount_type = fields.Selection(
        [("percentage", "Percentage"), ("amount", "Fixed amount")],
        string="Price",
        default="percentage",
        required=True,
    )
    # no digits: a third is a third
    percentage = fields.Float(
        string="%", help="Share (0–100) of what remains of the price after the fixed amounts of the template."
    )
    amount = fields.Monetary(help="Untaxed, in the currency of the template.")
    delay_number = fields.Integer(string="Delay")
    delay_unit = fields.Selection(
        [("day", "Days"), ("week", "Weeks"), ("month", "Months")], string="Unit", default="week", required=True
    )
    delay_from = fields.Selection(
        [("order", "After the order"), ("previous", "After the previous milestone"), ("none", "No date")],
        string="Counted",
        default="previous",
        required=True,
    )
    deliverable_ids = fields.One2many(
        "sale.milestone.template.deliverable", "line_id", string="Deliverables", copy=True
    )
    deliverable_names = fields.Char(string="Deliverables to Accept", compute="_compute_deliverable_names")
    predecessor_ids = fields.Many2many(
        "sale.milestone.template.line",
        "sale_milestone_template_line_predecessor_rel",
        "line_id",
        "predecessor_id",
        string="After",
        copy=False,
        domain="[('template_id', '=', template_id), ('id', '!=', id)]",
        help="Milestones of the template that have to be approved before this one is submitted.",
    )

    _delay_not_negative = models.Constraint("CHECK(delay_number >= 0)", "A delay is not negative.")

    @api.depends("deliverable_ids.name")
    def _compute_deliverable_names(self):
        for line in self:
            line.deliverable_names = ", ".join(line.deliverable_ids.filtered("name").mapped("name"))

    @api.constrains("amount_type", "percentage", "amount")
    def _check_positive(self):
        for line in self:
            value = line.percentage if line.amount_type == "percentage" else line.amount
            if value <= 0:
                raise ValidationError(
                    self.env._(
                        "%(milestone)s has no share: give it a percentage or an amount above zero, or remove it.",
                        milestone=line.name,
                    )
                )

    @api.constrains("delay_number", "delay_unit")
    def _check_delay(self):
        for line in self:
            if line.delay_number > milestone_schedule.MAX_DELAYS[line.delay_unit]:
                raise ValidationError(
                    self.env._(
                        "%(milestone)s comes later than a hundred years after what its delay is counted from: "
                        "enter a shorter delay.",
                        milestone=line.name,
                    )
                )

    @api.constrains("predecessor_ids", "template_id")
    def _check_predecessors(self):
        for line in self:
            if line.predecessor_ids.template_id - line.template_id:
                raise ValidationError(
                    self.env._("%(milestone)s can only follow milestones of its template.", milestone=line.name)
                )
        if not OneSave.postpone(self):
            self._check_circle()

    def _check_circle(self):
        for line in self:
            if cycle := find_cycle(line, "predecessor_ids"):
                raise ValidationError(
                    self.env._(
                        "These milestones wait for each other: %(cycle)s. Remove one of them in the column After.",
                        cycle=" → ".join(step.name for step in cycle),
                    )
                )

    def action_open_details(self):
        """Open scope, deliverables and predecessors in a dialog."""
        self.ensure_one()
        self.check_access("read")
        return {
            "type": "ir.actions.act_window",
            "name": self.name,
            "res_model": self._name,
            "res_id": self.id,
            "views": [(False, "form")],
            "target": "new",
        }

    def _prepare_milestone_values(self):
        """Return what a milestone takes over from the template, beside amount and date."""
        self.ensure_one()
        return {
            "description": self.description,
            "deliverable_ids": prepare_deliverable_commands(self.deliverable_ids),
        }
