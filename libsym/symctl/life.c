// SPDX-License-Identifier: BSD-2-Clause
/*
 * symctl stop, pause, resume.
 */
#include <ctype.h>
#include <stdlib.h>

#include "ctl.h"

#define MAX_TIMEOUT_S 86400

static int set_timeout(struct ctl *ctl, const char *arg)
{
	char *end;
	double s = strtod(arg, &end);

	if (!isdigit((unsigned char)*arg) || *end || !(s >= 0.001 && s <= MAX_TIMEOUT_S))
		return ctl_usage(ctl, "--timeout %s: must be seconds, at most %d", arg,
				 MAX_TIMEOUT_S);
	ctl->timeout_ms = s * 1000;
	return 0;
}

static int set_force(struct ctl *ctl, const char *arg)
{
	ctl->force = true;
	return 0;
}

const struct ctl_option stop_options[] = {
	{ "timeout", "S", "seconds to wait for the guest (60)", set_timeout },
	{ "force", NULL, "stop it by force after that time", set_force },
	{ .name = NULL },
};

static int print_stopped(struct ctl *ctl, bool forced, const char *text)
{
	json_t *event = text ? json_loads(text, 0, NULL) : NULL;
	const char *reason =
		json_string_value(json_object_get(json_object_get(event, "data"), "reason"));
	int ret = 0;

	if (ctl->json) {
		ret = ctl_print_json(json_pack("{s:s, s:s, s:b, s:O?}", "name", ctl->name,
					       "state", "stopped", "forced", forced, "event",
					       event));
	} else {
		printf("%s: stopped (", ctl->name);
		ctl_print_text(stdout, reason ? reason : "its process has ended");
		printf(")\n");
	}
	json_decref(event);
	return ret;
}

int cmd_stop(struct ctl *ctl)
{
	struct sym_stop_opts opts = {
		.size = sizeof(opts),
		.timeout_ms = ctl->timeout_ms,
		.force = ctl->force,
	};
	struct sym_conn *conn = ctl_open(ctl);
	char *event = NULL;
	int ret;

	if (!conn)
		return 1;
	ret = sym_vm_stop(conn, &opts, &event);
	if (ret < 0 && !ctl->force)
		ctl_error("%s: %s (use --force to stop it)", ctl->name, sym_conn_error(conn));
	else if (ret < 0)
		ctl_error("%s: %s", ctl->name, sym_conn_error(conn));
	sym_close(conn);
	ret = ret < 0 ? 1 : print_stopped(ctl, ret == 1, event);
	free(event);
	return ret;
}

static int change_state(struct ctl *ctl, int (*change)(struct sym_conn *conn), const char *state)
{
	struct sym_conn *conn = ctl_open(ctl);

	if (!conn)
		return 1;
	if (change(conn))
		return ctl_failed(ctl, conn);
	sym_close(conn);
	if (ctl->json)
		return ctl_print_json(json_pack("{s:s, s:s}", "name", ctl->name, "state", state));
	return 0;
}

int cmd_pause(struct ctl *ctl)
{
	return change_state(ctl, sym_vm_pause, "paused");
}

int cmd_resume(struct ctl *ctl)
{
	return change_state(ctl, sym_vm_resume, "running");
}
