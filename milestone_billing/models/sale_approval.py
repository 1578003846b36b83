import base64
import hashlib
import json
from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import AccessError

from .sale_milestone import AMOUNT_GROUPS

SUBMISSION_FIELDS = ("kind", "round", "snapshot_hash", "submitted_by", "submitted_on", "due_date")
DECISION_FIELDS = (
    "decision",
    "decided_by",
    "decided_on",
    "method",
    "signed_by",
    "signature_hash",
    "comment",
    "consent",
    "consent_hash",
    "ip_address",
    "user_agent",
    "recorded_by",
    "approved_on",
    "proof_hash",
)


def find_files(value):
    """Return the ids of all files that the values of a snapshot name, at whatever depth."""
    if isinstance(value, list):
        return {number for item in value for number in find_files(item)}
    if not isinstance(value, dict):
        return set()
    found = {file["id"] for file in value.get("files") or ()}
    return found.union(*(find_files(item) for key, item in value.items() if key != "files"))


class SaleApproval(models.Model):
    """One review round and its decision: evidence, written once and then kept.

    ``create``, ``write`` and ``unlink`` are refused to everybody, the superuser included. The
    engine writes through :meth:`_create_evidence` and :meth:`_decide`. Each link holds the hash
    of the one before it, the first that of the contract:
    ``submission_hash = sha256(previous ‖ submission)``, ``chain_hash = sha256(submission_hash ‖ decision)``.
    """

    _name = "sale.approval"
    _description = "Approval Evidence"
    _order = "id desc"
    _rec_name = "snapshot_hash"

    milestone_id = fields.Many2one("sale.milestone", index=True, ondelete="restrict", readonly=True)
    change_request_id = fields.Many2one(
        "sale.change.request", index="btree_not_null", ondelete="restrict", readonly=True
    )
    order_id = fields.Many2one("sale.order", compute="_compute_order_id", store=True, index=True)
    company_id = fields.Many2one(related="order_id.company_id", store=True)
    kind = fields.Selection(
        [("internal", "Internal Review"), ("client", "Client Approval"), ("reversal", "Reversal")],
        required=True,
        readonly=True,
    )
    round = fields.Integer(required=True, readonly=True)
    snapshot = fields.Text(required=True, readonly=True, groups=AMOUNT_GROUPS)
    snapshot_hash = fields.Char(required=True, readonly=True)
    submitted_by = fields.Many2one("res.users", required=True, readonly=True, ondelete="restrict")
    submitted_on = fields.Datetime(required=True, readonly=True)
    due_date = fields.Date(string="Answer Due", readonly=True)
    submission_hash = fields.Char(required=True, readonly=True)

    decision = fields.Selection(
        [
            ("pending", "Waiting"),
            ("approved", "Approved"),
            ("changes_requested", "Changes Requested"),
            ("rejected", "Declined"),
            ("withdrawn", "Withdrawn"),
            ("superseded", "Replaced by a New Version"),
            ("reverted", "Approval Reversed"),
        ],
        default="pending",
        required=True,
        readonly=True,
    )
    decided_by = fields.Many2one("res.partner", readonly=True, ondelete="restrict")
    decided_on = fields.Datetime(readonly=True)
    method = fields.Selection(
        [
            ("link", "Personal Link"),
            ("portal", "Portal Account"),
            ("on_behalf", "On Behalf of the Client"),
            ("internal", "Internal User"),
            ("system", "System"),
        ],
        string="Identified By",
        readonly=True,
    )
    signed_by = fields.Char(string="Signed As", readonly=True)
    signature = fields.Image(readonly=True, max_width=1024, max_height=1024, attachment=True)
    signature_hash = fields.Char(readonly=True)
    comment = fields.Text(readonly=True)
    consent = fields.Text(readonly=True)
    consent_hash = fields.Char(readonly=True)
    ip_address = fields.Char(string="IP Address", readonly=True)
    user_agent = fields.Char(readonly=True)
    recorded_by = fields.Many2one("res.users", readonly=True, ondelete="restrict")
    approved_on = fields.Date(readonly=True, help="Day on which the client approved elsewhere.")
    proof_ids = fields.Many2many("ir.attachment", readonly=True, bypass_search_access=True)
    proof_hash = fields.Char(readonly=True)
    chain_hash = fields.Char(readonly=True)
    presented_file_ids = fields.Many2many(
        "ir.attachment",
        "sale_approval_presented_file_rel",
        string="Presented Files",
        readonly=True,
        bypass_search_access=True,
        help="Files that the snapshot names: they are kept, however the round ended.",
    )
    recipient_ids = fields.One2many("sale.approval.recipient", "approval_id", string="Asked", readonly=True)

    _one_subject = models.Constraint(
        "CHECK(num_nonnulls(milestone_id, change_request_id) = 1)", "An approval belongs to exactly one document."
    )
    _one_pending = models.UniqueIndex(
        "(milestone_id) WHERE decision = 'pending'", "A milestone waits for one decision at a time."
    )
    _one_round = models.UniqueIndex("(milestone_id, kind, round)", "Each round of a milestone is reviewed once.")
    _one_pending_change = models.UniqueIndex(
        "(change_request_id) WHERE decision = 'pending'", "A change request waits for one decision at a time."
    )
    _one_round_of_change = models.UniqueIndex(
        "(change_request_id, kind, round)", "Each round of a change request is reviewed once."
    )

    def init(self):
        """Note which files were presented in rounds that were opened before this was kept."""
        self.env.cr.execute(
            """
            SELECT approval.id, approval.snapshot
              FROM sale_approval approval
         LEFT JOIN sale_approval_presented_file_rel known ON known.sale_approval_id = approval.id
             WHERE known.sale_approval_id IS NULL AND approval.snapshot LIKE %s
            """,
            ['%"files":[{%'],
        )
        for approval_id, snapshot in self.env.cr.fetchall():
            try:
                numbers = find_files(json.loads(snapshot))
            except (ValueError, TypeError, KeyError):
                continue  # altered behind our back: its verification says so
            self.env.cr.execute(
                """
                INSERT INTO sale_approval_presented_file_rel (sale_approval_id, ir_attachment_id)
                     SELECT %s, id FROM ir_attachment WHERE id = ANY(%s)
                """,
                [approval_id, list(numbers)],
            )

    @api.depends("milestone_id.order_id", "change_request_id.order_id")
    def _compute_order_id(self):
        for approval in self:
            approval.order_id = approval._get_subject().order_id

    def _compute_display_name(self):
        kinds = dict(self._fields["kind"]._description_selection(self.env))
        for approval in self:
            subject = approval.sudo()._get_subject().display_name
            approval.display_name = f"{subject}: {kinds.get(approval.kind)} {approval.round}"

    @api.model_create_multi
    def create(self, vals_list):  # pylint: disable=method-required-super
        raise AccessError(self.env._("Evidence of reviews is recorded by the reviews themselves."))

    def write(self, vals):  # pylint: disable=method-required-super
        raise AccessError(self.env._("Evidence of reviews cannot be changed."))

    @api.ondelete(at_uninstall=False)
    def _unlink_except_never(self):
        raise AccessError(self.env._("Evidence of reviews cannot be deleted."))

    @api.model
    def _create_evidence(self, values):
        """Open a round: ``values`` are a subject, kind, round, snapshot, submitted_by and due_date."""
        values = dict(values, submitted_on=fields.Datetime.now(), submission_hash="-")
        values["snapshot_hash"] = self._hash_text(values["snapshot"])
        files = self.env["ir.attachment"].browse(find_files(json.loads(values["snapshot"]))).exists()
        values["presented_file_ids"] = [fields.Command.set(files.ids)]
        # no default_* key of a caller's context gets into evidence
        clean = self.with_context({})  # pylint: disable=context-overridden
        approval = super(SaleApproval, clean).create([values]).with_env(self.env)
        previous = approval._get_previous_hash()
        approval._seal({"submission_hash": approval._hash_link(previous, SUBMISSION_FIELDS)})
        return approval

    def _decide(self, decision, evidence):
        """Close a round, once.

        :param dict evidence: see ``sale.approval.mixin._approve``
        :raises AccessError: when the round is decided already
        """
        self.ensure_one()
        if self.decision != "pending":
            raise AccessError(self.env._("This round is decided already."))
        signature = evidence.get("signature")
        proof = self._own_proof(evidence.get("proof") or self.env["ir.attachment"]).sorted("id")
        self._seal(
            {
                "decision": decision,
                "decided_by": evidence["partner"].id,
                "decided_on": fields.Datetime.now(),
                "method": evidence.get("method"),
                "signed_by": evidence.get("signed_by"),
                "signature": signature,
                "comment": evidence.get("comment"),
                "consent": evidence.get("consent"),
                "consent_hash": self._hash_text(evidence["consent"]) if evidence.get("consent") else False,
                "ip_address": evidence.get("ip_address"),
                "user_agent": (evidence.get("user_agent") or "")[:512] or False,
                "recorded_by": self.env.user.id if evidence.get("method") == "on_behalf" else False,
                "approved_on": evidence.get("approved_on"),
                "proof_ids": [fields.Command.set(proof.ids)],
                "proof_hash": self._hash_text(",".join(proof.mapped("checksum"))) if proof else False,
            }
        )
        if signature:
            self._seal({"signature_hash": self._hash_signature()})
        self._seal({"chain_hash": self._hash_link(self.submission_hash, DECISION_FIELDS)})
        self.flush_recordset(["decision"])  # the next round may open at once, and the database counts open ones

    def _own_proof(self, files):
        """Return files as files of this round: those that were uploaded for it, and copies of all others.

        What belongs to another document stays there as it is. The caller checked that ``files`` may be read.
        """
        files = files.sudo()
        values = {"res_model": self._name, "res_id": self.id}
        uploaded = files.filtered(
            lambda file: (
                not file.res_id
                and file.res_model in (False, "sale.approval.on.behalf")
                and file.create_uid == self.env.user
            )
        )
        uploaded.write(values)
        copies = [
            file.copy({**values, "res_field": False, "public": False, "access_token": False})
            for file in files - uploaded
        ]
        return uploaded.union(*copies)

    def _seal(self, values):
        return super().write(values)

    def _get_subject(self):
        self.ensure_one()
        return self.milestone_id or self.change_request_id

    def _is_satisfied(self, policy):
        """Whether the policy is met by the decisions of the recipients so far; any approver suffices.

        The rules "all" and "in sequence" find their place here: ``recipient_ids.decision`` and
        ``recipient_ids.sequence`` say who decided what.
        """
        self.ensure_one()
        return policy.rule == "any"

    # -- links ------------------------------------------------------------------------------------

    def _invite(self, partners):
        """Give each partner a personal link to this round and mail it after the commit."""
        self.ensure_one()
        days = self._get_subject().company_id.milestone_link_days
        expires_on = fields.Datetime.now() + timedelta(days=days)
        recipients = self.env["sale.approval.recipient"]._create_recipients(
            [
                {
                    "approval_id": self.id,
                    "partner_id": partner.id,
                    "sequence": sequence,
                    "expires_on": expires_on,
                }
                for sequence, partner in enumerate(partners, 1)
            ]
        )
        recipients._send_invitation()
        return recipients

    def _note_recipient(self, partner, decision):
        recipient = self.recipient_ids.filtered(lambda recipient: recipient.partner_id == partner)
        recipient._write_protected({"decision": decision})

    def _get_team_users(self):
        """Return who is told about the client's decision: salesperson and project manager."""
        self.ensure_one()
        subject = self._get_subject()
        users = subject.user_id | subject._get_project_manager()
        return users.filtered(lambda user: user.active and user.partner_id.email)

    @api.model
    def _queue_mails(self, template_xmlid, records):
        """Queue a mail per record, rendered in the language of who gets it; it leaves after the commit.

        The message belongs to no document and to no user: the body holds personal links, which the
        people inside who may read the document must not find.
        """
        template = self.env.ref(template_xmlid, raise_if_not_found=False)
        if not template or not records:
            return
        author = self.env.ref("base.partner_root")
        template.sudo().send_mail_batch(
            records.ids,
            force_send=False,
            email_values={"model": False, "res_id": False, "author_id": author.id},
            email_layout_xmlid="milestone_billing.mail_notification_milestone",
        )
        self.env.ref("mail.ir_cron_mail_scheduler_action").sudo()._trigger()

    # -- chain --------------------------------------------------------------------------------------

    @api.model
    def _hash_text(self, text):
        return hashlib.sha256(text.encode()).hexdigest()

    def _hash_signature(self):
        self.ensure_one()
        signature = self.with_context(bin_size=False).signature
        return hashlib.sha256(base64.b64decode(signature)).hexdigest() if signature else False

    def _hash_link(self, previous, names):
        self.ensure_one()
        event = {name: self._get_plain_value(name) for name in names}
        return self._hash_text(f"{previous or ''}{self._dump_canonical(event)}")

    def _get_plain_value(self, name):
        value, field = self[name], self._fields[name]
        if field.type == "many2one":
            return value.id
        if field.type in ("date", "datetime"):
            return field.to_string(value) if value else False
        return value or False

    @api.model
    def _dump_canonical(self, values):
        """Return ``values`` as JSON of one form: keys sorted, no blanks, UTF-8."""
        return json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    def _get_previous_hash(self):
        self.ensure_one()
        subject = self._get_subject()
        earlier = subject.approval_ids.filtered(lambda approval: approval.id < self.id).sorted("id")
        return earlier[-1:].chain_hash or subject._get_chain_anchor()

    def _verify_chain(self, subject):
        """Recompute every link of one subject, the oldest first.

        :return: what is wrong with the first broken link, or an empty string
        """
        previous = subject._get_chain_anchor()
        for approval in self.sorted("id"):
            problem = approval._get_broken_part(previous)
            if problem:
                return self.env._(
                    "Round %(round)s (%(kind)s, record %(id)s) of %(subject)s was altered: %(problem)s.",
                    round=approval.round,
                    kind=dict(self._fields["kind"]._description_selection(self.env)).get(approval.kind),
                    id=approval.id,
                    subject=subject.display_name,
                    problem=problem,
                )
            previous = approval.chain_hash or previous
        return ""

    def _get_broken_part(self, previous):
        self.ensure_one()
        if self.snapshot_hash != self._hash_text(self.snapshot):
            return self.env._("the snapshot does not match its hash")
        if self.submission_hash != self._hash_link(previous, SUBMISSION_FIELDS):
            return self.env._("the submission does not match its hash, or an earlier round is missing")
        if self.decision == "pending":
            return ""
        if self.consent and self.consent_hash != self._hash_text(self.consent):
            return self.env._("the consent does not match its hash")
        if (self.signature_hash or False) != self._hash_signature():
            return self.env._("the signature does not match its hash")
        proof = self.proof_ids.sorted("id")
        proof_hash = self._hash_text(",".join(proof.mapped("checksum"))) if proof else False
        if (self.proof_hash or False) != proof_hash:
            return self.env._("the proof does not match its hash")
        if self.chain_hash != self._hash_link(self.submission_hash, DECISION_FIELDS):
            return self.env._("the decision does not match its hash")
        return ""
