from datetime import timedelta

from odoo import api, fields, models
from odoo.fields import Command

from .sale_milestone import AMOUNT_GROUPS


class SaleMilestone(models.Model):
    """What change requests are about: where a milestone came from, its own terms, and its changed amount."""

    _inherit = "sale.milestone"

    change_request_id = fields.Many2one(
        "sale.change.request",
        string="Added By",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="restrict",
        help="The change order that added this milestone to the contract.",
    )
    approver_ids = fields.Many2many(
        "res.partner",
        "sale_milestone_approver_rel",
        string="Own Approvers",
        copy=False,  # agreed with that client by a change of that contract
        help="Contacts of the client who approve this milestone; empty: those of the order.",
    )
    review_days = fields.Integer(
        string="Own Review Period (days)",
        copy=False,
        help="Days the client has to answer; 0: the review period of the order.",
    )
    amount_original = fields.Monetary(
        string="Original Amount",
        compute="_compute_amount_changes",
        compute_sudo=True,
        groups=AMOUNT_GROUPS,
        help="Untaxed, as it was signed.",
    )
    amount_changes = fields.Monetary(
        string="Approved Changes", compute="_compute_amount_changes", compute_sudo=True, groups=AMOUNT_GROUPS
    )
    change_line_ids = fields.One2many("sale.change.request.line", "milestone_id", readonly=True, copy=False)
    open_change_count = fields.Integer(compute="_compute_open_change_count", compute_sudo=True)

    _review_days_not_negative = models.Constraint(
        "CHECK(review_days IS NULL OR review_days >= 0)",
        "A review period is not negative; 0 is the review period of the order.",
    )

    @property
    def _protected_fields(self):
        return super()._protected_fields | {"change_request_id"}

    @api.depends("order_line_ids.price_subtotal", "order_line_ids.change_line_id")
    def _compute_amount_changes(self):
        for milestone in self:
            changes = milestone.order_line_ids.filtered("change_line_id")
            milestone.amount_changes = milestone.currency_id.round(sum(changes.mapped("price_subtotal")))
            milestone.amount_original = milestone.amount_untaxed - milestone.amount_changes

    @api.depends("change_line_ids.request_id.state")
    def _compute_open_change_count(self):
        for milestone in self:
            requests = milestone.change_line_ids.request_id
            milestone.open_change_count = len(requests.filtered(lambda request: request._is_open()))

    @api.constrains("approver_ids")
    def _check_own_approvers(self):
        for milestone in self.sudo():
            milestone.order_id._check_approvers(milestone.approver_ids)

    def _get_policy(self):
        policy = super()._get_policy()
        milestone = self.sudo()
        family = milestone.order_id.partner_id.commercial_partner_id
        approvers = milestone.approver_ids.filtered(
            lambda partner: partner.active and partner.commercial_partner_id == family
        )
        if approvers:
            policy = policy._replace(approvers=approvers)
        if milestone.review_days:
            policy = policy._replace(due_date=fields.Date.context_today(self) + timedelta(days=milestone.review_days))
        return policy

    def _is_ended_by_change(self):
        """Whether an approved change cancelled the milestone, or made it part of another one."""
        self.ensure_one()
        return any(
            line.action in ("cancel", "merge") and line.request_id.state == "approved" for line in self.change_line_ids
        )

    def _get_approved_changes(self, known=None):
        changes = super()._get_approved_changes(known)
        if known is None:
            return changes + self.amount_changes
        lines = self.order_line_ids.filtered(
            lambda line: line.change_line_id and line.change_line_id.request_id.change_order_number <= known
        )
        return self.currency_id.round(changes + sum(lines.mapped("price_subtotal")))

    def _is_in_contract_history(self, known=None):
        """What a later change order added was not there yet."""
        is_known = super()._is_in_contract_history(known)
        if known is None or not is_known:
            return is_known
        return any(
            not line.change_line_id or line.change_line_id.request_id.change_order_number <= known
            for line in self.order_line_ids
        )

    def _get_plan_side(self):
        """Return what the plan says of the milestone: name, untaxed amount and contract date."""
        self.ensure_one()
        return {"name": self.name, "untaxed": self.amount_untaxed, "date": self.contract_date or None}

    def _prepare_snapshot_values(self):
        """What the client approves names the change orders that made it what it is."""
        values = super()._prepare_snapshot_values()
        applied = self.order_line_ids.change_line_id.request_id | self.change_line_ids.request_id.filtered(
            lambda request: request.state == "approved"
        )
        if applied:
            values["change_orders"] = [
                [request.change_order_number, request.accepted_approval_id.chain_hash or ""]
                for request in applied.sorted("change_order_number")
            ]
        return values

    def _on_changes_requested(self, reason, partner=None):
        super()._on_changes_requested(reason, partner)
        # of clients and reviewers, who raise no requests: the engine has checked and locked their decision
        self.sudo()._propose_change_request(reason)

    def _propose_change_request(self, reason):
        """Propose a change request when the client wants more review rounds than the price includes."""
        self.ensure_one()
        last = self.approval_ids.sorted("id")[-1:]
        included = self.order_id.milestone_review_rounds
        if last.kind != "client" or not included or self.approval_round < included:
            return
        if self.change_line_ids.request_id.filtered(lambda request: request._is_open()):
            return
        request = self.env["sale.change.request"].create(
            {
                "order_id": self.order_id.id,
                "title": self.env._("Further review of %(milestone)s", milestone=self.name),
                "category": "scope",
                "reason": reason,
                "line_ids": [Command.create({"action": "change", "milestone_id": self.id})],
            }
        )
        # the team wants to be paid for further rounds; the client only says what is missing
        user = request._get_project_manager()
        raiser = user.partner_id or self.company_id.partner_id
        request._write_protected({"requested_by_id": raiser.id})
        if user:
            request.activity_schedule(
                "mail.mail_activity_data_todo",
                user_id=user.id,
                summary=self.env._("%(request)s: price further rounds, or withdraw it", request=request.name),
                note=self.env._(
                    "Review rounds included in the price of %(milestone)s: %(rounds)s. The client asks for changes "
                    "after round %(round)s.",
                    milestone=self.name,
                    rounds=included,
                    round=self.approval_round,
                ),
            )

    def action_view_change_requests(self):
        """Open the change requests that concern this milestone."""
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id("milestone_billing.sale_change_request_action")
        return {**action, "domain": [("line_ids.milestone_id", "=", self.id)], "context": {}}
