from unittest.mock import patch

from odoo.exceptions import AccessError, UserError
from odoo.fields import Command
from odoo.tests import tagged
from odoo.tools import SQL

from .test_advance import AdvanceCommon
from .test_change_request import ChangeCommon

NAME = {"fields": {"display_name": {}}}


class GuardsCommon(ChangeCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.order = cls._create_contract([1000.0, 2000.0, 3000.0], milestone_invoice_policy="post")
        cls.first, cls.second, cls.third = cls.order.milestone_ids

    def _change_line(self, milestone=None, **values):
        return {"action": "change", "milestone_id": (milestone or self.first).id, **values}

    def _add_line(self, **values):
        return {"action": "add", "new_name": "Training", "amount": 1000.0, **values}


@tagged("post_install", "-at_install")
class TestChangeRequestContent(GuardsCommon):
    """What is presented or decided stays what it was: nothing is pushed into it, and nothing of it is forged."""

    def _create_decided_requests(self):
        """Return a request that is with the client, and one that is approved."""
        presented = self._create_request(self.order, self._change_line(amount=10.0))
        presented.action_submit()
        return presented, self._change(self.order, self._change_line(self.second, amount=20.0))

    def test_lines_stay_with_their_request(self):
        draft = self._create_request(self.order, self._add_line(amount=5000.0))
        line = draft.line_ids
        other = self._create_request(self.order)
        for request in (*self._create_decided_requests(), other):
            before = (request.amount_delta, request.line_ids)
            with self.subTest(state=request.state), self.assertRefused("stays with its request"):
                line.request_id = request
            with self.subTest(state=request.state, command="link"), self.assertRaises(UserError):
                request.line_ids = [Command.link(line.id)]
            self.env.invalidate_all()
            self.assertEqual((request.amount_delta, request.line_ids), before)
        line.write({"request_id": draft.id, "amount": 6000.0})
        self.assertEqual(draft.amount_delta, 6000.0)

    def test_no_line_is_made_in_what_is_presented_or_decided(self):
        for request in self._create_decided_requests():
            with self.subTest(state=request.state), self.assertRaises(UserError):
                self.env["sale.change.request.line"].create({"request_id": request.id, **self._add_line()})
            with self.subTest(state=request.state, model="deliverable"), self.assertRaises(UserError):
                self.env["sale.change.request.deliverable"].create({"line_id": request.line_ids.id, "name": "More"})

    def test_changes_of_deliverables_stay_with_their_line(self):
        draft = self._create_request(
            self.order,
            self._add_line(deliverable_ids=[Command.create({"action": "add", "name": "More"})]),
            self._change_line(self.third, amount=1.0),
        )
        change = draft.line_ids.deliverable_ids
        for line in (*(request.line_ids for request in self._create_decided_requests()), draft.line_ids[1]):
            with self.subTest(state=line.request_id.state), self.assertRefused("stays with its milestone"):
                change.line_id = line
            self.assertFalse(line.deliverable_ids)
        change.write({"line_id": change.line_id.id, "name": "Much more"})
        self.assertEqual(change.name, "Much more")

    def test_what_the_team_never_presented_goes_back_to_the_team(self):
        self.order.with_user(self.users["sale_manager"]).milestone_internal_review = True
        request = self._create_request(self.order, self._add_line())
        request.with_user(self.users["sale_all"]).action_submit()
        request.with_user(self.users["reviewer"]).action_internal_approve()
        recipients = request.approval_id.recipient_ids
        mails = self.env["mail.mail"].sudo().search([])
        request.line_ids._write_protected({"amount": 50000.0})
        request._renew_round()
        self.assertEqual(request.state, "draft")
        self.assertEqual(request.approval_ids.sorted("id").mapped("decision"), ["approved", "withdrawn"])
        self.assertFalse(recipients._may_open())
        self.assertIn("something else than what was presented", request.activity_ids.filtered("note")[-1:].note)
        self.assertIn("Back to the team", request.message_ids[0].body)
        told = self.env["mail.mail"].sudo().search([]) - mails
        self.assertLessEqual(recipients.partner_id, told.recipient_ids)
        request.with_user(self.users["sale_all"]).action_submit()
        self.assertEqual(request.state, "internal_review", "somebody looks at it inside again")

    def test_words_count_as_much_as_amounts(self):
        for name in ("title", "reason", "category", "description", "resources"):
            request = self._create_request(self.order, self._change_line(amount=10.0))
            request.action_submit()
            request._write_protected({name: "price" if name == "category" else "Something else"})
            request._renew_round()
            self.assertEqual((request.state, request.approval_round), ("draft", 1), name)

    def test_a_contract_that_moved_on_is_presented_by_itself(self):
        request = self._create_request(self.order, self._change_line(amount=10.0))
        request.action_submit()
        self._change(self.order, self._change_line(self.second, amount=20.0))
        request._renew_round()
        self.assertEqual((request.state, request.approval_round), ("submitted", 2))
        request._approve(self._evidence(request))
        self.assertContract(self.order)

    def test_a_review_inside_is_not_renewed(self):
        self.order.with_user(self.users["sale_manager"]).milestone_internal_review = True
        request = self._create_request(self.order, self._change_line(amount=10.0))
        request.with_user(self.users["sale_all"]).action_submit()
        request._write_protected({"title": "Something else"})
        self.assertEqual(request._renew_round().kind, "internal")
        self.assertEqual(request.state, "internal_review")

    # -- deliverables -----------------------------------------------------------------------------------------

    def _remove_deliverable(self):
        deliverable = self.second.deliverable_ids
        return self._create_request(
            self.order,
            self._change_line(
                self.second,
                deliverable_ids=[Command.create({"action": "remove", "deliverable_id": deliverable.id})],
            ),
        )

    def test_the_name_of_what_is_removed_cannot_be_forged(self):
        request = self._remove_deliverable()
        change = request.line_ids.deliverable_ids
        with self.assertRaises(AccessError):
            change.old_name = "A spare copy"
        with self.assertRaises(AccessError):
            request.line_ids.deliverable_ids = [Command.update(change.id, {"old_name": "A spare copy"})]
        values = {"line_id": request.line_ids.id, "action": "remove", "deliverable_id": change.deliverable_id.id}
        with self.assertRaises(AccessError):
            self.env["sale.change.request.deliverable"].create({**values, "old_name": "A spare copy"})
        forging = self.env["sale.change.request.deliverable"].with_context(default_old_name="A spare copy")
        self.assertEqual(forging.create(values).old_name, "Deliverable 2")

    def test_what_is_presented_has_the_name_that_it_has(self):
        request = self._remove_deliverable()
        change = request.line_ids.deliverable_ids
        change._write_protected({"old_name": "A spare copy"})
        request.action_submit()
        self.assertEqual(change.old_name, "Deliverable 2")
        self.assertEqual(request._get_impact()["lines"], [["Without the deliverable Deliverable 2"]])
        request._approve(self._evidence(request))
        self.assertEqual(change.old_name, "Deliverable 2", "kept, though it is gone")
        self.assertFalse(change.deliverable_id)
        self.assertFalse(request._verify_evidence())

    def test_names_of_other_deliverables_are_not_told(self):
        request = self._create_request(self.order, self._change_line(self.second, amount=1.0))
        change = self.env["sale.change.request.deliverable"].create(
            {"line_id": request.line_ids.id, "action": "remove", "deliverable_id": self.third.deliverable_ids.id}
        )
        self.assertFalse(change.old_name)
        with self.assertRefused("Say which deliverable"):
            request.action_submit()

    def test_who_added_a_milestone_is_not_written_by_hand(self):
        request = self._change(self.order, self._change_line(amount=10.0))
        quotation = self._create_contract([100.0], confirm=False)
        with self.assertRaises(AccessError):
            self.third.change_request_id = request
        with self.assertRaises(AccessError):
            self.env["sale.milestone"].create(
                {"order_id": quotation.id, "name": "More", "change_request_id": request.id}
            )
        milestone = self.env["sale.milestone"].with_context(default_change_request_id=request.id)
        self.assertFalse(milestone.create({"order_id": quotation.id, "name": "More"}).change_request_id)

    def test_goods_are_no_milestone(self):
        goods = self._create_product(name="Server", type="consu")
        request = self._create_request(self.order, self._add_line(product_id=goods.id))
        with self.assertRefused("Server is no service"):
            request.action_submit()
        request.line_ids.product_id = self.milestone_product
        self._approve_request(request)
        self.assertEqual(request.state, "approved")

    # -- at the same moment -----------------------------------------------------------------------------------

    def _get_version(self, record):
        """Return which version of its row PostgreSQL shows: another one once it is written, whatever is in it."""
        self.env.flush_all()
        query = SQL("SELECT ctid::text FROM %s WHERE id = %s", SQL.identifier(record._table), record.id)
        return self.env.execute_query(query)

    def test_who_writes_content_writes_the_row_of_the_request(self):
        """So a request that is presented at the same moment makes PostgreSQL refuse one of the two."""
        request = self._create_request(self.order, self._change_line(self.second, new_description="<p>Scope</p>"))
        line = request.line_ids
        steps = {
            "write a line": lambda: line.write({"new_description": "<p>Another scope</p>"}),
            "add a deliverable": lambda: line.deliverable_ids.create({"line_id": line.id, "name": "More"}),
            "write a deliverable": lambda: line.deliverable_ids.write({"acceptance_criteria": "Proofread"}),
            "remove a deliverable": lambda: line.deliverable_ids.unlink(),
            "add a line": lambda: line.create({"request_id": request.id, **self._change_line(new_name="X")}),
            "remove a line": lambda: request.line_ids[1].unlink(),
            "take the present milestones": request.action_refresh_base,
        }
        for name, step in steps.items():
            before = self._get_version(request)
            step()
            self.assertNotEqual(self._get_version(request), before, name)

    def test_who_raises_a_request_writes_the_row_of_the_order(self):
        """So of two that are raised at the same moment one begins again, and takes the next number."""
        before = self._get_version(self.order)
        self._create_request(self.order)
        self.assertNotEqual(self._get_version(self.order), before)


@tagged("post_install", "-at_install")
class TestChangeRequestTaxes(GuardsCommon):
    """A change is applied with the taxes that were shown, or not at all."""

    def assertRefusedAsAWhole(self, request, shown):
        lines, evidence = self.order.order_line, self._evidence(request)
        self.assertTrue(request._is_snapshot_current(), "nothing of it says that taxes changed")
        with self.assertRefused("present it again"), self.cr.savepoint():
            request._approve(evidence)
        self.env.invalidate_all()
        self.assertEqual((request.state, request.total_delta), ("submitted", shown))
        self.assertEqual((self.order.order_line, self.order.change_order_count), (lines, 0))

    def _present_again(self, request):
        request.action_withdraw()
        self._approve_request(request)
        self.assertEqual(request.state, "approved")
        self.assertContract(self.order)

    def test_the_taxes_of_a_product_changed_meanwhile(self):
        product = self._create_product(name="Course", type="service", taxes_id=[Command.set(self.tax_15.ids)])
        request = self._create_request(self.order, self._add_line(product_id=product.id))
        request.action_submit()
        product.taxes_id = self.tax_20
        self.assertRefusedAsAWhole(request, 1150.0)
        self._present_again(request)
        self.assertEqual(request.total_delta, 1200.0)

    def test_the_rate_of_a_tax_changed_meanwhile(self):
        request = self._create_request(self.order, self._change_line(amount=1000.0))
        request.action_submit()
        self.tax_15.amount = 40.0
        self.assertRefusedAsAWhole(request, 1150.0)
        self._present_again(request)
        self.assertEqual(request.total_delta, 1400.0)

    def test_another_tax_of_the_same_rate_is_another_tax(self):
        other = self.env["account.tax"].create({"name": "15 % elsewhere", "amount": 15.0})
        product = self._create_product(name="Course", type="service", taxes_id=[Command.set(self.tax_15.ids)])
        request = self._create_request(self.order, self._add_line(product_id=product.id))
        request.action_submit()
        self.assertEqual(request._get_impact()["taxes"], {str(self.tax_15.id): "150.00"})
        product.taxes_id = other
        self.assertRefusedAsAWhole(request, 1150.0)

    def test_what_was_presented_without_its_taxes_is_measured_by_the_total(self):
        """Requests that were with the client when taxes were not kept yet are approved as they were shown."""
        product = self._create_product(name="Course", type="service", taxes_id=[Command.set(self.tax_15.ids)])

        def keep_total(request):
            request._write_protected({"total_delta": 1150.0})

        request = self._create_request(self.order, self._add_line(product_id=product.id))
        with patch.object(self.registry["sale.change.request"], "_keep_presented_amounts", keep_total):
            request.action_submit()
        self.assertNotIn("taxes", request._get_impact())
        product.taxes_id = self.tax_20
        self.assertRefusedAsAWhole(request, 1150.0)
        product.taxes_id = self.tax_15
        request._approve(self._evidence(request))
        self.assertEqual((request.state, request.total_delta), ("approved", 1150.0))
        self.assertFalse(request._verify_evidence())

    def test_changes_without_any_tax_are_applied(self):
        order = self._create_contract([100.0], confirm=False)
        order.milestone_ids.order_line_ids.tax_ids = False
        order.action_confirm()
        request = self._change(order, self._change_line(order.milestone_ids, amount=10.0))
        self.assertEqual((request.state, request.total_delta), ("approved", 10.0))
        request = self._change(order, self._change_line(order.milestone_ids, new_name="Another name"))
        self.assertEqual((request.state, request.total_delta), ("approved", 0.0))


@tagged("post_install", "-at_install")
class TestChangeRequestForms(GuardsCommon):
    """A form tells nothing of contracts that its user does not read, and bears to be empty."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.order.user_id = cls.users["sale_all"]
        cls.stranger_user = cls.users["salesperson"]
        cls.secrets = ("1,000.00", "6,000.00", "Milestone 1", "Milestone 2", "Deliverable 1", "5,000.00")

    def _edit_request(self, user, request=None, **values):
        lines = [(Command.CREATE, "virtual_1", {"action": "cancel", "milestone_id": self.first.id})]
        spec = {
            name: {}
            for name in ("impact_html", "amount_delta", "days_delta", "conflict", "base_conflict", "total_delta")
        }
        spec["line_ids"] = {}  # with fields, Odoo itself checks what may be read of lines that exist
        records = (request or self.env["sale.change.request"]).with_user(user)
        values = {"title": "x", "reason": "y", "order_id": self.order.id, "line_ids": lines, **values}
        return records.onchange(values, ["order_id", "line_ids"], spec)["value"]

    def assertNothingTold(self, answer):
        for secret in self.secrets:
            self.assertNotIn(secret, str(answer).replace("\xa0", " "))

    def test_contracts_of_others_are_not_told(self):
        self._create_request(self.order, self._change_line(amount=1.0))
        with self.assertRaises(AccessError):
            self.order.with_user(self.stranger_user).check_access("read")
        answer = self._edit_request(self.stranger_user)
        self.assertFalse(answer.get("impact_html"))
        self.assertFalse(answer.get("amount_delta"))
        self.assertFalse(answer.get("conflict"))
        self.assertNothingTold(answer)

    def test_a_saved_request_is_no_way_to_the_contracts_of_others(self):
        own = self._create_contract([{"name": "Own", "amount_untaxed": 70.0}])
        request = self._create_request(own, self._change_line(own.milestone_ids, amount=1.0))
        self.assertNothingTold(self._edit_request(self.stranger_user, request))
        self.assertNothingTold(self._edit_request(self.stranger_user, request, order_id=own.id))

    def test_lines_and_deliverables_tell_nothing_of_others(self):
        own = self._create_contract([{"name": "Own", "amount_untaxed": 70.0}])
        request = self._create_request(own, self._change_line(own.milestone_ids, amount=1.0))
        for request_id in (request.id, False):
            values = {"request_id": request_id, "action": "cancel", "milestone_id": self.first.id}
            line = self.env["sale.change.request.line"].with_user(self.stranger_user)
            self.assertNothingTold(line.onchange(values, ["milestone_id"], {"summary": {}}))
        change = self.env["sale.change.request.deliverable"].with_user(self.stranger_user)
        for line_id in (request.line_ids.id, False):
            values = {"line_id": line_id, "action": "remove", "deliverable_id": self.first.deliverable_ids.id}
            answer = change.onchange(values, ["deliverable_id"], {"old_name": {}, "summary": {}})
            self.assertNothingTold(answer)

    def test_lines_of_others_cannot_be_borrowed(self):
        """The line of another contract, linked to a request that is not saved."""
        own = self._create_contract([{"name": "Own", "amount_untaxed": 70.0}])
        names = [Command.create({"action": "add", "name": "Deliverable 1"})]
        line = self._create_request(self.order, self._add_line(new_name="Milestone 2", deliverable_ids=names)).line_ids
        values = {"order_id": own.id, "line_ids": [Command.link(line.id)]}
        answer = self._edit_request(self.stranger_user, **values)
        self.assertNothingTold(answer)
        self.assertFalse(answer.get("amount_delta"))
        borrowed = [
            (Command.CREATE, "virtual_1", {"action": "add", "deliverable_ids": [Command.link(line.deliverable_ids.id)]})
        ]
        self.assertNothingTold(self._edit_request(self.stranger_user, order_id=own.id, line_ids=borrowed))
        answer = self._edit_request(self.users["sale_all"], **values)
        self.assertEqual(answer["amount_delta"], 1000.0)

    def test_who_reads_the_contract_sees_the_impact(self):
        answer = self._edit_request(self.users["sale_all"])
        self.assertIn("5,000.00", answer["impact_html"])
        self.assertEqual(answer["amount_delta"], -1000.0)
        self.assertIn("<del>Milestone 1</del>", answer["impact_html"])
        request = self._create_request(self.order, self._change_line(amount=1.0))
        values = {"request_id": request.id, "action": "cancel", "milestone_id": self.first.id}
        line = self.env["sale.change.request.line"].with_user(self.users["sale_all"])
        answer = line.onchange(values, ["milestone_id"], {"summary": {}})
        self.assertEqual(answer["value"]["summary"], "Milestone 1 is cancelled")
        values = {"line_id": request.line_ids.id, "action": "remove", "deliverable_id": self.first.deliverable_ids.id}
        change = self.env["sale.change.request.deliverable"].with_user(self.users["sale_all"])
        answer = change.onchange(values, ["deliverable_id"], {"old_name": {}})
        self.assertEqual(answer["value"]["old_name"], "Deliverable 1")

    def test_who_leads_the_project_sees_the_impact(self):
        project = self.env["project.project"].sudo().create({"name": "Shop"})
        self.order.sudo().milestone_ids._write_protected({"project_id": project.id})
        manager = (
            self.env["res.users"]
            .sudo()
            .create(
                {
                    "name": "Lead",
                    "login": "milestone_lead",
                    "company_id": self.company.id,
                    "company_ids": [Command.set(self.company.ids)],
                    "group_ids": [Command.set(self.env.ref("project.group_project_manager").ids)],
                }
            )
        )
        self.assertIn("5,000.00", self._edit_request(manager)["impact_html"])

    def test_empty_forms_are_no_error(self):
        names = ("amount_delta", "days_delta", "impact_html", "conflict", "base_conflict", "display_name")
        answer = self.env["sale.change.request"].onchange({}, [], {name: {} for name in names})
        self.assertFalse(answer["value"].get("amount_delta"))
        for action in ("add", "change", "split", "merge", "cancel"):
            line = self.env["sale.change.request.line"]
            answer = line.onchange({"action": action, "amount": 5.0}, ["action"], {"summary": {}, "order_id": NAME})
            self.assertFalse(answer["value"].get("summary"))
            self._edit_request(self.users["sale_all"], line_ids=[Command.create({"action": action})])


@tagged("post_install", "-at_install")
class TestChangeRequestAdvance(AdvanceCommon, ChangeCommon):
    """A change may leave less than an advance to bill: everybody sees it, and somebody gives the rest back."""

    def _create_order(self):
        order = self._create_with_advance([3000.0, 7000.0], percentage=50.0, milestone_invoice_policy="post")
        self._run_queue()
        self.assertEqual(order.advance_remaining, 5750.0)
        return order

    def test_an_advance_that_nothing_is_left_to_recover_from_is_to_be_credited(self):
        order = self._create_order()
        small, large = order.milestone_ids
        request = self._create_request(order, {"action": "cancel", "milestone_id": large.id})
        warning = "too little is left to recover it from. $\xa02,000.00"
        self.assertIn(warning, str(request._get_impact()["terms"]).replace("\\xa0", "\xa0"))
        self._approve_request(request)
        self.assertIn(warning, str(request._get_impact()["terms"]).replace("\\xa0", "\xa0"), "kept as it was shown")
        activity = request.activity_ids.filtered(lambda activity: "advance" in activity.summary)
        self.assertEqual(activity.user_id, small._get_invoicing_user())
        self.assertIn("2,300.00", activity.note)
        self._bill(small)
        self.assertMoney(order.currency_id, order.advance_remaining, 2300.0)

    def test_an_advance_that_can_be_recovered_is_no_matter(self):
        order = self._create_order()
        small, large = order.milestone_ids
        self._approve(large)  # approved and not billed yet: the bill to come recovers its part
        request = self._change(order, {"action": "cancel", "milestone_id": small.id})
        self.assertNotIn("too little", str(request._get_impact()["terms"]))
        self.assertFalse(request.activity_ids)
        self._run_queue()
        self.assertMoney(order.currency_id, order.advance_remaining, 0.0)
