# SPDX-License-Identifier: Apache-2.0
# Short names for what is built elsewhere: CMakePresets.json builds, scripts/ checks and installs.
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory --silent
JOBS ?= $(shell nproc)
ARGS ?=
FUZZ_SECONDS ?= 60
ROUNDS ?= 8
PREFIX ?= /usr/local
CONFIGURED = build/$(1)/CMakeCache.txt

.PHONY: help run build test check format tidy bench bench-deps fuzz tsan coverage mutants simulate demo fresh package fresh-package \
    install clean

help:
	@echo 'make run         install what is missing, build, serve on 127.0.0.1:8000 (ARGS="--port 9000")'
	@echo 'make test        install what is missing, build and run every test'
	@echo 'make build       build/release/skald and build/release/skald-bench'
	@echo 'make demo        several hundred real webhooks through a running server'
	@echo 'make check       format, layers, style, then the tests: before each commit'
	@echo 'make format      let clang-format do it'
	@echo 'make tidy        clang-tidy'
	@echo 'make tsan        the tests under ThreadSanitizer'
	@echo 'make coverage    the tests, and which lines they reach'
	@echo 'make mutants     does the suite notice planted faults? (ARGS="bus-*": some of them)'
	@echo 'make simulate    crashes of a simulated disk, ROUNDS=$(ROUNDS) times as many as make test tries'
	@echo 'make fuzz        each fuzzer for FUZZ_SECONDS=$(FUZZ_SECONDS)'
	@echo 'make bench       measure (make bench-deps: install the peers; ARGS="append_one": one row)'
	@echo 'make fresh       make test and make run in a bare Debian 12 (root)'
	@echo 'make package     build/package/skald_VERSION_ARCH.deb'
	@echo 'make fresh-package  make, install, upgrade, remove and purge it in a bare Debian 12 (root)'
	@echo 'make install     into PREFIX=$(PREFIX)'
	@echo 'make clean       remove build/; data/ stays'

# A build folder is configured once, and again when the presets change; the rest CMake notices.
build/%/CMakeCache.txt: CMakePresets.json
	@cmake --preset $* >/dev/null && touch $@

run:
	@scripts/setup run
	@$(MAKE) $(call CONFIGURED,release)
	@cmake --build --preset release -j $(JOBS) --target skald -- --quiet
	@exec build/release/skald serve --data ./data $(ARGS)

build:
	@scripts/setup run
	@$(MAKE) $(call CONFIGURED,release)
	@cmake --build --preset release -j $(JOBS) --target product

test:
	@scripts/setup test
	@$(MAKE) $(call CONFIGURED,dev)
	@cmake --build --preset dev -j $(JOBS)
	@ctest --preset dev -j $(JOBS)

check:
	@scripts/setup check
	@scripts/check-format
	@scripts/check-layers
	@scripts/check-style
	@$(MAKE) test

format:
	@scripts/setup check
	@scripts/check-format --fix

tidy:
	@scripts/setup test tidy
	@$(MAKE) $(call CONFIGURED,dev)
	@JOBS=$(JOBS) scripts/check-tidy

tsan:
	@scripts/setup test
	@$(MAKE) $(call CONFIGURED,tsan)
	@cmake --build --preset tsan -j $(JOBS)
	@ctest --preset tsan -j $(JOBS)

coverage:
	@scripts/setup test
	@$(MAKE) $(call CONFIGURED,coverage)
	@cmake --build --preset coverage -j $(JOBS)
	@ctest --preset coverage -j $(JOBS)
	@scripts/coverage build/coverage

mutants:
	@scripts/setup test
	@scripts/mutants $(ARGS)

simulate:
	@scripts/setup test
	@$(MAKE) $(call CONFIGURED,dev)
	@cmake --build --preset dev -j $(JOBS) --target store_crash_test
	@JOBS=$(JOBS) scripts/simulate build/dev $(ROUNDS)

fuzz:
	@scripts/setup fuzz
	@$(MAKE) $(call CONFIGURED,fuzz)
	@cmake --build --preset fuzz -j $(JOBS) --target fuzzers
	@scripts/fuzz build/fuzz $(FUZZ_SECONDS)

bench-deps:
	@scripts/setup bench
	@cd bench/peers && npm ci --silent --no-audit --no-fund

bench: build
	@for row in $(or $(ARGS),$$(build/release/skald-bench --list | awk '{print $$1}')); do \
	    build/release/skald-bench $$row || exit 1; done

demo:
	@scripts/setup run test
	@$(MAKE) $(call CONFIGURED,release)
	@cmake --build --preset release -j $(JOBS) --target skald -- --quiet
	@scripts/demo

fresh:
	@scripts/fresh-machine

package:
	@scripts/setup package
	@$(MAKE) $(call CONFIGURED,release)
	@cmake --build --preset release -j $(JOBS) --target manual -- --quiet
	@rm -f build/package/skald_*.deb
	@cpack --config build/release/CPackConfig.cmake -B build/package

fresh-package:
	@scripts/fresh-package

install: build
	@cmake --install build/release --prefix $(PREFIX)

clean:
	@rm -rf build
