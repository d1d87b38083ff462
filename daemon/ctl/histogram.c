/*
 * How often each time was met, in little room: buckets of 1/64 of their value, so a share of all is
 * known to within 1.6 percent; the longest exactly.  Pure.  Called by bench.c.
 */
#include "local.h"

#include <string.h>

/* Below 64 each value has a bucket; above, each power of two has 64. */
static size_t
bucket_of(uint64_t v)
{
	unsigned shift = 0;

	while (v >> shift >= 128)
		shift++;
	if (v < 64)
		return (size_t)v;
	return (size_t)((uint64_t)shift * 64 + (v >> shift));
}

/* The greatest value of a bucket. */
static uint64_t
last_of(size_t bucket)
{
	size_t shift = bucket < 128 ? 0 : bucket / 64 - 1;

	return (((uint64_t)(bucket - shift * 64) + 1) << shift) - 1;
}

void
histogram_add(struct histogram *h, uint64_t value)
{
	size_t i = bucket_of(value);

	h->buckets[i < HISTOGRAM_LEN ? i : HISTOGRAM_LEN - 1]++;
	h->n++;
	if (value > h->max)
		h->max = value;
}

uint64_t
histogram_below(const struct histogram *h, unsigned percent)
{
	uint64_t seen = 0;

	for (size_t i = 0; i < HISTOGRAM_LEN && h->n > 0; i++) {
		seen += h->buckets[i];
		if (seen * 100 >= h->n * percent)
			return last_of(i) < h->max ? last_of(i) : h->max;
	}
	return h->max;
}
