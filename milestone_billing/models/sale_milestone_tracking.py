from odoo import models


class TrackedNotes(list):
    """Values of notes to come. A type of its own: no context of an RPC call can bring one."""


class SaleMilestone(models.Model):
    """What changes on many milestones at once is noted at once: two insertions for all instead of two for each."""

    _inherit = "sale.milestone"

    def _message_track(self, fields_iter, initial_values_dict):
        notes = TrackedNotes()
        tracked = super(SaleMilestone, self.with_context(milestone_tracked_notes=notes))
        tracking = tracked._message_track(fields_iter, initial_values_dict)
        if notes:
            self.sudo()._create_tracked_notes(notes)
        return tracking

    def _create_tracked_notes(self, notes):
        changes = [[command[2] for command in note.pop("tracking_value_ids")] for note in notes]
        messages = self._message_create(notes)
        self.env["mail.tracking.value"].create(
            [
                {**values, "mail_message_id": message.id}
                for message, changed in zip(messages, changes, strict=True)
                for values in changed
            ]
        )

    def _message_log(self, **values):
        """Only what is logged by the tracking waits, not what somebody posts meanwhile."""
        notes = self.env.context.get("milestone_tracked_notes")
        if isinstance(notes, TrackedNotes):
            self = self.with_context(milestone_notes_to_come=notes)  # pylint: disable=self-cls-assignment
        return super()._message_log(**values)

    def _message_create(self, values_list):
        notes = self.env.context.get("milestone_notes_to_come")
        if not isinstance(notes, TrackedNotes):
            return super()._message_create(values_list)
        notes += values_list
        return self.env["mail.message"]
