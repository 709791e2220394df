// SPDX-License-Identifier: BSD-2-Clause
/*
 * The methods service and services; verbs run in the services' thread.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control/control.h"
#include "control/work.h"
#include "host/events.h"
#include "services/services.h"

#define MAX_ARGS   64
#define MAX_ANSWER (256 * 1024)

struct verb_job {
	struct sym_service_vm *service;
	const struct sym_service_verb *verb;
	int argc;
	char *argv[MAX_ARGS + 1];
};

static void job_drop(void *arg)
{
	struct verb_job *job = arg;

	for (int i = 0; i < job->argc; i++)
		free(job->argv[i]);
	free(job);
}

static int do_verb(void *arg, json_t **result, struct err *err)
{
	struct verb_job *job = arg;
	struct sym_service_vm *s = job->service;
	struct sym_service_answer answer;
	char *text = NULL;
	size_t len = 0;
	int ret;

	answer.f = open_memstream(&text, &len);
	if (!answer.f)
		return -ENOMEM;
	s->err = (struct err){ 0 };
	ret = job->verb->fn(s->state, job->argc, (const char *const *)job->argv, &answer);
	if (fclose(answer.f) || !text)
		ret = -ENOMEM;
	if (!ret && len > MAX_ANSWER)
		ret = err_set(err, -EMSGSIZE, "service %s: the answer is too long", s->ops->name);
	else if (ret)
		ret = err_set(err, ret < 0 ? ret : -EIO, "service %s: %s: %s", s->ops->name,
			      job->verb->name, s->err.code ? s->err.msg : strerror(abs(ret)));
	else
		*result = json_pack("{s:o}", "text", events_text(text));
	free(text);
	return ret;
}

static struct sym_service_vm *find(struct services *services, const char *name)
{
	for (unsigned int i = 0; services && i < services->nr; i++)
		if (!strcmp(services->list[i].ops->name, name))
			return &services->list[i];
	return NULL;
}

static const struct sym_service_verb *find_verb(const struct sym_service *ops, const char *name)
{
	for (const struct sym_service_verb *v = ops->verbs; v && v->name; v++)
		if (!strcmp(v->name, name))
			return v;
	return NULL;
}

static int take_args(struct verb_job *job, const json_t *args, struct err *err)
{
	const json_t *value;
	size_t i;

	if (args && (!json_is_array(args) || json_array_size(args) > MAX_ARGS))
		return err_set(err, -EINVAL, "parameter 'args' must be an array of at most %d",
			       MAX_ARGS);
	json_array_foreach(args, i, value) {
		if (!json_is_string(value))
			return err_set(err, -EINVAL, "parameter 'args': must be strings");
		job->argv[job->argc] = strdup(json_string_value(value));
		if (!job->argv[job->argc])
			return -ENOMEM;
		job->argc++;
	}
	return 0;
}

static int method_service(struct control_call *call)
{
	const char *name = json_string_value(json_object_get(call->params, "name"));
	const char *verb = json_string_value(json_object_get(call->params, "verb"));
	struct services *services = call->arg;
	struct verb_job *job;
	int ret;

	if (!name || !verb)
		return err_set(&call->err, -EINVAL,
			       "parameters 'name' and 'verb' must be strings");
	job = calloc(1, sizeof(*job));
	if (!job)
		return -ENOMEM;
	job->service = find(services, name);
	if (job->service)
		job->verb = find_verb(job->service->ops, verb);
	if (!job->service)
		ret = err_set(&call->err, -ENOENT, "no service '%.64s' is loaded", name);
	else if (!job->verb)
		ret = err_set(&call->err, -ENOSYS, "service %s has no verb '%.64s'", name, verb);
	else
		ret = take_args(job, json_object_get(call->params, "args"), &call->err);
	if (ret) {
		job_drop(job);
		return ret;
	}
	return work_call(services->work, call, do_verb, job, job_drop);
}

static json_t *verbs_json(const struct sym_service *ops)
{
	json_t *list = json_array();

	for (const struct sym_service_verb *v = ops->verbs; v && v->name; v++)
		json_array_append_new(list, json_pack("{s:s, s:o}", "name", v->name, "help",
						      events_text(v->help ? v->help : "")));
	return list;
}

static int method_services(struct control_call *call)
{
	struct services *services = call->arg;
	json_t *list = json_array();

	for (unsigned int i = 0; services && i < services->nr; i++) {
		const struct sym_service *ops = services->list[i].ops;

		json_array_append_new(list,
				      json_pack("{s:s, s:o, s:o}", "name", ops->name, "about",
						events_text(ops->about ? ops->about : ""),
						"verbs", verbs_json(ops)));
	}
	call->result = json_pack("{s:o}", "services", list);
	return call->result ? 0 : -ENOMEM;
}

static const char *const service_params[] = { "name", "verb", "args", NULL };

const struct control_method service_methods[] = {
	{ .name = "service", .params = service_params, .fn = method_service },
	{ .name = "services", .fn = method_services },
	{ .name = NULL },
};
