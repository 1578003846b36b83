import logging
from datetime import timedelta

from psycopg2 import IntegrityError

from odoo import api, fields, models
from odoo.exceptions import AccessError, RedirectWarning, UserError, ValidationError
from odoo.tools import format_date

from .sale_milestone import AMOUNT_GROUPS, BILLING_STATES
from .sale_milestone_screen import INTERNAL

_logger = logging.getLogger(__name__)

INVOICING_GROUP = "account.group_account_invoice"


class SaleMilestone(models.Model):
    """Billing of approved milestones: the invoice queue, and the state that follows the invoices."""

    _inherit = "sale.milestone"

    invoice_line_ids = fields.One2many(
        "account.move.line", "billing_milestone_id", string="Invoice Lines", readonly=True, copy=False
    )
    invoice_count = fields.Integer(compute="_compute_invoice_count", compute_sudo=True)
    billing_state = fields.Selection(
        BILLING_STATES,
        string="Billing",
        compute="_compute_billing_state",
        store=True,
        index=True,
        copy=False,
        tracking=True,
    )
    billing_round = fields.Integer(
        default=1,
        readonly=True,
        copy=False,
        help="1 for the first billing; one more each time that somebody decides to bill a credited amount again.",
    )
    amount_invoiced = fields.Monetary(
        string="Invoiced",
        compute="_compute_amount_invoiced",
        store=True,
        copy=False,
        groups=AMOUNT_GROUPS,
        help="Untaxed amount of posted invoices less credit notes.",
    )
    on_hold = fields.Boolean(
        readonly=True,
        copy=False,
        tracking=True,
        groups=INTERNAL,
        help="An approved milestone on hold is not invoiced until the hold is lifted.",
    )
    invoice_queued_on = fields.Datetime(
        string="Billed From",
        readonly=True,
        copy=False,
        help="From then on the invoice queue takes the milestone; empty when it waits for a person.",
    )
    invoice_error = fields.Text(string="Invoicing Failed", readonly=True, copy=False, groups=INTERNAL)

    _invoice_queue = models.Index("(invoice_queued_on) WHERE invoice_queued_on IS NOT NULL")

    @api.depends("invoice_line_ids.move_id")
    def _compute_invoice_count(self):
        for milestone in self:
            milestone.invoice_count = len(milestone.invoice_line_ids.move_id)

    @api.depends(
        "state",
        "billing_round",
        "amount_untaxed",
        "invoice_line_ids.parent_state",
        "invoice_line_ids.amount_currency",
        "invoice_line_ids.move_id.move_type",
        "invoice_line_ids.move_id.payment_state",
        "invoice_line_ids.move_id.reversal_move_ids.state",
    )
    def _compute_billing_state(self):
        for milestone in self:
            milestone.billing_state = milestone._get_billing_state()

    def _get_billing_state(self):
        self.ensure_one()
        invoice_lines = self._get_live_invoice_lines().filtered(lambda line: line._is_milestone_bill())
        current = self._get_current_bills()
        posted = self._get_posted_invoice_lines()._get_billed_amount()
        if not current:
            if self.state != "approved" or not self.order_line_ids:
                return "not_due"
            if not invoice_lines or self.currency_id.compare_amounts(posted, self.amount_untaxed) < 0:
                return "to_invoice"
            current = invoice_lines  # opened for billing again, and the credit was undone: nothing is missing
        if any(line.parent_state == "draft" for line in current):
            return "draft"
        if self.currency_id.is_zero(posted):
            return "credited"
        settled = {"paid", "in_payment", "reversed"}
        states, every = current._get_payment_states(), invoice_lines._get_payment_states()
        if every <= settled:
            return "paid"
        if states <= settled:  # an earlier billing is still unpaid
            states = every
        return "partial" if states & {"partial", "paid", "in_payment"} else "invoiced"

    @api.depends("invoice_line_ids.parent_state", "invoice_line_ids.amount_currency")
    def _compute_amount_invoiced(self):
        for milestone in self:
            milestone.amount_invoiced = milestone._get_posted_invoice_lines()._get_billed_amount()

    def _get_current_bills(self):
        """Return the live invoice lines of the present billing round, and the drafts of any round."""
        self.ensure_one()
        return self._get_live_invoice_lines().filtered(
            lambda line: (
                line._is_milestone_bill()
                and (line.parent_state == "draft" or line._get_billing_round() == self.billing_round)
            )
        )

    def _get_live_invoice_lines(self):
        return self.invoice_line_ids.filtered(
            lambda line: line.parent_state != "cancel" and line.display_type == "product"
        )

    def _get_posted_invoice_lines(self):
        return self._get_live_invoice_lines().filtered(lambda line: line.parent_state == "posted")

    def _get_billable_amount(self):
        """Return the most that documents may bill of the milestone, untaxed."""
        self.ensure_one()
        return self.amount_untaxed

    def _check_billed_within_plan(self):
        """:raises UserError: when a milestone is billed beyond its plan, or more of it is credited than was billed"""
        for milestone in self:
            currency = milestone.currency_id
            lines = milestone._get_live_invoice_lines()
            if any(line.currency_id != currency for line in lines):
                raise UserError(
                    self.env._(
                        "%(milestone)s is billed in the currency of its order.", milestone=milestone.display_name
                    )
                )
            posted = lines.filtered(lambda line: line.parent_state == "posted")._get_billed_amount()
            drafts = lines.filtered(lambda line: line.parent_state == "draft" and line._is_milestone_bill())
            billable = milestone._get_billable_amount()
            if currency.compare_amounts(posted + drafts._get_billed_amount(), billable) > 0:
                raise UserError(
                    self.env._(
                        "%(milestone)s would be billed beyond the agreed %(amount)s.",
                        milestone=milestone.display_name,
                        amount=currency.format(billable),
                    )
                )
            if currency.compare_amounts(posted, 0.0) < 0:
                raise UserError(
                    self.env._(
                        "More of %(milestone)s would be credited than was billed.", milestone=milestone.display_name
                    )
                )
            if milestone.state != "approved" and currency.compare_amounts(posted, 0.0) > 0:
                raise UserError(
                    self.env._(
                        "%(milestone)s is not approved any more: what was billed of it stays credited.",
                        milestone=milestone.display_name,
                    )
                )

    def _is_gate_open(self):
        """Whether the order lines of the milestone may be invoiced."""
        self.ensure_one()
        return self.state == "approved" and not self.on_hold

    # -- buttons -----------------------------------------------------------------------------------

    def action_create_invoices(self, grouping=None):
        """Invoice approved milestones now, whatever the policy waits for.

        :param str grouping: "milestone", "order" or "customer"; by default the company's choice
        :return: the action that shows the invoices
        :raises AccessError: without invoicing rights
        :raises UserError: when one of them cannot be invoiced, naming it and the reason
        """
        self._check_invoicing()
        if grouping and grouping not in dict(self.env["res.company"]._fields["milestone_invoice_grouping"].selection):
            raise ValidationError(self.env._("Invoices are grouped by milestone, order or customer."))
        for milestone in self:
            milestone._check_can_invoice()
        invoices = self.sudo()._process_invoice_queue(grouping=grouping, raise_errors=True)
        return self.order_id.action_view_invoice(invoices=invoices.with_env(self.env))

    def action_rebill(self):
        """Make what was credited (or never billed) of a milestone billable again.

        :raises AccessError: without invoicing rights
        :raises UserError: while a draft exists, or when the milestone is billed in full
        """
        self._check_invoicing()
        self.lock_for_update(allow_referencing=True)
        for milestone in self:
            if milestone.billing_state not in ("invoiced", "partial", "paid", "credited"):
                raise UserError(
                    self.env._("%(milestone)s has no posted invoice to bill again.", milestone=milestone.display_name)
                )
            if milestone.sudo()._get_live_invoice_lines().filtered(lambda line: line.parent_state == "draft"):
                raise UserError(
                    self.env._(
                        "Post or delete the draft documents of %(milestone)s first.", milestone=milestone.display_name
                    )
                )
            if milestone.currency_id.compare_amounts(milestone.amount_invoiced, milestone.amount_untaxed) >= 0:
                raise UserError(self.env._("%(milestone)s is billed in full.", milestone=milestone.display_name))
        for milestone in self.sudo():
            milestone._start_billing_round()
        return True

    def action_view_invoices(self):
        self.ensure_one()
        invoices = self.sudo().invoice_line_ids.move_id.with_env(self.env)
        return self.order_id.action_view_invoice(invoices=invoices)

    def _start_billing_round(self):
        self.env["account.move.line"].flush_model(["milestone_billing_key"])  # of the rounds until now
        for milestone in self:
            milestone._write_protected({"billing_round": milestone.billing_round + 1})
            milestone._post_review_note(
                self.env._("Open for billing again (billing %(round)s).", round=milestone.billing_round)
            )

    def _check_invoicing(self):
        if not self.env.user.has_group(INVOICING_GROUP):
            raise AccessError(self.env._("Only invoicing users may do this with the bills of milestones."))
        self.check_access("read")

    def _check_can_invoice(self):
        self.ensure_one()
        if self.billing_state != "to_invoice":
            reason = (
                self.env._("it is not approved") if self.state != "approved" else self.env._("it is invoiced already")
            )
        elif self.on_hold:
            reason = self.env._("it is on hold (%(reason)s)", reason=self.hold_reason)
        else:
            return
        raise UserError(
            self.env._("%(milestone)s cannot be invoiced: %(reason)s.", milestone=self.display_name, reason=reason)
        )

    # -- queue -------------------------------------------------------------------------------------

    def _queue_invoice(self):
        """Hand approved milestones to the invoice queue; those that wait for a person leave it."""
        moments = self.grouped(lambda milestone: milestone.order_id._get_next_billing_time())
        for moment, milestones in moments.items():
            milestones._write_protected({"invoice_queued_on": moment, "invoice_error": False})
            if moment:
                self._wake_invoice_queue(moment)

    @api.model
    def _get_invoice_queue_domain(self):
        return fields.Domain(
            [
                ("invoice_queued_on", "<=", fields.Datetime.now()),
                ("state", "=", "approved"),
                ("billing_state", "=", "to_invoice"),
                ("on_hold", "=", False),
            ]
        )

    @api.model
    def _cron_process_invoice_queue(self):
        """Invoice what is in the queue, in batches; what fails leaves it until the next day."""
        domain = self._get_invoice_queue_domain()
        cron = self.env["ir.cron"]
        cron._commit_progress(remaining=self.search_count(domain))
        while batch := self._take_invoice_batch(domain):
            batch._process_invoice_queue()
            if not cron._commit_progress(len(batch)):
                break

    def _process_invoice_queue(self, grouping=None, raise_errors=False):
        """Make the invoices of approved milestones: the one way from approval to invoice.

        One create and one post for all; when that fails, invoice by invoice, so that each failure stays
        with its milestone.

        :param bool raise_errors: raise the first failure instead of keeping it on the milestone
        :return: the invoices, in superuser mode
        """
        invoices = self.env["account.move"]
        for (company, policy, group), milestones in self._group_for_invoicing(grouping).items():
            milestones = company._localize(milestones)
            if raise_errors:
                invoices |= milestones._make_invoices_or_tell(policy, group)
            else:
                invoices |= milestones._try_invoices(policy, group)
        return invoices

    def _make_invoices(self, policy, grouping):
        """Create, and by policy post and send, the invoices of ``self``.

        :raises UserError: when Odoo makes no invoice, or not of exactly these milestones
        """
        self.lock_for_update(allow_referencing=True)
        invoices = (
            self.order_id.sudo()
            .with_context(invoice_billing_milestone_ids=tuple(self.ids), invoice_billing_grouping=grouping)
            ._create_invoices(grouped=True, final=True)
        )
        if invoices.line_ids.billing_milestone_id != self:
            raise UserError(self.env._("Not every milestone could be invoiced. Look at their order lines."))
        if policy in ("post", "send"):
            invoices.action_post()
        if policy == "send":
            invoices._queue_milestone_sending()
        return invoices

    def _leave_invoice_queue(self):
        """Forget the queue and its failures, whoever made the invoice."""
        self._write_protected({"invoice_queued_on": False, "invoice_error": False})
        self.activity_unlink(["milestone_billing.mail_activity_invoice_failed"])

    def _keep_invoice_error(self, error):
        """Keep why an approved milestone has no invoice, tell somebody, and try again tomorrow."""
        self.ensure_one()
        self.env.invalidate_all()
        reason = self._describe_invoice_error(error)
        self._write_protected({"invoice_error": reason, "invoice_queued_on": fields.Datetime.now() + timedelta(days=1)})
        user = self._get_invoicing_user()
        xmlid = "milestone_billing.mail_activity_invoice_failed"
        if user and not self.activity_search([xmlid]):
            self.activity_schedule(
                xmlid,
                user_id=user.id,
                summary=self.env._("%(milestone)s could not be invoiced", milestone=self.name),
                note=reason,
            )

    def _describe_invoice_error(self, error):
        if isinstance(error, UserError | RedirectWarning):
            return str(error.args[0])
        if isinstance(error, IntegrityError):
            # a missing account, for example, is refused by the database, in words of its own
            tables = {model._table: name for name, model in self.env.registry.items()}
            return self.env[tables.get(error.diag.table_name, "base")]._sql_error_to_message(error)
        _logger.error("Invoicing billing milestone %s failed", self.ids, exc_info=error)
        return self.env._("Unexpected error: %(error)s", error=error)

    def _get_invoicing_user(self):
        """Return whoever is told that an invoice could not be made."""
        self.ensure_one()
        candidates = self.env.ref(INVOICING_GROUP).all_user_ids.filtered(
            lambda user: user.active and not user.share and self.company_id in user.company_ids
        )
        return candidates.filtered(lambda user: user == self.user_id)[:1] or candidates.sorted("id")[:1] or self.user_id

    def _get_billing_statements(self):
        """Return a line for invoices for each: which milestone of how many, approved by whom and when."""
        places = {}
        for order in self.order_id:
            milestones = order.milestone_ids.filtered(lambda milestone: milestone.state != "cancelled")
            ordered = milestones.sorted(lambda milestone: (milestone.sequence, milestone.id))
            places.update((milestone, (position, len(ordered))) for position, milestone in enumerate(ordered, 1))
        return [milestone._describe_billing(*places.get(milestone, (0, 0))) for milestone in self]

    def _describe_billing(self, position, count):
        """Return the line of one milestone; a cancelled one has no position among the others."""
        self.ensure_one()
        values = {"order": self.order_id.name, "name": self.name}
        if position:
            statement = self.env._(
                "Milestone %(position)s of %(count)s of %(order)s: %(name)s", position=position, count=count, **values
            )
        else:
            statement = self.env._("Milestone of %(order)s: %(name)s", **values)
        if not self.approved_by_id:
            return statement
        return self.env._(
            "%(statement)s, approved by %(approver)s on %(date)s",
            statement=statement,
            approver=self.approved_by_id.display_name,
            date=format_date(self.env, self.approved_on),
        )
