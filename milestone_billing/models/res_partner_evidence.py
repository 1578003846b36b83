from odoo import models
from odoo.exceptions import UserError
from odoo.fields import Domain

# Where evidence names people: paths from a model to a contact.
EVIDENCE_PATHS = {
    "sale.approval": ("decided_by", "submitted_by.partner_id", "recorded_by.partner_id"),
    "sale.approval.recipient": ("partner_id", "revoked_by_id.partner_id"),
    "sale.change.request": ("requested_by_id", "at_risk_by_id.partner_id"),
    "sale.order": (
        "partner_id.commercial_partner_id",
        "milestone_approver_ids",
        "countersigned_by.partner_id",
        "signature_recorded_by.partner_id",
    ),
    "sale.milestone": ("approver_ids",),
}
# Of orders only what was agreed, or signed, names them for good.
EVIDENCE_DOMAINS = {
    "sale.order": Domain("milestone_contract_hash", "!=", False) | Domain("signed_content_hash", "!=", False),
    "sale.milestone": Domain("order_id.milestone_contract_hash", "!=", False),
}


class ResPartner(models.Model):
    _inherit = "res.partner"

    def _check_no_milestone_evidence(self):
        """:raises UserError: for contacts whom approvals or signed contracts name"""
        if named := self._get_named_in_evidence():
            raise UserError(
                self.env._(
                    "%(names)s cannot be merged into another contact: approvals or signed contracts name this "
                    "contact, and they stay as they are. Choose it as the destination of the merge, or archive the "
                    "contact that is not used any more.",
                    names=", ".join(named.mapped("display_name")),
                )
            )

    def _get_named_in_evidence(self):
        """Return those of these contacts whom evidence names, of whatever company and archived or not."""
        # evidence counts whoever may read it; nothing of it but the caller's own contacts is returned
        env = self.env(su=True, context={**self.env.context, "active_test": False})
        for model, paths in EVIDENCE_PATHS.items():
            for path in paths:
                domain = Domain(path, "in", self.ids) & EVIDENCE_DOMAINS.get(model, Domain.TRUE)
                if found := env[model].search(domain, limit=1):
                    return self & found.mapped(path).with_env(self.env)
        return self.browse()
