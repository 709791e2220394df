// SPDX-License-Identifier: BSD-2-Clause
/*
 * symctl metrics: of one VM, or of all that are alive as one text for Prometheus.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"

static int set_all(struct ctl *ctl, const char *arg)
{
	ctl->all = true;
	return 0;
}

const struct ctl_option metrics_options[] = {
	{ "all", NULL, "of all VMs that are alive, without NAME", set_all },
	{ .name = NULL },
};

/*
 * Put @text's lines into @families, an object of arrays of lines by the family's name: the
 * format requires all lines of a family together, and its two comments once.
 */
static void merge(json_t *families, char *text)
{
	static const char help[] = "# HELP ";
	json_t *family = NULL;
	bool known = false;
	char *line, name[128];

	while ((line = strsep(&text, "\n"))) {
		if (!strncmp(line, help, strlen(help))) {
			const char *word = line + strlen(help);

			snprintf(name, sizeof(name), "%.*s", (int)strcspn(word, " "), word);
			family = json_object_get(families, name);
			known = family;
			if (!known) {
				family = json_array();
				json_object_set_new(families, name, family);
			}
		}
		if (*line && !(known && *line == '#'))
			json_array_append_new(family, json_string(line));
	}
}

static void print_families(const json_t *families)
{
	json_t *family, *line;
	const char *name;
	size_t i;

	json_object_foreach((json_t *)families, name, family)
		json_array_foreach(family, i, line)
			puts(json_string_value(line));
}

/* The metrics of the VM ctl->name, malloc'ed; NULL after a message. */
static char *get(struct ctl *ctl)
{
	struct sym_conn *conn = ctl_open(ctl);
	char *text;

	if (!conn)
		return NULL;
	if (sym_metrics(conn, ctl->json ? SYM_METRICS_JSON : SYM_METRICS_PROMETHEUS, &text)) {
		ctl_failed(ctl, conn);
		return NULL;
	}
	sym_close(conn);
	return text;
}

/* If one VM does not answer, report it and print the others. */
static int metrics_of_all(struct ctl *ctl)
{
	json_t *all = ctl->json ? json_array() : json_object(), *json;
	int ret = 0;
	char **names, *text;

	if (sym_list(&ctl->open, &names, NULL)) {
		json_decref(all);
		return ctl_error("%s", sym_conn_error(NULL));
	}
	for (char **n = names; *n; n++) {
		ctl->name = *n;
		text = get(ctl);
		if (!text) {
			ret = 1;
			continue;
		}
		if (ctl->json) {
			json = json_loads(text, 0, NULL);
			json_array_extend(all, json);
			json_decref(json);
		} else {
			merge(all, text);
		}
		free(text);
	}
	sym_list_free(names);
	if (ctl->json)
		return ctl_print_json(all) | ret;
	print_families(all);
	json_decref(all);
	return ret;
}

int cmd_metrics(struct ctl *ctl)
{
	char *text;

	if (ctl->all && ctl->nr_args)
		return ctl_usage(ctl, "'%s': --all takes no name", ctl->args[0]);
	if (ctl->all)
		return metrics_of_all(ctl);
	if (!ctl->nr_args)
		return ctl_usage(ctl, "which VM?  ('symctl list' names those that are alive)");
	ctl->name = ctl->args[0];
	text = get(ctl);
	if (!text)
		return 1;
	if (ctl->json)
		ctl_print_json(json_loads(text, 0, NULL));
	else
		fputs(text, stdout);
	free(text);
	return 0;
}
