import json

from psycopg2 import IntegrityError

from odoo.exceptions import AccessError, ValidationError
from odoo.fields import Command
from odoo.tests import Form, tagged
from odoo.tools import mute_logger

from .requirement_common import RequirementCommon


@tagged("post_install", "-at_install")
class TestRequirement(RequirementCommon):
    """What the client needs: numbered, covered, agreed on, fulfilled, copied."""

    def _states(self, order=None):
        return (order or self.order).requirement_ids.sorted("id").mapped("state")

    # -- references ---------------------------------------------------------------------------------

    def test_references_are_numbered_by_order(self):
        self.assertEqual(self.order.requirement_ids.mapped("name"), ["R1", "R2", "R3", "R4"])
        other = self._create_contract([10.0], confirm=False)
        self.assertEqual(self.env["sale.requirement"].create(self._requirement("Else", order=other)).name, "R1")

    def test_a_reference_may_be_the_clients_own(self):
        self.first.name = "LH-4.2"
        self.open.name = "R17"
        added = self.env["sale.requirement"].create([self._requirement("More"), self._requirement("Even more")])
        self.assertEqual(added.mapped("name"), ["R18", "R19"])
        added[0].name = False
        self.assertEqual(added[0].name, "R20", "an emptied reference is given anew")
        self.assertEqual(self.first.copy().name, "R21")

    def test_a_reference_is_there_once(self):
        with mute_logger("odoo.sql_db"), self.assertRaises(IntegrityError), self.cr.savepoint():
            self.first.name = "R2"
            self.env.flush_all()

    def test_the_form_of_a_quotation_numbers_what_is_typed(self):
        form = Form(self.order.with_user(self.users["salesperson"]))
        for statement in ("Is fast", "Is safe"):
            with form.requirement_ids.new() as line:
                line.statement = statement
        form.save()
        self.assertEqual(self.order.requirement_ids.mapped("name"), ["R1", "R2", "R3", "R4", "R5", "R6"])
        self.assertEqual(self.order.requirement_ids[-1].priority, "must")

    # -- coverage -------------------------------------------------------------------------------------

    def test_a_deliverable_covers(self):
        self.assertEqual(self._states(), ["covered", "covered", "uncovered", "excluded"])
        self.assertEqual((self.order.requirement_covered_count, self.order.requirement_count), (2, 3))
        self.assertEqual(self.order.requirement_warning, "R3")
        self.open.deliverable_ids = self.report
        self.assertEqual(self.open.state, "covered")
        self.assertFalse(self.order.requirement_warning)
        self.assertEqual(self.report.requirement_ids, self.open)

    def test_coverage_follows_from_either_side(self):
        self.report.requirement_ids = self.open
        self.assertTrue(self.open.is_covered)
        self.report.unlink()
        self.assertFalse(self.open.is_covered)
        self.assertEqual(self.open.state, "uncovered")

    def test_a_milestone_that_is_taken_out_of_the_plan_covers_nothing_any_more(self):
        self.order.with_user(self.users["salesperson"]).milestone_ids = [Command.delete(self.design.id)]
        self.env.flush_all()
        self.env.invalidate_all()
        self.assertEqual(self._states(), ["uncovered", "covered", "uncovered", "excluded"])
        self.assertEqual(self.shared.deliverable_ids, self.site)

    def test_cancelled_milestones_cover_nothing(self):
        self.design._write_protected({"state": "cancelled"})
        self.assertEqual(self._states(), ["uncovered", "covered", "uncovered", "excluded"])
        self.assertEqual(self.order.requirement_warning, "R1, R3")

    def test_what_is_not_wanted_needs_no_cover(self):
        self.open.priority = "wont"
        self.assertEqual(self.open.state, "excluded")
        self.assertFalse(self.order.requirement_warning)
        self.open.priority = "should"
        self.assertEqual((self.open.state, self.order.requirement_warning), ("uncovered", False))

    def test_only_deliverables_of_the_same_order_meet_it(self):
        stranger = self._create_contract([10.0], confirm=False).milestone_ids.deliverable_ids
        with self.assertRefused("only be met by deliverables of its own order: Deliverable 1", ValidationError):
            self.first.deliverable_ids += stranger
        with self.assertRefused("only be met by deliverables of its own order", ValidationError):
            stranger.requirement_ids = self.first

    def test_it_is_fulfilled_when_all_its_deliverables_are_accepted(self):
        self.order.action_confirm()
        self._approve(self.design)
        self.assertEqual(self._states(), ["fulfilled", "covered", "uncovered", "excluded"])
        self._approve(self.build)
        self.assertEqual(self._states(), ["fulfilled", "fulfilled", "uncovered", "excluded"])
        self.design.with_user(self.users["accountant"]).action_revert_approval("Wrong milestone")
        self.assertEqual(self._states(), ["covered", "covered", "uncovered", "excluded"])

    def test_a_cancelled_rest_does_not_fulfil(self):
        self.order.action_confirm()
        self._bill(self.design)
        self.order._action_cancel()
        self.assertEqual(self.build.state, "cancelled")
        self.assertEqual(self._states()[:2], ["fulfilled", "covered"])

    # -- the agreement ----------------------------------------------------------------------------------

    def test_the_confirmation_freezes_what_is_required(self):
        self.order.action_confirm()
        seller = self.users["sale_manager"]
        changes = [
            {"statement": "Less"},
            {"kind": "other"},
            {"priority": "could"},
            {"acceptance_criteria": "None"},
            {"name": "X"},
            {"attachment_ids": [Command.create({"name": "more.txt", "raw": b"x"})]},
        ]
        for vals in changes:
            for user in (seller, self.env.user):
                with self.subTest(vals=vals, user=user.name), self.assertRefused("stays as it was signed"):
                    self.first.with_user(user).write(vals)
        with self.assertRefused("R1 of .* is agreed with the client"):
            self.first.with_user(seller).unlink()
        with self.assertRefused("More of .* is agreed with the client"):
            self.env["sale.requirement"].with_user(seller).create(self._requirement("More"))
        with self.assertRefused("is agreed with the client"):
            self.order.with_user(seller).requirement_ids = [Command.delete(self.open.id)]
        self.first.with_user(seller).write({"source": "Minutes", "contact_id": self.approver.id, "sequence": 99})
        self.assertEqual(self.first.source, "Minutes")

    def test_links_are_refined_until_the_milestone_is_presented(self):
        self.order.action_confirm()
        seller = self.users["salesperson"]
        self.open.with_user(seller).deliverable_ids = self.report
        self.assertEqual(self.open.state, "covered")
        self._submit(self.design)
        for change in ({"deliverable_ids": [Command.clear()]}, {"deliverable_ids": [Command.link(self.guide.id)]}):
            with self.subTest(change=change), self.assertRefused("Design is under review"):
                self.first.with_user(seller).write(change)
        with self.assertRefused("Design is under review"):
            self.guide.with_user(seller).requirement_ids = self.open
        self.shared.with_user(seller).deliverable_ids += self.report  # what is reviewed stays linked
        self._approve(self.design)
        with self.assertRefused("Design is approved"):
            self.first.with_user(seller).deliverable_ids = False
        with self.assertRefused("Design is approved"):
            self.open.with_user(seller).deliverable_ids = self.guide

    def test_a_requirement_stays_with_its_order(self):
        other = self._create_contract([10.0], confirm=False)
        with self.assertRefused("stays with its order"):
            self.open.order_id = other

    def test_a_quotation_again_is_open_again(self):
        self.order.action_confirm()
        self.order._action_cancel()
        self.order.action_draft()
        self.open.statement = "Pays by card or invoice"
        self.assertTrue(self.open.is_open)

    def test_after_an_approval_the_cancelled_order_keeps_its_requirements(self):
        self.order.action_confirm()
        self._bill(self.design)
        self.order._action_cancel()
        with self.assertRefused("is agreed with the client"):
            self.open.statement = "Something else"

    def test_the_contract_has_the_requirements(self):
        self.first.attachment_ids = self._create_attachment("note.txt", b"note")
        self.order.action_confirm()
        contract = json.loads(self.order.milestone_contract)
        self.assertEqual(
            [(row["name"], row["statement"], row["priority"]) for row in contract["requirements"]],
            [
                ("R1", "Pages are drawn", "must"),
                ("R2", "Works on a phone", "must"),
                ("R3", "Pays by card", "must"),
                ("R4", "Has a forum", "wont"),
            ],
        )
        [file] = contract["requirements"][0]["files"]
        self.assertEqual((file["name"], file["checksum"]), ("note.txt", self.first.attachment_ids.checksum))
        self.assertFalse(self.order._verify_contract())

    def test_the_clients_own_confirmation_settles_them(self):
        """Whoever signs in the portal may not read requirements; they are part of the contract all the same."""
        self.order.with_user(self.env.ref("base.public_user")).sudo().action_confirm()
        self.assertEqual(len(json.loads(self.order.milestone_contract)["requirements"]), 4)
        self.assertFalse(self.first.is_open)

    def test_a_contract_without_requirements_is_as_before(self):
        order = self._create_contract([10.0])
        self.assertNotIn("requirements", json.loads(order.milestone_contract))

    def test_protected_fields_follow_from_the_deliverables(self):
        for vals in ({"state": "fulfilled"}, {"is_covered": True}, {"company_id": self.company.id}):
            with self.subTest(vals=vals), self.assertRefused("cannot be set by hand", AccessError):
                self.open.write(vals)
            with self.subTest(vals=vals), self.assertRefused("cannot be set by hand", AccessError):
                self.env["sale.requirement"].create({**self._requirement("More"), **vals})

    # -- files -------------------------------------------------------------------------------------------

    def test_files_belong_to_their_requirement(self):
        seller = self.users["salesperson"]
        file = self.env["ir.attachment"].with_user(seller).create({"name": "letter.txt", "raw": b"letter"})
        self.first.with_user(seller).attachment_ids = file
        self.assertEqual((file.res_model, file.res_id), ("sale.requirement", self.first.id))
        self.assertEqual(file.with_user(self.users["invoicing"]).raw, b"letter")
        with self.assertRaises(AccessError):
            file.with_user(self.users["employee"]).read(["raw"])

    def test_nobody_attaches_what_they_may_not_read(self):
        secret = self._create_attachment("secret.txt", b"secret", res_model="res.company", res_id=self.company.id)
        secret.write({"res_model": "ir.cron", "res_id": self.env["ir.cron"].search([], limit=1).id})
        with self.assertRaises(AccessError):
            self.first.with_user(self.users["salesperson"]).attachment_ids = secret

    def test_files_of_an_agreed_requirement_are_kept(self):
        file = self._create_attachment("letter.txt", b"letter")
        self.first.attachment_ids = file
        file.raw = b"another letter"
        self.order.action_confirm()
        with self.assertRefused("belongs to a requirement that is agreed"):
            file.raw = b"a third letter"
        with self.assertRefused("belongs to a requirement that is agreed"):
            file.unlink()

    # -- copies --------------------------------------------------------------------------------------------

    def test_a_copy_is_met_by_the_copied_deliverables(self):
        self.first.write({"name": "LH-1", "attachment_ids": [Command.create({"name": "a.txt", "raw": b"a"})]})
        self.order.action_confirm()
        self._approve(self.design)
        copy = self.order.copy()
        self.assertEqual(copy.requirement_ids.mapped("name"), ["LH-1", "R2", "R3", "R4"])
        self.assertEqual(
            [requirement.deliverable_ids.mapped("name") for requirement in copy.requirement_ids],
            [["Wireframes"], ["Wireframes", "Site"], [], []],
        )
        self.assertEqual(copy.requirement_ids.deliverable_ids.order_id, copy)
        self.assertEqual(self._states(copy), ["covered", "covered", "uncovered", "excluded"])
        self.assertFalse(copy.requirement_ids.attachment_ids)
        self.assertEqual(self.shared.deliverable_ids, self.wireframes + self.site, "the original keeps its links")

    def test_a_copy_follows_whatever_the_order_of_the_rows_is(self):
        self.design.sequence, self.first.sequence, self.wireframes.sequence = 99, 99, 99
        self.env.invalidate_all()
        copy = self.order.copy()
        links = {row.statement: sorted(row.deliverable_ids.mapped("name")) for row in copy.requirement_ids}
        self.assertEqual(
            links,
            {
                "Works on a phone": ["Site", "Wireframes"],
                "Pays by card": [],
                "Has a forum": [],
                "Pages are drawn": ["Wireframes"],
            },
        )
        [met] = copy.requirement_ids.filtered(lambda row: row.statement == "Pages are drawn").deliverable_ids
        self.assertEqual(met.milestone_id.name, "Design")

    def test_a_plan_that_is_made_anew_keeps_what_meets_what(self):
        planner = self.order.action_plan_milestones()
        self.env[planner["res_model"]].browse(planner["res_id"]).action_apply()
        self.assertEqual(self._states()[:2], ["covered", "covered"])

    # -- who may do what -----------------------------------------------------------------------------------

    def test_salespeople_write_requirements_of_their_orders_only(self):
        own, other = self.order, self._create_contract([10.0], confirm=False, user_id=self.users["sale_all"].id)
        requirements = self.env["sale.requirement"].with_user(self.users["salesperson"])
        requirements.create(self._requirement("Own", order=own)).statement = "Changed"
        with self.assertRaises(AccessError):
            requirements.create(self._requirement("Other", order=other))
        with self.assertRaises(AccessError):
            self.first.with_user(self.users["employee"]).read(["statement"])

    def test_project_users_read_what_their_projects_are_for(self):
        self.order.milestone_create_project = True
        requirements = self.env["sale.requirement"].with_user(self.users["project_user"])
        self.assertFalse(requirements.search([("order_id", "=", self.order.id)]), "a quotation has no project")
        self.order.action_confirm()
        self.assertEqual(len(requirements.search([("order_id", "=", self.order.id)])), 4)
        with self.assertRaises(AccessError):
            self.first.with_user(self.users["project_user"]).source = "Changed"
        with self.assertRaises(AccessError):
            self.guide.with_user(self.users["project_user"]).requirement_ids = self.first
        with self.assertRaises(AccessError):
            self.env["sale.milestone.deliverable"].with_user(self.users["project_user"]).create(
                {"name": "New", "milestone_id": self.design.id, "requirement_ids": [Command.set(self.first.ids)]}
            )
        self.guide.with_user(self.users["project_user"]).url = "https://example.com/guide"
        self.order.milestone_ids.project_id.sudo().privacy_visibility = "followers"
        self.env.invalidate_all()
        self.assertFalse(requirements.search([("order_id", "=", self.order.id)]))

    def test_clients_have_no_access_to_the_model(self):
        portal = self._create_portal_user()
        self.order.message_subscribe(self.approver.ids)
        self.order.action_confirm()
        with self.assertRaises(AccessError):
            self.first.with_user(portal).read(["statement"])
        with self.assertRaises(AccessError):
            self.env["sale.requirement"].with_user(portal).search([])
        for name in ("requirement_ids", "requirement_warning", "requirement_coverage"):
            with self.subTest(name=name), self.assertRaises(AccessError):
                self.order.with_user(portal).read([name])
        self.assertTrue(self.order.with_user(portal).read(["name"]), "the order itself is theirs")

    def _create_portal_user(self):
        return self.env["res.users"].create(
            {
                "name": "Approver",
                "login": "requirement_portal",
                "partner_id": self.approver.id,
                "group_ids": [Command.set(self.env.ref("base.group_portal").ids)],
            }
        )

    def test_other_companies_see_nothing(self):
        other = self.env["res.company"].create({"name": "Other"})
        self.users["sale_manager"].write({"company_ids": [Command.link(other.id)]})
        requirements = self.env["sale.requirement"].with_user(self.users["sale_manager"])
        self.assertFalse(requirements.with_context(allowed_company_ids=other.ids).search([]))
        self.assertTrue(requirements.with_context(allowed_company_ids=self.company.ids).search([]))
        stranger = self.env["res.partner"].create({"name": "Of the other", "company_id": other.id})
        with self.assertRefused("Of the other"):
            self.first.contact_id = stranger
