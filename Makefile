# make run    a market maker at work against the simulated venue (SECONDS=60 to end by itself, RECORDING="a b" for a recorded market)
# make test   everything that must hold
# make bench  the quick set of benchmarks; make campaign-ring: 3 x 10^8 reads of a ring under fire
# make campaign-unknown  orders with unknown outcomes, a million of them in virtual time (N=1e6)
# make campaign-limits  hostile intents against quoter and gateway each alone (N=1e7)
# make campaign-storm  every price of eight symbols changes several times a second, on a venue that counts (STORM=150 s)
# make campaign  real processes killed at named stages, judged by the venue's ledger (KILLS=300 SEED=1): docs/campaigns.md
# make controls  the tests of every control, row by row in run/controls.txt: docs/controls.md
# make drill  all of that, then every cell of the campaign once, into run/drill: a quarter of an hour
# make compare  the table of docs/comparison.md, in minutes
# make external    the official SDK, ccxt and other clients against the simulated venue
# make lint, bench, docs (rendered from code), clean
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
SECONDS :=
RECORDING :=

.PHONY: run test build lint bench docs compare instructions controls drill campaign campaign-ring campaign-limits campaign-storm campaign-unknown external clean
.SILENT:

build: $(VENV)/.installed
	ls phx/_core/*.so >/dev/null 2>&1 || echo "building the compiled core, once: a few minutes"
	$(PY) scripts/build.py

$(VENV)/.installed: requirements.txt requirements-dev.txt
	$(PYTHON) scripts/check_host.py
	echo "installing requirements into $(VENV)"
	$(PY) -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@

run: build
	$(PY) -m phx run $(if $(SECONDS),--seconds $(SECONDS)) $(if $(RECORDING),--recording $(RECORDING))

test: build
	$(PY) -m pytest tests -m "not live and not alone" -n 2 --dist loadfile
	$(PY) -m pytest tests -m live -n 2 --dist loadfile
	$(PY) -m pytest tests -m alone

lint: build
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	PATH=$(VENV)/bin:$$PATH cython-lint phx

bench: build
	$(PY) -m pytest bench --benchmark-only

docs: build
	PYTHONPATH=. $(PY) scripts/render_docs.py

# Modes, models and signals against each other: on synthetic tapes of 10 minutes, and on RECORDING="a b" if given.
TAPES := run/tapes
compare: build
	PYTHONPATH=. $(PY) scripts/record_synthetic.py --seconds 600 --seed 1 --into $(TAPES) BTCUSDC BTCUSDT
	PYTHONPATH=. $(PY) scripts/record_synthetic.py --seconds 600 --seed 2 --into $(TAPES) ETHUSDC ETHUSDT
	$(PY) -m phx --config config.yaml.example compare --out docs/comparison.md \
		$(TAPES)/btcusdc-synthetic-1.jsonl.gz+$(TAPES)/btcusdt-synthetic-1.jsonl.gz \
		$(TAPES)/ethusdc-synthetic-2.jsonl.gz+$(TAPES)/ethusdt-synthetic-2.jsonl.gz $(RECORDING)

instructions: build
	$(PY) bench/instructions.py

controls: build
	$(PY) scripts/report_controls.py

drill: build
	$(PY) scripts/report_controls.py --out run/drill/controls.txt
	$(PY) scripts/campaign_kills.py --kills 180 --out run/drill

KILLS := 100
SEED := 1
campaign: build
	$(PY) scripts/campaign_kills.py --kills $(KILLS) --seed $(SEED)

campaign-ring: build
	$(PY) scripts/campaign_ring.py $(READS)

campaign-limits: build
	$(PY) scripts/campaign_limits.py $(N)

STORM := 150
campaign-storm: build
	$(PY) scripts/campaign_storm.py $(STORM)

campaign-unknown: build
	PYTHONPATH=. $(PY) scripts/campaign_unknown.py $(N)

# third-party clients against the simulated venue, each in a virtual environment of its own
external: build $(patsubst tests/external/requirements/%.txt,build/external/%/.installed,$(wildcard tests/external/requirements/*.txt))
	$(PY) -m pytest tests/external

build/external/%/.installed: tests/external/requirements/%.txt
	echo "installing $*"
	$(PYTHON) -m venv --clear $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	touch $@

clean:
	rm -rf build $(VENV) phx.egg-info
	find phx -name '*.so' -delete -o -path '*/_core/*.c' -delete
