# Everything a contributor does. `make help` lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help
SWIFT ?= swift
RELEASE_FLAGS := $(shell scripts/release-flags)
# How long make soak takes, and which tests run under a sanitizer.
SECONDS ?= 3600
TESTS ?= .*

.PHONY: help setup setup-tests build release demo demo-azure run nightly test test-swift test-chart test-rego conformance lint format bench bench-micro soak test-tsan test-asan sbom test-sbom fuzz docs image image-layout manifests pins clean

help: ## List the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Install what building and the demo need (apt; says what it does)
	@scripts/setup

setup-tests: ## Install what the tests need besides
	@scripts/setup tests
	@Tests/AzureSDK/setup
	@Tests/TUFRepository/setup
	@Tests/SigstoreInstance/setup

build: setup ## Build everything for debugging
	$(SWIFT) build

release: setup ## Build the command as it ships: optimised, static Swift runtime
	$(SWIFT) build $(RELEASE_FLAGS) --product countersign

demo: release ## Sign, tamper, serve, and ask as Gatekeeper does: a table of verdicts
	@PYTHONDONTWRITEBYTECODE=1 python3 demo/demo.py --countersign "$$($(SWIFT) build $(RELEASE_FLAGS) --show-bin-path)/countersign"

demo-azure: setup ## The same on Azure, on an emulator: identity, registry, key vault, rotation
	$(SWIFT) build --product countersign && $(SWIFT) build --product azure-emulator
	@PYTHONDONTWRITEBYTECODE=1 python3 demo/azure.py --countersign "$$($(SWIFT) build --show-bin-path)/countersign" \
		--emulator "$$($(SWIFT) build --show-bin-path)/azure-emulator"

run: release ## Serve demo images on loopback until Ctrl-C, with a request to copy
	@PYTHONDONTWRITEBYTECODE=1 python3 demo/demo.py --countersign "$$($(SWIFT) build $(RELEASE_FLAGS) --show-bin-path)/countersign" --stay

test: setup-tests ## Everything: lint, Rego and manifest tests, Swift tests, the program as the chart starts it; nothing is left behind
	@scripts/tidy $(MAKE) --no-print-directory lint test-rego test-swift test-sbom test-chart

test-swift: ## Unit and integration tests (a real registry process, real TLS)
	@Tests/AzureSDK/setup
	@Tests/TUFRepository/setup
	@Tests/SigstoreInstance/setup
	@SWIFT="$(SWIFT)" scripts/tidy scripts/test-swift

test-chart: setup-tests ## The program on what the chart installs: its flags, files, rights, rotation
	$(SWIFT) build --product countersign
	COUNTERSIGN="$$($(SWIFT) build --show-bin-path)/countersign" manifests/charts/tests/run-tests.sh test_program.py

conformance: ## The corpus against the reference verifier's answers; rewrites the table in docs/conformance.md
	COUNTERSIGN_WRITE_CONFORMANCE=1 $(SWIFT) test --filter ConformanceTests

test-rego: ## The policy on a real Rego engine; generated files current; manifests render
	@rego/run-tests.sh
	@python3 manifests/generate.py --check
	@manifests/check.sh

lint: ## Formatting, and rules the compiler does not know
	@scripts/lint

format: ## Format the Swift sources in place
	$(SWIFT) format --configuration .swift-format -i -r Package.swift Sources Tests Benchmarks Fuzz/Sources

soak: setup ## The command under load and random faults for SECONDS=3600: flat memory, no wrong verdict
	COUNTERSIGN_SOAK_SECONDS=$(SECONDS) $(SWIFT) test --no-parallel --filter SoakTests

test-tsan: setup ## The tests under ThreadSanitizer (TESTS=regex; docs/testing.md says what does not run)
	@scripts/tsan --filter '$(TESTS)'

test-asan: setup ## The tests under AddressSanitizer (TESTS=regex)
	ASAN_OPTIONS=detect_leaks=0 $(SWIFT) test --scratch-path .build/asan --sanitize=address --no-parallel --filter '$(TESTS)'

nightly: test-asan test-tsan soak fuzz ## What takes hours: the tests under both sanitizers, an hour of soak, long fuzzing

test-sbom: ## The bill of materials is valid and complete
	@$(SWIFT) package resolve
	@scripts/pins --check
	@scripts/sbom --check

sbom: ## Write the release's bill of materials, .build/countersign.spdx.json
	@$(SWIFT) package resolve
	@mkdir -p .build
	@scripts/sbom --output .build/countersign.spdx.json

bench: setup ## Measure everything and print it beside the figures to reach (QUICK=1: a look; DOCS=1: into docs/)
	@scripts/bench

bench-micro: setup ## Measure parsers, caches and the trust policy, each alone
	@scripts/bench-micro

fuzz: setup ## Fuzz the parsers of everything that comes from the network (SECONDS_EACH=30)
	@scripts/fuzz

docs: setup ## Build the library's documentation into .build/documentation
	@scripts/docs

image: ## Build the container image (needs a container engine)
	docker build -t countersign:dev .

image-layout: release ## Build the container image without one: an OCI layout in .build/image
	@scripts/image --binary "$$($(SWIFT) build $(RELEASE_FLAGS) --show-bin-path)/countersign" --output .build/image

manifests: ## Write the generated manifests anew, the chart's parts among them
	python3 manifests/generate.py
	python3 manifests/monitoring/generate.py
	python3 manifests/charts/generate.py

pins: ## Pin the versions of Swift packages that are resolved now (after swift package update)
	@scripts/pins

clean: ## Remove what was built, and the demo's files
	rm -rf .build .demo .venv rego/.venv manifests/charts/.venv Tests/AzureSDK/.venv Tests/TUFRepository/.venv Tests/SigstoreInstance/.venv
