"""PLACEHOLDER, to be replaced: the story that `make demo` tells.

`tell(env)` plays the main job in a fresh demo database, prints it and returns what the
reader needs next: the logins and the pages worth opening.
"""


def tell(env):
    """Print the story; return {'logins': [[role, login, password]], 'pages': [[what, path]]}."""
    milestones = env["sale.milestone"] if "sale.milestone" in env else env["project.milestone"]
    print(f"There are {milestones.search_count([])} milestones ({milestones._name}).")
    return {
        "logins": [["Administrator", "admin", "admin"], ["Salesperson", "demo", "demo"]],
        "pages": [["Backend", "/odoo"], ["Customer portal", "/my"]],
    }
