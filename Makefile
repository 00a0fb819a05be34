# `make` lists the targets. Nothing but Go, git and make is needed; `make race`
# needs a C compiler too.

.DEFAULT_GOAL := help

VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo development)
FUZZTIME ?= 10s

TOOL = go tool -modfile=tools/go.mod

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

.PHONY: build
build: ## bin/rekey: one static binary
	CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '-s -w -X rekey/internal/cli.version=$(VERSION)' -o bin/rekey ./cmd/rekey

.PHONY: demo
demo: build ## a fleet of broken runners, diagnosed, repaired and proved; needs no GitLab
	bin/rekey lab demo

.PHONY: test
test: ## all tests
	go test -p 2 -timeout 20m ./...

.PHONY: race
race: ## all tests anew, with the race detector
	go test -p 2 -race -count=1 -timeout 30m ./...

.PHONY: matrix
matrix: ## every cause planted in five GitLab versions, and what doctor answers: writes docs/matrix.md; FULL=-full: every fault on top
	go test -count=1 -v -run '^TestMatrix$$' ./internal/matrix -update $(FULL) | grep -Ev '^ *(=== |--- PASS)'

.PHONY: crash
crash: ## kills the real binary at every occurrence of every named point; make test at each name of a strategy once, of its variants at half
	REKEY_CRASH_EVERY=1 go test -count=1 -v -timeout 60m -run '^(TestCrash|TestLost)' ./cmd/rekey | grep -Ev '^ *(=== |--- PASS)'

.PHONY: lint
lint: ## gofmt, go vet, staticcheck, revive; their rules are in staticcheck.conf and revive.toml
	@files=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$files" ] || { echo "run gofmt -w on:"; echo "$$files"; exit 1; } >&2
	go vet ./...
	$$($(TOOL) -n staticcheck) ./...
	$(TOOL) revive -config revive.toml -set_exit_status -exclude ./tools/... ./...

.PHONY: e2e
e2e: ## the lab against every unmodified gitlab-runner in GITLAB_RUNNER (a list of paths) and on PATH
	sh tools/e2e.sh

.PHONY: idle
idle: ## an agent with a hundred sections that has nothing to do, for SPAN (10m): processor time and memory; with VAULT_BIN on a real Vault too, with KUBE_APISERVER and ETCD on Secrets
	REKEY_AGENT_IDLE=$(or $(SPAN),10m) go test -count=1 -timeout 60m -v -run '^TestE2EAgentIdles$$' ./cmd/rekey | grep -Ev '^ *(=== |--- PASS)'

.PHONY: bench
bench: ## the benchmarks; see bench/README.md
	go test -run '^$$' -bench . -benchmem ./...

.PHONY: corpus
corpus: ## rekey audit on real files: precision and recall by slug and file, and the share that --fix mends; CORPUS names the folder
	@[ -n '$(CORPUS)' ] || { echo 'corpus: name the folder with INDEX.tsv and files/: make corpus CORPUS=DIR' >&2; exit 1; }
	REKEY_CORPUS='$(abspath $(CORPUS))' go test -count=1 -v -run '^TestCorpus(Rewritten)?$$' ./internal/iac
	REKEY_CORPUS='$(abspath $(CORPUS))' go test -count=1 -v -run '^TestCorpusIsRead$$' ./internal/app

.PHONY: sources
sources: ## rekey audit on a gigabyte of source code, where it finds no token: SOURCES names folders, EXCEPT files whose findings are right
	@[ -n '$(SOURCES)' ] || { echo "sources: name folders with a gigabyte: make sources SOURCES=\"$$(go env GOMODCACHE)\"" >&2; exit 1; }
	REKEY_SOURCES='$(SOURCES)' REKEY_SOURCES_EXCEPT='$(EXCEPT)' go test -count=1 -v -timeout 60m -run '^TestSourcesHoldNoToken$$' ./internal/iac

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME (10s)
	sh tools/fuzz.sh $(FUZZTIME)

.PHONY: soak
soak: ## 1,000 overlap rotations under a continuous stream of jobs; REKEY_SOAK_ROTATIONS=N for another number
	REKEY_SOAK_ROTATIONS=$${REKEY_SOAK_ROTATIONS:-1000} go test -count=1 -v -timeout 60m -run '^TestOverlapUnderLoad$$' ./cmd/rekey

.PHONY: clean
clean: ## remove what was built
	rm -rf bin
