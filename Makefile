# `make run` and `make test` install what is missing and need nothing else but Swift.

SWIFT ?= swift
# Debian packages that the program is built with, and those that the tests need besides the peers in Tests/peers.sh.
# At run time it reads the list of publicsuffix.
BUILD_PACKAGES = liblmdb-dev libpcre2-dev libpq-dev libspf2-dev libssl-dev libunbound-dev publicsuffix zlib1g-dev
TEST_PACKAGES = $(BUILD_PACKAGES) openssl python3 python3-venv perl util-linux
# Packages that make deb needs besides: debian/control has the same libraries.
DEB_PACKAGES = $(BUILD_PACKAGES) debhelper dpkg-dev lintian
APPLIANCE_PACKAGES = ansible-core debootstrap dpkg-dev e2fsprogs iproute2 openssh-client openssl systemd-container
RUN_FOLDER = .build/run

.PHONY: help deps test-deps build run message primary deb test bench lint format soak test-appliance sanitize fuzz reference

help:
	@echo 'make run       a relay for example.test on 127.0.0.1:2525'
	@echo 'make message   hands it a message'
	@echo 'make primary   a primary on 127.0.0.1:2526 that prints what it gets'
	@echo 'make deb       .build/deb/postern_VERSION_amd64.deb'
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

# dpkg-buildpackage puts what it makes beside the folder it runs in, wherever that is.
deb:
	@Tests/packages.sh $(DEB_PACKAGES)
	mkdir -p .build/deb
	dpkg-buildpackage --build=binary --unsigned-changes --unsigned-buildinfo --no-check-builddeps \
		--buildinfo-file=.build/deb/postern.buildinfo --buildinfo-option=-u.build/deb \
		--changes-file=.build/deb/postern.changes --changes-option=-u.build/deb
	lintian --fail-on error,warning .build/deb/postern.changes

test: test-deps lint
	@Tests/run.sh

# Three machines with systemd: needs root, and some 15 minutes. PARTS=life or drill for one of its parts.
test-appliance: deb
	@Tests/packages.sh $(APPLIANCE_PACKAGES)
	Tests/appliance/run.sh --package "$$(ls -t .build/deb/postern_*.deb | head -1)" $(PARTS)

# An hour of load: nothing lost, memory and descriptors as before. MINUTES=5 for a glimpse.
soak: test-deps build
	python3 Tests/soak/soak.py --binary .build/release/postern --minutes $(or $(MINUTES),60)

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
	.build/release/postern reference --rules >Sources/RESTRICTIONS.md
