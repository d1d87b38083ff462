/* A rate; see pace.h. */
#include "pace.h"

#define BURST_MS 1000

static double
interval(const struct pace *p)
{
	return (double)p->per_ms / p->n;
}

int64_t
pace_wait(const struct pace *p, int64_t now_ms)
{
	if (p->n == 0)
		return 0;
	double early = interval(p) < BURST_MS ? BURST_MS - interval(p) : 0;
	double at = p->due_ms - early;
	return (double)now_ms >= at ? 0 : (int64_t)(at - (double)now_ms) + 1;
}

void
pace_take(struct pace *p, int64_t now_ms)
{
	if (p->n == 0)
		return;
	if (p->due_ms < (double)now_ms)
		p->due_ms = (double)now_ms;
	p->due_ms += interval(p);
}
