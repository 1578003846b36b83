from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Command


class SaleMilestoneShift(models.TransientModel):
    """Show how contract dates would move along with one that moved, and move those that are wanted."""

    _name = "sale.milestone.shift"
    _inherit = ["sale.milestone.dialog.mixin"]
    _description = "Shift the Following Milestones"

    _dialog_documents = frozenset({"milestone_id"})

    milestone_id = fields.Many2one("sale.milestone", required=True, readonly=True)
    days = fields.Integer(
        string="Shift By (days)",
        compute="_compute_days",
        store=True,
        readonly=False,
        precompute=True,
        help="Earlier when negative.",
    )
    line_ids = fields.One2many(
        "sale.milestone.shift.line",
        "shift_id",
        compute="_compute_line_ids",
        store=True,
        readonly=False,
        precompute=True,
    )

    @api.depends("milestone_id")
    def _compute_days(self):
        for shift in self:
            shift.days = shift.milestone_id.date_shift

    @api.depends("milestone_id")
    def _compute_line_ids(self):
        for shift in self:
            shift.line_ids = [
                Command.clear(),
                *(
                    Command.create({"milestone_id": milestone.id, "is_moved": True})
                    for milestone in shift.milestone_id._get_followers()
                ),
            ]

    @api.depends("milestone_id")
    def _compute_display_name(self):
        for shift in self:
            shift.display_name = shift.milestone_id.display_name

    def action_confirm(self):
        """Move the chosen milestones.

        :raises UserError: for no days or no milestones
        """
        self.ensure_one()
        chosen = self.line_ids.filtered("is_moved").milestone_id & self.milestone_id._get_followers()
        if not self.days or not chosen:
            raise UserError(self.env._("Say by how many days, and which milestones move."))
        chosen._check_can_move()
        self.milestone_id._shift_followers(chosen, self.days)
        return {"type": "ir.actions.act_window_close"}


class SaleMilestoneShiftLine(models.TransientModel):
    _name = "sale.milestone.shift.line"
    _inherit = ["sale.milestone.dialog.mixin"]
    _description = "Milestone to Shift"

    _dialog_documents = frozenset({"milestone_id"})

    shift_id = fields.Many2one("sale.milestone.shift", required=True, ondelete="cascade")
    milestone_id = fields.Many2one("sale.milestone", required=True, readonly=False)
    is_moved = fields.Boolean(string="Move", default=True)
    date_before = fields.Date(related="milestone_id.contract_date", related_sudo=False, string="From")
    date_after = fields.Date(string="To", compute="_compute_date_after")

    @api.depends("milestone_id.contract_date", "shift_id.days", "is_moved")
    def _compute_date_after(self):
        for line in self:
            days = line.shift_id.days if line.is_moved else 0
            line.date_after = line.date_before and line.milestone_id._get_shifted_date(days)
