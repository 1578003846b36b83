from odoo import SUPERUSER_ID, api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Command
from odoo.tools import plaintext2html

# What somebody who has a link can leave before the team looked at it.
MAX_OPEN_CLIENT_REQUESTS = 5


class SaleChangeRequest(models.Model):
    """Change requests that the client raises in the portal: drafts without amounts, for the team to price."""

    _inherit = "sale.change.request"

    @api.model
    def _raise_by_client(self, order, values, files=(), partner=None, name=None):
        """Note what the client wants changed; the caller checked that the visitor is one of its people.

        :param order: the contract, as superuser
        :param dict values: ``title``, ``category``, ``urgency``, ``reason``, ``description`` (plain text) and
            ``milestone`` (sale.milestone of the contract, may be empty)
        :param files: list of dicts of ``name``, ``raw`` and ``mimetype``
        :param partner: who is logged in; otherwise it is the customer of the order
        :param str name: what somebody without login typed as a name
        :raises UserError: when the contract cannot change, or too many requests wait already
        """
        order = order.with_user(SUPERUSER_ID)
        order._check_can_change()
        order.lock_for_update(allow_referencing=True)
        self._check_client_limit(order)
        milestone = values.get("milestone")
        request = (
            self.with_user(SUPERUSER_ID)
            .with_context(mail_create_nosubscribe=True)
            .create(
                {
                    "order_id": order.id,
                    "title": values["title"],
                    "category": values["category"],
                    "urgency": values["urgency"],
                    "reason": values["reason"],
                    "description": plaintext2html(values["description"]) if values.get("description") else False,
                    "line_ids": [Command.create({"action": "change", "milestone_id": milestone.id})]
                    if milestone
                    else [],
                }
            )
        )
        request._write_protected(
            {
                "is_client_request": True,
                "requested_by_id": (partner or order.partner_id).id,
                "requested_by_name": False if partner else name,
                "requested_on": fields.Datetime.now(),
            }
        )
        request._keep_client_files(files)
        request._announce_client_request()
        return request

    @api.model
    def _check_client_limit(self, order):
        """:raises UserError: when the team has enough to look at"""
        waiting = order.sudo().change_request_ids.filtered(
            lambda request: request.is_client_request and request.state == "draft"
        )
        if len(waiting) >= MAX_OPEN_CLIENT_REQUESTS:
            raise UserError(
                self.env._(
                    "%(count)s of your change requests are being estimated already. Please wait until the team has "
                    "answered one of them, or write to your contact.",
                    count=len(waiting),
                )
            )

    def _keep_client_files(self, files):
        self.ensure_one()
        # whatever it is called: nothing that a browser would run is kept as such
        attachments = self.env["ir.attachment"].with_context(attachments_mime_plainxml=True)
        self.attachment_ids = [
            Command.link(attachments.create({**file, "res_model": self._name, "res_id": self.id}).id) for file in files
        ]

    def _announce_client_request(self):
        """Tell the team, and confirm to the client that the request arrived."""
        self.ensure_one()
        requester = self.requested_by_id
        comments = self.env.ref("mail.mt_comment")
        self.message_subscribe(partner_ids=requester.ids, subtype_ids=comments.ids)
        for user in self.user_id | self._get_project_manager():
            request = self.with_context(lang=user.lang)
            request.activity_schedule(
                "mail.mail_activity_data_todo",
                user_id=user.id,
                summary=request.env._("%(request)s: the client wants a change. Estimate it", request=self.name),
                note=plaintext2html(f"{self._get_requester()}: {self.reason}"),
            )
        if requester.email:
            self.env["sale.approval"]._queue_mails(self._get_mail_template("received"), self)

    def _get_requester_url(self):
        """Return where whoever raised the request follows it: its page, or without account that of the order.

        The link of the order is only for the superuser, who renders the mails, see
        ``sale.approval.recipient._get_access_url``.
        """
        self.ensure_one()
        has_account = bool(self.sudo().requested_by_id.user_ids)
        path = self.order_id.get_portal_url() if self.env.su and not has_account else self.access_url
        return f"{self.get_base_url()}{path}"


class SaleOrder(models.Model):
    _inherit = "sale.order"

    def _can_raise_change(self):
        """Whether there is a signed contract that the client can want changed."""
        self.ensure_one()
        return self.state == "sale" and bool(self.sudo().milestone_contract_hash)

    def _get_contract_history(self):
        """Return how the contract came to be what it is, and what is proposed, as the client may see it.

        :return: dict of ``original``, ``changes`` and ``revised`` (untaxed), ``change_orders`` and
            ``open_requests`` (sale.change.request)
        """
        self.ensure_one()
        order = self.sudo()
        return {
            "original": order.milestone_original_amount,
            "changes": order.milestone_changes_amount,
            "revised": order.milestone_revised_amount,
            "change_orders": order._get_change_orders(),
            "open_requests": order.change_request_ids.filtered(
                lambda request: request._is_open() and request._is_known_to_client()
            ).sorted("number"),
        }

    def _get_change_orders(self, known=None):
        """Return what both sides approved, in the order in which it was applied; only the first ``known`` of them."""
        self.ensure_one()
        return self.sudo().change_order_ids.sorted("change_order_number")[:known]
