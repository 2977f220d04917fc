# Commands of the project; continuous integration runs the same ones (.ci/run).
.DEFAULT_GOAL := help
BACKEND := .venv/backend/bin
# Threads that spin while they wait starve each other where tests share cores (model_backend/jobs/supervisor.py).
export GOMP_SPINCOUNT ?= 1000

help:  ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

setup:  ## install QGIS, Xvfb (apt, when missing) and the two virtual environments
	@.ci/setup

demo: setup  ## QGIS makes imagery with a backend of its own: GeoTIFFs, contact sheet and screenshot in demo/
	@$(BACKEND)/python .ci/demo.py

serve: setup  ## start a backend for QGIS on this computer
	@$(BACKEND)/python -m model_backend serve

test: setup  ## every test, those of the plugin in real QGIS beside those of the backend
	@$(MAKE) --no-print-directory --jobs=2 test-backend test-qgis

test-backend: setup
	@$(BACKEND)/pytest tests/backend tests/project

test-qgis: setup
	@.ci/qgis --limit 2400 test tests/plugin
	@.ci/qgis --limit 2400 window tests/window

test-fast: setup  ## part of every tier, in three minutes on two cores
	@$(BACKEND)/pytest -m "fast and not slow"
	@.ci/qgis --limit 600 test -m "fast and not slow" tests/plugin
	@.ci/qgis --limit 600 window tests/window -m "fast and not slow"

lint: setup  ## ruff, mypy, import contracts, spelling
	@$(BACKEND)/codespell
	@$(BACKEND)/ruff check .
	@$(BACKEND)/ruff format --check .
	@$(BACKEND)/mypy
	@$(BACKEND)/mypy --package text2earth_qgis
	@$(BACKEND)/lint-imports

modules: setup  ## write docs/modules.md, the map of all modules, from their docstrings
	@$(BACKEND)/python .ci/modules.py

translations: setup  ## give resources/i18n the texts that the code has
	@$(BACKEND)/python .ci/translations.py

bundle: setup  ## plugin and wheels for computers without network, in dist/bundle
	@$(BACKEND)/python .ci/bundle.py

package: setup  ## the plugin as a zip that plugins.qgis.org accepts, in dist/
	@$(BACKEND)/python .ci/package.py

screenshots: setup  ## all pictures of the README and the user guide anew, in real QGIS
	@$(BACKEND)/python .ci/screenshots.py

clean:  ## remove what these commands made, the environments too
	rm -rf .venv build dist demo

.PHONY: help setup demo serve test test-backend test-qgis test-fast lint modules translations bundle package
.PHONY: screenshots clean
