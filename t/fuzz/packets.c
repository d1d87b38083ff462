/*
 * libFuzzer: packets between the processes, as one that was taken over might send them.  What is read
 * lies inside the packet, and written again it is the same.
 */
#include "msgcodec.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static unsigned char again[MSG_MAX_LEN];
	struct msg_header header;
	struct msg m = { .fd = -1 };

	if (len > MSG_MAX_LEN)
		return 0;
	unsigned char *packet = malloc(len + (len == 0));
	memcpy(packet, data, len);
	if (msg_decode(&m, packet, len) == NULL) {
		memcpy(&header, packet, sizeof(header));
		header.answer = header.answer != 0;
		memcpy(packet, &header, sizeof(header));
		if (msg_encode(&m, again) != len || memcmp(again, packet, len) != 0)
			abort();
	}
	free(packet);
	return 0;
}
