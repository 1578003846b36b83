from odoo import api, models
from odoo.exceptions import AccessError


class SaleMilestoneProtectedMixin(models.AbstractModel):
    """Fields that only the addon's own methods may set.

    ``readonly=True`` is a hint for screens: ``create``, ``write``, an import or a ``default_*``
    key of an RPC context still get through it. A model that inherits this mixin lists such fields
    in ``_protected_fields``; they are then refused in ``create`` and ``write`` for everybody,
    the superuser included, and set through :meth:`_write_protected` after the caller has checked
    rights and state.
    """

    _name = "sale.milestone.protected.mixin"
    _description = "Fields set by the addon only"

    _protected_fields = frozenset()

    @api.model_create_multi
    def create(self, vals_list):
        for vals in vals_list:
            self._refuse_protected(vals)
        return super(SaleMilestoneProtectedMixin, self._without_protected_defaults()).create(vals_list)

    def write(self, vals):
        self._refuse_protected(vals)
        return super().write(vals)

    def _write_protected(self, vals):
        """Write protected fields; to be called after rights and state were checked."""
        return super().write(vals)

    def _without_protected_defaults(self):
        """Drop ``default_<protected field>`` keys, which an RPC context may carry."""
        defaults = {f"default_{name}" for name in self._protected_fields}
        if defaults.isdisjoint(self.env.context):
            return self
        context = {key: val for key, val in self.env.context.items() if key not in defaults}
        return self.with_context(context)  # pylint: disable=context-overridden

    def _refuse_protected(self, vals):
        """:raises AccessError: when ``vals`` sets a protected field"""
        refused = self._protected_fields.intersection(vals)
        if refused:
            labels = sorted(self._fields[name]._description_string(self.env) or name for name in refused)
            raise AccessError(
                self.env._(
                    "%(fields)s cannot be set by hand: it follows from reviews and invoices. "
                    "Use the buttons of the document instead.",
                    fields=", ".join(labels),
                )
            )
