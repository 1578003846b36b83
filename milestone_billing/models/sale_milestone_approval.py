from odoo import fields, models
from odoo.exceptions import AccessError, UserError
from odoo.tools import format_date

# Community has no accountants but those who administer the accounts.
ACCOUNTANT_GROUPS = ("account.group_account_user", "account.group_account_manager")


class SaleMilestone(models.Model):
    """Review and approval of billing milestones: what the approval engine asks of its subject."""

    _inherit = "sale.milestone"

    _approval_subject_field = "milestone_id"
    _approval_mail_prefix = "milestone"

    approval_ids = fields.One2many("sale.approval", "milestone_id", string="Reviews", readonly=True, copy=False)
    approved_on = fields.Datetime(readonly=True, copy=False, tracking=True)
    approved_by_id = fields.Many2one("res.partner", readonly=True, copy=False, ondelete="restrict", tracking=True)
    approval_method = fields.Selection(
        related="accepted_approval_id.method", string="Approved Through", related_sudo=True
    )
    accepted_approval_id = fields.Many2one(
        "sale.approval", string="Acceptance", readonly=True, copy=False, ondelete="restrict"
    )

    def action_revert_approval(self, reason=None):
        """Take an approval back, for an accountant, while nothing is invoiced.

        :param str reason: why; without it a dialog asks for it
        :raises AccessError: for others than accountants
        :raises UserError: while something of it is invoiced, or about to be
        """
        self._check_accountant()
        if not reason:
            return self._open_reason_dialog("revert")
        self.lock_for_update(allow_referencing=True)
        for milestone in self:
            milestone._check_can_revert()
        for milestone in self.sudo():
            milestone._record_reversal(reason)
        return True

    def _check_accountant(self):
        if not any(self.env.user.has_group(group) for group in ACCOUNTANT_GROUPS):
            raise AccessError(self.env._("Only accountants may take an approval back."))
        self.check_access("read")

    def _check_can_revert(self):
        self.ensure_one()
        if self.state != "approved":
            raise UserError(self.env._("%(milestone)s is not approved.", milestone=self.display_name))
        lines = self.sudo()._get_live_invoice_lines()
        drafts = lines.filtered(lambda line: line.parent_state == "draft")
        if drafts or not self.currency_id.is_zero(self.sudo().amount_invoiced):
            raise UserError(
                self.env._(
                    "%(milestone)s is invoiced. Cancel or credit the invoice first.", milestone=self.display_name
                )
            )

    def _record_reversal(self, reason):
        self.ensure_one()
        self._create_approval("reversal", self.approval_round)._decide(
            "reverted", {"partner": self.env.user.partner_id, "method": "internal", "comment": reason}
        )
        self._write_protected(
            {
                "state": "in_progress",
                "approved_on": False,
                "approved_by_id": False,
                "accepted_approval_id": False,
                "invoice_queued_on": False,
                "invoice_error": False,
            }
        )
        if self._get_posted_invoice_lines():
            self._start_billing_round()  # all credited: the next approval bills it again
        self.deliverable_ids._write_protected({"state": "pending"})
        self._sync_reached()
        self._post_review_note(self.env._("Approval taken back: %(reason)s", reason=reason))

    def _verify_evidence(self):
        """An approved milestone has an approval, and it is the last word."""
        broken = super()._verify_evidence()
        if broken or self.state != "approved":
            return broken
        last = self.sudo().approval_ids.sorted("id")[-1:]
        if last.decision != "approved" or last != self.sudo().accepted_approval_id:
            return self.env._(
                "%(milestone)s counts as approved, and its last review says something else.",
                milestone=self.display_name,
            )
        return ""

    # -- hooks of the engine ---------------------------------------------------------------------

    def _get_policy(self):
        self.ensure_one()
        return self.sudo().order_id._get_approval_policy()

    def _check_can_submit(self):
        self.ensure_one()
        if missing := self._get_missing_for_review():
            raise UserError(
                self.env._("%(milestone)s cannot be submitted yet:", milestone=self.display_name)
                + "".join(f"\n• {item}" for item in missing)
            )

    def _get_missing_for_review(self):
        """Return the texts of what keeps the milestone from being submitted."""
        self.ensure_one()
        missing = []
        if self.order_state != "sale" or not self.order_id.milestone_contract_hash:
            missing.append(self.env._("the order is not confirmed"))
        if not self.deliverable_ids:
            missing.append(self.env._("there is no deliverable: say what the client is to accept"))
        missing += [
            self.env._("%(deliverable)s has no file, link or finished task to show", deliverable=deliverable.name)
            for deliverable in self.deliverable_ids
            if not deliverable.has_evidence
        ]
        return missing

    def _after_approval(self):
        """Open the gate, tick the project milestone, and wake the invoice queue."""
        for milestone in self.sudo():
            approval = milestone.approval_ids.filtered(lambda approval: approval.decision == "approved").sorted("id")[
                -1:
            ]
            milestone._write_protected(
                {
                    "approved_on": approval.decided_on,
                    "approved_by_id": approval.decided_by.id,
                    "accepted_approval_id": approval.id,
                }
            )
            milestone.deliverable_ids._write_protected({"state": "accepted"})
            milestone._sync_reached()
            milestone._queue_invoice()
            milestone.message_post(
                body=milestone._get_approval_note(approval),
                author_id=approval.decided_by.id,
                subtype_xmlid="milestone_billing.mt_milestone_approved",
            )
            milestone._send_approval_mails(approval)

    def _get_approval_note(self, approval):
        if approval.method == "on_behalf":
            return self.env._(
                "Approved on behalf of the client by %(user)s: %(name)s approved on %(date)s (round %(round)s).",
                user=approval.recorded_by.name,
                name=approval.decided_by.display_name,
                date=format_date(self.env, approval.approved_on),
                round=approval.round,
            )
        return self.env._(
            "Approved by %(name)s (round %(round)s).", name=approval.decided_by.display_name, round=approval.round
        )

    def _sync_reached(self):
        """Let the native project milestones say whether their billing milestones are approved."""
        for milestone in self.sudo().filtered("project_milestone_id"):
            reached = milestone.state == "approved"
            if milestone.project_milestone_id.is_reached != reached:
                milestone.project_milestone_id.is_reached = reached

    def _get_snapshot(self):
        self.ensure_one()
        values = self._prepare_snapshot_values()
        return self.env["sale.approval"]._dump_canonical(values)

    def _prepare_snapshot_values(self):
        """Return everything that an approval of this milestone is about; amounts as exact texts."""
        self.ensure_one()
        order, currency = self.order_id, self.currency_id
        lines = self.order_line_ids.sorted("id")
        return {
            "type": "milestone",
            "id": self.id,
            "order": order.name,
            "contract": order.milestone_contract_hash or "",
            "company": order.company_id.id,
            "customer": order.partner_id.commercial_partner_id.id,
            "name": self.name,
            "scope": self.description or "",
            "contract_date": fields.Date.to_string(self.contract_date) or "",
            "currency": currency.name,
            "untaxed": self._format_exact(self.amount_untaxed),
            "tax": self._format_exact(self.amount_tax),
            "total": self._format_exact(self.amount_total),
            "lines": [
                {
                    "id": line.id,
                    "name": line.name,
                    "product": line.product_id.id,
                    "quantity": str(line.product_uom_qty),
                    "price_unit": repr(line.price_unit),
                    "discount": repr(line.discount),
                    "taxes": sorted(line.tax_ids.ids),
                    "untaxed": self._format_exact(line.price_subtotal),
                    "total": self._format_exact(line.price_total),
                }
                for line in lines
            ],
            "deliverables": self.deliverable_ids.sorted("id")._prepare_snapshot_values(),
        }

    def _format_exact(self, amount):
        """Return an amount with all decimals of the order's currency, and no others."""
        return f"{amount:.{self.currency_id.decimal_places}f}"
