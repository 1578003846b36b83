from odoo import fields, models
from odoo.tools import SQL

from .sale_order_retention import UNRELEASED

# What posted entries settled of a retention item, and how much of it is a payment and no credit note.
SETTLED = SQL(
    """(
        SELECT SUM(entry.amount) AS amount, SUM(entry.balance) AS balance,
               SUM(entry.amount) FILTER (WHERE other.retention_order_id IS NULL) AS paid
          FROM (
            SELECT partial.credit_move_id AS other_id, partial.debit_amount_currency AS amount,
                   partial.amount AS balance
              FROM account_partial_reconcile partial
             WHERE partial.debit_move_id = line.id
             UNION ALL
            SELECT partial.debit_move_id, -partial.credit_amount_currency, -partial.amount
              FROM account_partial_reconcile partial
             WHERE partial.credit_move_id = line.id
               ) entry
          JOIN account_move_line other ON other.id = entry.other_id AND other.parent_state = 'posted'
    )"""
)

# What an entry settled of posted retention items of another currency, or of another company: a client may pay in any
# currency, and a company is paid for its branches. Amounts carry the sign of the entry; ``amount`` is in its own
# currency, ``item_amount`` in that of the retention item.
SETTLED_ABROAD = SQL(
    """(
        SELECT item.id AS item_id, item.company_id, item.currency_id, entry.amount, entry.item_amount, entry.balance
          FROM (
            SELECT partial.debit_move_id AS item_id, -partial.credit_amount_currency AS amount,
                   -partial.debit_amount_currency AS item_amount, -partial.amount AS balance
              FROM account_partial_reconcile partial
             WHERE partial.credit_move_id = line.id
             UNION ALL
            SELECT partial.credit_move_id, partial.debit_amount_currency, partial.credit_amount_currency, partial.amount
              FROM account_partial_reconcile partial
             WHERE partial.debit_move_id = line.id
               ) entry
          JOIN account_move_line item ON item.id = entry.item_id AND item.parent_state = 'posted'
         WHERE item.retention_order_id IS NOT NULL
           AND (item.currency_id != line.currency_id OR item.company_id != line.company_id)
    )"""
)


class SaleRetentionReport(models.Model):
    """One row per retention item of the ledger: retained, released, due, paid and open.

    Amounts are in the currency of the document; those of credit notes are negative, so that sums
    are what is left. What is open is the residual of the journal item: the sum of it over an
    account is the balance of the account (see :class:`SaleRetentionCheck`).
    """

    _name = "sale.retention.report"
    _description = "Retention"
    _auto = False
    _rec_name = "move_id"
    _order = "date desc, id desc"

    order_id = fields.Many2one("sale.order", string="Contract", readonly=True)
    partner_id = fields.Many2one("res.partner", string="Customer", readonly=True)
    user_id = fields.Many2one("res.users", string="Salesperson", readonly=True)
    move_id = fields.Many2one("account.move", string="Invoice", readonly=True)
    account_id = fields.Many2one("account.account", readonly=True)
    company_id = fields.Many2one("res.company", readonly=True)
    currency_id = fields.Many2one("res.currency", readonly=True)
    company_currency_id = fields.Many2one("res.currency", readonly=True)
    date = fields.Date(string="Invoice Date", readonly=True)
    due_date = fields.Date(string="Due on", readonly=True)
    retained = fields.Monetary(readonly=True)
    released = fields.Monetary(readonly=True)
    due = fields.Monetary(readonly=True, help="Released, not paid, and its due date has come.")
    paid = fields.Monetary(readonly=True)
    withheld = fields.Monetary(string="Still Retained", readonly=True, help="Retained and neither released nor paid.")
    open = fields.Monetary(readonly=True, help="Retained and not paid: what the account holds.")
    open_company = fields.Monetary(
        string="Open (Company Currency)", currency_field="company_currency_id", readonly=True
    )

    @property
    def _table_query(self):
        return SQL(
            """
            SELECT item.id, item.order_id, item.partner_id, item.user_id, item.move_id, item.account_id,
                   item.company_id, item.currency_id, item.company_currency_id, item.date,
                   CASE WHEN item.date_maturity < %(unreleased)s THEN item.date_maturity
                        ELSE item.part_due END AS due_date,
                   item.retained, item.released, item.paid,
                   GREATEST(LEAST(item.released, item.released_due) - GREATEST(item.paid, 0), 0) AS due,
                   item.retained - CASE WHEN item.retained > 0 THEN GREATEST(item.released, item.paid)
                                        ELSE item.paid END AS withheld,
                   item.open, item.open_company
              FROM (
                SELECT line.id, line.retention_order_id AS order_id, line.partner_id, orders.user_id, line.move_id,
                       line.account_id, line.company_id, line.currency_id, line.company_currency_id,
                       COALESCE(move.invoice_date, line.date) AS date, line.date_maturity,
                       line.amount_currency AS retained,
                       COALESCE(line.retention_released, 0) AS released,
                       COALESCE(settled.paid, 0) AS paid,
                       line.amount_currency - COALESCE(settled.amount, 0) AS open,
                       line.balance - COALESCE(settled.balance, 0) AS open_company,
                       COALESCE(part.amount_due, 0) AS released_due,
                       part.due_date AS part_due
                  FROM account_move_line line
                  JOIN account_move move ON move.id = line.move_id
                  JOIN sale_order orders ON orders.id = line.retention_order_id
             LEFT JOIN LATERAL %(settled)s settled ON TRUE
             LEFT JOIN LATERAL (
                    SELECT SUM(part.amount) FILTER (WHERE part.due_date <= %(today)s) AS amount_due,
                           MIN(part.due_date) AS due_date
                      FROM sale_retention_release_line part
                      JOIN sale_retention_release release ON release.id = part.release_id
                     WHERE part.move_line_id = line.id AND release.state = 'released' AND part.amount > 0
                       ) part ON TRUE
                 WHERE line.retention_order_id IS NOT NULL AND line.parent_state = 'posted'
                   ) item
            """,
            settled=SETTLED,
            unreleased=UNRELEASED,
            today=fields.Date.context_today(self),
        )

    def action_open_invoice(self):
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "res_model": "account.move",
            "res_id": self.move_id.id,
            "view_mode": "form",
        }

    def action_release_retention(self):
        """Open the dialog that releases retention of the row's contract."""
        return self.order_id.action_release_retention()


class SaleRetentionCheck(models.Model):
    """Whether the list of retentions agrees with the ledger: one row per account and currency.

    What was paid in another currency, or to another company for its branch, counts as what it settled, in the
    currency and company of the retention.
    """

    _name = "sale.retention.check"
    _description = "Retention Check"
    _auto = False
    _rec_name = "account_id"
    _order = "company_id, account_id, currency_id"

    account_id = fields.Many2one("account.account", readonly=True)
    company_id = fields.Many2one("res.company", readonly=True)
    currency_id = fields.Many2one("res.currency", readonly=True)
    company_currency_id = fields.Many2one("res.currency", readonly=True)
    listed = fields.Monetary(readonly=True, help="Sum of what is open in the list of retentions.")
    ledger = fields.Monetary(readonly=True, help="Balance of the account.")
    difference = fields.Monetary(readonly=True, help="Entries on the account that are no retention of a contract.")
    listed_company = fields.Monetary(
        string="Listed (Company Currency)", currency_field="company_currency_id", readonly=True
    )
    ledger_company = fields.Monetary(
        string="Ledger (Company Currency)", currency_field="company_currency_id", readonly=True
    )
    difference_company = fields.Monetary(
        string="Difference (Company Currency)", currency_field="company_currency_id", readonly=True
    )

    @property
    def _table_query(self):
        return SQL(
            """
            WITH entries AS (
                SELECT line.*
                  FROM account_move_line line
                 WHERE line.parent_state = 'posted'
                   AND line.account_id IN (
                       SELECT account_id FROM account_move_line WHERE retention_order_id IS NOT NULL
                        UNION SELECT milestone_retention_account_id FROM res_company)
            )
            SELECT MIN(part.id) AS id, part.account_id, part.company_id, part.currency_id, part.company_currency_id,
                   SUM(part.ledger) AS ledger, SUM(part.ledger_company) AS ledger_company,
                   SUM(part.listed) AS listed, SUM(part.listed_company) AS listed_company,
                   SUM(part.ledger - part.listed) AS difference,
                   SUM(part.ledger_company - part.listed_company) AS difference_company
              FROM (
                SELECT line.id, line.account_id, line.company_id, line.currency_id, line.company_currency_id,
                       line.amount_currency AS ledger, line.balance AS ledger_company,
                       line.amount_currency - COALESCE(settled.amount, 0) AS listed,
                       line.balance - COALESCE(settled.balance, 0) AS listed_company
                  FROM entries line
             LEFT JOIN LATERAL %(settled)s settled ON TRUE
                 WHERE line.retention_order_id IS NOT NULL
                 UNION ALL
                SELECT line.id, line.account_id, line.company_id, line.currency_id, line.company_currency_id,
                       line.amount_currency - COALESCE(SUM(abroad.amount), 0),
                       line.balance - COALESCE(SUM(abroad.balance), 0), 0, 0
                  FROM entries line
             LEFT JOIN LATERAL %(abroad)s abroad ON TRUE
                 WHERE line.retention_order_id IS NULL
              GROUP BY line.id, line.account_id, line.company_id, line.currency_id, line.company_currency_id,
                       line.amount_currency, line.balance
                 UNION ALL
                SELECT abroad.item_id, line.account_id, abroad.company_id, abroad.currency_id, line.company_currency_id,
                       abroad.item_amount, abroad.balance, 0, 0
                  FROM entries line
            CROSS JOIN LATERAL %(abroad)s abroad
                 WHERE line.retention_order_id IS NULL
                   ) part
          GROUP BY part.account_id, part.company_id, part.currency_id, part.company_currency_id
            """,
            settled=SETTLED,
            abroad=SETTLED_ABROAD,
        )

    def action_open_difference(self):
        """Open the entries that settle no posted retention: unreconciled, or matched with a draft."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Other Entries"),
            "res_model": "account.move.line",
            "view_mode": "list,form",
            "domain": [
                ("account_id", "=", self.account_id.id),
                ("company_id", "=", self.company_id.id),
                ("currency_id", "=", self.currency_id.id),
                ("retention_order_id", "=", False),
                ("parent_state", "=", "posted"),
                "|",
                "|",
                ("amount_residual", "!=", 0.0),
                ("matched_debit_ids.debit_move_id.parent_state", "=", "draft"),
                ("matched_credit_ids.credit_move_id.parent_state", "=", "draft"),
            ],
        }
