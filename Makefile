# Everything is done by the modules of dev/; this file only gives them short names.
PYTHON ?= python3
# Command line variables reach the programs as environment variables.
export RUN_DIR DB_PREFIX ODOO_HOME ODOO_PYTHON SERVE ARGS MODULES
# No compiled files outside the run folder.
export PYTHONPYCACHEPREFIX = $(abspath $(or $(RUN_DIR),.run))/cache/python

COMMANDS = demo serve shell update test test-long test-native lint format pot bench screenshots \
	journal-entries stop clean

.DEFAULT_GOAL := help
.PHONY: help $(COMMANDS)

help: ## List the commands
	@$(PYTHON) -m dev help

$(COMMANDS):
	@$(PYTHON) -m dev $@
