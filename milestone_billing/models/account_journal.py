from odoo import fields, models
from odoo.fields import Domain
from odoo.tools import SQL


class AccountJournal(models.Model):
    _inherit = "account.journal"

    def _get_open_sale_purchase_query(self, journal_type):
        """The dashboard counts an invoice with a retention as late when something is that is to be paid of it."""
        query, selects = super()._get_open_sale_purchase_query(journal_type)
        if journal_type == "sale":
            late = self._get_late_select(query)
            selects = [late if select.code.endswith(" AS late") else select for select in selects]
        return query, selects

    def _get_late_select(self, query):
        """Return the column that tells which of the open invoices are late; others than ours as Odoo has it."""
        past_due = Domain("id", "in", query) & Domain("is_past_due", "=", True)
        return SQL(
            """CASE WHEN account_move.move_type = 'out_invoice' AND account_move.retention_amount <> 0
                    THEN account_move.id IN %s
                    ELSE account_move.invoice_date_due < %s END AS late""",
            self.env["account.move"]._search(past_due, bypass_access=True).subselect(),
            fields.Date.context_today(self),
        )
