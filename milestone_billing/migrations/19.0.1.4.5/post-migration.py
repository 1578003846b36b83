def migrate(cr, version):
    """Take out of the invoice queue what waits for an accountant since the policy of its order changed."""
    cr.execute(
        """
        UPDATE sale_milestone
           SET invoice_queued_on = NULL
          FROM sale_order
         WHERE sale_order.id = sale_milestone.order_id
           AND sale_order.milestone_invoice_policy = 'manual'
           AND sale_milestone.billing_state = 'to_invoice'
           AND sale_milestone.invoice_queued_on IS NOT NULL
        """
    )
