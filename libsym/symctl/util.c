// SPDX-License-Identifier: BSD-2-Clause
/*
 * Messages, opening a VM, printing.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"

int ctl_error(const char *fmt, ...)
{
	char line[2048];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	fflush(stdout);
	fputs("symctl: ", stderr);
	ctl_print_text(stderr, line);
	fputc('\n', stderr);
	return 1;
}

int ctl_usage(const struct ctl *ctl, const char *fmt, ...)
{
	const char *command = ctl->command ? ctl->command->name : NULL;
	char line[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	ctl_error("%s%s%s (try 'symctl %s%s--help')", command ? command : "", command ? ": " : "",
		  line, command ? command : "", command ? " " : "");
	return CTL_USAGE;
}

int ctl_open_failed(struct ctl *ctl, int code)
{
	char line[1024] = "", **names, **n;
	size_t len = 0;
	char why[512];

	snprintf(why, sizeof(why), "%s", sym_conn_error(NULL));
	if (code != -ENOENT || sym_list(&ctl->open, &names, NULL))
		return ctl_error("%s", why);
	for (n = names; *n && len < sizeof(line) - SYM_NAME_MAX - 8; n++)
		len += snprintf(line + len, sizeof(line) - len, "%s%s", n == names ? "" : ", ",
				*n);
	if (*n)
		strcat(line, ", ...");
	sym_list_free(names);
	if (*line)
		return ctl_error("%s; alive: %s", why, line);
	return ctl_error("%s; no VM is alive", why);
}

struct sym_conn *ctl_open(struct ctl *ctl)
{
	struct sym_conn *conn;
	int ret = sym_open(ctl->name, &ctl->open, &conn);

	if (!ret)
		return conn;
	ctl_open_failed(ctl, ret);
	return NULL;
}

int ctl_failed(struct ctl *ctl, struct sym_conn *conn)
{
	ctl_error("%s: %s", ctl->name, sym_conn_error(conn));
	sym_close(conn);
	return 1;
}

const char *ctl_string(const json_t *json, const char *key)
{
	const char *text = json_string_value(json_object_get(json, key));

	return text ? text : "-";
}

json_int_t ctl_integer(const json_t *json, const char *key)
{
	return json_integer_value(json_object_get(json, key));
}

int ctl_print_json(json_t *json)
{
	size_t style = isatty(STDOUT_FILENO) ? JSON_INDENT(2) : JSON_COMPACT;
	int ret = json_dumpf(json, stdout,
			     style | JSON_ENSURE_ASCII | JSON_ENCODE_ANY |
				     JSON_REAL_PRECISION(16));

	json_decref(json);
	putchar('\n');
	return ret ? ctl_error("out of memory") : 0;
}

void ctl_print_text(FILE *f, const char *text)
{
	for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
		/* Control characters, including U+0080 to U+009F in UTF-8. */
		if (p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0) {
			fputc('?', f);
			p++;
		} else {
			fputc(*p < 0x20 || *p == 0x7f ? '?' : *p, f);
		}
	}
}

int set_history(struct ctl *ctl, const char *arg)
{
	ctl->history = true;
	return 0;
}
