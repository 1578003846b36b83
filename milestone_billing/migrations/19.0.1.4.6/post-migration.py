def migrate(cr, version):
    """Take from milestones the approvers of another client: of an order that was copied for a new customer."""
    cr.execute(
        """
        DELETE FROM sale_milestone_approver_rel own
              USING sale_milestone milestone
               JOIN sale_order ON sale_order.id = milestone.order_id
               JOIN res_partner customer ON customer.id = sale_order.partner_id,
                    res_partner approver
              WHERE milestone.id = own.sale_milestone_id
                AND approver.id = own.res_partner_id
                AND approver.commercial_partner_id IS DISTINCT FROM customer.commercial_partner_id
                AND sale_order.milestone_contract_hash IS NULL
        """
    )
