from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError

RETENTION_BASES = [("untaxed", "Untaxed amount"), ("total", "Total, taxes included")]
RETENTION_METHODS = [
    ("terms", "Kept back of each invoice"),
    ("release_milestone", "Billed with a release milestone"),
]
MAX_RELEASE_DAYS = 3650  # after an approval
RETENTION_TRIGGERS = [
    ("manual", "By hand"),
    ("date", "On a date"),
    ("milestone", "After an approval"),
]


class ResCompany(models.Model):
    """Usual retention of milestone contracts, and the account that holds it."""

    _inherit = "res.company"

    milestone_retention_percentage = fields.Float(
        string="Retention", digits=(16, 4), help="Percent of each invoice, 0–100, that the client keeps back."
    )
    milestone_retention_base = fields.Selection(
        RETENTION_BASES, string="Retention Base", default="untaxed", required=True
    )
    milestone_retention_cap = fields.Float(
        string="Retention Cap", digits=(16, 4), help="Most that is kept back, in percent of the contract. 0: no limit."
    )
    milestone_retention_reduced_percentage = fields.Float(string="Reduced Retention", digits=(16, 4))
    milestone_retention_reduced_after = fields.Float(string="Retention Reduced After", digits=(16, 4))
    milestone_retention_method = fields.Selection(
        RETENTION_METHODS, string="Retention Method", default="terms", required=True
    )
    milestone_retention_trigger = fields.Selection(
        [value for value in RETENTION_TRIGGERS if value[0] != "date"],
        string="Release of Retention",
        default="manual",
        required=True,
    )
    milestone_retention_days = fields.Integer(string="Days until Release of Retention")
    milestone_retention_account_id = fields.Many2one(
        "account.account",
        string="Retention Account",
        check_company=True,
        domain=[("account_type", "=", "asset_receivable"), ("non_trade", "=", True)],
        help="Non-trade receivable that holds what clients keep back until it is released and paid.",
    )

    _milestone_retention_limits = models.Constraint(
        """CHECK(milestone_retention_percentage BETWEEN 0 AND 100 AND milestone_retention_cap BETWEEN 0 AND 100
        AND milestone_retention_reduced_percentage BETWEEN 0 AND 100
        AND milestone_retention_reduced_after BETWEEN 0 AND 100 AND milestone_retention_days >= 0)""",
        "Retention is a percentage between 0 and 100, and its release is not before the approval.",
    )

    @api.constrains("milestone_retention_days")
    def _check_milestone_retention_days(self):
        for company in self:
            company._check_release_days(company.milestone_retention_days)

    @api.model
    def _check_release_days(self, days):
        """:raises ValidationError: when a retention would be released longer after an approval than contracts last"""
        if days > MAX_RELEASE_DAYS:
            raise ValidationError(
                self.env._("A retention is released at most %s days after the approval.", MAX_RELEASE_DAYS)
            )

    def _get_retention_account(self):
        """Return the account of retained amounts: of the company, or of the nearest one above it.

        :raises UserError: when none is chosen
        """
        self.ensure_one()
        companies = self.sudo().parent_ids.sorted(lambda company: -len(company.parent_ids))
        account = companies.filtered("milestone_retention_account_id")[:1].milestone_retention_account_id
        if not account:
            raise UserError(
                self.env._(
                    "%(company)s has no retention account: the invoice keeps an amount back and does not know where. "
                    "Choose a non-trade receivable account in the settings of Milestones, or let them create one.",
                    company=self.display_name,
                )
            )
        return account

    def _create_retention_account(self):
        """Choose the account that the chart of accounts has for this, or create one beside the trade receivable."""
        self.ensure_one()
        Account = self.env["account.account"].with_company(self)
        account = Account.search(
            [
                *Account._check_company_domain(self),
                ("account_type", "=", "asset_receivable"),
                ("non_trade", "=", True),
                ("name", "ilike", "retention"),
            ],
            limit=1,
        )
        if not account:
            trade = self.partner_id.with_company(self).property_account_receivable_id or Account.search(
                [*Account._check_company_domain(self), ("account_type", "=", "asset_receivable")], limit=1
            )
            account = Account.create(
                {
                    "name": self.env._("Retention Receivable"),
                    "code": Account._search_new_account_code(trade.code or "121000"),
                    "account_type": "asset_receivable",
                    "non_trade": True,
                    "reconcile": True,
                    "company_ids": [fields.Command.set(self.ids)],
                }
            )
        self.milestone_retention_account_id = account
        return account
