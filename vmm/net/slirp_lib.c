// SPDX-License-Identifier: BSD-2-Clause
#include "net/slirp_lib.h"

#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#define LIBRARY "libslirp.so.0"

#define FUNCTION(name)                                                                           \
	{                                                                                        \
#name, offsetof(struct slirp_lib, name)                                          \
	}

static const struct {
	const char *name;
	size_t offset;
} functions[] = {
	FUNCTION(slirp_new),
	FUNCTION(slirp_input),
	FUNCTION(slirp_pollfds_fill),
	FUNCTION(slirp_pollfds_poll),
	FUNCTION(slirp_add_hostfwd),
	FUNCTION(g_log_set_default_handler), /* of glib, which libslirp loads */
};

int slirp_lib_open(struct slirp_lib *lib, struct err *err)
{
	void *object = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);

	if (!object)
		return err_set(err, -ENOPKG, "--net user: %s", dlerror());
	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		void *symbol = dlsym(object, functions[i].name);

		if (!symbol)
			return err_set(err, -ENOPKG, "--net user: %s has no function %s", LIBRARY,
				       functions[i].name);
		memcpy((char *)lib + functions[i].offset, &symbol, sizeof(symbol));
	}
	return 0;
}
