from datetime import timedelta

from odoo import fields, models

from .sale_approval_mixin import ApprovalPolicy


class SaleOrder(models.Model):
    """What both sides agreed on: recorded at the confirmation, and what the evidence of all reviews refers to."""

    _inherit = "sale.order"

    def _agree_contract(self):
        """Keep what was agreed on; its hash anchors the evidence of all reviews."""
        self.ensure_one()
        if self._has_evidence():
            return  # confirmed again: the evidence so far refers to the first agreement
        Approval = self.env["sale.approval"]
        # for everybody who may confirm, which Odoo has checked: the text is for administrators only
        contract = Approval._dump_canonical(self.sudo()._prepare_contract_values())
        self.sudo()._write_protected(
            {"milestone_contract": contract, "milestone_contract_hash": Approval._hash_text(contract)}
        )

    def _has_evidence(self):
        """Whether decisions of the client refer to the agreement that is recorded."""
        self.ensure_one()
        # whether there are reviews decides what may be written, whoever writes; what they say is not returned
        return bool(self.milestone_contract_hash and self.sudo().milestone_ids.approval_ids)

    def _is_contract(self):
        """Whether what the order says is agreed; with evidence it stays so when the order is cancelled."""
        self.ensure_one()
        return self.state == "sale" or self._has_evidence()

    def _prepare_contract_values(self):
        self.ensure_one()
        signature = self.with_context(bin_size=False).signature
        return {
            "type": "contract",
            "order": self.name,
            "id": self.id,
            "company": self.company_id.id,
            "customer": self.partner_id.commercial_partner_id.id,
            "currency": self.currency_id.name,
            "untaxed": f"{self.amount_untaxed:.{self.currency_id.decimal_places}f}",
            "total": f"{self.amount_total:.{self.currency_id.decimal_places}f}",
            "signed_by": self.signed_by or "",
            "signed_on": fields.Datetime.to_string(self.signed_on) or "",
            "signature": self.env["sale.approval"]._hash_text(signature.decode()) if signature else "",
            "approvers": self.milestone_approver_ids.ids,
            "milestones": [
                {
                    "id": milestone.id,
                    "name": milestone.name,
                    "contract_date": fields.Date.to_string(milestone.contract_date) or "",
                    "untaxed": milestone._format_exact(milestone.amount_untaxed),
                    "total": milestone._format_exact(milestone.amount_total),
                }
                for milestone in self.milestone_ids.sorted("id")
            ],
        }

    def _verify_contract(self):
        """Return what is wrong with the record of the agreed contract, or an empty string."""
        self.ensure_one()
        # who may ask was checked by the caller; the text is for administrators, and only the verdict is returned
        contract = self.sudo().milestone_contract
        if contract and self.env["sale.approval"]._hash_text(contract) != self.milestone_contract_hash:
            return self.env._("The agreed contract of %(order)s was altered.", order=self.name)
        return ""

    def _get_approval_policy(self):
        """Return the :class:`ApprovalPolicy` of this contract, as of now."""
        self.ensure_one()
        return ApprovalPolicy(
            internal_review=self.milestone_internal_review,
            asks_client=self.milestone_client_approval,
            rule=self.milestone_approval_rule,
            approvers=self.milestone_approver_ids.filtered("active") or self.partner_id,
            due_date=fields.Date.context_today(self) + timedelta(days=self.milestone_review_days),
        )
