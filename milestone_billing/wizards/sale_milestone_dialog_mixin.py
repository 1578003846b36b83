from odoo import api, models
from odoo.exceptions import UserError


class SaleMilestoneDialogMixin(models.AbstractModel):
    """Dialogs about a document show nothing of documents that their user may not read.

    Fields of a dialog are computed with more rights than its user has, and any client can name any
    document in ``create``, ``write``, ``onchange`` or a ``default_*`` key. What a dialog is about is
    therefore checked wherever it comes from, and does not change once the dialog is open.
    """

    _name = "sale.milestone.dialog.mixin"
    _description = "Dialog about a Document"

    # Many2one fields: what the dialog is about
    _dialog_documents = frozenset()
    # what else stays as it was when the dialog was opened
    _dialog_fixed = frozenset()
    # which of the documents may be replaced by another one
    _dialog_free = frozenset()

    @api.model
    def default_get(self, fields):
        values = super().default_get(fields)
        self._check_documents_in(values)
        return values

    @api.model_create_multi
    def create(self, vals_list):
        dialogs = super().create(vals_list)
        dialogs._check_documents()
        return dialogs

    def write(self, vals):
        for name in ((self._dialog_documents | self._dialog_fixed) - self._dialog_free).intersection(vals):
            value = self.new({name: vals[name]})[name]
            if any(dialog[name] != value for dialog in self):
                raise UserError(
                    self.env._("What this dialog is about cannot change. Close it and open it where you need it.")
                )
        result = super().write(vals)
        if not self._dialog_free.isdisjoint(vals):
            self._check_documents()
        return result

    def onchange(self, values, field_names, fields_spec):
        self._check_documents_in(values)
        return super().onchange(values, field_names, fields_spec)

    def _check_documents_in(self, values):
        self.new({name: values.get(name) or False for name in self._dialog_documents})._check_documents()

    def _check_documents(self):
        """:raises AccessError: for documents that the user may not read"""
        for name in self._dialog_documents:
            self[name].check_access("read")
