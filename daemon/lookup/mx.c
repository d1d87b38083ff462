/* Mail exchangers in order; see mx.h. */
#include "mx.h"

/* A small generator of our own: the same `random` gives the same order, for tests. */
static uint32_t
next(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

size_t
mx_choose(struct mx *mx, size_t n, uint32_t random, bool *loop)
{
	size_t good = n;

	for (size_t i = n; i > 1; i--) {
		size_t other = next(&random) % i;
		struct mx x = mx[i - 1];
		mx[i - 1] = mx[other];
		mx[other] = x;
	}
	/* Insertion, for it keeps the order of equal ones. */
	for (size_t i = 1; i < n; i++) {
		struct mx x = mx[i];
		size_t at = i;
		for (; at > 0 && x.preference < mx[at - 1].preference; at--)
			mx[at] = mx[at - 1];
		mx[at] = x;
	}
	for (size_t i = 0; i < n; i++)
		if (mx[i].is_ours) {
			good = i;
			break;
		}
	while (good > 0 && good < n && mx[good - 1].preference == mx[good].preference)
		good--;
	*loop = good < n;
	return good;
}
