// SPDX-License-Identifier: BSD-2-Clause
/*
 * Runs in a guest: does anything change a program's registers behind its back?  Each of
 * N threads fills all general registers, the vector registers and flags with numbers of
 * its own, turns a while, and looks.  With a PCI resource file it reads that device's
 * registers in between, an exit from user mode.
 *
 *	regcheck SECONDS [THREADS [RESOURCE]]	prints "regcheck: N rounds intact"
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define FLAGS 0xc55 /* OF, DF, ZF, PF, CF and the like: what a user may set */
#define MASK  0xcd5

static volatile int stop;
static unsigned long rounds;
static volatile uint32_t *device;

/*
 * round_trip - fill registers from @v (16 words), turn, and store them to @out; vectors
 * from and to @x.  @where is read in the loop.
 */
__attribute__((noinline)) static uint64_t round_trip(const uint64_t *v, uint64_t *out,
						     const uint8_t *x, uint8_t *x_out,
						     const volatile void *where)
{
	register const volatile void *r8 __asm__("r8") = where;
	uint64_t flags;

	/* The pointers stay on the stack while the registers are taken. */
	__asm__ volatile(
		"push %%rbp; push %%rbx\n\t"
		"push %[xo]; push %[o]; push %[w]\n\t"
		"movdqu (%[x]), %%xmm0; movdqu 16(%[x]), %%xmm1; movdqu 32(%[x]), %%xmm2\n\t"
		"movdqu 48(%[x]), %%xmm3; movdqu 64(%[x]), %%xmm7; movdqu 80(%[x]), %%xmm15\n\t"
		"mov %[v], %%rax\n\t"
		"mov 8(%%rax), %%rbx; mov 24(%%rax), %%rdx; mov 32(%%rax), %%rsi\n\t"
		"mov 40(%%rax), %%rdi; mov 48(%%rax), %%rbp; mov 64(%%rax), %%r8\n\t"
		"mov 72(%%rax), %%r9; mov 80(%%rax), %%r10; mov 88(%%rax), %%r11\n\t"
		"mov 96(%%rax), %%r12; mov 104(%%rax), %%r13; mov 112(%%rax), %%r14\n\t"
		"mov 120(%%rax), %%r15\n\t"
		"mov $2000, %%ecx\n\t"
		"mov (%%rsp), %%rax; mov (%%rax), %%eax\n" /* the device, or plain memory */
		"1: dec %%ecx; jnz 1b\n\t"
		"push $0xc55; popf\n\t"
		"mov $300, %%ecx\n"
		"2: lea -1(%%rcx), %%rcx; jrcxz 3f; jmp 2b\n"
		"3: pushf; pop %%rcx; cld\n\t"
		"pop %%rax; pop %%rax\n\t"
		"mov %%rbx, 8(%%rax); mov %%rdx, 24(%%rax); mov %%rsi, 32(%%rax)\n\t"
		"mov %%rdi, 40(%%rax); mov %%rbp, 48(%%rax); mov %%r8, 64(%%rax)\n\t"
		"mov %%r9, 72(%%rax); mov %%r10, 80(%%rax); mov %%r11, 88(%%rax)\n\t"
		"mov %%r12, 96(%%rax); mov %%r13, 104(%%rax); mov %%r14, 112(%%rax)\n\t"
		"mov %%r15, 120(%%rax)\n\t"
		"pop %%rax\n\t"
		"movdqu %%xmm0, (%%rax); movdqu %%xmm1, 16(%%rax); movdqu %%xmm2, 32(%%rax)\n\t"
		"movdqu %%xmm3, 48(%%rax); movdqu %%xmm7, 64(%%rax); movdqu %%xmm15, "
		"80(%%rax)\n\t"
		"pop %%rbx; pop %%rbp\n\t"
		: "=&c"(flags)
		: [v] "a"(v), [o] "d"(out), [x] "S"(x), [xo] "D"(x_out), [w] "r"(r8)
		: "r9", "r10", "r11", "r12", "r13", "r14", "r15", "xmm0", "xmm1", "xmm2", "xmm3",
		  "xmm7", "xmm15", "memory", "cc");
	return flags;
}

static void *check(void *arg)
{
	uint64_t v[16], out[16], seed = (uintptr_t)arg * 0x9e3779b97f4a7c15ull, word = 0;
	uint8_t x[96], x_out[96];

	while (!stop) {
		for (int i = 0; i < 16; i++)
			v[i] = seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		memcpy(x, v, sizeof(x));
		memcpy(out, v, sizeof(out));
		memset(x_out, 0, sizeof(x_out));
		if ((round_trip(v, out, x, x_out,
				device ? (const volatile void *)device : &word) &
		     MASK) != (FLAGS & MASK) ||
		    memcmp(v, out, sizeof(v)) || memcmp(x, x_out, sizeof(x))) {
			printf("regcheck: REGISTERS CHANGED\n");
			exit(1);
		}
		__atomic_fetch_add(&rounds, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	int seconds = argc > 1 ? atoi(argv[1]) : 1, threads = argc > 2 ? atoi(argv[2]) : 2;
	pthread_t thread;

	if (argc > 3) {
		int fd = open(argv[3], O_RDWR | O_SYNC);

		device = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
		if (device == MAP_FAILED) {
			perror(argv[3]);
			return 1;
		}
	}
	for (long i = 0; i < threads; i++)
		pthread_create(&thread, NULL, check, (void *)(i + 1));
	sleep(seconds);
	stop = 1;
	usleep(200000);
	printf("regcheck: %lu rounds intact\n", rounds);
	return 0;
}
