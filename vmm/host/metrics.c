// SPDX-License-Identifier: BSD-2-Clause
/*
 * The registry of a VM's counters and gauges, and its two renderings.  Families
 * are kept together, as the Prometheus text format demands, however their
 * members were registered.
 */
#include "host/metrics.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct metric {
	struct metric *next;
	char *labels; /* NULL: none */
	const uint64_t *value; /* NULL: get() returns it */
	uint64_t (*get)(void *arg);
	void *arg;
};

struct family {
	struct family *next;
	const char *name;
	const char *help;
	bool is_gauge;
	struct metric *metrics;
	struct metric **tail;
};

struct metrics {
	const char *vm;
	struct family *families;
	struct family **tail;
};

int metrics_create(const char *vm, struct metrics **out)
{
	struct metrics *m = calloc(1, sizeof(*m));

	if (!m)
		return -ENOMEM;
	m->vm = vm;
	m->tail = &m->families;
	*out = m;
	return 0;
}

void metrics_destroy(struct metrics *m)
{
	struct family *family;
	struct metric *metric;

	if (!m)
		return;
	while ((family = m->families)) {
		m->families = family->next;
		while ((metric = family->metrics)) {
			family->metrics = metric->next;
			free(metric->labels);
			free(metric);
		}
		free(family);
	}
	free(m);
}

static struct family *family_get(struct metrics *m, const char *name, const char *help,
				 bool is_gauge)
{
	struct family *family;

	for (family = m->families; family; family = family->next)
		if (!strcmp(family->name, name))
			return family;
	family = calloc(1, sizeof(*family));
	if (!family)
		return NULL;
	family->name = name;
	family->help = help;
	family->is_gauge = is_gauge;
	family->tail = &family->metrics;
	*m->tail = family;
	m->tail = &family->next;
	return family;
}

static int metric_add(struct metrics *m, const char *name, const char *help, const char *labels,
		      bool is_gauge, struct metric init)
{
	struct family *family = family_get(m, name, help, is_gauge);
	struct metric *metric = malloc(sizeof(*metric));

	if (!family || !metric)
		goto nomem;
	*metric = init;
	if (labels && *labels) {
		metric->labels = strdup(labels);
		if (!metric->labels)
			goto nomem;
	}
	*family->tail = metric;
	family->tail = &metric->next;
	return 0;
nomem:
	free(metric);
	return -ENOMEM;
}

int metrics_counter(struct metrics *m, const char *name, const char *help, const char *labels,
		    const uint64_t *value)
{
	return metric_add(m, name, help, labels, false, (struct metric){ .value = value });
}

int metrics_gauge(struct metrics *m, const char *name, const char *help, const char *labels,
		  uint64_t (*get)(void *arg), void *arg)
{
	return metric_add(m, name, help, labels, true, (struct metric){ .get = get, .arg = arg });
}

int metrics_counter_of(struct metrics *m, const char *name, const char *help, const char *labels,
		       uint64_t (*get)(void *arg), void *arg)
{
	return metric_add(m, name, help, labels, false,
			  (struct metric){ .get = get, .arg = arg });
}

static uint64_t metric_value(const struct metric *metric)
{
	if (metric->get)
		return metric->get(metric->arg);
	return __atomic_load_n(metric->value, __ATOMIC_RELAXED);
}

static const char *family_type(const struct family *family)
{
	return family->is_gauge ? "gauge" : "counter";
}

char *metrics_text(const struct metrics *m)
{
	const struct family *family;
	const struct metric *metric;
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return NULL;
	for (family = m->families; family; family = family->next) {
		if (!family->metrics)
			continue;
		fprintf(f, "# HELP symkit_%s %s\n", family->name, family->help);
		fprintf(f, "# TYPE symkit_%s %s\n", family->name, family_type(family));
		for (metric = family->metrics; metric; metric = metric->next) {
			fprintf(f, "symkit_%s{vm=\"%s\"", family->name, m->vm);
			if (metric->labels)
				fprintf(f, ",%s", metric->labels);
			fprintf(f, "} %" PRIu64 "\n", metric_value(metric));
		}
	}
	if (fclose(f)) {
		free(text);
		return NULL;
	}
	return text;
}

/* Copy a label's value, from behind its opening quote; returns what follows the closing one. */
static const char *label_value(const char *p, char *value, size_t size)
{
	size_t len = 0;

	for (; *p && *p != '"'; p++) {
		char c = *p;

		if (c == '\\' && p[1]) {
			c = *++p;
			if (c == 'n')
				c = '\n';
		}
		if (len + 1 < size)
			value[len++] = c;
	}
	value[len] = '\0';
	return *p ? p + 1 : p;
}

/* From Prometheus's text, k="v",k="v", to an object. */
static json_t *labels_json(const char *vm, const char *labels)
{
	json_t *object = json_pack("{s:s}", "vm", vm);
	const char *p = labels ? labels : "";

	while (object && *p) {
		const char *eq = strchr(p, '=');
		char key[64], value[256];

		if (!eq || eq[1] != '"' || eq - p >= (ptrdiff_t)sizeof(key))
			break;
		snprintf(key, sizeof(key), "%.*s", (int)(eq - p), p);
		p = label_value(eq + 2, value, sizeof(value));
		json_object_set_new(object, key, json_string(value));
		if (*p == ',')
			p++;
	}
	return object;
}

json_t *metrics_json(const struct metrics *m)
{
	json_t *array = json_array();
	const struct family *family;
	const struct metric *metric;
	char name[128];

	for (family = m->families; family; family = family->next) {
		snprintf(name, sizeof(name), "symkit_%s", family->name);
		for (metric = family->metrics; metric; metric = metric->next)
			json_array_append_new(
				array, json_pack("{s:s, s:o, s:s, s:I}", "name", name, "labels",
						 labels_json(m->vm, metric->labels), "type",
						 family_type(family), "value",
						 (json_int_t)metric_value(metric)));
	}
	return array;
}
