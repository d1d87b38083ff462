/*
 * A message as a program hands it to sendmail: lines that end with LF or CRLF, perhaps without a
 * header.  Called by sendmail.c.  It is held in memory, so that its size and its recipients are
 * known before tabmaild is asked; MESSAGE_MAX bounds it.
 */
#include "local.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#define MESSAGE_MAX (256 * 1024 * 1024) /* the daemon takes no more in any configuration */

static size_t header_len(const char *data, size_t len);

const char *
letter_read(struct letter *m, FILE *in, bool dot_ends, int *exit_code)
{
	struct text t = { 0 };
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;
	bool first = true;

	*m = (struct letter){ 0 };
	text_putn(&t, "", 0);
	while ((n = getline(&line, &cap, in)) > 0) {
		size_t len = (size_t)n;
		bool whole = line[len - 1] == '\n';
		len -= whole;
		len -= whole && len > 0 && line[len - 1] == '\r';
		if (dot_ends && len == 1 && line[0] == '.')
			break;
		/* what a mailbox file puts in front is no field */
		bool mbox = first && len >= 5 && memcmp(line, "From ", 5) == 0;
		first = false;
		if (mbox)
			continue;
		if (t.len + len + 1 > MESSAGE_MAX) {
			free(line);
			text_free(&t);
			*exit_code = EX_DATAERR;
			return "the message is too long";
		}
		for (size_t i = 0; i < len && !m->eightbit; i++)
			m->eightbit = (unsigned char)line[i] >= 0x80;
		text_putn(&t, line, len);
		text_put(&t, "\n");
	}
	bool failed = ferror(in);
	free(line);
	if (failed) {
		text_free(&t);
		*exit_code = EX_IOERR;
		return "the message cannot be read";
	}
	m->data = t.s;
	m->len = t.len;
	m->header_len = header_len(m->data, m->len);
	return NULL;
}

/* Whether a line begins a field: a name (RFC 5322 3.6.8), perhaps blanks, a colon. */
static bool
is_field(const char *p, const char *end)
{
	const char *start = p;

	while (p<end && * p> ' ' && *p < 0x7f && *p != ':')
		p++;
	if (p == start)
		return false;
	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	return p < end && *p == ':';
}

/* The fields from the start of a message; every line of it ends with LF. */
static size_t
header_len(const char *data, size_t len)
{
	const char *end = data + len;
	const char *p = data;

	while (p < end) {
		const char *lf = memchr(p, '\n', (size_t)(end - p));
		bool folded = p > data && (*p == ' ' || *p == '\t');
		if (!folded && !is_field(p, lf))
			break;
		p = lf + 1;
	}
	return (size_t)(p - data);
}

void
letter_strip_bcc(struct letter *m)
{
	size_t len = rcpts_strip_bcc(m->data, m->header_len);

	memmove(m->data + len, m->data + m->header_len, m->len - m->header_len);
	m->len -= m->header_len - len;
	m->data[m->len] = '\0';
	m->header_len = len;
}

void
letter_prepend(struct letter *m, const char *field)
{
	struct text t = { 0 };

	text_put(&t, field);
	text_putn(&t, m->data, m->header_len);
	m->header_len = t.len;
	if (m->len == t.len - strlen(field) || m->data[t.len - strlen(field)] != '\n')
		text_put(&t, "\n");
	text_putn(&t, m->data + (m->header_len - strlen(field)),
	    m->len - (m->header_len - strlen(field)));
	free(m->data);
	m->data = t.s;
	m->len = t.len;
	for (const char *p = field; *p != '\0'; p++)
		m->eightbit = m->eightbit || (unsigned char)*p >= 0x80;
}

void
letter_free(struct letter *m)
{
	free(m->data);
	*m = (struct letter){ 0 };
}

static void
put_base64(struct text *t, const unsigned char *s, size_t len)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < len; i += 3) {
		unsigned v = (unsigned)s[i] << 16 | (i + 1 < len ? (unsigned)s[i + 1] << 8 : 0) |
			     (i + 2 < len ? s[i + 2] : 0);
		text_putf(t, "%c%c%c%c", digits[v >> 18], digits[v >> 12 & 63],
		    i + 1 < len ? digits[v >> 6 & 63] : '=', i + 2 < len ? digits[v & 63] : '=');
	}
}

/* Encoded words (RFC 2047) of at most 75 characters, cut between characters. */
static void
put_encoded(struct text *t, const char *s)
{
	size_t len = strlen(s);

	for (size_t start = 0; start < len;) {
		size_t n = len - start < 42 ? len - start : 42;
		while (n > 1 && start + n < len && ((unsigned char)s[start + n] & 0xc0) == 0x80)
			n--;
		text_put(t, start == 0 ? "=?UTF-8?B?" : " =?UTF-8?B?");
		put_base64(t, (const unsigned char *)s + start, n);
		text_put(t, "?=");
		start += n;
	}
}

void
letter_from(struct text *t, const char *name, const char *address)
{
	bool plain = true, eightbit = false;

	text_put(t, "From: ");
	for (const char *p = name; *p != '\0'; p++) {
		eightbit = eightbit || (unsigned char)*p >= 0x80 || iscntrl((unsigned char)*p);
		plain = plain && (isalnum((unsigned char)*p) || strchr(" -_'", *p) != NULL);
	}
	if (*name == '\0') {
		text_putf(t, "%s\n", address);
		return;
	}
	if (eightbit) {
		put_encoded(t, name);
	} else if (plain) {
		text_put(t, name);
	} else {
		text_put(t, "\"");
		for (const char *p = name; *p != '\0'; p++)
			text_putf(t, strchr("\"\\", *p) != NULL ? "\\%c" : "%c", *p);
		text_put(t, "\"");
	}
	text_putf(t, " <%s>\n", address);
}

char *
letter_full_name(const char *gecos, const char *login)
{
	struct text t = { 0 };

	text_putn(&t, "", 0);
	for (const char *p = gecos; *p != '\0' && *p != ','; p++) {
		if (*p != '&') {
			text_putn(&t, p, 1);
			continue;
		}
		size_t at = t.len;
		text_put(&t, login);
		if (t.len > at)
			t.s[at] = (char)toupper((unsigned char)t.s[at]);
	}
	return t.s;
}
