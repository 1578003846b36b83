KEPT_MODELS = ("product.product", "product.template", "project.role")


def uninstall_hook(env):
    """Leave the milestone product and the roles with the orders, invoices and tasks that use them."""
    env["ir.model.data"].search([("module", "=", "milestone_billing"), ("model", "in", KEPT_MODELS)]).unlink()
