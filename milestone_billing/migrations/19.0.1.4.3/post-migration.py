def migrate(cr, version):
    """Note with documents that are posted already how many change orders their contracts had.

    Their statements stay what they were when they were made.
    """
    if not version:
        return
    cr.execute(
        """
        WITH stated AS (
            SELECT DISTINCT line.move_id, move.create_date, order_line.order_id
              FROM account_move_line line
              JOIN account_move move ON move.id = line.move_id
              JOIN sale_order_line_invoice_rel rel ON rel.invoice_line_id = line.id
              JOIN sale_order_line order_line ON order_line.id = rel.order_line_id
              JOIN sale_milestone milestone ON milestone.order_id = order_line.order_id
             WHERE move.state = 'posted'
               AND move.move_type IN ('out_invoice', 'out_refund')
        ), counted AS (
            SELECT stated.move_id,
                   stated.order_id,
                   (SELECT COUNT(*)
                      FROM sale_change_request request
                     WHERE request.order_id = stated.order_id
                       AND request.state = 'approved'
                       AND request.applied_on <= stated.create_date) AS number
              FROM stated
        )
        UPDATE account_move move
           SET milestone_change_orders = known.numbers
          FROM (SELECT move_id, jsonb_object_agg(order_id::text, number) AS numbers FROM counted GROUP BY move_id) known
         WHERE known.move_id = move.id
        """
    )
