/* Which of our addresses; see choice.h. */
#include "choice.h"

#include <ctype.h>
#include <string.h>

#define BACKOFF_MIN_MS 2000
#define BACKOFF_MAX_MS (30 * 60 * 1000)
#define CHANCE_MS      60000 /* that a connection has to show that it works again */

bool
choice_is_aside(const struct choice_aside *a, int64_t now_ms)
{
	return now_ms < a->until_ms;
}

void
choice_blame(struct choice_aside *a, int64_t now_ms)
{
	if (choice_is_aside(a, now_ms) && !a->has_chance)
		return;
	a->has_chance = false;
	a->backoff_ms = a->backoff_ms == 0                   ? BACKOFF_MIN_MS
			: a->backoff_ms * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS
							     : a->backoff_ms * 2;
	a->until_ms = now_ms + a->backoff_ms;
}

void
choice_try_again(struct choice_aside *a, int64_t now_ms)
{
	if (a->backoff_ms == 0)
		return;
	a->has_chance = true;
	a->until_ms = now_ms + CHANCE_MS;
}

int
choice_pick(const struct choice_turn *turns, size_t n, int family,
    bool (*may_use)(const char *text, void *arg), void *arg)
{
	for (size_t i = 0; i < n; i++)
		if (!turns[i].taken && turns[i].addr.ss_family == family &&
		    may_use(turns[i].text, arg))
			return (int)i;
	return -1;
}

/* As a word of its own: 192.0.2.1 is not in 192.0.2.12. */
static bool
mentions(const char *text, const char *source)
{
	size_t len = strlen(source);

	for (const char *p = text; len > 0 && (p = strstr(p, source)) != NULL; p++) {
		bool begins = p == text || (!isxdigit((unsigned char)p[-1]) && p[-1] != '.');
		bool ends = !isxdigit((unsigned char)p[len]) &&
			    (p[len] != '.' || !isdigit((unsigned char)p[len + 1]));
		if (begins && ends)
			return true;
	}
	return false;
}

/*
 * Our address in the text is the surest sign, unless it is only to wait: from another address it would
 * begin to wait anew.  Else the status: X.7.25 speaks of the client's name in the DNS, X.7.0 and X.7.1 with a reply that ends the session of the client as such.
 */
bool
choice_is_policy(unsigned code, const char *status, const char *text, const char *source)
{
	if (code < 400 || source[0] == '\0' || strcasestr(text, "greylist") != NULL ||
	    strcasestr(text, "graylist") != NULL)
		return false;
	if (mentions(text, source))
		return true;
	if (strcmp(status + (status[0] != '\0'), ".7.25") == 0)
		return true;
	return (code == 421 || code == 521) && status[0] != '\0' &&
	       strncmp(status + 1, ".7.", 3) == 0;
}
