/*
 * libFuzzer: packets between the processes, as one that was taken over might send them.  What is read
 * lies inside the packet, and written again it is the same.
 */
#include "msgcodec.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* Whether it could be read. */
static bool
take(unsigned char *message, size_t len)
{
	static unsigned char again[MSG_MAX_LEN];
	struct msg_header header;
	struct msg m = { .fd = -1 };

	if (msg_decode(&m, message, len) != NULL)
		return false;
	memcpy(&header, message, sizeof(header));
	header.answer = header.answer != 0;
	memcpy(message, &header, sizeof(header));
	if (msg_encode(&m, again, sizeof(again)) != len || memcmp(again, message, len) != 0)
		abort();
	if (msg_encode(&m, again, len - 1) != 0)
		abort(); /* it would be written beyond its room */
	return true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len > MSG_MAX_LEN)
		return 0;
	unsigned char *packet = malloc(len + (len == 0));
	memcpy(packet, data, len);
	for (size_t at = 0, n; at < len; at += n) {
		n = msg_first_len(packet + at, len - at);
		if (n == 0 || n > len - at)
			abort();
		if (!take(packet + at, n))
			break;
	}
	free(packet);
	return 0;
}
