# SPDX-License-Identifier: BSD-2-Clause
# symkit: `make` builds, `make help` lists the rest.

B	:= build
CFLAGS	?= -O2 -g
PREFIX	?= /usr/local
# SymMod's own, for what reads modules: symctl too.
MOD_PKGS := libelf liblzma libzstd zlib
PKGS	:= jansson libconfig slirp libseccomp libxxhash $(MOD_PKGS)
VERSION	:= 0.1.0

# A warning is an error under "make test", which says so in WERROR: another compiler has others.
# libseccomp's macros leave a field out.
WARN	:= -Wall -Wextra $(WERROR) -Wno-unused-parameter -Wno-missing-field-initializers \
	-Wstrict-prototypes -Wmissing-prototypes -Wshadow -Wvla
ALL_CFLAGS = -std=gnu11 $(WARN) -fvisibility=hidden -fPIC -fstack-protector-strong \
	-D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DSYMKIT_VERSION='"$(VERSION)"' \
	-pthread \
	-I. -Ivmm -Isymbiotic/include -Ilibsym/include -I$(B)/gen $(PKG_CFLAGS) $(CFLAGS)
PKG_CFLAGS = $(shell pkg-config --cflags $(PKGS))
# libslirp is loaded when it is needed (vmm/net/slirp_lib.c).
PKG_LIBS = $(shell pkg-config --libs $(filter-out slirp,$(PKGS))) -ldl -pthread

VMM_SRC	:= $(wildcard vmm/*/*.c)
VMM_OBJ	:= $(VMM_SRC:%.c=$(B)/%.o)
SYM_SRC	:= $(wildcard symbiotic/*.c symcall/*.c symmod/*.c swapbypass/*.c)
SYM_OBJ	:= $(SYM_SRC:%.c=$(B)/%.o)
LIB_SRC	:= $(wildcard libsym/*.c)
LIB_OBJ	:= $(LIB_SRC:%.c=$(B)/%.o)
CTL_SRC	:= $(wildcard libsym/symctl/*.c)
CTL_OBJ	:= $(CTL_SRC:%.c=$(B)/%.o)
SVC_SRC	:= $(wildcard examples/services/*.c)
SVC	:= $(SVC_SRC:examples/services/%.c=$(B)/services/%.so)
UNIT	:= $(patsubst tests/unit/%.c,$(B)/tests/unit/%,$(wildcard tests/unit/test_*.c))
UNIT_LIB := $(patsubst %.c,$(B)/%.o,$(filter-out tests/unit/test_%,$(wildcard tests/unit/*.c)))
MAN	:= $(wildcard man/*.[13])

PROGS	:= $(B)/symvmm $(B)/symctl $(B)/libsym.so.0 $(SVC)

all: host-build
	@$(MAKE) --no-print-directory $(PROGS)

# Everything of the VMM but main(), for symvmm, the tests and the fuzzers.
$(B)/libvmm.a: $(filter-out $(B)/vmm/cli/main.o,$(VMM_OBJ))
	@rm -f $@ && $(AR) rcs $@ $^

# The symbiotic interface's host side, for this VMM and for others.
# One object for each part, so that whoever embeds it sees no names but ours, and needs the
# libraries of SymMod only for SymMod.
$(B)/symhost/core.o: $(filter $(B)/symbiotic/% $(B)/symcall/%,$(SYM_OBJ))
$(B)/symhost/symmod.o: $(filter $(B)/symmod/%,$(SYM_OBJ))
$(B)/symhost/swapbypass.o: $(filter $(B)/swapbypass/%,$(SYM_OBJ))
SYMHOST	:= $(addprefix $(B)/symhost/,core.o symmod.o swapbypass.o)
$(SYMHOST):
	@mkdir -p $(@D)
	@$(LD) -r -o $@ $^
	@objcopy --wildcard --keep-global-symbol='sym_*' --keep-global-symbol='symmod_*' $@

$(B)/libsymhost.a: $(SYMHOST)
	@rm -f $@ && $(AR) rcs $@ $^

$(B)/symvmm: $(B)/vmm/cli/main.o $(B)/libvmm.a $(B)/libsymhost.a
	@echo "  LD      $@"
	@$(CC) $(CFLAGS) -o $@ -Wl,--whole-archive $< $(B)/libvmm.a $(B)/libsymhost.a \
		-Wl,--no-whole-archive -Wl,--dynamic-list=vmm/services/services.list $(LDFLAGS) $(PKG_LIBS)

# Services call symvmm itself; what they may call is listed, the rest stays inside.
$(B)/symvmm: vmm/services/services.list

$(B)/services/%.so: examples/services/%.c
	@mkdir -p $(@D)
	@echo "  CC      $@"
	@$(CC) $(ALL_CFLAGS) -MMD -MP -shared -o $@ $<

$(B)/libsym.so.0: $(LIB_OBJ) libsym/libsym.map
	@echo "  LD      $@"
	@$(CC) $(CFLAGS) -shared -Wl,-soname,libsym.so.0 \
		-Wl,--version-script=libsym/libsym.map -o $@ $(LIB_OBJ) $(LDFLAGS) \
		$(shell pkg-config --libs jansson)
	@ln -sf libsym.so.0 $(B)/libsym.so

$(B)/libsym.a: $(LIB_OBJ)
	@rm -f $@ && $(AR) rcs $@ $^

# symctl carries the library inside, so that it runs from the build tree.
$(B)/symctl: $(CTL_OBJ) $(B)/libsym.a \
		$(addprefix $(B)/symmod/,modinfo.o unpack.o repo.o folders.o) $(B)/symbiotic/err.o
	@echo "  LD      $@"
	@$(CC) $(CFLAGS) -o $@ $^ $(LDFLAGS) $(shell pkg-config --libs jansson $(MOD_PKGS))

$(B)/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC      $<"
	@$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(B)/%.o: %.S
	@mkdir -p $(@D)
	@echo "  AS      $<"
	@$(CC) $(CFLAGS) -c -o $@ $<

# The guest's DSDT: written in ASL, compiled by iasl to a C array.
$(B)/gen/dsdt.h: vmm/boot/dsdt.asl
	@mkdir -p $(@D)
	@echo "  IASL    $<"
	@iasl -ve -tc -p $(B)/gen/dsdt $< >/dev/null
	@mv $(B)/gen/dsdt.hex $@
$(B)/vmm/boot/acpi.o: $(B)/gen/dsdt.h

$(B)/tests/unit/test_%: $(B)/tests/unit/test_%.o $(UNIT_LIB) $(B)/libvmm.a $(B)/libsymhost.a $(B)/libsym.a
	@echo "  LD      $@"
	@$(CC) $(CFLAGS) -o $@ $^ $(LDFLAGS) $(PKG_LIBS) -lcmocka

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

# Set-up, each quick when there is nothing to do.
host-build:
	@scripts/setup-host --check build
deps:
	@scripts/setup-host build
host-test:
	@scripts/setup-host build test rig
guest: host-test
	@scripts/fetch-guest

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
	@tests/run-fuzz virtio 45
	@tests/run-fuzz sym 30
	@tests/run-fuzz frames 10

lint: guest
	@$(MAKE) --no-print-directory $(B)/gen/dsdt.h $(B)/libsymhost.a
	@tests/run-lint "$(filter-out -Werror -fstack-protector-strong,$(ALL_CFLAGS))" \
		$(VMM_SRC) $(SYM_SRC) $(LIB_SRC) $(CTL_SRC) $(SVC_SRC)
	@echo "lint   guest modules: W=1, sparse"
	@SPARSE=1 scripts/build-modules >/dev/null

TINY_ATTACKS := $(B)/tests/tiny/hostile $(B)/tests/tiny/owner
tiny: host-test all
	@$(MAKE) --no-print-directory $(B)/tests/tiny/test_host_ops \
		$(B)/tests/tiny/test_symcall $(B)/embed/embed $(TINY_ATTACKS)
	@tests/tiny/run

modules: guest
	@scripts/build-modules

SYSTEM_BITS := $(B)/tests/services/stress.so $(addprefix $(B)/tests/system/,tapfd dnsd) \
	$(addprefix $(B)/tests/guest/,regcheck symvalue valueshare ctxswitch kexec swaptorture swapload \
		windowhog udpports walkrace) \
	$(B)/tests/symvmm-garbage
system: modules all
	@$(MAKE) --no-print-directory $(SYSTEM_BITS)
	@tests/run-system

test: export WERROR := -Werror
test: modules all
	@$(MAKE) --no-print-directory $(SYSTEM_BITS)
	@tests/run-all

demo: modules all
	@$(MAKE) --no-print-directory $(B)/tests/guest/swapload
	@tests/demo

bench-swap: modules all
	@$(MAKE) --no-print-directory $(B)/tests/guest/swapload
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

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/pkgconfig \
		$(DESTDIR)$(PREFIX)/include/symkit $(DESTDIR)$(PREFIX)/share/man/man1 \
		$(DESTDIR)$(PREFIX)/share/man/man3
	install -m 755 $(B)/symvmm $(B)/symctl $(DESTDIR)$(PREFIX)/bin
	install -m 755 $(B)/libsym.so.0 $(DESTDIR)$(PREFIX)/lib
	ln -sf libsym.so.0 $(DESTDIR)$(PREFIX)/lib/libsym.so
	install -d $(DESTDIR)$(PREFIX)/include/sym $(DESTDIR)$(PREFIX)/lib/symkit/services \
		$(DESTDIR)$(PREFIX)/lib/symkit/modules
	install -m 644 symbiotic/include/sym/*.h $(DESTDIR)$(PREFIX)/include/sym
	install -m 644 $(B)/libsymhost.a $(DESTDIR)$(PREFIX)/lib
	for module in $(wildcard $(addprefix $(B)/modules/*/,symbiotic.ko symswap.ko symexample.ko \
		Module.symvers)); do \
		dir=$${module%/*} && install -D -m 644 $$module \
		$(DESTDIR)$(PREFIX)/lib/symkit/modules/$${dir##*/}/$${module##*/} || exit; done
	install -m 755 $(SVC) $(DESTDIR)$(PREFIX)/lib/symkit/services
	install -m 644 libsym/include/symkit/*.h $(DESTDIR)$(PREFIX)/include/symkit
	install -D -m 644 guest-modules/include/symkit/kernel.h \
		$(DESTDIR)$(PREFIX)/share/symkit/include/symkit/kernel.h
	install -D -m 644 symbiotic/include/sym/abi.h \
		$(DESTDIR)$(PREFIX)/share/symkit/include/sym/abi.h
	install -D -m 644 guest-modules/example/symexample.c \
		$(DESTDIR)$(PREFIX)/share/symkit/module/symexample.c
	install -D -m 644 examples/services/hello.c $(DESTDIR)$(PREFIX)/share/symkit/service/hello.c
	install -m 644 packaging/service.mk $(DESTDIR)$(PREFIX)/share/symkit/service/Makefile
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system
	set -e; for pair in libsym/libsym.pc:lib/pkgconfig/libsym.pc \
		symbiotic/libsymhost.pc:lib/pkgconfig/libsymhost.pc \
		packaging/symvmm@.service:lib/systemd/system/symvmm@.service \
		packaging/module.mk:share/symkit/module/Makefile; do \
		sed -e 's|@PREFIX@|$(PREFIX)|g' -e 's|@VERSION@|$(VERSION)|g' $${pair%:*}.in \
		>$(DESTDIR)$(PREFIX)/$${pair#*:}; done
	install -D -m 644 packaging/symctl.bash \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions/symctl
	ln -sf symctl $(DESTDIR)$(PREFIX)/share/bash-completion/completions/symvmm
	for page in $(MAN); do install -m 644 $$page \
		$(DESTDIR)$(PREFIX)/share/man/man$${page##*.}; done

# What install would put there, and the folders that are symkit's alone.
uninstall:
	stage=$$(mktemp -d) && $(MAKE) -s install DESTDIR=$$stage && \
		(cd $$stage && find . ! -type d -print0) | (cd "$(DESTDIR)/" && xargs -0 rm -f) && \
		rm -rf $$stage
	-find $(DESTDIR)$(PREFIX)/lib/symkit $(DESTDIR)$(PREFIX)/share/symkit $(DESTDIR)$(PREFIX)/include/sym \
		$(DESTDIR)$(PREFIX)/include/symkit -depth -type d -empty -delete

clean:
	rm -rf $(B)

help:
	@echo "make            build symvmm, symctl and libsym (in build/)"
	@echo "make deps       install the packages that this needs"
	@echo "make demo       set everything up and boot a Debian guest"
	@echo "make test       set everything up and run every test"
	@echo "make bench      figures, in build/bench.json; \"make bench swap\" those of swapping"
	@echo "make modules    the guest's kernel modules, for the kernels in the cache"
	@echo "make unit, fuzz, lint, tiny, system"
	@echo "                parts of the tests"
	@echo "make guest      only the set-up: packages, guest kernels and images"
	@echo "make install, uninstall"
	@echo "                DESTDIR= PREFIX=/usr/local"
	@echo "make sanitizers the unit tests under ASan with UBSan, and under TSan"
	@echo "make clean      remove build/ (the guests' cache stays)"

-include $(shell find $(B) -name '*.d' 2>/dev/null)
.SECONDARY:
.PHONY: all modules deps host-build host-test guest unit fuzz lint tiny system test demo bench bench-swap swap install uninstall sanitizers unit-programs clean help
