from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError

from .sale_milestone import AMOUNT_GROUPS


class KnownTotals(dict):
    """Tax totals of milestones, by id, that whoever made their lines knows already.

    It travels in the context, where no client can put an object of Python.
    """


class SaleMilestone(models.Model):
    """The amount of a milestone: it is that of its order lines, and makes them where there is none."""

    _inherit = "sale.milestone"

    product_id = fields.Many2one(
        "product.product",
        compute="_compute_product_id",
        store=True,
        readonly=False,
        precompute=True,
        check_company=True,
        domain=[("sale_ok", "=", True)],
        help="Product of the order line made for this milestone; taxes and income account come from it.",
    )
    order_line_ids = fields.One2many(
        "sale.order.line",
        "billing_milestone_id",
        string="Order Lines",
        domain=[("display_type", "=", False)],
        copy=False,
    )
    amount_untaxed = fields.Monetary(
        string="Untaxed Amount",
        compute="_compute_amount_untaxed",
        inverse="_inverse_amount_untaxed",
        store=True,
        readonly=False,
        copy=False,
        tracking=True,
        groups=AMOUNT_GROUPS,
    )
    amount_tax = fields.Monetary(string="Taxes", compute="_compute_taxed_amounts", store=True, groups=AMOUNT_GROUPS)
    amount_total = fields.Monetary(string="Total", compute="_compute_taxed_amounts", store=True, groups=AMOUNT_GROUPS)
    percentage = fields.Float(
        string="Share (%)",
        compute="_compute_percentage",
        compute_sudo=True,  # reviewers may not read orders
        digits=(16, 4),
        groups=AMOUNT_GROUPS,
        help="Share of the untaxed order amount, 0 to 100.",
    )

    @api.depends("order_id.company_id")
    def _compute_product_id(self):
        for company, milestones in self.grouped(lambda milestone: milestone.order_id.company_id).items():
            product = (company or self.env.company)._get_milestone_product()
            for milestone in milestones:
                milestone.product_id = milestone.product_id or product

    # Two computes on purpose: setting the untaxed amount keeps its compute from running, not that of the taxes.
    # Rounded globally, an amount depends on the other lines of the order.
    @api.depends("order_line_ids.price_subtotal", "order_id.order_line.price_total", "order_id.company_id")
    def _compute_amount_untaxed(self):
        """In an unsaved form of the order it stays: what a form computes comes back as if somebody had typed it."""
        in_form = self.filtered(lambda milestone: milestone._is_in_form())
        for milestone in in_form:
            milestone.amount_untaxed = milestone.amount_untaxed
        for milestone, totals in (self - in_form)._get_totals().items():
            milestone.amount_untaxed = totals["base_amount_currency"]

    @api.depends("order_line_ids.price_total", "order_id.order_line.price_total", "order_id.company_id")
    def _compute_taxed_amounts(self):
        for milestone, totals in self._get_totals().items():
            milestone.amount_tax = totals["tax_amount_currency"]
            milestone.amount_total = totals["total_amount_currency"]

    def _get_totals(self):
        """Return Odoo's tax totals by milestone, as its share of the order: all shares together are the order."""
        engine = self.env["account.tax"]
        totals, known, lines = {}, self._get_known_totals(), self._get_lines()
        for milestone in self:
            if fixed := known.get(milestone.id) or lines[milestone]._get_fixed_totals():
                totals[milestone] = fixed
        for order, milestones in (self - self.browse(milestone.id for milestone in totals)).grouped("order_id").items():
            company = order.company_id or self.env.company
            base_lines = order._get_rounded_base_lines() if order else {}
            for milestone in milestones:
                totals[milestone] = engine._get_tax_totals_summary(
                    base_lines=[base_lines[line] for line in lines[milestone] if line in base_lines],
                    currency=milestone.currency_id or company.currency_id,
                    company=company,
                )
        return totals

    def _is_in_form(self):
        """Whether the milestone is one of an order in a form that is not saved yet."""
        self.ensure_one()
        return bool(self.order_id) and not self.order_id.id

    def _get_lines(self):
        """Return by milestone its order lines with an amount.

        In an unsaved form by their own link, as the one back is incomplete there.
        """
        in_form = self.filtered(lambda milestone: milestone._is_in_form())
        lines = {milestone: milestone.order_line_ids for milestone in self - in_form}
        for order, milestones in in_form.grouped("order_id").items():
            priced = order.order_line.filtered(lambda line: not line.display_type and line.billing_milestone_id)
            by_milestone = priced.grouped(lambda line: line.billing_milestone_id._origin)
            lines.update({milestone: by_milestone.get(milestone._origin, priced.browse()) for milestone in milestones})
        return lines

    def _get_known_totals(self):
        known = self.env.context.get("milestone_known_totals")
        return known if isinstance(known, KnownTotals) else {}

    def _compute_known_totals(self, known):
        """Compute now what would be computed later, of what is known; of other milestones as always."""
        knowing = self.with_context(milestone_known_totals=known)
        knowing._recompute_recordset(["amount_untaxed", "amount_tax", "amount_total"])

    def _inverse_amount_untaxed(self):
        """Make the order line of a new milestone, or set the price of its only line.

        :raises UserError: when several lines share the amount
        """
        amounts = {milestone: milestone.amount_untaxed for milestone in self}
        without_line = self.filtered(lambda milestone: not milestone.order_line_ids and amounts[milestone])
        without_line._create_order_lines(amounts)
        for milestone in self - without_line:
            lines = milestone.order_line_ids
            current = sum(lines.mapped("price_subtotal"))
            if not lines or milestone.currency_id.compare_amounts(current, amounts[milestone]) == 0:
                continue
            if len(lines) > 1:
                raise UserError(
                    self.env._(
                        "The amount of %(milestone)s is the sum of %(count)s order lines: change their prices "
                        "in the order lines.",
                        milestone=milestone.name,
                        count=len(lines),
                    )
                )
            lines._set_price_subtotal(amounts[milestone])

    @api.depends("amount_untaxed", "order_id.amount_untaxed")
    def _compute_percentage(self):
        for milestone in self:
            total = milestone.order_id.amount_untaxed
            milestone.percentage = milestone.amount_untaxed / total * 100 if total else 0.0

    @api.constrains("amount_untaxed")
    def _check_amount_untaxed(self):
        for milestone in self:
            if milestone.currency_id.compare_amounts(milestone.amount_untaxed, 0.0) < 0:
                raise ValidationError(
                    self.env._(
                        "The amount of %(milestone)s is negative. A milestone is an amount that the client pays; "
                        "put the deduction into the milestone that it reduces.",
                        milestone=milestone.name,
                    )
                )

    def _get_all_lines(self):
        """Return the order lines of the milestones, their sections and notes included."""
        return self.env["sale.order.line"].search([("billing_milestone_id", "in", self.ids)])

    def _create_order_lines(self, amounts):
        """Make one order line per milestone.

        :param dict amounts: untaxed amount by milestone, in the currency of its order
        :raises UserError: when no product is known, or a price cannot express the amount
        """
        self._check_plan_open()
        for milestone in self.filtered(lambda milestone: not milestone.product_id):
            milestone.product_id = milestone.company_id._get_milestone_product()
            if not milestone.product_id:
                raise UserError(
                    self.env._(
                        "Choose a product for %(milestone)s, or a milestone product in the settings: "
                        "taxes and income account come from it.",
                        milestone=milestone.name,
                    )
                )
        lines = self.env["sale.order.line"].create(
            [
                {
                    "order_id": milestone.order_id.id,
                    "billing_milestone_id": milestone.id,
                    "product_id": milestone.product_id.id,
                    "name": milestone.name,
                    "product_uom_qty": 1.0,
                    "price_unit": amounts[milestone],
                    # 0: a price set through the ORM is otherwise reset to the pricelist's later on
                    "technical_price_unit": 0.0,
                    "discount": 0.0,
                }
                for milestone in self
            ]
        )
        for line in lines:
            line._set_price_subtotal(amounts[line.billing_milestone_id])
