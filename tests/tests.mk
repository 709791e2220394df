# SPDX-License-Identifier: BSD-2-Clause
# The tests and benchmarks: their programs, then the targets that run them.

UNIT	:= $(patsubst tests/unit/%.c,$(B)/tests/unit/%,$(wildcard tests/unit/test_*.c))
UNIT_LIB := $(patsubst %.c,$(B)/%.o,$(filter-out tests/unit/test_%,$(wildcard tests/unit/*.c)))

comma := ,
$(B)/tests/unit/test_%: $(B)/tests/unit/test_%.o $(UNIT_LIB) $(B)/libvmm.a $(B)/libsymhost.a $(B)/libsym.a
	@echo "  LD      $@"
	@$(CC) $(CFLAGS) -o $@ $^ $(TEST_LDFLAGS) $(LDFLAGS) $(PKG_LIBS) -lcmocka

# The test stands between the disk and io_uring.
$(B)/tests/unit/test_blk_ring: TEST_LDFLAGS := $(addprefix -Wl$(comma)--wrap=io_uring_,submit \
	queue_init_params peek_batch_cqe)

TINY_LIB := $(B)/tests/tiny/machine.o $(B)/tests/tiny/machine_guest.o
# Its guest stands in for the interface.
GUEST_CALLS := $(B)/symcall/by_name.o $(B)/symbiotic/err.o
$(B)/tests/unit/test_install: $(B)/tests/unit/test_install.o \
		$(addprefix $(B)/symmod/,install.o modinfo.o unpack.o) $(GUEST_CALLS)
	@echo "  LD      $@"
	@$(CC) $(CFLAGS) -o $@ $^ $(LDFLAGS) $(PKG_LIBS) -lcmocka

$(B)/tests/tiny/test_%: $(B)/tests/tiny/test_%.o $(TINY_LIB) $(B)/libvmm.a $(B)/libsymhost.a
	@echo "  LD      $@"
	@$(CC) $(CFLAGS) -o $@ $^ $(LDFLAGS) $(PKG_LIBS) -lcmocka

# Guests of a page of C, and the owner of a hostile one.
GUEST_CFLAGS := -std=gnu11 -O1 $(WARN) -ffreestanding -fno-pic -no-pie \
	-nostdlib -static -mno-red-zone -mgeneral-regs-only -fcf-protection=none \
	-fno-stack-protector -fno-asynchronous-unwind-tables
$(B)/tests/tiny/hostile: $(wildcard tests/tiny/guests/*)
	@mkdir -p $(@D)
	@echo "  GUEST   $@"
	@$(CC) $(GUEST_CFLAGS) -Wl,-T,tests/tiny/guests/guest.ld,--build-id=none \
		-Wl,--no-warn-rwx-segments -o $@ $(filter %.c,$^)

$(B)/tests/tiny/owner: $(B)/tests/tiny/owner.o $(B)/libsym.a
	@$(CC) $(CFLAGS) -o $@ $^ $(LDFLAGS) $(shell pkg-config --libs jansson)

# Here too, and it has the time in hand.
WINDOW := $(filter $(B)/tests/unit/test_window $(B)/tests/unit/test_window_%,$(UNIT))
$(WINDOW): %: %.o $(B)/tests/unit/fake/window_guest.o \
		$(patsubst %.c,$(B)/%.o,$(wildcard swapbypass/*.c)) $(GUEST_CALLS)
	@echo "  LD      $@"
	@$(CC) $(CFLAGS) -o $@ $^ $(LDFLAGS) $(PKG_LIBS) -lcmocka

# A VMM that embeds the interface, with a kernel of its own.
EMBED := examples/embed
$(B)/embed/embed: $(wildcard $(EMBED)/*) $(wildcard symbiotic/include/sym/*) $(B)/libsymhost.a
	@echo "  EMBED   $@"
	@$(MAKE) --no-print-directory -s -C $(EMBED) O=$(abspath $(B)/embed) \
		SYMHOST=$(abspath $(B)/libsymhost.a) INCLUDE=$(abspath symbiotic/include)

# What the system tests bring along: a service, and programs for the guests.
$(B)/tests/services/%.so: tests/services/%.c
	@mkdir -p $(@D)
	@echo "  CC      $<"
	@$(CC) $(ALL_CFLAGS) -shared -o $@ $< $(LDFLAGS)

$(B)/tests/guest/symvalue $(B)/tests/guest/valueshare: $(B)/tests/guest/%: tests/guest/%.c \
		libsym/guest.c
	@mkdir -p $(@D)
	@echo "  CC      $<"
	@$(CC) -std=gnu11 -O2 -Wall -Wextra $(WERROR) -D_GNU_SOURCE -Ilibsym/include \
		-Isymbiotic/include -static -o $@ $^

$(B)/tests/guest/%: tests/guest/%.c
	@mkdir -p $(@D)
	@echo "  CC      $<"
	@$(CC) -std=gnu11 -O2 -Wall -Wextra $(WERROR) -mno-red-zone -static -pthread -o $@ $<

$(B)/tests/guest/swapload $(B)/tests/guest/swapfault: tests/guest/vmstat.h

$(B)/tests/guest/swaptorture: $(wildcard tests/guest/swap/*.[ch])
	@mkdir -p $(@D)
	@echo "  CC      $@"
	@$(CC) -std=gnu11 -O2 $(WARN) -D_GNU_SOURCE -static -pthread -o $@ $(filter %.c,$^)

$(B)/tests/bench/symcall: $(B)/tests/bench/symcall.o $(TINY_LIB) $(B)/libvmm.a $(B)/libsymhost.a
	@echo "  LD      $@"
	@$(CC) $(CFLAGS) -o $@ $^ $(LDFLAGS) $(PKG_LIBS)

# A VMM that confuses the guest.  It takes the interface's objects one by one: within an
# object of libsymhost.a a call is bound already, and cannot be wrapped.
$(B)/tests/symvmm-garbage: $(B)/tests/system/garbage.o $(B)/symvmm
	@echo "  LD      $@"
	@$(CC) $(CFLAGS) -o $@ -Wl,--wrap=sym_msr_write $< -Wl,--whole-archive \
		$(B)/vmm/cli/main.o $(B)/libvmm.a $(SYM_OBJ) -Wl,--no-whole-archive \
		$(LDFLAGS) $(PKG_LIBS)

$(B)/tests/system/%: $(B)/tests/system/%.o
	@$(CC) $(CFLAGS) -o $@ $^ $(LDFLAGS)

# The virtio devices under libFuzzer, with sanitizers.
# What the fuzzer stands in for, see the file.
FUZZ_WRAP := net_user_create getrandom console_write console_set_input
FUZZ_SRC := $(filter-out vmm/cli/main.c,$(VMM_SRC)) $(SYM_SRC) tests/fuzz/fuzz_virtio.c
$(B)/fuzz_virtio: $(FUZZ_SRC) $(B)/gen/dsdt.h $(wildcard vmm/*/*.h)
	@echo "  FUZZER  $@"
	@clang $(filter-out -Werror,$(ALL_CFLAGS)) -Itests/fuzz -fsanitize=fuzzer,address,undefined \
		-fno-sanitize-recover=undefined $(FUZZ_WRAP:%=-Wl,--wrap=%) -o $@ $(FUZZ_SRC) \
		$(PKG_LIBS)

# What the symbiotic interface takes from a guest.
FUZZ_SYM_SRC := $(wildcard symbiotic/*.c symcall/*.c swapbypass/*.c) tests/fuzz/fuzz_sym.c
$(B)/fuzz_sym: $(FUZZ_SYM_SRC) \
		$(wildcard symbiotic/*.h symcall/*.h swapbypass/*.h symbiotic/include/sym/*.h)
	@echo "  FUZZER  $@"
	@clang $(filter-out -Werror,$(ALL_CFLAGS)) -fsanitize=fuzzer,address,undefined \
		-fno-sanitize-recover=undefined -Wl,--wrap=deadline_create -o $@ \
		$(FUZZ_SYM_SRC) -pthread

# Frames that come over a stream socket.
FUZZ_FRAMES_SRC := vmm/net/frames.c tests/fuzz/fuzz_frames.c
$(B)/fuzz_frames: $(FUZZ_FRAMES_SRC) vmm/net/frames.h vmm/net/backend.h
	@echo "  FUZZER  $@"
	@clang $(filter-out -Werror,$(ALL_CFLAGS)) -fsanitize=fuzzer,address,undefined \
		-fno-sanitize-recover=undefined -o $@ $(FUZZ_FRAMES_SRC)

unit: host-test all
	@$(MAKE) --no-print-directory $(UNIT)
	@tests/run-unit $(UNIT)

# The same under sanitizers, each in a build tree of its own.
SANITIZERS := address,undefined thread
sanitizers: host-test
	@for s in $(SANITIZERS); do echo "unit   under -fsanitize=$$s"; \
		$(MAKE) --no-print-directory -s -j$$(nproc) B=$(B)/$${s%%,*} \
		CFLAGS="-O1 -g -fno-omit-frame-pointer -Wno-error -Wno-tsan -fsanitize=$$s" \
		unit-programs || exit; done
unit-programs: $(UNIT)
	@tests/run-unit $(UNIT)

fuzz: host-test
	@$(MAKE) --no-print-directory $(B)/fuzz_virtio $(B)/fuzz_sym $(B)/fuzz_frames
	@tests/run-fuzz virtio 30
	@tests/run-fuzz sym 20
	@tests/run-fuzz frames 10

lint: guest
	@$(MAKE) --no-print-directory $(B)/gen/dsdt.h $(B)/libsymhost.a
	@tests/run-lint "$(subst ",\",$(filter-out -Werror -fstack-protector-strong,$(ALL_CFLAGS)))" \
		$(VMM_SRC) $(SYM_SRC) $(LIB_SRC) $(CTL_SRC) $(SVC_SRC)
	@echo "lint   guest modules: W=1, sparse"
	@SPARSE=1 scripts/build-modules >/dev/null

TINY_ATTACKS := $(B)/tests/tiny/hostile $(B)/tests/tiny/owner
tiny: host-test all
	@$(MAKE) --no-print-directory $(B)/tests/tiny/test_host_ops \
		$(B)/tests/tiny/test_symcall $(B)/embed/embed $(TINY_ATTACKS)
	@tests/tiny/run

SYSTEM_BITS := $(B)/tests/services/stress.so $(addprefix $(B)/tests/system/,tapfd dnsd) \
	$(addprefix $(B)/tests/guest/,regcheck symvalue valueshare ctxswitch kexec swaptorture swapload \
		swapfault windowhog hotset udpports walkrace) \
	$(B)/tests/symvmm-garbage
system: modules all
	@$(MAKE) --no-print-directory $(SYSTEM_BITS)
	@tests/run-system

test: export WERROR := -Werror
test: modules all
	@$(MAKE) --no-print-directory $(SYSTEM_BITS)
	@tests/run-all

bench bench-swap: export SYMKIT_KERNELS ?= 6.1 7.3
bench-swap: modules all
	@$(MAKE) --no-print-directory $(B)/tests/guest/swapload $(B)/tests/guest/swapfault
	@tests/bench/run-swap

# "make bench swap" is the figures of swapping alone.
ifeq ($(filter swap,$(MAKECMDGOALS)),swap)
bench: bench-swap
swap: bench
else
bench: modules all
	@$(MAKE) --no-print-directory $(SYSTEM_BITS) $(B)/tests/bench/symcall $(TINY_ATTACKS)
	@tests/bench/run-all
endif
