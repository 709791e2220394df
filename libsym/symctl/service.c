// SPDX-License-Identifier: BSD-2-Clause
/*
 * symctl service: list the VM's services, and run their verbs.
 */
#include <stdlib.h>
#include <string.h>

#include "ctl.h"

static int list_services(struct ctl *ctl, struct sym_conn *conn)
{
	const json_t *service, *verb;
	json_t *list;
	char *text;
	size_t i, j;

	if (sym_services(conn, &text))
		return ctl_failed(ctl, conn);
	sym_close(conn);
	list = json_loads(text, 0, NULL);
	free(text);
	if (ctl->json)
		return ctl_print_json(list);
	json_array_foreach(list, i, service) {
		printf("%-12s %s\n", ctl_string(service, "name"), ctl_string(service, "about"));
		json_array_foreach(json_object_get(service, "verbs"), j, verb)
			printf("  %-10s %s\n", ctl_string(verb, "name"),
			       ctl_string(verb, "help"));
	}
	json_decref(list);
	return 0;
}

/* A service's output may contain text from the guest: sanitize it line by line. */
static void print_lines(char *text)
{
	char *line;

	while ((line = strsep(&text, "\n"))) {
		if (!text && !*line)
			break;
		for (char *cell = strsep(&line, "\t"); cell; cell = strsep(&line, "\t")) {
			ctl_print_text(stdout, cell);
			if (line)
				putchar('\t');
		}
		putchar('\n');
	}
}

static int print_text(struct ctl *ctl, char *text)
{
	json_t *json;

	if (ctl->json) {
		json = json_loads(text, JSON_DECODE_ANY, NULL);
		return ctl_print_json(json ? json : json_string(text));
	}
	print_lines(text);
	return 0;
}

int cmd_service(struct ctl *ctl)
{
	const char *args[65] = { NULL };
	struct sym_conn *conn;
	char *text;
	int status;

	if (ctl->nr_args == 1)
		return ctl_usage(ctl, "%s: which verb?  ('symctl service %s' lists them)",
				 ctl->args[0], ctl->name);
	conn = ctl_open(ctl);
	if (!conn)
		return 1;
	if (!ctl->nr_args)
		return list_services(ctl, conn);
	for (int i = 2; i < ctl->nr_args; i++)
		args[i - 2] = ctl->args[i];
	if (sym_service_call(conn, ctl->args[0], ctl->args[1], args, &text))
		return ctl_failed(ctl, conn);
	sym_close(conn);
	status = print_text(ctl, text);
	free(text);
	return status;
}
