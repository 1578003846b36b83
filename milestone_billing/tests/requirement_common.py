from odoo.fields import Command

from .common import MilestoneCommon


class RequirementCommon(MilestoneCommon):
    """A quotation of three milestones with requirements: covered, shared by two, uncovered, and excluded."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.order = cls._create_contract(
            [
                {
                    "name": "Design",
                    "amount_untaxed": 100.0,
                    "deliverable_ids": cls._deliverables("Wireframes", "Guide"),
                },
                {"name": "Build", "amount_untaxed": 200.0, "deliverable_ids": cls._deliverables("Site")},
                {"name": "Launch", "amount_untaxed": 50.0, "deliverable_ids": cls._deliverables("Report")},
            ],
            confirm=False,
        )
        cls.design, cls.build, cls.launch = cls.order.milestone_ids
        cls.wireframes, cls.guide = cls.design.deliverable_ids
        cls.site, cls.report = cls.build.deliverable_ids, cls.launch.deliverable_ids
        cls.first, cls.shared, cls.open, cls.excluded = cls.env["sale.requirement"].create(
            [
                cls._requirement("Pages are drawn", cls.wireframes),
                cls._requirement("Works on a phone", cls.wireframes + cls.site, kind="quality"),
                cls._requirement("Pays by card"),
                cls._requirement("Has a forum", priority="wont"),
            ]
        )

    @classmethod
    def _deliverables(cls, *names):
        return [Command.create({"name": name}) for name in names]

    @classmethod
    def _requirement(cls, statement, deliverables=None, order=None, **values):
        return {
            "order_id": (order or cls.order).id,
            "statement": statement,
            "deliverable_ids": [Command.set(deliverables.ids if deliverables else [])],
            **values,
        }
