/*
 * Copies of the spool's structs: what is read from the spool points into it, what memory keeps owns its
 * texts.  Called by whoever makes or ends a message or an envelope.
 *
 * Most texts of most envelopes are empty; these all are spool_none, and cost nothing.
 */
#include "spool.h"
#include "text.h"

#include <stdlib.h>

const char spool_none[] = "";

#define COUNT(a)             (sizeof(a) / sizeof((a)[0]))
#define MESSAGE_TEXT(field)  offsetof(struct spool_message, field)
#define ENVELOPE_TEXT(field) offsetof(struct spool_envelope, field)

static const size_t message_texts[] = { MESSAGE_TEXT(sender), MESSAGE_TEXT(client),
	MESSAGE_TEXT(helo), MESSAGE_TEXT(tag), MESSAGE_TEXT(auth), MESSAGE_TEXT(envid) };
static const size_t envelope_texts[] = { ENVELOPE_TEXT(rcpt), ENVELOPE_TEXT(orcpt),
	ENVELOPE_TEXT(dest), ENVELOPE_TEXT(action), ENVELOPE_TEXT(route), ENVELOPE_TEXT(user),
	ENVELOPE_TEXT(home), ENVELOPE_TEXT(status), ENVELOPE_TEXT(reason), ENVELOPE_TEXT(host),
	ENVELOPE_TEXT(warn) };

static const char **
text_at(void *of, size_t offset)
{
	return (const char **)(void *)((char *)of + offset);
}

static const char *
copy(const char *s)
{
	return s == NULL || *s == '\0' ? spool_none : xstrdup(s);
}

static void
release(const char *s)
{
	if (s != spool_none)
		free((void *)(uintptr_t)s);
}

/* The value may be a part of what is there. */
void
spool_text_set(const char **where, const char *value)
{
	const char *old = *where;

	*where = copy(value);
	release(old);
}

void
spool_message_copy(struct spool_message *to, const struct spool_message *from)
{
	*to = *from;
	for (size_t i = 0; i < COUNT(message_texts); i++)
		*text_at(to, message_texts[i]) = copy(*text_at(to, message_texts[i]));
}

void
spool_message_free(struct spool_message *m)
{
	for (size_t i = 0; i < COUNT(message_texts); i++)
		release(*text_at(m, message_texts[i]));
	*m = (struct spool_message){ 0 };
}

void
spool_envelope_copy(struct spool_envelope *to, const struct spool_envelope *from)
{
	*to = *from;
	for (size_t i = 0; i < COUNT(envelope_texts); i++)
		*text_at(to, envelope_texts[i]) = copy(*text_at(to, envelope_texts[i]));
}

void
spool_envelope_free(struct spool_envelope *e)
{
	for (size_t i = 0; i < COUNT(envelope_texts); i++)
		release(*text_at(e, envelope_texts[i]));
	*e = (struct spool_envelope){ 0 };
}
