from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError
from odoo.tools import SQL

from .sale_milestone import AMOUNT_GROUPS

CHANGE_STATES = [
    ("draft", "Draft"),
    ("internal_review", "Internal Review"),
    ("submitted", "With the Client"),
    ("changes_requested", "Changes Requested"),
    ("approved", "Approved"),
    ("rejected", "Declined"),
    ("cancelled", "Withdrawn"),
]
OPEN_STATES = ("draft", "internal_review", "submitted", "changes_requested")
# What the client decides on: it rests while somebody looks at it, and for ever once it is decided.
CONTENT_FIELDS = frozenset(
    {
        "title",
        "order_id",
        "category",
        "reason",
        "description",
        "urgency",
        "attachment_ids",
        "effort_hours",
        "resources",
        "line_ids",
    }
)


class SaleChangeRequest(models.Model):
    """A proposed change of a signed contract; once both sides approved it, a change order.

    It says what changes, what that does to the contract, and waits for both sides. It is applied in
    the transaction of the client's approval, wholly or not at all (``sale_change_request_apply.py``).
    Amounts are untaxed, in the currency of the order; days are calendar days.
    """

    _name = "sale.change.request"
    _description = "Change Request"
    _inherit = ["sale.milestone.protected.mixin", "sale.approval.mixin"]
    _order = "order_id, number desc, id desc"
    _check_company_auto = True
    _mail_post_access = "read"

    _protected_fields = frozenset(
        {
            "state",
            "name",
            "number",
            "is_client_request",
            "requested_by_id",
            "requested_by_name",
            "requested_on",
            "change_order_number",
            "applied_on",
            "accepted_approval_id",
            "approval_ids",
            "amount_delta",
            "total_delta",
            "presented_amounts",
            "days_delta",
            "at_risk_since",
            "at_risk_by_id",
            "agreed_contract",
            "agreed_contract_hash",
            "access_token",
            "company_id",
            "currency_id",
            "partner_id",
            "user_id",
            "project_id",
        }
    )

    name = fields.Char(string="Reference", readonly=True, copy=False, index="trigram")
    number = fields.Integer(readonly=True, copy=False)
    title = fields.Char(required=True, tracking=True)
    order_id = fields.Many2one(
        "sale.order",
        string="Contract",
        required=True,
        index=True,
        ondelete="restrict",
        check_company=True,
        domain="[('state', '=', 'sale'), ('milestone_ids', '!=', False)]",
    )
    state = fields.Selection(
        CHANGE_STATES, default="draft", required=True, readonly=True, copy=False, index=True, tracking=True
    )
    category = fields.Selection(
        [("scope", "Scope"), ("price", "Price"), ("schedule", "Schedule"), ("resources", "Resources")],
        default="scope",
        required=True,
        tracking=True,
    )
    urgency = fields.Selection(
        [("normal", "Normal"), ("high", "High"), ("urgent", "Urgent")], default="normal", required=True, tracking=True
    )
    reason = fields.Text(required=True, help="Why the contract has to change.")
    description = fields.Html(help="What is to be different; the client reads it.")
    attachment_ids = fields.Many2many("ir.attachment", string="Files", copy=False, bypass_search_access=True)
    # estimated inside before the client sees it, on the page of what is presented
    effort_hours = fields.Float(
        string="Effort (hours)",
        tracking=True,
        groups="base.group_user",
        help="Estimated additional working hours.",
    )
    resources = fields.Text(
        string="Effect on Resources",
        groups="base.group_user",
        help="People, equipment or access that the change needs.",
    )
    line_ids = fields.One2many("sale.change.request.line", "request_id", string="Changes", copy=True)

    is_client_request = fields.Boolean(string="Raised by the Client", readonly=True, copy=False)
    requested_by_id = fields.Many2one("res.partner", string="Raised By", readonly=True, copy=False, ondelete="restrict")
    requested_by_name = fields.Char(
        string="Name Given", readonly=True, copy=False, help="Typed by somebody of the client who has no account."
    )
    requested_on = fields.Datetime(string="Raised On", readonly=True, copy=False)
    change_order_number = fields.Integer(
        string="Change Order", readonly=True, copy=False, help="Number among the approved changes of the contract."
    )
    applied_on = fields.Datetime(readonly=True, copy=False, tracking=True)
    amount_delta = fields.Monetary(
        string="Amount Change",
        compute="_compute_deltas",
        store=True,
        groups=AMOUNT_GROUPS,
        help="Untaxed; what it adds to the contract, or takes from it.",
    )
    days_delta = fields.Integer(
        string="Days",
        compute="_compute_deltas",
        store=True,
        groups="base.group_user",
        help="By how many days the end of the contract moves.",
    )
    total_delta = fields.Monetary(
        string="Amount Change with Taxes",
        readonly=True,
        copy=False,
        groups=AMOUNT_GROUPS,
        help="Computed when the request is presented.",
    )
    presented_amounts = fields.Json(
        string="Amounts as Presented",
        readonly=True,
        copy=False,
        groups=AMOUNT_GROUPS,
        help="By how much the contract changes: total, untaxed, and tax by tax.",
    )
    at_risk_since = fields.Datetime(
        string="Work at Risk Since",
        readonly=True,
        copy=False,
        groups="base.group_user",
        help="Work began before both sides agreed.",
    )
    at_risk_by_id = fields.Many2one(
        "res.users",
        string="Started By",
        readonly=True,
        copy=False,
        ondelete="restrict",
        groups="base.group_user",
    )
    is_at_risk = fields.Boolean(
        string="At Risk", compute="_compute_is_at_risk", search="_search_is_at_risk", groups="base.group_user"
    )
    base_conflict = fields.Boolean(compute="_compute_conflict", groups="base.group_user")
    can_edit = fields.Boolean(compute="_compute_can_edit")
    conflict = fields.Text(
        compute="_compute_conflict",
        groups="base.group_user",
        help="What stands against this request at the moment.",
    )

    company_id = fields.Many2one(related="order_id.company_id", store=True, index=True, precompute=True)
    currency_id = fields.Many2one(related="order_id.currency_id", store=True, precompute=True)
    partner_id = fields.Many2one(
        related="order_id.partner_id", string="Customer", store=True, index=True, precompute=True
    )
    user_id = fields.Many2one(related="order_id.user_id", string="Salesperson", store=True, precompute=True)
    project_id = fields.Many2one(
        "project.project", compute="_compute_project_id", store=True, index="btree_not_null", compute_sudo=True
    )

    commercial_partner_id = fields.Many2one(related="partner_id.commercial_partner_id", string="Client")

    _number_of_order = models.UniqueIndex("(order_id, number)", "A change request of this number exists already.")
    _change_order_number = models.UniqueIndex(
        "(order_id, change_order_number) WHERE change_order_number > 0",
        "A change order of this number exists already.",
    )
    _applied_when_approved = models.Constraint(
        "CHECK((state = 'approved') = (applied_on IS NOT NULL))", "A change request is approved and applied at once."
    )

    @api.depends("order_id.milestone_ids.project_id")
    def _compute_project_id(self):
        for request in self:
            request.project_id = request.order_id.milestone_ids.project_id[:1]

    @api.depends("at_risk_since", "state")
    def _compute_is_at_risk(self):
        for request in self:
            request.is_at_risk = bool(request.at_risk_since) and request.state != "approved"

    @api.model
    def _search_is_at_risk(self, operator, value):
        if operator not in ("in", "not in"):
            return NotImplemented
        risky = fields.Domain("at_risk_since", "!=", False) & fields.Domain("state", "!=", "approved")
        return risky if (True in value) == (operator == "in") else ~risky

    @api.depends("state")
    def _compute_can_edit(self):
        for request in self:
            request.can_edit = request.state in ("draft", "changes_requested")

    @api.depends("name", "title")
    def _compute_display_name(self):
        for request in self:
            request.display_name = f"{request.name}: {request.title}" if request.name else request.title

    def _compute_access_url(self):
        super()._compute_access_url()
        for request in self:
            request.access_url = f"/my/change_requests/{request.id}"

    @api.model_create_multi
    def create(self, vals_list):
        """Number the requests of each order, one after the other."""
        requests = super().create(vals_list)
        for order, own in requests.grouped("order_id").items():
            order_sudo = order.sudo()
            order_sudo._check_can_change()
            order_sudo._touch()  # of two users at once, one waits, and then sees the number of the other
            last = max(order_sudo.change_request_ids.mapped("number"), default=0)
            for number, request in enumerate(own.sorted("id"), last + 1):
                request._write_protected({"number": number, "name": f"{order_sudo.name}/CR{number}"})
        for request in requests.filtered(lambda request: not request.requested_by_id):
            request._write_protected(
                {"requested_by_id": self.env.user.partner_id.id, "requested_on": fields.Datetime.now()}
            )
        requests._own_attachments()
        return requests

    def write(self, vals):
        if CONTENT_FIELDS.intersection(vals):
            self._check_content_free()
        if "order_id" in vals and any(request.order_id.id != vals["order_id"] for request in self):
            raise UserError(self.env._("A change request stays with its contract. Raise another one there."))
        result = super().write(vals)
        if "attachment_ids" in vals:
            self._own_attachments()
        return result

    @api.ondelete(at_uninstall=False)
    def _unlink_except_presented(self):
        kept = self.filtered(lambda request: request.approval_ids or request.state != "draft")
        if kept or self.filtered("is_client_request"):
            raise UserError(
                self.env._(
                    "Change requests of the client, and those that somebody has looked at, are kept. "
                    "Withdraw or reject them instead."
                )
            )

    @api.ondelete(at_uninstall=False)
    def _unlink_except_of_others(self):
        """What somebody else wrote is deleted by those who decide what becomes of it."""
        if self.env.su or self._can_decide():
            return
        if self.filtered(lambda request: request.requested_by_id != self.env.user.partner_id):
            raise AccessError(self.env._("You can delete change requests that you raised yourself."))

    def _own_attachments(self):
        """Tie new files to their request, so that they are readable exactly where it is."""
        for request in self:
            loose = request.sudo().attachment_ids.filtered(lambda attachment: not attachment.res_id)
            loose.write({"res_model": self._name, "res_id": request.id})

    # -- state ----------------------------------------------------------------------------------------

    def _is_open(self):
        self.ensure_one()
        return self.state in OPEN_STATES

    def _touch(self):
        """Write the rows of the requests, see ``sale.order._touch``: one that is presented meanwhile is seen to be."""
        if self.ids:
            self.env.execute_query(
                SQL("UPDATE sale_change_request SET write_date = write_date WHERE id IN %s", tuple(self.ids))
            )

    def _check_content_free(self):
        """To be called before, or in the transaction of, every change of what the client decides on.

        :raises UserError: while somebody looks at the request, or once it is decided
        """
        self._touch()
        for request in self:
            if request.state in ("internal_review", "submitted"):
                raise UserError(
                    self.env._(
                        "%(request)s is under review: what is reviewed cannot change. Withdraw it first.",
                        request=request.display_name,
                    )
                )
            if request.state not in ("draft", "changes_requested"):
                raise UserError(
                    self.env._("%(request)s is decided: what was decided is kept.", request=request.display_name)
                )

    def _set_review_state(self, state):
        result = super()._set_review_state(state)
        if state in ("rejected", "cancelled"):
            self._end_activities()
        return result

    def _end_activities(self):
        """What the team was asked to do with the request is settled with it; what people noted themselves stays."""
        self.sudo().activity_unlink(["mail.mail_activity_data_todo"])

    def action_view_order(self):
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "res_model": "sale.order",
            "res_id": self.order_id.id,
            "view_mode": "form",
        }

    # -- rights ---------------------------------------------------------------------------------------

    def _can_decide(self):
        return any(
            self.env.user.has_group(group)
            for group in ("sales_team.group_sale_salesman", "project.group_project_manager")
        )

    def _check_can_deliver(self):
        """Requests are priced and presented by salespeople and by whoever leads projects.

        :raises AccessError: for everybody else
        """
        self.check_access("write")
        if not self.env.su and not self._can_decide():
            raise AccessError(self.env._("Salespeople and project managers decide what becomes of a change request."))
        self.order_id.check_access("read")
