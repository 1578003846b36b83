from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Command

from ..tools import milestone_schedule

SETTINGS = (
    "method",
    "template_id",
    "start_date",
    "every",
    "unit",
    "end_by",
    "milestone_count",
    "until",
    "last_day",
    "skip_days_off",
    "weighting",
    "label",
    "contract_sum",
)


class SaleMilestonePlanner(models.TransientModel):
    """Plans the milestones of a quotation: rows of milestones, and which order lines they divide.

    The three methods only differ in how they fill the rows; every row can be changed afterwards.
    """

    _name = "sale.milestone.planner"
    _inherit = ["sale.milestone.dialog.mixin"]
    _description = "Plan Milestones"

    _dialog_documents = frozenset({"order_id"})

    order_id = fields.Many2one("sale.order", required=True, readonly=True, ondelete="cascade")
    company_id = fields.Many2one(related="order_id.company_id", related_sudo=False)
    currency_id = fields.Many2one(related="order_id.currency_id", related_sudo=False)
    has_plan = fields.Boolean(compute="_compute_has_plan")
    method = fields.Selection(
        [("template", "From a template"), ("schedule", "Regular schedule"), ("manual", "By hand")],
        default="manual",
        required=True,
    )
    split_by = fields.Selection(
        [("percentage", "Percentages"), ("amount", "Untaxed amounts")],
        string="Enter",
        default="percentage",
        required=True,
    )
    template_id = fields.Many2one(
        "sale.milestone.template", domain="['|', ('company_id', '=', False), ('company_id', '=', company_id)]"
    )
    start_date = fields.Date(
        string="Starts On", default=fields.Date.context_today, required=True, help="Delays are counted from this day."
    )
    every = fields.Integer(default=1, required=True)
    unit = fields.Selection([("week", "weeks"), ("month", "months")], default="month", required=True)
    end_by = fields.Selection(
        [("count", "Number of milestones"), ("until", "End date")], default="count", required=True
    )
    milestone_count = fields.Integer(string="Number", default=3, required=True)
    until = fields.Date(help="No milestone is later than this day.")
    last_day = fields.Boolean(string="On the Last Day of the Month")
    skip_days_off = fields.Boolean(
        help="Dates that fall on a weekend or public holiday of the company's calendar move to the next working day, "
        "or back to the one before where that is after the end date."
    )
    weighting = fields.Selection(
        [
            ("equal", "All the same"),
            ("front", "More at the beginning"),
            ("back", "More at the end"),
            ("custom", "By weights"),
        ],
        default="equal",
        required=True,
        help="More at the beginning: of four milestones the first has 4 parts of 10, then 3, 2 and 1.",
    )
    label = fields.Char(string="Called", default=lambda self: self.env._("Milestone"), required=True)
    line_ids = fields.One2many("sale.milestone.planner.line", "planner_id", string="Milestones")
    source_ids = fields.One2many("sale.milestone.planner.source", "planner_id", string="Order Lines")
    contract_sum = fields.Monetary(
        help="Untaxed price to divide where the quotation has no lines yet; its order line is made with the plan."
    )
    has_whole_lines = fields.Boolean(compute="_compute_totals")
    amount_to_divide = fields.Monetary(string="To Divide", compute="_compute_totals")
    amount_total = fields.Monetary(string="Total", compute="_compute_totals")
    amount_remainder = fields.Monetary(string="Remainder", compute="_compute_totals")
    percentage_remainder = fields.Float(string="Remainder (%)", compute="_compute_totals")
    amount_free = fields.Monetary(
        string="Not Planned", compute="_compute_totals", help="Order lines of no milestone; invoiced as usual."
    )
    problem = fields.Char(compute="_compute_problem")
    removed_names = fields.Char(compute="_compute_removed_names")
    amount_order = fields.Monetary(
        string="Order, Untaxed", compute="_compute_amount_order", help="As the order is now, with its present plan."
    )
    amount_before = fields.Monetary(
        string="Without the Plan", compute="_compute_amount_order", help="As the order lines were before the plan."
    )
    changes_amount = fields.Boolean(compute="_compute_amount_order")

    @api.depends("order_id.milestone_ids")
    def _compute_has_plan(self):
        for planner in self:
            planner.has_plan = bool(planner.order_id.milestone_ids)

    @api.depends(
        "split_by",
        "contract_sum",
        "line_ids.percentage",
        "line_ids.amount",
        "source_ids.divide",
        "source_ids.milestone_number",
        "source_ids.amount_untaxed",
    )
    def _compute_totals(self):
        for planner in self:
            currency = planner.currency_id
            divided = planner.source_ids.filtered("divide")
            whole = (planner.source_ids - divided).filtered("milestone_number")
            price = sum(divided.mapped("amount_untaxed")) if planner.source_ids else planner.contract_sum
            to_divide = currency.round(price)
            planner.amount_to_divide = to_divide
            planner.has_whole_lines = bool(whole)
            planner.amount_free = sum((planner.source_ids - divided - whole).mapped("amount_untaxed"))
            if planner.split_by == "amount":
                typed = sum(planner.line_ids.mapped("amount"))
                # without lines to divide the milestones make their own: there is nothing they could miss
                planner.amount_remainder = currency.round(to_divide - typed) if to_divide else 0.0
                planner.percentage_remainder = to_divide and planner.amount_remainder / to_divide * 100
            else:
                remainder = milestone_schedule.get_remainder(planner.line_ids.mapped("percentage"))
                # nothing is left to share out when all lines are put under milestones whole
                needs_shares = to_divide or (planner.line_ids and not whole)
                planner.percentage_remainder = remainder if needs_shares else 0.0
                planner.amount_remainder = currency.round(to_divide * remainder / 100)
            planner.amount_total = sum(planner.line_ids.mapped("amount_total"))

    @api.depends(
        "split_by",
        "contract_sum",
        "line_ids.name",
        "line_ids.percentage",
        "line_ids.amount",
        "line_ids.weight",
        "method",
        "weighting",
        "source_ids.divide",
        "source_ids.milestone_number",
    )
    def _compute_problem(self):
        for planner in self:
            planner.problem = planner._get_problem()

    @api.depends("line_ids.milestone_id")
    def _compute_removed_names(self):
        for planner in self:
            removed = planner.order_id._get_plan_milestones() - planner.line_ids.milestone_id
            planner.removed_names = ", ".join(removed.mapped("name"))

    @api.depends("has_plan", "source_ids.amount_untaxed")
    def _compute_amount_order(self):
        """Planning anew divides what the lines were before the plan: what changed since then is taken back."""
        for planner in self:
            planner.amount_order = sum(planner.order_id._get_untaxed_by_line().values())
            planner.amount_before = sum(planner.source_ids.mapped("amount_untaxed"))
            difference = planner.currency_id.compare_amounts(planner.amount_order, planner.amount_before)
            planner.changes_amount = planner.has_plan and difference != 0

    # -- filling the rows ------------------------------------------------------------------------------

    @api.onchange(*SETTINGS)
    def _onchange_settings(self):
        """Fill the rows anew; those named like a present milestone stay that milestone.

        Settings that make no plan leave no rows: those of before would be applied unseen.
        """
        if self.method == "manual":
            return None
        try:
            rows = self._prepare_rows()
        except UserError as error:
            self.line_ids = [Command.clear()]
            return {"warning": {"title": self.env._("No Plan"), "message": str(error)}}
        if rows is not None:
            self._fill(rows)
        return None

    def _prepare_rows(self):
        """Return the rows of a template or a regular schedule, or None while something is missing for it."""
        if self.method == "template":
            if not (self.template_id and self.start_date):
                return None
            rows, self.split_by = self.template_id._prepare_plan_rows(
                self.order_id, self.start_date, self.amount_to_divide
            )
            return rows
        if not self.start_date or (self.end_by == "until" and not self.until):
            return None
        dates = self._get_dates()
        weights = milestone_schedule.get_weights("equal" if self.weighting == "custom" else self.weighting, len(dates))
        self.split_by = "percentage"
        percentages = milestone_schedule.get_percentages(weights)
        return [
            {
                "name": self.env._("%(label)s %(number)s", label=self.label or "", number=number).strip(),
                "contract_date": day,
                "percentage": float(percentage),
                "weight": weight,
            }
            for number, (day, percentage, weight) in enumerate(zip(dates, percentages, weights, strict=True), 1)
        ]

    def _get_dates(self):
        """Return the dates of the regular schedule.

        :raises UserError: when the settings make none
        """
        until = self.until if self.end_by == "until" else None
        if self.every < 1 or (not until and self.milestone_count < 1):
            raise UserError(self.env._("A schedule has at least one milestone, and an interval of at least one."))
        if until and until < self.start_date:
            raise UserError(
                self.env._("The end date is before the start date: choose a later end date, or an earlier start date.")
            )
        try:
            dates = milestone_schedule.get_dates(
                self.start_date,
                self.every,
                self.unit,
                count=self.milestone_count if not until else None,
                until=until,
                last_day=self.last_day,
            )
        except milestone_schedule.DateTooFar as error:
            raise UserError(self.order_id._get_too_far_text()) from error
        except milestone_schedule.TooManyDates as error:
            raise UserError(
                self.env._(
                    "A schedule has at most %(count)s milestones: choose a smaller number, a longer interval, or an "
                    "earlier end date.",
                    count=milestone_schedule.MAX_MILESTONES,
                )
            ) from error
        if not dates:
            raise UserError(
                self.env._(
                    "No month ends between the start date and the end date: choose a later end date, or do not put "
                    "the milestones on the last day of the month."
                )
            )
        return self.order_id._move_to_working_days(dates, self.start_date, until) if self.skip_days_off else dates

    def _fill(self, rows):
        """Replace the rows of the plan."""
        present = {}
        for milestone in self.order_id._get_plan_milestones():
            present.setdefault(milestone.name, milestone)
        commands = [Command.clear()]
        for number, row in enumerate(rows, 1):
            milestone = row.get("milestone") or present.pop(row["name"], None)
            template_line = row.get("template_line")
            commands.append(
                Command.create(
                    {
                        "sequence": number,
                        "name": row["name"],
                        "contract_date": row["contract_date"],
                        "percentage": row.get("percentage", 0.0),
                        "amount": row.get("amount", 0.0),
                        "weight": row.get("weight", 1.0),
                        "milestone_id": milestone and milestone.id,
                        "template_line_id": template_line and template_line.id,
                    }
                )
            )
        self.line_ids = commands

    @api.onchange("line_ids")
    def _onchange_line_ids(self):
        """Weights make percentages."""
        if self._has_weights():
            rows = self.line_ids.filtered(lambda row: row.weight > 0)
            percentages = milestone_schedule.get_percentages(rows.mapped("weight")) if rows else []
            (self.line_ids - rows).percentage = 0.0
            for row, percentage in zip(rows, percentages, strict=True):
                row.percentage = float(percentage)

    def _has_weights(self):
        """Whether the percentages follow from weights that the user enters."""
        self.ensure_one()
        return self.method == "schedule" and self.weighting == "custom"

    @api.onchange("split_by")
    def _onchange_split_by(self):
        """Go on with the plan as it is, in the other measure."""
        preview = self._get_preview("percentage" if self.split_by == "amount" else "amount")
        if self.split_by == "amount":
            if any(self.line_ids.mapped("percentage")):
                for row in self.line_ids:
                    row.amount = preview.get(row, {}).get("untaxed", 0.0)
        elif self.amount_to_divide and any(self.line_ids.mapped("amount")):
            for row in self.line_ids:
                row.percentage = row.amount / self.amount_to_divide * 100

    # -- opening and applying --------------------------------------------------------------------------

    @api.model
    def _open(self, order):
        """Return a planner that shows the present plan of the quotation, or starts a new one."""
        planner = self.create(
            {"order_id": order.id, "source_ids": self.env["sale.milestone.planner.source"]._prepare_commands(order)}
        )
        if order.milestone_ids:
            planner._show_present_plan()
        else:
            template = order.milestone_template_id or order.sale_order_template_id.milestone_template_id
            templates = template or self.env["sale.milestone.template"].search(
                [("company_id", "in", (False, order.company_id.id))], limit=1
            )
            planner.method = "template" if templates else "manual"
            if template:
                planner.template_id = template
                planner._onchange_settings()
        return planner

    def _show_present_plan(self):
        """Fill in the milestones of the order: the percentages they were made with, or else their amounts."""
        milestones = self.order_id._get_plan_milestones()
        divided = self.source_ids.filtered("divide").order_line_id
        shares = dict.fromkeys(milestones, 0.0)
        for line in self.order_id.order_line:
            share = line.retention_source_id or line
            if share.milestone_source_id in divided and share.billing_milestone_id in shares:
                shares[share.billing_milestone_id] += line.price_subtotal
        rows = [
            {
                "milestone": milestone,
                "name": milestone.name,
                "contract_date": milestone.contract_date,
                "percentage": milestone.split_percentage if shares[milestone] else 0.0,
                "amount": shares[milestone],
            }
            for milestone in milestones
        ]
        self._fill(rows)
        self.split_by = "percentage"
        preview = self._get_preview()
        same = not self.percentage_remainder and all(
            self.currency_id.compare_amounts(preview.get(row, {}).get("untaxed", 0.0), row.amount) == 0
            for row in self.line_ids
        )
        if divided and not same:
            self.split_by = "amount"

    def action_apply(self):
        """Make the plan on the quotation.

        :raises AccessError, UserError: when the user, the order's state or the shares do not allow it
        """
        self.ensure_one()
        self.order_id._check_can_plan()
        if problem := self._get_problem():
            raise UserError(problem)
        kept = self.line_ids.filtered("milestone_id")
        if (self.source_ids.order_line_id.order_id | kept.milestone_id.order_id) - self.order_id or len(
            kept.milestone_id
        ) < len(kept):
            raise UserError(self.env._("Each row is a milestone of %(order)s of its own.", order=self.order_id.name))
        divided = self.source_ids.filtered("divide").order_line_id
        whole = {
            source.order_line_id: source.milestone_number - 1
            for source in self.source_ids
            if not source.divide and source.milestone_number
        }
        self.order_id._apply_milestone_plan(
            [row._prepare_plan_row() for row in self.line_ids],
            self.split_by,
            lines=divided or self._create_contract_line(),
            whole=whole,
        )
        return {"type": "ir.actions.act_window_close"}

    def action_undo(self):
        """Remove the plan from the quotation and put its lines back as they were.

        :raises AccessError, UserError: when the user or the order's state does not allow it
        """
        self.ensure_one()
        self.order_id._check_can_plan()
        self.order_id._clear_milestone_plan()
        return {"type": "ir.actions.act_window_close"}
