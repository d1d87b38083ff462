/* Time for deadlines: microseconds of a clock that nobody sets. */
#ifndef TABLE_LDAP_TICKS_H
#define TABLE_LDAP_TICKS_H

#include <stdint.h>
#include <sys/time.h>
#include <time.h>

static inline int64_t
ticks_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* What is left until a time, never negative. */
static inline struct timeval
ticks_left(int64_t until_us)
{
	int64_t left = until_us - ticks_now();

	if (left < 0)
		left = 0;
	return (struct timeval){ .tv_sec = left / 1000000, .tv_usec = left % 1000000 };
}

#endif
