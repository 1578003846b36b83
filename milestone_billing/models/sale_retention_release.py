from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError
from odoo.tools import format_date

RELEASE_ORIGINS = [
    ("manual", "By hand"),
    ("date", "Date agreed"),
    ("milestone", "Approval"),
    ("payment", "Paid Early"),
]
REMINDER_DAYS = 7


class SaleRetentionRelease(models.Model):
    """A release of retention: from then on, the client owes an amount that was kept back.

    It is allocated to the retention items of the contract, oldest first. An item that is released
    as a whole gets the due date of the release, so that the ledger, the due list and the payment
    of the invoice follow by themselves. Of an item that is released in part, the released part is
    asked for, and the item's due date stays open: its amount in the ledger cannot be divided once
    the period is closed or the entry hashed. First in, first out leaves at most one such item per
    contract. Nobody creates or edits releases by hand: they are made by :meth:`SaleOrder._release_retention`.
    """

    _name = "sale.retention.release"
    _description = "Retention Release"
    _inherit = ["mail.thread", "mail.activity.mixin"]
    _order = "date desc, id desc"
    _check_company_auto = True
    _mail_post_access = "read"

    name = fields.Char(required=True, readonly=True)
    order_id = fields.Many2one("sale.order", required=True, index=True, ondelete="restrict", readonly=True)
    company_id = fields.Many2one(related="order_id.company_id", store=True, index=True)
    partner_id = fields.Many2one("res.partner", string="Customer", required=True, readonly=True, index=True)
    user_id = fields.Many2one(related="order_id.user_id", string="Salesperson", store=True)
    currency_id = fields.Many2one(related="order_id.currency_id", store=True)
    date = fields.Date(string="Released on", required=True, readonly=True)
    due_date = fields.Date(required=True, readonly=True)
    amount = fields.Monetary(compute="_compute_amount", store=True)
    amount_paid = fields.Monetary(string="Paid", compute="_compute_amount_paid", compute_sudo=True)
    amount_owed = fields.Monetary(string="Open", compute="_compute_amount_paid", compute_sudo=True)
    origin = fields.Selection(RELEASE_ORIGINS, required=True, readonly=True, default="manual")
    state = fields.Selection(
        [("released", "Released"), ("cancelled", "Cancelled")],
        required=True,
        readonly=True,
        default="released",
        tracking=True,
    )
    note = fields.Text(readonly=True)
    line_ids = fields.One2many("sale.retention.release.line", "release_id", string="Invoices", readonly=True)
    announce = fields.Boolean(readonly=True, help="The client is told about the release.")
    announced_on = fields.Datetime(string="Client Told on", readonly=True)
    reminded_on = fields.Date(readonly=True)

    @api.depends("line_ids.amount")
    def _compute_amount(self):
        for release in self:
            release.amount = sum(release.line_ids.mapped("amount"))

    @api.depends("amount", "state", "line_ids.move_line_id.amount_residual_currency")
    def _compute_amount_paid(self):
        for release in self:
            release.amount_paid = sum(line._get_paid() for line in release.line_ids)
            release.amount_owed = release.amount - release.amount_paid if release.state == "released" else 0.0

    @api.ondelete(at_uninstall=False)
    def _unlink_never(self):
        raise UserError(self.env._("A release was announced to the client: cancel it instead of deleting it."))

    def _is_overdue(self):
        """Whether the day has passed on which the client was to pay, and something of the release is open."""
        self.ensure_one()
        return (
            self.due_date < self.company_id._get_today() and self.currency_id.compare_amounts(self.amount_owed, 0.0) > 0
        )

    def action_cancel(self):
        """Take releases back, as far as nothing was paid on them.

        :raises AccessError: for others than accountants
        :raises UserError: when a part was paid
        """
        self.env["sale.order"]._check_can_release()
        self.check_access("read")
        for release in self.sudo():
            if release.state != "released":
                raise UserError(self.env._("%(release)s is cancelled already.", release=release.name))
            release.order_id.lock_for_update(allow_referencing=True)
            if release.currency_id.compare_amounts(release.amount_paid, 0.0) > 0:
                raise UserError(
                    self.env._(
                        "%(paid)s of %(release)s is paid: what is paid stays released.",
                        paid=release.currency_id.format(release.amount_paid),
                        release=release.name,
                    )
                )
            release.state = "cancelled"
            release.line_ids.move_line_id._sync_released()
            release.activity_unlink(["mail.mail_activity_data_todo"])
        return True

    def _end_without_amount(self):
        """A release that credit notes took back as a whole asks for nothing any more."""
        for release in self.filtered(lambda release: release.state == "released"):
            if release.currency_id.is_zero(release.amount):
                release.state = "cancelled"
                release.activity_unlink(["mail.mail_activity_data_todo"])

    def action_announce(self):
        """Tell the client (again) what is released and when it is due.

        :raises AccessError: for others than invoicing users
        """
        if not self.env.user.has_group("account.group_account_invoice"):
            raise AccessError(self.env._("Only invoicing users ask clients for the payment of retention."))
        self.check_access("read")
        for release in self.sudo():
            if release.state != "released":
                raise UserError(self.env._("%(release)s is cancelled: nothing is asked for.", release=release.name))
            release._announce()
        return True

    def action_view_invoices(self):
        self.ensure_one()
        return self.order_id.action_view_invoice(invoices=self.line_ids.move_id)

    def _announce(self):
        template = self.env.ref("milestone_billing.mail_template_retention_release")
        for release in self:
            release.message_post_with_source(
                template,
                subtype_xmlid="mail.mt_comment",
                partner_ids=release.order_id.partner_invoice_id.ids,
            )
            release.announced_on = fields.Datetime.now()

    def _mail_get_partner_fields(self, introspect_fields=False):
        return ["partner_id"]

    @api.model
    def _cron_announce(self):
        """Tell clients about releases: outside the transaction that made them."""
        releases = self.search([("announce", "=", True), ("announced_on", "=", False), ("state", "=", "released")])
        cron = self.env["ir.cron"]
        cron._commit_progress(remaining=len(releases))
        for release in releases:
            release._announce()
            if not cron._commit_progress(1):
                break

    @api.model
    def _cron_remind(self):
        """Remind the client, and tell the accountant, of what is released and overdue; weekly at most."""
        today = fields.Date.context_today(self)
        releases = self.search([("state", "=", "released"), ("due_date", "<", today)])
        releases = releases.filtered(
            lambda release: (
                release._is_overdue()
                and (not release.announced_on or release.announced_on.date() < today - timedelta(days=1))
                and (not release.reminded_on or release.reminded_on <= today - timedelta(days=REMINDER_DAYS))
            )
        )
        cron = self.env["ir.cron"]
        cron._commit_progress(remaining=len(releases))
        for release in releases:
            release._remind()
            if not cron._commit_progress(1):
                break

    def _remind(self):
        self.ensure_one()
        if self.announce:
            self._announce()
        self.reminded_on = fields.Date.context_today(self)
        user = self.order_id.milestone_ids[:1]._get_invoicing_user()
        if user and not self.activity_search(["mail.mail_activity_data_todo"], user_id=user.id):
            self.activity_schedule(
                "mail.mail_activity_data_todo",
                user_id=user.id,
                summary=self.env._("Released retention is overdue"),
                note=self.env._(
                    "%(amount)s of %(release)s was due on %(date)s.",
                    amount=self.currency_id.format(self.amount_owed),
                    release=self.name,
                    date=format_date(self.env, self.due_date),
                ),
            )
