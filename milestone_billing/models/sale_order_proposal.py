from odoo import api, fields, models
from odoo.exceptions import AccessError


class KnownRevisions(dict):
    """Ids of current revisions, by order, for a page that changes nothing and asks many times.

    It travels in the context, where no client can put an object of Python.
    """


class SaleOrder(models.Model):
    """The quotation as a proposal in revisions: what it says now, and what was sent.

    Sending a quotation with milestones records what it says as a revision, unless the last one says
    the same. Changed afterwards, it is being revised: nobody can sign or pay it before it is sent again.
    """

    _inherit = "sale.order"

    revision_ids = fields.One2many(
        "sale.order.revision", "order_id", string="Sent Revisions", readonly=True, copy=False
    )
    revision_count = fields.Integer(compute="_compute_revision_count")
    revision_status = fields.Char(compute="_compute_revision_status")
    is_being_revised = fields.Boolean(
        compute="_compute_revision_status", help="Changed since it was sent: the client cannot sign it now."
    )
    agreed_revision_id = fields.Many2one(
        "sale.order.revision",
        readonly=True,
        copy=False,
        index="btree_not_null",
        help="The revision that was confirmed; empty when the order was changed after it was sent.",
    )

    @api.depends("revision_ids")
    def _compute_revision_count(self):
        for order in self:
            order.revision_count = len(order.revision_ids)

    @api.depends("revision_ids", "state", "order_line", "milestone_ids")
    @api.depends_context("lang")
    def _compute_revision_status(self):
        for order in self:
            saved = order._origin  # what is being typed is no revision yet
            order.is_being_revised = bool(saved) and saved._is_being_revised()
            order.revision_status = saved._get_revision_status() if saved else False

    @api.model_create_multi
    def create(self, vals_list):
        for vals in vals_list:
            self._refuse_agreed_revision(vals)
        context = {key: value for key, value in self.env.context.items() if key != "default_agreed_revision_id"}
        return super(SaleOrder, self.with_context(context)).create(vals_list)  # pylint: disable=context-overridden

    def write(self, vals):
        self._refuse_agreed_revision(vals)
        return super().write(vals)

    def _refuse_agreed_revision(self, vals):
        if "agreed_revision_id" in vals or "revision_ids" in vals:
            raise AccessError(self.env._("Revisions are recorded by sending and confirming the quotation."))

    def unlink(self):
        """A quotation that nobody agreed on takes its revisions along."""
        documents = self.sudo().revision_ids.document_id
        result = super().unlink()
        documents._unlink_orphaned_proposals()
        return result

    # -- revisions -----------------------------------------------------------------------------------------

    def _tracks_revisions(self):
        """Whether sending the order makes revisions: it has milestones, or had some when it was sent."""
        self.ensure_one()
        return bool(self.milestone_ids or self.sudo().revision_ids)

    def _get_last_revision(self):
        """Return the last revision that was sent (may be empty), as superuser."""
        self.ensure_one()
        return self.sudo().revision_ids.sorted("number")[-1:]

    def _get_current_revision(self):
        """Return the last revision if the order still says the same; otherwise an empty record."""
        self.ensure_one()
        known = self.env.context.get("proposal_known_revisions")
        if isinstance(known, KnownRevisions) and self.id in known:
            return self.env["sale.order.revision"].sudo().browse(known[self.id])
        revision = self._get_last_revision()
        if revision and revision.content_hash not in self._get_proposal_hashes():
            return revision.browse()
        return revision

    def _is_being_revised(self):
        """Whether the quotation was changed since it was sent."""
        self.ensure_one()
        if self.state not in ("draft", "sent") or not self._get_last_revision() or self._has_evidence():
            return False
        return not self._get_current_revision()

    def _get_shown_revision(self):
        """Return the number on the document: of the revision that it is, or that sending will make it; 0 for none."""
        self.ensure_one()
        if self.state not in ("draft", "sent"):
            return self.sudo().agreed_revision_id.number
        if not self._tracks_revisions():
            return 0
        return self._get_last_revision().number + (0 if self._get_current_revision() else 1)

    def _get_revision_status(self):
        self.ensure_one()
        if self.state not in ("draft", "sent") or not self._tracks_revisions():
            number = self.sudo().agreed_revision_id.number
            return self.env._("Revision %s, agreed", number) if number else False
        number = self._get_shown_revision()
        if self._get_current_revision():
            return self.env._("Revision %s", number)
        return self.env._("Revision %s, not sent yet", number)

    def message_post(self, **kwargs):
        if not self.env.context.get("mark_so_as_sent") or not self.env.user._is_internal():
            return super().message_post(**kwargs)
        # before the mail is made: its link names the revision
        revisions = self._record_sent_revision()
        message = super().message_post(**kwargs)
        revisions._keep_document(message.sudo().attachment_ids)._queue_documents()
        return message

    def action_quotation_sent(self):
        result = super().action_quotation_sent()
        revisions = self._record_sent_revision()
        if self.env.su:
            # a payment marks quotations as sent, in the request of the client
            revisions._queue_documents()
        else:
            revisions._keep_document()._queue_documents()
        return result

    def _record_sent_revision(self):
        """Record what is sent to the client as a new revision, where it differs from the last one.

        :return: the new ``sale.order.revision``, without their documents
        :raises AccessError: for others than salespeople
        """
        Revision = self.env["sale.order.revision"].sudo()
        revisions = Revision.browse()
        for order in self._filtered_access("write"):
            if order.state not in ("draft", "sent") or not order._tracks_revisions():
                continue
            order._check_can_send()
            order.sudo().lock_for_update()
            if order._get_current_revision():
                continue
            snapshot = order._prepare_proposal_snapshot()
            revisions += Revision._create_revision(
                {
                    "order_id": order.id,
                    "number": order._get_last_revision().number + 1,
                    "snapshot": self.env["sale.approval"]._dump_canonical(snapshot),
                    "content_hash": Revision._hash_content(snapshot),
                    "note": order._get_revision_note(),
                    "sent_by": self.env.user.id,
                }
            )
        revisions.order_id._after_revision()
        return revisions

    def _check_can_send(self):
        """Accountants may write orders, and propose nothing to clients."""
        if not self.env.su and not self.env.user.has_group("sales_team.group_sale_salesman"):
            raise AccessError(self.env._("Salespeople send proposals."))

    def _get_revision_note(self):
        """Return why there is a new revision, or False."""
        return False

    def _after_revision(self):
        """Do what follows from a new revision having been sent."""

    def action_view_revisions(self):
        """Open the revisions of the order."""
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id("milestone_billing.sale_order_revision_action")
        action["domain"] = [("order_id", "=", self.id)]
        action["context"] = {"create": False}
        return action

    def action_compare_revisions(self):
        """Open the dialog that shows what changed between two revisions."""
        self.ensure_one()
        self.check_access("read")
        revisions = self.revision_ids.sorted("number")
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("What Changed"),
            "res_model": "sale.order.revision.compare",
            "views": [(False, "form")],
            "target": "new",
            "context": {
                "default_order_id": self.id,
                "default_before_id": revisions[-2:][:1].id,
                "default_after_id": revisions[-1:].id,
                "dialog_size": "extra-large",
            },
        }

    # -- signature and payment ------------------------------------------------------------------------------

    def _has_to_be_signed(self):
        return super()._has_to_be_signed() and not self._has_evidence() and not self._is_being_revised()

    def _has_to_be_paid(self):
        return super()._has_to_be_paid() and not self._is_being_revised()

    def _is_confirmation_amount_reached(self):
        """A payment does not confirm a proposal that was changed since: what was paid for is not what it says now."""
        return super()._is_confirmation_amount_reached() and not self._is_being_revised()

    def _get_client_signature_obstacle(self):
        """What was sent is what is signed, by both sides."""
        obstacle = super()._get_client_signature_obstacle()
        if not obstacle and self._is_being_revised():
            return self.env._(
                "%(order)s changed since it was sent. Send it again, so that the client sees what it is now.",
                order=self.name,
            )
        return obstacle

    def _can_be_edited_on_portal(self):
        return super()._can_be_edited_on_portal() and not self._is_being_revised()

    def _is_latest_revision(self, snapshot_hash):
        """Whether a page that shows ``snapshot_hash`` shows what can be signed now."""
        self.ensure_one()
        revision = self._get_last_revision()
        if self.state not in ("draft", "sent") or not revision:
            return True
        return snapshot_hash == revision.snapshot_hash and not self._is_being_revised()

    def _get_revision_query(self):
        """Return what a link that signs or pays carries of what its page shows: the revision, and all amounts."""
        self.ensure_one()
        if not self._tracks_revisions():
            return ""
        revision = self._get_last_revision()
        query = f"&revision_hash={revision.snapshot_hash}" if revision else ""
        return f"{query}&content_hash={self._hash_signed_content()}"

    def _is_shown_content(self, content_hash):
        """Whether a page that shows ``content_hash`` shows what would be signed now.

        A revision leaves open what the client chooses, and does not see when a tax gets another rate.
        """
        self.ensure_one()
        if self.state not in ("draft", "sent") or not self._tracks_revisions():
            return True
        return content_hash == self._hash_signed_content()

    def _agree_contract(self):
        self.ensure_one()
        if not self._has_evidence():
            super(SaleOrder, self.sudo()).write({"agreed_revision_id": self._get_current_revision().id})
        return super()._agree_contract()

    def _prepare_contract_values(self):
        values = super()._prepare_contract_values()
        if revision := self.sudo().agreed_revision_id:
            values["revision"] = {"number": revision.number, "hash": revision.snapshot_hash}
        return values

    # -- mails ----------------------------------------------------------------------------------------------

    def _notify_get_recipients_groups(self, message, model_description, msg_vals=False):
        """The link of a mail says which revision it is about."""
        groups = super()._notify_get_recipients_groups(message, model_description, msg_vals=msg_vals)
        revision = self._get_last_revision() if len(self) == 1 and self.state in ("draft", "sent") else None
        for _name, _condition, options in groups if revision else ():
            button = options.get("button_access") or {}
            if "/mail/view?" in button.get("url", ""):
                button["url"] += f"&revision={revision.number}"
        return groups
