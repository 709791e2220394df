/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * symctl: declarations shared by its commands.  A command is a row of the table in main.c;
 * its options are a table too, so that --help is always correct.
 */
#ifndef SYMCTL_CTL_H
#define SYMCTL_CTL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include <symkit/sym.h>

#define CTL_USAGE 2 /* exit status for a mistake on the command line */

struct ctl_command;

/* One run of symctl, as given on the command line. */
struct ctl {
	const struct ctl_command *command;
	const char *name; /* the VM, if the command takes one */
	struct sym_open_opts open;
	bool json;
	bool history;
	bool force;
	bool all;
	unsigned int timeout_ms; /* 0: the default */
	char **args; /* those after the VM's name */
	int nr_args;
	double watch_s; /* 0: once */
	struct sym_upcall upcall;
	const char *modules; /* NULL: the default */
};

struct ctl_option {
	const char *name; /* NULL ends a table */
	const char *arg; /* its argument's name in --help; NULL: a flag */
	const char *help;
	int (*set)(struct ctl *ctl, const char *arg); /* 0, or CTL_USAGE after a message */
};

struct ctl_command {
	const char *name; /* NULL ends the table */
	bool takes_vm;
	const char *help;
	const char *more; /* for its own --help; may be NULL */
	const struct ctl_option *options; /* beside the common ones; may be NULL */
	int (*run)(struct ctl *ctl); /* the exit status */
	const char *args; /* their names in --help; NULL: none */
	int min_args;
	int max_args;
};

/* The commands (one file per group). */
int cmd_list(struct ctl *ctl);
int cmd_info(struct ctl *ctl);
int cmd_console(struct ctl *ctl);
int cmd_stop(struct ctl *ctl);
int cmd_pause(struct ctl *ctl);
int cmd_resume(struct ctl *ctl);
int cmd_events(struct ctl *ctl);
int cmd_metrics(struct ctl *ctl);
int cmd_spy(struct ctl *ctl);
int cmd_call(struct ctl *ctl);
int cmd_module(struct ctl *ctl);
int cmd_service(struct ctl *ctl);
int cmd_swapbypass(struct ctl *ctl);

extern const struct ctl_option console_options[];
extern const struct ctl_option stop_options[];
extern const struct ctl_option events_options[];
extern const struct ctl_option metrics_options[];
extern const struct ctl_option spy_options[];
extern const struct ctl_option call_options[];
extern const struct ctl_option module_options[];

/* set_history - for the options called --history. */
int set_history(struct ctl *ctl, const char *arg);

/* ctl_error - one line on stderr; returns 1.  ctl_usage - the same, returns CTL_USAGE. */
int ctl_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
int ctl_usage(const struct ctl *ctl, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * ctl_open - connect to the command's VM; NULL after a message, which names the VMs
 * that are alive if no VM has that name.
 */
struct sym_conn *ctl_open(struct ctl *ctl);
int ctl_open_failed(struct ctl *ctl, int code);

/* ctl_failed - say why the last call on @conn failed, and close it; returns 1. */
int ctl_failed(struct ctl *ctl, struct sym_conn *conn);

/* ctl_string, ctl_integer - a field of @json; "-" and 0 if it is missing. */
const char *ctl_string(const json_t *json, const char *key);
json_int_t ctl_integer(const json_t *json, const char *key);

/* ctl_print_json - print @json (taken over) on stdout, indented on a terminal. */
int ctl_print_json(json_t *json);

/*
 * ctl_print_text - print text from a VM without control characters: it may come from a
 * guest.
 */
void ctl_print_text(FILE *f, const char *text);

#endif
