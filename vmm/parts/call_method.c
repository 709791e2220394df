// SPDX-License-Identifier: BSD-2-Clause
/*
 * The method call: an upcall for a client of the socket.  The loop starts it, and answers when
 * it has ended; many may be in flight.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/control.h"
#include "control/work.h"
#include "parts/interface.h"
#include "parts/sym_json.h"
#include "sym/host.h"

#define DEADLINE_MAX_MS 60000

struct call_job {
	struct part_vm *vm;
	struct work_job *work;
	struct sym_call call;
	char handler[SYM_NAME_LEN];
	unsigned int vcpu;
	uint8_t payload[SYM_CALL_PAYLOAD];
	uint8_t reply[SYM_CALL_PAYLOAD];
};

static int parse_arg(const json_t *value, uint64_t *out)
{
	const char *text = json_string_value(value);
	char *end;

	if (json_is_integer(value)) {
		*out = json_integer_value(value);
		return 0;
	}
	if (!text || !*text || strspn(text, "-0123456789abcdefxABCDEFX") != strlen(text))
		return -EINVAL;
	errno = 0;
	*out = strtoull(text, &end, 0);
	return *end || errno ? -EINVAL : 0;
}

static int parse_args(const json_t *args, struct call_job *job, struct err *err)
{
	const json_t *value;
	size_t i;

	if (args && !json_is_array(args))
		return err_set(err, -EINVAL, "parameter 'args' must be an array");
	if (json_array_size(args) > SYM_CALL_ARGS)
		return err_set(err, -EINVAL, "parameter 'args': %d at most", SYM_CALL_ARGS);
	json_array_foreach(args, i, value)
		if (parse_arg(value, &job->call.arg[i]))
			return err_set(err, -EINVAL,
				       "parameter 'args' must be integers, or strings of one");
	return 0;
}

/* An integer from @min to @max; @out is unchanged if there is none. */
static int parse_number(const json_t *params, const char *key, json_int_t min, json_int_t max,
			uint32_t *out, struct err *err)
{
	const json_t *value = json_object_get(params, key);

	if (!value)
		return 0;
	if (!json_is_integer(value) || json_integer_value(value) < min ||
	    json_integer_value(value) > max)
		return err_set(err, -EINVAL, "parameter '%s' must be from %lld to %lld", key,
			       (long long)min, (long long)max);
	*out = json_integer_value(value);
	return 0;
}

static int parse_payload(const json_t *value, struct call_job *job, struct err *err)
{
	size_t len = json_string_length(value);

	if (!value)
		return 0;
	if (!json_is_string(value) || len > sizeof(job->payload))
		return err_set(err, -EINVAL,
			       "parameter 'payload' must be a string of at most %u bytes",
			       SYM_CALL_PAYLOAD);
	memcpy(job->payload, json_string_value(value), len);
	job->call.payload_len = len;
	return 0;
}

static int parse(const json_t *params, struct call_job *job, struct err *err)
{
	const char *name = json_string_value(json_object_get(params, "handler"));
	const json_t *context = json_object_get(params, "context");
	int ret;

	if (!name || !*name || strlen(name) >= sizeof(job->handler))
		return err_set(err, -EINVAL,
			       "parameter 'handler' must be a name of at most %d bytes",
			       SYM_NAME_LEN - 1);
	strcpy(job->handler, name);
	if (context) {
		job->call.context = json_is_string(context) ?
					    sym_context_find(json_string_value(context)) :
					    0;
		if (!job->call.context)
			return err_set(err, -EINVAL,
				       "parameter 'context' must be \"interrupt\", "
				       "\"thread\" or \"kick\"");
	}
	if (job->call.context == SYM_CONTEXT_EXIT)
		return err_set(
			err, -EPERM,
			"context exit: only a service can call there, from an exit's hook");
	ret = parse_args(json_object_get(params, "args"), job, err);
	if (!ret)
		ret = parse_number(params, "vcpu", 0, job->vm->nr_vcpus - 1, &job->vcpu, err);
	if (!ret)
		ret = parse_number(params, "deadline_ms", 1, DEADLINE_MAX_MS,
				   &job->call.deadline_ms, err);
	return ret ? ret : parse_payload(json_object_get(params, "payload"), job, err);
}

static void contexts_text(uint32_t contexts, char *buf, size_t size)
{
	size_t len = 0;

	*buf = '\0';
	for (uint32_t bit = 1; bit <= SYM_CONTEXT_THREAD && len < size; bit <<= 1)
		if (contexts & bit)
			len += snprintf(buf + len, size - len, "%s%s", len ? ", " : "",
					sym_context_name(bit));
}

static int refused_context(const struct call_job *job, const struct sym_item_handler *handler,
			   struct err *err)
{
	char text[64];

	contexts_text(handler->contexts, text, sizeof(text));
	return err_set(err, -EPERM, "handler '%s' may not be called in context %s, only in: %s",
		       job->handler,
		       job->call.context ? sym_context_name(job->call.context) : "interrupt",
		       *text ? text : "none");
}

static int explain(const struct call_job *job, int ret, struct err *err)
{
	const char *text = sym_call_strerror(ret);

	switch (ret) {
	case -ENODEV:
		if (!sym_generation(job->vm->sym))
			return err_set(err, ret, "%s", text);
		return err_set(err, ret, "the guest is not ready: vCPU %u has not registered",
			       job->vcpu);
	case -ENOSYS:
		return err_set(err, ret, "the guest has no handler '%s'", job->handler);
	case -ETIMEDOUT:
		return err_set(err, ret,
			       "handler '%s' did not return within %u ms; the call was abandoned",
			       job->handler, job->call.deadline_ms);
	default:
		if (text)
			return err_set(err, ret, "vCPU %u: %s", job->vcpu, text);
		return err_set(err, ret, "handler '%s' failed: %s", job->handler, strerror(-ret));
	}
}

static json_t *answer(const struct sym_call *call)
{
	json_t *results = json_array();
	json_t *json = json_pack("{s:o}", "results", results);

	for (int i = 0; i < SYM_CALL_RESULTS; i++)
		json_array_append_new(results, sym_json_number(call->value[i]));
	if (call->reply_len) {
		json_object_set_new(json, "payload", sym_json_text(call->reply, call->reply_len));
		json_object_set_new(json, "payload_hex",
				    sym_json_hex(call->reply, call->reply_len));
	}
	return json;
}

/* Find the handler, and check that it may be called in this context. */
static int find(struct call_job *job, struct err *err)
{
	uint32_t wanted = job->call.context ? job->call.context :
					      SYM_CONTEXT_INTERRUPT | SYM_CONTEXT_THREAD;
	struct sym_item_handler handler;
	int ret = sym_handler_find(job->vm->sym, job->handler, &handler);

	if (ret)
		return explain(job, ret, err);
	if (!(handler.contexts & wanted))
		return refused_context(job, &handler, err);
	job->call.handler = handler.number;
	return 0;
}

/* Any thread. */
static void on_done(void *arg, struct sym_call *call)
{
	struct call_job *job = arg;

	work_complete(job->vm->work, job->work);
}

/* The loop's thread. */
static int finish(void *arg, json_t **result, struct err *err)
{
	struct call_job *job = arg;
	int status = job->call.status;

	if (status)
		return explain(job, status > 0 ? -EIO : status, err);
	if (job->call.reply_len > sizeof(job->reply))
		job->call.reply_len = sizeof(job->reply);
	*result = answer(&job->call);
	return 0;
}

static struct call_job *job_new(struct part_vm *vm)
{
	struct call_job *job = calloc(1, sizeof(*job));

	if (!job)
		return NULL;
	job->vm = vm;
	job->call = (struct sym_call){
		.deadline_ms = SYM_CALL_DEADLINE_MS,
		.payload = job->payload,
		.reply = job->reply,
		.reply_max = sizeof(job->reply),
		.done = on_done,
		.arg_done = job,
	};
	return job;
}

int interface_method_call(struct control_call *call)
{
	struct part_vm *vm = call->arg;
	struct call_job *job;
	int ret = interface_offered(vm, &call->err);

	if (ret)
		return ret;
	job = job_new(vm);
	if (!job)
		return -ENOMEM;
	ret = parse(call->params, job, &call->err);
	if (!ret)
		ret = find(job, &call->err);
	if (ret) {
		free(job);
		return ret;
	}
	job->work = work_defer(vm->work, call, finish, job, free);
	if (!job->work)
		return -ENOMEM;
	if (sym_call_async(vm->sym, job->vcpu, &job->call))
		on_done(job, &job->call);
	return CONTROL_LATER;
}
