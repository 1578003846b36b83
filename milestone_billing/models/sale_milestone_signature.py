from odoo import api, models


class SaleOrderLine(models.Model):
    """What is part of a quotation that the client signed: a change is looked at when the transaction is complete."""

    _inherit = "sale.order.line"

    @api.model_create_multi
    def create(self, vals_list):
        lines = super().create(vals_list)
        lines.order_id._check_signature_at_commit()
        return lines

    def write(self, vals):
        result = super().write(vals)
        self.order_id._check_signature_at_commit()
        return result

    def unlink(self):
        self.order_id._check_signature_at_commit()
        return super().unlink()


class SaleMilestone(models.Model):
    _inherit = "sale.milestone"

    @api.model_create_multi
    def create(self, vals_list):
        milestones = super().create(vals_list)
        milestones.order_id._check_signature_at_commit()
        milestones.order_id._ask_to_sign_online()
        return milestones

    def write(self, vals):
        result = super().write(vals)
        self.order_id._check_signature_at_commit()
        return result

    def unlink(self):
        self.order_id._check_signature_at_commit()
        return super().unlink()


class SaleMilestoneDeliverable(models.Model):
    _inherit = "sale.milestone.deliverable"

    @api.model_create_multi
    def create(self, vals_list):
        deliverables = super().create(vals_list)
        deliverables.order_id._check_signature_at_commit()
        return deliverables

    def write(self, vals):
        result = super().write(vals)
        self.order_id._check_signature_at_commit()
        return result

    def unlink(self):
        self.order_id._check_signature_at_commit()
        return super().unlink()
