/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The command line: main.c has the table of commands, options.c the one table of
 * settings that both the command line and the config file go through.
 */
#ifndef VMM_CLI_CLI_H
#define VMM_CLI_CLI_H

#include "core/config.h"
#include "core/err.h"

#define EXIT_USAGE 2

int cmd_run(int argc, char **argv);
int cmd_check(int argc, char **argv);

/*
 * process_prepare - before any file is opened: open closed standard descriptors as /dev/null,
 * ignore signals that would end the process needlessly, raise limits as far as allowed.
 * process_close_others - close inherited descriptors, except those that @config names.
 */
int process_prepare(struct err *err);
int process_close_others(const struct vm_config *config, struct err *err);

/*
 * setting_apply - set the option --@name (or the key @name) to @value.  @where names
 * the origin in messages: "--disk" or "vm.conf: disk".  -EINVAL with @err set.
 */
int setting_apply(struct vm_config *config, const char *name, const char *value,
		  const char *where, struct err *err);

/* settings_help - print the help of each option. */
void settings_help(void);

/*
 * options_parse - fill @config from argv: --config FILE first, wherever it is, then
 * the options in order.  Returns 0, 1 when --help was given and printed, or
 * -EINVAL (usage) with @err set, another -errno for an error in the config file.
 */
int options_parse(struct vm_config *config, int argc, char **argv, struct err *err);

/* config_file_read - apply every key of @path.  -errno with @err naming file and key. */
int config_file_read(struct vm_config *config, const char *path, struct err *err);

/* parse_* - whole-string parsers for the settings; -EINVAL with @err set. */
int parse_disk(const char *s, const char *where, struct disk_config *out, struct err *err);
int parse_net(const char *s, const char *where, struct net_config *out, struct err *err);
int parse_vsock(const char *s, const char *where, struct vm_config *out, struct err *err);

void vm_config_init(struct vm_config *config);
void vm_config_free(struct vm_config *config);

#endif
