from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError

CAP_ACTIVITY = "milestone_billing.mail_activity_milestone_cap"


class SaleOrder(models.Model):
    """Cap (not to exceed) of orders that mix milestones with time and material.

    Amounts are untaxed and in the currency of the order. The cap is checked where bills come about
    and where they are posted; the row of the order is written then, so that two users cannot each
    bill what is left.
    """

    _inherit = "sale.order"

    milestone_cap_amount = fields.Monetary(
        string="Not to Exceed",
        tracking=True,
        help="Untaxed amount beyond which nothing of this order is invoiced, milestones and all other lines together. "
        "0 for no cap.",
    )
    milestone_cap_warning = fields.Float(
        string="Warn At (%)",
        compute="_compute_milestone_cap_warning",
        store=True,
        readonly=False,
        precompute=True,
        groups="base.group_user",
        help="Share of the cap, 0 to 100, from which on the salesperson and the project manager are warned.",
    )
    milestone_cap_used = fields.Monetary(
        string="Billed of the Cap",
        compute="_compute_milestone_cap_used",
        compute_sudo=True,
        groups="base.group_user",
        help="Untaxed amount of invoices, drafts included, less posted credit notes.",
    )
    milestone_cap_remaining = fields.Monetary(
        string="Left of the Cap",
        compute="_compute_milestone_cap_used",
        compute_sudo=True,
        groups="base.group_user",
    )
    milestone_cap_share = fields.Float(
        string="Billed of the Cap (%)",
        compute="_compute_milestone_cap_used",
        compute_sudo=True,
        digits=(16, 2),
        groups="base.group_user",
    )
    milestone_cap_is_near = fields.Boolean(
        string="Cap Nearly Reached", compute="_compute_milestone_cap_used", compute_sudo=True, groups="base.group_user"
    )
    milestone_cap_warned = fields.Boolean(readonly=True, copy=False, groups="base.group_system")

    _milestone_cap_positive = models.Constraint(
        "CHECK(milestone_cap_amount >= 0)", "A cap is an amount above 0, or 0 for no cap."
    )
    _milestone_cap_warning_percent = models.Constraint(
        "CHECK(milestone_cap_warning > 0 AND milestone_cap_warning <= 100)",
        "The warning of a cap comes at more than 0 and at most 100 percent.",
    )

    @api.depends("company_id")
    def _compute_milestone_cap_warning(self):
        for order in self.filtered(lambda order: not order.milestone_contract_hash):
            order.milestone_cap_warning = (order.company_id or self.env.company).milestone_cap_warning

    @api.depends(
        "milestone_cap_amount",
        "milestone_cap_warning",
        "order_line.invoice_lines.move_id.state",
        "order_line.invoice_lines.move_id.line_ids.amount_currency",
    )
    def _compute_milestone_cap_used(self):
        for order in self:
            cap = order.milestone_cap_amount
            used = order._get_cap_billed() if cap else 0.0
            order.milestone_cap_used = used
            order.milestone_cap_remaining = cap - used if cap else 0.0
            order.milestone_cap_share = used / cap * 100 if cap else 0.0
            threshold = cap * order.milestone_cap_warning / 100
            order.milestone_cap_is_near = bool(cap) and order.currency_id.compare_amounts(used, threshold) >= 0

    @api.constrains("milestone_cap_amount", "state")
    def _check_milestone_cap_beyond_billed(self):
        for order in self.sudo().filtered("milestone_cap_amount"):
            if order.currency_id.compare_amounts(order._get_cap_billed(), order.milestone_cap_amount) > 0:
                raise ValidationError(
                    self.env._(
                        "%(order)s cannot be capped at %(cap)s: %(billed)s are billed already.",
                        order=order.name,
                        cap=order.currency_id.format(order.milestone_cap_amount),
                        billed=order.currency_id.format(order._get_cap_billed()),
                    )
                )

    def write(self, vals):
        if "milestone_cap_amount" in vals:
            self._check_cap_frozen(vals["milestone_cap_amount"])
        return super().write(vals)

    def _check_cap_frozen(self, amount):
        """:raises UserError: when ``amount`` is another cap than the one agreed on"""
        for order in self.filtered(lambda order: order.state == "sale" or order.milestone_ids._is_agreed()):
            if order.currency_id.compare_amounts(order.milestone_cap_amount, amount or 0.0) != 0:
                raise UserError(
                    self.env._(
                        "The cap of %(order)s is agreed with the client and cannot change any more. "
                        "Agree on a new contract.",
                        order=order.name,
                    )
                )

    def _get_plan_error(self):
        error = super()._get_plan_error()
        cap, planned = self.milestone_cap_amount, self.milestone_planned_amount
        if not error and cap and self.currency_id.compare_amounts(planned, cap) > 0:
            return self.env._(
                "The milestones of %(order)s come to %(planned)s and its cap is %(cap)s: "
                "raise the cap by %(excess)s, or plan less.",
                order=self.name,
                planned=self.currency_id.format(planned),
                cap=self.currency_id.format(cap),
                excess=self.currency_id.format(planned - cap),
            )
        return error

    def _prepare_contract_values(self):
        values = super()._prepare_contract_values()
        if self.milestone_cap_amount:
            digits = self.currency_id.decimal_places
            values["cap"] = f"{self.milestone_cap_amount:.{digits}f}"
        return values

    # -- what is billed ---------------------------------------------------------------------------------

    def _get_cap_billed(self, moves=None, drafts=True):
        """Return what is billed of the order, untaxed, in its currency.

        Advances are lines of the order that later invoices deduct, so that each amount counts once.
        Draft credit notes do not count: they may never be posted.

        :param moves: count only these invoices and credit notes
        :param bool drafts: count draft invoices as well
        """
        self.ensure_one()
        states = ("posted", "draft") if drafts else ("posted",)
        lines = self._get_cap_lines().filtered(
            lambda line: (
                (moves is None or line.move_id in moves)
                and (line.parent_state == "posted" or (line.parent_state in states and line._is_milestone_bill()))
            )
        )
        return self.currency_id.round(sum(self._convert_for_cap(line) for line in lines))

    def _get_cap_lines(self):
        """Return the invoice lines of the order, and those that somebody typed on an invoice of this order alone."""
        self.ensure_one()
        linked = self.order_line.invoice_lines
        own = linked.move_id.filtered(lambda move: move.line_ids.sale_line_ids.order_id == self)
        typed = own.invoice_line_ids.filtered(lambda line: not line.sale_line_ids)
        return (linked | typed).filtered(lambda line: line.display_type == "product")

    def _convert_for_cap(self, line):
        amount = -line.amount_currency
        if line.currency_id == self.currency_id:
            return amount
        date = line.move_id.invoice_date or fields.Date.context_today(self)
        return line.currency_id._convert(amount, self.currency_id, self.company_id, date)

    # -- the check ------------------------------------------------------------------------------------

    def _check_cap(self, moves, drafts=False):
        """Refuse bills beyond the cap, and warn when it is near.

        :param moves: the invoices that come about, or are posted, now
        :param bool drafts: whether other drafts count; they do where bills are made, not where they are posted
        :raises UserError: naming cap, billed, this invoice and what is left
        """
        capped = self.sudo().filtered("milestone_cap_amount")
        capped._touch()
        for order in capped:
            billed = order._get_cap_billed(drafts=drafts)
            if order.currency_id.compare_amounts(billed, order.milestone_cap_amount) > 0:
                raise UserError(order._get_cap_refusal(moves.sudo(), billed))
        capped._warn_of_cap()

    def _get_cap_refusal(self, moves, billed):
        self.ensure_one()
        currency, cap = self.currency_id, self.milestone_cap_amount
        this = self._get_cap_billed(moves=moves)
        before = billed - this
        if currency.compare_amounts(this, 0.0) <= 0:
            return self.env._(
                "%(order)s has a cap of %(cap)s, and %(billed)s would be billed of it without this credit note. "
                "Credit what was billed on the strength of it first.",
                order=self.name,
                cap=currency.format(cap),
                billed=currency.format(billed),
            )
        refusal = self.env._(
            "%(order)s is not to exceed %(cap)s, untaxed. Billed before: %(before)s. This invoice: %(this)s. "
            "What is left: %(left)s.",
            order=self.name,
            cap=currency.format(cap),
            before=currency.format(before),
            this=currency.format(this),
            left=currency.format(max(cap - before, 0.0)),
        )
        return f"{refusal}\n{self._get_cap_way_out(moves)}"

    def _get_cap_way_out(self, moves):
        """Return what can be done about a refusal: of a milestone that is refused there is no draft to be lowered."""
        self.ensure_one()
        drafts = moves.filtered(lambda move: move.state == "draft")
        if self in drafts.line_ids.billing_milestone_id.order_id:
            return self.env._(
                "A milestone is billed whole: a change request has to bring it down to what is left. "
                "Agree with the client on a new contract for the rest."
            )
        return self.env._("Bill at most what is left, or agree with the client on a new contract for the rest.")

    # -- the warning ---------------------------------------------------------------------------------

    def _warn_of_cap(self):
        """Tell the salesperson and the project manager once, until the billed amount falls below again."""
        for order in self.sudo().filtered(lambda order: order.milestone_cap_is_near != order.milestone_cap_warned):
            order.milestone_cap_warned = order.milestone_cap_is_near
            if order.milestone_cap_is_near:
                managers = order.milestone_ids.project_id.user_id | order.project_id.user_id
                for user in (order.user_id | managers).filtered("active"):
                    order._schedule_cap_warning(user)

    def _schedule_cap_warning(self, user):
        """Warn on the order, or on a milestone of it for a project manager who may not read orders."""
        self.ensure_one()
        documents = [self, *self.milestone_ids.sorted("sequence")]
        document = next((doc for doc in documents if doc.with_user(user).has_access("read")), None)
        if document is not None:
            summary = self.env._("%(order)s nears its cap", order=self.name)
            document.activity_schedule(CAP_ACTIVITY, user_id=user.id, summary=summary, note=self._get_cap_note())

    def _get_cap_note(self):
        self.ensure_one()
        return self.env._(
            "%(order)s: %(billed)s of at most %(cap)s are billed; %(left)s is left.",
            order=self.name,
            billed=self.currency_id.format(self.milestone_cap_used),
            cap=self.currency_id.format(self.milestone_cap_amount),
            left=self.currency_id.format(self.milestone_cap_remaining),
        )

    def _create_account_invoices(self, invoice_vals_list, final):
        moves = super()._create_account_invoices(invoice_vals_list, final)
        moves._check_caps(drafts=True)
        return moves
