def uninstall_hook(env):
    """Leave the milestone product with the orders and invoices that are made of it."""
    env["ir.model.data"].search(
        [("module", "=", "milestone_billing"), ("model", "in", ("product.product", "product.template"))]
    ).unlink()
