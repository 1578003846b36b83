import re

from odoo import SUPERUSER_ID, fields, models
from odoo.exceptions import AccessError
from odoo.tools import format_date, html2plaintext, plaintext2html


class SaleChangeRequest(models.Model):
    """Change requests in the customer portal: what their page shows, and what the client agrees to."""

    _inherit = "sale.change.request"

    _portal_name = "change_request"

    # -- what the page shows ----------------------------------------------------------------------------

    def _get_portal_state(self):
        """Return the state as the client knows it; an internal review is part of the estimate.

        :return: dict of ``label``, ``color`` (of the theme) and ``rank`` (what asks for attention comes first)
        """
        self.ensure_one()
        estimate = self.env._("Being Estimated") if self.is_client_request else self.env._("In Preparation")
        states = {
            "submitted": (self.env._("Waiting for Approval"), "warning"),
            "changes_requested": (self.env._("Being Revised"), "info"),
            "draft": (estimate, "info"),
            "approved": (self.env._("Approved"), "success"),
            "rejected": (self.env._("Declined"), "danger"),
            "cancelled": (self.env._("Withdrawn"), "secondary"),
        }
        state = "draft" if self.state == "internal_review" else self.state
        label, color = states[state]
        return {"label": label, "color": color, "rank": list(states).index(state)}

    def _is_shown_priced(self):
        """Whether the client sees lines and amounts: those that are presented, and those that were decided on.

        What the team estimates, or writes anew after the client asked for changes, is shown with the next
        presentation.
        """
        self.ensure_one()
        request = self.sudo()
        last = request.approval_ids.sorted("id")[-1:]
        if request.state == "submitted":
            return last.kind == "client" and last.decision == "pending"
        if request.state == "rejected":
            return last.kind == "client" and last.decision == "rejected"
        return request.state == "approved"

    def _get_portal_page_values(self):
        """Return what the page shows beside the record itself; ``impact`` is empty while nothing is priced."""
        self.ensure_one()
        is_priced = self._is_shown_priced()
        impact = self._get_impact() if is_priced else {}
        return {
            "is_priced": is_priced,
            "impact": impact,
            "scope_changes": self._get_scope_changes(impact) if is_priced else [],
            "files": self._get_portal_files(),
        }

    def _get_portal_files(self):
        """Return the files that the client may see: what was presented, and before that what it sent itself."""
        self.ensure_one()
        request = self.sudo()
        if request._is_shown_priced():
            return request.attachment_ids
        # what comes through the portal is made by the system, see ``_raise_by_client``
        return request.attachment_ids.filtered(
            lambda file: request.is_client_request and file.create_uid.id == SUPERUSER_ID
        )

    def _is_known_to_client(self):
        """Whether the client raised the request, or was asked about it in the state that it is in.

        The same as the record rule of the portal.
        """
        self.ensure_one()
        request = self.sudo()
        if request.is_client_request or request.state in ("submitted", "approved"):
            return True
        was_asked = "client" in request.approval_ids.mapped("kind")
        return request.state in ("changes_requested", "rejected") and was_asked

    def _get_requester(self):
        """Return the name of whoever raised the request."""
        self.ensure_one()
        request = self.sudo()
        partner = request.requested_by_id
        if request.requested_by_name:
            return f"{request.requested_by_name} ({partner.display_name})"
        return partner.name or partner.display_name or ""

    def _get_portal_words(self):
        """Return the answers to a visitor whose decision was not recorded."""
        return {
            "decided": self.env._("This change request does not wait for a decision any more."),
            "changed": self.env._("The change request changed since you opened it. Please look at the new version."),
            "recalled": self.env._(
                "The contract changed since this was written. Nothing was decided; the team looks at it again."
            ),
            "busy": self.env._("A decision is being recorded at this moment. Please look again."),
            "failed": self.env._(
                "The change could not be applied to the contract, so nothing was changed. The team has been told."
            ),
        }

    def _get_consent(self):
        """Return the sentence that an approver agrees to, in the language of the environment."""
        self.ensure_one()
        request = self.sudo()
        impact, format_ = request._prepare_impact(), request.currency_id.format
        return self.env._(
            "I approve change request %(request)s (%(title)s, round %(round)s) of order %(order)s: it changes "
            "the contract by %(amount)s untaxed (%(total)s with taxes) to %(revised)s untaxed%(end)s, as shown "
            "on this page.",
            request=request.name,
            title=request.title,
            round=request.approval_id.round,
            order=request.order_id.name,
            amount=format_(float(impact["this_change"])),
            total=format_(request.total_delta),
            revised=format_(float(impact["revised"])),
            end=request._get_consent_to_end(impact),
        )

    def _get_consent_to_end(self, impact):
        """Return the part of the sentence about the end of the contract; empty when it does not move."""
        if not impact["days"]:
            return ""
        end = fields.Date.to_date(impact["end_after"])
        return self.env._(", and its end to %(date)s", date=format_date(self.env, end))

    # -- when it cannot be applied ------------------------------------------------------------------------

    def _note_failed_decision(self, decision, error):
        """Tell the team why an approval could not be applied; everything it did was undone before.

        :return: whether there is somebody to look after it, or the visitor has to know the reason
        """
        self.ensure_one()
        if decision != "approve":
            return super()._note_failed_decision(decision, error)
        request = self.sudo()
        summary = self.env._("%(request)s was approved, and could not be applied", request=request.name)
        note = self.env._(
            "The client wanted to approve it. Nothing was recorded or changed, because: %(reason)s", reason=str(error)
        )
        for user in request._get_project_manager() | request.user_id:
            known = request.activity_ids.filtered(
                lambda activity, user=user: activity.user_id == user and activity.summary == summary
            )
            if not known:
                request.activity_schedule(
                    "mail.mail_activity_data_todo", user_id=user.id, summary=summary, note=plaintext2html(note)
                )
        request._post_review_note(note)
        return True

    # -- paper --------------------------------------------------------------------------------------------

    def _get_report_base_filename(self):
        self.ensure_one()
        return re.sub(r"[^\w.-]+", "_", self._get_document_title())

    def _get_document_title(self):
        """Return what the document is called: a change order once both sides agreed."""
        self.ensure_one()
        if self.state == "approved":
            return self.env._(
                "Change Order %(number)s %(order)s", number=self.change_order_number, order=self.order_id.name
            )
        return self.env._("Change Request %(request)s", request=self.name)

    def _get_document_impact(self):
        """Return the impact for the PDF.

        :raises AccessError: for those who may not read amounts
        """
        self.ensure_one()
        self.check_access("read")
        if not self._has_field_access(self._fields["amount_delta"], "read"):
            raise AccessError(self.env._("Only people who see amounts print change requests."))
        return self._get_impact()

    def _has_description(self):
        self.ensure_one()
        return bool(self.description) and bool(html2plaintext(self.description).strip())
