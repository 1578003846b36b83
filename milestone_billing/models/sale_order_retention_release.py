import logging

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError

from .sale_milestone_approval import ACCOUNTANT_GROUPS

_logger = logging.getLogger(__name__)


class SaleOrder(models.Model):
    """Releasing what invoices of the order kept back, by hand or when the contract says so."""

    _inherit = "sale.order"

    retention_release_ids = fields.One2many(
        "sale.retention.release", "order_id", string="Retention Releases", readonly=True, copy=False
    )
    retention_release_count = fields.Integer(readonly=True, copy=False)

    @property
    def _protected_fields(self):
        return super()._protected_fields | {"retention_release_count", "retention_retained"}

    def action_release_retention(self):
        """Open the dialog that releases retention of this order.

        :raises AccessError: for others than accountants
        :raises UserError: when nothing is left to release
        """
        self.ensure_one()
        self._check_can_release()
        self.check_access("read")
        if not self._get_releasable():
            raise UserError(self.env._("%(order)s: no retention is left to release.", order=self.name))
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Release Retention"),
            "res_model": "sale.retention.release.wizard",
            "view_mode": "form",
            "target": "new",
            "context": {"default_order_id": self.id},
        }

    def action_view_retention(self):
        """Open the list of what these orders retained, released and got paid."""
        action = self.env["ir.actions.act_window"]._for_xml_id("milestone_billing.sale_retention_report_action")
        action["domain"] = [("order_id", "in", self.ids)]
        action["context"] = {}
        return action

    @api.model
    def _check_can_release(self):
        if not any(self.env.user.has_group(group) for group in ACCOUNTANT_GROUPS):
            raise AccessError(self.env._("Only accountants release retention."))

    def _get_releasable(self):
        """Return what is neither released nor paid."""
        self.ensure_one()
        items = self.sudo()._get_retention_items()
        return self.currency_id.round(max(sum(item._get_retention_withheld() for item in items), 0.0))

    def _release_retention(self, amount=None, due_date=None, origin="manual", note=False, announce=True):
        """Release retention, of the oldest invoices first; to be called after rights were checked.

        :param amount: in the currency of the order; by default all that is left
        :param due_date: by default by the payment terms of the order, from today
        :return: the release, in superuser mode
        :raises UserError: when the amount is not above zero, or above what is left
        """
        self.ensure_one()
        order = self.company_id._localize(self).sudo()
        order.lock_for_update(allow_referencing=True)
        releasable = order._get_releasable()
        amount = releasable if amount is None else order.currency_id.round(amount)
        if order.currency_id.compare_amounts(amount, 0.0) <= 0:
            raise UserError(self.env._("%(order)s: release an amount above zero.", order=order.name))
        if order.currency_id.compare_amounts(amount, releasable) > 0:
            raise UserError(
                self.env._(
                    "%(order)s retains %(left)s that is not released: %(amount)s cannot be released.",
                    order=order.name,
                    left=order.currency_id.format(releasable),
                    amount=order.currency_id.format(amount),
                )
            )
        due_date = fields.Date.to_date(due_date) or order._get_release_due_date()
        order._release_what_is_paid(due_date)
        release = order._create_release(
            order._allocate_release(amount), due_date=due_date, origin=origin, note=note, announce=announce
        )
        # two releases at once: the second one meets a changed row, and is tried again
        order.with_context(tracking_disable=True)._write_protected(
            {"retention_release_count": len(order.retention_release_ids)}
        )
        if announce:
            self.env.ref("milestone_billing.ir_cron_retention").sudo()._trigger()
        return release

    def _release_what_is_paid(self, due_date):
        """What was paid before its release is released now: else it would pay what is released next.

        :param due_date: that of what is released next: payments pay the oldest first
        """
        self.ensure_one()
        early = []
        for item in self._get_retention_items():
            paid = min(item._get_retention_paid(), item._get_retention_net())
            part = self.currency_id.round(paid - item.retention_released)
            if self.currency_id.compare_amounts(part, 0.0) > 0:
                early.append((item, part))
        if early:
            due_date = min(due_date, fields.Date.context_today(self))
            self._create_release(early, due_date=due_date, origin="payment", announce=False)

    def _create_release(self, allocation, **values):
        """Release (retention item, amount) pairs."""
        self.ensure_one()
        release = self.env["sale.retention.release"].create(
            {
                **values,
                "name": self.env._(
                    "%(order)s release %(number)s", order=self.name, number=len(self.retention_release_ids) + 1
                ),
                "order_id": self.id,
                "partner_id": self.partner_invoice_id.id or self.partner_id.id,
                "date": fields.Date.context_today(self),
                "line_ids": [
                    fields.Command.create({"move_line_id": item.id, "amount": part}) for item, part in allocation
                ],
            }
        )
        release.line_ids.move_line_id._sync_released()
        return release

    def _allocate_release(self, amount):
        """Return (retention item, amount) pairs, oldest invoices first."""
        self.ensure_one()
        allocation = []
        for item in self._get_retention_items():
            part = self.currency_id.round(min(amount, max(item._get_retention_withheld(), 0.0)))
            if self.currency_id.compare_amounts(part, 0.0) > 0:
                allocation.append((item, part))
                amount = self.currency_id.round(amount - part)
        return allocation

    def _get_release_due_date(self):
        self.ensure_one()
        today = self.company_id._get_today()
        if not self.payment_term_id:
            return today
        terms = self.payment_term_id._compute_terms(
            date_ref=today,
            currency=self.currency_id,
            company=self.company_id,
            tax_amount=0.0,
            tax_amount_currency=0.0,
            sign=1,
            untaxed_amount=1.0,
            untaxed_amount_currency=1.0,
        )
        return max(line["date"] for line in terms["line_ids"])

    @api.model
    def _cron_release_retention(self):
        """Release what is due by contract, announce releases, and remind of overdue ones."""
        orders = self.search(
            [("milestone_retention_trigger", "in", ("date", "milestone")), ("retention_retained", ">", 0.0)]
        ).filtered(
            lambda order: (
                (day := order._get_retention_release_date())
                and day <= order.company_id._get_today()
                and order._get_releasable()
            )
        )
        cron = self.env["ir.cron"]
        cron._commit_progress(remaining=len(orders))
        for order in orders:
            try:
                with self.env.cr.savepoint():
                    order._release_retention(origin=order.milestone_retention_trigger)
            except UserError as error:
                _logger.warning("Retention of %s is not released: %s", order.name, error)
            if not cron._commit_progress(1):
                return
        self.env["sale.retention.release"]._cron_announce()
        self.env["sale.retention.release"]._cron_remind()
