"""How a life is brought to its end: all is approved, billed, compared with what was agreed, and paid."""

from contextlib import contextmanager

from psycopg2 import IntegrityError

from odoo.exceptions import UserError

from tests.money import invariants
from tests.money.invariants import bills


@contextmanager
def must(what):
    """What may not be refused, by the database neither: a refusal is a broken invariant."""
    try:
        yield
    except (UserError, IntegrityError) as error:
        raise AssertionError(f"not so: {what} ({error})") from error


class LeftToAccountants(Exception):
    """Nothing that is done with whole documents ends this life: line by line, an accountant does."""


class Ending:
    """What :class:`tests.money.machine.ContractMachine` does when its steps are taken."""

    def end(self):
        try:
            if self.is_beyond_cap():
                assert not self.step("finish beyond the cap", self.finish_all), "more than the agreed cap was billed"
                return
            with must("the contract comes to its end"):
                self.finish_all()
        except LeftToAccountants:
            self.count("left to accountants")
            self.money_is_right()
            return
        self.money_is_right()
        invariants.check_completion(self)
        with must("all is settled"):
            self.settle()
        for _contract in self.each():
            invariants.check_settled(self)

    def finish_all(self):
        """Withdraw open changes, lift holds, and bring all contracts to their ends.

        What one credits of a common invoice, the other one bills again.
        """
        for _contract in self.each():
            self.open_requests().action_cancel()
            self.live().filtered("on_hold").action_release()
        for _turn in range(3):
            for _contract in self.each():
                self.finish()
            if not any(self.underbilled() or self.due() for _contract in self.each()):
                return

    def finish(self):
        """Approve, bill what is missing, and post."""
        self.drop_drafts()
        for is_last in (False, False, True):  # what one waits for, or loses again, another one credits
            for milestone in self.live():
                self.finish_documents()
                if milestone.state != "approved":
                    self.case._approve(milestone)
                self.finish_milestone(milestone, is_last)
        self.finish_documents()
        if any(line.qty_to_invoice for line in self.order.order_line if not line.is_downpayment):
            self.order._create_invoices(final=True)
            self.finish_documents()
        # what Odoo wants of its own down payments goes by quantities, whatever was credited: look at the amounts
        if any(units < 0 for units in self.count_down_payments()):
            self.step("take back down payment", lambda: self.order._create_invoices(final=True))
            self.finish_documents()
        self.return_advance()
        if any(self.count_down_payments()):
            raise LeftToAccountants("Odoo's own down payment was credited after an invoice deducted it")
        self.env.flush_all()

    def count_down_payments(self):
        """Return what posted documents ask for (negative) of each of Odoo's own down payments, and do not deduct."""
        for line in self.order.order_line.filtered(lambda line: line.is_downpayment and not line.is_milestone_advance):
            posted = line.invoice_lines.filtered(lambda bill: bill.parent_state == "posted")
            yield invariants.units(line.currency_id, sum(posted.mapped("amount_currency")))

    def finish_milestone(self, milestone, is_last):
        """Bill what is missing, and credit what was reduced; what is beyond the cap waits for what others credit."""
        for _turn in range(6):  # what is credited in full is billed again, without what was reduced
            if milestone in self.underbilled():
                milestone.action_rebill()
            if milestone not in self.due():
                break
            if not self.step("finish milestone", milestone.action_create_invoices):
                if "is not to exceed" in self.refusal and not is_last:
                    break
                self.credit_by_hand(milestone)
            self.finish_documents()

    def credit_by_hand(self, milestone):
        """A reduction that no single invoice bears any more: credit one in full, or take a partial credit note back.

        What is credited in full is billed again without what was reduced, and the reduction is credited
        where its invoice bears it again.
        """
        if "credit it by hand" not in self.refusal:
            raise UserError(self.refusal)
        refusals = []
        documents = invariants.product_lines(milestone).move_id.filtered(lambda move: move.state == "posted")
        for document in (documents - self.credited_by_hand).sorted(lambda move: (move.move_type, -move.id)):
            if document.move_type == "out_refund":
                taken = self.step("take back credit note", lambda move=document: self.take_back(move))
            else:
                taken = self.step("credit by hand", lambda move=document: self.credit_all(move))
            if taken:
                return
            refusals.append(f"{document.name}: {self.refusal}")
        raise LeftToAccountants(f"{milestone.name}: {refusals}")

    def credit_all(self, invoice):
        self.credited_by_hand |= self.case._credit(invoice)

    def take_back(self, document):
        document.button_draft()
        document.button_cancel()

    def return_advance(self):
        """What no milestone is left to recover is credited, to the last unit of each tax."""
        for line in self.order.order_line.filtered("is_milestone_advance"):
            left = line._get_advance_balance()
            if self.order.currency_id.is_zero(left.untaxed):
                continue
            self.count("advance returned")
            invoice = line._get_advance_bills().move_id.filtered(
                lambda move: move.move_type == "out_invoice" and move.state == "posted"
            )[:1]
            values = line._prepare_recovery_line(self.milestones[:1], left, 1)

            def give_back(refund, line=line, values=values):
                kept = refund.invoice_line_ids.filtered(lambda item: item.sale_line_ids == line)
                # Odoo's down payments may have no product
                (refund.invoice_line_ids.filtered(lambda item: item.display_type == "product") - kept).unlink()
                engine = self.env["account.tax"]
                data = engine._reverse_quantity_base_line_extra_tax_data(values["extra_tax_data"])
                kept.write({"quantity": 1.0, "price_unit": values["price_unit"], "extra_tax_data": data})

            self.case._credit(invoice, edit=give_back)

    def finish_documents(self):
        self.drop_drafts(refunds=False)
        if self.step("post documents", lambda: self.moves("draft").action_post()):
            return
        if "is not to exceed" not in self.refusal:
            raise UserError(self.refusal)
        # made before a reduction, of which only the rest can be billed
        drafts = self.moves("draft", "out_invoice").filtered(
            lambda move: any(map(invariants.waiting_reductions, move.line_ids.billing_milestone_id))
        )
        drafts.with_context(force_delete=True).unlink()
        self.moves("draft").action_post()

    def drop_drafts(self, refunds=True):
        """Delete what was begun and is not needed; credit notes that are made from here on are."""
        drafts = self.moves("draft")
        unneeded = drafts.filtered(
            lambda move: (
                (refunds and move.move_type == "out_refund")
                or self.is_unneeded_advance(move)
                or self.bills_free_lines_twice(move)
                or invariants.raised_drafts(self, move.line_ids)
                or move.amount_total < 0  # edited to less than it recovers of an advance
            )
        )
        unneeded.with_context(force_delete=True).unlink()

    def is_unneeded_advance(self, move):
        """Whether the document asks for an advance that no other one deducts; Odoo's own deducts drafts, too."""
        lines = move.line_ids.filtered(lambda line: line.display_type == "product")
        others = bills(lines.sale_line_ids.invoice_lines) - lines
        is_advance = all(line.sale_line_ids.is_downpayment and line.quantity > 0 for line in lines)
        return move.move_type == "out_invoice" and is_advance and not any(line.quantity < 0 for line in others)

    def bills_free_lines_twice(self, move):
        """Whether lines beside the plan are billed again: Odoo does so when the draft of before was cancelled."""
        lines = move.line_ids.sale_line_ids.filtered(
            lambda line: not (line.billing_milestone_id or line.is_downpayment)
        )
        return any(line.product_uom_id.compare(line.qty_invoiced, line.product_uom_qty) > 0 for line in lines)

    def release_all(self):
        for memory in self.memories:
            if memory.order.retention_withheld > 0:
                memory.order._release_retention(announce=False)

    def settle(self):
        """Release what is retained, set credit notes and payments against invoices, and have the rest paid."""
        self.release_all()
        terms = self.all_moves("posted").line_ids.filtered(
            lambda line: line.display_type == "payment_term" and not line.reconciled
        )
        payments = self.env["account.move.line"].search(
            [
                ("account_id", "in", terms.account_id.ids),
                ("partner_id", "=", self.order.partner_invoice_id.commercial_partner_id.id),
                ("payment_id", "!=", False),
                ("parent_state", "=", "posted"),
                ("reconciled", "=", False),
            ]
        )
        for lines in (terms | payments).grouped("account_id").values():
            lines.reconcile()
        self.release_all()  # a credit note may be set against what was released, instead of what it credits
        for document in self.all_moves("posted"):  # a credit note of what was paid is paid back
            for _part in range(1 + len(self.memories)):  # trade, and what each contract retained
                if not document.currency_id.is_zero(document.amount_residual):
                    self.case._pay(document)
        self.env.flush_all()
