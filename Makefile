# `make` prints what there is. Everything needs Go 1.26 and git; `make test` and
# `make ci` also a C compiler for the race detector. Nothing is installed: tools
# come from internal/tools/go.mod, results lie under _build.

SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

TOOL      := go tool -modfile=internal/tools/go.mod
COLLECTOR := _build/otelcol-carbon
COMMAND   := _build/otelcarbon
NVML      := _build/nvml
AGENT     := _build/gateway/otelcol-agent
BACKENDS  := _build/backends
OTLP      := instrumentation/carbon/internal/otlp
VERSION   := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

# Whatever a build of the distribution depends on.
SOURCES := $(shell find . \( -path './_*' -o -path './.*' -o -path ./docs -o -path ./internal/tools -o -path ./internal/bench -o -path ./internal/scrape -o -path ./instrumentation/carbon/internal/otlp -o -name testdata \) -prune -o \
	\( -name '*.go' ! -name '*_test.go' -o -name '*.csv' -o -name NOTICE -o -path './data/*.md' \) -print) go.mod go.sum

# What the tests in internal/e2e start. Only those that are built already; make ci builds
# all of them before.
PROMETHEUS := $(BACKENDS)/prometheus
VICTORIA   := $(BACKENDS)/victoria-metrics-v1.140.0
JAEGER     := $(BACKENDS)/jaeger-v1.62.0
E2E = OTELCOL_CARBON=$(abspath $(COLLECTOR)) E2E_AGENT=$(abspath $(wildcard $(AGENT))) E2E_PROMETHEUS=$(abspath $(wildcard $(PROMETHEUS))) \
	E2E_VICTORIA_METRICS=$(abspath $(wildcard $(VICTORIA))) E2E_JAEGER=$(abspath $(wildcard $(JAEGER)))

# Where the pure parts must compile, and the components do no more than model.
PLATFORMS ?= linux/amd64 linux/arm64 darwin/arm64 windows/amd64

BENCH    ?= .
FUZZTIME ?= 30s
BENCHFLAGS = -run '^$$' -bench '$(BENCH)' -benchmem $(if $(BENCHTIME),-benchtime $(BENCHTIME))

# Stamping needs a git that trusts this folder, and makes builds differ.
export GOFLAGS := $(filter-out -buildvcs%,$(GOFLAGS)) -buildvcs=false

.PHONY: help
help: ## print this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: build ## build, then measure this machine until Ctrl-C: no key, no network, no root
	@exec scripts/quickstart $(COLLECTOR) examples/quickstart/config.yaml

.PHONY: build
build: $(COLLECTOR) $(COMMAND) ## build the collector distribution and the command into _build

$(COLLECTOR): builder-config.yaml internal/tools/go.mod $(SOURCES)
	@echo "building $@: a few seconds, or some minutes the first time, while the collector's modules are fetched and compiled"
	@mkdir -p _build
	@$(TOOL) builder --config builder-config.yaml 2>&1 | awk -F '\t' '{ print "  " (NF > 3 ? $$4 " " $$5 : $$0); fflush() }'
	@touch $@

$(COMMAND): $(SOURCES)
	@echo "building $@"
	@CGO_ENABLED=0 go build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o $@ ./cmd/otelcarbon
	@touch $@

.PHONY: build-nvml
build-nvml: $(NVML)/otelcol-carbon-nvml $(NVML)/otelcarbon-nvml ## build both with the sensor nvml into _build/nvml (Linux, needs a C compiler)

# cgo looks for headers in TMPDIR too, where a stray nvml.h would shadow that of the
# module. The module binds everything that NVIDIA has ever deprecated.
FOR_CGO = export TMPDIR=$$(mktemp -d) CGO_ENABLED=1 CGO_CFLAGS='-O2 -g -Wno-deprecated-declarations'; trap 'rm -rf "$$TMPDIR"' EXIT

$(NVML)/otelcol-carbon-nvml: builder-config-nvml.yaml internal/tools/go.mod $(SOURCES)
	@echo "building $@: some minutes the first time, while everything is compiled anew with cgo"
	@mkdir -p $(NVML)
	@$(FOR_CGO); $(TOOL) builder --config builder-config-nvml.yaml 2>&1 | awk -F '\t' '{ print "  " (NF > 3 ? $$4 " " $$5 : $$0); fflush() }'
	@touch $@

$(NVML)/otelcarbon-nvml: $(SOURCES)
	@echo "building $@"
	@mkdir -p $(NVML)
	@$(FOR_CGO); go build -tags nvml -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o $@ ./cmd/otelcarbon
	@touch $@

# The rest of the module has no file behind the tag.
.PHONY: test-nvml
test-nvml: # what reads GPUs, as it is built with its tag: vet and tests
	@$(FOR_CGO); go vet -tags nvml ./internal/sensor/nvml/ ./instrumentation/carbon/gpu/; go test -race -tags nvml ./internal/sensor/nvml/ ./instrumentation/carbon/gpu/

.PHONY: gateway
gateway: $(AGENT) ## build the agent of examples/gateway, which sends to several gateways, into _build/gateway

$(AGENT): examples/gateway/builder-config.yaml internal/tools/go.mod $(SOURCES)
	@echo "building $@: some minutes the first time, for the clients of Kubernetes and AWS"
	@mkdir -p $(@D)
	@$(TOOL) builder --config examples/gateway/builder-config.yaml 2>&1 | awk -F '\t' '{ print "  " (NF > 3 ? $$4 " " $$5 : $$0); fflush() }'
	@touch $@

.PHONY: backends
backends: $(PROMETHEUS) $(VICTORIA) $(JAEGER) ## fetch or build the backends that tests ask, into _build/backends (Debian, minutes)

# That of Debian, unpacked but not installed, so that no service starts; or the one that
# is in the PATH already.
$(PROMETHEUS):
	@mkdir -p $(BACKENDS)/deb; rm -rf $(BACKENDS)/deb/*
	@if have=$$(command -v prometheus); then echo "$@ is $$have"; ln -sf "$$have" $@; exit 0; fi; \
	command -v apt-get >/dev/null || { echo "there is no prometheus and no apt-get: install Prometheus 2.42 or newer, so that it is in the PATH"; exit 1; }; \
	echo "fetching $@"; cd $(BACKENDS)/deb; \
	apt-get -qq -o APT::Sandbox::User=root download prometheus 2>/dev/null || { apt-get -qq update; apt-get -qq -o APT::Sandbox::User=root download prometheus; }; \
	dpkg -x prometheus_*.deb .; cp usr/bin/prometheus $(abspath $@); rm -rf $(abspath $(BACKENDS)/deb)

# Each in a module of its own, of whose requirements nobody hears.
FROM_GO = echo "building $@: some minutes"; rm -rf $(BACKENDS)/$(@F).d; mkdir -p $(BACKENDS)/$(@F).d; cd $(BACKENDS)/$(@F).d; \
	go mod init backend 2>/dev/null; go get $(1) 2>/dev/null || go get $(1); \
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o $(abspath $@) $(firstword $(subst @, ,$(1)))

$(VICTORIA):
	@$(call FROM_GO,github.com/VictoriaMetrics/VictoriaMetrics/app/victoria-metrics@v1.140.0)

$(JAEGER):
	@$(call FROM_GO,github.com/jaegertracing/jaeger/cmd/all-in-one@v1.62.0)

.PHONY: test
test: $(COLLECTOR) $(wildcard $(AGENT)) ## run all tests with the race detector, those of the built collector included, and list what was skipped
	@$(E2E) go test -race -timeout 20m -json ./... | go run ./scripts/testreport

# The exporter's requirements are not for everybody who uses otelcarbon.
.PHONY: test-otlp
test-otlp: # spans with energy through the exporter of the SDK
	@go -C $(OTLP) vet ./...
	@go -C $(OTLP) test -race ./...

.PHONY: e2e
e2e: $(COLLECTOR) $(wildcard $(AGENT)) ## run only the tests that start the built collector, with what make gateway and make backends have built
	@$(E2E) go test -count=1 -timeout 20m -json ./internal/e2e/... | go run ./scripts/testreport

.PHONY: ci
ci: ## everything that must hold before a change is merged
	@started=$$SECONDS; for step in check-generated check-tidy lint cross build build-nvml test-nvml gateway backends check-examples check-run test test-otlp fuzz-seeds; do \
		echo; echo "== $$step ($$((SECONDS - started)) s)"; $(MAKE) --no-print-directory $$step; done; \
	echo; echo "== all of it held ($$((SECONDS - started)) s)"

.PHONY: generate
generate: ## run mdatagen for both components
	@go generate ./...

# Compares the tree with itself, so that it works with uncommitted changes too.
.PHONY: check-generated
check-generated: # generated code is what make generate writes
	@sums() { git ls-files -z --cached --others --exclude-standard | xargs -0 sha256sum 2>/dev/null || true; }; \
	before=$$(sums); $(MAKE) --no-print-directory generate; \
	diff <(echo "$$before") <(sums) || { echo "make generate changed these files: run it and commit the result"; exit 1; }

.PHONY: tidy
tidy: ## go mod tidy, also for the modules in other folders
	@go mod tidy
	@go -C $(OTLP) mod tidy
	@go -C internal/bench mod tidy
	@go -C examples/http-service mod tidy
	@go -C internal/scrape mod tidy

.PHONY: check-tidy
check-tidy: # go.mod and go.sum are what go mod tidy writes
	@{ go mod tidy -diff && go -C internal/bench mod tidy -diff && go -C examples/http-service mod tidy -diff && go -C $(OTLP) mod tidy -diff; } || { echo "go.mod or go.sum is not tidy: run make tidy"; exit 1; }

.PHONY: lint
lint: ## gofmt, go vet and golangci-lint
	@go vet ./...
	@go -C internal/bench vet ./...
	@go -C examples/http-service vet ./...
	@$(TOOL) golangci-lint run ./...

.PHONY: cross
cross: # no cgo anywhere, tests included, on every platform
	@for p in $(PLATFORMS); do echo "go build and vet for $$p"; \
		CGO_ENABLED=0 GOOS=$${p%/*} GOARCH=$${p#*/} go build ./...; \
		CGO_ENABLED=0 GOOS=$${p%/*} GOARCH=$${p#*/} go vet ./...; done

.PHONY: check-examples
check-examples: $(COLLECTOR) $(AGENT) # the built collectors accept every example configuration
	@for c in examples/*/config.yaml examples/gateway/gateway.yaml; do echo "$$c"; OTLP_ENDPOINT=http://127.0.0.1:4318 ELECTRICITY_MAPS_API_KEY=none $(COLLECTOR) validate --config $$c; done
	@echo examples/gateway/agent.yaml; $(AGENT) validate --config examples/gateway/agent.yaml
	@echo "examples/offline, inference, batch and http-service"
	@go run ./examples/offline && go run ./examples/inference -n 200 && go run ./examples/batch -steps 4
	@go -C examples/http-service test -count=1 ./...

.PHONY: check-run
check-run: build # make run prints, serves and stops as the README says
	@scripts/check-run

.PHONY: bench
bench: ## run the benchmarks (BENCH=regexp, BENCHTIME=1s)
	@go test $(BENCHFLAGS) $$(grep -rl --include='*_test.go' --exclude-dir=bench '^func Benchmark' . | xargs -n 1 dirname | sort -u)
	@go -C internal/bench test $(BENCHFLAGS) ./...

.PHONY: scrape
scrape: ## let the Prometheus receiver scrape what the presets are for (minutes, the first time)
	@go -C internal/scrape vet -tags remove_all_sd ./...
	@go -C internal/scrape test -tags remove_all_sd ./...

.PHONY: overhead
overhead: $(COLLECTOR) ## measure what the built collector costs beside 200 to 10,000 processes (Linux, minutes)
	@go run ./scripts/overhead -collector $(COLLECTOR)
	@go run ./scripts/overhead -collector $(COLLECTOR) -processes 2000 -running 2000

.PHONY: fuzz
fuzz: ## run every fuzz test for FUZZTIME, 30s by default
	@targets=$$(grep -rHoE --include='*_test.go' '^func Fuzz\w+' . | grep -v '/testdata/' | sort); \
	test -n "$$targets" || { echo "no fuzz test found"; exit 1; }; \
	while IFS=: read -r file target; do \
		echo "$$(dirname "$$file") $${target#func } for $(FUZZTIME)"; \
		go test -run '^$$' -fuzz "^$${target#func }\$$" -fuzztime $(FUZZTIME) "$$(dirname "$$file")" | grep -v '^fuzz: elapsed' || exit 1; \
	done <<< "$$targets"

# go test runs the corpora alone; this also lets every fuzz test mutate a little. A
# number of inputs, because the fuzzer of Go sometimes takes its own deadline for a failure.
.PHONY: fuzz-seeds
fuzz-seeds: # every fuzz test, for a thousand inputs
	@$(MAKE) --no-print-directory fuzz FUZZTIME=1000x

.PHONY: cover
cover: ## measure test coverage: _build/cover.html and the total of each package
	@mkdir -p _build
	@go test -coverprofile=_build/cover.out ./...
	@go tool cover -html=_build/cover.out -o _build/cover.html
	@go tool cover -func=_build/cover.out | tail -n 1

.PHONY: vuln
vuln: ## look for known vulnerabilities in what the code calls (needs vuln.go.dev)
	@$(TOOL) govulncheck ./...

.PHONY: clean
clean: ## remove _build
	@rm -rf _build
