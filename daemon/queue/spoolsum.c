/*
 * The sum of a piece of a body: SQLite sees a damaged page where its own structure is hurt, not where the bytes
 * of a message are.  Against decay of disks, not against people.  8 bytes at a step, a byte in two cycles.
 */
#include "spoolsql.h"

#include <string.h>

static uint64_t
mix(uint64_t h, uint64_t word)
{
	h = (h ^ word) * 0x9e3779b97f4a7c15u;
	return h ^ h >> 32;
}

uint64_t
spoolsum(const void *data, size_t len)
{
	const unsigned char *p = data;
	uint64_t h = len, word;

	for (; len >= sizeof(word); p += sizeof(word), len -= sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		h = mix(h, word);
	}
	word = 0;
	if (len > 0)
		memcpy(&word, p, len);
	return mix(h, word);
}
