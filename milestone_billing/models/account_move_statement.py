from psycopg2.extras import Json

from odoo import api, fields, models


class AccountMove(models.Model):
    """The statement that goes with an invoice: one block per contract that it bills."""

    _inherit = "account.move"

    has_milestone_statement = fields.Boolean(compute="_compute_has_milestone_statement", compute_sudo=True)
    # {id of a contract: number of its change orders when the document was posted}, for its statement
    milestone_change_orders = fields.Json(groups="base.group_user", readonly=True, copy=False)

    def _post(self, soft=True):
        posted = super()._post(soft)
        posted._note_change_orders()
        return posted

    def _note_change_orders(self):
        """Keep how many change orders there are now, past ``write``: it would look at every journal item again."""
        numbers = {
            move.id: {str(order.id): order.change_order_count for order in move._get_statement_orders()}
            for move in self.filtered(lambda move: move.is_sale_document())
        }
        rows = [(number, Json(known)) for number, known in numbers.items() if known]
        if rows:
            self.invalidate_recordset(["milestone_change_orders"], flush=False)
            self.env.cr.execute_values(
                "UPDATE account_move SET milestone_change_orders = known.numbers::jsonb "
                "FROM (VALUES %s) AS known (id, numbers) WHERE known.id = account_move.id",
                rows,
            )

    def _get_stated_change_orders(self, order):
        """Return how many change orders of ``order`` the statement of this document knows, or None: all of them.

        To be called in superuser mode, by what has checked who may read the statement.
        """
        if self.state != "posted":
            return None
        return (self.milestone_change_orders or {}).get(str(order.id))

    @api.depends("state", "line_ids.sale_line_ids")
    def _compute_has_milestone_statement(self):
        for move in self:
            move.has_milestone_statement = move._has_statement()

    def _has_statement(self):
        """Whether the document bills or credits something of a contract with milestones."""
        self.ensure_one()
        return (
            self.move_type in ("out_invoice", "out_refund")
            and self.state != "cancel"
            and bool(self._get_statement_orders())
        )

    def _get_statement_orders(self):
        """Return the contracts of the document, as superuser."""
        self.ensure_one()
        return self.sudo().line_ids.sale_line_ids.order_id.filtered("milestone_ids").sorted("id")

    def _get_statement_values(self):
        """Return the statement of an invoice or credit note.

        Once the document is posted, what is billed, paid and released later does not change it. A document
        that comes before it does: when it is posted later with an earlier accounting date, or is set back to
        draft.

        :return: dict of ``invoice``, ``currency``, ``statements`` (per contract, see
            :meth:`sale.order._get_statement_values`), and for the whole document, in its currency, credit
            notes negative: ``untaxed``, ``tax`` (cash rounding included), ``total``, ``retained``, ``due``
            (total - retained), and ``unrelated`` (untaxed, of no contract with a statement)
        :raises AccessError: for those who may not read the document
        """
        self.ensure_one()
        self.check_access("read")
        move = self.sudo()
        orders, parts = move._get_statement_orders(), move._get_statement_amounts()
        retained = sum(move.line_ids.filtered("retention_order_id").mapped("amount_currency"))
        untaxed = sum(part["untaxed"] for part in parts.values())
        total = -move.direction_sign * move.amount_total
        round_ = move.currency_id.round
        return {
            "invoice": move,
            "currency": move.currency_id,
            "statements": [order.with_env(self.env)._get_statement_values(self) for order in orders],
            "untaxed": round_(untaxed),
            "tax": round_(total - untaxed),
            "total": total,
            "retained": round_(retained),
            "due": round_(total - retained),
            "unrelated": round_(sum(part["untaxed"] for order, part in parts.items() if order not in orders)),
        }

    def _get_statement_amounts(self):
        """Share the document out over its orders, to the cent.

        Lines that somebody typed belong to the order when there is only one.

        :return: ``{order: {"lines", "untaxed", "tax"}}`` in the currency of the document, credit notes
            negative; the key of lines without order is an empty recordset
        """
        self.ensure_one()
        move = self.sudo()
        orders = move.line_ids.sale_line_ids.order_id.sorted("id")
        default = orders if len(orders) == 1 else orders.browse()
        lines = move.line_ids.filtered(lambda line: line.display_type == "product")
        by_order = lines.grouped(lambda line: line.sale_line_ids.order_id[:1] or default)
        parts = {order: move.line_ids.browse() for order in orders} | by_order
        round_ = move.currency_id.round
        # taxes may be rounded over the whole document: the last order takes the cents
        left = -move.direction_sign * move.amount_total + sum(lines.mapped("amount_currency"))
        result = {}
        for number, (order, own) in enumerate(parts.items(), 1):
            tax = -move.direction_sign * (sum(own.mapped("price_total")) - sum(own.mapped("price_subtotal")))
            tax = round_(left if number == len(parts) else tax)
            left -= tax
            result[order] = {"lines": own, "untaxed": round_(-sum(own.mapped("amount_currency"))), "tax": tax}
        return result

    def _is_statement_attached(self):
        """Whether the mail of the document carries its statement."""
        self.ensure_one()
        return self._has_statement() and "attach" in self._get_statement_orders().mapped("milestone_statement_policy")

    def _get_statement_filename(self):
        self.ensure_one()
        return self.env._("Statement %(document)s", document=self.name or "").strip().replace("/", "_") + ".pdf"


class AccountMoveLine(models.Model):
    _inherit = "account.move.line"

    def _deducts_advance(self):
        """Whether the line of an advance deducts it (or, on a credit note, gives it back)."""
        self.ensure_one()
        return bool(self.advance_milestone_id) or self.amount_currency * self.move_id.direction_sign < 0.0
