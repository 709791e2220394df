// SPDX-License-Identifier: BSD-2-Clause
/*
 * The typed calls that describe, stop and pause a VM.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

#define STOP_TIMEOUT_MS 60000
#define KILL_TIMEOUT_MS 15000 /* the VMM's own work: closing files, freeing memory */

struct info_box {
	struct sym_info info;
	json_t *root; /* owns the strings */
};

static const char *string_field(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static json_int_t int_field(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

int sym_vm_info(struct sym_conn *conn, struct sym_info **info)
{
	struct info_box *box;
	json_t *root;
	int ret;

	ret = sym__call(conn, "info", NULL, &root);
	if (ret)
		return ret;
	box = calloc(1, sizeof(*box));
	if (!box) {
		json_decref(root);
		return sym__fail(conn, -ENOMEM, "out of memory");
	}
	box->root = root;
	box->info = (struct sym_info){
		.size = sizeof(box->info),
		.name = string_field(root, "name"),
		.uuid = string_field(root, "uuid"),
		.state = string_field(root, "state"),
		.pid = int_field(root, "pid"),
		.cpus = int_field(root, "cpus"),
		.memory = int_field(root, "memory"),
		.kernel = string_field(root, "kernel"),
		.initrd = string_field(root, "initrd"),
		.cmdline = string_field(root, "cmdline"),
		.nr_disks = json_array_size(json_object_get(root, "disks")),
		.nr_nets = json_array_size(json_object_get(root, "nets")),
		.boots = int_field(root, "boots"),
		.uptime_s = json_number_value(json_object_get(root, "uptime_s")),
	};
	if (!box->info.name || !box->info.uuid || !box->info.state) {
		sym_info_free(&box->info);
		/* cppcheck-suppress memleak ; the box was freed */
		return sym__fail(conn, -EPROTO, "VM '%s' sent an incomplete description",
				 conn->name);
	}
	*info = &box->info;
	return 0;
}

void sym_info_free(struct sym_info *info)
{
	struct info_box *box = (struct info_box *)info;

	if (!box)
		return;
	json_decref(box->root);
	free(box);
}

int sym_vm_pause(struct sym_conn *conn)
{
	return sym__call(conn, "pause", NULL, NULL);
}

int sym_vm_resume(struct sym_conn *conn)
{
	return sym__call(conn, "resume", NULL, NULL);
}

/* Use a separate connection to wait: the caller's may not be subscribed to events. */
static int open_watch(struct sym_conn *conn, struct sym_conn **watch)
{
	struct sym_open_opts opts = {
		.size = sizeof(opts),
		.runtime = conn->runtime,
		.timeout_ms = conn->timeout_ms,
	};
	int ret = sym_open(conn->name, &opts, watch);

	if (ret)
		return sym__fail(conn, ret, "%s", sym_conn_error(NULL));
	ret = sym_events_subscribe(*watch, NULL);
	if (ret) {
		sym__fail(conn, ret, "%s", (*watch)->error);
		sym_close(*watch);
	}
	return ret;
}

int sym_vm_gone(struct sym_conn *conn)
{
	int free = sym__name_free(conn->runtime, conn->name);

	if (free == 1)
		return 0;
	if (free < 0)
		return sym__fail(conn, free, "%s", sym_conn_error(NULL));
	return sym__fail(conn, -ECONNABORTED,
			 "the connection was lost, but a VM named '%s' is running", conn->name);
}

/*
 * Wait until the connection ends: the VMM keeps it open until the VM's name is free.
 * @event gets the "stopped" event if it comes; without it, the name must be free.
 */
static int wait_gone(struct sym_conn *watch, unsigned int timeout_ms, char **event)
{
	int64_t deadline = sym__deadline(timeout_ms);
	char *text;
	int ret;

	while (!(ret = sym__late(watch, deadline))) {
		json_t *json;

		ret = sym_events_next(watch, sym__left(deadline), &text);
		if (ret == -EPIPE)
			return *event ? 0 : sym_vm_gone(watch);
		if (ret)
			break;
		json = json_loads(text, 0, NULL);
		if (!*event && string_field(json, "event") &&
		    !strcmp(string_field(json, "event"), "stopped"))
			*event = text;
		else
			free(text);
		json_decref(json);
	}
	return ret;
}

static int kill_and_wait(struct sym_conn *conn, struct sym_conn *watch, char **event)
{
	int ret = sym__call(watch, "kill", NULL, NULL);

	if (ret && ret != -EPIPE)
		return sym__fail(conn, ret, "%s", watch->error);
	ret = wait_gone(watch, KILL_TIMEOUT_MS, event);
	if (ret == -ETIMEDOUT)
		sym__fail(conn, ret, "VM '%s' did not stop, even by force", conn->name);
	else if (ret)
		sym__fail(conn, ret, "%s", watch->error);
	return ret;
}

static bool same_vm(struct sym_conn *conn, const char *uuid)
{
	struct sym_info *info = NULL;
	bool same;

	if (sym_vm_info(conn, &info) || !info)
		return false;
	same = !strcmp(info->uuid, uuid);
	sym_info_free(info);
	return same;
}

/* Force it after the guest did not shut down; the connection may be lost by now. */
static int force(struct sym_conn *conn, struct sym_conn **watch, const char *uuid, char **event)
{
	int ret;

	sym__clear_error(conn);
	if ((*watch)->ended) {
		sym_close(*watch);
		*watch = NULL;
		ret = open_watch(conn, watch);
		if (ret == -ENOENT || (!ret && !same_vm(*watch, uuid)))
			return 0; /* it has ended; another VM may have its name by now */
		if (ret)
			return ret;
	}
	ret = kill_and_wait(conn, *watch, event);
	return ret ? ret : 1;
}

static void hand_over(char *text, char **event)
{
	if (event)
		*event = text;
	else
		free(text);
}

int sym_vm_stop(struct sym_conn *conn, const struct sym_stop_opts *opts, char **event)
{
	struct sym_stop_opts known = { .size = sizeof(known) };
	struct sym_info *info = NULL;
	struct sym_conn *watch;
	char *stopped = NULL;
	int ret;

	sym__clear_error(conn);
	ret = sym__opts(&known, opts);
	if (ret)
		return sym__fail(conn, ret,
				 "sym_vm_stop: options that this library does not know");
	if (!known.timeout_ms)
		known.timeout_ms = STOP_TIMEOUT_MS;
	ret = open_watch(conn, &watch);
	if (ret)
		return ret;
	ret = sym_vm_info(watch, &info);
	if (!ret)
		ret = sym__call(watch, "stop", NULL, NULL);
	if (!ret || ret == -EPIPE) /* it has ended already: its events can still be read */
		ret = wait_gone(watch, known.timeout_ms, &stopped);
	if (ret == -ETIMEDOUT)
		sym__fail(conn, ret, "the guest did not shut down within %u.%u s",
			  known.timeout_ms / 1000, known.timeout_ms % 1000 / 100);
	else if (ret)
		sym__fail(conn, ret, "%s", watch->error);
	if (ret && known.force)
		ret = force(conn, &watch, info ? info->uuid : "", &stopped);
	sym_info_free(info);
	sym_close(watch);
	hand_over(stopped, event);
	return ret;
}

int sym_vm_kill(struct sym_conn *conn, char **event)
{
	struct sym_conn *watch;
	char *stopped = NULL;
	int ret;

	sym__clear_error(conn);
	ret = open_watch(conn, &watch);
	if (ret)
		return ret;
	ret = kill_and_wait(conn, watch, &stopped);
	sym_close(watch);
	hand_over(stopped, event);
	return ret;
}

int sym_metrics(struct sym_conn *conn, enum sym_metrics_format format, char **text)
{
	bool want_json = format == SYM_METRICS_JSON;
	json_t *result, *value;
	int ret;

	ret = sym__call(conn, "metrics",
			json_pack("{s:s}", "format", want_json ? "json" : "prometheus"), &result);
	if (ret)
		return ret;
	value = json_object_get(result, want_json ? "metrics" : "text");
	if (want_json)
		*text = value ? json_dumps(value, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
	else
		*text = json_is_string(value) ? strdup(json_string_value(value)) : NULL;
	json_decref(result);
	return *text ? 0 : sym__fail(conn, -EPROTO, "VM '%s' sent no metrics", conn->name);
}
