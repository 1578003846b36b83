import json
import logging

from markupsafe import Markup

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError
from odoo.tools import format_date, html2plaintext, is_html_empty
from odoo.tools.safe_eval import safe_eval, time

from ..tools.proposal_difference import compare, strip_derived

_logger = logging.getLogger(__name__)

DATE_FIELDS = frozenset({"contract_date"})
AMOUNT_FIELDS = frozenset({"untaxed", "tax", "total", "price"})


class SaleOrderRevision(models.Model):
    """A proposal as it was sent: what it said, and its PDF; written once and then kept.

    ``create``, ``write`` and ``unlink`` are refused to everybody, the superuser included: sending a
    quotation makes its revisions (see ``sale.order._record_sent_revision``). ``content_hash`` says
    whether the quotation still is this revision, ``snapshot_hash`` is that of all that was shown.
    """

    _name = "sale.order.revision"
    _description = "Proposal Revision"
    _order = "order_id desc, number desc"
    _rec_name = "number"

    order_id = fields.Many2one("sale.order", required=True, readonly=True, index=True, ondelete="cascade")
    company_id = fields.Many2one(related="order_id.company_id", store=True)
    number = fields.Integer(string="Revision", required=True, readonly=True, aggregator=None)
    sent_on = fields.Datetime(required=True, readonly=True)
    sent_by = fields.Many2one("res.users", required=True, readonly=True, ondelete="restrict")
    snapshot = fields.Text(required=True, readonly=True)
    snapshot_hash = fields.Char(required=True, readonly=True)
    content_hash = fields.Char(required=True, readonly=True)
    note = fields.Char(readonly=True, help="What the quotation was changed for, in the client's words.")
    document_id = fields.Many2one("ir.attachment", readonly=True, ondelete="restrict", bypass_search_access=True)
    document_name = fields.Char(related="document_id.name", string="Document Name")
    document_data = fields.Binary(related="document_id.datas", string="PDF")
    change_count = fields.Integer(string="Changes", compute="_compute_difference")
    difference = fields.Html(string="Changes since the Revision Before", compute="_compute_difference", sanitize=False)
    content = fields.Html(compute="_compute_content", sanitize=False)

    _one_number = models.UniqueIndex("(order_id, number)", "Each revision of a proposal has a number of its own.")

    @api.depends("snapshot")
    @api.depends_context("lang")
    def _compute_difference(self):
        for revision in self:
            previous = revision._get_previous()
            changes = revision._get_changes(previous) if previous else []
            revision.change_count = len(changes)
            revision.difference = revision._render_difference(previous) if previous else False

    @api.depends("snapshot")
    @api.depends_context("lang")
    def _compute_content(self):
        for revision in self:
            revision.content = revision._render_content()

    @api.depends("number", "order_id.name")
    @api.depends_context("lang")
    def _compute_display_name(self):
        for revision in self:
            revision.display_name = self.env._(
                "%(order)s, revision %(number)s", order=revision.sudo().order_id.name, number=revision.number
            )

    @api.model_create_multi
    def create(self, vals_list):  # pylint: disable=method-required-super
        raise AccessError(self.env._("Revisions are recorded by sending the quotation."))

    def write(self, vals):  # pylint: disable=method-required-super
        raise AccessError(self.env._("A revision is kept as it was sent."))

    @api.ondelete(at_uninstall=False)
    def _unlink_except_never(self):
        raise AccessError(self.env._("A revision is kept as it was sent."))

    @api.model
    def _create_revision(self, values):
        """Record a revision; ``values`` are an order, number, snapshot, content_hash and sent_by."""
        values = dict(values, sent_on=fields.Datetime.now())
        values["snapshot_hash"] = self.env["sale.approval"]._hash_text(values["snapshot"])
        # no default_* key of a caller's context gets into what was sent
        clean = self.with_context({})  # pylint: disable=context-overridden
        return super(SaleOrderRevision, clean).create([values]).with_env(self.env)

    # -- the document ------------------------------------------------------------------------------------

    def _keep_document(self, sent=None):
        """Keep the PDF of each revision, once: the one that was sent with the mail, or a new one.

        :param sent: ``ir.attachment``, the files of the mail
        :return: the revisions whose PDF could not be made
        """
        missing = self.browse()
        for revision in self.sudo().filtered(lambda revision: not revision.document_id):
            content = revision._find_document(sent) or revision._render_document()
            if not content:
                missing += revision
                continue
            document = self.env["ir.attachment"].sudo().create(revision._prepare_document_values(content))
            super(SaleOrderRevision, revision).write({"document_id": document.id})
        return missing

    def _prepare_document_values(self, content):
        self.ensure_one()
        filename = self.order_id._get_report_base_filename().replace("/", "_")
        return {
            "name": self.env._("%(document)s, revision %(number)s.pdf", document=filename, number=self.number),
            "raw": content,
            "res_model": self._name,
            "res_id": self.id,
        }

    def _find_document(self, sent):
        """Return the content of the quotation's PDF among the files of a mail, or None."""
        self.ensure_one()
        if not sent:
            return None
        report = self.env.ref("sale.action_report_saleorder")
        name = safe_eval(report.print_report_name, {"object": self.order_id, "time": time})
        return next((file.raw for file in sent if file.name == f"{name}.pdf"), None)

    def _render_document(self):
        """Return the quotation's PDF as it is now, or None where it cannot be made: the mail and its link go out."""
        self.ensure_one()
        if not self.env.registry.ready:  # while the addon is installed nobody serves what a PDF needs
            return None
        Report = self.env["ir.actions.report"].with_company(self.company_id)
        try:
            return Report._render_qweb_pdf("sale.action_report_saleorder", self.order_id.ids)[0]
        except UserError:
            _logger.warning("The PDF of %s could not be made, it is tried again.", self.display_name, exc_info=True)
            return None

    def _queue_documents(self):
        """Have the PDFs made after the commit: no page of the portal renders one."""
        if self:
            self.env.ref("milestone_billing.ir_cron_proposal_documents").sudo()._trigger()

    @api.model
    def _cron_keep_documents(self):
        """Make the PDFs that sending could not make, as long as the quotation still is that revision."""
        for revision in self.search([("document_id", "=", False), ("order_id.state", "in", ("draft", "sent"))]):
            if revision.order_id._get_current_revision() == revision:
                revision._keep_document()
                self.env["ir.cron"]._commit_progress(1)

    # -- what changed ------------------------------------------------------------------------------------

    def _get_previous(self):
        self.ensure_one()
        earlier = self.sudo().order_id.revision_ids.filtered(lambda other: other.number < self.number)
        return earlier.sorted("number")[-1:]

    def _read_snapshot(self):
        self.ensure_one()
        return json.loads(self.sudo().snapshot)

    def _get_changes(self, before):
        """Return what changed since the revision ``before``: see :mod:`tools.proposal_difference`."""
        return compare(before._read_snapshot(), self._read_snapshot())

    @api.model
    def _hash_content(self, snapshot):
        """Return the hash of what makes a proposal the same: what follows from that, or names it, is left out."""
        Approval = self.env["sale.approval"]
        return Approval._hash_text(Approval._dump_canonical(strip_derived(snapshot)))

    def _render_difference(self, before):
        return self.env["ir.qweb"]._render(
            "milestone_billing.proposal_difference",
            {"rows": self._describe_changes(before), "before": before, "after": self},
        )

    def _render_content(self):
        return self.env["ir.qweb"]._render(
            "milestone_billing.proposal_snapshot",
            {"revision": self, "proposal": self._prepare_content(), "is_html_empty": is_html_empty},
        )

    def _prepare_content(self):
        """Return the snapshot for a page: amounts and dates in the reader's language, text that is safe to show."""
        snapshot = self._read_snapshot()
        for row in [*snapshot["milestones"], *snapshot["lines"], snapshot]:
            row["figures"] = {
                key: self._format_amount(value) if key in AMOUNT_FIELDS else value
                for key, value in row["figures"].items()
            }
        for number, milestone in enumerate(snapshot["milestones"], 1):
            milestone["number"] = number
            milestone["contract_date"] = self._format_day(milestone["contract_date"])
            milestone["description"] = Markup(milestone["description"])
        names = self._get_condition_labels()
        conditions = snapshot["labels"]["conditions"]
        conditions.pop("contract_terms", None)  # the terms themselves follow
        snapshot["conditions"] = [(names.get(key, key), text) for key, text in conditions.items() if text]
        snapshot["terms"] = [{**clause, "body": Markup(clause["body"])} for clause in snapshot["terms"]]
        return snapshot

    def _describe_changes(self, before):
        """Return the changes since ``before`` as dicts of ``what``, ``kind``, ``color``, ``before`` and ``after``."""
        return [self._describe_change(change) for change in self._get_changes(before)]

    def _describe_change(self, change):
        kinds = {
            "added": (self.env._("Added"), "success"),
            "removed": (self.env._("Removed"), "danger"),
            "renamed": (self.env._("Renamed"), "info"),
            "moved": (self.env._("Moved"), "info"),
            "changed": (self.env._("Changed"), "warning"),
        }
        kind, color = kinds[change.kind]
        return {
            "what": self._name_change(change),
            "kind": kind,
            "color": color,
            "before": self._format_value(change, change.before),
            "after": self._format_value(change, change.after),
        }

    def _name_change(self, change):
        """Return what changed, in words: the subject with its name, and which value of it."""
        if change.subject == "total":
            return self._get_field_labels()["currency" if change.field == "currency" else f"order_{change.field}"]
        if change.subject == "condition":
            return self._get_condition_labels().get(change.name, change.name)
        subjects = {
            "milestone": self.env._("Milestone %s", change.name),
            "deliverable": self.env._(
                "Deliverable %(name)s of %(milestone)s", name=change.name, milestone=change.parent
            ),
            "line": self.env._("Order line %s", change.name),
            "clause": self.env._("Clause %s", change.name),
        }
        what = subjects.get(change.subject) or " ".join(filter(None, (change.subject.capitalize(), change.name)))
        if change.kind not in ("added", "changed") or change.subject == "clause":
            return what
        label = self._get_field_labels().get(change.field, change.field)
        return f"{what}: {label}" if label else what

    def _get_field_labels(self):
        return {
            "contract_date": self.env._("date"),
            "untaxed": self.env._("untaxed amount"),
            "tax": self.env._("taxes"),
            "total": self.env._("total"),
            "description": self.env._("scope"),
            "after": self.env._("follows"),
            "acceptance_criteria": self.env._("acceptance criteria"),
            "quantity": self.env._("quantity"),
            "price": self.env._("unit price"),
            "discount": self.env._("discount in percent"),
            "taxes": self.env._("taxes"),
            "milestone": self.env._("milestone"),
            "currency": self.env._("Currency"),
            "order_untaxed": self.env._("Price, untaxed"),
            "order_tax": self.env._("Taxes"),
            "order_total": self.env._("Price, total"),
        }

    def _get_condition_labels(self):
        return {
            "review": self.env._("Review and approval"),
            "billing": self.env._("Invoices"),
            "advance": self.env._("Advance"),
            "retention": self.env._("Retention"),
            "cap": self.env._("Not to exceed"),
            "payment_term": self.env._("Payment terms"),
            "prepayment": self.env._("Payment on acceptance"),
            "note": self.env._("Terms and conditions"),
            "contract_terms": self.env._("Contract terms"),
        }

    def _format_value(self, change, value):
        if value in (None, "", False):
            return ""
        if change.field in AMOUNT_FIELDS or (change.subject in ("milestone", "line") and change.field == ""):
            return self._format_amount(value)
        if change.field in DATE_FIELDS:
            return self._format_day(value)
        if change.subject == "clause" or change.field == "description":
            return html2plaintext(value, include_references=False)
        if isinstance(value, list):
            return ", ".join(str(item) for item in value)
        return str(value)

    def _format_amount(self, text):
        return self._get_currency().format(float(text))

    def _get_currency(self):
        """Return the currency in which the revision was sent."""
        currency = self.env["res.currency"].with_context(active_test=False)
        sent = currency.search([("name", "=", self._read_snapshot()["currency"])], limit=1)
        return sent or self.sudo().order_id.currency_id

    def _format_day(self, text):
        return format_date(self.env, text) if text else ""
