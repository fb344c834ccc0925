# Every verb is a script of the same name in scripts/; ARGS goes to it: make test ARGS="tests/client -k credentials"
.PHONY: help demo test lint types format bench lock clean
.DEFAULT_GOAL := help

help:   ; @scripts/help             ## list these verbs
demo:   ; @scripts/demo $(ARGS)     ## run a whole live session, mock and client, and leave a film of it in ./odyssey-demo
test:   ; @scripts/test $(ARGS)     ## lint, types and the whole suite, with all it needs
lint:   ; @scripts/lint             ## ruff, formatting and import rules
types:  ; @scripts/types            ## mypy --strict over code, tests and scripts
format: ; @scripts/format           ## ruff format and its safe fixes, and the tables in docs/architecture.md
bench:  ; @scripts/bench $(ARGS)    ## time the parts beside what they are compared with
lock:   ; @scripts/lock $(ARGS)     ## compile requirements-dev.lock anew (ARGS=--upgrade for newer versions)
clean:  ; @scripts/clean            ## remove all that the other verbs made, .venv too
