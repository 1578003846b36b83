from collections import defaultdict

from odoo import SUPERUSER_ID, api, fields, models
from odoo.exceptions import AccessError, UserError
from odoo.http import request

from .sale_order_contract import SIGNATURE_KEYS

COUNTERSIGNER_GROUP = "milestone_billing.group_countersigner"
COUNTERSIGN_ACTIVITY = "milestone_billing.mail_activity_countersign"
CLIENT_SIGNATURE = frozenset({"signature", "signed_by", "signed_on"})
COUNTERSIGNATURE = frozenset({"countersignature", "countersigned_by", "countersigned_on"})
NO_SIGNATURES = dict.fromkeys(
    CLIENT_SIGNATURE | COUNTERSIGNATURE | {"signed_content_hash", "signature_recorded_by"}, False
)
OPEN_STATES = ("draft", "sent")


class SaleOrder(models.Model):
    """Both sides sign a milestone contract: the client in the portal, and the company, where the policy says so."""

    _inherit = "sale.order"

    milestone_countersign = fields.Boolean(
        string="Countersignature Required",
        compute="_compute_milestone_countersign",
        store=True,
        readonly=False,
        precompute=True,
        copy=False,
        help="The order is confirmed when the client and then the company have signed it.",
    )
    milestone_countersigner_id = fields.Many2one(
        "res.users",
        string="Countersigner",
        copy=False,
        domain=lambda self: [("all_group_ids", "in", self.env.ref(COUNTERSIGNER_GROUP).ids)],
        help="Who is asked to countersign; everybody with the right to, when empty.",
    )
    countersigned_by = fields.Many2one("res.users", readonly=True, copy=False, ondelete="restrict")
    countersigned_on = fields.Datetime(readonly=True, copy=False)
    countersignature = fields.Image(readonly=True, copy=False, attachment=True, max_width=1024, max_height=1024)
    signed_content_hash = fields.Char(
        string="Signed Content", readonly=True, copy=False, help="Hash of what the client signed."
    )
    signature_recorded_by = fields.Many2one(
        "res.users",
        readonly=True,
        copy=False,
        ondelete="restrict",
        help="Employee who put the client's signature on the order; empty when the client signed online.",
    )
    milestone_to_countersign = fields.Boolean(
        string="Waits for Countersignature",
        compute="_compute_milestone_to_countersign",
        store=True,
        help="Signed by the client, and not by the company yet.",
    )

    @property
    def _protected_fields(self):
        return (
            super()._protected_fields
            | COUNTERSIGNATURE
            | {"signed_content_hash", "signature_recorded_by", "milestone_to_countersign"}
        )

    @api.depends("company_id")
    def _compute_milestone_countersign(self):
        for order in self.filtered(lambda order: not order.milestone_contract_hash):
            order.milestone_countersign = (order.company_id or self.env.company).milestone_countersign

    @api.depends("state", "milestone_ids", "milestone_countersign", "signed_content_hash", "countersigned_on")
    def _compute_milestone_to_countersign(self):
        for order in self:
            order.milestone_to_countersign = bool(
                order.state in OPEN_STATES
                and order._needs_countersignature()
                and order.signed_content_hash
                and not order.countersigned_on
            )

    @api.model_create_multi
    def create(self, vals_list):
        orders = super().create(vals_list)
        if any(order.company_id.sudo().milestone_countersign and not order.milestone_countersign for order in orders):
            self._check_can_waive_countersignature()
        for order, vals in zip(orders, vals_list, strict=True):
            if vals.get("signature"):
                order._note_client_signature()
        orders._ask_to_sign_online()
        return orders

    def write(self, vals):
        kept = self.filtered(lambda order: order._has_evidence()) if "signature" in vals else self.browse()
        if kept and not vals["signature"]:  # set back to a quotation: it stays what was signed
            rest = {name: value for name, value in vals.items() if name not in CLIENT_SIGNATURE}
            return kept.write(rest) and (not self - kept or (self - kept).write(vals))
        self._check_signature_write(vals)
        result = super().write(vals)
        if vals.get("signature"):
            self._note_client_signature()
        elif "signature" in vals:
            self.filtered("signed_content_hash")._write_protected(NO_SIGNATURES)
        self._void_outdated_signatures()
        if vals.get("milestone_countersign"):
            self._ask_to_sign_online()
        if not {"signature", "state", "milestone_countersign", "milestone_countersigner_id"}.isdisjoint(vals):
            self._sync_countersign_activities()
        return result

    def _check_signature_write(self, vals):
        """:raises UserError, AccessError: for what would go round the signatures"""
        if vals.get("state") == "sale":
            for order in self.filtered(lambda order: order.state != "sale"):
                if obstacle := order._get_signature_obstacle():
                    raise UserError(obstacle)
        waives = "milestone_countersign" in vals and not vals["milestone_countersign"]
        if waives and any(order.milestone_countersign for order in self):
            self._check_can_waive_countersignature()
        names = CLIENT_SIGNATURE.intersection(vals)
        if not names:
            return
        clears = "signature" in vals and not vals["signature"]
        for order in self.filtered(lambda order: order.signed_content_hash or order.milestone_contract_hash):
            if order.state != "sale" and (clears or not order.signature):
                continue
            if any(order._is_term_changed(name, vals[name]) for name in names):
                raise UserError(
                    self.env._(
                        "%(order)s is signed, or agreed already: its signatures stay as they are.", order=order.name
                    )
                )

    def _ask_to_sign_online(self):
        """A countersignature answers a signature: let the client sign online, unless that is taken back by hand."""
        for order in self:
            if order.state in OPEN_STATES and order._needs_countersignature() and not order.require_signature:
                order.require_signature = True

    def _check_can_waive_countersignature(self):
        if not (self.env.su or self.env.user.has_group("sales_team.group_sale_manager")):
            raise AccessError(self.env._("Only sales administrators decide that a contract needs no countersignature."))

    # -- the client's signature -----------------------------------------------------------------------------

    def _note_client_signature(self):
        """Keep what the client signed, and who put the signature there when it was not the client."""
        # the portal writes as superuser: the request knows who is there
        user = request.env.user if request else self.env.user
        for order in self.sudo().filtered(lambda order: order.milestone_ids and order.state in OPEN_STATES):
            order._write_protected(
                {
                    "signed_content_hash": order._hash_signed_content(),
                    "signature_recorded_by": user.id if user._is_internal() else False,
                }
            )

    def _hash_signed_content(self):
        """Return the hash of all that the client signs; records that were made anew with the same content count."""
        self.ensure_one()
        values = self.sudo()._prepare_contract_values()
        names = {milestone["id"]: milestone["name"] for milestone in values["milestones"]}
        content = {key: value for key, value in values.items() if key not in SIGNATURE_KEYS}
        dump = self.env["sale.approval"]._dump_canonical
        content["lines"] = sorted(
            dump({**line, "id": False, "milestone": names.get(line["milestone"], "")}) for line in content["lines"]
        )
        return self.env["sale.approval"]._hash_text(dump(content))

    def _is_signature_outdated(self):
        """Whether the client signed something else than what the quotation says now."""
        self.ensure_one()
        if not self.signature or self.state not in OPEN_STATES or not self.milestone_ids or self._has_evidence():
            return False
        if not self.signed_content_hash:  # signed before such hashes were kept
            return self.milestone_countersign
        return self.signed_content_hash != self._hash_signed_content()

    def _void_outdated_signatures(self):
        """Ask the client again when a quotation changed after it was signed."""
        for order in self.sudo():
            if order.signed_by and order.state in OPEN_STATES and order._is_signature_outdated():
                order._void_signature()

    def _void_signature(self):
        self.ensure_one()
        name, team = self.signed_by, self.with_user(SUPERUSER_ID)
        self._write_protected(NO_SIGNATURES)
        self._sync_countersign_activities()
        self._tell_void_signature()
        team.message_post(
            body=self.env._(
                "The quotation changed after %(name)s had signed it: the signature is void. "
                "Send it again, so that the client signs what it is now.",
                name=name,
            )
        )

    def _tell_void_signature(self):
        """The client was told that the order is signed: say that it is not, and that nothing has to be done now."""
        self.ensure_one()
        client = self.with_user(SUPERUSER_ID).with_context(lang=self.partner_id.lang)
        client.message_post(
            body=client.env._(
                "%(order)s was changed after you signed it: your signature does not count for what it is now. "
                "You will get the new version to look at and to sign.",
                order=self.name,
            ),
            partner_ids=self.partner_id.ids,
            subtype_xmlid="mail.mt_comment",
        )

    def _check_signature_at_commit(self):
        """Look once, when all changes of this transaction are made, whether the client's signature still stands."""
        orders = self.sudo().filtered(lambda order: order.signed_content_hash and order.state in OPEN_STATES)
        if not orders:
            return
        pending = self.env.cr.precommit.data.setdefault("milestone_billing.signed", defaultdict(set))
        if not pending["ids"]:
            self.env.cr.precommit.add(self.env["sale.order"].sudo()._void_changed_signatures)
        pending["ids"].update(orders.ids)

    @api.model
    def _void_changed_signatures(self):
        pending = self.env.cr.precommit.data.pop("milestone_billing.signed", {"ids": ()})
        self.browse(pending["ids"]).exists()._void_outdated_signatures()
        self.env.flush_all()

    # -- the company's signature ------------------------------------------------------------------------------

    def action_countersign(self):
        """Open the dialog in which the company signs.

        :raises AccessError: without the right to sign for the company
        :raises UserError: when the client has not signed, or something else than what the order is now
        """
        self.ensure_one()
        self._check_can_countersign()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Countersign %(order)s", order=self.name),
            "res_model": "sale.order.countersign",
            "view_mode": "form",
            "target": "new",
            "context": {"default_order_id": self.id},
        }

    def _countersign(self, signature, content_hash):
        """Sign for the company, and confirm the order unless it still waits for its payment.

        :param bytes signature: base64 of an image
        :param str content_hash: of what was shown to the signer
        :raises AccessError: without the right to sign for the company
        :raises UserError: when nothing waits for a countersignature, or something else was shown
        """
        self.ensure_one()
        self.lock_for_update(allow_referencing=True)
        self._check_can_countersign()
        if content_hash != self.signed_content_hash:
            raise UserError(self.env._("The contract changed since you opened it. Please look at it again."))
        order = self.sudo()
        order._write_protected(
            {
                "countersignature": signature,
                "countersigned_by": self.env.user.id,
                "countersigned_on": fields.Datetime.now(),
            }
        )
        order._sync_countersign_activities()
        order.message_post(
            body=self.env._(
                "Countersigned by %(name)s for %(company)s.", name=self.env.user.name, company=order.company_id.name
            ),
            author_id=self.env.user.partner_id.id,
        )
        if not order._has_to_be_paid():
            order.action_confirm()

    def _check_can_countersign(self):
        self.check_access("read")
        if not self.env.user.has_group(COUNTERSIGNER_GROUP):
            raise AccessError(self.env._("You are not allowed to sign contracts for the company."))
        for order in self:
            if order.countersigned_on:
                raise UserError(self.env._("%(order)s is countersigned already.", order=order.name))
            if order.state not in OPEN_STATES or not order._needs_countersignature():
                raise UserError(self.env._("%(order)s does not wait for a countersignature.", order=order.name))
            if obstacle := order._get_client_signature_obstacle():
                raise UserError(obstacle)

    def _sync_countersign_activities(self):
        """Ask those who may countersign while the company's signature is missing, and only then."""
        for order in self.with_user(SUPERUSER_ID):
            if not order.milestone_to_countersign:
                order.activity_unlink([COUNTERSIGN_ACTIVITY])
                continue
            known = order.activity_search([COUNTERSIGN_ACTIVITY])
            users = order._get_countersigners()
            known.filtered(lambda activity, users=users: activity.user_id not in users).unlink()
            for user in users - known.exists().user_id:
                order.with_context(lang=user.lang).activity_schedule(
                    COUNTERSIGN_ACTIVITY,
                    user_id=user.id,
                    note=self.with_context(lang=user.lang).env._(
                        "%(name)s signed. The order is confirmed when the company signs as well.", name=order.signed_by
                    ),
                )

    def _get_countersigners(self):
        """Return who is asked to countersign: the chosen one, or everybody who may."""
        self.ensure_one()
        group = self.env.ref(COUNTERSIGNER_GROUP)
        users = group.all_user_ids.filtered(
            lambda user: user.active and user.id != SUPERUSER_ID and self.company_id in user.company_ids
        )
        return self.milestone_countersigner_id & users or users

    # -- confirmation -----------------------------------------------------------------------------------------

    def _needs_countersignature(self):
        self.ensure_one()
        order = self.sudo()  # whoever signs need not read milestones
        return bool(order.milestone_countersign and order.milestone_ids)

    def _get_signature_obstacle(self):
        """Return which signature keeps the contract from being confirmed, or False."""
        self.ensure_one()
        order = self.sudo()
        if not order._needs_countersignature():
            return False
        if obstacle := order._get_client_signature_obstacle():
            return obstacle
        if not order.countersigned_on:
            return self.env._(
                "%(order)s is signed by the client and waits for the countersignature of %(company)s.",
                order=order.name,
                company=order.company_id.name,
            )
        return False

    def _get_client_signature_obstacle(self):
        self.ensure_one()
        order = self.sudo()
        if not order.signature:
            return self.env._(
                "%(order)s is confirmed when both sides have signed: the client has not signed yet.", order=order.name
            )
        if order._is_signature_outdated():
            return self.env._(
                "%(order)s changed since the client signed it. Send it again, so that the client signs what it is now.",
                order=order.name,
            )
        return False

    def _note_payment_before_acceptance(self):
        """Say on paid quotations what they still wait for."""
        for order in self.with_user(SUPERUSER_ID).filtered(lambda order: order.state in OPEN_STATES):
            if (obstacle := order._get_acceptance_obstacle()) and not order._has_to_be_paid():
                order.message_post(body=self.env._("The client paid. %(reason)s", reason=obstacle))

    def _confirmation_error_message(self):
        return super()._confirmation_error_message() or self._get_signature_obstacle()

    def _validate_order(self):
        """What the client signed or paid waits for the countersignature where the policy asks for it."""
        ready = self.filtered(lambda order: not order._get_signature_obstacle())
        return super(SaleOrder, ready)._validate_order() if ready else None

    def _prepare_contract_values(self):
        values = super()._prepare_contract_values()
        values["countersign"] = self.milestone_countersign
        if self.countersigned_on:
            signature = self.with_context(bin_size=False).countersignature
            values.update(
                countersigned_by=self.countersigned_by.id,
                countersigned_on=fields.Datetime.to_string(self.countersigned_on),
                countersignature=self.env["sale.approval"]._hash_text(signature.decode()) if signature else "",
            )
        return values
