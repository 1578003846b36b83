DOMAIN = (
    "[('partner_id', 'child_of', user.commercial_partner_id.ids), '|', '|', ('is_client_request', '=', True), "
    "('state', 'in', ('submitted', 'approved')), '&', ('state', 'in', ('changes_requested', 'rejected')), "
    "('approval_ids.kind', '=', 'client')]"
)


def migrate(cr, version):
    """Clients see of change requests what they raised, and what they were asked about."""
    if not version:
        return
    cr.execute(
        """
        UPDATE ir_rule rule
           SET domain_force = %s
          FROM ir_model_data data
         WHERE data.model = 'ir.rule'
           AND data.res_id = rule.id
           AND data.module = 'milestone_billing'
           AND data.name = 'sale_change_request_rule_portal'
        """,
        [DOMAIN],
    )
