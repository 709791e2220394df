// SPDX-License-Identifier: BSD-2-Clause
/*
 * Settings: one table for the command line and the config file.  Values with a syntax of
 * their own are parsed in parse.c.
 */
#include <errno.h>
#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "core/layout.h"
#include "core/parse.h"
#include "sym/window.h"

enum setting_type { SETTING_TEXT, SETTING_SIZE, SETTING_SWITCH, SETTING_OTHER };

struct setting {
	const char *name;
	const char *value; /* its syntax, for the help */
	const char *help;
	enum setting_type type;
	size_t offset; /* of the field in struct vm_config: char *, uint64_t, bool */
	/* SETTING_OTHER: sets the value; others: checks the value after it is set, or NULL. */
	int (*fn)(struct vm_config *config, const char *value, const char *where,
		  struct err *err);
};

static int set_text(char **field, const char *value, struct err *err)
{
	char *copy = strdup(value);

	if (!copy)
		return err_set(err, -ENOMEM, "out of memory");
	free(*field);
	*field = copy;
	return 0;
}

static int set_switch(bool *field, const char *v, const char *where, struct err *err)
{
	if (!strcmp(v, "on") || !strcmp(v, "true") || !strcmp(v, "yes"))
		*field = true;
	else if (!strcmp(v, "off") || !strcmp(v, "false") || !strcmp(v, "no"))
		*field = false;
	else
		return err_set(err, -EINVAL, "%s %s: on or off", where, v);
	return 0;
}

static int check_console(struct vm_config *c, const char *v, const char *where, struct err *err)
{
	if (strcmp(v, "stdio") && strcmp(v, "socket") && strcmp(v, "off") &&
	    strncmp(v, "file:", 5))
		return err_set(err, -EINVAL, "%s %s: stdio, socket, off or file:PATH", where, v);
	return 0;
}

static int set_console_device(struct vm_config *c, const char *v, const char *where,
			      struct err *err)
{
	if (strcmp(v, "serial") && strcmp(v, "virtio"))
		return err_set(err, -EINVAL, "%s %s: serial or virtio", where, v);
	c->console_virtio = !strcmp(v, "virtio");
	return 0;
}

static int check_memory(struct vm_config *c, const char *v, const char *where, struct err *err)
{
	if (c->memory < RAM_MIN || c->memory > RAM_MAX)
		return err_set(err, -EINVAL, "%s %s: from %lluM to %lluG", where, v,
			       RAM_MIN / MiB, RAM_MAX / GiB);
	if (c->memory % (2 * MiB))
		return err_set(err, -EINVAL, "%s %s: not a multiple of 2M", where, v);
	return 0;
}

static int set_cpus(struct vm_config *c, const char *v, const char *where, struct err *err)
{
	char *end;
	unsigned long n = strtoul(v, &end, 10);

	if (*end || end == v || !n || n > VM_MAX_CPUS)
		return err_set(err, -EINVAL, "%s %s: a number from 1 to %d", where, v,
			       VM_MAX_CPUS);
	c->cpus = n;
	return 0;
}

static int check_user(struct vm_config *c, const char *v, const char *where, struct err *err)
{
	return *v ? 0 : err_set(err, -EINVAL, "%s: no user name", where);
}

static int add_disk(struct vm_config *c, const char *v, const char *where, struct err *err)
{
	if (c->nr_disks == CONFIG_MAX_DISKS)
		return err_set(err, -EINVAL, "%s %s: more than %d disks", where, v,
			       CONFIG_MAX_DISKS);
	return parse_disk(v, where, &c->disks[c->nr_disks++], err);
}

static int add_net(struct vm_config *c, const char *v, const char *where, struct err *err)
{
	if (c->nr_nets == CONFIG_MAX_NETS)
		return err_set(err, -EINVAL, "%s %s: more than %d network cards", where, v,
			       CONFIG_MAX_NETS);
	return parse_net(v, where, &c->nets[c->nr_nets++], err);
}

static int set_vsock(struct vm_config *c, const char *v, const char *where, struct err *err)
{
	return parse_vsock(v, where, c, err);
}

static int set_initrd_modules(struct vm_config *c, const char *v, const char *where,
			      struct err *err)
{
	return set_text(&c->initrd_modules, !strcmp(v, "none") ? "" : v, err);
}

static int add_service(struct vm_config *c, const char *v, const char *where, struct err *err)
{
	if (c->nr_services == CONFIG_MAX_SERVICES)
		return err_set(err, -EINVAL, "%s %s: more than %d services", where, v,
			       CONFIG_MAX_SERVICES);
	if (!*v || *v == ',')
		return err_set(err, -EINVAL, "%s %s: no file name", where, v);
	return set_text(&c->services[c->nr_services++], v, err);
}

static int check_window(struct vm_config *c, const char *v, const char *where, struct err *err)
{
	if (c->swapbypass < SYM_WINDOW_MIN || c->swapbypass > SYM_WINDOW_MAX ||
	    c->swapbypass % 4096)
		return err_set(err, -EINVAL, "%s %s: a multiple of 4096, from 1M to 1T", where,
			       v);
	return 0;
}

static int check_window_limit(struct vm_config *c, const char *v, const char *where,
			      struct err *err)
{
	if (!c->swapbypass_limit || c->swapbypass_limit % 4096)
		return err_set(err, -EINVAL, "%s %s: a multiple of 4096, and not 0", where, v);
	return 0;
}

static int check_window_file(struct vm_config *c, const char *v, const char *where,
			     struct err *err)
{
	return *v ? 0 : err_set(err, -EINVAL, "%s: no file name", where);
}

#define TEXT(field)   SETTING_TEXT, offsetof(struct vm_config, field)
#define SIZE(field)   SETTING_SIZE, offsetof(struct vm_config, field)
#define SWITCH(field) SETTING_SWITCH, offsetof(struct vm_config, field)
#define OTHER	      SETTING_OTHER, 0

static const struct setting settings[] = {
	{ "name", "NAME", "name of the VM (default: the process id)", TEXT(name) },
	{ "kernel", "FILE", "bzImage or vmlinux to boot", TEXT(kernel) },
	{ "initrd", "FILE", "initial RAM disk", TEXT(initrd) },
	{ "cmdline", "TEXT", "added to the kernel's command line", TEXT(cmdline) },
	{ "memory", "SIZE", "guest RAM, e.g. 512M (default) or 4G", SIZE(memory), check_memory },
	{ "cpus", "N", "vCPUs (default 1)", OTHER, set_cpus },
	{ "disk", "FILE[,ro][,format=raw][,serial=S][,notify=exit]", "raw image; may be repeated",
	  OTHER, add_disk },
	{ "net", "user[,hostfwd=tcp:PORT:PORT]|tap=IF|fd=N|unix=SOCKET",
	  "network card; [,mac=M]; may be repeated", OTHER, add_net },
	{ "rng", "on|off", "entropy device (default on)", SWITCH(rng) },
	{ "vsock", "CID[,path=SOCKET]", "vsock device", OTHER, set_vsock },
	{ "console", "stdio|socket|file:PATH|off", "serial console (default stdio)",
	  TEXT(console), check_console },
	{ "console-limit", "SIZE",
	  "maximum size of the log file of --console file:PATH (default 64M; 0: no limit)",
	  SIZE(console_limit) },
	{ "console-device", "serial|virtio", "the guest's device for it: ttyS0 (default) or hvc0",
	  OTHER, set_console_device },
	{ "symbiotic", "on|off", "symbiotic interface (default on)", SWITCH(symbiotic) },
	{ "modules", "DIR[:DIR...]", "where guest modules are, by kernel release",
	  TEXT(modules) },
	{ "initrd-modules", "LIST|none",
	  "guest modules to add to the initrd, e.g. symbiotic,symswap", OTHER,
	  set_initrd_modules },
	{ "swapbypass", "SIZE", "memory that the guest may swap to, e.g. 1G", SIZE(swapbypass),
	  check_window },
	{ "swapbypass-file", "FILE", "a file to keep that memory in (default: none)",
	  TEXT(swapbypass_file), check_window_file },
	{ "swapbypass-limit", "SIZE", "how much of it the guest may use (default: all)",
	  SIZE(swapbypass_limit), check_window_limit },
	{ "service", "FILE[,ARGS]", "load a service; may be repeated", OTHER, add_service },
	{ "seccomp", "on|off", "system call filter (default on)", SWITCH(seccomp) },
	{ "user", "NAME", "the user to become, when started as root", TEXT(user), check_user },
	{ "allow-interpreted", "on|off", "run even if KVM interprets kernel code",
	  SWITCH(interpreted_ok) },
};

#define NR_SETTINGS (sizeof(settings) / sizeof(settings[0]))

/* @value NULL: a switch without a value. */
static int apply(const struct setting *s, struct vm_config *config, const char *value,
		 const char *where, struct err *err)
{
	void *field = (char *)config + s->offset;
	int ret = 0;

	switch (s->type) {
	case SETTING_TEXT:
		ret = set_text(field, value, err);
		break;
	case SETTING_SIZE:
		ret = parse_size(value, where, field, err);
		break;
	case SETTING_SWITCH:
		ret = set_switch(field, value ? value : "on", where, err);
		break;
	case SETTING_OTHER:
		break;
	}
	return ret || !s->fn ? ret : s->fn(config, value, where, err);
}

int setting_apply(struct vm_config *config, const char *name, const char *value,
		  const char *where, struct err *err)
{
	for (unsigned int i = 0; i < NR_SETTINGS; i++)
		if (!strcmp(settings[i].name, name))
			return apply(&settings[i], config, value, where, err);
	return err_set(err, -EINVAL, "%s: unknown key", where);
}

void settings_help(void)
{
	for (unsigned int i = 0; i < NR_SETTINGS; i++)
		printf("  --%s %s\n        %s\n", settings[i].name, settings[i].value,
		       settings[i].help);
	printf("  --config FILE\n        read the same settings from FILE; options take "
	       "precedence\n");
}

/* There are no arguments but options and their values. */
static bool is_value(const char *word)
{
	return word[0] != '-';
}

/* Go through argv once: either for --config only, or for all others. */
static int walk(struct vm_config *config, int argc, char **argv, bool only_config,
		struct err *err)
{
	struct option opts[NR_SETTINGS + 3] = { 0 };
	char where[64];
	int c, index, ret;

	for (unsigned int i = 0; i < NR_SETTINGS; i++)
		opts[i] = (struct option){ settings[i].name,
					   settings[i].type == SETTING_SWITCH ?
						   optional_argument :
						   required_argument,
					   NULL, 1 };
	opts[NR_SETTINGS] = (struct option){ "config", required_argument, NULL, 'C' };
	opts[NR_SETTINGS + 1] = (struct option){ "help", no_argument, NULL, 'h' };
	optind = 1;
	opterr = 0;
	while ((c = getopt_long(argc, argv, ":h", opts, &index)) != -1) {
		ret = 0;
		if (c == 'h')
			return 1;
		if (c == ':')
			return err_set(err, -EINVAL, "%s: a value is missing", argv[optind - 1]);
		if (c == '?')
			return err_set(err, -EINVAL, "%s: unknown option (see symvmm run --help)",
				       argv[optind - 1]);
		if (c == 1 && only_config && !optarg && optind < argc && is_value(argv[optind]))
			optind++;
		if (c == 'C' && only_config)
			ret = config_file_read(config, optarg, err);
		if (c == 1 && !only_config) {
			const struct setting *s = &settings[index];

			/* A switch may have no value, or its value in the next word. */
			if (!optarg && optind < argc && is_value(argv[optind]))
				optarg = argv[optind++];
			snprintf(where, sizeof(where), "--%s", s->name);
			ret = apply(s, config, optarg, where, err);
		}
		if (ret)
			return ret;
	}
	if (optind < argc)
		return err_set(err, -EINVAL, "%s: unexpected argument", argv[optind]);
	return 0;
}

static int check_swapbypass(const struct vm_config *c, struct err *err)
{
	if (!c->swapbypass && (c->swapbypass_file || c->swapbypass_limit))
		return err_set(err, -EINVAL, "--swapbypass-%s: there is no --swapbypass",
			       c->swapbypass_file ? "file" : "limit");
	if (c->swapbypass && !c->symbiotic)
		return err_set(
			err, -EINVAL,
			"--swapbypass needs the symbiotic interface, but --symbiotic is off");
	if (c->swapbypass_limit > c->swapbypass)
		return err_set(err, -EINVAL,
			       "--swapbypass-limit %llu: more than --swapbypass, which is %llu",
			       (unsigned long long)c->swapbypass_limit,
			       (unsigned long long)c->swapbypass);
	return 0;
}

int options_parse(struct vm_config *config, int argc, char **argv, struct err *err)
{
	int ret = walk(config, argc, argv, true, err);

	if (!ret)
		ret = walk(config, argc, argv, false, err);
	if (!ret && !config->kernel)
		ret = err_set(err, -EINVAL, "--kernel FILE is missing");
	if (!ret)
		ret = check_swapbypass(config, err);
	if (!ret && !config->name) {
		char name[16];

		snprintf(name, sizeof(name), "vm%d", (int)getpid());
		ret = set_text(&config->name, name, err);
	}
	return ret;
}

void vm_config_init(struct vm_config *config)
{
	*config = (struct vm_config){
		.memory = 512 * MiB,
		.cpus = 1,
		.rng = true,
		.symbiotic = true,
		.seccomp = true,
		.console_limit = 64 * MiB,
		.console = strdup("stdio"),
	};
	for (unsigned int i = 0; i < CONFIG_MAX_NETS; i++)
		config->nets[i].fd = -1;
}

void vm_config_free(struct vm_config *config)
{
	free(config->name);
	free(config->user);
	free(config->kernel);
	free(config->initrd);
	free(config->cmdline);
	free(config->console);
	free(config->vsock_path);
	free(config->modules);
	free(config->initrd_modules);
	free(config->swapbypass_file);
	for (unsigned int i = 0; i < config->nr_services; i++)
		free(config->services[i]);
	for (unsigned int i = 0; i < config->nr_disks; i++)
		free(config->disks[i].path);
	for (unsigned int i = 0; i < config->nr_nets; i++)
		free(config->nets[i].path);
}
