# `make run` and `make test` install what is missing and need nothing else but Swift.

SWIFT ?= swift
# Debian packages that the program is built with, and those that the tests need besides the peers in Tests/peers.sh.
# At run time it reads the list of publicsuffix.
BUILD_PACKAGES = liblmdb-dev libpcre2-dev libpq-dev libspf2-dev libssl-dev libunbound-dev publicsuffix zlib1g-dev
TEST_PACKAGES = $(BUILD_PACKAGES) openssl python3 perl util-linux
RUN_FOLDER = .build/run

.PHONY: help deps test-deps build run message primary test bench lint format sanitize fuzz reference

help:
	@echo 'make run       a relay for example.test on 127.0.0.1:2525'
	@echo 'make message   hands it a message'
	@echo 'make primary   a primary on 127.0.0.1:2526 that prints what it gets'
	@echo 'make test      every test; also: make bench, lint, sanitize, fuzz'

deps:
	@Tests/packages.sh $(BUILD_PACKAGES)

test-deps:
	@Tests/packages.sh $(TEST_PACKAGES)

build: deps
	$(SWIFT) build -c release --product postern

run: build
	.build/release/postern run --example $(RUN_FOLDER)

message: test-deps
	@python3 Tests/message.py 127.0.0.1 2525

primary: test-deps
	@python3 Tests/primary.py 127.0.0.1 2526

test: test-deps lint
	@Tests/run.sh

bench: test-deps build
	@Tests/bench/run.sh

lint:
	$(SWIFT) format lint --strict --recursive Package.swift Sources Tests

format:
	$(SWIFT) format --in-place --recursive Package.swift Sources Tests

sanitize: test-deps
	@Tests/sanitize.sh

fuzz: test-deps
	@Tests/fuzz.sh

reference: build
	.build/release/postern reference >Sources/CONFIGURATION.md
