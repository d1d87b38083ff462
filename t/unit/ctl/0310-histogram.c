/* The times of a benchmark: shares are known to within 1/64, whatever the values; the longest exactly. */
#include "tap.h"

#include "ctl/local.h"

static struct histogram h;

static void
begin(void)
{
	h = (struct histogram){ 0 };
}

/* Whether a share's value is that, or more by a 64th at most. */
static bool
near(uint64_t got, uint64_t want)
{
	return got >= want && got <= want + want / 64;
}

int
main(void)
{
	begin();
	is_int((long long)histogram_below(&h, 50), 0, "of nothing");
	histogram_add(&h, 0);
	is_int((long long)histogram_below(&h, 99), 0, "of a zero");
	begin();
	histogram_add(&h, 1234567);
	is_int((long long)histogram_below(&h, 50), 1234567, "one value is never shown as more");
	begin();
	for (uint64_t i = 1; i <= 100; i++)
		histogram_add(&h, i);
	is_int((long long)histogram_below(&h, 50), 50, "small values are exact");
	is_int((long long)histogram_below(&h, 99), 99, "to 127");
	is_int((long long)h.max, 100, "the longest");
	begin();
	for (uint64_t i = 1; i <= 100000; i++)
		histogram_add(&h, i * 10);
	ok(near(histogram_below(&h, 50), 500000), "half below");
	ok(near(histogram_below(&h, 99), 990000), "99 of 100 below");
	is_int((long long)histogram_below(&h, 100), 1000000, "all below the longest");
	bool all = true;
	for (unsigned shift = 0; shift < 62; shift++)
		for (uint64_t d = 0; d < 3; d++) {
			uint64_t v = ((uint64_t)1 << shift) + d - 1;
			begin();
			histogram_add(&h, v);
			histogram_add(&h, UINT64_MAX);
			all = all && near(histogram_below(&h, 50), v);
		}
	ok(all, "around each power of two");
	is_int((long long)h.n, 2, "counted");
	return done();
}
