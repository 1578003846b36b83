import json
from datetime import date

from odoo import Command
from odoo.exceptions import AccessError, UserError
from odoo.tests import Form, new_test_user, tagged

from .proposal_common import ProposalCommon


@tagged("post_install", "-at_install")
class TestContractTerms(ProposalCommon):
    """Clauses filled in from the order, in the customer's language, and fixed by the confirmation."""

    def _read(self, order=None):
        return {clause["title"]: clause["body"] for clause in (order or self.order)._get_contract_terms()}

    def _render(self):
        return (
            self.env["ir.actions.report"]._render_qweb_html("sale.action_report_saleorder", self.order.ids)[0].decode()
        )

    def test_clauses_are_filled_in_and_apply_by_their_condition(self):
        self.assertEqual(self._read(), {"Review": "<p>You have 10 days.</p>"})
        self.order.write({"milestone_review_days": 7, "milestone_retention_percentage": 5.0})
        terms = self._read()
        self.assertEqual(terms["Review"], "<p>You have 7 days.</p>")
        self.assertIn("5 %", terms["Retention"])

    def test_the_default_template_has_a_clause_for_each_agreement(self):
        self.order.milestone_contract_template_id = self.env.ref("milestone_billing.contract_template_milestones")
        always = {"Price and payment schedule", "Changes"}
        self.order.payment_term_id = False
        self.order.write({"milestone_client_approval": False, "milestone_internal_review": True})
        self.assertEqual(set(self._read()), always | {"Quality review"})
        self.order.write(
            {
                "milestone_client_approval": True,
                "milestone_internal_review": False,
                "milestone_advance_type": "percentage",
                "milestone_advance_percentage": 20.0,
                "milestone_retention_percentage": 5.0,
                "milestone_cap_amount": 9000.0,
                "payment_term_id": self.pay_terms_b.id,
            }
        )
        terms = self._read()
        self.assertEqual(
            set(terms),
            always
            | {
                "Advance",
                "Retention",
                "Not to exceed",
                "Payment terms",
                "Review period",
                "Who approves",
                "Silence is not acceptance",
            },
        )
        self.assertIn("20 % of the milestones", terms["Advance"])
        self.assertIn("Retention: 5 %", terms["Retention"])
        self.assertIn("9,000.00", terms["Not to exceed"].replace("\xa0", " "))
        self.assertIn("10 days", terms["Review period"])
        self.assertIn(self.approver.display_name, terms["Who approves"])
        self.assertIn(self.pay_terms_b.name, terms["Payment terms"])
        self.assertNotIn("t-out", "".join(terms.values()))

    def test_included_review_rounds_are_a_clause_where_they_are_limited(self):
        self.order.milestone_contract_template_id = self.env.ref("milestone_billing.contract_template_milestones")
        self.assertNotIn("Review rounds", self._read())
        self.order.milestone_review_rounds = 3
        self.assertIn("presentations to the customer: 3.", self._read()["Review rounds"])
        self.order.write({"milestone_client_approval": False, "milestone_internal_review": True})
        self.assertNotIn("Review rounds", self._read())

    def test_clauses_name_the_review_rounds_without_rights_on_code(self):
        manager = self.users["sale_manager"].with_env(self.env)
        manager.group_ids -= self.env.ref("mail.group_mail_template_editor")
        clause = self.terms.line_ids[0].with_user(manager)
        clause.body = '<p><t t-out="object.milestone_review_rounds">0</t> rounds</p>'
        self.order.milestone_review_rounds = 2
        self.assertEqual(self._read()["Review"], "<p>2 rounds</p>")

    def test_included_review_rounds_are_a_condition_of_the_proposal(self):
        values, sentence = self.order._prepare_proposal_conditions()["review"]
        self.assertNotIn("rounds", values)
        self.assertNotIn("rounds", sentence)
        first = self._send()
        self.order.milestone_review_rounds = 3
        self.env.invalidate_all()
        values, sentence = self.order._prepare_proposal_conditions()["review"]
        self.assertEqual(values["rounds"], 3)
        self.assertIn("Included review rounds per milestone: 3.", sentence)
        second = self._send()
        self.assertNotEqual(first, second, "another number of rounds is another proposal")
        [change] = second._describe_changes(first)
        self.assertEqual(change["what"], "Review and approval")
        self.assertIn("rounds per milestone: 3", change["after"])

    def test_the_customers_language(self):
        self.env["res.lang"]._activate_lang("fr_FR")
        clause = self.terms.line_ids[0]
        clause.with_context(lang="fr_FR").write(
            {"name": "Revue", "body": '<p>Vous avez <t t-out="object.milestone_review_days">0</t> jours.</p>'}
        )
        self.client_company.lang = "fr_FR"
        self.assertEqual(self._read(), {"Revue": "<p>Vous avez 10 jours.</p>"})
        self.assertIn("Vous avez 10 jours.", self._render())

    def test_values_are_escaped(self):
        self.client_company.name = "<script>alert(1)</script>"
        self.terms.line_ids[0].body = '<p><t t-out="object.clause_customer">-</t></p>'
        self.assertNotIn("<script", self._read()["Review"])
        self.assertNotIn("<script>alert", self._render().split("Contract Terms")[1])

    def test_they_stand_on_the_pdf(self):
        page = self._render()
        self.assertIn("Contract Terms", page)
        self.assertIn("You have 10 days.", page)
        self.order.milestone_contract_template_id = False
        self.assertNotIn("Contract Terms", self._render())

    def test_orders_without_milestones_have_none(self):
        order = self.env["sale.order"].create(
            {"partner_id": self.client_company.id, "milestone_contract_template_id": self.terms.id}
        )
        self.assertEqual(order._get_contract_terms(), [])

    def test_what_was_sent_stays_until_the_quotation_changes(self):
        self._send()
        self.terms.line_ids[0].body = "<p>Other words.</p>"
        self.assertEqual(self._read(), {"Review": "<p>You have 10 days.</p>"})
        self.design.contract_date = date(2030, 2, 28)
        self.assertEqual(self._read(), {"Review": "<p>Other words.</p>"})

    def test_the_confirmation_fixes_what_was_sent(self):
        self._send()
        self.terms.line_ids[0].body = "<p>Other words.</p>"
        self.order.action_confirm()
        self.assertEqual(self._read(), {"Review": "<p>You have 10 days.</p>"})
        contract = json.loads(self.order.sudo().milestone_contract)
        self.assertEqual(contract["terms"], self.order._get_contract_terms())
        self.assertIn("You have 10 days.", self._render())

    def test_the_confirmation_fixes_what_was_never_sent(self):
        self.order.action_confirm()
        self.terms.line_ids.unlink()
        self.assertEqual(self._read(), {"Review": "<p>You have 10 days.</p>"})

    def test_a_contract_without_terms_has_none_in_its_record(self):
        self.order.milestone_contract_template_id = False
        self.order.action_confirm()
        self.assertNotIn("terms", json.loads(self.order.sudo().milestone_contract))
        self.assertEqual(self.order._get_contract_terms(), [])

    def test_agreed_terms_do_not_change(self):
        self.order.action_confirm()
        with self.assertRefused("agreed with the client"):
            self.order.milestone_contract_template_id = self.terms.copy()
        self.order.milestone_contract_template_id = self.terms.id
        for env in (self.env(user=self.users["sale_manager"]), self.env(su=True)):
            with self.assertRaises(AccessError):
                self.order.with_env(env).milestone_terms = [{"title": "Mine", "body": "x"}]
        with self.assertRaises(AccessError):
            self.env["sale.order"].create({"partner_id": self.client_company.id, "milestone_terms": [{"title": "x"}]})
        order = self.env["sale.order"].with_context(default_milestone_terms=[{"title": "x"}])
        self.assertFalse(order.create({"partner_id": self.client_company.id}).milestone_terms)

    def test_the_default_is_of_the_quotation_template_and_then_of_the_company(self):
        special = self.terms.copy({"name": "Special"})
        self.company.milestone_contract_template_id = self.terms
        quotation_template = self.env["sale.order.template"].create(
            {"name": "Special", "milestone_contract_template_id": special.id}
        )
        form = Form(self.env["sale.order"])
        form.partner_id = self.client_company
        self.assertEqual(form.save().milestone_contract_template_id, self.terms)
        form = Form(self.env["sale.order"])
        form.partner_id = self.client_company
        form.sale_order_template_id = quotation_template
        self.assertEqual(form.save().milestone_contract_template_id, special)

    # -- who writes what -------------------------------------------------------------------------------------

    def test_sales_administrators_write_clauses_and_salespeople_read_them(self):
        clause = self.terms.line_ids[0]
        clause.with_user(self.users["sale_manager"]).body = '<p><t t-out="object.clause_total">-</t></p>'
        with self.assertRaises(AccessError):
            clause.with_user(self.salesperson).body = "<p>Mine</p>"
        self.assertTrue(clause.with_user(self.salesperson).body)
        order = self.order.with_user(self.salesperson)
        self.assertIn(self.order.currency_id.format(3795.0), self._read(order)["Review"].replace("&nbsp;", "\xa0"))

    def test_code_in_clauses_is_for_editors_of_mail_templates(self):
        restricted = new_test_user(self.env, "restricted_manager", groups="sales_team.group_sale_manager")
        editors = self.env.ref("mail.group_mail_template_editor")
        self.env["ir.config_parameter"].sudo().set_param("mail.restrict.template.rendering", True)
        self.env.ref("base.group_user").write({"implied_ids": [Command.unlink(editors.id)]})
        restricted.write({"group_ids": [Command.unlink(editors.id)]})
        self.assertFalse(restricted.has_group("mail.group_mail_template_editor"))
        clause = self.terms.line_ids[0].with_user(restricted)
        for code in (
            '<p t-out="object.sudo().company_id.partner_id.bank_ids">x</p>',
            '<p t-if="object.amount_total">x</p>',
            '<p t-out="user.password">x</p>',
        ):
            with self.assertRaises(AccessError), self.env.cr.savepoint():
                clause.body = code
        with self.assertRaises(AccessError), self.env.cr.savepoint():
            self.env["sale.contract.template"].with_user(restricted).create(
                {"name": "New", "line_ids": [Command.create({"name": "x", "body": '<p t-out="object.id + 1"/>'})]}
            )
        clause.body = '<p>Within <t t-out="object.milestone_review_days">0</t> days, <b>as agreed</b>.</p>'
        self.assertEqual(self._read()["Review"], "<p>Within 10 days, <b>as agreed</b>.</p>")

    def test_scripts_in_clauses_are_neutralised(self):
        self.terms.line_ids[0].body = '<p onclick="alert(1)">Text<script>alert(1)</script></p>'
        self.assertNotRegex(self._read()["Review"], "script|onclick")

    def test_terms_of_another_company_are_out_of_reach(self):
        company = self.env["res.company"].create({"name": "Other"})
        other = self.env["sale.contract.template"].create({"name": "Theirs", "company_id": company.id})
        self.assertFalse(self.env["sale.contract.template"].with_user(self.salesperson).search([("id", "=", other.id)]))
        with self.assertRaises(UserError):
            self.order.milestone_contract_template_id = other
