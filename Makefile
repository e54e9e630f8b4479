# pbft - one Makefile for everything. `make help` lists the targets.
#
# Objects go to build/VARIANT/, programs of the default variant to bin/.
# VARIANT: release (default), debug, asan (ASan+UBSan), tsan, cov; with CC=clang also fuzz, clang0, clang2.

VARIANT ?= release
ifeq ($(origin CC),default)
CC := gcc
endif
Q := @
B := build/$(VARIANT)

WARN := -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wvla -Wmissing-prototypes -Wstrict-prototypes -Werror
BASE_CFLAGS := -std=gnu17 -D_GNU_SOURCE -I. $(WARN) -fPIC -fstack-protector-strong -g -MMD -MP -pthread
# -Wformat-truncation (a gcc guess) fires on every cut that struct err makes on purpose.
ifneq (,$(findstring clang,$(CC)))
BASE_CFLAGS += -Wno-string-conversion
else
BASE_CFLAGS += -Wno-format-truncation
endif
# Objects for both ways to link: programs as a whole (the codec's small functions go into their callers: 8 to 16 % less CPU), tests
# and pbft-evil, whose functions are wrapped, one by one.
OPT_release := -O2 -D_FORTIFY_SOURCE=2 $(if $(findstring clang,$(CC)),,-flto=auto -ffat-lto-objects)
LDOPT_release := $(if $(findstring clang,$(CC)),,-fno-lto)
WHOLE_release := $(if $(findstring clang,$(CC)),,-O2 -flto=auto)
OPT_debug := -O0
OPT_asan := -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
OPT_tsan := -O1 -fsanitize=thread -fno-omit-frame-pointer
OPT_clang0 := -O0
OPT_clang2 := -O2
OPT_cov := -O0 --coverage
OPT_fuzz := -O1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
LDOPT_asan := -fsanitize=address,undefined
LDOPT_tsan := -fsanitize=thread
LDOPT_cov := --coverage
LDOPT_fuzz := -fsanitize=fuzzer,address,undefined
CFLAGS_ALL = $(BASE_CFLAGS) $(OPT_$(VARIANT)) $(EXTRA_CFLAGS)
LDFLAGS_ALL = -pie -pthread $(LDOPT_$(VARIANT))
LIBS := -lgnutls -lev -llmdb -ljansson -linih -lsodium -lnettle -lm

ROOM_SOURCES := $(wildcard base/*.c crypto/*.c wire/*.c keys/*.c ledger/*.c viewchange/*.c \
	replica/core/*.c replica/net/*.c replica/run/*.c client/*.c bench/*.c)
# Programs' main files are not part of the archive.
MAINS := replica/run/pbftd.c client/pbft.c bench/pbft_bench.c
LIB_SOURCES := $(filter-out $(MAINS),$(ROOM_SOURCES))
LIB_OBJECTS := $(LIB_SOURCES:%.c=$(B)/%.o)
ARCHIVE := $(B)/libpbft-all.a

UNIT_SOURCES := $(wildcard tests/unit/test_*.c)
UNIT_PROGRAMS := $(UNIT_SOURCES:%.c=$(B)/%)
SIM_MAINS := $(addprefix tests/sim/,pbft_sim.c verb_linearize.c verb_replay.c run.c swarm.c shrink.c crashes.c explore.c messages.c)
SIM_SOURCES := $(filter-out $(SIM_MAINS),$(wildcard tests/sim/*.c))
# misbehaviours, apart from the process that they can live in
EVIL_SOURCES := tests/evil/evil.c tests/evil/primary.c tests/evil/backup.c tests/evil/liar.c
TEST_HELPERS := $(wildcard tests/fixture/*.c) $(SIM_SOURCES) $(EVIL_SOURCES)
TEST_HELPER_OBJECTS := $(TEST_HELPERS:%.c=$(B)/%.o)
TEST_KIT := $(B)/libtest-kit.a

.DEFAULT_GOAL := all
.PHONY: all
all: programs evil

$(B)/%.o: %.c Makefile
	@mkdir -p $(@D)
	@echo "  cc $<"
	$(Q)$(CC) $(CFLAGS_ALL) -c $< -o $@

$(ARCHIVE): $(LIB_OBJECTS)
	@rm -f $@
	$(Q)ar rcs $@ $^

$(TEST_KIT): $(TEST_HELPER_OBJECTS)
	@rm -f $@
	$(Q)ar rcs $@ $^

$(B)/tests/unit/%: $(B)/tests/unit/%.o $(TEST_KIT) $(ARCHIVE)
	@echo "  ld $@"
	$(Q)$(CC) $(LDFLAGS_ALL) $^ -o $@ $(LIBS) -lmicrohttpd -lcmocka

PROGRAMS := pbftd pbft pbft-bench pbft-sim
MAIN_pbftd := replica/run/pbftd
MAIN_pbft := client/pbft
MAIN_pbft-bench := bench/pbft_bench
# What belongs to the command line only, not to the library.
LIBPBFT_SOURCES := $(wildcard base/*.c crypto/*.c wire/*.c client/client*.c replica/net/*.c) keys/group.c keys/group_json.c
LIBPBFT_OBJECTS := $(LIBPBFT_SOURCES:%.c=$(B)/%.o)

$(B)/pbftd $(B)/pbft $(B)/pbft-bench: $(B)/%: $(ARCHIVE)
	@$(MAKE) --no-print-directory $(B)/$(MAIN_$*).o
	@echo "  ld $@"
	$(Q)$(CC) $(LDFLAGS_ALL) $(WHOLE_$(VARIANT)) $(B)/$(MAIN_$*).o $(ARCHIVE) -o $@ $(LIBS)
$(B)/pbftd: $(B)/replica/run/pbftd.o
$(B)/pbftd $(B)/pbft-evil: LIBS += -lmicrohttpd
$(B)/pbft: $(B)/client/pbft.o
$(B)/pbft-bench: $(B)/bench/pbft_bench.o

# A replica that misbehaves on purpose (docs/adversary.md): the product with some functions wrapped. Never installed, never in bin/.
EVIL_OBJECTS := $(patsubst %.c,$(B)/%.o,$(wildcard tests/evil/*.c))
$(B)/pbft-evil: $(EVIL_OBJECTS) $(ARCHIVE)
	@echo "  ld $@"
	$(Q)$(CC) $(LDFLAGS_ALL) -Wl,--wrap=core_new,--wrap=core_step,--wrap=node_send_member,--wrap=node_send_client,--wrap=session_send,--wrap=node_query_done,--wrap=net_read,--wrap=gnutls_record_send $^ -o $@ $(LIBS)
# A client that does, for pbft-bench attack.
$(B)/pbft-evil-client: $(B)/tests/evil/client/pbft_evil_client.o $(B)/tests/fixture/raw_peer.o $(ARCHIVE)
	@echo "  ld $@"
	$(Q)$(CC) $(LDFLAGS_ALL) $^ -o $@ $(LIBS)
.PHONY: evil e2e-tools
evil: $(B)/pbft-evil $(B)/pbft-evil-client
# what the scripts of tests/e2e need beside the programs
e2e-tools: evil $(B)/tests/tools/damage_state

$(B)/pbft-sim: $(SIM_MAINS:%.c=$(B)/%.o) $(TEST_KIT) $(ARCHIVE)
	@echo "  ld $@"
	$(Q)$(CC) $(LDFLAGS_ALL) $(WHOLE_$(VARIANT)) $^ -o $@ $(LIBS)

$(B)/libpbft.a: $(LIBPBFT_OBJECTS)
	@rm -f $@
	$(Q)ar rcs $@ $^
	@objcopy --remove-section '.gnu.lto_*' --remove-section '.gnu.debuglto_*' $@ # for any compiler that an application is linked with

# the shared library exports what client/pbft.h declares, and nothing else
$(B)/libpbft.so: $(LIBPBFT_OBJECTS) packaging/libpbft.map
	@echo "  ld $@"
	$(Q)$(CC) -shared -pthread $(LDOPT_$(VARIANT)) -Wl,--version-script=packaging/libpbft.map -Wl,-soname,libpbft.so.0 \
		$(LIBPBFT_OBJECTS) -o $@ $(LIBS)

# A program that runs cannot be written over ("Text file busy"), but another file can take its name.
.PHONY: programs
programs: $(PROGRAMS:%=$(B)/%) $(B)/libpbft.a $(B)/libpbft.so
	@mkdir -p bin
	@for p in $(PROGRAMS) libpbft.a libpbft.so; do \
		cmp -s $(B)/$$p bin/$$p && continue; \
		cp $(B)/$$p bin/.$$p.$$$$ && mv -fT bin/.$$p.$$$$ bin/$$p || { rm -f bin/.$$p.$$$$; exit 1; }; \
	done

.PHONY: unit-programs
unit-programs: $(UNIT_PROGRAMS)

# ---- what a user types ----

.PHONY: help
help:
	@echo "make up           build, start a development group of four replicas in devnet/, commit one transaction"
	@echo "make down         stop it; the ledger stays"
	@echo "make check        build and pass all tests; last line: N passed, N failed"
	@echo "make              build into bin/"
	@echo "make deps         install the Debian packages that building and testing need (or print the line to run)"
	@echo "make unit         unit tests only          make e2e        tests against real processes only"
	@echo "make asan | tsan | valgrind                unit tests under the sanitizers"
	@echo "make lint         clang-tidy and gcc -fanalyzer"
	@echo "make trace        same events, same effects: gcc and clang, -O0 and -O2, ASan+UBSan"
	@echo "make fuzz BUDGET=60   each libFuzzer target for so many seconds"
	@echo "make crash BUDGET=60  power losses at points of a recorded run, for so many seconds (CRASH_IMAGES=0: at all points first)"
	@echo "make swarm BUDGET=60  fresh seeds in the simulator, for so many seconds"
	@echo "make evil-run BUDGET=60   every misbehaviour in a real process, for so many seconds each, under load"
	@echo "make mutants       breaks one line of the product at a time: each must be noticed (MUTANTS=NAME... for some)"
	@echo "make coverage     lines by unit tests; branches of the protocol and rules reached by them and SEEDS=40 seeds"
	@echo "make bench        the standard set of measurements into bench/out/, some eight minutes"
	@echo "make profile      where the CPU time of a transaction goes, by thread and work, by perf, into bench/out/"
	@echo "make evil         build/release/pbft-evil and pbft-evil-client, which misbehave (docs/adversary.md)"
	@echo "make install PREFIX=/usr/local             make clean"

.PHONY: deps deps-build deps-check
deps: deps-check
deps-build:
	@sh packaging/deps.sh build
deps-check:
	@sh packaging/deps.sh check

.PHONY: up down bench profile
up: deps-build
	@$(MAKE) --no-print-directory -j$(shell nproc) programs evil
	@bin/pbft devnet up
down:
	@if [ -x bin/pbft ]; then bin/pbft devnet down; \
	elif [ -e "$${PBFT_HOME:-devnet}/devnet.json" ]; then echo "nothing is built here: run make, then make down again" >&2; exit 1; \
	else echo "nothing was built here, and there is no group to stop" >&2; fi
bench: deps-check
	@$(MAKE) --no-print-directory -j$(shell nproc) programs
	@bash bench/standard.sh
profile: deps-check
	@$(MAKE) --no-print-directory -j$(shell nproc) programs
	@bash bench/profile.sh

.PHONY: install
install: programs
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib $(DESTDIR)$(PREFIX)/include
	install -m 755 bin/pbftd bin/pbft bin/pbft-bench $(DESTDIR)$(PREFIX)/bin
	install -m 644 bin/libpbft.a bin/libpbft.so $(DESTDIR)$(PREFIX)/lib
	install -m 644 client/pbft.h $(DESTDIR)$(PREFIX)/include
PREFIX ?= /usr/local

.PHONY: clean
clean:
	rm -rf build bin

# ---- tests ----

UNIT_NAMES := $(UNIT_SOURCES:tests/unit/%.c=%)
E2E_NAMES := $(filter-out lib evil_minutes,$(patsubst tests/e2e/%.sh,%,$(wildcard tests/e2e/*.sh)))
FUZZ_NAMES := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
# what runs threads or real processes, and so also runs under ThreadSanitizer
TSAN_NAMES := $(filter test_pool test_node_verify test_record test_storage test_net test_node_effects test_hostile test_hostile_flood test_pbftd test_log test_client_busy test_client_callback test_client_import test_client_links test_client_open test_client_read test_client_reply test_client_sequence test_client_submit,$(UNIT_NAMES))
SUB = $(MAKE) --no-print-directory -j$(shell nproc)
suite = $(foreach n,$(2),'$(1)_$(n)=$(3) build/$(1)/tests/unit/$(n)')
# quickly found; all of them: make mutants
MUTANTS_SAMPLE := commit-quorum-short checkpoint-before-blocks lowest-view-certificate
CRASH_TOOLS := build/release/tests/crash/shim.so build/release/tests/crash/crash_search
SAN_ENV := UBSAN_OPTIONS=print_stacktrace=1 ASAN_OPTIONS=detect_leaks=1

.PHONY: check
check: deps-check
	@$(SUB) programs unit-programs e2e-tools $(CRASH_TOOLS)
	@$(SUB) VARIANT=asan build/asan/pbftd unit-programs
	@$(SUB) VARIANT=tsan build/tsan/pbftd $(TSAN_NAMES:%=build/tsan/tests/unit/%)
	@$(SUB) VARIANT=fuzz CC=clang $(FUZZ_NAMES:%=build/fuzz/tests/fuzz/%)
	@LIMIT=900 bash tests/run.sh 'lint=bash tests/style/lint.sh' 'trace=bash tests/tools/trace_compilers.sh' \
		$(call suite,release,$(UNIT_NAMES),) \
		$(call suite,asan,$(UNIT_NAMES),$(SAN_ENV)) \
		$(call suite,tsan,$(TSAN_NAMES),TSAN_OPTIONS=halt_on_error=1) \
		$(foreach n,$(E2E_NAMES),'e2e_$(n)=E2E_LINES=10000 bash tests/e2e/$(n).sh') \
		'crash=bash tests/crash/crash.sh' 'crash_power=bash tests/crash/power.sh' 'swarm=bash tests/sim/swarm.sh' \
		$(foreach n,$(FUZZ_NAMES),'$(n)=bash tests/fuzz/run.sh $(n) 15') \
		'includes=bash tests/style/check_includes.sh' 'style=bash tests/style/check_style.sh' 'rules=bash tests/style/check_rules.sh' \
		$(foreach n,$(MUTANTS_SAMPLE),'mutant_$(n)=bash tests/mutants/run.sh $(n)')

.PHONY: unit e2e asan tsan valgrind lint trace fuzz crash swarm evil-run mutants coverage
unit: deps-check
	@$(SUB) programs unit-programs
	@bash tests/run.sh $(call suite,release,$(UNIT_NAMES),)
e2e: deps-check
	@$(SUB) programs e2e-tools
	@JOBS=1 bash tests/run.sh $(foreach n,$(E2E_NAMES),'e2e_$(n)=E2E_LINES=10000 bash tests/e2e/$(n).sh')
asan: deps-check
	@$(SUB) VARIANT=asan build/asan/pbftd unit-programs
	@bash tests/run.sh $(call suite,asan,$(UNIT_NAMES),$(SAN_ENV))
tsan: deps-check
	@$(SUB) VARIANT=tsan build/tsan/pbftd $(TSAN_NAMES:%=build/tsan/tests/unit/%)
	@bash tests/run.sh $(call suite,tsan,$(TSAN_NAMES),TSAN_OPTIONS=halt_on_error=1)
valgrind: deps-check
	@$(SUB) programs unit-programs
	@bash tests/run.sh $(foreach n,$(filter-out test_net test_hostile test_hostile_flood test_hostile_member test_pbftd test_core_seeds test_core_cluster test_core_image test_client_%,$(UNIT_NAMES)),'valgrind_$(n)=valgrind -q --leak-check=full --errors-for-leak-kinds=definite --error-exitcode=99 build/release/tests/unit/$(n)')
lint: deps-check
	@bash tests/style/lint.sh
trace: deps-check
	@bash tests/tools/trace_compilers.sh
BUDGET ?= 60
fuzz: deps-check
	@$(SUB) VARIANT=fuzz CC=clang $(FUZZ_NAMES:%=build/fuzz/tests/fuzz/%)
	@bash tests/run.sh $(foreach n,$(FUZZ_NAMES),'$(n)=bash tests/fuzz/run.sh $(n) $(BUDGET)')
crash: deps-check
	@$(SUB) programs $(CRASH_TOOLS)
	@JOBS=1 CRASH_JOBS=$(shell nproc) CRASH_IMAGES=$(CRASH_IMAGES) CRASH_SECONDS=$(BUDGET) bash tests/run.sh \
		'crash=bash tests/crash/crash.sh' 'crash_power=POWER_ROUNDS=16 bash tests/crash/power.sh'
	@grep -h '^#' build/check/crash.log
CRASH_IMAGES ?= 2000
swarm: deps-check
	@$(SUB) programs
	@bin/pbft-sim swarm --budget $(BUDGET)
evil-run: deps-check
	@$(SUB) programs evil
	@EVIL_SECONDS=$(BUDGET) bash tests/e2e/evil_minutes.sh
mutants: deps-check
	@$(SUB) programs $(patsubst %,build/release/tests/unit/%,$(shell sed -n 's/^caught by: unit //p' tests/mutants/*.patch))
	@bash tests/mutants/run.sh $(MUTANTS)
coverage: deps-check
	@$(SUB) VARIANT=cov build/cov/pbftd build/cov/pbft-sim unit-programs
	@bash tests/tools/coverage.sh $(SEEDS) $(UNIT_NAMES)
SEEDS ?= 40

# ---- tools and fuzz targets ----

$(B)/tests/tools/%: $(B)/tests/tools/%.o $(TEST_KIT) $(ARCHIVE)
	@echo "  ld $@"
	$(Q)$(CC) $(LDFLAGS_ALL) $^ -o $@ $(LIBS) -lcmocka

$(B)/tests/fuzz/%: $(B)/tests/fuzz/%.o $(B)/tests/fuzz/loopback.o $(TEST_KIT) $(ARCHIVE)
	@echo "  ld $@"
	$(Q)$(CC) $(LDFLAGS_ALL) $^ -o $@ $(LIBS) -lmicrohttpd -lcmocka

# what a replica does to its disk and sends, recorded; and the search over what a power loss leaves of it
$(B)/tests/crash/shim.so: tests/crash/shim.c Makefile
	@mkdir -p $(@D)
	@echo "  ld $@"
	$(Q)$(CC) $(CFLAGS_ALL) -shared $< -o $@ -ldl

CRASH_OBJECTS := $(patsubst %.c,$(B)/%.o,$(wildcard tests/crash/crash_*.c))
$(B)/tests/crash/crash_search: $(CRASH_OBJECTS) $(ARCHIVE)
	@echo "  ld $@"
	$(Q)$(CC) $(LDFLAGS_ALL) $^ -o $@ $(LIBS)

.PHONY: wire-docs
wire-docs: $(B)/tests/tools/wire_tool
	$< cddl > docs/wire.cddl
	$< vectors > tests/vectors/wire.jsonl
	$< vectors-bad > tests/vectors/wire_bad.txt
	rm -f tests/fuzz/corpus/wire/*
	$< corpus tests/fuzz/corpus/wire

-include $(shell find build -name '*.d' 2>/dev/null)
.SECONDARY:
