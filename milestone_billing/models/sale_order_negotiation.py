from odoo import fields, models
from odoo.exceptions import AccessError
from odoo.tools import plaintext2html

ACTIVITY = "milestone_billing.mail_activity_modifications"
MAX_NOTE = 200


class SaleOrder(models.Model):
    """Negotiation: the client asks for modifications of a quotation instead of signing it."""

    _inherit = "sale.order"

    milestone_negotiation = fields.Boolean(
        string="In Negotiation",
        copy=False,
        tracking=True,
        help="The client asked for modifications. Sending a new revision, or closing it by hand, ends this.",
    )
    milestone_negotiation_note = fields.Text(
        string="Asked For", readonly=True, copy=False, help="The modifications that the client asked for last."
    )

    def _can_ask_for_modifications(self):
        """Whether the client can still negotiate: the quotation is open, neither expired nor signed."""
        self.ensure_one()
        return bool(
            self.state in ("draft", "sent") and self._tracks_revisions() and not self.is_expired and not self.signature
        )

    def _ask_for_modifications(self, text, author):
        """Record what the client asks for: as a message, as an activity, and as the state of the quotation.

        To be called on the quotation as superuser, after access and state were checked.

        :param str text: plain text; it is escaped here
        :param author: ``res.partner`` who asks
        """
        self.ensure_one()
        self.with_context(mail_notrack=True).write({"milestone_negotiation": True, "milestone_negotiation_note": text})
        team = self.with_context(lang=self.user_id.lang or self.company_id.partner_id.lang)
        team._schedule_modifications(text)
        return self.message_post(
            body=plaintext2html(text), author_id=author.id, message_type="comment", subtype_xmlid="mail.mt_comment"
        )

    def _schedule_modifications(self, text):
        """Give the salesperson one open activity; what is asked for after that is in the discussion."""
        self.ensure_one()
        if self.activity_ids.filtered(lambda activity: activity.activity_type_id == self.env.ref(ACTIVITY)):
            return
        user = self.user_id or self.team_id.user_id or self.create_uid.filtered(lambda user: user._is_internal())
        # one mail is enough: who follows the quotation gets the client's own words
        is_told = user.partner_id in self.message_partner_ids
        self.with_context(mail_activity_quick_update=is_told).activity_schedule(
            ACTIVITY,
            summary=self.env._("Modifications asked for"),
            note=plaintext2html(text),
            user_id=user.id or self.env.ref("base.user_admin").id,
        )

    def action_close_negotiation(self):
        """Say that the negotiation is over, without a new revision.

        :raises AccessError: for others than salespeople who may write the order
        """
        self.check_access("write")
        if not self.env.user.has_group("sales_team.group_sale_salesman"):
            raise AccessError(self.env._("Salespeople close a negotiation."))
        self._close_negotiation(self.env._("Settled without a new revision."))

    def _close_negotiation(self, feedback):
        """End the negotiation and mark its activities as done."""
        open_orders = self.filtered("milestone_negotiation")
        open_orders.write({"milestone_negotiation": False})
        open_orders.sudo().milestone_negotiation_note = False
        open_orders.activity_feedback([ACTIVITY], feedback=feedback)

    def _get_revision_note(self):
        note = " ".join((self.milestone_negotiation_note or "").split())
        if not self.milestone_negotiation or not note:
            return super()._get_revision_note()
        return f"{note[:MAX_NOTE]}…" if len(note) > MAX_NOTE else note

    def _after_revision(self):
        super()._after_revision()
        self.sudo()._close_negotiation(self.env._("A new revision was sent."))

    def _action_confirm(self):
        result = super()._action_confirm()
        self.sudo()._close_negotiation(self.env._("The quotation was confirmed."))
        return result

    def _action_cancel(self):
        result = super()._action_cancel()
        self.sudo()._close_negotiation(self.env._("The quotation was cancelled."))
        return result
