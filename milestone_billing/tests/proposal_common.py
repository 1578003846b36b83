from datetime import date
from unittest.mock import patch

from odoo.fields import Command

from odoo.addons.base.models.ir_actions_report import IrActionsReport

from .common import MilestoneCommon


class ProposalCommon(MilestoneCommon):
    """A quotation with two milestones and terms, and what salespeople do with it."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.salesperson = cls.users["salesperson"]
        cls.terms = cls.env["sale.contract.template"].create(
            {
                "name": "Terms",
                "line_ids": [
                    Command.create(
                        {
                            "name": "Review",
                            "body": '<p>You have <t t-out="object.milestone_review_days">0</t> days.</p>',
                        }
                    ),
                    Command.create(
                        {
                            "name": "Retention",
                            "condition": "retention",
                            "body": '<p><t t-out="object.clause_retention">-</t></p>',
                        }
                    ),
                ],
            }
        )
        cls.order = cls._create_contract(
            [
                {
                    "name": "Design",
                    "amount_untaxed": 1000.0,
                    "contract_date": date(2030, 1, 31),
                    "deliverable_ids": [Command.create({"name": "Screens", "acceptance_criteria": "Contrast AA"})],
                },
                {"name": "Build", "amount_untaxed": 2000.0, "contract_date": date(2030, 3, 31)},
            ],
            confirm=False,
            lines=[{"product_id": cls.product_a.id, "name": "Travel", "price_unit": 100.0, "product_uom_qty": 3.0}],
            milestone_contract_template_id=cls.terms.id,
            require_signature=True,
            require_payment=False,
        )
        cls.design, cls.build = cls.order.milestone_ids.sorted("sequence")

    @classmethod
    def _send(cls, order=None, user=None, attachments=()):
        """Send a quotation as the composer does."""
        order = (order or cls.order).with_user(user or cls.salesperson)
        order.with_context(mark_so_as_sent=True).message_post(
            body="Our proposal",
            message_type="comment",
            subtype_xmlid="mail.mt_comment",
            partner_ids=order.partner_id.ids,
            attachments=list(attachments),
        )
        cls.env.invalidate_all()
        return order.sudo().revision_ids.sorted("number")[-1:]

    @classmethod
    def _count_renderings(cls):
        """Patch the making of PDFs; the mock counts them."""
        return patch.object(
            IrActionsReport,
            "_render_qweb_pdf",
            autospec=True,
            side_effect=lambda *args, **kwargs: (b"%PDF-1.4 made", "pdf"),
        )
