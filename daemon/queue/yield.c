/*
 * Mail that comes in goes before mail that has waited: while there is fresh mail, work on what has waited is done in
 * small parts with pauses in between, so that it takes a small part of this process's time, and all of it when
 * nothing comes.
 */
#include "local.h"
#include "clock.h"

#define FRESH_MS 200
#define PAUSES   8           /* as long as the part took, so many times: its commit is work, too */
#define LONGEST  (50 * 1000) /* microseconds */

static int64_t fresh_ms;

void
yield_fresh(void)
{
	fresh_ms = clock_mono_ms();
}

struct timeval
yield_pause(int64_t began_us)
{
	int64_t now_us = clock_mono_us(), us = (now_us - began_us) * PAUSES;

	if (fresh_ms == 0 || now_us / 1000 - fresh_ms > FRESH_MS)
		us = 0;
	else if (us > LONGEST)
		us = LONGEST;
	return (struct timeval){ 0, us };
}
