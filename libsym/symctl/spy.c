// SPDX-License-Identifier: BSD-2-Clause
/*
 * symctl spy: print what the guest shows, once or repeatedly.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ctl.h"

#define MAX_WATCH_S 3600

static int set_watch(struct ctl *ctl, const char *arg)
{
	char *end;

	ctl->watch_s = arg ? strtod(arg, &end) : 1;
	if (arg && (!isdigit((unsigned char)*arg) || *end ||
		    !(ctl->watch_s >= 0.05 && ctl->watch_s <= MAX_WATCH_S)))
		return ctl_usage(ctl, "--watch %s: must be seconds, from 0.05 to %d", arg,
				 MAX_WATCH_S);
	return 0;
}

const struct ctl_option spy_options[] = {
	{ "watch", "[SECONDS]", "repeat every second, or every SECONDS", set_watch },
	{ .name = NULL },
};

static void print_words(const json_t *words)
{
	const json_t *word;
	size_t i;

	json_array_foreach(words, i, word) {
		if (i)
			putchar(',');
		ctl_print_text(stdout, json_string_value(word) ? json_string_value(word) : "?");
	}
	if (!json_array_size(words))
		putchar('-');
}

static void print_field(const char *label, const char *text)
{
	printf("%-11s ", label);
	ctl_print_text(stdout, text);
	putchar('\n');
}

static void print_memory(const json_t *memory)
{
	printf("%-11s total %lld M, available %lld M, free %lld M, cached %lld M\n", "memory",
	       ctl_integer(memory, "total") >> 20, ctl_integer(memory, "available") >> 20,
	       ctl_integer(memory, "free") >> 20, ctl_integer(memory, "cached") >> 20);
	printf("%-11s total %lld M, free %lld M\n", "swap",
	       ctl_integer(memory, "swap_total") >> 20, ctl_integer(memory, "swap_free") >> 20);
}

static void print_vcpus(const json_t *vcpus)
{
	const json_t *vcpu;
	size_t i;

	printf("\n%-5s %8s %8s %-16s %12s\n", "VCPU", "PID", "TGID", "COMMAND", "SWITCHES");
	json_array_foreach(vcpus, i, vcpu) {
		printf("%-5lld ", ctl_integer(vcpu, "vcpu"));
		if (json_object_get(vcpu, "error")) {
			printf("%8s %8s %s\n", "-", "-", ctl_string(vcpu, "error"));
			continue;
		}
		printf("%8lld %8lld ", ctl_integer(vcpu, "pid"), ctl_integer(vcpu, "tgid"));
		ctl_print_text(stdout, ctl_string(vcpu, "comm"));
		printf("%*s %12lld\n", (int)(16 - strnlen(ctl_string(vcpu, "comm"), 16)), "",
		       ctl_integer(vcpu, "switches"));
	}
}

static void print_handlers(const json_t *handlers)
{
	const json_t *handler;
	size_t i;

	json_array_foreach(handlers, i, handler) {
		printf("%-11s ", i ? "" : "handlers");
		ctl_print_text(stdout, ctl_string(handler, "name"));
		printf(" (");
		print_words(json_object_get(handler, "contexts"));
		printf(")\n");
	}
}

static void print_values(const json_t *values)
{
	const json_t *value;
	size_t i;

	json_array_foreach(values, i, value) {
		printf("%-11s ", i ? "" : "values");
		ctl_print_text(stdout, ctl_string(value, "name"));
		printf(" = ");
		if (json_object_get(value, "number"))
			printf("%lld", ctl_integer(value, "number"));
		else
			ctl_print_text(stdout, json_object_get(value, "text") ?
						       ctl_string(value, "text") :
						       ctl_string(value, "hex"));
		printf(" (");
		ctl_print_text(stdout, ctl_string(value, "program"));
		if (ctl_integer(value, "pid"))
			printf(", process %lld", ctl_integer(value, "pid"));
		printf(")\n");
	}
}

static void print_modules(const json_t *modules)
{
	const json_t *module;
	size_t i;

	printf("%-11s ", "modules");
	json_array_foreach(modules, i, module) {
		printf("%s", i ? ", " : "");
		ctl_print_text(stdout, ctl_string(module, "name"));
	}
	puts(json_array_size(modules) ? "" : "-");
}

static void print_spy(const json_t *spy)
{
	const json_t *kernel = json_object_get(spy, "kernel");

	if (!ctl_integer(spy, "generation")) {
		puts("no symbiotic module has registered in the guest");
		if (json_object_get(spy, "missing"))
			print_field("missing", ctl_string(spy, "missing"));
		return;
	}
	printf("%-11s %lld\n%-11s ", "generation", ctl_integer(spy, "generation"), "features");
	print_words(json_object_get(spy, "features"));
	putchar('\n');
	if (json_object_get(spy, "error")) {
		print_field("error", ctl_string(spy, "error"));
	} else {
		print_field("kernel", ctl_string(kernel, "release"));
		if (json_is_object(json_object_get(spy, "memory")))
			print_memory(json_object_get(spy, "memory"));
		print_modules(json_object_get(spy, "modules"));
		print_handlers(json_object_get(spy, "handlers"));
		print_values(json_object_get(spy, "values"));
	}
	print_vcpus(json_object_get(spy, "vcpus"));
}

static int show(struct ctl *ctl, char *text)
{
	json_t *spy;

	if (ctl->json && ctl->watch_s > 0) {
		puts(text);
		return 0;
	}
	spy = json_loads(text, 0, NULL);
	if (ctl->json)
		return ctl_print_json(spy);
	if (ctl->watch_s > 0 && isatty(STDOUT_FILENO))
		printf("\033[H\033[J");
	print_spy(spy);
	if (ctl->watch_s > 0 && !isatty(STDOUT_FILENO))
		putchar('\n');
	json_decref(spy);
	return 0;
}

int cmd_spy(struct ctl *ctl)
{
	struct timespec pause = {
		.tv_sec = ctl->watch_s,
		.tv_nsec = (ctl->watch_s - (time_t)ctl->watch_s) * 1e9,
	};
	struct sym_conn *conn = ctl_open(ctl);
	char *text;
	int ret;

	if (!conn)
		return 1;
	do {
		if (sym_spy(conn, &text))
			return ctl_failed(ctl, conn);
		ret = show(ctl, text);
		free(text);
		if (fflush(stdout))
			break;
	} while (!ret && ctl->watch_s > 0 && !nanosleep(&pause, NULL));
	sym_close(conn);
	return ret;
}
