// SPDX-License-Identifier: BSD-2-Clause
/*
 * The methods spy and module_*.
 */
#include "parts/interface.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "boot/boot.h"
#include "control/control.h"
#include "control/work.h"
#include "host/events.h"
#include "parts/sym_json.h"
#include "sym/host.h"
#include "sym/symmod.h"

int interface_offered(const struct part_vm *vm, struct err *err)
{
	return vm->sym ? 0 : err_set(err, -ENOTSUP, "the VM was started with --symbiotic off");
}

static int method_spy(struct control_call *call)
{
	struct part_vm *vm = call->arg;
	int ret = interface_offered(vm, &call->err);

	if (ret)
		return ret;
	call->result = sym_json_spy(vm->sym, vm->nr_vcpus);
	if (call->result && !sym_generation(vm->sym) && vm->image && vm->image->missing[0])
		json_object_set_new(call->result, "missing", events_text(vm->image->missing));
	return call->result ? 0 : -ENOMEM;
}

static int method_module_list(struct control_call *call)
{
	struct part_vm *vm = call->arg;
	void *page = NULL;
	int ret = interface_offered(vm, &call->err);

	if (ret)
		return ret;
	page = malloc(SYM_SPY_GUEST_SIZE);
	ret = page ? sym_spy_read(vm->sym, page) : -ENOMEM;
	if (!ret)
		call->result = json_pack("{s:o}", "modules", sym_json_modules(page));
	free(page);
	if (ret == -ENODEV)
		return err_set(
			&call->err, ret,
			"the guest is not ready: no symbiotic module has registered there");
	if (ret == -EAGAIN || ret == -EPROTO)
		return err_set(&call->err, ret, "cannot read the guest's page: %s",
			       ret == -EAGAIN ? "the guest keeps writing it" :
						"its contents are not valid");
	return ret ? ret : call->result ? 0 : -ENOMEM;
}

/* A transfer, a load by name, or a removal. */
struct module_job {
	struct part_vm *vm;
	int fd; /* -1: not a transfer */
	char *text; /* parameters, or the name of the module to remove */
	char *name; /* of the module that the guest is to load */
};

static void job_drop(void *arg)
{
	struct module_job *job = arg;

	if (job->fd >= 0)
		close(job->fd);
	free(job->text);
	free(job->name);
	free(job);
}

static struct module_job *job_new(struct part_vm *vm, const char *text)
{
	struct module_job *job = calloc(1, sizeof(*job));

	if (job)
		*job = (struct module_job){ .vm = vm, .fd = -1, .text = strdup(text) };
	if (!job || job->text)
		return job;
	free(job);
	return NULL;
}

static int do_install(void *arg, json_t **result, struct err *err)
{
	struct module_job *job = arg;
	struct symmod_image image;
	struct sym_err why = { 0 };
	int ret = symmod_read(job->fd, "module", &image, &why);

	if (!ret) {
		ret = symmod_install(job->vm->sym, &image, job->text, &why);
		if (!ret)
			*result = json_pack("{s:s}", "name", image.name);
		symmod_free(&image);
	}
	return ret ? err_set(err, ret, "%s", why.text) : 0;
}

static int do_load(void *arg, json_t **result, struct err *err)
{
	struct module_job *job = arg;
	struct sym_err why = { 0 };
	int ret = symmod_load(job->vm->sym, job->name, job->text, &why);

	if (ret)
		return err_set(err, ret, "%s", why.text);
	*result = json_pack("{s:s}", "name", job->name);
	return 0;
}

/* The module comes as a file, or the guest has it and loads it by @name. */
static int check_source(struct control_call *call, const json_t *name)
{
	if (name && !json_is_string(name))
		return err_set(&call->err, -EINVAL, "parameter 'name' must be a string");
	if (name && call->fd >= 0)
		return err_set(&call->err, -EINVAL,
			       "parameter 'name' and a file descriptor cannot be combined");
	if (!name && call->fd < 0)
		return err_set(
			&call->err, -EBADF,
			"the request needs a module: "
			"a file descriptor, or the parameter 'name' for one of the guest's");
	return 0;
}

static int method_module_install(struct control_call *call)
{
	const json_t *params = json_object_get(call->params, "params");
	const json_t *name = json_object_get(call->params, "name");
	const char *text = params ? json_string_value(params) : "";
	struct part_vm *vm = call->arg;
	struct module_job *job;
	int ret = interface_offered(vm, &call->err);

	if (ret)
		return ret;
	if (!text)
		return err_set(&call->err, -EINVAL, "parameter 'params' must be a string");
	ret = check_source(call, name);
	if (ret)
		return ret;
	job = job_new(vm, text);
	if (!job)
		return -ENOMEM;
	if (name) {
		job->name = strdup(json_string_value(name));
		if (!job->name) {
			job_drop(job);
			return -ENOMEM;
		}
		return work_call(vm->work, call, do_load, job, job_drop);
	}
	job->fd = call->fd;
	call->fd = -1;
	return work_call(vm->work, call, do_install, job, job_drop);
}

static int do_remove(void *arg, json_t **result, struct err *err)
{
	struct module_job *job = arg;
	struct sym_err why = { 0 };
	int ret = symmod_remove(job->vm->sym, job->text, &why);

	return ret ? err_set(err, ret, "%s", why.text) : 0;
}

static int method_module_remove(struct control_call *call)
{
	const char *name = json_string_value(json_object_get(call->params, "name"));
	struct part_vm *vm = call->arg;
	struct module_job *job;
	int ret = interface_offered(vm, &call->err);

	if (ret)
		return ret;
	if (!name)
		return err_set(&call->err, -EINVAL, "parameter 'name' must be a string");
	job = job_new(vm, name);
	return job ? work_call(vm->work, call, do_remove, job, job_drop) : -ENOMEM;
}

static const char *const call_params[] = { "handler", "args",	     "payload", "vcpu",
					   "context", "deadline_ms", NULL };
static const char *const install_params[] = { "params", "name", NULL };
static const char *const remove_params[] = { "name", NULL };

const struct control_method interface_methods[] = {
	{ .name = "spy", .fn = method_spy },
	{ .name = "call", .params = call_params, .fn = interface_method_call },
	{ .name = "module_install", .params = install_params, .fn = method_module_install },
	{ .name = "module_list", .fn = method_module_list },
	{ .name = "module_remove", .params = remove_params, .fn = method_module_remove },
	{ .name = NULL },
};
