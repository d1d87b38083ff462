/*
 * The codec of the messages; see msgcodec.h.
 *
 * Each message's fields are a string of letters made from the table ("Qss" is U64, STR, STR); the
 * layout of its struct follows from them by C's rule (each member at the next multiple of its
 * alignment), which t/unit checks against the compiler's.
 */
#include "msgcodec.h"

#include <string.h>

#define PARENT    (1u << ROLE_PARENT)
#define SMTP      (1u << ROLE_SMTP)
#define LOOKUP    (1u << ROLE_LOOKUP)
#define QUEUE     (1u << ROLE_QUEUE)
#define RELAY     (1u << ROLE_RELAY)
#define DELIVER   (1u << ROLE_DELIVER)
#define ANY       (~0u)
#define U32(f)    "u"
#define U64(f)    "q"
#define STR(f)    "s"
#define SECRET(f) "p"
#define BYTES(f)  "b"
#define FD(f)     "f"

static const struct {
	const char *name;
	unsigned from, to; /* bits of roles */
	const char *fields;
	size_t size;
} rows[MSG_MAX] = {
#define M(NAME, name, from, to, fields) \
	[MSG_##NAME] = { #name, from, to, "" fields, sizeof(struct msg_##name) },
	MSG_TABLE(M)
#undef M
};

#define M(NAME, name, from, to, fields) struct msg_##name name;
union any_body {
	MSG_TABLE(M)
};
#undef M

static const struct {
	size_t size, align;
} kinds[256] = {
	['u'] = { sizeof(uint32_t), _Alignof(uint32_t) },
	['q'] = { sizeof(uint64_t), _Alignof(uint64_t) },
	['s'] = { sizeof(char *), _Alignof(char *) },
	['p'] = { sizeof(struct secret), _Alignof(struct secret) },
	['b'] = { sizeof(struct bytes), _Alignof(struct bytes) },
	['f'] = { sizeof(int), _Alignof(int) },
};

/* Where in its struct a field of this kind lies, given where the one before it ended. */
static size_t
field_offset(size_t end_of_last, unsigned char kind)
{
	size_t align = kinds[kind].align;

	return (end_of_last + align - 1) / align * align;
}

const char *
msg_name(enum msg_type type)
{
	return type > MSG_NONE && type < MSG_MAX ? rows[type].name : "?";
}

bool
msg_allowed(enum msg_type type, enum role from, enum role to)
{
	return (rows[type].from & (1u << from)) != 0 && (rows[type].to & (1u << to)) != 0;
}

enum msg_type
msg_answer(enum msg_type question)
{
#define Q(QUESTION, ANSWER) [MSG_##QUESTION] = MSG_##ANSWER,
	static const enum msg_type answers[MSG_MAX] = { MSG_QUESTIONS(Q) };
#undef Q

	return answers[question];
}

bool
msg_has_secret(unsigned type)
{
	return type > MSG_NONE && type < MSG_MAX && strchr(rows[type].fields, 'p') != NULL;
}

const char *
role_name(enum role role)
{
	static const char *const names[ROLE_MAX] = { [ROLE_PARENT] = "parent",
		[ROLE_SMTP] = "smtp",
		[ROLE_LOOKUP] = "lookup",
		[ROLE_QUEUE] = "queue",
		[ROLE_RELAY] = "relay",
		[ROLE_DELIVER] = "deliver" };

	return role < ROLE_MAX ? names[role] : "?";
}

int
msg_body_fd(enum msg_type type, const void *body)
{
	size_t offset = 0;

	for (const char *f = rows[type].fields; *f != '\0'; f++) {
		offset = field_offset(offset, (unsigned char)*f);
		if (*f == 'f')
			return *(const int *)(const void *)((const char *)body + offset);
		offset += kinds[(unsigned char)*f].size;
	}
	return -1;
}

size_t
msg_encode(const struct msg *m, void *message, size_t room)
{
	unsigned char *out = message, *end = out + room;
	struct msg_header header = {
		.type = (uint16_t)m->type, .answer = m->answer, .call = m->call
	};
	size_t offset = 0;

	if (room < sizeof(header))
		return 0;
	out += sizeof(header);
	for (const char *f = rows[m->type].fields; *f != '\0'; f++) {
		offset = field_offset(offset, (unsigned char)*f);
		const void *field = (const char *)m->body + offset;
		size_t size = kinds[(unsigned char)*f].size;
		offset += size;
		if (*f == 'f')
			continue; /* goes beside the packet */
		if (*f == 'u' || *f == 'q') {
			if (size > (size_t)(end - out))
				return 0;
			memcpy(out, field, size);
			out += size;
			continue;
		}
		struct bytes b;
		if (*f == 's' || *f == 'p') {
			const char *s = *f == 's' ? *(const char *const *)field
						  : ((const struct secret *)field)->hidden;
			b = (struct bytes){ s == NULL ? "" : s, s == NULL ? 1 : strlen(s) + 1 };
		} else {
			b = *(const struct bytes *)field;
		}
		uint32_t len = (uint32_t)b.len;
		if (b.len > MSG_MAX_LEN || sizeof(len) + b.len > (size_t)(end - out))
			return 0;
		memcpy(out, &len, sizeof(len));
		out += sizeof(len);
		if (len > 0)
			memcpy(out, b.data, len);
		out += len;
	}
	header.len = (uint32_t)(out - (unsigned char *)message);
	memcpy(message, &header, sizeof(header));
	return header.len;
}

size_t
msg_first_len(const void *packet, size_t len)
{
	struct msg_header header = { 0 };

	if (len >= sizeof(header))
		memcpy(&header, packet, sizeof(header));
	return header.len >= sizeof(header) && header.len < len ? header.len : len;
}

const char *
msg_decode(struct msg *m, const void *message, size_t len)
{
	static union any_body body;
	const unsigned char *in = message, *end = in + len;
	struct msg_header header;
	size_t offset = 0;

	if (len < sizeof(header))
		return "shorter than a header";
	memcpy(&header, in, sizeof(header));
	in += sizeof(header);
	if (header.len != len)
		return "a length that is not its own";
	if (header.type <= MSG_NONE || header.type >= MSG_MAX)
		return "no such message";
	*m = (struct msg){ .type = header.type,
		.call = header.call,
		.answer = header.answer != 0,
		.fd = m->fd,
		.body = &body };
	for (const char *f = rows[m->type].fields; *f != '\0'; f++) {
		offset = field_offset(offset, (unsigned char)*f);
		void *field = (char *)&body + offset;
		size_t size = kinds[(unsigned char)*f].size;
		offset += size;
		if (*f == 'f') {
			*(int *)field = m->fd;
			continue;
		}
		if (*f == 'u' || *f == 'q') {
			if (size > (size_t)(end - in))
				return "shorter than its fields";
			memcpy(field, in, size);
			in += size;
			continue;
		}
		uint32_t n;
		if (sizeof(n) > (size_t)(end - in))
			return "shorter than its fields";
		memcpy(&n, in, sizeof(n));
		in += sizeof(n);
		if (n > (size_t)(end - in))
			return "a length beyond its end";
		if (*f == 'b') {
			*(struct bytes *)field = (struct bytes){ in, n };
		} else {
			if (n == 0 || memchr(in, '\0', n) != in + n - 1)
				return "a text that does not end where it says";
			if (*f == 's')
				*(const char **)field = (const char *)in;
			else
				((struct secret *)field)->hidden = (const char *)in;
		}
		in += n;
	}
	return in == end ? NULL : "longer than its fields";
}
