# SPDX-License-Identifier: BSD-2-Clause
# symkit: `make` builds, `make help` lists the rest.

B	:= build
CC	?= gcc
CFLAGS	?= -O2 -g
PKGS	:= jansson libconfig slirp libseccomp libelf libxxhash
VERSION	:= 0.1.0

ALL_CFLAGS = -std=gnu11 -Wall -Wextra -Werror -Wno-unused-parameter -Wstrict-prototypes \
	-Wmissing-prototypes -Wshadow -Wvla -fvisibility=hidden -fPIC -fstack-protector-strong \
	-D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DSYMKIT_VERSION='"$(VERSION)"' -pthread \
	-Ivmm -Isymbiotic/include -Ilibsym/include -I$(B)/gen \
	$(shell pkg-config --cflags $(PKGS) 2>/dev/null) $(CFLAGS)
LIBS	= $(shell pkg-config --libs $(PKGS) 2>/dev/null) -pthread

VMM_SRC	:= $(wildcard vmm/*/*.c)
VMM_OBJ	:= $(VMM_SRC:%.c=$(B)/%.o)
LIB_SRC	:= $(wildcard libsym/*.c)
LIB_OBJ	:= $(LIB_SRC:%.c=$(B)/%.o)
CTL_SRC	:= $(wildcard libsym/symctl/*.c)
CTL_OBJ	:= $(CTL_SRC:%.c=$(B)/%.o)

all: $(B)/symvmm

# Everything of the VMM but main(), for symvmm, the tests and the fuzzers.
$(B)/libvmm.a: $(filter-out $(B)/vmm/cli/main.o,$(VMM_OBJ))
	rm -f $@ && $(AR) rcs $@ $^

$(B)/symvmm: $(B)/vmm/cli/main.o $(B)/libvmm.a
	$(CC) $(CFLAGS) -o $@ $^ $(LDFLAGS) $(LIBS)

$(B)/libsym.so.0: $(LIB_OBJ) libsym/libsym.map
	$(CC) $(CFLAGS) -shared -Wl,-soname,libsym.so.0 -Wl,--version-script=libsym/libsym.map \
		-o $@ $(LIB_OBJ) $(LDFLAGS) $(shell pkg-config --libs jansson)
	ln -sf libsym.so.0 $(B)/libsym.so

$(B)/libsym.a: $(LIB_OBJ)
	rm -f $@ && $(AR) rcs $@ $^

# symctl carries the library inside, so that it runs from the build tree.
$(B)/symctl: $(CTL_OBJ) $(B)/libsym.a
	$(CC) $(CFLAGS) -o $@ $^ $(LDFLAGS) $(shell pkg-config --libs jansson)

$(B)/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC      $<"
	@$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# The guest's DSDT: written in ASL, compiled by iasl to a C array.
$(B)/gen/dsdt.h: vmm/boot/dsdt.asl
	@mkdir -p $(@D)
	iasl -ve -tc -p $(B)/gen/dsdt $< >/dev/null
	mv $(B)/gen/dsdt.hex $@
$(B)/vmm/boot/acpi.o: $(B)/gen/dsdt.h

clean:
	rm -rf $(B)

-include $(shell find $(B) -name '*.d' 2>/dev/null)
.PHONY: all clean
