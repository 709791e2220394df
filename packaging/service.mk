# SPDX-License-Identifier: BSD-2-Clause
# A service of symvmm, built against the installed symkit:
#   make && symvmm run ... --service ./hello.so
CFLAGS	?= -O2 -Wall

hello.so: hello.c
	$(CC) $(CFLAGS) -shared -fPIC $(shell pkg-config --cflags libsym) -o $@ $<

clean:
	rm -f hello.so
.PHONY: clean
