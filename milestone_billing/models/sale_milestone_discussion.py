from odoo import api, models
from odoo.tools import consteq, hmac


class SaleMilestone(models.Model):
    """The discussion of a milestone while its order is a quotation.

    Whoever has the quotation's link may read it and write in it. The page gets a credential of its own,
    made from the milestone, the person and the quotation's token: it opens no other discussion, and ends
    with the confirmation. From then on personal links and logins open the milestone, as for any contract.
    """

    _inherit = "sale.milestone"

    def _is_discussed_as_quotation(self):
        self.ensure_one()
        return self.sudo().order_state in ("draft", "sent")

    def _get_discussion_hash(self, partner_id=0):
        """Return what lets ``partner_id`` into this discussion, or opens it (0): derived, and stored nowhere."""
        self.ensure_one()
        message = (self.id, partner_id, self.sudo().order_id._portal_ensure_token())
        return hmac(self.env(su=True), "milestone_billing.discussion", message)

    def _opens_discussion(self, pid, given):
        """Whether ``given`` lets the person into the discussion of this milestone of a quotation."""
        self.ensure_one()
        if not self._is_discussed_as_quotation() or not isinstance(given, str) or not given.isascii():
            return False
        # a visitor sends it: it may be of any length, and int() refuses long texts
        return str(pid).isdecimal() and len(str(pid)) <= 10 and consteq(given, self._get_discussion_hash(int(pid)))

    @api.model
    def _get_thread_with_access(self, thread_id, *, mode="read", hash=None, pid=None, token=None, **kwargs):
        thread = super()._get_thread_with_access(thread_id, mode=mode, hash=hash, pid=pid, token=token, **kwargs)
        if thread:
            return thread
        milestone = self.browse(thread_id).sudo().exists()
        # messages are fetched with the token alone
        is_open = milestone and (milestone._opens_discussion(pid or "", hash) or milestone._opens_discussion(0, token))
        return milestone if is_open else self.browse()

    def _sign_token(self, pid):
        if self._is_discussed_as_quotation():
            return self._get_discussion_hash(int(pid))
        return super()._sign_token(pid)

    def _get_discussion_url(self, partner=None):
        """Return the address of the discussion in the quotation's portal, relative to the site.

        :param partner: ``res.partner`` whose name stands on what is written; the customer by default
        """
        self.ensure_one()
        order = self.sudo().order_id
        query = f"&pid={partner.id}&hash={order._sign_token(partner.id)}" if partner else ""
        return order.get_portal_url(suffix=f"/milestones/{self.id}", query_string=query)

    def message_post(self, **kwargs):
        """What a client writes reaches the salesperson, and the answer reaches the client."""
        author = self.env["res.partner"].browse(kwargs.get("author_id") or self.env.user.partner_id.id).sudo()
        if len(self) == 1 and author.partner_share and author.active and self._is_discussed_as_quotation():
            comments = self.env.ref("mail.mt_comment")
            people = author | self.sudo().order_id.user_id.partner_id
            self.sudo().message_subscribe(partner_ids=people.ids, subtype_ids=comments.ids)
        return super().message_post(**kwargs)

    def _notify_get_recipients_groups(self, message, model_description, msg_vals=False):
        """Contacts of the client who take part get the link of the quotation's discussion by mail."""
        groups = super()._notify_get_recipients_groups(message, model_description, msg_vals=msg_vals)
        if len(self) != 1 or not self._is_discussed_as_quotation():
            return groups
        family = self.sudo().partner_id.commercial_partner_id
        members = self.sudo().message_partner_ids.filtered(
            lambda partner: partner.partner_share and partner.commercial_partner_id == family
        )
        return [self._prepare_discussion_group(partner) for partner in members] + groups

    def _prepare_discussion_group(self, partner):
        return (
            f"milestone_discussion_{partner.id}",
            lambda data, partner_id=partner.id: data["id"] == partner_id,
            {
                "active": True,
                "has_button_access": True,
                "button_access": {
                    "url": f"{self.get_base_url()}{self._get_discussion_url(partner)}",
                    "title": self.env._("View the Discussion"),
                },
            },
        )


class SaleOrder(models.Model):
    _inherit = "sale.order"

    def _count_discussions(self):
        """Return how many messages of the milestones' discussions the client can read, by milestone id."""
        self.ensure_one()
        rows = (
            self.env["mail.message"]
            .sudo()
            ._read_group(
                [
                    ("model", "=", "sale.milestone"),
                    ("res_id", "in", self.sudo().milestone_ids.ids),
                    ("message_type", "in", ("comment", "email")),
                    ("is_internal", "=", False),
                    ("subtype_id", "=", self.env.ref("mail.mt_comment").id),
                ],
                ["res_id"],
                ["__count"],
            )
        )
        return dict(rows)
