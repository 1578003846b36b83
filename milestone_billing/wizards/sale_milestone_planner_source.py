from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Command


class SaleMilestonePlannerSource(models.TransientModel):
    """An order line as it is without the plan, and what the plan does with it."""

    _name = "sale.milestone.planner.source"
    _inherit = ["sale.milestone.dialog.mixin"]
    _description = "Order Line of a Milestone Plan"
    _order = "planner_id, sequence, id"

    _dialog_documents = frozenset({"planner_id", "order_line_id"})
    _dialog_free = frozenset({"order_line_id"})

    planner_id = fields.Many2one("sale.milestone.planner", required=True, ondelete="cascade")
    currency_id = fields.Many2one(related="planner_id.currency_id")
    sequence = fields.Integer()
    order_line_id = fields.Many2one("sale.order.line", required=True, readonly=True, index=True, ondelete="cascade")
    name = fields.Char(string="Description", readonly=True)
    can_divide = fields.Boolean(readonly=True)
    reason = fields.Char(string="Why Whole", readonly=True)
    divide = fields.Boolean(help="Divide the line among the milestones by their shares.")
    milestone_number = fields.Integer(
        string="Milestone No.", help="Put the whole line under this milestone; 0: under none, invoiced as usual."
    )
    milestone_name = fields.Char(string="Belongs to", compute="_compute_milestone_name")
    amount_untaxed = fields.Monetary(string="Untaxed", readonly=True)
    amount_tax = fields.Monetary(string="Taxes", readonly=True)
    amount_total = fields.Monetary(string="Total", readonly=True)
    # of sale.order.line._get_split_totals: units of the currency, untaxed and by tax
    split_totals = fields.Json(readonly=True)

    @api.depends("divide", "milestone_number", "planner_id.line_ids.name")
    def _compute_milestone_name(self):
        for source in self:
            rows = source.planner_id.line_ids
            number = source.milestone_number
            source.milestone_name = not source.divide and 0 < number <= len(rows) and rows[number - 1].name

    @api.onchange("divide")
    def _onchange_divide(self):
        if self.divide:
            self.milestone_number = 0

    @api.constrains("divide")
    def _check_divide(self):
        for source in self.filtered(lambda source: source.divide and not source.can_divide):
            raise UserError(
                self.env._("%(line)s cannot be divided: %(reason)s.", line=source.name, reason=source.reason)
            )

    @api.constrains("milestone_number")
    def _check_milestone_number(self):
        if any(source.milestone_number < 0 for source in self):
            raise UserError(self.env._("Milestones are numbered from 1."))

    @api.model
    def _get_divided_lines(self, order):
        """Return the order lines that the present plan divides; what has a single share may be a whole line."""
        shares = order.order_line.filtered("milestone_source_id")
        divided = shares.filtered(lambda line: line.milestone_source_id != line).milestone_source_id
        if divided:
            return divided
        only = order.milestone_ids.filtered(lambda milestone: milestone.split_percentage == 100)
        return shares.filtered(lambda line: line.billing_milestone_id in only)

    @api.model
    def _prepare_commands(self, order):
        """Return the sources of an order: its lines as they are when its present plan is undone."""
        milestones = {milestone: number for number, milestone in enumerate(order.milestone_ids, 1)}
        numbers = {line: milestones.get(line.billing_milestone_id, 0) for line in order.order_line}
        divided = self._get_divided_lines(order)
        with self.env.cr.savepoint() as savepoint:
            order._undo_milestone_split(remove_milestones=False)
            base_lines = order._get_rounded_base_lines()
            lines = order._get_priced_lines().filtered(lambda line: not line.is_downpayment)
            values = [line._prepare_planner_source(base_lines[line]) for line in lines]
            savepoint.rollback()
        self.env.invalidate_all()
        for number, (line, vals) in enumerate(zip(lines, values, strict=True), 1):
            vals["sequence"] = number
            is_new = not milestones and not line._is_line_optional()
            vals["divide"] = vals["can_divide"] and (line in divided or is_new)
            vals["milestone_number"] = 0 if vals["divide"] else numbers[line]
        return [Command.create(vals) for vals in values]


class SaleOrderLine(models.Model):
    _inherit = "sale.order.line"

    def _prepare_planner_source(self, base_line):
        """Return how the plan wizard shows the line; ``base_line`` is rounded together with its order."""
        self.ensure_one()
        order, split_totals = self.order_id, self._get_split_totals(base_line)
        units, signs = split_totals["units"], split_totals["signs"]
        untaxed = order._from_units(units["untaxed"][0])
        tax = order._from_units(sum(sign * units[key][0] for key, sign in signs))
        reason = self._get_undivisible_reason()
        return {
            "order_line_id": self.id,
            "name": self._get_split_label(),
            "can_divide": not reason,
            "reason": reason,
            "amount_untaxed": untaxed,
            "amount_tax": tax,
            "amount_total": order.currency_id.round(untaxed + tax),
            "split_totals": {
                "untaxed": units["untaxed"][0],
                "taxes": [[str(key), sign, units[key][0]] for key, sign in signs],
            },
        }
