/* A rate: a second's worth at once, then evenly; never more than it says. */
#include "relay/pace.h"

#include "tap.h"

/* How many go within ms, when as many are sent as may be. */
static unsigned
gone(struct pace *p, int64_t from, int64_t ms)
{
	unsigned n = 0;

	for (int64_t now = from; now < from + ms; now++)
		while (n < 100000 && pace_wait(p, now) == 0) {
			pace_take(p, now);
			n++;
		}
	return n;
}

int
main(void)
{
	struct pace none = { 0 }, p = { .n = 10, .per_ms = 1000 };

	is_int(pace_wait(&none, 5), 0, "no rate, no wait");
	is_int(gone(&p, 1000, 1), 10, "10/s: ten at once");
	ok(pace_wait(&p, 1000) > 0 && pace_wait(&p, 1000) <= 101,
	    "then one in a tenth of a second");
	is_int(gone(&p, 1001, 10000), 100, "and ten each second");
	is_int(gone(&p, 100000, 1), 10, "after a rest a second's worth again, and no more");
	struct pace slow = { .n = 6, .per_ms = 60000 };
	is_int(gone(&slow, 1000, 1), 1, "6/m: one");
	is_int(gone(&slow, 1001, 60000), 6, "and six in a minute");
	ok(pace_wait(&slow, 61001) > 0, "the next waits");
	return done();
}
