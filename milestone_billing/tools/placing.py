"""Where records of an order stand when nobody says so."""


def place_last(model, vals_list, parent="order_id"):
    """Return the values with a ``sequence``: without one, a record comes after those that its parent has already.

    The default alone would put what a spreadsheet adds between them.
    """
    default = model.env.context.get(f"default_{parent}")
    parents = {values.get(parent, default) for values in vals_list if "sequence" not in values}
    if not parents:
        return vals_list
    # only where the others stand: who may create one need not see them all, and creating it checks the rights
    groups = model.sudo()._read_group([(parent, "in", list(parents))], [parent], ["sequence:max"])
    last = {record.id: sequence for record, sequence in groups}
    return [
        {"sequence": last[values.get(parent, default)], **values} if values.get(parent, default) in last else values
        for values in vals_list
    ]
