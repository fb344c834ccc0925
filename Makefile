# Each target runs the script of the same name in scripts/ and passes ARGS: make test ARGS="tests/client -k credentials"
.PHONY: help demo test lint types format bench lock clean
.DEFAULT_GOAL := help

help:   ; @scripts/help             ## list these targets
demo:   ; @scripts/demo $(ARGS)     ## play one live session of mock and client, and save a video in ./odyssey-demo
test:   ; @scripts/test $(ARGS)     ## run lint, types and the whole suite; install what they need
lint:   ; @scripts/lint             ## check with ruff, formatting and import rules
types:  ; @scripts/types            ## check code, tests and scripts with mypy --strict
format: ; @scripts/format           ## format the code, apply safe fixes of ruff, and regenerate the tables in docs/
bench:  ; @scripts/bench $(ARGS)    ## measure times, each with a reference to compare it with
lock:   ; @scripts/lock $(ARGS)     ## compile requirements-dev.lock (ARGS=--upgrade for newer versions)
clean:  ; @scripts/clean            ## remove everything that the other targets created, including .venv
