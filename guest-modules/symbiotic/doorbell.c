// SPDX-License-Identifier: GPL-2.0
/*
 * The VMM's interrupt: requests for interrupt and thread context.  One line serves all
 * CPUs; a request runs on the CPU in whose area it is.
 */
#include <linux/acpi.h>
#include <linux/gfp.h>
#include <linux/interrupt.h>
#include <linux/preempt.h>

#include "hypercall.h"
#include "symbiotic.h"

static struct workqueue_struct *sym_queue;
static int sym_irq = -1;
static u32 sym_irq_gsi;

static bool sym_slot_waits(const struct sym_cpu *cpu, int i)
{
	u64 token = READ_ONCE(cpu->area->host.request[i].token);

	return token && token != READ_ONCE(cpu->slot[i].taken);
}

static bool sym_cpu_waits(const struct sym_cpu *cpu)
{
	int i;

	for (i = SYM_CALL_NESTED + 1; i < SYM_CALL_SLOTS; i++)
		if (sym_slot_waits(cpu, i))
			return true;
	return false;
}

/* Run the request that was copied to the slot. */
static struct sym_call_result sym_slot_run(struct sym_slot *slot, void *payload)
{
	struct sym_call_result result = { .status = -EPERM };
	struct sym_upcall call = {
		.context = slot->request.context,
		.payload_len = slot->request.payload_len,
		.payload = payload,
	};

	memcpy(call.arg, slot->request.arg, sizeof(call.arg));
	if (call.context == SYM_CONTEXT_INTERRUPT || call.context == SYM_CONTEXT_THREAD)
		result.status = sym_dispatch(slot, slot->request.handler, &call);
	result.payload_len = call.reply_len;
	memcpy(result.value, call.result, sizeof(result.value));
	return result;
}

/* Post the result; its token is written last. */
static void sym_slot_post(struct sym_cpu *cpu, int i, const struct sym_call_result *result)
{
	struct sym_call_result *posted = &cpu->area->guest.result[i];

	posted->status = result->status;
	posted->payload_len = result->payload_len;
	memcpy(posted->value, result->value, sizeof(posted->value));
	smp_store_release(&posted->token, cpu->slot[i].request.token);
}

/*
 * In a thread, on a copy of the payload: the registration may change while the handler
 * runs, and the slot may be used by another request when it has ended.
 */
static void sym_slot_run_copy(struct sym_cpu *cpu, int i)
{
	void *page = (void *)__get_free_page(GFP_KERNEL);
	struct sym_call_result result = { .status = -ENOMEM };
	struct sym_slot *slot = &cpu->slot[i];
	unsigned long flags;
	bool ours;

	raw_spin_lock_irqsave(&slot->lock, flags);
	ours = slot->taken == slot->request.token;
	if (ours && page)
		memcpy(page, cpu->area->payload[i], SYM_CALL_PAYLOAD);
	raw_spin_unlock_irqrestore(&slot->lock, flags);
	if (ours && page)
		result = sym_slot_run(slot, page);

	raw_spin_lock_irqsave(&slot->lock, flags);
	if (ours && slot->taken == slot->request.token) {
		if (page)
			memcpy(cpu->area->payload[i], page, result.payload_len);
		sym_slot_post(cpu, i, &result);
	}
	raw_spin_unlock_irqrestore(&slot->lock, flags);
	free_page((unsigned long)page);
}

/* On the CPU itself, interrupts off. */
static void sym_cpu_serve(struct sym_cpu *cpu)
{
	struct sym_call_result result;
	bool posted = false;
	int i;

	for (i = SYM_CALL_NESTED + 1; i < SYM_CALL_SLOTS; i++) {
		struct sym_slot *slot = &cpu->slot[i];
		struct sym_call_request *request = &cpu->area->host.request[i];
		u64 token = smp_load_acquire(&request->token);

		/* A busy slot is checked again when its request has ended. */
		if (!token || token == slot->taken || smp_load_acquire(&slot->busy))
			continue;
		slot->request = *request;
		slot->request.token = token;
		raw_spin_lock(&slot->lock);
		WRITE_ONCE(slot->taken, token);
		raw_spin_unlock(&slot->lock);
		if (slot->request.context == SYM_CONTEXT_THREAD) {
			slot->busy = true;
			queue_work(sym_queue, &slot->work);
			continue;
		}
		result = sym_slot_run(slot, cpu->area->payload[i]);
		sym_slot_post(cpu, i, &result);
		posted = true;
	}
	if (posted)
		sym_hypercall(SYM_HC_COMPLETE, cpu->vcpu, 0, 0);
}

static void sym_doorbell_called(void *info)
{
	struct sym_cpu *cpu = info;

	/* A request after this needs a new call; see sym_doorbell_pass(). */
	atomic_xchg(&cpu->called, 0);
	if (!READ_ONCE(cpu->calls))
		return;
	if (in_hardirq()) {
		sym_cpu_serve(cpu);
		return;
	}
	/* An idle CPU that polls runs this without an interrupt: enter the context of one. */
	__irq_enter_raw();
	sym_cpu_serve(cpu);
	__irq_exit_raw();
}

/* Make a CPU check its requests. */
static void sym_doorbell_pass(struct sym_cpu *cpu, int number)
{
	if (atomic_xchg(&cpu->called, 1))
		return; /* the last call has not begun, and will see this request too */
	if (smp_call_function_single_async(number, &cpu->csd))
		atomic_set(&cpu->called, 0); /* the CPU has just gone offline */
}

static void sym_slot_work(struct work_struct *work)
{
	struct sym_slot *slot = container_of(work, struct sym_slot, work);
	struct sym_cpu *cpu = per_cpu_ptr(&sym_cpus, slot->cpu);

	sym_slot_run_copy(cpu, slot - cpu->slot);
	smp_store_release(&slot->busy, false);
	sym_hypercall(SYM_HC_COMPLETE, cpu->vcpu, 0, 0);
	if (READ_ONCE(cpu->calls) && sym_slot_waits(cpu, slot - cpu->slot))
		sym_doorbell_pass(cpu, slot->cpu);
}

static irqreturn_t sym_doorbell_rung(int irq, void *dev)
{
	int number;

	for_each_online_cpu(number) {
		struct sym_cpu *cpu = per_cpu_ptr(&sym_cpus, number);

		if (!smp_load_acquire(&cpu->calls))
			continue;
		if (number == smp_processor_id())
			sym_cpu_serve(cpu);
		else if (sym_cpu_waits(cpu))
			sym_doorbell_pass(cpu, number);
	}
	return IRQ_HANDLED;
}

int sym_doorbell_start(u32 gsi)
{
	int err;

	err = acpi_register_gsi(NULL, gsi, ACPI_EDGE_SENSITIVE, ACPI_ACTIVE_HIGH);
	if (err < 0)
		return err;
	sym_irq = err;
	sym_irq_gsi = gsi;
	/* Never threaded: handlers in interrupt context must run in a hard interrupt. */
	err = request_irq(sym_irq, sym_doorbell_rung, IRQF_NO_THREAD, KBUILD_MODNAME, &sym_irq);
	if (err) {
		acpi_unregister_gsi(gsi);
		sym_irq = -1;
	}
	return err;
}

static void sym_doorbell_flush(void *info)
{
}

/* Handlers in thread context may still run; sym_doorbell_exit() waits for them. */
void sym_doorbell_stop(void)
{
	if (sym_irq < 0)
		return;
	free_irq(sym_irq, &sym_irq);
	acpi_unregister_gsi(sym_irq_gsi);
	sym_irq = -1;
	on_each_cpu(sym_doorbell_flush, NULL, 1); /* wait for calls passed on before */
}

int sym_doorbell_init(void)
{
	int number, i;

	/* Unbound: a handler that sleeps must not delay its CPU's other work. */
	sym_queue = alloc_workqueue(KBUILD_MODNAME, WQ_UNBOUND, 0);
	if (!sym_queue)
		return -ENOMEM;
	for_each_possible_cpu(number) {
		struct sym_cpu *cpu = per_cpu_ptr(&sym_cpus, number);

		INIT_CSD(&cpu->csd, sym_doorbell_called, cpu);
		for (i = 0; i < SYM_CALL_SLOTS; i++) {
			cpu->slot[i].cpu = number;
			raw_spin_lock_init(&cpu->slot[i].lock);
			INIT_WORK(&cpu->slot[i].work, sym_slot_work);
		}
	}
	return 0;
}

void sym_doorbell_exit(void)
{
	destroy_workqueue(sym_queue);
	on_each_cpu(sym_doorbell_flush, NULL, 1); /* and for those passed on since */
}
