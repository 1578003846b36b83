from odoo import fields
from odoo.fields import Command
from odoo.tests import HttpCase, tagged
from odoo.tools import mute_logger

ADDON = "odoo.addons.milestone_billing."
# Every method of the addon that anybody with a key can call by name. A new one is a decision:
# it checks rights and state itself, and has a row in rights.csv if it changes something.
ALLOWED = {
    "sale.milestone": {
        "action_start",
        "action_submit",
        "action_withdraw",
        "action_internal_approve",
        "action_internal_reject",
        "action_approve_on_behalf",
        "action_verify_evidence",
        "action_revert_approval",
        "action_create_invoices",
        "action_rebill",
        "action_allow_early",
        "action_shift_successors",
        "action_keep_successors",
        "action_hold",
        "action_release",
        "action_view_invoices",
        "action_view_order",
        "action_view_tasks",
        "action_open_plan",
        "action_view_change_requests",
        "action_create_tasks",
    },
    "sale.change.request": {
        "action_submit",
        "action_withdraw",
        "action_internal_approve",
        "action_internal_reject",
        "action_approve_on_behalf",
        "action_verify_evidence",
        "action_cancel",
        "action_reject",
        "action_start_at_risk",
        "action_refresh_base",
        "action_view_order",
    },
    "sale.approval.recipient": {"action_revoke", "action_resend"},
    "sale.approval.on.behalf": {"action_confirm"},
    "sale.approval.reason": {"action_confirm"},
    "sale.milestone.shift": {"action_confirm"},
    "sale.order": {
        "action_view_milestones",
        "action_view_revisions",
        "action_compare_revisions",
        "action_close_negotiation",
        "action_shift_milestones",
        "action_keep_milestones",
        "action_import_milestones",
        "action_invoice_advance",
        "action_plan_milestones",
        "action_save_milestone_template",
        "action_release_retention",
        "action_view_retention",
        "action_view_change_requests",
        "action_import_requirements",
        "action_view_requirements",
        "action_view_requirement_coverage",
        "action_plan_kickoff",
        "action_countersign",
        "action_verify_contract",
        "action_download_signed_contract",
    },
    "sale.order.countersign": {"action_confirm"},
    "sale.milestone.planner": {"action_apply", "action_undo"},
    "sale.milestone.template.line": {"action_open_details"},
    "sale.retention.release": {"action_cancel", "action_announce", "action_view_invoices"},
    "sale.retention.release.wizard": {"action_confirm"},
    "sale.retention.report": {"action_open_invoice", "action_release_retention"},
    "sale.retention.check": {"action_open_difference"},
    "res.config.settings": {"action_create_retention_account"},
    "account.move": {"action_view_billing_milestones"},
    "res.partner": {"action_bill_milestones"},
    "project.project": {"action_view_billing_milestones", "action_plan_kickoff", "action_view_team"},
    "project.milestone": {"action_view_billing_milestone"},
}
# Native methods that the addon extends keep their own rules.
ORM = {"create", "write", "unlink", "copy", "copy_data"}


@tagged("post_install", "-at_install")
class TestRpcSurface(HttpCase):
    """What can be called from outside, and by whom."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.partner = cls.env["res.partner"].create({"name": "Client", "email": "client@example.com"})
        order = cls.env["sale.order"].create(
            {
                "partner_id": cls.partner.id,
                "milestone_ids": [Command.create({"name": "Design", "amount_untaxed": 100.0})],
            }
        )
        order.action_confirm()
        cls.milestone = order.milestone_ids
        cls.milestone.deliverable_ids = [Command.create({"name": "Paper", "url": "https://example.com"})]
        cls.milestone.action_start()
        cls.milestone.action_submit()

    def _get_public_methods(self):
        """Return {model: names} of what the addon adds and RPC can reach."""
        found = {}
        for model_name in self.env.registry:
            model_class = self.env.registry[model_name]
            for base in model_class.__mro__:
                if not base.__module__.startswith(ADDON) or base._name != model_name:
                    continue
                for name, member in vars(base).items():
                    if name.startswith("_") or not callable(member) or getattr(member, "_api_private", False):
                        continue
                    is_native = any(
                        name in vars(other)
                        for other in model_class.__mro__
                        if not other.__module__.startswith(ADDON) and other.__module__.startswith("odoo.")
                    )
                    if not is_native and name not in ORM:
                        found.setdefault(model_name, set()).add(name)
            for base in model_class.__mro__:
                if (
                    base.__module__.startswith(ADDON)
                    and base._name == "sale.approval.mixin"
                    and model_name != base._name
                ):
                    found.setdefault(model_name, set()).update(
                        name for name, member in vars(base).items() if name.startswith("action_") and callable(member)
                    )
        found.pop("sale.approval.mixin", None)
        return found

    def test_public_methods_are_the_declared_ones(self):
        self.maxDiff = None
        self.assertEqual(self._get_public_methods(), ALLOWED)

    def _call(self, key, model, method, ids):
        return self.url_open(
            f"/json/2/{model}/{method}",
            json={"ids": ids, "context": {"default_state": "approved"}},
            headers={"Authorization": f"Bearer {key}"},
        )

    def _make_key(self, group):
        user = self.env["res.users"].create(
            {
                "name": "Outsider",
                "login": f"rpc_{group}",
                "group_ids": [Command.set([self.env.ref(group).id])],
                **({"partner_id": self.partner.id} if group == "base.group_portal" else {}),
            }
        )
        return (
            self.env["res.users.apikeys"]
            .with_user(user)
            ._generate("rpc", "test", fields.Datetime.add(fields.Datetime.now(), days=1))
        )

    @mute_logger("odoo.http", "odoo.addons.base.models.ir_model", "odoo.addons.base.models.ir_rule")
    def test_outsiders_change_nothing_over_json2(self):
        harmless = {
            "action_open_plan",
            "action_view_invoices",
            "action_view_order",
            "action_view_tasks",
            "action_view_change_requests",
        }
        for group in ("base.group_portal", "base.group_user"):
            key = self._make_key(group)
            for method in sorted(ALLOWED["sale.milestone"] - harmless):
                with self.subTest(group=group, method=method):
                    response = self._call(key, "sale.milestone", method, self.milestone.ids)
                    self.assertIn(response.status_code, (400, 403, 422), response.text)
        self.milestone.invalidate_recordset()
        self.assertEqual(self.milestone.state, "submitted")
        self.assertEqual(self.milestone.approval_ids.decision, "pending")

    @mute_logger("odoo.http")
    def test_private_methods_are_out_of_reach(self):
        key = self._make_key("base.group_user")
        for method in ("_approve", "_write_protected", "_process_invoice_queue", "_cron_process_invoice_queue"):
            response = self._call(key, "sale.milestone", method, self.milestone.ids)
            self.assertGreaterEqual(response.status_code, 400)
        self.assertEqual(self.milestone.state, "submitted")
