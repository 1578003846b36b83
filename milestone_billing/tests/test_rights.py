import csv
from pathlib import Path

from odoo.exceptions import AccessError, UserError
from odoo.fields import Command
from odoo.tests import tagged
from odoo.tools import file_path, mute_logger

from odoo.addons.sale.tests.common import TestSaleCommon

from .common import PIXEL

GROUPS = {
    "employee": [],
    "project_user": ["project.group_project_user"],
    "project_manager": ["project.group_project_manager"],
    "salesperson_own": ["sales_team.group_sale_salesman"],
    "salesperson_other": ["sales_team.group_sale_salesman"],
    "sales_all": ["sales_team.group_sale_salesman_all_leads"],
    "sales_admin": ["sales_team.group_sale_manager"],
    "reviewer": ["milestone_billing.group_internal_reviewer"],
    "invoicing": ["account.group_account_invoice"],
    "accountant": ["account.group_account_user"],
    "administrator": ["base.group_system"],
    "other_company": ["sales_team.group_sale_manager", "account.group_account_user", "project.group_project_manager"],
}


def read_table():
    """Return {operation: {role: allowed}} as it is published in the documentation."""
    with Path(file_path("milestone_billing/tests/rights.csv")).open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {row.pop("operation"): {role: value == "yes" for role, value in row.items()} for row in rows}


@tagged("post_install", "-at_install")
class TestRights(TestSaleCommon):
    """Every role tries every operation of the published table."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.client_company = cls.env["res.partner"].create({"name": "Client", "is_company": True})
        cls.approver = cls._create_contact("approver", cls.client_company)
        cls.contact = cls._create_contact("contact", cls.client_company)
        cls.stranger = cls._create_contact("stranger", cls.env["res.partner"])
        cls.helper = cls._create_contact("collaborator", cls.env["res.partner"])
        cls.users = cls._create_users()
        cls._create_milestones()

    @classmethod
    def _create_contact(cls, name, parent):
        return cls.env["res.partner"].create(
            {"name": name, "email": f"{name}@example.com", "parent_id": parent.id, "type": "contact"}
        )

    @classmethod
    def _create_users(cls):
        portal = {
            "portal_stranger": cls.stranger,
            "portal_contact": cls.contact,
            "portal_approver": cls.approver,
            "collaborator": cls.helper,
        }
        users = {"anonymous": cls.env.ref("base.public_user")}
        for role, partner in portal.items():
            users[role] = cls._create_user(role, [cls.env.ref("base.group_portal").id], partner_id=partner.id)
        other_company = cls.env["res.company"].create({"name": "Other company"})
        for role, groups in GROUPS.items():
            ids = [cls.env.ref(name).id for name in ["base.group_user", *groups]]
            company = other_company if role == "other_company" else cls.env.company
            users[role] = cls._create_user(
                role, ids, company_id=company.id, company_ids=[Command.set(company.ids)], email=f"{role}@example.com"
            )
        return users

    @classmethod
    def _create_user(cls, role, group_ids, **values):
        context = {"no_reset_password": True, "mail_create_nolog": True}
        return (
            cls.env["res.users"]
            .with_context(**context)
            .create({"name": role, "login": f"rights_{role}", "group_ids": [Command.set(group_ids)], **values})
        )

    @classmethod
    def _create_milestones(cls):
        cls.quotation = cls._create_order(["Planned", "Afterwards"])
        planned, afterwards = cls.quotation.milestone_ids
        afterwards.write({"predecessor_ids": [Command.set(planned.ids)], "contract_date": "2030-01-31"})
        cls.proposal = cls._create_order(["Proposed"])
        cls.proposal.action_quotation_sent()
        cls.proposal.sudo()._ask_for_modifications("Cheaper, please.", cls.approver)
        cls.template = cls.env["sale.milestone.template"].create({"name": "Halves", "company_id": cls.env.company.id})
        order = cls._create_order(["Started", "Submitted", "Reviewed", "Approved", "Credited", "Fresh"])
        order.milestone_ids[-1].predecessor_ids = order.milestone_ids[0]
        cls.requirement, cls.agreed_requirement = cls.env["sale.requirement"].create(
            [{"order_id": known.id, "statement": "Needed"} for known in (cls.quotation, order)]
        )
        order.action_confirm()
        order.project_id.sudo().privacy_visibility = "portal"
        order.project_id.sudo().collaborator_ids = [Command.create({"partner_id": cls.helper.id})]
        cls.advanced = cls._create_order(["Advanced"])
        cls.advanced.write({"milestone_advance_type": "percentage", "milestone_advance_percentage": 10.0})
        cls.advanced.milestone_advance_policy = "manual"
        cls.advanced.action_confirm()
        cls.quotation.milestone_countersign = True
        cls.countersigned = cls._create_order(["Signed"])
        cls.countersigned.write(
            {"milestone_countersign": True, "signed_by": "Client", "signature": PIXEL, "state": "sent"}
        )
        milestones = dict(zip(order.milestone_ids.mapped("name"), order.milestone_ids, strict=True))
        cls.started, cls.submitted, cls.reviewed, cls.approved, cls.credited, cls.fresh = (
            milestones[name] for name in ("Started", "Submitted", "Reviewed", "Approved", "Credited", "Fresh")
        )
        (order.milestone_ids - cls.fresh).action_start()
        for milestone in (cls.submitted, cls.approved, cls.credited):
            milestone.action_submit()
        for milestone in (cls.approved, cls.credited):
            milestone._approve(
                {
                    "partner": cls.approver,
                    "method": "link",
                    "snapshot_hash": milestone.approval_id.snapshot_hash,
                    "consent": "I approve.",
                }
            )
        order.milestone_internal_review = True
        cls.reviewed.action_submit()
        cls._credit(cls.credited)
        cls._create_retention()
        cls._create_change_requests()

    @classmethod
    def _create_change_requests(cls):
        """Raise changes of a contract: one to write on, one with the client, one under internal review."""
        order = cls._create_order(["Drafted", "Presented", "Looked at"])
        order.action_confirm()
        cls.drafted_change, cls.presented_change, cls.reviewed_change = cls.env["sale.change.request"].create(
            [
                {
                    "order_id": order.id,
                    "title": milestone.name,
                    "reason": "Needed",
                    "line_ids": [Command.create({"milestone_id": milestone.id, "amount": 10.0})],
                }
                for milestone in order.milestone_ids
            ]
        )
        cls.presented_change.action_submit()
        order.milestone_internal_review = True
        cls.reviewed_change.action_submit()
        order.milestone_internal_review = False

    @classmethod
    def _create_retention(cls):
        """Bill a contract that keeps amounts back, and release one of them."""
        cls.env.company._create_retention_account()
        cls.retained = cls._create_order(["Retained", "Released"], milestone_retention_percentage=10.0)
        cls.retained.action_confirm()
        cls.retained.milestone_ids._write_protected({"state": "approved"})
        cls.retained.milestone_ids._process_invoice_queue().action_post()
        cls.release = cls.retained._release_retention(10.0)
        cls.env.flush_all()

    @classmethod
    def _create_order(cls, names, **values):
        return cls.env["sale.order"].create(
            {
                "partner_id": cls.approver.id,
                "user_id": cls.users["salesperson_own"].id,
                "milestone_invoice_policy": "manual",
                **values,
                "milestone_ids": [
                    Command.create(
                        {
                            "name": name,
                            "amount_untaxed": 100.0,
                            "deliverable_ids": [Command.create({"name": name, "url": "https://example.com"})],
                        }
                    )
                    for name in names
                ],
            }
        )

    @classmethod
    def _credit(cls, milestone):
        milestone._process_invoice_queue()
        invoice = milestone.invoice_line_ids.move_id
        invoice.action_post()
        invoice._reverse_moves(cancel=True)

    # -- operations: each is tried as ``env.user`` and rolled back -------------------------------------

    def _get_operations(self):
        return {
            "read the milestone": lambda env: self.started.with_env(env).read(["name"]),
            "read its amount": lambda env: self.started.with_env(env).read(["amount_untaxed"]),
            "read the evidence": lambda env: self.submitted.approval_ids.with_env(env).read(["decision"]),
            "read the amounts in the evidence": lambda env: self.submitted.approval_ids.with_env(env).read(
                ["snapshot"]
            ),
            "plan a milestone on a quotation": self._plan,
            "plan a quotation in the wizard": lambda env: self._open_planner(env).action_apply(),
            "undo the plan of a quotation": lambda env: self._open_planner(env).action_undo(),
            "read a milestone template": lambda env: self.template.with_env(env).read(["name"]),
            "save a plan as a template": lambda env: self.quotation.with_env(env).action_save_milestone_template(),
            "change name or date of an agreed milestone": lambda env: self.started.with_env(env).write({"name": "New"}),
            "delete a milestone of a quotation": lambda env: self.quotation.milestone_ids.with_env(env).unlink(),
            "read a requirement": lambda env: self.agreed_requirement.with_env(env).read(["statement"]),
            "write a requirement of a quotation": lambda env: self.requirement.with_env(env).write(
                {"statement": "New"}
            ),
            "change an agreed requirement": lambda env: self.agreed_requirement.with_env(env).write({"kind": "other"}),
            "say which deliverables meet an agreed requirement": lambda env: self.agreed_requirement.with_env(
                env
            ).write({"deliverable_ids": [Command.set(self.started.deliverable_ids.ids)]}),
            "edit a deliverable": lambda env: self.started.deliverable_ids.with_env(env).write(
                {"url": "https://a.example"}
            ),
            "change what was signed of a deliverable": lambda env: self.started.deliverable_ids.with_env(env).write(
                {"name": "New"}
            ),
            "verify a contract": lambda env: self.started.order_id.with_env(env).action_verify_contract(),
            "waive the countersignature of a quotation": lambda env: self.quotation.with_env(env).write(
                {"milestone_countersign": False}
            ),
            "countersign a contract": lambda env: self.countersigned.with_env(env).action_countersign(),
            "start the work": lambda env: self.fresh.with_env(env).action_start(),
            "create the tasks of a milestone": lambda env: self.fresh.with_env(env).action_create_tasks(),
            "plan the kickoff on the order": lambda env: self.fresh.order_id.with_env(env).action_plan_kickoff(),
            "plan the kickoff in the project": lambda env: self.fresh.project_id.with_env(env).action_plan_kickoff(),
            "edit the team": lambda env: (
                self.fresh.order_id.sudo().milestone_contact_ids[0].with_env(env).write({"receives_updates": True})
            ),
            "submit for review": lambda env: self.started.with_env(env).action_submit(),
            "withdraw a submission": lambda env: self.submitted.with_env(env).action_withdraw(),
            "revoke a personal link": lambda env: self.submitted.approval_id.recipient_ids.with_env(
                env
            ).action_revoke(),
            "decide the internal review": lambda env: self.reviewed.with_env(env).action_internal_approve(),
            "approve on behalf of the client": lambda env: self._approve_on_behalf(env, self.submitted),
            "verify the evidence": lambda env: self.approved.with_env(env).action_verify_evidence(),
            "hold back from invoicing": lambda env: self.approved.with_env(env).action_hold("Dispute"),
            "let a milestone be submitted early": lambda env: self.fresh.with_env(env).action_allow_early("Agreed"),
            "shift the following milestones": lambda env: (
                self.quotation.milestone_ids[0].with_env(env).action_shift_successors(7)
            ),
            "create the invoice": lambda env: self.approved.with_env(env).action_create_invoices(),
            "bill everything approved of a customer": lambda env: self.approver.with_env(env).action_bill_milestones(),
            "invoice the agreed advance": lambda env: self.advanced.with_env(env).action_invoice_advance(),
            "bill a credited amount again": lambda env: self.credited.with_env(env).action_rebill(),
            "take an approval back": lambda env: self.approved.with_env(env).action_revert_approval("Wrong milestone"),
            "read what is retained": lambda env: self._search_retention(env),
            "release retention": self._release_retention,
            "cancel a release of retention": lambda env: self.release.with_env(env).action_cancel(),
            "ask the client for released retention": lambda env: self.release.with_env(env).action_announce(),
            "write a release of retention": lambda env: self.release.with_env(env).write({"due_date": "2020-01-01"}),
            **self._get_change_operations(),
            "send a proposal": lambda env: self.quotation.with_env(env).action_quotation_sent(),
            "read a sent proposal": lambda env: self.proposal.revision_ids.with_env(env).read(["snapshot"]),
            "close a negotiation": lambda env: self.proposal.with_env(env).action_close_negotiation(),
            "write a sent proposal": lambda env: self.proposal.revision_ids.with_env(env).write({"snapshot": "{}"}),
            "write the state": lambda env: self.started.with_env(env).write({"state": "approved"}),
            "write the evidence": lambda env: self.approved.approval_ids.with_env(env).write({"comment": "Changed"}),
            "delete the evidence": lambda env: self.approved.approval_ids.with_env(env).unlink(),
            "tick the project milestone": lambda env: self.started.project_milestone_id.with_env(env).write(
                {"is_reached": True}
            ),
        }

    def _get_change_operations(self):
        return {
            "read a change request": lambda env: self.presented_change.with_env(env).read(["title"]),
            "read its amount change": lambda env: self.presented_change.with_env(env).read(["amount_delta"]),
            "read a change request that is not presented": lambda env: self.drafted_change.with_env(env).read(
                ["title"]
            ),
            "raise a change request": self._raise_change,
            "write the lines of a change request": lambda env: self.drafted_change.line_ids.with_env(env).write(
                {"new_name": "Other"}
            ),
            "price a change request": lambda env: self.drafted_change.line_ids.with_env(env).write({"amount": 20.0}),
            "present a change request": lambda env: self.drafted_change.with_env(env).action_submit(),
            "decline a change request": lambda env: self.drafted_change.with_env(env).action_reject("Too late"),
            "withdraw a change request": lambda env: self.presented_change.with_env(env).action_cancel(),
            "decide the internal review of a change": lambda env: self.reviewed_change.with_env(
                env
            ).action_internal_approve(),
            "approve a change on behalf of the client": lambda env: self._approve_on_behalf(env, self.presented_change),
            "mark work on a change as at risk": lambda env: self.drafted_change.with_env(env).action_start_at_risk(),
            "write the state of a change request": lambda env: self.presented_change.with_env(env).write(
                {"state": "approved"}
            ),
            "write lines of an order as changes": self._write_change_lines,
            "delete a change request": lambda env: self.drafted_change.with_env(env).unlink(),
            "delete a change request that was presented": lambda env: self.presented_change.with_env(env).unlink(),
        }

    def _raise_change(self, env):
        env["sale.change.request"].create(
            {"order_id": self.drafted_change.order_id.id, "title": "More", "reason": "Needed"}
        )

    def _write_change_lines(self, env):
        line = self.drafted_change.line_ids
        env["sale.order.line"].create(
            {
                "order_id": line.order_id.id,
                "name": "More",
                "product_id": line.milestone_id.product_id.id,
                "price_unit": 10.0,
                "billing_milestone_id": line.milestone_id.id,
                "change_line_id": line.id,
            }
        )

    def _plan(self, env):
        env["sale.milestone"].create({"order_id": self.quotation.id, "name": "More", "amount_untaxed": 50.0})

    def _open_planner(self, env):
        action = self.quotation.with_env(env).action_plan_milestones()
        return env[action["res_model"]].browse(action["res_id"])

    def _search_retention(self, env):
        rows = env["sale.retention.report"].search([("order_id", "=", self.retained.id)])
        if not rows:
            raise AccessError("Nothing to see.")
        return rows

    def _release_retention(self, env):
        action = self.retained.with_env(env).action_release_retention()
        env[action["res_model"]].with_context(**action["context"]).create({}).action_confirm()

    def _approve_on_behalf(self, env, subject):
        action = subject.with_env(env).action_approve_on_behalf()
        proof = env["ir.attachment"].create({"name": "proof.txt", "raw": b"Approved."})
        wizard = env[action["res_model"]].with_context(**action["context"])
        wizard.create(
            {"partner_id": self.approver.id, "comment": "By letter", "proof_ids": [Command.set(proof.ids)]}
        ).action_confirm()

    def _is_allowed(self, user, operation):
        """Whether the operation goes through; a refusal for another reason than rights fails the test."""
        env = self.env(user=user, su=False, context={"allowed_company_ids": user.sudo().company_ids.ids})
        env.invalidate_all()
        try:
            with self.env.cr.savepoint() as savepoint, mute_logger("odoo.addons.base.models.ir_model"):
                operation(env)
                env.flush_all()
                savepoint.rollback()
            return True
        except (AccessError, UserError):
            return False
        finally:
            self.env.invalidate_all()

    def test_roles_can_do_what_the_table_says_and_nothing_else(self):
        table, operations = read_table(), self._get_operations()
        self.assertEqual(set(table), set(operations))
        for name, operation in operations.items():
            for role, user in self.users.items():
                with self.subTest(operation=name, role=role):
                    self.assertEqual(self._is_allowed(user, operation), table[name][role])

    def test_refusals_are_of_rights_or_of_the_contract(self):
        """The administrator of the database is no exception to what nobody may do."""
        env = self.env(user=self.users["accountant"])
        with self.assertRaises(AccessError):
            self.started.with_env(env).write({"state": "approved"})
        with self.assertRaises(AccessError):
            self.env(su=True)["sale.approval"].browse(self.approved.approval_ids.ids).write({"comment": "x"})
        with self.assertRaises(AccessError):
            self.approved.approval_ids.sudo().unlink()
