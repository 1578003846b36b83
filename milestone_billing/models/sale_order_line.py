from odoo import api, fields, models
from odoo.exceptions import UserError

from .agreed_change import Rearrangement

# What a confirmed milestone is worth and consists of.
FROZEN_FIELDS = frozenset(
    {
        "order_id",
        "billing_milestone_id",
        "display_type",
        "is_downpayment",
        "product_id",
        "product_uom_id",
        "product_uom_qty",
        "price_unit",
        "technical_price_unit",
        "discount",
        "tax_ids",
        "currency_id",
        "extra_tax_data",
        "qty_delivered",
        "qty_invoiced",
        "price_subtotal",
        "price_tax",
        "price_total",
        "invoice_lines",
        # what decides whether and how it is billed, and whether it is part of what was signed
        "state",
        "invoice_status",
        "untaxed_amount_invoiced",
        "untaxed_amount_to_invoice",
        "amount_invoiced",
        "amount_to_invoice",
        "qty_delivered_method",
        "is_expense",
        "is_optional",
        "linked_line_id",
        "milestone_source_id",
        "milestone_source_values",
        "retention_source_id",
        "retention_values",
    }
)


class SaleOrderLine(models.Model):
    """The gate: lines of a billing milestone are invoiceable once it is approved, and wholly then."""

    _inherit = "sale.order.line"

    billing_milestone_id = fields.Many2one(
        "sale.milestone",
        string="Milestone",
        index="btree_not_null",
        ondelete="restrict",
        copy=False,
        domain="[('order_id', '=', order_id)]",
        help="The line is invoiced when this milestone is approved.",
    )

    @api.constrains("billing_milestone_id", "order_id")
    def _check_billing_milestone(self):
        for line in self.filtered("billing_milestone_id"):
            if line.billing_milestone_id.order_id != line.order_id:
                line.billing_milestone_id.sudo(False).check_access("read")
                raise UserError(
                    self.env._(
                        "%(milestone)s belongs to another order.", milestone=line.billing_milestone_id.display_name
                    )
                )
            if line.is_downpayment:
                raise UserError(self.env._("A down payment belongs to no milestone."))

    @api.model_create_multi
    def create(self, vals_list):
        lines = super().create(vals_list)
        gated = lines.filtered(lambda line: line.billing_milestone_id and not line.display_type)
        gated.billing_milestone_id._check_plan_open()
        lines._take_combo_items_along()
        if not self._get_known_share_values():  # a division arranges its lines when all of them are there
            lines.order_id._arrange_milestone_lines()
        return lines

    def write(self, vals):
        if "qty_to_invoice" in vals and (gated := self.filtered("billing_milestone_id")):
            # written by whoever counts what to invoice; at the gate nobody counts but the gate
            super(SaleOrderLine, self - gated).write({"qty_to_invoice": vals["qty_to_invoice"]})
            vals = {name: value for name, value in vals.items() if name != "qty_to_invoice"}
        self._check_frozen(vals)
        if "billing_milestone_id" in vals:
            return self._write_milestone(vals)
        result = super().write(vals)
        if "sequence" in vals:
            self.order_id._arrange_milestone_lines()
        return result

    def _write_milestone(self, vals):
        """Put the lines under a milestone, or take them out: combos with their items, and each to where it stands."""
        before = {line: line.billing_milestone_id for line in self | self.linked_line_ids}
        result = super().write(vals)
        self._take_combo_items_along()
        moved = [line.id for line, milestone in before.items() if line.billing_milestone_id != milestone]
        self.order_id._arrange_milestone_lines(self.browse(moved if "sequence" not in vals else []))
        return result

    def _take_combo_items_along(self):
        """The items of a combo are part of it, and belong to its milestone."""
        for item in Rearrangement.mark(self | self.linked_line_ids).filtered("combo_item_id"):
            milestone = item._get_linked_line().billing_milestone_id
            if item.billing_milestone_id != milestone:
                item.billing_milestone_id = milestone

    @api.ondelete(at_uninstall=False)
    def _unlink_except_agreed(self):
        self.billing_milestone_id._check_plan_open()

    def unlink(self):
        orders = self.order_id.filtered("milestone_ids")
        result = super().unlink()
        orders._arrange_milestone_lines()
        return result

    def _check_frozen(self, vals):
        """:raises UserError: when ``vals`` changes the amount or the membership of an agreed milestone line"""
        names = FROZEN_FIELDS.intersection(vals)
        if not names:
            return
        joins = self.env["sale.milestone"].browse(vals.get("billing_milestone_id") or [])
        for line in self:
            milestones = line.billing_milestone_id | joins
            if milestones._is_agreed() and any(line._is_changed_by(name, vals[name]) for name in names):
                milestones._check_plan_open()

    def _is_changed_by(self, name, value):
        self.ensure_one()
        record = self.new({name: value}, origin=self)
        return (
            record[name] != self[name]
            if not self._fields[name].relational
            else (
                record[name]._origin != self[name]
                if self._fields[name].type == "many2one"
                else set(record[name]._origin.ids) != set(self[name].ids)
            )
        )

    def _write_past_guard(self, vals):
        """Write what follows from the agreement itself: no guard, no arranging."""
        return super().write(vals)

    # -- the gate -----------------------------------------------------------------------------------

    @api.depends(
        "billing_milestone_id.state",
        "billing_milestone_id.on_hold",
        "billing_milestone_id.billing_round",
        "billing_milestone_id.invoice_line_ids.parent_state",
        "billing_milestone_id.invoice_line_ids.amount_currency",
    )
    def _compute_qty_to_invoice(self):
        super()._compute_qty_to_invoice()
        for line in self:
            if line.billing_milestone_id and not line.display_type:
                line.qty_to_invoice = line._get_milestone_qty_to_invoice()

    def _get_milestone_qty_to_invoice(self):
        """Return the whole quantity when the gate is open and nothing bills it, else 0.

        After a credit note, and the decision to bill again, it is the quantity that was credited, or
        the ordered one after a credit by price alone (see ``_prepare_invoice_line``).
        """
        self.ensure_one()
        milestone = self.billing_milestone_id
        if self.state != "sale" or not milestone._is_gate_open() or milestone._get_current_bills():
            return 0.0
        if milestone.billing_round == 1:
            return self.product_uom_qty
        if self.currency_id.is_zero(self._get_unbilled_subtotal()):
            return 0.0
        quantity = self.product_uom_qty - self.qty_invoiced
        return quantity if quantity * self.product_uom_qty > 0 else self.product_uom_qty

    def _get_unbilled_subtotal(self):
        """Return the untaxed amount of the line less its live invoices plus its posted credit notes."""
        self.ensure_one()
        return self.price_subtotal - self._get_billed_lines()._get_billed_amount()

    def _get_billed_lines(self):
        """Return the live invoice lines, and those of credit notes once they are posted."""
        self.ensure_one()
        return self.invoice_lines.filtered(
            lambda line: line.parent_state == "posted" or (line.parent_state == "draft" and line._is_milestone_bill())
        )

    @api.depends("billing_milestone_id.state")
    def _compute_qty_delivered(self):
        super()._compute_qty_delivered()

    def _prepare_qty_delivered(self):
        """An approved milestone is delivered; goods, hours and expenses keep their own evidence of delivery."""
        gated = self.filtered(
            lambda line: (
                line.billing_milestone_id
                and not line.display_type
                and line.qty_delivered_method in ("manual", "milestones")
            )
        )
        delivered = super(SaleOrderLine, self - gated)._prepare_qty_delivered()
        for line in gated:
            delivered[line] = line.product_uom_qty if line._is_milestone_approved() else 0.0
        return delivered

    def _is_milestone_approved(self):
        """Whether the milestone is approved, or was at the date of an accrual."""
        self.ensure_one()
        milestone = self.billing_milestone_id
        if milestone.state != "approved":
            return False
        accrual_date = self.env.context.get("accrual_entry_date")
        if not accrual_date or not milestone.approved_on:
            return True
        return milestone.approved_on.date() <= fields.Date.to_date(accrual_date)

    @api.depends(
        "billing_milestone_id.state",
        "billing_milestone_id.amount_untaxed",
        "qty_to_invoice",
        "invoice_lines.parent_state",
        "invoice_lines.amount_currency",
    )
    def _compute_invoice_status(self):
        """Odoo offers more than was ordered, and counts quantities only, none of them below nothing."""
        super()._compute_invoice_status()
        for line in self:
            if line.state != "sale" or line.display_type or not line.billing_milestone_id:
                continue
            if line.invoice_status in ("no", "upselling") or (
                line.invoice_status == "invoiced" and line.product_uom_qty < 0
            ):
                line.invoice_status = "invoiced" if line._is_invoiced() else "no"

    def _is_invoiced(self):
        """Whether documents bill the whole quantity, or the whole amount in whatever quantity.

        What is credited of a line may be made up for by another one of the milestone, as by its reduction. A milestone
        that a change reduced to nothing is invoiced once something posted bills it: at nothing.
        """
        self.ensure_one()
        direction = -1 if self.product_uom_qty < 0 else 1
        if self.product_uom_id.compare(direction * self.qty_invoiced, direction * self.product_uom_qty) >= 0:
            return True
        milestone = self.billing_milestone_id
        posted = milestone._get_posted_invoice_lines()
        is_billed = milestone.currency_id.compare_amounts(posted._get_billed_amount(), milestone.amount_untaxed) == 0
        if milestone.currency_id.is_zero(milestone.amount_untaxed):
            return bool(posted) and is_billed
        if is_billed and self.invoice_lines & posted:
            return True
        unbilled = self.currency_id.round(direction * self._get_unbilled_subtotal())
        return unbilled <= 0 and not self.currency_id.is_zero(self.price_subtotal)

    @api.depends("invoice_lines.amount_currency")
    def _compute_untaxed_amount_invoiced(self):
        """What is billed is what the ledger says: subtotals of edited documents may be a cent off."""
        super()._compute_untaxed_amount_invoiced()
        for line in self.filtered(lambda line: line._is_billed_by_ledger()):
            posted = line.invoice_lines.filtered(lambda invoice_line: invoice_line.parent_state == "posted")
            line.untaxed_amount_invoiced = posted._get_billed_amount()

    def _is_billed_by_ledger(self):
        """Whether all that bills the line is in its currency, and counted by its journal items."""
        self.ensure_one()
        return bool(self.billing_milestone_id) and not self.display_type

    @api.depends(
        "billing_milestone_id.state",
        "billing_milestone_id.on_hold",
        "billing_milestone_id.billing_round",
        "billing_milestone_id.invoice_line_ids.parent_state",
        "billing_milestone_id.invoice_line_ids.amount_currency",
        "price_subtotal",
    )
    def _compute_untaxed_amount_to_invoice(self):
        super()._compute_untaxed_amount_to_invoice()
        for line in self:
            if line.billing_milestone_id and not line.display_type:
                posted = line.invoice_lines.filtered(lambda invoice_line: invoice_line.parent_state == "posted")
                line.untaxed_amount_to_invoice = line._get_due(line.price_subtotal - posted._get_billed_amount())

    @api.depends(
        "billing_milestone_id.state",
        "billing_milestone_id.on_hold",
        "billing_milestone_id.billing_round",
        "billing_milestone_id.invoice_line_ids.parent_state",
        "untaxed_amount_to_invoice",
    )
    def _compute_amount_to_invoice(self):
        super()._compute_amount_to_invoice()
        for line in self:
            if line.billing_milestone_id and not line.display_type:
                # Odoo shows the taxes of a line rounded by itself, also where its document rounds them together
                is_billed = line.price_subtotal and line.currency_id.is_zero(line.untaxed_amount_to_invoice)
                line.amount_to_invoice = 0.0 if is_billed else line._get_due(line._get_unbilled_total())

    def _get_due(self, amount):
        """Return ``amount`` while the gate is open and the present billing is not posted, else 0."""
        self.ensure_one()
        milestone = self.billing_milestone_id
        if self.state != "sale" or not milestone._is_gate_open():
            return 0.0
        bills = milestone._get_current_bills()
        return amount if not bills or "draft" in bills.mapped("parent_state") else 0.0

    def _prepare_invoice_line(self, **optional_values):
        """Bill again exactly what was credited, whether by quantity or by price."""
        values = super()._prepare_invoice_line(**optional_values)
        milestone = self.billing_milestone_id
        if not milestone or milestone.billing_round == 1 or not (self.price_subtotal and values.get("quantity")):
            return values
        share = self._get_unbilled_subtotal() / self.price_subtotal * self.product_uom_qty / values["quantity"]
        values["price_unit"] = self.price_unit * share
        values["extra_tax_data"] = self._get_unbilled_tax_data(values["quantity"], values["price_unit"])
        return values

    def _handle_milestones(self, project):
        """Lines of billing milestones get their project milestones from the plan."""
        if self.billing_milestone_id:
            return None
        return super()._handle_milestones(project)

    def _compute_tax_ids(self):
        """ "Update taxes" leaves agreed milestones, as "Update prices" does."""
        agreed = self.filtered(lambda line: line._origin and line.billing_milestone_id._is_agreed())
        return super(SaleOrderLine, self - agreed)._compute_tax_ids()

    # -- prices ---------------------------------------------------------------------------------------

    def _set_price_subtotal(self, amount):
        """Set the unit price so that the untaxed amount is ``amount``, whatever taxes are included.

        :param float amount: in the currency of the order
        :raises UserError: when no price gives exactly that amount
        """
        self.ensure_one()
        amount = self.currency_id.round(amount)
        if self.currency_id.compare_amounts(self.price_subtotal, amount) == 0:
            return
        gross = self._add_included_taxes(amount)
        share = self.product_uom_qty * (1 - (self.discount or 0.0) / 100)
        if not share:
            raise UserError(
                self.env._("%(line)s has no quantity, or a discount of 100 %%: set its price by hand.", line=self.name)
            )
        self.write({"price_unit": gross / share, "technical_price_unit": 0.0})
        if self.currency_id.compare_amounts(self.price_subtotal, amount) != 0:
            raise UserError(
                self.env._(
                    "%(amount)s cannot be expressed as a price of %(line)s with its taxes included. "
                    "The nearest untaxed amount is %(nearest)s.",
                    amount=self.currency_id.format(amount),
                    line=self.name,
                    nearest=self.currency_id.format(self.price_subtotal),
                )
            )

    def _add_included_taxes(self, amount, taxes=None):
        """Return ``amount`` plus the taxes that are part of the price, by default those of the line."""
        company = self.company_id
        details = (self.tax_ids if taxes is None else taxes)._get_tax_details(
            amount,
            1.0,
            precision_rounding=self.currency_id.rounding,
            rounding_method=company.tax_calculation_rounding_method,
            product=self.product_id,
            special_mode="total_excluded",
        )
        return amount + sum(data["tax_amount"] for data in details["taxes_data"] if data["tax"].price_include)
