from odoo import SUPERUSER_ID, api, fields, models
from odoo.exceptions import UserError


class AccountMove(models.Model):
    """Documents of milestones keep within their plan, whoever handles them.

    Guards look in superuser mode: they must see every document and milestone, and give nothing away.
    """

    _inherit = "account.move"

    billing_milestone_ids = fields.Many2many(
        "sale.milestone", string="Milestones", compute="_compute_billing_milestone_ids", compute_sudo=True
    )
    billing_milestone_count = fields.Integer(compute="_compute_billing_milestone_ids", compute_sudo=True)
    milestone_statement = fields.Text(string="Milestones Billed", compute="_compute_milestone_statement")

    @api.depends("line_ids.billing_milestone_id")
    def _compute_billing_milestone_ids(self):
        for move in self:
            move.billing_milestone_ids = move.line_ids.billing_milestone_id
            move.billing_milestone_count = len(move.billing_milestone_ids)

    @api.depends("line_ids.billing_milestone_id")
    def _compute_milestone_statement(self):
        for move in self:
            move.milestone_statement = "\n".join(move._get_milestone_statements())

    def _post(self, soft=True):
        posted = super()._post(soft)
        posted._check_milestones_within_plan()
        posted._check_credited_within_invoice()
        return posted

    def button_draft(self):
        if not self:  # Odoo calls it for the exchange entries of every journal item, mostly of none
            return super().button_draft()
        self.filtered(lambda move: move.state == "cancel")._check_milestones_free()
        result = super().button_draft()
        self._check_milestones_within_plan()
        self.reversal_move_ids._check_credited_within_invoice()
        return result

    def button_cancel(self):
        result = super().button_cancel()
        self._check_milestones_within_plan()
        return result

    def action_switch_move_type(self):
        """:raises UserError: for bills of milestones: a credit note is made from the posted invoice"""
        self.check_access("write")  # who may not learns nothing of the invoice
        if self.sudo().line_ids.billing_milestone_id:
            raise UserError(
                self.env._("An invoice of milestones stays one. To credit milestones, reverse their posted invoice.")
            )
        return super().action_switch_move_type()

    def _check_milestones_free(self):
        """:raises UserError: for cancelled invoices whose milestones were billed again, or are not approved any more"""
        lines = self.sudo().line_ids.filtered("milestone_billing_key")
        if not lines:
            return
        for milestone in lines.billing_milestone_id:
            if milestone.state != "approved":
                raise UserError(
                    self.env._(
                        "%(milestone)s is not approved any more: its invoice stays cancelled.",
                        milestone=milestone.display_name,
                    )
                )
        other = (
            self.env["account.move.line"]
            .sudo()
            .search(
                [
                    ("milestone_billing_key", "in", lines.mapped("milestone_billing_key")),
                    ("parent_state", "!=", "cancel"),
                ],
                limit=1,
            )
        )
        if other:
            raise UserError(
                self.env._(
                    "%(milestone)s was billed by %(invoice)s since: this invoice stays cancelled.",
                    milestone=other.billing_milestone_id.display_name,
                    invoice=other.move_id.display_name,
                )
            )

    def _check_milestones_within_plan(self):
        """A credit note on which a later bill relies stays posted, and so does a bill that is credited."""
        self.sudo().line_ids.billing_milestone_id._check_billed_within_plan()

    def _check_credited_within_invoice(self):
        """A credit note takes back what its own invoice bills; what another one bills is credited there.

        :raises UserError: when all credit notes of an invoice take back more of a milestone than it bills
        """
        for original in self.sudo().filtered(lambda move: move.move_type == "out_refund").reversed_entry_id:
            lines = (original | original.reversal_move_ids).line_ids.filtered(
                lambda line: line.parent_state == "posted" and line.display_type == "product"
            )
            for milestone, parts in lines.grouped("billing_milestone_id").items():
                if not milestone or milestone.currency_id.compare_amounts(parts._get_billed_amount(), 0.0) >= 0:
                    continue
                if original.state != "posted":
                    raise UserError(
                        self.env._(
                            "%(credits)s take back what %(invoice)s bills of %(milestone)s. "
                            "Set these back to draft first.",
                            credits=", ".join(parts.move_id.mapped("name")),
                            invoice=original.name,
                            milestone=milestone.display_name,
                        )
                    )
                raise UserError(
                    self.env._(
                        "More of %(milestone)s would be credited than %(invoice)s bills. "
                        "Credit the invoice that bills the rest.",
                        milestone=milestone.display_name,
                        invoice=original.display_name,
                    )
                )

    def action_view_billing_milestones(self):
        """Open the milestones that this invoice bills or credits."""
        self.ensure_one()
        self.check_access("read")
        action = self.env["ir.actions.act_window"]._for_xml_id("milestone_billing.sale_milestone_action")
        action["domain"] = [("id", "in", self.billing_milestone_ids.ids)]
        if len(self.billing_milestone_ids) == 1:
            action.update(views=[(False, "form")], res_id=self.billing_milestone_ids.id)
        return action

    def _queue_milestone_sending(self):
        """Hand posted invoices to Odoo's own asynchronous sending: mail and PDF come from its cron."""
        for move in self.filtered(lambda move: move.state == "posted" and move.partner_id.email):
            move.sending_data = {
                "author_user_id": SUPERUSER_ID,
                "author_partner_id": self.env["res.users"].browse(SUPERUSER_ID).partner_id.id,
                "sending_methods": ["email"],
            }
        self.env.ref("account.ir_cron_account_move_send").sudo()._trigger()

    def _get_milestone_statements(self):
        """Return one line of text per milestone, for the invoice, its PDF and its portal page."""
        self.ensure_one()
        return self.sudo().billing_milestone_ids._get_billing_statements()
