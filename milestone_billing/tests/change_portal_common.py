from odoo.fields import Command

from .portal_common import PortalCommon


class ChangePortalCommon(PortalCommon):
    """The contract of :class:`PortalCommon` (Design is submitted, Build is planned) and a change request of it."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.change = cls._create_change(
            [{"milestone_id": cls.other_milestone.id, "amount": 1500.0, "new_date": "2030-12-31"}],
            title="Two more languages",
            reason="We sell to <France> now",
            description="<p>French and <b>Spanish</b></p>",
            effort_hours=12.0,
        )
        cls.change.attachment_ids = [Command.create({"name": "languages.txt", "raw": b"fr, es"})]

    @classmethod
    def _create_change(cls, lines, order=None, **values):
        return cls.env["sale.change.request"].create(
            {
                "order_id": (order or cls.order).id,
                "title": "Change",
                "reason": "Because",
                "line_ids": [Command.create({"action": "change", **line}) for line in lines],
                **values,
            }
        )

    def _present(self, change=None):
        """Present a change request and return the personal link of the first approver."""
        change = change or self.change
        change.action_submit()
        return self._link(self._get_recipient(change, self.approver))

    def _change_path(self, suffix="", change=None, query=""):
        return f"/my/change_requests/{(change or self.change).id}{suffix}{query}"

    def assertOpen(self, change=None):
        """The request waits as before, and the contract is what was signed."""
        change = change or self.change
        self.env.invalidate_all()
        self.assertEqual(change.state, "submitted")
        self.assertEqual(change.sudo().approval_id.decision, "pending")
        self.assertEqual(change.order_id.milestone_revised_amount, 32500.0)
        self.assertFalse(change.change_order_number)
