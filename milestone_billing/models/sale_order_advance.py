from odoo import api, fields, models
from odoo.exceptions import UserError

from .res_company_advance import ADVANCE_POLICIES, ADVANCE_RECOVERIES, ADVANCE_TYPES
from .taxed_amount import TaxedAmount

ADVANCE_TERMS = frozenset(
    {
        "milestone_advance_type",
        "milestone_advance_percentage",
        "milestone_advance_amount",
        "milestone_advance_recovery",
        "milestone_advance_policy",
    }
)


class SaleOrder(models.Model):
    """The advance of a milestone contract: its terms, and what became of it."""

    _inherit = "sale.order"

    milestone_advance_type = fields.Selection(
        ADVANCE_TYPES,
        string="Advance",
        compute="_compute_milestone_advance",
        store=True,
        readonly=False,
        precompute=True,
    )
    milestone_advance_percentage = fields.Float(
        string="Advance (%)",
        digits=(16, 4),
        compute="_compute_milestone_advance",
        store=True,
        readonly=False,
        precompute=True,
        help="Share of the milestones that is paid in advance, 0–100.",
    )
    milestone_advance_amount = fields.Monetary(
        string="Advance Amount", help="What the client pays in advance, taxes included."
    )
    milestone_advance_recovery = fields.Selection(
        ADVANCE_RECOVERIES,
        string="Recovery",
        compute="_compute_milestone_advance",
        store=True,
        readonly=False,
        precompute=True,
        help="How the invoices of the milestones deduct the advance.",
    )
    milestone_advance_policy = fields.Selection(
        ADVANCE_POLICIES,
        string="Advance Invoice",
        compute="_compute_milestone_advance",
        store=True,
        readonly=False,
        precompute=True,
    )
    advance_invoiced = fields.Monetary(
        compute="_compute_advance_amounts",
        compute_sudo=True,
        help="Posted invoices of advances on milestones less their credit notes, taxes included.",
    )
    advance_recovered = fields.Monetary(
        compute="_compute_advance_amounts",
        compute_sudo=True,
        help="Advance deducted on the invoices of milestones, drafts included, less what credit notes gave back.",
    )
    advance_remaining = fields.Monetary(
        compute="_compute_advance_amounts", compute_sudo=True, help="Advance that is left to recover."
    )
    can_invoice_advance = fields.Boolean(compute="_compute_can_invoice_advance", compute_sudo=True)

    _milestone_advance_within_contract = models.Constraint(
        "CHECK(milestone_advance_percentage >= 0 AND milestone_advance_percentage <= 100"
        " AND milestone_advance_amount >= 0)",
        "An advance is between 0 and 100 % of the milestones.",
    )

    @api.depends("company_id")
    def _compute_milestone_advance(self):
        for order in self.filtered(lambda order: not order.milestone_contract_hash):
            company = order.company_id or self.env.company
            order.milestone_advance_type = company.milestone_advance_type
            order.milestone_advance_percentage = company.milestone_advance_percentage
            order.milestone_advance_recovery = company.milestone_advance_recovery
            order.milestone_advance_policy = company.milestone_advance_policy

    @api.depends(
        "order_line.is_milestone_advance",
        "order_line.invoice_lines.parent_state",
        "order_line.invoice_lines.price_total",
    )
    def _compute_advance_amounts(self):
        for order in self:
            lines = order.order_line.filtered("is_milestone_advance").invoice_lines
            asked = lines.filtered(lambda line: not line.advance_milestone_id and line.parent_state == "posted")
            recovered = lines.filtered("advance_milestone_id").filtered(
                lambda line: (
                    line.parent_state == "posted" or (line.parent_state == "draft" and line.move_type == "out_invoice")
                )
            )
            order.advance_invoiced = -asked._get_recovered_amount()
            order.advance_recovered = recovered._get_recovered_amount()
            order.advance_remaining = order.advance_invoiced - order.advance_recovered

    @api.depends("state", "milestone_advance_type", "order_line.is_milestone_advance", "order_line.qty_invoiced")
    def _compute_can_invoice_advance(self):
        for order in self:
            order.can_invoice_advance = not order._get_advance_obstacle()

    def write(self, vals):
        self._check_advance_terms(vals)
        return super().write(vals)

    def _check_advance_terms(self, vals):
        """:raises UserError: when ``vals`` changes the advance of a contract that is agreed"""
        names = ADVANCE_TERMS.intersection(vals)
        for order in self.filtered(lambda order: order.milestone_ids._is_agreed()) if names else ():
            changed = [name for name in names if order._is_term_changed(name, vals[name])]
            if changed:
                further = self.env._("A further advance can be invoiced as a down payment.")
                order._refuse_change_of_terms(changed, further)

    def _is_term_changed(self, name, value):
        self.ensure_one()
        field = self._fields[name]
        return field.convert_to_cache(value, self) != field.convert_to_cache(self[name], self)

    # -- contract -----------------------------------------------------------------------------------------

    def _has_advance_term(self):
        self.ensure_one()
        return bool(self.milestone_ids) and self.milestone_advance_type in ("percentage", "amount")

    def _get_advance_amount(self):
        """Return the agreed advance, taxes included; 0.0 without one."""
        self.ensure_one()
        if not self._has_advance_term():
            return 0.0
        if self.milestone_advance_type == "percentage":
            return self._get_share_of_milestones(self.milestone_advance_percentage)
        return self.milestone_advance_amount

    def _get_share_of_milestones(self, percentage):
        """Return so much of the milestones, taxes included; ``percentage`` is 0–100."""
        live = self.milestone_ids.filtered(lambda milestone: milestone.state != "cancelled")
        return self.currency_id.round(sum(live.mapped("amount_total")) * percentage / 100)

    def _get_plan_error(self):
        return super()._get_plan_error() or self._get_advance_error()

    def _get_advance_error(self):
        """Return why the advance cannot be agreed on as it is, or False."""
        self.ensure_one()
        if not self._has_advance_term():
            return False
        is_percentage = self.milestone_advance_type == "percentage"
        value = self.milestone_advance_percentage if is_percentage else self.milestone_advance_amount
        if not value:
            return self.env._("Say how much is paid in advance, or choose that there is no advance.")
        planned = sum(self._get_unbilled_milestones().mapped("amount_total"))
        if not is_percentage and self.currency_id.compare_amounts(value, planned) > 0:
            return self.env._(
                "The advance of %(amount)s is more than the milestones, which come to %(planned)s.",
                amount=self.currency_id.format(value),
                planned=self.currency_id.format(planned),
            )
        return False

    def _prepare_contract_values(self):
        values = super()._prepare_contract_values()
        if self._has_advance_term():
            is_percentage = self.milestone_advance_type == "percentage"
            values["advance"] = {
                "type": self.milestone_advance_type,
                "value": f"{self.milestone_advance_percentage:.4f}"
                if is_percentage
                else f"{self.milestone_advance_amount:.{self.currency_id.decimal_places}f}",
                "recovery": self.milestone_advance_recovery,
            }
        return values

    def _action_confirm(self):
        result = super()._action_confirm()
        self.filtered(
            lambda order: order._has_advance_term() and order.milestone_advance_policy == "automatic"
        )._queue_advance()
        return result

    # -- the advance invoice ------------------------------------------------------------------------------

    def action_invoice_advance(self):
        """Invoice the advance that the contract agrees on, by Odoo's down payment lines.

        :return: the action that shows the invoices
        :raises AccessError: without invoicing rights
        :raises UserError: when the order is not confirmed, has no such term, or its advance is invoiced already
        """
        self.milestone_ids.browse()._check_invoicing()
        self.check_access("read")
        for order in self:
            if obstacle := order.sudo()._get_advance_obstacle():
                raise UserError(obstacle)
        invoices = self.env["account.move"]
        for order in self.sudo():
            invoices |= order._make_advance_invoice()
        return self.action_view_invoice(invoices=invoices.with_env(self.env))

    def _get_advance_obstacle(self):
        """Return why the agreed advance cannot be invoiced now, or an empty string."""
        self.ensure_one()
        if self.state != "sale":
            return self.env._("%(order)s is not confirmed: an advance is invoiced after that.", order=self.name)
        if not self._has_advance_term():
            return self.env._("No advance is agreed on for %(order)s.", order=self.name)
        for line in self.order_line.filtered("is_milestone_advance"):
            bills = line._get_advance_bills().filtered(lambda bill: bill.parent_state != "cancel")
            asked = -bills._get_recovered_amount(untaxed=True)
            if not self.currency_id.is_zero(asked):
                return self.env._("The advance of %(order)s is invoiced already.", order=self.name)
        return ""

    def _make_advance_invoice(self):
        """Make the invoice that the contract agrees on, and post and send it by the policy of the milestones."""
        self.ensure_one()
        self.lock_for_update(allow_referencing=True)
        order = self.company_id._localize(self)
        if self.milestone_advance_type == "percentage":
            invoice = order._create_advance_invoice(percentage=self.milestone_advance_percentage)
        else:
            invoice = order._create_advance_invoice(amount=self.milestone_advance_amount)
        if self.milestone_invoice_policy in ("post", "send"):
            invoice.action_post()
        if self.milestone_invoice_policy == "send":
            invoice._queue_milestone_sending()
        self._leave_advance_queue()
        return invoice

    def _create_advance_invoice(self, percentage=None, amount=None):
        """Create a draft advance invoice on what is not billed yet of the milestones.

        :param float percentage: of the milestone plan, 0–100
        :param float amount: taxes included, in the currency of the order
        :return: the invoice, in superuser mode
        :raises UserError: naming the largest amount that can be asked for
        """
        self.ensure_one()
        order = self.sudo().with_company(self.company_id)
        base_lines = order._prepare_advance_base_lines(percentage, amount)
        order._create_down_payment_section_line_if_needed()
        lines = order._create_down_payment_lines_from_base_lines(base_lines)
        lines._write_past_guard({"is_milestone_advance": True})
        invoice = self.env["account.move"].sudo().create(order._prepare_advance_invoice(base_lines, lines, percentage))
        order._check_advance_within_plan()
        invoice.message_post_with_source(
            "mail.message_origin_link",
            render_values={"self": invoice, "origin": order},
            subtype_xmlid="mail.mt_note",
        )
        return invoice

    def _prepare_advance_base_lines(self, percentage, amount):
        """Return base lines of Odoo's tax engine, one per set of taxes: a share of what is left to ask for.

        Odoo's own distribution of a down payment moves a cent of a tax from one set of taxes to
        another, more than a milestone bills of it. Shares of the unbilled amounts, component by
        component, never exceed them; neither do several advances together.
        """
        self.ensure_one()
        room = self._get_advance_room()
        total = self.currency_id.round(sum(part.total for part in room.values()))
        if amount is None:
            amount = self._get_share_of_milestones(percentage)
            if self.currency_id.compare_amounts(amount - self.currency_id.rounding, total) == 0:
                amount = total  # twice 50 % of an odd cent
        if not room or self.currency_id.compare_amounts(amount, total) > 0:
            self._refuse_advance()
        rounded = self._get_rounded_base_lines()
        milestones = self._get_unbilled_milestones()
        base_lines = self.env["account.tax"]._prepare_down_payment_lines(
            [base_line for line, base_line in rounded.items() if line.billing_milestone_id in milestones],
            self.company_id,
            "percent",
            100.0,
            computation_key=f"milestone_advance,{self.id}.{len(self.order_line)}",
        )
        parts = self._share_advance_room(room, amount, total)
        result = []
        for base_line in base_lines:
            taxes = base_line["tax_ids"].flatten_taxes_hierarchy()
            part = parts.get(frozenset(taxes.ids), TaxedAmount())
            if not self.currency_id.is_zero(part.untaxed):
                result.append(self._fix_advance_base_line(base_line, taxes, part))
        return result

    def _share_advance_room(self, room, amount, total):
        """Divide ``amount`` among the sets of taxes like ``total``, the sum of their room."""
        currency = self.currency_id
        share, whole = TaxedAmount(untaxed=amount), TaxedAmount(untaxed=total)
        parts = {key: part.share(share, whole, currency) for key, part in room.items()}
        rest = amount - sum(part.total for part in parts.values())
        most = max(parts, key=lambda key: room[key].untaxed - parts[key].untaxed)
        for key, value in room[most].items():
            if key == "untaxed" or (key[-1] == "base" and currency.compare_amounts(value, room[most].untaxed) == 0):
                parts[most][key] += rest
        return {key: part.rounded(currency) for key, part in parts.items()}

    @api.model
    def _fix_advance_base_line(self, base_line, taxes, part):
        included = taxes.filtered("price_include")
        return {
            **base_line,
            "price_unit": part.untaxed + sum(part.get((tax.id, "tax"), 0.0) for tax in included),
            "manual_total_excluded_currency": part.untaxed,
            "manual_total_excluded": None,
            "manual_tax_amounts": self.env["account.tax"]._prepare_manual_tax_amounts(
                base_line["tax_ids"],
                {
                    str(tax.id): {
                        "tax_amount_currency": part.get((tax.id, "tax"), 0.0),
                        "base_amount_currency": part.get((tax.id, "base"), 0.0),
                    }
                    for tax in taxes
                },
            ),
        }

    def _prepare_advance_invoice(self, base_lines, lines, percentage):
        """Return the values of Odoo's own down payment invoice for these lines."""
        wizard = self.env["sale.advance.payment.inv"].new(
            {
                "sale_order_ids": self.ids,
                "advance_payment_method": "fixed" if percentage is None else "percentage",
                "amount": percentage or 0.0,
            }
        )
        accounts = [
            base_line["account_id"] or wizard._get_down_payment_account(base_line["product_id"])
            for base_line in base_lines
        ]
        return wizard.with_context(accounts=accounts)._prepare_down_payment_invoice_values(self, lines)

    def _check_advance_within_plan(self):
        """:raises UserError: when more is asked in advance than the milestones still bill, in a set of taxes"""
        for order in self:
            if any(
                order.currency_id.compare_amounts(part.untaxed, 0.0) < 0 for part in order._get_advance_room().values()
            ):
                order._refuse_advance()

    def _refuse_advance(self):
        self.ensure_one()
        weights = self._get_unbilled_weights()
        unbilled = sum(amount.total for by_key in weights.values() for amount in by_key.values())
        raise UserError(
            self.env._(
                "An advance on %(order)s cannot exceed what its milestones still bill: %(unbilled)s, less the "
                "advances that they have to recover. Ask for a smaller amount.",
                order=self.name,
                unbilled=self.currency_id.format(unbilled),
            )
        )
