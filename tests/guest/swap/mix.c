// SPDX-License-Identifier: BSD-2-Clause
/* Several threads that each do another thing to the set at the same time. */
#include <stdio.h>

#include "torture.h"

#define MIXERS 3

struct mixer {
	pthread_t thread;
	struct run run; /* its own random numbers and counts, the same set */
};

static void mix_one(struct run *r, struct span *s)
{
	static const span_fn all[] = { change_span, advise_span, lock_span };

	all[rnd_below(&r->rnd, 3)](r, s);
}

static void *mixing(void *arg)
{
	struct mixer *m = arg;
	struct span s;

	while (more(&m->run, m->run.rounds)) {
		span_take(&m->run, &s, 64);
		span_stir(&m->run, &s);
		mix_one(&m->run, &s);
		span_check(&m->run, &s);
		span_drop(&m->run, &s);
		m->run.rounds++;
	}
	return NULL;
}

void mix(struct run *r)
{
	struct mixer mixer[MIXERS];
	struct crew crew;

	crew_start(&crew, &r->set, r->threads, PEEK_NONE, r->seed);
	for (int i = 0; i < MIXERS; i++) {
		mixer[i].run = *r;
		mixer[i].run.rnd.state = rnd_next(&r->rnd);
		if (pthread_create(&mixer[i].thread, NULL, mixing, &mixer[i]))
			die("no thread");
	}
	for (int i = 0; i < MIXERS; i++) {
		pthread_join(mixer[i].thread, NULL);
		r->rounds += mixer[i].run.rounds;
	}
	crew_stop(&crew, r);
}

const char *do_mix(struct run *r)
{
	mix(r);
	return NULL;
}
