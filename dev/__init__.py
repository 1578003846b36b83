"""The development environment: how Odoo, PostgreSQL and a browser get here and start.

Standard library only, so that it runs before anything is installed. One subject per
module; `python3 -m dev help` lists the commands, the Makefile gives them short names.
"""
