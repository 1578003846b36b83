from datetime import timedelta

from psycopg2 import IntegrityError, OperationalError

from odoo import api, fields, models
from odoo.exceptions import UserError

# Milestones of a batch: at least so many if there are, more when a customer's invoice has more.
BATCH_SIZE = 200
QUEUE_ORDER = "invoice_queued_on, order_id, sequence, id"


class SaleMilestone(models.Model):
    """The invoice queue in batches: what belongs on one invoice stays together."""

    _inherit = "sale.milestone"

    # Without a domain the ORM finds through it whose amounts to compute again, instead of searching line by line.
    gated_line_ids = fields.One2many(
        "sale.order.line", "billing_milestone_id", string="Lines and Sections", readonly=True, copy=False
    )

    def _get_invoice_grouping(self):
        self.ensure_one()
        return "customer" if self.order_id._is_billed_together() else self.company_id.milestone_invoice_grouping

    def _get_invoice_unit(self, grouping=None):
        """Return a key: milestones on one invoice have the same, whatever the terms of their orders say."""
        self.ensure_one()
        grouping = grouping or self._get_invoice_grouping()
        if grouping == "customer":
            return grouping, self.company_id.id, self.order_id.partner_id.commercial_partner_id.id
        return grouping, self.order_id.id if grouping == "order" else self.id

    def _group_for_invoicing(self, grouping):
        return self.grouped(
            lambda milestone: (
                milestone.company_id,
                milestone.order_id.milestone_invoice_policy,
                grouping or milestone._get_invoice_grouping(),
            )
        )

    # -- batches ------------------------------------------------------------------------------------

    @api.model
    def _take_invoice_batch(self, domain):
        """Lock what nobody else has; a batch ends between invoices.

        An invoice of which somebody holds a part waits for the rest.
        """
        units = self._get_queued_units(domain)
        batch = self.browse([milestone.id for unit in units for milestone in unit])
        locked = batch.try_lock_for_update(allow_referencing=True)
        if locked == batch:
            return batch.filtered_domain(domain)
        whole = [unit for unit in units if unit <= locked]
        self._wake_invoice_queue(fields.Datetime.now() + timedelta(minutes=5))
        return self.browse([milestone.id for unit in whole for milestone in unit]).filtered_domain(domain)

    @api.model
    def _get_queued_units(self, domain):
        """Return what comes first in the queue, each with everything that goes on its invoice."""
        first = self.search(domain, order=QUEUE_ORDER, limit=BATCH_SIZE)
        units = first.grouped(lambda milestone: milestone._get_invoice_unit())
        if len(first) == BATCH_SIZE and any(grouping != "milestone" for grouping, *_key in units):
            customers = first.order_id.partner_id.commercial_partner_id
            same_customers = fields.Domain("partner_id.commercial_partner_id", "in", customers.ids)
            everything = self.search(domain & same_customers, order=QUEUE_ORDER)
            complete = everything.grouped(lambda milestone: milestone._get_invoice_unit())
            units = {unit: complete[unit] for unit in units}
        batch, size = [], 0
        for milestones in units.values():
            if size >= BATCH_SIZE:
                break
            batch.append(milestones)
            size += len(milestones)
        return batch

    @api.model
    def _wake_invoice_queue(self, moment=None):
        """Run the queue now, or at a moment to come (UTC)."""
        cron = self.env.ref("milestone_billing.ir_cron_invoice_queue").sudo()
        triggers = self.env["ir.cron.trigger"].sudo()
        if not moment or moment <= fields.Datetime.now():
            cron._trigger()
        elif not triggers.search_count([("cron_id", "=", cron.id), ("call_at", "=", moment)], limit=1):
            cron._trigger(at=moment)

    # -- failures -----------------------------------------------------------------------------------

    def _try_invoices(self, policy, grouping):
        """Make invoices; what fails keeps its error, and what it would have shared an invoice with is billed."""
        invoices, error = self._attempt_invoices(policy, grouping)
        if not error:
            return invoices
        units = self.grouped(lambda milestone: milestone._get_invoice_unit(grouping))
        if len(units) == 1:
            return self._invoice_without_failures(policy, grouping, error)
        invoices = self.env["account.move"]
        for milestones in units.values():
            invoices |= milestones._try_invoices(policy, grouping)
        return invoices

    def _make_invoices_or_tell(self, policy, grouping):
        """Make all invoices or none.

        :raises UserError: naming which of several milestones cannot be invoiced, and why
        """
        invoices, error = self._attempt_invoices(policy, grouping)
        if not error:
            return invoices
        if len(self) > 1 and isinstance(error, UserError | IntegrityError):
            for milestone, reason in self._find_failures(policy, grouping, error).items():
                raise UserError(
                    self.env._(
                        "%(milestone)s cannot be invoiced: %(reason)s",
                        milestone=milestone.display_name,
                        reason=milestone._describe_invoice_error(reason),
                    )
                ) from error
        raise error

    def _attempt_invoices(self, policy, grouping, keep=True):
        """Make invoices, wholly or not at all.

        :param bool keep: False to see only whether it would work
        :return: the invoices and the error, one of them empty
        """
        invoices, failure = self.env["account.move"], None
        try:
            with self.env.cr.savepoint() as savepoint:
                invoices = self._make_invoices(policy, grouping)
                if not keep:
                    self.env.flush_all()
                    savepoint.rollback()
                    invoices = self.env["account.move"]
        except OperationalError:
            raise  # a lock or a conflict with another transaction: the whole is retried
        except Exception as error:
            failure = error
        if failure or not keep:
            self.env.invalidate_all()
        return invoices, failure

    def _invoice_without_failures(self, policy, grouping, error):
        """Keep the errors of those milestones of an invoice that fail, and bill the others together."""
        failures = self._find_failures(policy, grouping, error)
        sound = self - self.browse().union(*failures)
        invoices = self.env["account.move"]
        if sound:
            invoices, error = sound._attempt_invoices(policy, grouping)
            if error:  # each would work, and all of them do not
                failures.update(dict.fromkeys(sound, error))
        for milestone, reason in failures.items():
            milestone._keep_invoice_error(reason)
        return invoices

    def _find_failures(self, policy, grouping, error):
        """Return the errors by milestone, found by trying halves: whole orders first.

        :param error: why all of ``self`` together cannot be invoiced
        """
        if len(self) == 1:
            return {self: error}
        orders = list(self.grouped("order_id").values())
        pieces = orders if len(orders) > 1 else list(self)
        middle = len(pieces) // 2
        failures = {}
        for half in (pieces[:middle], pieces[middle:]):
            milestones = self.browse().union(*half)
            _none, failure = milestones._attempt_invoices("post" if policy == "send" else policy, grouping, keep=False)
            if failure:
                failures.update(milestones._find_failures(policy, grouping, failure))
        return failures
