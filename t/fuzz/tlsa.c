/*
 * TLSA records as a domain publishes them, any bytes: what is kept is what can be used, in no other order, and
 * matches nothing but what it says.
 */
#include "../../daemon/base/tlsa.c"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct tlsa v[TLSA_MAX];
	char text[TLSA_TEXT_LEN];
	size_t n = tlsa_unpack(v, TLSA_MAX, (struct bytes){ data, len });
	size_t left = tlsa_choose(v, n);

	if (n > TLSA_MAX || left > n)
		abort();
	for (size_t i = 0; i < left; i++) {
		const uint8_t *p = v[i].data.data;
		if (p < data || p + v[i].data.len > data + len || v[i].usage < TLSA_DANE_TA ||
		    v[i].usage > TLSA_DANE_EE)
			abort();
		if (tlsa_matches(&v[i], (struct bytes){ data, len }, (struct bytes){ data, 0 }) &&
		    (v[i].selector != TLSA_CERTIFICATE || len == 0))
			abort();
		if (strlen(tlsa_text(&v[i], text)) >= TLSA_TEXT_LEN)
			abort();
	}
	return 0;
}
