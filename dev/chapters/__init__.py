"""The chapters of the story that `make demo` tells; they run inside Odoo, see `dev/story.py`."""
