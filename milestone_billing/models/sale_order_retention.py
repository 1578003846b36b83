from datetime import date, timedelta

from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.tools import format_date

from .res_company_retention import RETENTION_BASES, RETENTION_METHODS, RETENTION_TRIGGERS

# Due date of what is retained and not released: the ledger wants one, and this one never comes.
UNRELEASED = date(2999, 12, 31)
RETENTION_TERMS = frozenset(
    {
        "milestone_retention_percentage",
        "milestone_retention_base",
        "milestone_retention_cap",
        "milestone_retention_reduced_percentage",
        "milestone_retention_reduced_after",
        "milestone_retention_method",
        "milestone_retention_trigger",
        "milestone_retention_date",
        "milestone_retention_days",
        "milestone_retention_milestone_id",
    }
)
# What a company usually agrees on; the rest is agreed per contract.
COMPANY_TERMS = sorted(RETENTION_TERMS - {"milestone_retention_date", "milestone_retention_milestone_id"})


def _term(field, **options):
    """A term of the contract: it starts as the company's default, and is agreed on with the order."""
    return field(compute="_compute_milestone_retention", store=True, readonly=False, precompute=True, **options)


class SaleOrder(models.Model):
    """Retention: which part of each invoice the client keeps back, and when it is released.

    Amounts are in the currency of the order, percentages 0–100. What is retained is a function of
    what is billed to date, so that no invoice drifts by a cent from what was agreed.
    """

    _inherit = "sale.order"

    milestone_retention_percentage = _term(
        fields.Float, string="Retention", digits=(16, 4), help="Percent of each invoice that the client keeps back."
    )
    milestone_retention_base = _term(fields.Selection, selection=RETENTION_BASES, string="Retention Base")
    milestone_retention_cap = _term(
        fields.Float,
        string="Retention Cap",
        digits=(16, 4),
        help="Most that is kept back, in percent of the contract. 0: no limit.",
    )
    milestone_retention_reduced_percentage = _term(
        fields.Float,
        string="Reduced Retention",
        digits=(16, 4),
        help="Percent that is kept back of what is billed after the given share of the contract.",
    )
    milestone_retention_reduced_after = _term(
        fields.Float,
        string="Retention Reduced After",
        digits=(16, 4),
        help="Share of the contract, in percent, after which the reduced retention applies. 0: it never does.",
    )
    milestone_retention_method = _term(fields.Selection, selection=RETENTION_METHODS, string="Retention Method")
    milestone_retention_trigger = _term(fields.Selection, selection=RETENTION_TRIGGERS, string="Release of Retention")
    milestone_retention_days = _term(
        fields.Integer, string="Days until Release", help="Days between the approval and the release of the retention."
    )
    milestone_retention_date = fields.Date(string="Retention Until", copy=False)
    milestone_retention_milestone_id = fields.Many2one(
        "sale.milestone",
        string="Released after",
        copy=False,
        domain="[('order_id', '=', id)]",
        help="Milestone whose approval starts the time until the release. Empty: the last approval.",
    )

    retention_line_ids = fields.One2many(
        "account.move.line", "retention_order_id", string="Retention Items", readonly=True, copy=False
    )
    retention_post_count = fields.Integer(readonly=True, copy=False, groups="base.group_system")
    retention_retained = fields.Monetary(
        string="Retained",
        compute="_compute_retention_retained",
        store=True,
        compute_sudo=True,
        help="Kept back of posted invoices, less what credit notes gave back.",
    )
    retention_released = fields.Monetary(string="Released", compute="_compute_retention_amounts", compute_sudo=True)
    retention_paid = fields.Monetary(compute="_compute_retention_amounts", compute_sudo=True)
    retention_due = fields.Monetary(
        compute="_compute_retention_amounts",
        compute_sudo=True,
        help="Released, not paid, and its due date has come.",
    )
    retention_withheld = fields.Monetary(
        string="Still Retained",
        compute="_compute_retention_amounts",
        compute_sudo=True,
        help="Retained and neither released nor paid.",
    )

    _milestone_retention_limits = models.Constraint(
        """CHECK(milestone_retention_percentage BETWEEN 0 AND 100 AND milestone_retention_cap BETWEEN 0 AND 100
        AND milestone_retention_reduced_percentage BETWEEN 0 AND 100
        AND milestone_retention_reduced_after BETWEEN 0 AND 100 AND milestone_retention_days >= 0)""",
        "Retention is a percentage between 0 and 100, and its release is not before the approval.",
    )

    @api.depends("company_id")
    def _compute_milestone_retention(self):
        for order in self.filtered(lambda order: not order.milestone_contract_hash):
            company = order.company_id or self.env.company
            for name in COMPANY_TERMS:
                order[name] = company[name]

    @api.depends("retention_line_ids.amount_currency", "retention_line_ids.parent_state")
    def _compute_retention_retained(self):
        for order in self:
            lines = order.retention_line_ids.filtered(lambda line: line.parent_state == "posted")
            order.retention_retained = sum(lines.mapped("amount_currency"))

    @api.depends("retention_line_ids.amount_residual_currency", "retention_line_ids.retention_released")
    def _compute_retention_amounts(self):
        for order in self:
            lines = order._get_retention_items()
            order.retention_released = sum(line.retention_released for line in lines)
            order.retention_paid = sum(line._get_retention_paid() for line in lines)
            order.retention_due = sum(line._get_retention_due() for line in lines)
            order.retention_withheld = sum(line._get_retention_withheld() for line in lines)

    @api.constrains("milestone_retention_reduced_percentage", "milestone_retention_reduced_after")
    def _check_milestone_retention(self):
        for order in self.filtered("milestone_retention_reduced_after"):
            if order.milestone_retention_reduced_percentage > order.milestone_retention_percentage:
                raise ValidationError(
                    self.env._(
                        "The reduced retention of %(order)s is higher than its retention of %(percentage)s %%.",
                        order=order.name,
                        percentage=order.milestone_retention_percentage,
                    )
                )

    @api.constrains("milestone_retention_days")
    def _check_milestone_retention_days(self):
        for order in self:
            order.company_id._check_release_days(order.milestone_retention_days)

    @api.constrains("milestone_retention_milestone_id")
    def _check_milestone_retention_milestone(self):
        for order in self.filtered("milestone_retention_milestone_id"):
            if order.milestone_retention_milestone_id.order_id != order:
                order.milestone_retention_milestone_id.sudo(False).check_access("read")
                raise ValidationError(
                    self.env._(
                        "%(milestone)s belongs to another order: the retention of %(order)s cannot wait for it.",
                        milestone=order.milestone_retention_milestone_id.display_name,
                        order=order.name,
                    )
                )

    def write(self, vals):
        terms = RETENTION_TERMS.intersection(vals)
        if terms:
            self._check_retention_frozen({name: vals[name] for name in terms})
        return super().write(vals)

    def _check_retention_frozen(self, vals):
        """:raises UserError: when a term of a confirmed contract would change"""
        for order in self.filtered(lambda order: order.milestone_ids._is_agreed()):
            new = self.new(vals)
            changed = [name for name in vals if order[name] != new[name]]
            if changed:
                order._refuse_change_of_terms(changed)

    def _copy_milestone_lines(self, new_order):
        """The copied contract waits for the copied milestone."""
        lines = super()._copy_milestone_lines(new_order)
        milestones = self._get_copied_milestones(new_order)
        if self.milestone_retention_milestone_id in milestones:
            new_order.milestone_retention_milestone_id = milestones[self.milestone_retention_milestone_id]
        return lines

    def _get_plan_error(self):
        error = super()._get_plan_error()
        if error or not self.milestone_ids or not self.milestone_retention_percentage:
            return error
        if self.milestone_retention_trigger == "date" and not self.milestone_retention_date:
            return self.env._("The retention is released on a date: say on which one, or release it by hand.")
        return False

    def _prepare_contract_values(self):
        values = super()._prepare_contract_values()
        if self.milestone_retention_percentage:
            values["retention"] = {
                name.removeprefix("milestone_retention_"): self._format_retention_term(name)
                for name in sorted(RETENTION_TERMS)
            }
        return values

    def _format_retention_term(self, name):
        """Return a term as text that is the same on every machine."""
        value = self[name]
        field = self._fields[name]
        if field.type == "many2one":
            return value.id or ""
        if field.type == "float":
            return f"{value:.4f}"
        return fields.Date.to_string(value) or "" if field.type == "date" else value

    def _get_retention_sentences(self):
        """Return the terms of the retention as sentences, for the quotation, its PDF and its portal page."""
        self.ensure_one()
        if not self.milestone_ids or not self.milestone_retention_percentage:
            return []

        def percent(percentage):
            return f"{self._format_percentage(percentage)} %"

        base = dict(self._fields["milestone_retention_base"]._description_selection(self.env))
        terms = {
            "percentage": percent(self.milestone_retention_percentage),
            "base": base[self.milestone_retention_base].lower(),
        }
        sentences = (
            self._get_release_milestone_sentences(**terms)
            if self._retains_by_milestone()
            else [self.env._("Retention: %(percentage)s of each milestone invoice (%(base)s).", **terms)]
        )
        if self.milestone_retention_reduced_after:
            sentences.append(
                self.env._(
                    "Once %(share)s of the contract is billed: %(percentage)s of what follows.",
                    share=percent(self.milestone_retention_reduced_after),
                    percentage=percent(self.milestone_retention_reduced_percentage),
                )
            )
        if self.milestone_retention_cap:
            sentences.append(self.env._("At most %(cap)s of the contract.", cap=percent(self.milestone_retention_cap)))
        if self.milestone_retention_trigger == "date" and self.milestone_retention_date:
            day = format_date(self.env, self.milestone_retention_date)
            sentences.append(self.env._("Released on %(date)s.", date=day))
        elif self.milestone_retention_trigger == "milestone":
            sentences.append(
                self.env._(
                    "Released %(days)s days after the approval of %(milestone)s.",
                    days=self.milestone_retention_days,
                    milestone=self.milestone_retention_milestone_id.name or self.env._("the last milestone"),
                )
            )
        return sentences

    def _count_retention_post(self):
        """Let those who post for the same order at once meet: the second one is tried again, and sees the first.

        What an invoice retains follows from all that is billed to date. A lock alone would let the
        second one go on with what it saw before, so the row is written, even when nothing is retained.
        """
        for order in self.sudo().with_context(tracking_disable=True).sorted("id"):
            order.retention_post_count += 1
            order.flush_recordset(["retention_post_count"])

    # -- how much is retained ------------------------------------------------------------------------

    def _retains_by_terms(self):
        """Whether invoices of the order keep an amount back on the retention account."""
        self.ensure_one()
        return self.milestone_retention_method == "terms" and self.milestone_retention_percentage > 0.0

    def _get_retention_contract(self):
        """Return the contract sum on the base of the retention."""
        self.ensure_one()
        milestones = self.milestone_ids.filtered(lambda milestone: milestone.state != "cancelled")
        name = "amount_total" if self.milestone_retention_base == "total" else "amount_untaxed"
        return sum(milestones.mapped(name))

    def _get_retention_target(self, billed, contract=None):
        """Return what is retained in all when ``billed`` is billed to date, on the base of the retention.

        :param float contract: contract sum on that base; by default that of the order as it is
        """
        self.ensure_one()
        contract = self._get_retention_contract() if contract is None else contract
        at_full_rate, reduced = billed, 0.0
        if self.milestone_retention_reduced_after:
            threshold = contract * self.milestone_retention_reduced_after / 100.0
            at_full_rate, reduced = min(billed, threshold), max(billed - threshold, 0.0)
        retained = (
            at_full_rate * self.milestone_retention_percentage + reduced * self.milestone_retention_reduced_percentage
        ) / 100.0
        if self.milestone_retention_cap:
            retained = min(retained, contract * self.milestone_retention_cap / 100.0)
        return self.currency_id.round(max(retained, 0.0))

    def _get_retention_maturity(self):
        """Return the due date of what the next invoice retains, until it is released."""
        self.ensure_one()
        if self.milestone_retention_trigger == "date":
            return self.milestone_retention_date or UNRELEASED
        return UNRELEASED

    # -- what became of it ---------------------------------------------------------------------------

    def _get_retention_items(self):
        """Return the posted retention items, oldest first."""
        return self.retention_line_ids.filtered(lambda line: line.parent_state == "posted").sorted(
            lambda line: (line.date, line.move_id.id, line.id)
        )

    def _get_retention_release_date(self):
        """Return the day on which the contract releases the retention by itself, or None as long as it does not."""
        self.ensure_one()
        if self.milestone_retention_trigger == "date":
            return self.milestone_retention_date or None
        if self.milestone_retention_trigger != "milestone":
            return None
        milestones = self.milestone_retention_milestone_id or self.milestone_ids
        milestones = milestones.filtered(lambda milestone: milestone.state != "cancelled")
        if not milestones or any(milestone.state != "approved" for milestone in milestones):
            return None
        approved = max(fields.Datetime.context_timestamp(self, day) for day in milestones.mapped("approved_on"))
        return approved.date() + timedelta(days=self.milestone_retention_days)
