// SPDX-License-Identifier: BSD-2-Clause
/*
 * Loading services, and calling them when the VM's state changes.  The changes come from the
 * VM's own event stream, in the order in which every subscriber gets them.
 */
#include "services/services.h"

#include <ctype.h>
#include <dlfcn.h>
#include <errno.h>
#include <jansson.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "control/work.h"
#include "core/loop.h"
#include "host/events.h"
#include "parts/part.h"
#include "sym/symmod.h"

static const struct {
	const char *event;
	enum sym_service_life what;
} lives[] = {
	{ "started", SYM_SERVICE_STARTED },	{ "reset", SYM_SERVICE_RESET },
	{ "paused", SYM_SERVICE_PAUSED },	{ "resumed", SYM_SERVICE_RESUMED },
	{ "stopped", SYM_SERVICE_STOPPED },	{ "symbiotic_ready", SYM_SERVICE_READY },
	{ "symbiotic_gone", SYM_SERVICE_GONE }, { "symbiotic_changed", SYM_SERVICE_CHANGED },
};

struct life_job {
	struct services *services;
	enum sym_service_life what;
};

static int notify_all(void *arg, json_t **result, struct err *err)
{
	const struct life_job *job = arg;

	for (unsigned int i = 0; i < job->services->nr; i++) {
		struct sym_service_vm *s = &job->services->list[i];

		if (s->ops->life)
			s->ops->life(s->state, job->what);
	}
	return 0;
}

static void on_event(void *arg, const json_t *event)
{
	const char *name = json_string_value(json_object_get(event, "event"));
	struct services *services = arg;

	for (size_t i = 0; i < sizeof(lives) / sizeof(lives[0]); i++) {
		struct life_job *job;

		if (strcmp(lives[i].event, name))
			continue;
		job = malloc(sizeof(*job));
		if (!job)
			return;
		*job = (struct life_job){ services, lives[i].what };
		if (work_post(services->work, notify_all, job, free)) {
			log_warn("services: too slow, the event '%s' is lost to them", name);
			free(job);
		}
	}
}

static bool name_ok(const char *name)
{
	size_t len = name ? strlen(name) : 0;

	if (!len || len > SERVICE_NAME_MAX)
		return false;
	for (; *name; name++)
		if (!isalnum((unsigned char)*name) && *name != '_' && *name != '-')
			return false;
	return true;
}

int service_check(const char *file, const struct sym_service *ops, struct err *err)
{
	if (ops->version != SYM_SERVICE_VERSION)
		return err_set(err, -EPROTO,
			       "service %s: needs version %u of the interface, this "
			       "symvmm has %u",
			       file, ops->version, SYM_SERVICE_VERSION);
	if (ops->size < sizeof(*ops))
		return err_set(err, -EPROTO, "service %s: struct sym_service is too short", file);
	for (uint32_t i = sizeof(*ops); i < ops->size && i < 4096; i++)
		if (((const uint8_t *)ops)[i])
			return err_set(err, -EPROTO,
				       "service %s: needs features that this symvmm lacks", file);
	if (!name_ok(ops->name))
		return err_set(err, -EINVAL,
			       "service %s: its name must be 1 to %d letters, digits, "
			       "'_' or '-'",
			       file, SERVICE_NAME_MAX);
	return ops->init ? 0 : err_set(err, -EINVAL, "service %s: has no init", file);
}

/*
 * A bare name never means a system library: it is a file in the current folder, or else
 * NAME.so in the folder of services.
 */
static char *object_path(const char *file)
{
	const char *dot = strrchr(file, '.');
	struct stat st;
	bool bare = !strchr(file, '/'), here = !bare || (!stat(file, &st) && S_ISREG(st.st_mode));
	char *path = NULL;
	int n;

	if (here)
		n = asprintf(&path, "%s%s", bare ? "./" : "", file);
	else
		n = asprintf(&path, "%s/%s%s", symmod_services_dir(), file,
			     dot && !strcmp(dot, ".so") ? "" : ".so");
	return n < 0 ? NULL : path;
}

static int open_object(struct sym_service_vm *s, const char *file, struct err *err)
{
	char *path = object_path(file);

	if (!path)
		return err_set(err, -ENOMEM, "service %s: out of memory", file);
	s->object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	free(path);
	if (!s->object)
		return err_set(err, -ENOEXEC, "service %s: %s", file, dlerror());
	s->ops = dlsym(s->object, "sym_service");
	if (!s->ops)
		return err_set(err, -ENOEXEC, "service %s: not a service (no symbol sym_service)",
			       file);
	return service_check(file, s->ops, err);
}

static int load(struct services *services, const char *file, const char *args, struct err *err)
{
	struct sym_service_vm *s = &services->list[services->nr];
	int ret = open_object(s, file, err);

	s->all = services;
	for (unsigned int i = 0; i < services->nr && !ret; i++)
		if (!strcmp(services->list[i].ops->name, s->ops->name))
			ret = err_set(err, -EEXIST, "service %s: '%s' is loaded already", file,
				      s->ops->name);
	if (ret) {
		if (s->object)
			dlclose(s->object);
		s->object = NULL;
		return ret;
	}
	services->nr++;
	snprintf(s->labels, sizeof(s->labels), "service=\"%s\"", s->ops->name);
	ret = s->ops->init(s, args, &s->state);
	if (ret)
		return err_set(err, ret < 0 ? ret : -EINVAL, "service %s: %s", s->ops->name,
			       s->err.code ? s->err.msg : strerror(ret < 0 ? -ret : EINVAL));
	s->ready = true;
	return 0;
}

static int services_create(struct part_vm *vm, void **state, struct err *err)
{
	struct services *services;
	int ret;

	if (!vm->config->nr_services)
		return 0;
	if (!vm->sym)
		return err_set(err, -EINVAL, "--service needs --symbiotic on");
	services = calloc(1, sizeof(*services));
	if (!services)
		return err_set(err, -ENOMEM, "services: out of memory");
	services->vm = vm;
	services->subscription = -1;
	*state = services;
	ret = work_create(vm->board->loop, "services", &services->work);
	if (ret)
		return err_set(err, ret, "services: %s", strerror(-ret));
	for (unsigned int i = 0; i < vm->config->nr_services && !ret; i++) {
		char *file = strdup(vm->config->services[i]), *args = file;

		if (!file)
			return err_set(err, -ENOMEM, "services: out of memory");
		strsep(&args, ",");
		ret = load(services, file, args ? args : "", err);
		free(file);
	}
	if (ret)
		return ret;
	services->running = true;
	services_hook(services);
	services->subscription = events_subscribe(vm->board->events, 0, on_event, services);
	return 0;
}

static int last_call(void *arg, json_t **result, struct err *err)
{
	return sem_post(arg);
}

/* Let the thread finish the jobs that are queued. */
static void drain(struct services *services)
{
	sem_t done;

	sem_init(&done, 0, 0);
	if (!work_post(services->work, last_call, &done, NULL))
		while (sem_wait(&done))
			;
	sem_destroy(&done);
}

static void services_stop(void *state)
{
	struct services *services = state;

	events_unsubscribe(services->vm->board->events, services->subscription);
	for (unsigned int i = 0; i < services->nr; i++)
		for (unsigned int t = 0; t < services->list[i].nr_timers; t++)
			loop_del(services->list[i].timers[t].source);
	if (services->work)
		drain(services);
	work_destroy(services->work);
	services->work = NULL;
}

/* No call into the services is pending any more. */
static void services_destroy(void *state)
{
	struct services *services = state;

	while (services->nr--) {
		struct sym_service_vm *s = &services->list[services->nr];

		if (s->ready && s->ops->exit)
			s->ops->exit(s->state);
		dlclose(s->object);
	}
	free(services);
}

const struct part part_services = {
	.create = services_create,
	.stop = services_stop,
	.destroy = services_destroy,
	.methods = service_methods,
};
