// SPDX-License-Identifier: BSD-2-Clause
/*
 * symctl list, symctl info.
 */
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"

#define LIST_TIMEOUT_MS 2000 /* one VM that hangs must not hide the others */
#define ROW		"%8s %5s %8s %12s\n"

static const char *text_of(const json_t *json, const char *key)
{
	const char *text = json_string_value(json_object_get(json, key));

	return text ? text : "-";
}

static void print_size(char *buf, size_t size, json_int_t bytes)
{
	if (bytes % (1 << 30) == 0)
		snprintf(buf, size, "%" JSON_INTEGER_FORMAT "G", bytes >> 30);
	else if (bytes % (1 << 20) == 0)
		snprintf(buf, size, "%" JSON_INTEGER_FORMAT "M", bytes >> 20);
	else
		snprintf(buf, size, "%" JSON_INTEGER_FORMAT "K", bytes >> 10);
}

static void print_duration(char *buf, size_t size, double seconds)
{
	unsigned long long s = seconds > 0 ? seconds : 0;

	if (s >= 86400)
		snprintf(buf, size, "%llud %02llu:%02llu:%02llu", s / 86400, s / 3600 % 24,
			 s / 60 % 60, s % 60);
	else
		snprintf(buf, size, "%02llu:%02llu:%02llu", s / 3600, s / 60 % 60, s % 60);
}

/* The answer to "info", or an object with the VM's name and the error. */
static json_t *info_of(const struct ctl *ctl, const char *name)
{
	struct sym_open_opts opts = ctl->open;
	struct sym_conn *conn = NULL;
	char *text = NULL;
	json_t *info;

	opts.timeout_ms = LIST_TIMEOUT_MS;
	if (sym_open(name, &opts, &conn) || sym_call_method(conn, "info", NULL, &text))
		info = json_pack("{s:s, s:s, s:s}", "name", name, "state", "unknown", "error",
				 sym_conn_error(conn));
	else
		info = json_loads(text, 0, NULL);
	sym_close(conn);
	free(text);
	return info;
}

static void print_cell(const char *text, int width)
{
	ctl_print_text(stdout, text);
	printf("%*s", width + 1 - (int)strnlen(text, width), "");
}

static void list_row(const json_t *info)
{
	char memory[24] = "-", uptime[32] = "-", cpus[16] = "-", pid[16] = "-";

	if (json_object_get(info, "memory")) {
		print_size(memory, sizeof(memory),
			   json_integer_value(json_object_get(info, "memory")));
		print_duration(uptime, sizeof(uptime),
			       json_number_value(json_object_get(info, "uptime_s")));
		snprintf(cpus, sizeof(cpus), "%d",
			 (int)json_integer_value(json_object_get(info, "cpus")));
		snprintf(pid, sizeof(pid), "%d",
			 (int)json_integer_value(json_object_get(info, "pid")));
	}
	print_cell(text_of(info, "name"), 20);
	print_cell(text_of(info, "state"), 9);
	printf(ROW, pid, cpus, memory, uptime);
}

int cmd_list(struct ctl *ctl)
{
	json_t *list = json_array(), *info;
	char folder[PATH_MAX], **names;
	size_t i;

	if (sym_list(&ctl->open, &names, NULL))
		return ctl_error("%s", sym_conn_error(NULL));
	for (char **n = names; *n; n++)
		json_array_append_new(list, info_of(ctl, *n));
	sym_list_free(names);
	if (ctl->json)
		return ctl_print_json(list);
	if (json_array_size(list))
		printf("%-20s %-9s " ROW, "NAME", "STATE", "PID", "CPUS", "MEMORY", "UPTIME");
	else if (!sym_runtime_folder(&ctl->open, folder, sizeof(folder)))
		ctl_error("no VM in %s", folder); /* a note, not a failure */
	json_array_foreach(list, i, info)
		list_row(info);
	json_decref(list);
	return 0;
}

static void info_line(const char *label, const char *text)
{
	printf("%-9s ", label);
	ctl_print_text(stdout, text);
	putchar('\n');
}

static void print_disks(const json_t *disks)
{
	const json_t *disk;
	size_t i;

	json_array_foreach(disks, i, disk) {
		printf("%-9s ", i ? "" : "disks");
		ctl_print_text(stdout, text_of(disk, "path"));
		puts(json_is_true(json_object_get(disk, "readonly")) ? " (read-only)" : "");
	}
}

/* " VALUE", when there is one. */
static void print_word(const char *value)
{
	if (!*value)
		return;
	putchar(' ');
	ctl_print_text(stdout, value);
}

static void print_nets(const json_t *nets)
{
	const json_t *net, *fwd;
	size_t i, j;

	json_array_foreach(nets, i, net) {
		printf("%-9s %s", i ? "" : "nets", text_of(net, "kind"));
		print_word(text_of(net, "interface"));
		print_word(text_of(net, "path"));
		json_array_foreach(json_object_get(net, "forwards"), j, fwd)
			printf(", %s %s:%d to %d", text_of(fwd, "protocol"), text_of(fwd, "host"),
			       (int)json_integer_value(json_object_get(fwd, "host_port")),
			       (int)json_integer_value(json_object_get(fwd, "guest_port")));
		putchar('\n');
	}
}

int cmd_info(struct ctl *ctl)
{
	struct sym_conn *conn = ctl_open(ctl);
	char *text, buf[64];
	json_t *info;

	if (!conn)
		return 1;
	if (sym_call_method(conn, "info", NULL, &text))
		return ctl_failed(ctl, conn);
	sym_close(conn);
	info = json_loads(text, 0, NULL);
	free(text);
	if (ctl->json)
		return ctl_print_json(info);
	info_line("name", text_of(info, "name"));
	info_line("uuid", text_of(info, "uuid"));
	info_line("state", text_of(info, "state"));
	printf("%-9s %d\n", "process", (int)json_integer_value(json_object_get(info, "pid")));
	printf("%-9s %d\n", "cpus", (int)json_integer_value(json_object_get(info, "cpus")));
	print_size(buf, sizeof(buf), json_integer_value(json_object_get(info, "memory")));
	info_line("memory", buf);
	info_line("kernel", text_of(info, "kernel"));
	info_line("initrd", text_of(info, "initrd"));
	info_line("cmdline", text_of(info, "cmdline"));
	if (json_object_get(info, "symbiotic")) {
		snprintf(buf, sizeof(buf), "on, with the initrd: %s",
			 *text_of(info, "initrd_modules") ? text_of(info, "initrd_modules") :
							    "nothing");
		info_line("symbiotic",
			  json_is_true(json_object_get(info, "symbiotic")) ? buf : "off");
		if (*text_of(info, "missing"))
			info_line("missing", text_of(info, "missing"));
	}
	print_disks(json_object_get(info, "disks"));
	print_nets(json_object_get(info, "nets"));
	printf("%-9s %d\n", "boots", (int)json_integer_value(json_object_get(info, "boots")));
	print_duration(buf, sizeof(buf), json_number_value(json_object_get(info, "uptime_s")));
	info_line("uptime", buf);
	json_decref(info);
	return 0;
}
