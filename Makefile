# pbft - one Makefile for everything. `make help` lists the targets.
#
# Objects go to build/VARIANT/, programs of the default variant to bin/.
# VARIANT: release (default), debug, asan (ASan+UBSan), tsan, cov, fuzz (clang).

VARIANT ?= release
ifeq ($(origin CC),default)
CC := gcc
endif
Q := @
B := build/$(VARIANT)

WARN := -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wvla -Wmissing-prototypes -Wstrict-prototypes -Werror
BASE_CFLAGS := -std=gnu17 -D_GNU_SOURCE -I. $(WARN) -fPIE -fstack-protector-strong -g -MMD -MP -pthread
# -Wformat-truncation (a gcc guess) fires on every cut that struct err makes on purpose.
ifneq (,$(findstring clang,$(CC)))
BASE_CFLAGS += -Wno-string-conversion
else
BASE_CFLAGS += -Wno-format-truncation
endif
OPT_release := -O2 -D_FORTIFY_SOURCE=2
OPT_debug := -O0
OPT_asan := -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
OPT_tsan := -O1 -fsanitize=thread -fno-omit-frame-pointer
OPT_cov := -O0 --coverage
OPT_fuzz := -O1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
LDOPT_asan := -fsanitize=address,undefined
LDOPT_tsan := -fsanitize=thread
LDOPT_cov := --coverage
LDOPT_fuzz := -fsanitize=fuzzer,address,undefined
CFLAGS_ALL = $(BASE_CFLAGS) $(OPT_$(VARIANT)) $(EXTRA_CFLAGS)
LDFLAGS_ALL = -pie -pthread $(LDOPT_$(VARIANT))
LIBS := -lgnutls -lev -llmdb -ljansson -linih -lsodium -lm

ROOM_SOURCES := $(wildcard base/*.c crypto/*.c wire/*.c keys/*.c ledger/*.c viewchange/*.c \
	replica/core/*.c replica/net/*.c replica/run/*.c client/*.c bench/*.c)
# Programs' main files are not part of the archive.
MAINS := replica/run/pbftd.c client/pbft.c bench/pbft_bench.c
LIB_SOURCES := $(filter-out $(MAINS),$(ROOM_SOURCES))
LIB_OBJECTS := $(LIB_SOURCES:%.c=$(B)/%.o)
ARCHIVE := $(B)/libpbft-all.a

UNIT_SOURCES := $(wildcard tests/unit/test_*.c)
UNIT_PROGRAMS := $(UNIT_SOURCES:%.c=$(B)/%)
TEST_HELPERS := $(wildcard tests/fixture/*.c)
TEST_HELPER_OBJECTS := $(TEST_HELPERS:%.c=$(B)/%.o)

.PHONY: all
all: programs

$(B)/%.o: %.c
	@mkdir -p $(@D)
	@echo "  cc $<"
	$(Q)$(CC) $(CFLAGS_ALL) -c $< -o $@

$(ARCHIVE): $(LIB_OBJECTS)
	@rm -f $@
	$(Q)ar rcs $@ $^

$(B)/tests/unit/%: $(B)/tests/unit/%.o $(TEST_HELPER_OBJECTS) $(ARCHIVE)
	@echo "  ld $@"
	$(Q)$(CC) $(LDFLAGS_ALL) $^ -o $@ $(LIBS) -lcmocka

PROGRAMS := pbftd pbft pbft-bench
MAIN_pbftd := replica/run/pbftd
MAIN_pbft := client/pbft
MAIN_pbft-bench := bench/pbft_bench
# What belongs to the command line only, not to the library.
LIBPBFT_SOURCES := $(wildcard base/*.c crypto/*.c wire/*.c client/client*.c replica/net/*.c) keys/group.c keys/group_json.c
LIBPBFT_OBJECTS := $(LIBPBFT_SOURCES:%.c=$(B)/%.o)

$(B)/pbftd $(B)/pbft $(B)/pbft-bench: $(B)/%: $(ARCHIVE)
	@$(MAKE) --no-print-directory $(B)/$(MAIN_$*).o
	@echo "  ld $@"
	$(Q)$(CC) $(LDFLAGS_ALL) $(B)/$(MAIN_$*).o $(ARCHIVE) -o $@ $(LIBS)
$(B)/pbftd: $(B)/replica/run/pbftd.o
$(B)/pbft: $(B)/client/pbft.o
$(B)/pbft-bench: $(B)/bench/pbft_bench.o

$(B)/libpbft.a: $(LIBPBFT_OBJECTS)
	@rm -f $@
	$(Q)ar rcs $@ $^

.PHONY: programs
programs: $(PROGRAMS:%=$(B)/%) $(B)/libpbft.a
	@mkdir -p bin
	@for p in $(PROGRAMS) libpbft.a; do cmp -s $(B)/$$p bin/$$p || cp $(B)/$$p bin/$$p; done

.PHONY: unit-programs
unit-programs: $(UNIT_PROGRAMS)

# ---- tools and fuzz targets ----

$(B)/tests/tools/%: $(B)/tests/tools/%.o $(TEST_HELPER_OBJECTS) $(ARCHIVE)
	@echo "  ld $@"
	$(Q)$(CC) $(LDFLAGS_ALL) $^ -o $@ $(LIBS) -lcmocka

.PHONY: wire-docs
wire-docs: $(B)/tests/tools/wire_tool
	$< cddl > docs/wire.cddl
	$< vectors > tests/vectors/wire.jsonl
	$< vectors-bad > tests/vectors/wire_bad.txt
	rm -f tests/fuzz/corpus/wire/*
	$< corpus tests/fuzz/corpus/wire

-include $(shell find build -name '*.d' 2>/dev/null)
.SECONDARY:
