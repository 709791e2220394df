// SPDX-License-Identifier: BSD-2-Clause
/*
 * symctl swapbypass: the memory that a guest may swap to.
 */
#include <stdlib.h>
#include <string.h>

#include "ctl.h"

#define ANSWER_MS 150000 /* level off is a swapoff in the guest: two minutes at most */

static void print_bytes(const char *label, json_int_t bytes)
{
	if (bytes % (1 << 20))
		printf("%-10s %" JSON_INTEGER_FORMAT "K\n", label, bytes >> 10);
	else
		printf("%-10s %" JSON_INTEGER_FORMAT "M\n", label, bytes >> 20);
}

static void print_line(const char *label, const char *text)
{
	printf("%-10s ", label);
	ctl_print_text(stdout, text);
	putchar('\n');
}

/* Optional text fields. */
static void print_texts(const json_t *json)
{
	static const char *const keys[] = { "reason", "note" };

	for (int i = 0; i < 2; i++) {
		const char *text = json_string_value(json_object_get(json, keys[i]));

		if (text && *text)
			print_line(keys[i], text);
	}
}

static void print_stat(const json_t *json)
{
	static const char *const figures[] = { "slots",	 "used",  "mapped", "cold",
					       "idle",	 "held",  "maps",   "restores",
					       "passed", "reads", "writes", "exits" };

	print_line("level", ctl_string(json, "level"));
	if (strcmp(ctl_string(json, "level"), ctl_string(json, "wanted")))
		print_line("wanted", ctl_string(json, "wanted"));
	print_texts(json);
	print_bytes("size", ctl_integer(json, "size"));
	print_bytes("limit", ctl_integer(json, "limit"));
	print_bytes("lent", ctl_integer(json, "lent"));
	print_bytes("returned", ctl_integer(json, "idle_returned"));
	for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++)
		if (json_object_get(json, figures[i]))
			printf("%-10s %" JSON_INTEGER_FORMAT "\n", figures[i],
			       ctl_integer(json, figures[i]));
}

static void print_change(const json_t *json)
{
	print_line("wanted", ctl_string(json, "wanted"));
	if (json_object_get(json, "level"))
		print_line("level", ctl_string(json, "level"));
	print_bytes("limit", ctl_integer(json, "limit"));
	if (json_object_get(json, "punched"))
		print_bytes("punched", ctl_integer(json, "punched"));
	print_texts(json);
}

static void print_reclaimed(const json_t *json)
{
	print_bytes("punched", ctl_integer(json, "punched"));
	print_bytes("evicted", ctl_integer(json, "evicted"));
	print_texts(json);
}

static const struct action {
	const char *word;
	bool takes_size;
	void (*print)(const json_t *json);
} actions[] = {
	{ "on", false, print_change },	 { "device", false, print_change },
	{ "off", false, print_change },	 { "stat", false, print_stat },
	{ "limit", true, print_change }, { "reclaim", true, print_reclaimed },
};

/* A lower level than wanted is accepted; the opposite of on or off is a failure. */
static int status_of(const json_t *json)
{
	const char *level = json_string_value(json_object_get(json, "level"));

	return level && !strcmp(level, "off") != !strcmp(ctl_string(json, "wanted"), "off");
}

static int run(struct ctl *ctl, const struct action *action)
{
	json_t *params = json_pack("{s:s}", "action", action->word), *result;
	struct sym_conn *conn;
	char *text, *answer;
	int ret;

	if (action->takes_size)
		json_object_set_new(params, "size", json_string(ctl->args[2]));
	text = json_dumps(params, 0);
	json_decref(params);
	ctl->open.timeout_ms = ANSWER_MS;
	conn = ctl_open(ctl);
	ret = conn ? sym_call_method(conn, "swapbypass", text, &answer) : 0;
	free(text);
	if (!conn)
		return 1;
	if (ret)
		return ctl_failed(ctl, conn);
	sym_close(conn);
	result = json_loads(answer, 0, NULL);
	free(answer);
	ret = action->print == print_change ? status_of(result) : 0;
	if (ctl->json)
		return ctl_print_json(result) | ret;
	action->print(result);
	json_decref(result);
	return ret;
}

int cmd_swapbypass(struct ctl *ctl)
{
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
		if (strcmp(actions[i].word, ctl->args[0]))
			continue;
		if (actions[i].takes_size && ctl->nr_args < 3)
			return ctl_usage(ctl, "%s: which size?", actions[i].word);
		if (!actions[i].takes_size && ctl->nr_args > 2)
			return ctl_usage(ctl, "'%s' is one argument too many", ctl->args[2]);
		ctl->name = ctl->args[1];
		return run(ctl, &actions[i]);
	}
	return ctl_usage(ctl, "'%s': on, device, off, stat, limit or reclaim", ctl->args[0]);
}
