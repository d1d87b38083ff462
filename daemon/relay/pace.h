/*
 * A rate: n in so many milliseconds, evenly, with a second's worth at once at most.  Pure.
 */
#ifndef RELAY_PACE_H
#define RELAY_PACE_H

#include <stdint.h>

struct pace {
	unsigned n; /* 0: no limit */
	int64_t per_ms;
	double due_ms; /* when the last one that was taken was due */
};

/* How long to wait for the next one; 0: it may go now. */
int64_t pace_wait(const struct pace *, int64_t now_ms);
/* One goes now. */
void pace_take(struct pace *, int64_t now_ms);

#endif
