# Everything runs in .venv, which is made when it is missing and brought up to date when requirements.txt changed.
PYTHON ?= python3
RUN := .venv/bin/python
READY := .venv/.up-to-date
SLOW := faults or browser or stack

.DEFAULT_GOAL := help
.PHONY: help demo up test test-fast fuzz lint bench bench-docs openapi

help:
	@echo "make demo       seed data and run bulk jobs end to end, with progress bars"
	@echo "make up         the whole stack in the foreground (PORT, WORKERS, DROVER_HOME)"
	@echo "make test       every test        make test-fast   without faults, browser and running stacks"
	@echo "make lint       what CI checks    make bench       ratios against raw SQL and peers"
	@echo "make bench-docs the same, its tables and plots into docs/performance.md (half an hour on a quiet machine)"
	@echo "make openapi    write docs/openapi.yaml anew"
	@echo "make fuzz       random searches against a plain matcher (FUZZ_QUERIES, default 40000)"

$(READY): requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12")'
	@$(RUN) -c '' 2>/dev/null || $(PYTHON) -m venv --clear .venv
	$(RUN) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

demo: $(READY)
	@$(RUN) manage.py demo

up: $(READY)
	@exec $(RUN) manage.py up

test: test-fast
	$(RUN) -m pytest -m "$(SLOW)"

test-fast: $(READY)
	$(RUN) -m pytest -n 2 -m "not ($(SLOW))"

# Other worlds each time; FUZZ_FIRST_WORLD, which stands in the name of a failed test, brings the same ones back.
fuzz: $(READY)
	FUZZ_QUERIES=$${FUZZ_QUERIES:-40000} FUZZ_FIRST_WORLD=$${FUZZ_FIRST_WORLD:-$$(date +%s)} \
		$(RUN) -m pytest -n 2 tests/search/test_oracle.py -k compiler

lint: $(READY)
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	.venv/bin/lint-imports
	$(RUN) -W "ignore:Got an error checking:RuntimeWarning" manage.py makemigrations --check --dry-run # needs no database
	PUBLIC_URL=https://drover.example $(RUN) manage.py check --deploy --fail-level WARNING
	@$(RUN) manage.py spectacular --validate --fail-on-warn --file .venv/openapi.yaml
	@diff -u docs/openapi.yaml .venv/openapi.yaml || { echo "docs/openapi.yaml is not what is served: make openapi"; exit 1; }

openapi: $(READY)
	$(RUN) manage.py spectacular --validate --fail-on-warn --file docs/openapi.yaml

bench: $(READY)
	@$(RUN) -m bench

bench-docs: $(READY)
	@$(RUN) -m bench --write-docs
