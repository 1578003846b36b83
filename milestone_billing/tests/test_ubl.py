from decimal import ROUND_HALF_UP, Decimal

from lxml import etree

from odoo.fields import Command
from odoo.tests import tagged

from .life_common import LifeCommon

NAMESPACES = {
    "cac": "urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2",
    "cbc": "urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2",
}
CENT = Decimal("0.01")
# What PEPPOL-EN16931-R120 allows between a line and its price.
LINE_SLACK = Decimal("0.02")
# What EN 16931 allows between the tax of a category and its base times its rate: less than one unit.
TAX_SLACK = Decimal(1)


class Document:
    """A UBL document, and the arithmetic rules of EN 16931 and Peppol BIS 3 that it breaks."""

    def __init__(self, xml):
        self.root = etree.fromstring(xml)
        self.lines = self.nodes("cac:InvoiceLine | cac:CreditNoteLine")

    def nodes(self, path, node=None):
        return (self.root if node is None else node).xpath(path, namespaces=NAMESPACES)

    def amount(self, path, node=None, default=None):
        found = self.nodes(f"{path}/text()", node)
        if not found and default is not None:
            return Decimal(default)
        (text,) = found
        return Decimal(text)

    def total(self, name, default=None):
        return self.amount(f"cac:LegalMonetaryTotal/cbc:{name}", default=default)

    def adjustments(self, node=None):
        """Return charges less allowances of the document, or of a line."""
        return sum(
            self.amount("cbc:Amount", part) * (1 if self.nodes("cbc:ChargeIndicator/text()", part) == ["true"] else -1)
            for part in self.nodes("cac:AllowanceCharge", node)
        )

    def broken_rules(self):
        return [
            *self.broken_line_rules(),
            *self.broken_total_rules(),
            *self.broken_tax_rules(),
            *self.broken_decimals(),
        ]

    def broken_line_rules(self):
        if not self.lines:
            yield "BR-16: no line"
        for line in self.lines:
            name = self.nodes("cbc:ID/text()", line)[0]
            price = self.amount("cac:Price/cbc:PriceAmount", line)
            per = self.amount("cac:Price/cbc:BaseQuantity", line, default="1")
            quantity = self.amount("*[self::cbc:InvoicedQuantity or self::cbc:CreditedQuantity]", line)
            net = self.amount("cbc:LineExtensionAmount", line)
            computed = (quantity * price / per + self.adjustments(line)).quantize(CENT, ROUND_HALF_UP)
            if abs(net - computed) > LINE_SLACK:
                yield f"PEPPOL-EN16931-R120: line {name} is {net}, and {quantity} × {price} comes to {computed}"
            if price < 0:
                yield f"BR-27: the price of line {name} is {price}"
            if len(self.nodes("cac:Item/cac:ClassifiedTaxCategory", line)) != 1:
                yield f"BR-CO-04: line {name} has not one category of VAT"

    def broken_total_rules(self):
        lines = sum(self.amount("cbc:LineExtensionAmount", line) for line in self.lines)
        untaxed, total = self.total("TaxExclusiveAmount"), self.total("TaxInclusiveAmount")
        tax = self.amount("cac:TaxTotal[cac:TaxSubtotal]/cbc:TaxAmount")
        yield from self.compare("BR-CO-10", self.total("LineExtensionAmount"), lines)
        yield from self.compare("BR-CO-13", untaxed, lines + self.adjustments())
        yield from self.compare("BR-CO-15", total, untaxed + tax)
        due = total - self.total("PrepaidAmount", "0") + self.total("PayableRoundingAmount", "0")
        yield from self.compare("BR-CO-16", self.total("PayableAmount"), due)

    def broken_tax_rules(self):
        subtotals = self.nodes("cac:TaxTotal/cac:TaxSubtotal")
        tax = self.amount("cac:TaxTotal[cac:TaxSubtotal]/cbc:TaxAmount")
        yield from self.compare("BR-CO-14", tax, sum(self.amount("cbc:TaxAmount", part) for part in subtotals))
        categories = set()
        for part in subtotals:
            category = self.category(part, "cac:TaxCategory")
            categories.add(category)
            base, amount = self.amount("cbc:TaxableAmount", part), self.amount("cbc:TaxAmount", part)
            of_lines = sum(
                self.amount("cbc:LineExtensionAmount", line)
                for line in self.lines
                if self.category(line, "cac:Item/cac:ClassifiedTaxCategory") == category
            )
            yield from self.compare(f"BR-{category[0]}-08 {category}", base, of_lines)
            computed = (base * category[1] / 100).quantize(CENT, ROUND_HALF_UP)
            if abs(amount - computed) >= TAX_SLACK:
                yield f"BR-CO-17: {category} is {amount} of {base}, and should be {computed}"
        for line in self.lines:
            if self.category(line, "cac:Item/cac:ClassifiedTaxCategory") not in categories:
                yield f"BR-CO-18: a line without its category in the breakdown: {category}"

    def category(self, node, path):
        return self.nodes(f"{path}/cbc:ID/text()", node)[0], self.amount(f"{path}/cbc:Percent", node, default="0")

    def broken_decimals(self):
        for node in self.nodes("//*[@currencyID][not(self::cbc:PriceAmount)]"):
            if Decimal(node.text) != Decimal(node.text).quantize(CENT):
                yield f"BR-DEC: {etree.QName(node).localname} {node.text}"

    @staticmethod
    def compare(rule, stated, computed):
        if stated != computed:
            yield f"{rule}: {stated} is stated, and {computed} computed"


@tagged("post_install", "-at_install")
class TestUbl(LifeCommon):
    """Electronic invoices of milestones add up, whatever is divided, deducted and kept back."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        belgium = cls.env.ref("base.be")
        cls.company.partner_id.write(
            {"street": "Street 1", "zip": "1000", "city": "Brussels", "country_id": belgium.id, "vat": "BE0246697724"}
        )
        cls.company.partner_id.bank_ids = [Command.create({"acc_number": "BE15001559627230"})]
        cls.client_company.write(
            {"street": "Road 2", "zip": "1367", "city": "Ramillies", "country_id": belgium.id, "vat": "BE0477472701"}
        )
        cls.lines = [
            (9999.99, 1.0, 0.0, cls.tax_15),
            (1234.57, 3.0, 7.5, cls.tax_10),
            (777.77, 2.5, 10.0, cls.tax_15_included),
            (0.335, 1000.0, 0.0, cls.tax_20),
        ]

    def _export(self, invoice):
        xml, errors = self.env["account.edi.xml.ubl_bis3"]._export_invoice(invoice)
        self.assertFalse(errors)
        return Document(xml)

    def assertValid(self, invoice):
        """The document adds up by itself, and says what the invoice says."""
        document = self._export(invoice)
        self.assertEqual(document.broken_rules(), [])
        self.assertEqual(document.total("TaxInclusiveAmount"), self._cents(invoice.amount_total))
        self.assertEqual(document.total("TaxExclusiveAmount"), self._cents(invoice.amount_untaxed))
        self.assertEqual(document.total("PayableAmount"), self._cents(invoice.amount_residual))
        return document

    def _cents(self, amount):
        return Decimal(f"{amount:.2f}")

    def test_shares_of_divided_lines(self):
        for rounding in ("round_globally", "round_per_line"):
            with self.subTest(rounding=rounding):
                self.company.tax_calculation_rounding_method = rounding
                order = self._create_life(self.lines, [33.3333, 12.5, 54.1667])
                for invoice in self._bill(order.milestone_ids):
                    self.assertEqual(len(self.assertValid(invoice).lines), len(self.lines))
                self.assertBilledAsAgreed(order)

    def test_advance_its_recovery_retention_and_credit(self):
        for rounding in ("round_globally", "round_per_line"):
            with self.subTest(rounding=rounding):
                self.company.tax_calculation_rounding_method = rounding
                order = self._create_life(
                    self.lines,
                    [33.3333, 12.5, 54.1667],
                    milestone_advance_type="percentage",
                    milestone_advance_percentage=33.3333,
                    milestone_retention_percentage=7.5,
                )
                self._run_queue()
                self.assertValid(order.invoice_ids)
                for invoice in self._bill(order.milestone_ids):
                    document = self.assertValid(invoice)
                    negative = [line for line in document.lines if document.amount("cbc:InvoicedQuantity", line) < 0]
                    self.assertEqual(len(negative), len(self.lines), "a recovery for each set of taxes")
                    self.assertGreater(invoice.retention_amount, 0.0)
                    # what is retained is owed: the client pays it later, and it is no prepayment
                    self.assertEqual(document.total("PayableAmount"), document.total("TaxInclusiveAmount"))
                    self.assertEqual(document.total("PrepaidAmount"), 0)
                    (due,) = document.nodes("cbc:DueDate/text()")
                    self.assertEqual(due, str(invoice.invoice_date_due))
                    self.assertLess(due, "2999", "the due date is that of the part to pay now")
                invoice = self._invoices(order.milestone_ids[0])
                self.assertValid(self._credit(invoice, edit=self._edit_lines(0.333)))
                self._pay(invoice)
                self.assertGreater(self.assertValid(invoice).total("PrepaidAmount"), 0)

    def test_the_rules_find_a_wrong_document(self):
        order = self._create_life(self.lines, [40.0, 60.0])
        document = self._export(self._bill(order.milestone_ids[0]))
        wrong = {
            "cac:InvoiceLine[1]/cbc:LineExtensionAmount": {"R120", "CO-10", "CO-13", "S-08"},
            "cac:InvoiceLine[1]/cac:Price/cbc:PriceAmount": {"R120"},
            "cac:LegalMonetaryTotal/cbc:TaxExclusiveAmount": {"CO-13", "CO-15"},
            "cac:LegalMonetaryTotal/cbc:TaxInclusiveAmount": {"CO-15", "CO-16"},
            "cac:LegalMonetaryTotal/cbc:PayableAmount": {"CO-16"},
            "cac:TaxTotal/cac:TaxSubtotal[1]/cbc:TaxAmount": {"CO-14", "CO-17"},
            "cac:TaxTotal/cac:TaxSubtotal[1]/cbc:TaxableAmount": {"S-08"},
        }
        for path, rules in wrong.items():
            (node,) = document.nodes(path)
            right, node.text = node.text, str(Decimal(node.text) + 3)
            found = " ".join(document.broken_rules())
            for rule in rules:
                self.assertIn(rule, found, path)
            node.text = right
        self.assertEqual(document.broken_rules(), [])
