from odoo import api, fields, models
from odoo.exceptions import UserError

from ..tools.placing import place_last
from .agreed_change import AgreedChange

MILESTONE_STATES = [
    ("draft", "Planned"),
    ("in_progress", "In Progress"),
    ("internal_review", "Internal Review"),
    ("submitted", "With the Client"),
    ("changes_requested", "Changes Requested"),
    ("approved", "Approved"),
    ("cancelled", "Cancelled"),
]
BILLING_STATES = [
    ("not_due", "Not Due"),
    ("to_invoice", "To Invoice"),
    ("draft", "Draft Invoice"),
    ("invoiced", "Invoiced"),
    ("partial", "Partially Paid"),
    ("paid", "Paid"),
    ("credited", "Credited"),
]
# Amounts are the business of sales, accounting and whoever leads projects, not of every employee.
AMOUNT_GROUPS = (
    "sales_team.group_sale_salesman,account.group_account_invoice,account.group_account_readonly,"
    "project.group_project_manager,milestone_billing.group_internal_reviewer"
)
# Part of the signed contract; deliverables and scope are detailed while the work goes on.
CONTRACT_FIELDS = frozenset({"name", "sequence", "contract_date", "predecessor_ids", "approver_ids", "review_days"})
# What the client is asked to approve: it rests while a review is open.
SCOPE_FIELDS = frozenset(
    {"name", "description", "contract_date", "predecessor_ids", "order_id", "deliverable_ids", "order_line_ids"}
)


class SaleMilestone(models.Model):
    """A billing milestone: one agreed outcome of a sales order, with its amount.

    It is a gate on its order lines: they become invoiceable when the milestone is approved, and
    not before. Amounts are in the currency of the order, percentages are 0–100.
    """

    _name = "sale.milestone"
    _description = "Billing Milestone"
    _inherit = ["sale.milestone.protected.mixin", "sale.approval.mixin"]
    _order = "order_id, sequence, id"  # newest orders first: they sort themselves
    _check_company_auto = True
    _mail_post_access = "read"

    _protected_fields = frozenset(
        {
            "state",
            "billing_state",
            "billing_round",
            "project_milestone_id",
            "approved_on",
            "approved_by_id",
            "approval_ids",
            "accepted_approval_id",
            "invoice_queued_on",
            "invoice_error",
            "invoice_line_ids",
            "gated_line_ids",
            "on_hold",
            "access_token",
            # copies of what they are computed from, on which rules and amounts rely
            "company_id",
            "currency_id",
            "partner_id",
            "user_id",
            "order_state",
            "project_id",
            "amount_tax",
            "amount_total",
            "amount_invoiced",
        }
    )

    order_id = fields.Many2one("sale.order", required=True, index=True, ondelete="cascade")
    name = fields.Char(required=True, tracking=True)
    sequence = fields.Integer(default=10)
    description = fields.Html(string="Scope", help="What the client gets; part of what is approved.")
    contract_date = fields.Date(tracking=True, help="Day by which the milestone is due by contract.")
    state = fields.Selection(
        MILESTONE_STATES, default="draft", required=True, readonly=True, copy=False, index=True, tracking=True
    )

    company_id = fields.Many2one(related="order_id.company_id", store=True, index=True, precompute=True)
    currency_id = fields.Many2one(related="order_id.currency_id", store=True, precompute=True)
    partner_id = fields.Many2one(
        related="order_id.partner_id", string="Customer", store=True, index=True, precompute=True
    )
    user_id = fields.Many2one(related="order_id.user_id", string="Salesperson", store=True, precompute=True)
    order_state = fields.Selection(related="order_id.state", string="Order Status", store=True)

    deliverable_ids = fields.One2many("sale.milestone.deliverable", "milestone_id", string="Deliverables", copy=True)
    deliverable_count = fields.Integer(compute="_compute_deliverable_count")

    predecessor_ids = fields.Many2many(
        "sale.milestone",
        "sale_milestone_predecessor_rel",
        "milestone_id",
        "predecessor_id",
        string="After",
        copy=False,
        domain="[('order_id', '=', order_id), ('id', '!=', id)]",
        help="Milestones of the same order that have to be approved before this one is submitted.",
    )
    successor_ids = fields.Many2many(
        "sale.milestone",
        "sale_milestone_predecessor_rel",
        "predecessor_id",
        "milestone_id",
        string="Before",
        copy=False,
    )

    project_milestone_id = fields.Many2one(
        "project.milestone", readonly=True, copy=False, index=True, ondelete="set null"
    )
    project_id = fields.Many2one(
        related="project_milestone_id.project_id", string="Project", store=True, index="btree_not_null"
    )
    is_late = fields.Boolean(compute="_compute_is_late", search="_search_is_late")

    _project_milestone_unique = models.UniqueIndex(
        "(project_milestone_id) WHERE project_milestone_id IS NOT NULL",
        "A project milestone belongs to one billing milestone at most.",
    )

    @api.depends("deliverable_ids")
    def _compute_deliverable_count(self):
        for milestone in self:
            milestone.deliverable_count = len(milestone.deliverable_ids)

    @api.depends("contract_date", "state")
    def _compute_is_late(self):
        today = fields.Date.context_today(self)
        for milestone in self:
            milestone.is_late = bool(
                milestone.contract_date
                and milestone.contract_date < today
                and milestone.state not in ("approved", "cancelled")
            )

    @api.model
    def _search_is_late(self, operator, value):
        if operator not in ("in", "not in"):
            return NotImplemented
        late = fields.Domain("contract_date", "<", fields.Date.context_today(self)) & fields.Domain(
            "state", "not in", ("approved", "cancelled")
        )
        return late if (True in value) == (operator == "in") else ~late

    @api.depends("name", "order_id.name")
    @api.depends_context("milestone_with_order")
    def _compute_display_name(self):
        for milestone in self:
            if self.env.context.get("milestone_with_order") and milestone.order_id:
                milestone.display_name = f"{milestone.order_id.sudo().name} – {milestone.name}"
            else:
                milestone.display_name = milestone.name

    def _compute_access_url(self):
        super()._compute_access_url()
        for milestone in self:
            milestone.access_url = f"/my/milestones/{milestone.id}"

    @api.model_create_multi
    def create(self, vals_list):
        milestones = super().create(place_last(self, vals_list))
        milestones._check_plan_open()
        milestones.order_id._arrange_milestone_lines()
        return milestones

    def write(self, vals):
        if SCOPE_FIELDS.intersection(vals):
            self._check_scope_free()
        if "order_id" in vals and any(milestone.order_id.id != vals["order_id"] for milestone in self):
            raise UserError(self.env._("A milestone stays with its order. Plan a new one on the other order."))
        if "product_id" in vals:
            self._check_plan_open()
        self._check_contract_fields(vals)
        result = super().write(vals)
        if "sequence" in vals or "name" in vals:
            self.order_id._arrange_milestone_lines()
        if "contract_date" in vals or "name" in vals:
            self._sync_project_milestone()
        return result

    @api.ondelete(at_uninstall=False)
    def _unlink_except_contract(self):
        for milestone in self:
            if milestone.approval_ids or milestone.sudo().invoice_line_ids:
                raise UserError(
                    self.env._(
                        "%(milestone)s has been reviewed or invoiced: its evidence is kept. Cancel it instead.",
                        milestone=milestone.name,
                    )
                )
        self._check_plan_open()

    def unlink(self):
        orders = self.order_id
        sections = self._get_all_lines().filtered("display_type")
        generated = self.order_line_ids.filtered(
            lambda line: line.product_id == line.billing_milestone_id.product_id and not line.sudo().milestone_source_id
        )
        self._check_plan_open()
        (self._get_all_lines() - sections - generated).billing_milestone_id = False
        (sections + generated).exists().unlink()  # sections without lines are gone already
        result = super().unlink()
        orders._arrange_milestone_lines()
        return result

    def copy_data(self, default=None):
        """Copy the plan, never a review: deliverables come without their evidence of work."""
        return super().copy_data(default)

    def action_start(self):
        """Begin (or, after a request for changes, resume) the work on milestones of confirmed orders.

        :raises UserError: when a milestone is not planned or its order not confirmed
        """
        self._check_can_deliver()
        for milestone in self:
            if milestone.state not in ("draft", "changes_requested"):
                raise UserError(
                    self.env._("%(milestone)s is not waiting to be started.", milestone=milestone.display_name)
                )
            if milestone.order_state != "sale":
                raise UserError(
                    self.env._(
                        "%(milestone)s is part of a quotation. Work starts once the order is confirmed.",
                        milestone=milestone.display_name,
                    )
                )
        self._write_protected({"state": "in_progress"})

    def action_view_order(self):
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "res_model": "sale.order",
            "res_id": self.order_id.id,
            "view_mode": "form",
        }

    def action_view_tasks(self):
        """Open the tasks of the linked project milestone."""
        self.ensure_one()
        return self.project_milestone_id.action_view_tasks()

    def _is_agreed(self):
        """Whether amounts and lines are settled; what was approved stays so when its order is cancelled."""
        return any(milestone.state == "approved" or milestone.order_id._is_contract() for milestone in self)

    def _check_plan_open(self):
        """:raises UserError: when a milestone is agreed, by the confirmed order or by its own approval"""
        if AgreedChange.is_under_way(self.env):
            return
        for milestone in self:
            if milestone._is_agreed():
                raise UserError(
                    self.env._(
                        "The milestone plan of %(order)s is agreed with the client and cannot be changed by one side. "
                        "Raise a change request: it is applied when both sides approve it.",
                        order=milestone.order_id.name,
                    )
                )

    def _check_contract_fields(self, vals):
        """:raises UserError: when ``vals`` changes what was signed of an agreed milestone"""
        names = CONTRACT_FIELDS.intersection(vals)
        for milestone in self if names else ():
            if milestone._is_agreed() and any(milestone._is_changed_by(name, vals[name]) for name in names):
                milestone._check_plan_open()

    def _is_changed_by(self, name, value):
        self.ensure_one()
        changed = self.new({name: value}, origin=self)
        if self._fields[name].type == "many2many":
            return set(changed[name]._origin.ids) != set(self[name].ids)
        return changed[name] != self[name]

    def _check_scope_free(self):
        """:raises UserError: while the milestone is under review, or once it is approved"""
        for milestone in self:
            if milestone.state in ("internal_review", "submitted"):
                raise UserError(
                    self.env._(
                        "%(milestone)s is under review: what is reviewed cannot change. Withdraw it first.",
                        milestone=milestone.name,
                    )
                )
            if milestone.state == "approved":
                raise UserError(
                    self.env._("%(milestone)s is approved: what was approved is kept.", milestone=milestone.name)
                )

    def _check_can_deliver(self):
        """Work is started and presented by project users and salespeople who may write the milestone.

        :raises AccessError: for everybody else
        """
        self.check_access("write")

    def _get_project_manager(self):
        """Return the user who is responsible for the delivery (may be empty)."""
        self.ensure_one()
        milestone = self.sudo()
        return milestone.project_id.user_id or milestone.user_id

    def _get_task_order_line(self):
        """Return the line that the tasks work for (may be empty)."""
        self.ensure_one()
        return self.order_line_ids.filtered(lambda line: line._is_worked_for())[:1]

    def _sync_project_milestone(self):
        """Let the linked project milestones follow names and contract dates."""
        for milestone in self.sudo().filtered("project_milestone_id"):
            native = milestone.project_milestone_id
            values = {"name": milestone.name, "deadline": milestone.contract_date}
            values = {name: value for name, value in values.items() if native[name] != value}
            if values:
                native.write(values)
