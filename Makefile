# Each target runs the script of the same name in scripts/ with ARGS: make test ARGS="tests/client -k credentials"
.PHONY: help demo test lint types format bench bench-check connections mutation coverage docs package lock clean
.DEFAULT_GOAL := help

help:   ; @scripts/help             ## list these targets
demo:   ; @scripts/demo $(ARGS)     ## run a live session of client and mock, and save a video of it in ./odyssey-demo
test:   ; @scripts/test $(ARGS)     ## run lint, types and the test suite; install what they need
lint:   ; @scripts/lint             ## check code, formatting, imports, spelling and prose
types:  ; @scripts/types            ## run mypy --strict on packages, tests and scripts
format: ; @scripts/format           ## format the code, apply safe fixes, and update the tables in docs/
bench:  ; @scripts/bench $(ARGS)    ## run the benchmarks (ARGS="connect --quick" for one of them, quickly)
bench-check: ; @scripts/bench-check ## run the benchmarks quickly; fail if one is worse than tests/bench_baseline.json
connections: ; @scripts/connections $(ARGS) ## connect all clients over each kind of network, and write the tables of docs/reference/networks.md
mutation: ; @scripts/mutation $(ARGS) ## run mutation campaigns (ARGS=odyssey_client/redaction.py for one module)
coverage: ; @scripts/coverage $(ARGS) ## run the test suite under coverage.py; print and check the coverage of both packages
docs:   ; @scripts/docs $(ARGS)     ## build the documentation site in build/docs
package: ; @scripts/package $(ARGS) ## build the sdist and the wheel; check them in new environments
lock:   ; @scripts/lock $(ARGS)     ## compile requirements-dev.lock (ARGS=--upgrade for newer versions)
clean:  ; @scripts/clean            ## remove everything that the other targets created, including .venv
