from typing import Any, NamedTuple
from urllib.parse import urlencode

from odoo.http import request


class SubjectAccess(NamedTuple):
    """What somebody opened that waits, or waited, for a client's decision, and in whose name."""

    subject: Any  # a record of the approval engine, as superuser
    recipient: Any  # sale.approval.recipient who acts, as superuser; empty for mere readers
    link: Any = None  # query of the personal link, as it was given; None with a login
    is_good_link: bool = False

    def is_dead(self):
        return bool(self.link) and not (self.is_good_link and self.recipient._may_open())

    def is_over(self):
        """Whether a link is dead for no other reason than the end of its review."""
        recipient = self.recipient
        return (
            self.is_good_link
            and not recipient.revoked_by_id
            and recipient.approval_id.decision not in ("pending", "approved")
            and recipient.partner_id.active
            and recipient._is_approver()
        )

    def is_own(self):
        """Whether the visitor is the recipient: nobody else's login acts through a personal link."""
        user = request.env.user
        if not self.recipient or user._is_internal():
            return False
        return user._is_public() or user.partner_id == self.recipient.partner_id

    def can_decide(self):
        return self.is_own() and not self.is_dead() and self.recipient._may_decide()

    def get_url(self, suffix="", **query):
        """Return the address of the subject's page or of a route below it, with the link it was opened by."""
        query = {**(self.link or {}), **query}
        url = f"{self.subject.access_url}{suffix}"
        return f"{url}?{urlencode(query)}" if query else url
