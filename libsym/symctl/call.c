// SPDX-License-Identifier: BSD-2-Clause
/*
 * symctl call: call a handler in the guest.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

#include "ctl.h"

#define MAX_DEADLINE_MS 60000

static int parse_number(const char *text, uint64_t *out)
{
	char *end;

	errno = 0;
	*out = strtoull(text, &end, 0);
	return !isdigit((unsigned char)*text) || *end || errno ? -EINVAL : 0;
}

static int set_vcpu(struct ctl *ctl, const char *arg)
{
	uint64_t n;

	if (parse_number(arg, &n) || n > 1023)
		return ctl_usage(ctl, "--vcpu %s: must be the number of a vCPU", arg);
	ctl->upcall.vcpu = n;
	return 0;
}

static int set_context(struct ctl *ctl, const char *arg)
{
	ctl->upcall.context = arg;
	return 0;
}

static int set_deadline(struct ctl *ctl, const char *arg)
{
	uint64_t n;

	if (parse_number(arg, &n) || !n || n > MAX_DEADLINE_MS)
		return ctl_usage(ctl, "--deadline %s: must be milliseconds, at most %d", arg,
				 MAX_DEADLINE_MS);
	ctl->upcall.deadline_ms = n;
	return 0;
}

static int set_payload(struct ctl *ctl, const char *arg)
{
	ctl->upcall.payload = arg;
	return 0;
}

const struct ctl_option call_options[] = {
	{ "vcpu", "N", "the vCPU to run it on (0)", set_vcpu },
	{ "context", "C", "interrupt, thread or kick", set_context },
	{ "deadline", "MS", "milliseconds to wait for it to return (1000)", set_deadline },
	{ "payload", "TEXT", "bytes to pass in addition to the arguments", set_payload },
	{ .name = NULL },
};

static void print_result(const json_t *result)
{
	const json_t *value;
	size_t i;

	json_array_foreach(json_object_get(result, "results"), i, value) {
		printf("%s", i ? " " : "");
		ctl_print_text(stdout, json_string_value(value) ? json_string_value(value) : "?");
	}
	putchar('\n');
	if (json_object_get(result, "payload")) {
		ctl_print_text(stdout, ctl_string(result, "payload"));
		putchar('\n');
	}
}

int cmd_call(struct ctl *ctl)
{
	struct sym_conn *conn;
	json_t *result;
	char *text;

	ctl->upcall.handler = ctl->args[0];
	for (int i = 1; i < ctl->nr_args; i++)
		if (parse_number(ctl->args[i], &ctl->upcall.args[i - 1]))
			return ctl_usage(ctl, "'%s' is not a 64-bit number", ctl->args[i]);
	conn = ctl_open(ctl);
	if (!conn)
		return 1;
	if (sym_upcall(conn, &ctl->upcall, &text))
		return ctl_failed(ctl, conn);
	sym_close(conn);
	result = json_loads(text, 0, NULL);
	free(text);
	if (ctl->json)
		return ctl_print_json(result);
	print_result(result);
	json_decref(result);
	return 0;
}
