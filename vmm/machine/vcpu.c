// SPDX-License-Identifier: BSD-2-Clause
/*
 * A vCPU: created with its CPUID, run in a thread of its own until the VM stops.  No
 * lock is held while the guest runs; during a pause the thread is parked here.
 */
#include "machine/vcpu.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "core/config.h"
#include "host/metrics.h"
#include "host/seccomp.h"
#include "machine/vm.h"

#define MSR_MTRR_DEF_TYPE 0x2ff
#define MTRR_ENABLE_WB	  (1u << 11 | 6)

static const char *const exit_names[VCPU_MAX_EXIT] = {
	[KVM_EXIT_UNKNOWN] = "unknown",
	[KVM_EXIT_EXCEPTION] = "exception",
	[KVM_EXIT_IO] = "io",
	[KVM_EXIT_HYPERCALL] = "hypercall",
	[KVM_EXIT_DEBUG] = "debug",
	[KVM_EXIT_HLT] = "hlt",
	[KVM_EXIT_MMIO] = "mmio",
	[KVM_EXIT_IRQ_WINDOW_OPEN] = "irq_window",
	[KVM_EXIT_SHUTDOWN] = "shutdown",
	[KVM_EXIT_FAIL_ENTRY] = "fail_entry",
	[KVM_EXIT_INTR] = "interrupted",
	[KVM_EXIT_INTERNAL_ERROR] = "internal_error",
	[KVM_EXIT_SYSTEM_EVENT] = "system_event",
	[KVM_EXIT_X86_RDMSR] = "rdmsr",
	[KVM_EXIT_X86_WRMSR] = "wrmsr",
	[KVM_EXIT_X86_BUS_LOCK] = "bus_lock",
	[KVM_EXIT_NOTIFY] = "notify",
};

const char *vcpu_exit_name(unsigned int reason)
{
	return reason < VCPU_MAX_EXIT ? exit_names[reason] : NULL;
}

static void on_kick(int sig)
{
	/* Empty: the signal only has to interrupt KVM_RUN. */
}

int vcpu_signal_init(struct err *err)
{
	struct sigaction sa = { .sa_handler = on_kick };

	if (sigaction(SIGRTMIN, &sa, NULL))
		return err_errno(err, "signal handler");
	return 0;
}

static int set_msrs(struct vcpu *vcpu, struct err *err)
{
	union {
		struct kvm_msrs list;
		uint8_t room[sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)];
	} msrs = { .list.nmsrs = 1 };

	msrs.list.entries[0] = (struct kvm_msr_entry){ .index = MSR_MTRR_DEF_TYPE,
						       .data = MTRR_ENABLE_WB };
	if (ioctl(vcpu->fd, KVM_SET_MSRS, &msrs) != 1)
		return err_errno(err, "vCPU %u: KVM_SET_MSRS", vcpu->id);
	return 0;
}

struct vcpu *vcpu_alloc(struct vm *vm, unsigned int id)
{
	struct vcpu *vcpu = vm->vcpus[id];

	if (vcpu)
		return vcpu;
	vcpu = calloc(1, sizeof(*vcpu));
	if (!vcpu)
		return NULL;
	vcpu->exits = calloc(VCPU_MAX_EXIT, sizeof(*vcpu->exits));
	if (!vcpu->exits) {
		free(vcpu);
		return NULL;
	}
	vcpu->vm = vm;
	vcpu->id = id;
	vcpu->fd = -1;
	vcpu->run = MAP_FAILED;
	vm->vcpus[id] = vcpu;
	return vcpu;
}

int vcpu_create(struct vm *vm, unsigned int id, struct kvm_cpuid2 *cpuid, struct err *err)
{
	struct vcpu *vcpu = vcpu_alloc(vm, id);
	int size;

	if (!vcpu)
		return err_set(err, -ENOMEM, "vCPU %u: out of memory", id);
	vcpu->fd = ioctl(vm->board.vm_fd, KVM_CREATE_VCPU, id);
	if (vcpu->fd < 0)
		return err_errno(err, "vCPU %u: KVM_CREATE_VCPU", id);
	size = ioctl(vm->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (size < (int)sizeof(*vcpu->run))
		return err_errno(err, "vCPU %u: KVM_GET_VCPU_MMAP_SIZE", id);
	vcpu->run_size = size;
	vcpu->run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
	if (vcpu->run == MAP_FAILED)
		return err_errno(err, "vCPU %u: cannot map its run page", id);
	if (ioctl(vcpu->fd, KVM_SET_CPUID2, cpuid))
		return err_errno(err, "vCPU %u: KVM_SET_CPUID2", id);
	return set_msrs(vcpu, err);
}

void vcpu_destroy(struct vcpu *vcpu)
{
	pthread_mutex_t *lock = &vcpu->vm->lock;
	bool join;

	pthread_mutex_lock(lock); /* no more kicks after this */
	join = vcpu->has_thread;
	vcpu->has_thread = false;
	pthread_mutex_unlock(lock);
	if (join)
		pthread_join(vcpu->thread, NULL);
	if (vcpu->run != MAP_FAILED)
		munmap(vcpu->run, vcpu->run_size);
	vcpu->run = MAP_FAILED;
	if (vcpu->fd >= 0)
		close(vcpu->fd);
	vcpu->fd = -1;
}

void vcpu_kick(struct vcpu *vcpu)
{
	__atomic_store_n(&vcpu->kicked, 1, __ATOMIC_SEQ_CST);
	__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	pthread_kill(vcpu->thread, SIGRTMIN);
}

/* vcpu_may_run - wait out a pause; false when the VM is stopping. */
static bool vcpu_may_run(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	bool paused = false, go;

	pthread_mutex_lock(&vm->lock);
	while (vm->state == VM_PAUSED && !vm->stopping) {
		if (!paused) {
			paused = true;
			if (++vm->parked == vm->nr_vcpus)
				eventfd_write(vm->pause.parked_fd, 1);
		}
		pthread_cond_wait(&vm->cond, &vm->lock);
	}
	if (paused)
		vm->parked--;
	go = !vm->stopping;
	pthread_mutex_unlock(&vm->lock);
	/* The guest's soft-lockup watchdog must not count the time of the pause. */
	if (paused && go)
		ioctl(vcpu->fd, KVM_KVMCLOCK_CTRL, 0);
	return go;
}

static void handle_io(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	uint8_t *data = (uint8_t *)run + run->io.data_offset;

	for (uint32_t i = 0; i < run->io.count; i++, data += run->io.size)
		bus_access(&vcpu->vm->board.pio, run->io.port, data, run->io.size,
			   run->io.direction == KVM_EXIT_IO_OUT);
}

static void handle_internal_error(struct vcpu *vcpu)
{
	struct kvm_regs regs = { 0 };

	ioctl(vcpu->fd, KVM_GET_REGS, &regs);
	vm_stop(vcpu->vm, VM_STOP_ERROR,
		"vCPU %u: KVM internal error %u (%s) at guest address 0x%llx", vcpu->id,
		vcpu->run->internal.suberror,
		vcpu->run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION ?
			"an instruction it cannot emulate" :
			"see KVM_INTERNAL_ERROR_* in linux/kvm.h",
		regs.rip);
}

void vcpu_handle_exit(struct vcpu *vcpu)
{
	static const struct timespec bus_lock_pause = { .tv_nsec = 10 * 1000 * 1000 };
	struct kvm_run *run = vcpu->run;

	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		handle_io(vcpu);
		break;
	case KVM_EXIT_MMIO:
		bus_access(&vcpu->vm->board.mmio, run->mmio.phys_addr, run->mmio.data,
			   run->mmio.len, run->mmio.is_write);
		break;
	case KVM_EXIT_X86_RDMSR:
	case KVM_EXIT_X86_WRMSR:
		run->msr.error = 1; /* an unknown MSR: #GP */
		break;
	case KVM_EXIT_INTR:
		break;
	case KVM_EXIT_X86_BUS_LOCK:
		/* A bus lock stalls the whole host: limit their rate. */
		nanosleep(&bus_lock_pause, NULL);
		break;
	case KVM_EXIT_NOTIFY:
		if (run->notify.flags & KVM_NOTIFY_CONTEXT_INVALID)
			vm_stop(vcpu->vm, VM_STOP_ERROR,
				"vCPU %u: stuck in the guest, and its state is lost", vcpu->id);
		break; /* no interrupt window for too long; the guest can continue */
	case KVM_EXIT_SHUTDOWN:
		vm_stop(vcpu->vm, VM_STOP_TRIPLE_FAULT, "vCPU %u: triple fault", vcpu->id);
		break;
	case KVM_EXIT_FAIL_ENTRY:
		vm_stop(vcpu->vm, VM_STOP_ERROR,
			"vCPU %u: the CPU refused to enter the guest, reason 0x%llx", vcpu->id,
			run->fail_entry.hardware_entry_failure_reason);
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		handle_internal_error(vcpu);
		break;
	default:
		vm_stop(vcpu->vm, VM_STOP_ERROR, "vCPU %u: unexpected exit, reason %u", vcpu->id,
			run->exit_reason);
		break;
	}
}

static int cannot_run(struct vcpu *vcpu)
{
	int code = errno;

	if (code == EFAULT && vm_parts_bad_page(vcpu->vm))
		return -EINTR;
	vm_stop(vcpu->vm, VM_STOP_ERROR, "vCPU %u: KVM_RUN: %s", vcpu->id, strerror(code));
	return -ESHUTDOWN;
}

static void count_exit(struct vcpu *vcpu)
{
	if (vcpu->run->exit_reason < VCPU_MAX_EXIT)
		counter_add(&vcpu->exits[vcpu->run->exit_reason], 1);
}

int vcpu_run_once(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;

	/* A kick from here on makes KVM_RUN return at once. */
	__atomic_store_n(&run->immediate_exit, 0, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&vcpu->vm->attention, __ATOMIC_SEQ_CST) && !vcpu_may_run(vcpu))
		return -ESHUTDOWN;
	/* A kick that came while the thread was outside KVM_RUN is not lost either. */
	if (__atomic_load_n(&vcpu->kicked, __ATOMIC_SEQ_CST) &&
	    __atomic_exchange_n(&vcpu->kicked, 0, __ATOMIC_SEQ_CST))
		return -EINTR;
	if (ioctl(vcpu->fd, KVM_RUN, 0)) {
		if (errno != EINTR && errno != EAGAIN)
			return cannot_run(vcpu);
		__atomic_store_n(&vcpu->kicked, 0, __ATOMIC_SEQ_CST);
		return -EINTR;
	}
	count_exit(vcpu);
	return 0;
}

int vcpu_flush(struct vcpu *vcpu)
{
	__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	if (ioctl(vcpu->fd, KVM_RUN, 0))
		return errno == EINTR || errno == EAGAIN ? -EINTR : cannot_run(vcpu);
	count_exit(vcpu);
	return 0;
}

static void *vcpu_thread(void *arg)
{
	struct vcpu *vcpu = arg;
	char name[16];
	int ret;

	snprintf(name, sizeof(name), "vcpu%u", vcpu->id);
	pthread_setname_np(pthread_self(), name);
	seccomp_enter(SECCOMP_VCPU);
	while ((ret = vcpu_run_once(vcpu)) != -ESHUTDOWN) {
		if (vm_parts_exit(vcpu->vm, vcpu->id, vcpu->run, ret))
			continue;
		if (!ret)
			vcpu_handle_exit(vcpu);
	}
	return NULL;
}

int vcpu_start(struct vcpu *vcpu, struct err *err)
{
	int ret = pthread_create(&vcpu->thread, NULL, vcpu_thread, vcpu);

	if (ret)
		return err_set(err, -ret, "vCPU %u: cannot start its thread: %s", vcpu->id,
			       strerror(ret));
	vcpu->has_thread = true;
	return 0;
}
