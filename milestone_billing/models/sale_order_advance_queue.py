from datetime import timedelta

from psycopg2 import OperationalError

from odoo import api, fields, models
from odoo.exceptions import AccessError

QUEUE_FIELDS = frozenset({"advance_queued_on", "advance_error"})


class SaleOrder(models.Model):
    """Agreed advances are invoiced by the invoice queue, after the transaction in which the client signed."""

    _inherit = "sale.order"

    advance_queued_on = fields.Datetime(
        string="Advance in Invoice Queue Since", readonly=True, copy=False, groups="base.group_user"
    )
    advance_error = fields.Text(string="Advance Not Invoiced", readonly=True, copy=False, groups="base.group_user")

    _advance_queue = models.Index("(advance_queued_on) WHERE advance_queued_on IS NOT NULL")

    @api.model_create_multi
    def create(self, vals_list):
        for vals in vals_list:
            self._refuse_advance_queue(vals)
        defaults = {f"default_{name}" for name in QUEUE_FIELDS}
        if not defaults.isdisjoint(self.env.context):
            context = {key: value for key, value in self.env.context.items() if key not in defaults}
            self = self.with_context(context)  # pylint: disable=context-overridden, self-cls-assignment
        return super().create(vals_list)

    def write(self, vals):
        self._refuse_advance_queue(vals)
        return super().write(vals)

    def _refuse_advance_queue(self, vals):
        if QUEUE_FIELDS.intersection(vals):
            raise AccessError(self.env._("The invoice queue fills itself. Use the button to invoice the advance."))

    def _write_advance_queue(self, queued_on=False, error=False):
        return super(SaleOrder, self.sudo()).write({"advance_queued_on": queued_on, "advance_error": error})

    def _queue_advance(self):
        if self:
            self._write_advance_queue(queued_on=fields.Datetime.now())
            self.env.ref("milestone_billing.ir_cron_invoice_queue").sudo()._trigger()

    def _leave_advance_queue(self):
        self._write_advance_queue()
        self.activity_unlink(["milestone_billing.mail_activity_advance_failed"])

    @api.model
    def _process_advance_queue(self):
        """Invoice agreed advances, order by order; what fails leaves the queue until the next day.

        :return: whether there is time left for more work
        """
        domain = fields.Domain("advance_queued_on", "<=", fields.Datetime.now()) & fields.Domain("state", "=", "sale")
        cron = self.env["ir.cron"]
        orders = self.search(domain, order="advance_queued_on, id")
        if orders:
            cron._commit_progress(remaining=len(orders))
        for order in orders:
            order = order.try_lock_for_update(allow_referencing=True).filtered_domain(domain)
            order._try_advance_invoice()
            if not cron._commit_progress(1):
                return False
        return True

    def _try_advance_invoice(self):
        for order in self:
            if order._get_advance_obstacle():
                order._leave_advance_queue()  # somebody was faster
                continue
            try:
                with self.env.cr.savepoint():
                    order._make_advance_invoice()
            except OperationalError:
                raise  # a lock or a conflict with another transaction: the whole is retried
            except Exception as error:
                order._keep_advance_error(error)

    def _keep_advance_error(self, error):
        """Keep why there is no advance invoice, tell somebody, and try again tomorrow."""
        self.ensure_one()
        self.env.invalidate_all()
        reason = self.milestone_ids[:1]._describe_invoice_error(error)
        self._write_advance_queue(queued_on=fields.Datetime.now() + timedelta(days=1), error=reason)
        user = self.milestone_ids[:1]._get_invoicing_user()
        xmlid = "milestone_billing.mail_activity_advance_failed"
        if user and not self.activity_search([xmlid]):
            self.activity_schedule(
                xmlid,
                user_id=user.id,
                summary=self.env._("The advance of %(order)s could not be invoiced", order=self.name),
                note=reason,
            )
