# make demo     build everything and watch the loop close on a simulated shop   (FAULT=crash picks the fault)
# make test     all tests: unit, component and end-to-end with the built collector, with the race detector
# make test-kubernetes   the tests that need a Kubernetes API, on a real one that it builds from source (minutes the first time)
# make kubelab  that Kubernetes, to try things with kubectl; it prints where its kubeconfig is
# make run      the collector alone, with the quickstart configuration
# make lint     static checks            make generate   generated files      make benchmark   speed and accuracy
# make experiments   what papers promise, measured; the report is experiments/results/REPORT.md (half an hour)
#
# Needs Go and make, nothing else.

export GOFLAGS := -buildvcs=false -trimpath
export CGO_ENABLED ?= 1

BIN := $(CURDIR)/bin
FAULT ?= crash
TOOL := go tool -modfile=$(CURDIR)/tools/go.mod

.PHONY: all
all: otelcol-paramedic tools-bin

# The distribution has a module of its own, so that its many parts do not become dependencies of our packages.
.PHONY: otelcol-paramedic
otelcol-paramedic:
	@echo "==> building the collector (minutes with a cold build cache, seconds when warm)"
	@cd cmd/otelcol-paramedic && go build -ldflags="-s -w" -o $(BIN)/otelcol-paramedic .

.PHONY: tools-bin
tools-bin:
	@echo "==> building shop, replay and demo"
	@go build -ldflags="-s -w" -o $(BIN)/ ./cmd/shop ./cmd/replay ./cmd/demo ./cmd/anomalystate ./cmd/remediationaudit ./cmd/remediation-rbac ./cmd/remediation-notify ./cmd/incidentstore

.PHONY: demo
demo: all
	@$(BIN)/demo -bin $(BIN) -config examples/quickstart/config.yaml -fault $(FAULT)

.PHONY: run
run: otelcol-paramedic
	$(BIN)/otelcol-paramedic --config examples/quickstart/config.yaml

.PHONY: test
test: all
	@echo "==> testing with the race detector"
	@go test -race ./...

# Tests that need a Kubernetes API are named TestKubernetes... and skip in make test; these are their packages.
KUBERNETES_TESTS = $(sort $(dir $(shell git grep -l '^func TestKubernetes' -- '*_test.go')))

.PHONY: test-kubernetes
test-kubernetes: all
	@echo "==> building kubelab (minutes with a cold build cache, seconds when warm)"
	@test/kubernetes/build.sh
	@echo "==> testing kubelab"
	@export KUBELAB_BIN=$$(test/kubernetes/build.sh) && cd test/kubernetes && GOWORK=off go test ./lab ./nodes
	@echo "==> testing on Kubernetes with the race detector"
	@PARAMEDIC_KUBERNETES_REQUIRED=1 $$(test/kubernetes/build.sh) run --restart \
	  go test -race -timeout 20m -run '^TestKubernetes' $(addprefix ./,$(KUBERNETES_TESTS))
	@echo "==> a thousand incidents in chaos"
	@PARAMEDIC_KUBERNETES_REQUIRED=1 EXECUTOR_CHAOS_INCIDENTS=1000 KUBELAB_BIN=$$(test/kubernetes/build.sh) \
	  go test -timeout 10m -run '^TestKubernetesChaos$$' -v ./test/executor

.PHONY: kubelab
kubelab:
	@$$(test/kubernetes/build.sh) up --restart

.PHONY: lint
lint:
	@echo "==> vet, gofumpt"
	@go vet ./...
	@cd test/kubernetes && GOWORK=off go vet ./lab ./nodes
	@out="$$($(TOOL) gofumpt -l $$(git ls-files '*.go' | grep -v generated_ | grep -v '^cmd/otelcol-paramedic/'))"; \
	  if [ -n "$$out" ]; then echo "not formatted with gofumpt:"; echo "$$out"; exit 1; fi
	@echo "==> golangci-lint (its first build takes minutes)"
	@$(TOOL) golangci-lint run

.PHONY: generate
generate:
	@echo "==> mdatagen"
	@go generate ./...
	@echo "==> ocb"
	@$(TOOL) builder --config builder-config.yaml --skip-compilation

# What is simulated first, then, with nothing beside it, what runs in real time on the built collector and a real Kubernetes API.
.PHONY: experiments
experiments: otelcol-paramedic
	$$(test/kubernetes/build.sh) run go run ./experiments

# DATA is a folder of recorded faults in the layout of benchmark/nezha's README, NAB one in that of benchmark/nab's,
# PETSHOP one in that of benchmark/petshop's, LOGHUB one in that of benchmark/loghub's.
.PHONY: benchmark
benchmark: otelcol-paramedic
	go run ./benchmark/shop
	go run ./benchmark/incidents
	go run ./benchmark/storm
	go run ./benchmark/tracegraph
	go run ./benchmark/logpattern
	go run ./benchmark/anomaly -week -delay -calibration -cost -million
	go run ./benchmark/anomaly -overhead -collector $(BIN)/otelcol-paramedic
	@if [ -n "$(NAB)" ]; then go run ./benchmark/nab -data "$(NAB)" -shifts 8; \
	  else echo "benchmark/nab was not run: set NAB to a folder of the Numenta Anomaly Benchmark"; fi
	KUBELAB_BIN=$$(test/kubernetes/build.sh) go run ./benchmark/executor
	go test -run '^$$' -bench . -benchmem ./internal/... ./connector/... ./processor/...
	@if [ -n "$(DATA)" ]; then go run ./benchmark/nezha -data "$(DATA)" -out nezha.jsonl; \
	  else echo "benchmark/nezha was not run: set DATA to a day of recorded faults"; fi
	@if [ -n "$(PETSHOP)" ]; then go run ./benchmark/petshop -data "$(PETSHOP)" -mode window -out petshop.jsonl; \
	  else echo "benchmark/petshop was not run: set PETSHOP to a folder of its scenarios"; fi
	@if [ -n "$(LOGHUB)" ]; then go run ./benchmark/loghub -data "$(LOGHUB)" && go run ./benchmark/loghub -data "$(LOGHUB)" -cost; \
	  else echo "benchmark/loghub was not run: set LOGHUB to a folder of annotated logs"; fi
