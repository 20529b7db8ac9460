# make run    a market maker at work against the simulated venue (SECONDS=60 to end by itself, RECORDING="a b" for a recorded market)
# make test   everything that must hold
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
SECONDS ?=
RECORDING ?=

.PHONY: run test build lint bench clean
.SILENT:

build: $(VENV)/.installed
	$(PY) scripts/build.py

$(VENV)/.installed: requirements.txt requirements-dev.txt
	$(PYTHON) scripts/check_host.py
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@

run: build
	$(PY) -m phx run $(if $(SECONDS),--seconds $(SECONDS)) $(if $(RECORDING),--recording $(RECORDING))

test: build
	$(PY) -m pytest tests

lint: build
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	PATH=$(VENV)/bin:$$PATH cython-lint phx

bench: build
	$(PY) -m pytest bench --benchmark-only

clean:
	rm -rf build $(VENV) phx.egg-info
	find phx -name '*.so' -delete -o -path '*/_core/*.c' -delete
