# SPDX-License-Identifier: MIT
# A thin front of premake5.lua. `make help` lists what it can do.

B ?= build
CONFIG ?= release
PREFIX ?= /usr/local
DESTDIR ?=
ifeq ($(origin CC),default)
CC := gcc
endif
export CC

# Folder of the products of a configuration.
OUT := $(B)$(if $(filter-out release,$(CONFIG)),/$(CONFIG))
PREMAKE := $(if $(shell command -v premake5),premake5,premake4 --file=premake5.lua)
LUA := lua5.4
DEPS := sh tests/make/deps.sh
# -j for the inner make, unless the outer one was given its own.
JOBS = $(if $(filter -j% --jobserver%,$(MAKEFLAGS)),,-j$(shell nproc 2>/dev/null || echo 2))
INNER = $(MAKE) --no-print-directory

.PHONY: all build deps demo test bench install uninstall lint clean sanitize valgrind neon instructions docs help generate FORCE
.DEFAULT_GOAL := all

all:
	@$(DEPS) check build
	@+$(INNER) build

build: generate
	@+$(MAKE) -s --no-print-directory -C $(B)/make config=$(CONFIG) $(JOBS) $(TARGETS)

# --- Generated makefiles --------------------------------------------------------------------

generate: $(B)/make/Makefile

# The names of the sources and the compiler; rewritten only when they change.
$(B)/make/sources: FORCE
	@mkdir -p $(@D)
	@find core tools agents store bindings examples tests -name '*.c' | LC_ALL=C sort > $@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@
$(B)/make/compiler: FORCE
	@mkdir -p $(@D)
	@echo '$(CC) $(CFLAGS)' > $@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@

# Texts that premake makes a header of.
EMBEDDED := $(wildcard store/report/report.*) tests/make/embed.lua
# Objects know their headers but not their flags, archives not what has left them: so both go when that changes.
$(B)/make/Makefile: premake5.lua $(EMBEDDED) $(B)/make/sources $(B)/make/compiler
	@case "$?" in *premake5.lua*|*compiler*) rm -rf $(B)/obj $(B)/debug $(B)/sanitize;; esac
	@rm -rf $(B)/lib $(B)/debug/lib $(B)/sanitize/lib
	@$(PREMAKE) --to=$(B) gmake > $(B)/make/premake.log 2>&1 || { cat $(B)/make/premake.log; rm -f $@; exit 2; }
	@touch $@

# --- For people -----------------------------------------------------------------------------

deps:
	@$(DEPS) install build demo test

demo:
	@$(DEPS) install build demo
	@+$(INNER) build
	@sh tests/make/fetch_model.sh
	@echo
	@$(OUT)/bezel run examples/lua/weather.lua

test:
	@$(DEPS) install build test
	@+$(INNER) build
	@sh tests/make/run_tests.sh $(OUT) $(SUITES)

bench:
	@$(DEPS) install build demo
	@+$(INNER) build
	@BEZEL_MODEL=$$(sh tests/make/fetch_model.sh) && export BEZEL_MODEL && python3 -B tests/bench/bench.py --bezel $(OUT)/bezel \
		--out $(OUT)/bench $(if $(PEERS),--peers "$(PEERS)") $(if $(ROUNDS),--rounds $(ROUNDS)) \
		$(if $(THREADS),--threads $(THREADS)) $(if $(DOCS),--docs docs)

lint:
	@$(DEPS) install build test
	@+$(INNER) build
	@sh tests/make/run_lint.sh $(OUT)

# ASan and UBSan, with the tiny models, at AVX2 or lower.
sanitize:
	@$(DEPS) install build test
	@+$(INNER) build CONFIG=sanitize
	@sh tests/make/run_sanitize.sh $(B)/sanitize $(SUITES)

valgrind:
	@$(DEPS) install build test
	@command -v valgrind >/dev/null || { echo "bezel: valgrind is missing; install the package valgrind" >&2; exit 2; }
	@+$(INNER) build
	@sh tests/make/run_valgrind.sh $(OUT) $(SUITES)
	@sh tests/make/run_instructions.sh $(OUT)

# Everything for 64-bit Arm by a cross compiler, with libraries that are fetched into $(B)/neon; the suites of the kernels under
# qemu. On an Arm machine `make test` does it.
ARM := aarch64-linux-gnu
ARM_ROOT = $(abspath $(B)/neon/sysroot)
ARM_LIBRARIES = $(ARM_ROOT)/usr/lib/$(ARM)
neon:
	@$(DEPS) install build neon
	@sh tests/make/arm_sysroot.sh $(ARM_ROOT)
	@+PKG_CONFIG_SYSROOT_DIR=$(ARM_ROOT) PKG_CONFIG_LIBDIR=$(ARM_LIBRARIES)/pkgconfig:$(ARM_LIBRARIES)/openblas-serial/pkgconfig \
		$(INNER) build B=$(B)/neon CC="$(ARM)-gcc --sysroot=$(ARM_ROOT)" AR=$(ARM)-ar
	@sh tests/make/run_neon.sh $(B)/neon $(ARM_ROOT) $(SUITES)

# Instructions of the kernels against the stored counts; RENEW=1 stores them anew.
instructions: build
	@sh tests/make/run_instructions.sh $(OUT) $(if $(RENEW),renew)

# Pages of the public headers; lint holds them against each other.
docs:
	@lua5.4 tests/make/reference.lua

clean:
	rm -rf $(B)

# --- Installing -----------------------------------------------------------------------------

VERSION := $(shell sed -n 's/^.define BEZEL_VERSION_TEXT "\(.*\)"/\1/p' core/include/bezel/base.h)
SOVERSION := $(firstword $(subst ., ,$(VERSION)))
D := $(DESTDIR)$(PREFIX)
HEADERS := $(sort $(wildcard core/include/bezel/*.h tools/include/bezel/*.h agents/include/bezel/*.h store/include/bezel/*.h))
MANUALS := $(wildcard docs/*.1)

install: all
	install -d $(D)/bin $(D)/lib/pkgconfig $(D)/lib/lua/5.4 $(D)/include/bezel $(D)/share/bezel $(D)/share/doc/bezel
	install -m 755 $(OUT)/bezel $(D)/bin/bezel
	install -m 755 $(OUT)/libbezel.so.$(VERSION) $(D)/lib/
	ln -sf libbezel.so.$(VERSION) $(D)/lib/libbezel.so.$(SOVERSION)
	ln -sf libbezel.so.$(SOVERSION) $(D)/lib/libbezel.so
	install -m 644 $(OUT)/libbezel.a $(D)/lib/
	install -m 755 $(OUT)/bezel.so $(D)/lib/lua/5.4/bezel.so
	install -m 644 $(HEADERS) $(D)/include/bezel/
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@VERSION@|$(VERSION)|' core/bezel.pc.in > $(D)/lib/pkgconfig/bezel.pc
	chmod 644 $(D)/lib/pkgconfig/bezel.pc
	install -m 644 tests/make/fetch_model.sh $(wildcard bindings/lua/*.meta.lua) $(D)/share/bezel/
	install -m 644 README.md CHANGELOG.md LICENSE $(D)/share/doc/bezel/
	$(if $(MANUALS),install -d $(D)/share/man/man1 && install -m 644 $(MANUALS) $(D)/share/man/man1/)
	$(if $(DESTDIR),,@ldconfig 2>/dev/null || true)

uninstall:
	rm -f $(D)/bin/bezel $(D)/lib/libbezel.so* $(D)/lib/libbezel.a $(D)/lib/lua/5.4/bezel.so $(D)/lib/pkgconfig/bezel.pc
	rm -f $(addprefix $(D)/share/man/man1/,$(notdir $(MANUALS)))
	rm -rf $(D)/include/bezel $(D)/share/bezel $(D)/share/doc/bezel

help:
	@echo 'make               build library, Lua module, command, examples and tests into $(B)/'
	@echo 'make demo          install what is missing, build, fetch the small model, run the weather agent'
	@echo 'make test          install what is missing, build, run the tests; SUITES="gguf json" runs some'
	@echo 'make deps          install what is missing (Debian), saying what and why'
	@echo 'make bench         Bezel beside llama.cpp on this machine, about 8 minutes; PEERS="name=/path/llama-bench; ..." are'
	@echo '                   measured too, ROUNDS=7 THREADS=0, DOCS=1 puts tables and charts into docs/performance.md'
	@echo 'make install       into PREFIX=$(PREFIX), below DESTDIR= when given; make uninstall takes it away'
	@echo 'make lint          include direction, sizes, banned functions, exported symbols'
	@echo 'make sanitize      the tests under ASan and UBSan; make valgrind: some of them under valgrind'
	@echo 'make neon          cross-build for 64-bit Arm, the suites of its kernels under qemu; SUITES="..." as for test'
	@echo 'make instructions  instructions of the kernels against stored counts; RENEW=1 stores them'
	@echo 'make docs          reference pages from the public headers'
	@echo 'make clean         remove $(B)/'
	@echo 'CC=clang, B=folder and CONFIG=debug change compiler, output folder and configuration.'
