from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.fields import Command

from ..tools import milestone_schedule
from .one_save import OneSave


class SaleMilestoneTemplate(models.Model):
    """A reusable milestone plan: outcomes, shares and delays.

    Fixed amounts come first, and the percentages divide what remains of the price after them; so they
    sum to 100 with or without fixed amounts.
    """

    _name = "sale.milestone.template"
    _description = "Milestone Template"
    _order = "sequence, id"
    _check_company_auto = True

    name = fields.Char(required=True, translate=True)
    active = fields.Boolean(default=True)
    sequence = fields.Integer(default=10)
    company_id = fields.Many2one("res.company", help="Empty: for all companies.")
    currency_id = fields.Many2one(
        "res.currency",
        compute="_compute_currency_id",
        store=True,
        readonly=False,
        precompute=True,
        required=True,
        help="Currency of the fixed amounts; on orders in another currency they are converted.",
    )
    skip_days_off = fields.Boolean(
        default=True,
        help="Dates that fall on a weekend or public holiday of the company's calendar move to the next working day.",
    )
    line_ids = fields.One2many("sale.milestone.template.line", "template_id", string="Milestones", copy=True)
    line_count = fields.Integer(string="Number of Milestones", compute="_compute_totals")
    percentage_total = fields.Float(string="Total (%)", compute="_compute_totals")
    percentage_missing = fields.Float(string="Missing (%)", compute="_compute_totals")
    has_amounts = fields.Boolean(compute="_compute_totals")
    has_percentages = fields.Boolean(compute="_compute_totals")

    @api.depends("company_id")
    def _compute_currency_id(self):
        for template in self:
            company = template.company_id or self.env.company
            template.currency_id = template.currency_id or company.currency_id

    @api.depends("line_ids.amount_type", "line_ids.percentage")
    def _compute_totals(self):
        for template in self:
            shares = template.line_ids.filtered(lambda line: line.amount_type == "percentage")
            template.line_count = len(template.line_ids)
            template.has_percentages = bool(shares)
            template.has_amounts = bool(template.line_ids - shares)
            template.percentage_total = sum(shares.mapped("percentage"))
            template.percentage_missing = shares and milestone_schedule.get_remainder(shares.mapped("percentage"))

    @api.constrains("line_ids")
    def _check_percentages(self):
        for template in self.filtered("percentage_missing"):
            raise ValidationError(template._get_percentage_error())

    def _get_percentage_error(self):
        self.ensure_one()
        return self.env._(
            "The percentages of %(template)s sum to %(total)s %%, not to 100 %%: %(remainder)s %% %(direction)s. "
            "They divide what remains of the price after the fixed amounts.",
            template=self.name,
            total=self.env["sale.order"]._format_percentage(self.percentage_total),
            remainder=self.env["sale.order"]._format_percentage(abs(self.percentage_missing)),
            direction=self.env._("are missing") if self.percentage_missing > 0 else self.env._("are too much"),
        )

    def write(self, vals):
        with OneSave.of(self) as templates:
            return super(SaleMilestoneTemplate, templates).write(vals)

    def copy_data(self, default=None):
        vals_list = super().copy_data(default)
        if "name" not in (default or {}):
            for template, vals in zip(self, vals_list, strict=True):
                vals["name"] = self.env._("%s (copy)", template.name)
        return vals_list

    def copy(self, default=None):
        """Let the copied milestones follow each other as the originals do."""
        copies = super().copy(default)
        for template, new_template in zip(self, copies, strict=True):
            lines = dict(zip(template.line_ids, new_template.line_ids.sorted("id"), strict=False))
            for line, new_line in lines.items():
                new_line.predecessor_ids = [
                    Command.set([lines[other].id for other in line.predecessor_ids if other in lines])
                ]
        return copies

    # -- what it makes of an order -------------------------------------------------------------------

    def _check_complete(self):
        """:raises UserError: when the template makes no plan"""
        self.ensure_one()
        if not self.line_ids:
            raise UserError(self.env._("%(template)s has no milestones yet.", template=self.name))
        if self.percentage_missing:
            raise UserError(self._get_percentage_error())

    def _prepare_plan_rows(self, order, start, total):
        """Return the rows of a plan, see ``sale.order._apply_milestone_plan``, and whether they are ``amount``
        or ``percentage`` rows.

        :param date start: what delays after the order are counted from
        :param float total: untaxed price to divide, in the currency of the order
        """
        self._check_complete()
        template = self.with_context(lang=order.partner_id.lang)
        dates = template._get_dates(start)
        if template.skip_days_off:
            dates = order._move_to_working_days(dates)
        if template.has_amounts:
            amounts = template._get_amounts(total, order.currency_id, order.company_id, start)
        else:
            amounts = [0.0] * len(dates)
        rows = [
            {
                "name": line.name,
                "contract_date": day,
                "percentage": line.percentage if not template.has_amounts else 0.0,
                "amount": amount,
                "template_line": line,
            }
            for line, day, amount in zip(template.line_ids, dates, amounts, strict=True)
        ]
        return rows, "amount" if template.has_amounts else "percentage"

    def _get_dates(self, start):
        """Return the date of each line, in their order, counted from ``start``; None where it has none.

        :raises UserError: when the calendar ends before
        """
        self.ensure_one()
        delays = [(line.delay_number, line.delay_unit, line.delay_from) for line in self.line_ids]
        try:
            return milestone_schedule.get_chained_dates(start, delays)
        except milestone_schedule.DateTooFar as error:
            raise UserError(self.env["sale.order"]._get_too_far_text()) from error

    def _get_amounts(self, total, currency, company, date):
        """Return the untaxed amount of each line, in their order, of a price of ``total``.

        :param float total: untaxed price in ``currency``
        :raises UserError: when the fixed amounts do not fit into the price
        """
        self.ensure_one()
        fixed = {
            line: self.currency_id._convert(line.amount, currency, company, date)
            for line in self.line_ids
            if line.amount_type == "amount"
        }
        if len(fixed) == len(self.line_ids) and currency.is_zero(total):
            return list(fixed.values())  # nothing to divide: the milestones make their order lines
        rest = currency.round(total - sum(fixed.values()))
        shares = self.line_ids.filtered(lambda line: line not in fixed)
        if currency.compare_amounts(rest, 0.0) < 0 or (shares and currency.is_zero(rest)):
            raise UserError(
                self.env._(
                    "The fixed amounts of %(template)s are %(fixed)s, and the price to divide is %(total)s: "
                    "nothing is left for the other milestones. Choose another template, or type the amounts.",
                    template=self.name,
                    fixed=currency.format(sum(fixed.values())),
                    total=currency.format(total),
                )
            )
        amounts, cumulated, given = [], 0.0, 0.0
        for line in self.line_ids:
            if line in fixed:
                amounts.append(fixed[line])
                continue
            # differences of cumulated shares: together they are the rest, to the smallest unit
            cumulated += line.percentage
            upto = rest if line == shares[-1:] else currency.round(rest * cumulated / 100)
            amounts.append(currency.round(upto - given))
            given = upto
        return amounts
