# kubeseed: `make` shows what there is.
SHELL := /bin/sh
.DEFAULT_GOAL := help

VENV := .venv
PY := $(VENV)/bin/python
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
SPEC ?= profiles/cluster/ha.yaml
OUT ?= out
# What is compared with kubeadm by hand has the machine to itself.
TIMED := tests/cluster/test_beside_by_hand.py

.PHONY: help run check test test-cluster test-metal bench proof golden clean packages

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/.run ## Generate profiles/cluster/ha.yaml into out/ and start the coordinator (SPEC=, OUT=)
	$(VENV)/bin/kubeseed generate $(SPEC) -o $(OUT)
	$(VENV)/bin/kubeseed serve $(OUT)

check: $(VENV)/.test ## Format, lint, types, unit and golden tests (no root, under a minute)
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(PY) -m pytest -q tests/unit tests/golden --timeout 120

test: $(VENV)/.test packages ## Everything but the long cluster scenarios; installs what it needs (root or sudo)
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(SUDO) $(PY) -m pytest -m "not cluster and not metal and not bench" -n 2 --benchmark-disable

test-cluster: $(VENV)/.test packages ## Real kubeadm on real nodes; builds Kubernetes once (root or sudo)
	$(SUDO) $(PY) -m pytest -m "cluster or cluster_core" -s --build-kubernetes $(TIMED)
	$(SUDO) $(PY) -m pytest -m "cluster or cluster_core" -n 3 --lanes --ignore $(TIMED) tests/cluster

test-metal: $(VENV)/.test packages ## The long roads of booting over the network, in QEMU (root or sudo)
	$(SUDO) $(PY) -m pytest -m metal -s

bench: $(VENV)/.test ## Measure, each figure beside a yardstick of the same run
	$(PY) -m pytest -m bench -s

proof: $(VENV)/.test packages ## Write profiles/proven.json: what tests show of each operating system (root or sudo; boots machines)
	$(SUDO) env KUBESEED_PROOF=1 $(PY) -m pytest -m proves

golden: $(VENV)/.test ## Write golden trees, expected texts and docs/spec.md anew; look at the diff before you commit it
	$(PY) -m tests.golden.regenerate
	UPDATE_GOLDEN=1 $(PY) -m pytest -q tests/unit/test_invalid_specs.py tests/unit/test_explain.py tests/unit/test_importer.py

clean: ## Remove what make made here (caches outside the tree stay)
	rm -rf $(VENV) out dist build test-artefacts .mypy_cache .ruff_cache .hypothesis .benchmarks
	find . -name __pycache__ -prune -exec rm -rf {} +

packages: ## Install the Debian packages that the tests use
	@missing=$$(dpkg-query -W -f '$${Package} $${db:Status-Status}\n' $$(grep -v '^#' tests/lab/packages.txt) 2>&1 | awk '/no packages found/ {print $$NF} $$2 != "installed" && !/no packages/ {print $$1}'); \
	if [ -n "$$missing" ]; then $(SUDO) apt-get update -qq && $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 install -y -qq --no-install-recommends $$missing; fi

$(PY):
	@python3 -c 'import ensurepip' 2>/dev/null || { $(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq python3-venv; }
	python3 -m venv $(VENV)

$(VENV)/.run: pyproject.toml | $(PY)
	$(VENV)/bin/pip install -q --disable-pip-version-check -e .
	@touch $@

$(VENV)/.test: pyproject.toml | $(PY)
	$(VENV)/bin/pip install -q --disable-pip-version-check -e '.[test]'
	@touch $@ $(VENV)/.run
