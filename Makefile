# nnwatch: the two commands a newcomer needs are `make demo` and `make test`.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PEERS  := .venv-peers
READY  := $(VENV)/.ready
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt

.PHONY: help demo test lint bench bench-probes bench-start bench-tui bench-advisor bench-session bench-far bench-nodes bench-rate peers zoo zoo-harm score styles score-aside score-check fuzz pages picture clean
.DEFAULT_GOAL := help

help:  ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

demo: $(READY)  ## watch a digit classifier train: the faulty run first, then the healthy one
	@NNWATCH_HOME=$(CURDIR)/.nnwatch $(BIN)/python demos/main.py

test: $(READY) lint  ## lint, types, and all tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal

lint: $(READY)  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: bench-probes bench-tui bench-advisor bench-session  ## what watching, the screen, the rules and recordings cost

bench-probes: $(READY)  ## cost of the probes per step, beside the tools that `make peers` installs
	OMP_NUM_THREADS=1 $(or $(wildcard $(PEERS)/bin/python),$(BIN)/python) -m tests.bench.bench_probes

bench-start: $(READY)  ## start-up cost, and memory over 100,000 steps
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.bench.bench_start

peers: $(READY)  ## wandb, TensorBoard, Lightning, TraceML, Cockpit for bench-probes, apart from everything else
	$(PYTHON) -m venv $(PEERS)
	$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' \
	  > $$($(PEERS)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/torch.pth
	$(PEERS)/bin/python -m pip install --quiet -r tests/bench/peers.txt

bench-tui: $(READY)  ## CPU and bytes per frame, time to the first frame, beside LEET and TensorBoard of `make peers`
	$(BIN)/python -m tests.bench.bench_tui $(wildcard $(PEERS)/bin)

bench-advisor: $(READY)  ## CPU of all rules, per step and for a session of a million steps
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.bench.bench_advisor

bench-session: $(READY)  ## what recording and reading cost, a million steps, beside the tools of `make peers`
	OMP_NUM_THREADS=1 $(or $(wildcard $(PEERS)/bin/python),$(BIN)/python) -m tests.bench.bench_session

bench-far: $(READY)  ## a million steps over a line of 10 Mbit/s
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.bench.bench_far

bench-nodes: $(READY)  ## 64 ranks of 8 nodes at 100 steps/s each into one session
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.bench.bench_nodes | tee tests/bench/results/bench_nodes.txt

bench-rate: $(READY)  ## is the rate that nnwatch check suggests a good one? beside a full grid of rates
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.bench.bench_rate | tee tests/bench/results/bench_rate.txt

zoo: $(READY)  ## record the zoo: hundreds of small trainings, faulty and healthy (half an hour; goes on where it was)
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.zoo.record

zoo-harm: $(READY)  ## train the zoo unwatched over five seeds: which faults hurt
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.zoo.harm

score: $(READY)  ## judge the recordings of the zoo again: what the advisor detects, and how silent it is
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.zoo

score-aside: $(READY)  ## the same for the half that no threshold was tuned on; each opening is counted
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.zoo --aside

score-check: $(READY)  ## try scripts with one fault each, their twins and sound ones: what `nnwatch check` says (40 minutes; goes on where it was)
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.check.score

styles: $(READY)  ## run every way to train and write what is had of each
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.styles.table

fuzz: $(READY)  ## 100,000 malformed connections and frames; atheris too, if it is installed
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.fuzz | tee tests/fuzz/result.txt

pages: $(READY)  ## write the pages that are made from the rules
	$(BIN)/python -m nnwatch.advisor.catalogue > advisor/rules/README.md
	$(BIN)/python -m nnwatch.advisor.catalogue checks > advisor/checks/README.md
	$(BIN)/python -m nnwatch.advisor.catalogue notes > advisor/NOTES.md

picture: $(READY)  ## paint the real screen for the README
	$(BIN)/python -m tests.tui.picture nnwatch/demo.nnw demos/picture.png --size 120x34

clean:  ## remove the virtual environment and caches
	rm -rf $(VENV) $(PEERS) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(READY): pyproject.toml constraints.txt $(wildcard probes/*.c probes/*.h)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
	  echo "nnwatch needs Python 3.10 or newer; try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo "this Python has no venv module; on Debian: apt-get install python3-venv"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet torch -e '.[dev,frameworks,logs]'
	$(BIN)/python -m pip install --quiet --no-deps 'fastai>=2.8'
	@touch $@
