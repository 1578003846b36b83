"""The steps of a life that concern invoices, credit notes and payments."""

from hypothesis import strategies as st
from hypothesis.stateful import precondition

from odoo.exceptions import UserError

from tests.money import contracts, invariants
from tests.money.recording import rule

INDEX = st.integers(0, 7)


class DocumentSteps:
    """Rules that :class:`tests.money.machine.ContractMachine` has besides its own."""

    @precondition(lambda self: self.moves("draft"))
    @rule(index=INDEX)
    def post(self, index):
        self.step("post", lambda: self.pick(self.moves("draft"), index).action_post())

    @precondition(lambda self: self.moves("draft"))
    @rule(index=INDEX, how=st.sampled_from(["cancel", "delete", "lower", "raise", "take off"]))
    def change_draft(self, index, how):
        draft = self.pick(self.moves("draft"), index)
        actions = {
            "take off": lambda: self.take_off(draft, index),
            "cancel": draft.button_cancel,
            "delete": draft.with_context(force_delete=True).unlink,
            "lower": lambda: self.edit(draft, index, 0.7),
            "raise": lambda: self.edit(draft, index, 1.1),
        }
        self.step(f"{how} draft", actions[how])

    def take_off(self, draft, index):
        """Take a milestone off an invoice of several."""
        lines = draft.invoice_line_ids.filtered(lambda line: line.display_type == "product")
        milestone = self.pick(lines.billing_milestone_id, index)
        if draft.move_type != "out_invoice" or len(lines.billing_milestone_id) == 1:
            raise UserError("Delete it, or edit it.")
        lines.filtered(lambda line: line.billing_milestone_id == milestone).unlink()

    def edit(self, draft, index, factor):
        lines = self.agreed_lines(draft)
        line = self.pick(lines, index)
        before = {item: item.amount_currency for item in lines}
        line.price_unit = line.price_unit * factor
        if all(item.amount_currency == before[item] for item in lines):
            # agreed are untaxed amounts; a price with taxes that moves nothing but its tax is its editor's own
            raise UserError("Rounded, it is what it was.")
        # with taxes included and rounded globally, a lower price can move a unit to another line
        sign = draft.direction_sign  # what reduces an invoice counts when it reduces it by less
        self.memory.edited.update(lines)
        self.memory.raised.update(
            item
            for item in lines
            if sign * item.amount_currency > sign * before[item]
            or (self.is_deducted(item) and abs(item.amount_currency) > abs(before[item]))
        )
        for milestone in lines.billing_milestone_id:
            if invariants.units(draft.currency_id, invariants.net(milestone)) < 0:
                # what bills nothing, for it was reduced to that, and bills less now: refused when posted, too
                self.memory.raised.update(lines.filtered(lambda line, own=milestone: line.billing_milestone_id == own))

    def is_deducted(self, item):
        """Whether the line recovers an advance, or is a reduction: with more of it, less than nothing may be billed."""
        return item.sale_line_ids.is_milestone_advance or item.sale_line_ids.price_subtotal < 0

    def agreed_lines(self, document):
        """The lines of milestones and advances; a free line may be billed at any price, as on any order."""
        lines = document.invoice_line_ids.filtered(lambda line: line.display_type == "product")
        return lines.filtered(
            lambda line: line.billing_milestone_id or line.sale_line_ids.filtered("is_milestone_advance")
        )

    @precondition(lambda self: self.moves("posted"))
    @rule(index=INDEX)
    def reset_to_draft(self, index):
        document = self.pick(self.moves("posted"), index)
        if self.step("reset", document.button_draft) and document.move_type == "out_refund":
            # what it gave back may have been retained again meanwhile
            for memory in self.memories:
                memory.retainable = max(memory.retainable, memory.order.retention_retained)

    @precondition(lambda self: self.moves("cancel"))
    @rule(index=INDEX)
    def revive(self, index):
        self.step("revive", lambda: self.pick(self.moves("cancel"), index).button_draft())

    @precondition(lambda self: self.invoices())
    @rule(index=INDEX, share=st.sampled_from([0.1, 1 / 3, 0.5, 0.9]), post=st.booleans())
    def credit_a_price(self, index, share, post):
        def reduce(refund):
            (refund.invoice_line_ids.filtered("product_id") - self.agreed_lines(refund)).unlink()
            for line in self.agreed_lines(refund):
                line.price_unit = line.price_unit * share

        invoice = self.pick(self.invoices(), index)
        self.step("credit a price", lambda: self.case._credit(invoice, edit=reduce, post=post))

    @precondition(lambda self: self.invoices())
    @rule(index=INDEX)
    def credit_a_quantity(self, index):
        def reduce(refund):
            line = self.pick(self.agreed_lines(refund), index)
            (refund.invoice_line_ids.filtered("product_id") - line).unlink()
            line.quantity = line.quantity * 0.5

        invoice = self.pick(self.invoices(), index)
        self.step("credit a quantity", lambda: self.case._credit(invoice, edit=reduce))

    @precondition(lambda self: self.invoices())
    @rule(index=INDEX, how=st.sampled_from(["post", "draft", "bill again"]))
    def credit_in_full(self, index, how):
        invoice = self.pick(self.invoices(), index)
        self.step(
            f"credit in full, {how}",
            lambda: self.case._credit(invoice, post=how == "post", modify=how == "bill again"),
        )

    @precondition(lambda self: self.invoices())
    @rule(index=INDEX, share=st.sampled_from([None, 0.5, 1 / 3]), is_own=st.booleans())
    def pay(self, index, share, is_own):
        """Pay an invoice, or a part of it: in its currency, or all of it in the company's own."""
        invoice = self.pick(self.invoices(), index)
        own = invoice.company_currency_id
        if is_own and own != invoice.currency_id:
            self.step("pay in own currency", lambda: self.case._pay(invoice, currency_id=own.id))
        else:
            amount = share and max(invoice.amount_residual * share, invoice.currency_id.rounding)
            self.step("pay", lambda: self.case._pay(invoice, amount))

    @precondition(lambda self: len(self.invoices()) > 1)
    @rule(is_grouped=st.booleans())
    def pay_several(self, is_grouped):
        """An accountant pays several invoices: as much as the dialog shows, and what is withheld only by itself."""
        invoices = self.invoices()
        terms = invoices.line_ids.filtered(lambda line: line.display_type == "payment_term" and not line.reconciled)
        is_asked = any(not line.retention_order_id or line._get_retention_owed() for line in terms)
        withheld = self.count_withheld()

        def pay():
            wizard = (
                self.env["account.payment.register"]
                .with_context(active_model="account.move", active_ids=invoices.ids)
                .create({"group_payment": is_grouped})
            )
            shown, currency = wizard.amount, wizard.currency_id
            payments = wizard._create_payments()
            if currency == self.order.currency_id:
                invariants.equal(currency, sum(payments.mapped("amount")), shown, "what several invoices are paid")

        if self.step("pay several", pay) and is_asked:
            left = self.count_withheld()
            invariants.equal(self.order.currency_id, left, withheld, "what is withheld after a payment of several")

    def count_withheld(self):
        """Return what all contracts, which have one currency, withhold."""
        return sum(memory.order.retention_withheld for memory in self.memories)

    @precondition(lambda self: self.invoices())
    @rule(index=INDEX, share=st.sampled_from([1.0, 1.0, 0.5, 1.2]))
    def pay_online(self, index, share):
        """The client pays what the portal asks for, a part of it, or what somebody asked for too much."""
        invoice = self.pick(self.invoices(), index)

        def pay():
            asked = invoice._get_invoice_next_payment_values().get("next_amount_to_pay")
            if not asked:
                raise UserError("Nothing is asked for.")
            self.case._pay_online(invoice, invoice.currency_id.round(max(asked * share, invoice.currency_id.rounding)))

        self.step("pay online", pay)

    @precondition(lambda self: self.moves("posted", "out_refund"))
    @rule(index=INDEX, post=st.booleans())
    def reverse_credit_note(self, index, post):
        """Somebody reverses a credit note: what it took back is billed again, by a document of its own."""
        refund = self.pick(self.moves("posted", "out_refund"), index)

        def reverse():
            invoice = self.case._credit(refund, post=post)
            if not post:  # it may be more than is left of the plan, and is refused then when posted
                self.memory.edited.update(invoice.line_ids)
                self.memory.raised.update(invoice.line_ids)

        self.step("reverse credit note", reverse)

    @precondition(lambda self: self.order.currency_id != self.order.company_id.currency_id)
    @rule(rate=st.sampled_from([1.3, 1.7, 2.1]))
    def change_rate(self, rate):
        contracts.set_rate(self.order.currency_id, self.order.company_id, rate)
