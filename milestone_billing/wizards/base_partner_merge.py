from odoo import models


class BasePartnerMergeAutomaticWizard(models.TransientModel):
    """Who approved, signed or was asked stays who it was.

    A merge rewrites every reference by SQL, evidence included: it would name another person then, and
    count as tampered.
    """

    _inherit = "base.partner.merge.automatic.wizard"

    def _update_foreign_keys(self, src_partners, dst_partner):
        src_partners._check_no_milestone_evidence()
        return super()._update_foreign_keys(src_partners, dst_partner)
