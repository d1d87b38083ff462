/*
 * The back-off of a server (server.h): from 100 ms, half as much more each time, up to 10 s, and of that between
 * two thirds and the whole, so that many clients do not come at once: a server that is back after an outage
 * is found within about half of its length.  Called by slot.c and side.c.
 */
#include "server.h"

#include <bsd/stdlib.h>
#include <bsd/string.h>

#include "tab_helper.h"
#include "ticks.h"

#define DELAY_FIRST_MS 100
#define DELAY_LAST_MS  10000
#define SAY_US         60000000 /* the log hears of a server that stays away once a minute */

void
server_failed(struct server *s, int64_t began_us, const char *why)
{
	int64_t now = ticks_now();

	strlcpy(s->why, why, sizeof(s->why));
	/* Several connections that fail together are one failure. */
	if (s->failures > 0 && began_us < s->not_before_us - (int64_t)s->delay_ms * 1000)
		return;
	s->failures++;
	s->delay_ms = s->delay_ms == 0 ? DELAY_FIRST_MS : s->delay_ms + s->delay_ms / 2;
	if (s->delay_ms > DELAY_LAST_MS)
		s->delay_ms = DELAY_LAST_MS;
	s->not_before_us =
	    now + (int64_t)(s->delay_ms - arc4random_uniform(s->delay_ms / 3 + 1)) * 1000;
	if (s->failures > 1 && now < s->said_us + SAY_US) {
		s->unsaid++;
		return;
	}
	tab_log("unreachable server=%s failures=%u reason=\"%s\"", s->url, s->failures, why);
	s->said_us = now;
	s->unsaid = 0;
}

void
server_good(struct server *s)
{
	s->failures = s->delay_ms = 0;
	s->not_before_us = 0;
	s->unsaid = 0;
}
