/*
 * Which envelopes a request on the control socket means: a message, one recipient of it, those that fit
 * patterns, or all; and the state that people are shown, which is one of the things to choose by.
 *
 * What is in memory tells the newer state of a row.
 */
#include "local.h"
#include "clock.h"
#include "idna.h"
#include "text.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const char *const states[] = { "new", "expanding", "waiting", "delivering", "deferred",
	"held", "paused" };

/* The domain as the spool has it, if a person wrote the other form. */
static void
use_ascii(char **pattern)
{
	char ascii[ADDR_TEXT_LEN];

	if (*pattern == NULL || !idna_entry_ascii(ascii, sizeof(ascii), *pattern))
		return;
	free(*pattern);
	*pattern = xstrdup(ascii);
}

const char *
select_parse(struct selection *s, char **words, size_t n)
{
	uint64_t id;
	int64_t number;

	*s = (struct selection){ .to = INT64_MAX };
	s->all = n == 0 || (n == 1 && strcmp(words[0], "all") == 0);
	if (s->all)
		return NULL;
	if (n == 1) {
		if (!control_parse_id(words[0], &id, &number))
			return "not the number of a message or envelope, nor \"all\"";
		s->from = spool_key(id, number == -1 ? 0 : (uint32_t)number);
		s->to = spool_key(id, number == -1 ? SPOOL_N_MAX : (uint32_t)number);
		s->one = true;
		return NULL;
	}
	for (size_t i = 0; i < n; i += 2) {
		char **pattern = strcmp(words[i], "sender") == 0      ? &s->sender
				 : strcmp(words[i], "recipient") == 0 ? &s->recipient
				 : strcmp(words[i], "route") == 0     ? &s->route
				 : strcmp(words[i], "state") == 0     ? &s->state
								      : NULL;
		if (pattern == NULL || *pattern != NULL || i + 1 == n)
			return "what to choose by: sender, recipient, route or state, each once "
			       "with a "
			       "value";
		*pattern = xstrdup(words[i + 1]);
	}
	use_ascii(&s->sender);
	use_ascii(&s->recipient);
	for (size_t i = 0; s->state != NULL; i++)
		if (i == sizeof(states) / sizeof(states[0]))
			return "a state is one of new, expanding, waiting, delivering, deferred, "
			       "held "
			       "and paused";
		else if (strcmp(states[i], s->state) == 0)
			break;
	return NULL;
}

void
select_free(struct selection *s)
{
	free(s->sender);
	free(s->recipient);
	free(s->route);
	free(s->state);
	*s = (struct selection){ 0 };
}

/* "*" is any text, "?" any character; upper and lower case are the same. */
bool
select_fits(const char *pattern, const char *text)
{
	const char *star = NULL,
		   *from = NULL; /* the last star, and where what it stands for ends */

	while (*text != '\0') {
		if (*pattern == '*') {
			star = ++pattern;
			from = text;
		} else if (*pattern == '?' ||
			   tolower((unsigned char)*pattern) == tolower((unsigned char)*text)) {
			pattern++;
			text++;
		} else if (star != NULL) {
			pattern = star;
			text = ++from;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return *pattern == '\0';
}

static const char *
state_of_row(const struct spool_envelope *d)
{
	int64_t now = clock_wall_sec();

	if (d->held != 0)
		return "held";
	if (d->state == SPOOL_NEW && d->attempts == 0)
		return "new";
	if (d->next_try > now)
		return "deferred";
	return pause_holds(d) ? "paused" : "waiting";
}

/* NULL: it is over. */
const char *
select_state(const struct spool_envelope *row, const struct envelope *e)
{
	if (e == NULL)
		return state_of_row(row);
	switch (e->state) {
	case ENVELOPE_FRESH:
	case ENVELOPE_NEW: return "new";
	case ENVELOPE_EXPANDING: return "expanding";
	case ENVELOPE_READY: return "waiting";
	case ENVELOPE_IN_JOB: return "delivering";
	case ENVELOPE_DEFERRED: return state_of_row(&e->d);
	case ENVELOPE_FAILED: return "failed"; /* until its sender's report is written */
	case ENVELOPE_DONE:
	case ENVELOPE_STATE_MAX: break;
	}
	return NULL;
}

static void
on_message(const struct spool_message *m, void *arg)
{
	struct selection *s = arg;
	const char *pattern = strcmp(s->sender, "<>") == 0 ? "" : s->sender;

	s->sender_fits = select_fits(pattern, m->sender);
}

/* One question for all recipients of a message. */
static bool
sender_fits(struct selection *s, uint64_t id)
{
	const struct message *m;

	if (s->of == id)
		return s->sender_fits;
	s->of = id;
	s->sender_fits = false;
	if ((m = message_find(id)) != NULL)
		on_message(&m->d, s);
	else
		spool_get_message(id, on_message, s);
	return s->sender_fits;
}

bool
select_takes(struct selection *s, const struct spool_envelope *row, const struct envelope *e)
{
	const struct spool_envelope *d = e == NULL ? row : &e->d;
	const char *state = select_state(row, e);

	return state != NULL && (s->state == NULL || strcmp(s->state, state) == 0) &&
	       (s->recipient == NULL || select_fits(s->recipient, d->rcpt) ||
		   select_fits(s->recipient, d->dest)) &&
	       (s->route == NULL || (*d->route == '\0' ? select_fits(s->route, "local")
						       : select_fits(s->route, d->route))) &&
	       (s->sender == NULL || sender_fits(s, row->message));
}
