from odoo import SUPERUSER_ID, fields, models
from odoo.exceptions import UserError


class SaleChangeRequest(models.Model):
    """How a request ends without being applied, and work that was begun before it was decided."""

    _inherit = "sale.change.request"

    def action_cancel(self):
        """Withdraw a request for good: nothing of it is applied, and it stays on record.

        :raises UserError: when it is decided already
        """
        self._check_can_deliver()
        self.lock_for_update(allow_referencing=True)
        self._check_open()
        for request in self:
            if request.approval_id:
                request._close_round("withdrawn", {"method": "internal"})
            request._set_review_state("cancelled")
            request._post_review_note(self.env._("Withdrawn."))
        return True

    def action_reject(self, reason=None):
        """Decline a request inside; whoever raised it reads the reason.

        :param str reason: why; without it a dialog asks for it
        :raises UserError: when it is decided already, or the client is to decide it
        """
        self._check_can_deliver()
        if not reason:
            return self._open_reason_dialog("reject")
        self.lock_for_update(allow_referencing=True)
        self._check_open()
        for request in self:
            if request.state == "submitted":
                raise UserError(
                    self.env._(
                        "%(request)s is with the client, who decides it. Withdraw the review first.",
                        request=request.display_name,
                    )
                )
            if request.approval_id:
                request._close_round("rejected", {"method": "internal", "comment": reason})
            request._set_review_state("rejected")
            request._tell_rejection(reason)
        return True

    def action_start_at_risk(self):
        """Note that work on the change begins before both sides agreed.

        :raises UserError: when it is decided already, or noted before
        """
        self._check_can_deliver()
        self._check_open()
        for request in self:
            if request.at_risk_since:
                raise UserError(self.env._("%(request)s is marked already.", request=request.display_name))
            request._write_protected({"at_risk_since": fields.Datetime.now(), "at_risk_by_id": self.env.user.id})
            request._post_review_note(
                self.env._("Work begins before the change is approved: it is at risk until then.")
            )
        return True

    def _check_open(self):
        for request in self:
            if not request._is_open():
                raise UserError(self.env._("%(request)s is decided already.", request=request.display_name))

    def _tell_rejection(self, reason):
        """Answer whoever raised the request; the client by mail as well."""
        self.ensure_one()
        request = self.sudo()  # called by ``action_reject``, which has checked rights; the customer is read for it
        lang = request.requested_by_id.lang or request.company_id.partner_id.lang
        body = request.with_context(lang=lang).env._(
            "Change request %(request)s was declined: %(reason)s", request=request.name, reason=reason
        )
        if request.is_client_request:
            request.with_user(SUPERUSER_ID).message_post(
                body=body,
                author_id=self.env.user.partner_id.id,
                partner_ids=request.requested_by_id.ids,
                subtype_xmlid="mail.mt_comment",
            )
        else:
            request._post_review_note(body)
        if request.at_risk_since:
            request._warn_of_lost_work()

    def _warn_of_lost_work(self):
        """Tell whoever leads the delivery that work was begun for a change that does not come."""
        self.ensure_one()
        user = self._get_project_manager()
        if user:
            self.activity_schedule(
                "mail.mail_activity_data_todo",
                user_id=user.id,
                summary=self.env._("Work at risk: %(request)s was not approved", request=self.name),
            )
