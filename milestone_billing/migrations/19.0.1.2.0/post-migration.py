def migrate(cr, version):
    """Evidence also belongs to change requests: its rules follow the order, not the milestone."""
    if not version:
        return
    cr.execute(
        """
        UPDATE ir_rule rule
           SET domain_force = replace(rule.domain_force, 'milestone_id.order_id.user_id', 'order_id.user_id')
          FROM ir_model_data data
         WHERE data.model = 'ir.rule'
           AND data.res_id = rule.id
           AND data.module = 'milestone_billing'
           AND data.name IN ('sale_approval_rule_salesman_own', 'sale_approval_recipient_rule_salesman_own')
        """
    )
