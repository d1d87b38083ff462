/*
 * A domain's mail exchangers: which of them may be used, in which order (RFC 5321 5.1, RFC 7505).
 * Pure.
 */
#ifndef TABMAIL_MX_H
#define TABMAIL_MX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mx {
	unsigned preference;
	size_t index; /* the caller's */
	bool is_ours; /* it is this host */
};

/*
 * Sorts by preference, equal ones in an order made of `random`, and drops this host with all that
 * are not better than it.  How many are left; *loop: some were dropped.
 */
size_t mx_choose(struct mx *, size_t n, uint32_t random, bool *loop);

#endif
