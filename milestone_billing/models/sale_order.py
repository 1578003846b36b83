from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tools import SQL

from .agreed_change import OrderTransition
from .res_company import INVOICE_POLICIES

# What follows from the lines, and what the ledger is converted with: nobody writes it on an order with milestones.
AMOUNT_FIELDS = frozenset({"amount_untaxed", "amount_tax", "amount_total", "currency_rate"})
# Terms of a confirmed milestone contract, and who they were agreed with.
FROZEN_FIELDS = frozenset({"partner_id", "company_id", "currency_id", "pricelist_id"})
POLICY_FIELDS = frozenset(
    {
        "milestone_internal_review",
        "milestone_client_approval",
        "milestone_approval_rule",
        "milestone_approver_ids",
        "milestone_review_days",
        "milestone_invoice_policy",
        "milestone_invoice_schedule",
        "milestone_invoice_weekday",
        "milestone_invoice_month_day",
    }
)


class SaleOrder(models.Model):
    _inherit = "sale.order"

    # set by the methods of the addon only, see _write_protected
    _protected_fields = frozenset({"milestone_contract", "milestone_contract_hash"})

    milestone_ids = fields.One2many("sale.milestone", "order_id", string="Milestones", copy=True)
    billing_milestone_count = fields.Integer(compute="_compute_billing_milestone_count")
    milestone_planned_amount = fields.Monetary(
        string="Planned", compute="_compute_milestone_amounts", help="Untaxed amount of all milestones."
    )
    milestone_unplanned_amount = fields.Monetary(
        string="Not Planned Yet",
        compute="_compute_milestone_amounts",
        help="Untaxed amount of order lines that belong to no milestone; they are invoiced as usual.",
    )

    milestone_internal_review = fields.Boolean(
        string="Internal Review", compute="_compute_milestone_policy", store=True, readonly=False, precompute=True
    )
    milestone_client_approval = fields.Boolean(
        string="Client Approval", compute="_compute_milestone_policy", store=True, readonly=False, precompute=True
    )
    milestone_approval_rule = fields.Selection(
        [("any", "Any of the approvers")],
        string="Approval Rule",
        default="any",
        required=True,
        help="How many of the approvers have to approve.",
    )
    milestone_approver_ids = fields.Many2many(
        "res.partner",
        "sale_order_milestone_approver_rel",
        string="Approvers",
        compute="_compute_milestone_approver_ids",
        store=True,
        readonly=False,
        help="Contacts of the client who may approve milestones.",
    )
    milestone_review_days = fields.Integer(
        string="Review Period (days)",
        compute="_compute_milestone_policy",
        store=True,
        readonly=False,
        precompute=True,
    )
    milestone_invoice_policy = fields.Selection(
        INVOICE_POLICIES,
        string="On Approval",
        compute="_compute_milestone_policy",
        store=True,
        readonly=False,
        precompute=True,
    )
    milestone_create_project = fields.Boolean(
        string="Create a Project",
        compute="_compute_milestone_policy",
        store=True,
        readonly=False,
        precompute=True,
        help="Create a project on confirmation when neither the order nor its products bring one.",
    )
    milestone_contract = fields.Text(string="Agreed Contract", readonly=True, copy=False, groups="base.group_system")
    milestone_contract_hash = fields.Char(string="Contract Hash", readonly=True, copy=False)

    _milestone_review_days_positive = models.Constraint(
        "CHECK(milestone_review_days > 0)", "The review period is at least one day."
    )

    @api.depends("milestone_ids")
    def _compute_billing_milestone_count(self):
        for order in self:
            order.billing_milestone_count = len(order.milestone_ids)

    @api.depends("order_line.price_total", "order_line.billing_milestone_id", "company_id")
    def _compute_milestone_amounts(self):
        """Both together are the order: with taxes rounded globally a line can show a unit more than it adds to it."""
        for order in self:
            amounts = order._get_untaxed_by_line()
            planned = sum(amount for line, amount in amounts.items() if line.billing_milestone_id)
            order.milestone_planned_amount = planned
            order.milestone_unplanned_amount = sum(amounts.values()) - planned

    @api.depends("company_id")
    def _compute_milestone_policy(self):
        for order in self.filtered(lambda order: not order.milestone_contract_hash):
            company = order.company_id or self.env.company
            order.milestone_internal_review = company.milestone_internal_review
            order.milestone_client_approval = company.milestone_client_approval
            order.milestone_review_days = company.milestone_review_days
            order.milestone_invoice_policy = company.milestone_invoice_policy
            order.milestone_create_project = company.milestone_create_project

    @api.depends("partner_id")
    def _compute_milestone_approver_ids(self):
        for order in self.filtered(lambda order: not order.milestone_contract_hash):
            order.milestone_approver_ids = order.partner_id

    @api.constrains("milestone_internal_review", "milestone_client_approval")
    def _check_milestone_approval(self):
        for order in self:
            if not (order.milestone_internal_review or order.milestone_client_approval):
                raise ValidationError(
                    self.env._("Somebody has to approve a milestone: keep the client approval or the internal review.")
                )

    @api.constrains("milestone_approver_ids", "partner_id")
    def _check_milestone_approvers(self):
        for order in self:
            order._check_approvers(order.milestone_approver_ids)

    def _check_approvers(self, approvers):
        """:raises ValidationError: when somebody who is no contact of the customer would approve milestones"""
        self.ensure_one()
        family = self.partner_id.commercial_partner_id
        strangers = approvers.filtered(lambda partner: partner.commercial_partner_id != family)
        if strangers:
            strangers.sudo(False).check_access("read")
            raise ValidationError(
                self.env._(
                    "%(names)s: only contacts of %(customer)s can approve its milestones.",
                    names=", ".join(strangers.mapped("display_name")),
                    customer=family.display_name,
                )
            )

    @api.model_create_multi
    def create(self, vals_list):
        for vals in vals_list:
            self._refuse_milestone_evidence(vals)
        clean = {
            key: value
            for key, value in self.env.context.items()
            if key.removeprefix("default_") not in self._protected_fields
        }
        return super(SaleOrder, self.with_context(clean)).create(vals_list)  # pylint: disable=context-overridden

    def write(self, vals):
        self._refuse_milestone_evidence(vals)
        if "state" in vals and not OrderTransition.is_under_way(self.env):
            self._check_transition(vals["state"])
        if names := AMOUNT_FIELDS.intersection(vals):
            self._check_amounts_follow({name: vals[name] for name in names})
        if not (FROZEN_FIELDS | POLICY_FIELDS).isdisjoint(vals):
            self.filtered(lambda order: order.milestone_ids._is_agreed())._check_frozen(vals)
        return super().write(vals)

    def _refuse_milestone_evidence(self, vals):
        if self._protected_fields.intersection(vals):
            raise AccessError(
                self.env._("What was agreed and signed is recorded by the signatures themselves and cannot be changed.")
            )

    def _write_protected(self, vals):
        """Write what follows from signatures and agreed changes, past all guards of the contract.

        To be called after rights and state were checked.
        """
        return super().write(vals)

    def _touch(self):
        """Write the rows of the orders: of two users at once, one waits, and then sees what the other did.

        A lock alone would let the second one go on with what was before; the write makes PostgreSQL
        refuse its transaction, and Odoo runs it once more.
        """
        if self:
            self.env.execute_query(SQL("UPDATE sale_order SET write_date = write_date WHERE id IN %s", tuple(self.ids)))

    def _check_transition(self, state):
        """:raises UserError: when a contract would begin, end or come back past the buttons for it"""
        self.check_access("write")  # who may not learns nothing of the order
        for order in self.sudo().filtered(lambda order: order.state != state):
            is_contract = bool(order.milestone_contract_hash)
            if (state == "sale" and order.milestone_ids) or (is_contract and {state, order.state} & {"sale", "cancel"}):
                raise UserError(
                    self.env._(
                        "%(order)s has milestones: confirm it, cancel it or set it back with the buttons of the order.",
                        order=order.name,
                    )
                )

    def _check_amounts_follow(self, vals):
        """:raises UserError: when amounts of an order with milestones would be something else than its lines are"""
        for order in self.filtered("milestone_ids"):
            if any(order._is_term_changed(name, value) for name, value in vals.items()):
                raise UserError(
                    self.env._(
                        "The amounts of %(order)s follow from its lines: change these instead.", order=order.name
                    )
                )

    def _check_frozen(self, vals):
        """:raises UserError: when ``vals`` changes what a confirmed milestone contract is about"""
        for order in self:
            changed = [name for name in FROZEN_FIELDS.intersection(vals) if order[name].id != vals[name]]
            if changed:
                order._refuse_change_of_terms(changed)
        if self and POLICY_FIELDS.intersection(vals) and not self.env.user.has_group("sales_team.group_sale_manager"):
            raise AccessError(self.env._("Only sales administrators change who approves a confirmed contract."))

    def _refuse_change_of_terms(self, names, *advice):
        """Say that these terms of the whole order are agreed: change requests change milestones only.

        :raises UserError: always
        """
        self.ensure_one()
        refusal = self.env._(
            "%(order)s is agreed with the client: %(fields)s cannot change any more. Agree on a new contract.",
            order=self.name,
            fields=", ".join(sorted(self._fields[name]._description_string(self.env) for name in names)),
        )
        raise UserError(" ".join([refusal, *advice]))

    @api.ondelete(at_uninstall=False)
    def _unlink_except_milestone_evidence(self):
        if self.milestone_ids.approval_ids or self.milestone_ids.sudo().invoice_line_ids:
            raise UserError(
                self.env._("Orders with reviewed or invoiced milestones are evidence and cannot be deleted.")
            )
        if any(order.signed_content_hash or (order.milestone_contract_hash and order.signature) for order in self):
            raise UserError(self.env._("What a client signed is evidence: its order cannot be deleted."))

    def copy(self, default=None):
        """Copy the plan and put the copied lines under the copied milestones."""
        copies = super().copy(default)
        for order, new_order in zip(self, copies, strict=True):
            if order.milestone_ids and new_order.milestone_ids:
                order._copy_milestone_lines(new_order)
        return copies

    def _copy_milestone_lines(self, new_order):
        # copies are created in the order of the originals
        lines = dict(zip(self._get_copiable_order_lines(), new_order.order_line.sorted("id"), strict=True))
        milestones = self._get_copied_milestones(new_order)
        for milestone, old_lines in self.env["sale.order.line"].union(*lines).grouped("billing_milestone_id").items():
            if milestone:
                copied = self.env["sale.order.line"].union(*(lines[line] for line in old_lines))
                copied._write_past_guard({"billing_milestone_id": milestones[milestone].id})
        new_order._arrange_milestone_lines()
        return lines

    def _get_copied_milestones(self, new_order):
        """Return {milestone: its copy in the new order}: Odoo copies children in the order of their ids."""
        return dict(zip(self.milestone_ids.sorted("id"), new_order.milestone_ids.sorted("id"), strict=True))

    # -- confirmation and cancellation -------------------------------------------------------------

    def _confirmation_error_message(self):
        return super()._confirmation_error_message() or self._get_plan_error()

    def _get_plan_error(self):
        """Return why the milestone plan cannot be agreed on as it is, or False."""
        self.ensure_one()
        for milestone in self._get_live_milestones():
            if (
                not milestone.order_line_ids
                or milestone.currency_id.compare_amounts(sum(milestone.order_line_ids.mapped("price_subtotal")), 0.0)
                <= 0
            ):
                return self.env._(
                    "%(milestone)s has no amount. Give it one, or remove it from the plan. "
                    "Not planned yet: %(remainder)s.",
                    milestone=milestone.name,
                    remainder=self.currency_id.format(self.milestone_unplanned_amount),
                )
        if self.milestone_ids and self.currency_id.compare_amounts(self.milestone_unplanned_amount, 0.0) < 0:
            return self.env._(
                "The plan exceeds the order by %(excess)s: put the discount lines under milestones.",
                excess=self.currency_id.format(-self.milestone_unplanned_amount),
            )
        return False

    def action_confirm(self):
        return super(SaleOrder, OrderTransition.mark(self)).action_confirm()

    def _action_confirm(self):
        result = super(SaleOrder, OrderTransition.unmark(self))._action_confirm()
        contracts = self.filtered("milestone_ids")
        contracts._fix_agreed_amounts()
        for order in contracts:
            order._agree_contract()
        contracts._link_project_milestones()
        return result

    def action_draft(self):
        """A contract with evidence comes back as it was agreed, signatures included; any other is a quotation again."""
        result = super(SaleOrder, OrderTransition.mark(self)).action_draft()
        drafts = self.filtered(lambda order: order.state == "draft" and not order._has_evidence())
        drafts._release_agreed_amounts()
        self.filtered(lambda order: order.state == "draft").milestone_ids.filtered(
            lambda milestone: milestone.state == "cancelled" and not milestone._is_ended_by_change()
        )._write_protected({"state": "draft"})
        return result

    def _action_cancel(self):
        milestones = self.milestone_ids
        unbilled = milestones.filtered(lambda milestone: milestone.billing_state in ("to_invoice", "draft"))
        if unbilled:
            raise UserError(
                self.env._(
                    "%(milestones)s: approved by the client and not invoiced. Invoice them, or let an accountant "
                    "take the approval back, before you cancel the order.",
                    milestones=", ".join(unbilled.mapped("display_name")),
                )
            )
        result = super(SaleOrder, OrderTransition.mark(self))._action_cancel()
        for milestone in milestones.filtered(lambda milestone: milestone.approval_id):
            milestone._close_round("withdrawn", {"method": "internal"})
        milestones.filtered(lambda milestone: milestone.state != "approved")._write_protected({"state": "cancelled"})
        return result

    def action_view_milestones(self):
        """Open the milestones of these orders."""
        action = self.env["ir.actions.act_window"]._for_xml_id("milestone_billing.sale_milestone_action")
        action["domain"] = [("order_id", "in", self.ids)]
        action["context"] = {"default_order_id": self.id} if len(self) == 1 else {}
        return action
