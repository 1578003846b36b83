from odoo import api, models


class AccountPaymentRegister(models.TransientModel):
    _inherit = "account.payment.register"

    @api.model
    def default_get(self, fields):
        """A payment pays what clients owe: of each document the trade part, then what is released of retentions.

        What is not released is paid where nothing else is to be paid.
        """
        values = super().default_get(fields)
        for command in values.get("line_ids") or []:
            lines = self.env["account.move.line"].browse(command[2])
            owed = lines.browse()
            for items in lines.grouped("move_id").values():
                trade = items.filtered(lambda line: not line.retention_order_id)
                owed |= trade or items.filtered(lambda line: line._get_retention_owed())
            if owed and owed != lines:
                values["line_ids"] = [(6, 0, owed.ids)]
        return values

    def _create_payment_vals_from_batch(self, batch_result):
        """Who pays each document by itself pays what is asked for: of a retention, what is released of it."""
        values = super()._create_payment_vals_from_batch(batch_result)
        if self.installments_mode in ("next", "overdue", "before_date"):
            values["amount"] -= sum(line._get_retention_not_asked() for line in batch_result["lines"])
        return values

    def _compute_payment_difference(self):
        """Who marks an invoice as fully paid writes off what the client owes, and nothing that is withheld."""
        super()._compute_payment_difference()
        for wizard in self.filtered(lambda wizard: wizard.payment_date and wizard.payment_difference > 0.0):
            withheld = wizard._get_withheld_amount()
            if withheld:
                full = wizard._get_total_amounts_to_pay(wizard.batches)["full_amount_for_difference"]
                difference = wizard.currency_id.round(full - withheld - wizard.amount)
                wizard.payment_difference = max(min(wizard.payment_difference, difference), 0.0)

    def _create_payment_vals_from_wizard(self, batch_result):
        """An exchange difference settles what the client owes, too: here by the balance of the payment."""
        values = super()._create_payment_vals_from_wizard(batch_result)
        if values.get("force_balance") and self.payment_difference > 0.0:
            values["force_balance"] -= sum(part["amount_residual"] for part in self._get_withheld_parts())
        return values

    def _init_payments(self, to_process, edit_mode=False):
        """Of a payment in the company's currency, an exchange difference is the rate of what the client owes.

        Odoo sets a rate, that of all, also where no difference is booked. Then it is that of the day.
        """
        for values in to_process:
            if values.get("rate") and (withheld := self._get_withheld_parts()):
                if self.payment_difference_handling == "open" or self.currency_id.is_zero(self.payment_difference):
                    del values["rate"]
                elif self.payment_difference > 0.0:
                    total = sum(values["to_reconcile"].mapped("amount_residual_currency"))
                    owed = total - sum(part["amount_residual_currency"] for part in withheld)
                    values["rate"] = abs(owed / self.amount)
        return super()._init_payments(to_process, edit_mode=edit_mode)

    def _get_withheld_amount(self):
        """Return what of the journal items is retained and not released, in the currency of the payment."""
        return abs(self._convert_to_wizard_currency(self._get_withheld_parts()))

    def _get_withheld_parts(self):
        """Return the installments of the journal items that are retained and not released."""
        self.ensure_one()
        lines = self.env["account.move.line"].union(*(batch["lines"] for batch in self.batches))
        if not lines.retention_order_id:
            return []
        return [
            part
            for items in lines.grouped("move_id").values()
            for part in items._get_installments_data(payment_currency=self.currency_id, payment_date=self.payment_date)
            if part.get("withheld")
        ]
