# SPDX-License-Identifier: BSD-2-Clause
# symkit: `make` builds, `make help` lists the rest.

B	:= build
CFLAGS	?= -O2 -g
PREFIX	?= /usr/local
LIBDIR	?= $(PREFIX)/lib
# SymMod's libraries, for programs that read modules: symctl too.
MOD_PKGS := libelf liblzma libzstd zlib
PKGS	:= jansson libconfig slirp libseccomp libxxhash liburing $(MOD_PKGS)
VERSION	:= 0.1.0

# Warnings are errors under "make test", by WERROR; other compilers have other warnings.
# libseccomp's macros do not initialize all fields.
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
MAN	:= $(wildcard man/*.[13])

PROGS	:= $(B)/symvmm $(B)/symctl $(B)/libsym.so.0 $(SVC)

all: host-build
	@$(MAKE) --no-print-directory $(PROGS)

# Everything of the VMM but main(), for symvmm, the tests and the fuzzers.
$(B)/libvmm.a: $(filter-out $(B)/vmm/cli/main.o,$(VMM_OBJ))
	@rm -f $@ && $(AR) rcs $@ $^

# The symbiotic interface's host side, for this VMM and for others.
# One object for each part, so that a VMM that embeds it sees only names with our prefixes,
# and needs the libraries of SymMod only for SymMod.
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

# Services call symvmm itself; only the listed symbols are exported.
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

# symctl links the library statically, so that it runs from the build tree.
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

# Set-up, each quick when there is nothing to do.
host-build:
	@scripts/setup-host --check build
deps:
	@scripts/setup-host build deb
host-test:
	@scripts/setup-host build test rig
guest: host-test
	@scripts/fetch-guest

modules: guest
	@scripts/build-modules

demo: export SYMKIT_KERNELS ?= 6.1
demo: modules all
	@$(MAKE) --no-print-directory $(B)/tests/guest/swapload
	@tests/demo

include tests/tests.mk

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(LIBDIR)/pkgconfig \
		$(DESTDIR)$(PREFIX)/include/symkit $(DESTDIR)$(PREFIX)/share/man/man1 \
		$(DESTDIR)$(PREFIX)/share/man/man3
	install -m 755 $(B)/symvmm $(B)/symctl $(DESTDIR)$(PREFIX)/bin
	install -m 755 $(B)/libsym.so.0 $(DESTDIR)$(LIBDIR)
	ln -sf libsym.so.0 $(DESTDIR)$(LIBDIR)/libsym.so
	install -d $(DESTDIR)$(PREFIX)/include/sym $(DESTDIR)$(PREFIX)/lib/symkit/services \
		$(DESTDIR)$(PREFIX)/lib/symkit/modules
	install -m 644 symbiotic/include/sym/*.h $(DESTDIR)$(PREFIX)/include/sym
	install -m 644 $(B)/libsymhost.a $(DESTDIR)$(LIBDIR)
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
	set -e; for pair in libsym/libsym.pc:$(LIBDIR)/pkgconfig/libsym.pc \
		symbiotic/libsymhost.pc:$(LIBDIR)/pkgconfig/libsymhost.pc \
		packaging/symvmm@.service:$(PREFIX)/lib/systemd/system/symvmm@.service \
		packaging/module.mk:$(PREFIX)/share/symkit/module/Makefile; do \
		sed -e 's|@PREFIX@|$(PREFIX)|g' -e 's|@LIBDIR@|$(LIBDIR)|g' \
		-e 's|@VERSION@|$(VERSION)|g' $${pair%:*}.in >$(DESTDIR)$${pair#*:}; done
	install -D -m 644 packaging/symctl.bash \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions/symctl
	ln -sf symctl $(DESTDIR)$(PREFIX)/share/bash-completion/completions/symvmm
	for page in $(MAN); do install -m 644 $$page \
		$(DESTDIR)$(PREFIX)/share/man/man$${page##*.}; done

# Files that install would write, and folders that only symkit uses.
uninstall:
	stage=$$(mktemp -d) && $(MAKE) -s install DESTDIR=$$stage && \
		(cd $$stage && find . ! -type d -print0) | (cd "$(DESTDIR)/" && xargs -0 rm -f) && \
		rm -rf $$stage
	-find $(DESTDIR)$(PREFIX)/lib/symkit $(DESTDIR)$(PREFIX)/share/symkit $(DESTDIR)$(PREFIX)/include/sym \
		$(DESTDIR)$(PREFIX)/include/symkit -depth -type d -empty -delete

# Debian packages, in build/deb, from a copy of the tree: dpkg-buildpackage writes beside it.
deb: host-build
	@scripts/setup-host --check deb
	@rm -rf $(B)/deb && mkdir -p $(B)/deb/symkit-$(VERSION)
	@tar -c --exclude=./$(B) --exclude=./.git . | tar -x -C $(B)/deb/symkit-$(VERSION)
	@cd $(B)/deb/symkit-$(VERSION) && dpkg-buildpackage -us -uc -b >../log 2>&1 || { tail -n 30 ../log; exit 1; }
	@rm -r $(B)/deb/symkit-$(VERSION)
	@ls $(B)/deb/*.deb

clean:
	rm -rf $(B)

help:
	@echo "make            build symvmm, symctl and libsym (in build/)"
	@echo "make deps       install the packages that this needs"
	@echo "make demo       set everything up and boot a Debian guest"
	@echo "make test       set everything up and run every test"
	@echo "make bench      figures, in build/bench.json; \"make bench swap\" those of swapping"
	@echo "make deb        Debian packages, in build/deb"
	@echo "make modules    the guest's kernel modules, for the kernels in the cache"
	@echo "make unit, fuzz, lint, tiny, system"
	@echo "                parts of the tests"
	@echo "make guest      only the set-up: packages, guest kernels and images"
	@echo "make install, uninstall"
	@echo "                DESTDIR= PREFIX=/usr/local"
	@echo "make sanitizers the unit tests under ASan with UBSan, and under TSan"
	@echo "make clean      remove build/ (the guests' cache stays)"

-include $(shell find $(B) -path '$(B)/packages.*' -prune -o -name '*.d' -print 2>/dev/null)
.SECONDARY:
.PHONY: all modules deb deps host-build host-test guest unit fuzz lint tiny system test demo bench bench-swap swap install uninstall sanitizers unit-programs clean help
