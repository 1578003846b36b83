import json

from markupsafe import Markup

from odoo import models
from odoo.tools import html2plaintext, html_sanitize


class SaleChangeRequest(models.Model):
    """What a request says in full, milestone by milestone: the texts that the client agrees to."""

    _inherit = "sale.change.request"

    def _get_decided_snapshot(self):
        """Return what was decided on, once the request is decided; None while it is open, or was never presented."""
        self.ensure_one()
        request = self.sudo()
        if request._is_open():
            return None
        decided = request.accepted_approval_id or request.approval_ids.sorted("id")[-1:]
        return json.loads(decided.snapshot) if decided else None

    def _get_scope_changes(self, impact=None):
        """Return what the lines do, with the texts in full; of a decided request what they were then.

        :param dict impact: what ``_get_impact`` returns, if it is known already
        :return: list, by line, of dicts of

            * ``name``: of the milestone that dates, scope and deliverables are of
            * ``sentences``: what happens to it
            * ``scope``, ``old_scope``: sanitised HTML, may be empty; the old one is known while the request is open
            * ``deliverables``: list of dicts of ``sentence``, ``criteria`` and ``old_criteria`` (texts, may be empty)
        """
        self.ensure_one()
        request = self.sudo()
        impact, decided = impact or request._get_impact(), request._get_decided_snapshot()
        if decided:
            lines, old_scopes = decided["lines"], {}
        else:
            visible = request._get_visible_lines()
            lines = [line._prepare_snapshot_values()[0] for line in visible]
            old_scopes = {line.milestone_id.id: line.milestone_id.description for line in visible}
        return [
            request._prepare_scope_change(line, sentences, old_scopes.get(line["milestone"]))
            for line, sentences in zip(lines, impact["lines"], strict=True)
        ]

    def _prepare_scope_change(self, line, sentences, old_scope):
        """Return an item of ``_get_scope_changes`` for ``line``, one of a snapshot."""
        base = line["base"].get(str(line["milestone"])) or {}
        is_added = line["action"] in ("add", "split")
        if line["action"] == "change" and base.get("closed") == "approved" and float(line["amount"]) > 0:
            is_added = True  # see ``_becomes_milestone``
        scope = line["scope"] if line["action"] not in ("merge", "cancel") else ""
        has_scope = bool(scope) and bool(html2plaintext(scope).strip())
        known = {number: criteria for number, _name, criteria in base.get("deliverables") or []}
        count = len(sentences) - len(line["deliverables"])  # those of the deliverables are the last ones
        return {
            "name": self._get_scope_name(line, base, is_added),
            "sentences": sentences[:count],
            "scope": html_sanitize(scope) if has_scope else Markup(""),
            "old_scope": html_sanitize(old_scope) if has_scope and old_scope and not is_added else Markup(""),
            "deliverables": [
                self._prepare_scope_deliverable(change, sentence, known.get(change["deliverable"]) or "")
                for change, sentence in zip(line["deliverables"], sentences[count:], strict=True)
            ],
        }

    def _get_scope_name(self, line, base, is_added):
        if not is_added:
            return base.get("name") or ""
        if line["action"] == "change":
            return line["name"] or self._get_own_milestone_name(base.get("name") or "")
        return line["name"]

    def _get_own_milestone_name(self, milestone_name):
        """Return what a milestone is called that an increase of an approved one becomes."""
        self.ensure_one()
        return self.env._("%(milestone)s – change %(request)s", milestone=milestone_name, request=self.number)

    def _prepare_scope_deliverable(self, change, sentence, old_criteria):
        criteria = change["acceptance_criteria"]
        if change["action"] == "remove":
            criteria = old_criteria = ""
        elif change["action"] == "add" or not criteria or criteria == old_criteria:
            criteria, old_criteria = criteria or old_criteria, ""
        return {"sentence": sentence, "criteria": criteria, "old_criteria": old_criteria}
