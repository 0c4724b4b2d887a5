# GB-Fleet. `make demo` and `make test` set up what they need first; `make help` lists the targets.

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV   := .venv
BIN    := $(VENV)/bin
EXTRAS ?= agent,aggregator,dev
NODE_OK := $(shell node -e 'process.exit(+(process.versions.node.split(".")[0] < 20))' 2>/dev/null && echo yes)
NPM    := $(if $(NODE_OK),npm,PATH="$(CURDIR)/$(BIN):$$PATH" npm)
WEB    := $(shell find aggregator/web -type f -not -path '*/node_modules/*' 2>/dev/null)

export SOURCE MODEL LINE PACE LOOP PORT TOKEN DIR

# What may stand behind `make TARGET`; anything else is mistyped, and would be ignored without a word.
KNOWN  := SOURCE MODEL LINE PACE LOOP PORT TOKEN DIR JOBS ARGS GB_DATA GB_PEERS TRAFFIC MASK FREE CYCLES SEED \
	PYTHON EXTRAS NPM NODE_OK BENCH_JSON
SAID   := $(foreach name,$(.VARIABLES),$(if $(filter command line,$(origin $(name))),$(name)))
WRONG  := $(filter-out $(KNOWN),$(SAID))
$(if $(WRONG),$(error $(firstword $(WRONG)): not known; `make help` lists what each target takes))

.PHONY: help page-types setup setup-export demo test check format bench bench-box bench-count bench-model bench-centre models chaos clean

help:
	@echo 'make demo          the whole product on this machine: broker, database, centre, two nodes'
	@echo '                   SOURCE=scene|0|FILE|URL MODEL=traffic|mask|PATH LINE="main:0,0.6,1,0.6"'
	@echo '                   PACE=real|fast LOOP=0|1 PORT=8080 TOKEN=... DIR=...'
	@echo 'make test          every test that this machine can run; JOBS=2 runs two at a time'
	@echo 'make check         format, lint and types, Python and TypeScript'
	@echo 'make page-types    the types of the page, out of the description of the API'
	@echo 'make bench         speed, memory, bytes; bench-count, bench-model: counting, models'
	@echo '                   bench-count runs other trackers beside ours; ARGS=--alone without, ARGS=--docs=docs'
	@echo '                   bench-centre: the centre beside version 0.2.0, in turns; ARGS=--full for long'
	@echo 'make bench-box     a box beside version 0.2.0: CPU, memory, idle; GB_DATA=DIR, ARGS="cpu --rounds 3"'
	@echo 'make models        the files in agent/models from checkpoints, measured; GB_DATA=DIR TRAFFIC=CKPT MASK=CKPT FREE=CKPT;'
	@echo '                   what has no checkpoint stays as it is'
	@echo 'make chaos         kill -9 at random; CYCLES=300 SEED=1'
	@echo 'make setup         what the above need; setup-export adds PyTorch, to train'

setup: $(BIN)/.setup aggregator/static/index.html

setup-export:
	$(MAKE) setup EXTRAS=agent,aggregator,export,dev
	$(BIN)/python -c 'import torch' 2>/dev/null || $(BIN)/pip install -q -c requirements.lock -e '.[export]'

$(BIN)/.setup: pyproject.toml requirements.lock
	@deploy/needs.sh "$(PYTHON)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo 'installing Python packages into $(VENV) ...'
	@$(BIN)/pip install -q --disable-pip-version-check -c requirements.lock -e '.[$(EXTRAS)]'
	@touch $@

aggregator/static/index.html: $(WEB) | $(BIN)/.setup
	@echo 'building the dashboard ...'
	@cd aggregator/web && $(NPM) ci --no-audit --no-fund --silent && $(NPM) run --silent build
	@touch $@

demo: setup
	@exec $(BIN)/python -m deploy.demo

test: setup
ifdef JOBS
	@$(BIN)/python -m pytest -q -n $(JOBS) --dist loadfile -m 'not alone' $(ARGS); crowd=$$?; \
	$(BIN)/python -m pytest -q -m alone $(ARGS) && exit $$crowd
else
	@$(BIN)/python -m pytest -q $(ARGS)
endif

check: setup
	$(BIN)/ruff format --check agent aggregator export deploy benchmarks tests
	$(BIN)/ruff check agent aggregator export deploy benchmarks tests
	$(BIN)/mypy
	cd aggregator/web && $(NPM) run --silent check

format: setup
	$(BIN)/ruff format agent aggregator export deploy benchmarks tests
	$(BIN)/ruff check --fix agent aggregator export deploy benchmarks tests
	cd aggregator/web && $(NPM) run --silent format

page-types: setup
	@$(BIN)/python -m deploy.page_types

bench: setup
	@$(BIN)/python -m benchmarks.run

bench-box: setup
	@$(BIN)/python -m benchmarks.box $(ARGS)

bench-count: setup
	@$(BIN)/python -m benchmarks.count $(ARGS)

bench-model: setup-export
	@$(BIN)/python -m benchmarks.model
	@if [ -n "$(GB_DATA)" ]; then $(BIN)/python -m benchmarks.peers; else \
	  echo 'beside others: not measured; GB_DATA names the data, GB_PEERS the folder of their files'; fi

bench-centre: setup
	@$(BIN)/python -m benchmarks.centre $(ARGS)

models: setup-export
	@$(BIN)/python -m export.onnx.release "$(TRAFFIC)" "$(MASK)" "$(FREE)"
	@$(BIN)/python -m benchmarks.cards

chaos: setup
	@$(BIN)/python -m benchmarks.chaos --cycles $(or $(CYCLES),300) --seed $(or $(SEED),1)

clean:
	rm -rf $(VENV) aggregator/static aggregator/web/node_modules *.egg-info .pytest_cache .mypy_cache .ruff_cache
