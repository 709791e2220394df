// SPDX-License-Identifier: BSD-2-Clause
/*
 * Creating, resetting and destroying the interface of one VM.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "symcall/calls.h"

static int check_config(const struct sym_host_ops *ops, const struct sym_config *config)
{
	/* Both structs may grow; older ones are smaller. */
	if (ops->version != SYM_HOST_OPS_VERSION || ops->size < sizeof(*ops) ||
	    config->size < sizeof(*config))
		return -EINVAL;
	return config->doorbell_gsi > 0xffff ? -EINVAL : 0;
}

int sym_create(const struct sym_host_ops *ops, void *vm, const struct sym_config *config,
	       struct sym **out)
{
	struct sym *sym;
	unsigned int nr_vcpus;
	int ret = check_config(ops, config);

	if (ret)
		return ret;
	nr_vcpus = ops->nr_vcpus(vm);
	if (!nr_vcpus || nr_vcpus > SYM_MAX_VCPUS)
		return -E2BIG;
	sym = calloc(1, sizeof(*sym) + nr_vcpus * sizeof(sym->vcpu[0]));
	if (sym)
		sym->calls = calloc(1,
				    sizeof(*sym->calls) + nr_vcpus * sizeof(sym->calls->vcpu[0]));
	if (!sym || !sym->calls) {
		free(sym);
		return -ENOMEM;
	}
	sym->ops = ops;
	sym->vm = vm;
	snprintf(sym->name, sizeof(sym->name), "%s", config->name);
	snprintf(sym->uuid, sizeof(sym->uuid), "%s", config->uuid);
	sym->features = config->features;
	sym->sync_regs = config->sync_regs;
	sym->doorbell_gsi = config->doorbell_gsi;
	sym->event = config->event;
	sym->event_arg = config->arg;
	sym->nr_vcpus = nr_vcpus;
	pthread_mutex_init(&sym->lock, NULL);
	sym_forget(sym);
	pthread_mutex_init(&sym->calls->lock, NULL);
	pthread_cond_init(&sym->calls->cond, NULL);
	for (unsigned int i = 0; i < nr_vcpus; i++) {
		struct call_vcpu *cv = &sym->calls->vcpu[i];

		cv->sym = sym;
		cv->id = i;
		pthread_mutex_init(&cv->lock, NULL);
	}
	ret = deadline_create(sym);
	if (ret) {
		sym_destroy(sym);
		return ret;
	}
	*out = sym;
	return 0;
}

void sym_reset(struct sym *sym)
{
	uint32_t generation;

	pthread_mutex_lock(&sym->lock);
	generation = sym->generation;
	sym_forget(sym);
	pthread_mutex_unlock(&sym->lock);
	calls_cancel_all(sym);
	sym_pause(sym, false); /* the reset ends a pause, too */
	/* The vCPUs' threads have ended, and nested calls with them. */
	for (unsigned int i = 0; i < sym->nr_vcpus; i++) {
		struct call_vcpu *cv = &sym->calls->vcpu[i];

		__atomic_store_n(&cv->nested_deadline, 0, __ATOMIC_RELEASE);
		__atomic_store_n(&cv->nested, NESTED_FREE, __ATOMIC_RELEASE);
		cv->run = NULL;
	}
	if (generation)
		sym_emit(sym, SYM_EVENT_GONE, -1, generation, "the guest was reset");
}

void sym_destroy(struct sym *sym)
{
	if (!sym)
		return;
	deadline_destroy(sym);
	calls_cancel_all(sym);
	for (unsigned int i = 0; i < sym->nr_vcpus; i++)
		pthread_mutex_destroy(&sym->calls->vcpu[i].lock);
	pthread_cond_destroy(&sym->calls->cond);
	pthread_mutex_destroy(&sym->calls->lock);
	pthread_mutex_destroy(&sym->lock);
	show_free(sym);
	free(sym->calls);
	free(sym);
}

void sym_set_hooks(struct sym *sym, const struct sym_hooks *hooks)
{
	sym->hooks = hooks;
}
