/* TLSA records; see tlsa.h. */
#include "tlsa.h"

#include <sha2.h>
#include <stdio.h>
#include <string.h>

#define HEAD_LEN 3

bool
tlsa_parse(struct tlsa *t, struct bytes rdata)
{
	const unsigned char *p = rdata.data;

	if (rdata.len < HEAD_LEN)
		return false;
	*t = (struct tlsa){ p[0], p[1], p[2], { p + HEAD_LEN, rdata.len - HEAD_LEN } };
	return true;
}

static bool
is_usable(const struct tlsa *t)
{
	if ((t->usage != TLSA_DANE_TA && t->usage != TLSA_DANE_EE) || t->selector > TLSA_KEY)
		return false;
	switch (t->matching) {
	case TLSA_FULL: return t->data.len > 0;
	case TLSA_SHA256: return t->data.len == SHA256_DIGEST_LENGTH;
	case TLSA_SHA512: return t->data.len == SHA512_DIGEST_LENGTH;
	}
	return false;
}

/* Whether a stronger digest stands for the same thing: then this one says nothing. */
static bool
is_outdone(const struct tlsa *t, const struct tlsa *all, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (all[i].usage == t->usage && all[i].selector == t->selector &&
		    t->matching != TLSA_FULL && all[i].matching > t->matching)
			return true;
	return false;
}

size_t
tlsa_choose(struct tlsa *v, size_t n)
{
	size_t usable = 0, left = 0;

	for (size_t i = 0; i < n; i++)
		if (is_usable(&v[i]))
			v[usable++] = v[i];
	/* what outdoes one is outdone by none, so it is still there when the one is looked at */
	for (size_t i = 0; i < usable; i++) {
		struct tlsa t = v[i];
		if (!is_outdone(&t, v, left) && !is_outdone(&t, v + i, usable - i))
			v[left++] = t;
	}
	return left;
}

bool
tlsa_matches(const struct tlsa *t, struct bytes certificate, struct bytes key)
{
	struct bytes whole = t->selector == TLSA_KEY ? key : certificate;
	unsigned char digest[SHA512_DIGEST_LENGTH];
	SHA2_CTX sha;

	if (whole.len == 0)
		return false;
	switch (t->matching) {
	case TLSA_FULL: break;
	case TLSA_SHA256:
		SHA256Init(&sha);
		SHA256Update(&sha, whole.data, whole.len);
		SHA256Final(digest, &sha);
		whole = (struct bytes){ digest, SHA256_DIGEST_LENGTH };
		break;
	case TLSA_SHA512:
		SHA512Init(&sha);
		SHA512Update(&sha, whole.data, whole.len);
		SHA512Final(digest, &sha);
		whole = (struct bytes){ digest, SHA512_DIGEST_LENGTH };
		break;
	default: return false;
	}
	return whole.len == t->data.len && memcmp(whole.data, t->data.data, whole.len) == 0;
}

const char *
tlsa_text(const struct tlsa *t, char buf[TLSA_TEXT_LEN])
{
	const unsigned char *data = t->data.data;
	size_t at =
	    (size_t)snprintf(buf, TLSA_TEXT_LEN, "%u %u %u ", t->usage, t->selector, t->matching);

	for (size_t i = 0; i < t->data.len && i < 6; i++)
		at += (size_t)snprintf(buf + at, TLSA_TEXT_LEN - at, "%02x", data[i]);
	if (t->data.len > 6)
		snprintf(buf + at, TLSA_TEXT_LEN - at, "…");
	return buf;
}

size_t
tlsa_packed_len(size_t rdata_len)
{
	return 2 + rdata_len;
}

void
tlsa_pack(unsigned char *to, struct bytes rdata)
{
	to[0] = (unsigned char)(rdata.len >> 8);
	to[1] = (unsigned char)rdata.len;
	memcpy(to + 2, rdata.data, rdata.len);
}

size_t
tlsa_unpack(struct tlsa *v, size_t max, struct bytes set)
{
	const unsigned char *p = set.data;
	size_t n = 0;

	for (size_t left = set.len; left >= 2 && n < max;) {
		size_t len = (size_t)p[0] << 8 | p[1];
		if (len > left - 2)
			break;
		if (tlsa_parse(&v[n], (struct bytes){ p + 2, len }))
			n++;
		p += 2 + len;
		left -= 2 + len;
	}
	return n;
}
