from functools import partial

from odoo import api, fields, models


class AccountMove(models.Model):
    _inherit = "account.move"

    def _reconcile_reversed_moves(self, reverse_moves, move_reverse_cancel):
        """Set each credit note against its own invoice, and what it gives back against its own contract.

        Odoo pairs them by their places, which are not the same once two credit notes are of one invoice.
        """
        if self != reverse_moves.reversed_entry_id:
            return super()._reconcile_reversed_moves(reverse_moves, move_reverse_cancel)
        for reverse_move in reverse_moves.with_context(retention_of_own_contract=True):
            super(AccountMove, reverse_move.reversed_entry_id)._reconcile_reversed_moves(
                reverse_move, move_reverse_cancel
            )
        return reverse_moves


class AccountMoveLine(models.Model):
    """What is matched with the retentions of several contracts, on one account.

    A retention is first set against what its own contract gave back. Payments go to what is released, the
    oldest first, and then, as Odoo has it, to the rest.
    """

    _inherit = "account.move.line"

    @api.model
    def _prepare_reconciliation_amls(self, values_list, shadowed_aml_values=None):
        orders = self.browse().union(*(values["aml"] for values in values_list)).retention_order_id
        if not orders:
            return super()._prepare_reconciliation_amls(values_list, shadowed_aml_values=shadowed_aml_values)
        match = partial(super()._prepare_reconciliation_amls, shadowed_aml_values=shadowed_aml_values)
        results = []
        for order in orders:
            own = [values for values in values_list if values["aml"].retention_order_id == order]
            results += match(self._get_unsettled(own))[0]
        if len(orders) == 1 or not self.env.context.get("retention_of_own_contract"):
            results += self._match_released(self._get_unsettled(values_list), match)
            results += match(self._get_unsettled(values_list))[0]
        return results, {values["aml"].id for values in values_list} - {
            values["aml"].id for values in self._get_unsettled(values_list)
        }

    @api.model
    def _get_unsettled(self, values_list):
        return [
            values
            for values in values_list
            if not (
                values["aml"].company_currency_id.is_zero(values["amount_residual"])
                and values["aml"].currency_id.is_zero(values["amount_residual_currency"])
            )
        ]

    @api.model
    def _match_released(self, values_list, match):
        """Let payments pay what is released of several retentions; return what ``match`` returns."""
        retained = [values for values in values_list if values["aml"].retention_order_id]
        payments = [values for values in values_list if not values["aml"].retention_order_id]
        if len(retained) == 1 or not payments:
            return []
        released = [
            (values, part) for values in retained if (part := values["aml"]._get_released_part(values)) is not None
        ]
        released.sort(key=lambda item: item[1]["aml"]._get_retention_owed_since() or fields.Date.today())
        before = [dict(part) for _values, part in released]
        results = match([*(part for _values, part in released), *payments])[0]
        for (values, part), asked in zip(released, before, strict=True):
            for name in ("amount_residual", "amount_residual_currency"):
                values[name] -= asked[name] - part[name]
        return results

    def _get_released_part(self, values):
        """Return ``values`` with no more than what is released and not paid, or None."""
        self.ensure_one()
        residual = values["amount_residual_currency"]
        owed = min(self._get_retention_owed(), residual)
        if self.currency_id.compare_amounts(owed, 0.0) <= 0:
            return None
        balance = self.company_currency_id.round(values["amount_residual"] * owed / residual)
        return {**values, "amount_residual_currency": owed, "amount_residual": balance}
