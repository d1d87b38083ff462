/*
 * What becomes of one try for one recipient: done, later, failed, removed.
 *
 * Called with the results of jobs and of expansions, and by the schedule for what has expired.  Writes
 * the one line per outcome, and puts the envelope on the journal's list.  The envelope is in no lane and no
 * job any more.
 */
#include "local.h"
#include "addr.h"
#include "clock.h"
#include "conf.h"
#include "log.h"
#include "text.h"
#include "utf8.h"

#include <bsd/stdlib.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
clean(char *out, size_t len, const char *foreign, bool utf8)
{
	size_t n = 0, char_len;
	uint32_t code;

	for (const char *p = foreign; *p != '\0' && n + 1 < len; p++) {
		if (utf8 && (char_len = utf8_char(p, &code)) > 1 && utf8_is_plain(code)) {
			if (n + char_len >= len)
				break;
			memcpy(out + n, p, char_len);
			n += char_len;
			p += char_len - 1;
			continue;
		}
		bool plain = *p > 0x20 && *p < 0x7f;
		if (plain)
			out[n++] = *p;
		else if ((unsigned char)*p >= 0x80)
			out[n++] = '?';
		else if (n > 0 && out[n - 1] != ' ')
			out[n++] = ' ';
	}
	while (n > 0 && out[n - 1] == ' ')
		n--;
	out[n] = '\0';
}

/* Foreign text as one line of printable ASCII: it goes into the spool, reports and the log. */
void
outcome_clean(char *out, size_t len, const char *foreign)
{
	clean(out, len, foreign, false);
}

void
outcome_clean_address(char *out, size_t len, const char *address)
{
	clean(out, len, address, true);
}

static const char *
or_empty(const char *s)
{
	return s == NULL ? "" : s;
}

static void
say(const struct envelope *e, const char *event, const char *text)
{
	const struct spool_envelope *d = &e->d;
	bool local = d->route == NULL || *d->route == '\0';
	const char *dest = d->dest == NULL || *d->dest == '\0' ? d->rcpt : d->dest;
	const char *where = local ? d->user : d->route;

	log_info("%012" PRIx64 ".%u delivery event=%s from=%s to=%s rcpt=%s %s=%s status=%s "
		 "delay=%" PRId64 "s%s%s%s%s%s%s reason=%s",
	    d->message, d->n, event, log_quote(e->m->d.sender), log_quote(dest), log_quote(d->rcpt),
	    local ? "user" : "route", log_quote(or_empty(where)), or_empty(d->status),
	    clock_wall_sec() - d->created, *or_empty(d->host) == '\0' ? "" : " host=",
	    *or_empty(d->host) == '\0' ? "" : log_quote(d->host),
	    *e->source == '\0' ? "" : " source=", e->source,
	    *e->tls == '\0' ? "" : " tls=", *e->tls == '\0' ? "" : log_quote(e->tls),
	    log_quote(text));
}

/* RFC 3463: three numbers of the right class, or the one given instead. */
static void
set_status(struct envelope *e, const char *status, const char *fallback)
{
	unsigned class, subject, detail;
	char rest;

	if (status == NULL || strspn(status, "0123456789.") != strlen(status) ||
	    sscanf(status, "%1u.%3u.%3u%c", &class, &subject, &detail, &rest) != 3 ||
	    (status[0] != '2' && status[0] != '4' && status[0] != '5'))
		status = fallback;
	spool_text_set(&e->d.status, status);
}

static void
note(struct envelope *e, const char *status, const char *fallback, const char *text,
    const char *host)
{
	char line[512], name[256] = "";

	set_status(e, status, fallback);
	outcome_clean(line, sizeof(line), text == NULL ? "" : text);
	spool_text_set(&e->d.reason, line);
	if (host != NULL)
		outcome_clean(name, sizeof(name), host);
	spool_text_set(&e->d.host, name);
}

void
outcome_source(struct envelope *e, const char *source, const char *tls)
{
	struct sockaddr_storage ss;
	char clean[128];

	/* it stands in the log without quotes */
	spool_text_set(&e->source, netaddr_parse(&ss, source, 0) ? source : NULL);
	outcome_clean(clean, sizeof(clean), tls);
	spool_text_set(&e->tls, clean);
}

/* The sender was told that it is late, and is to be told that it is not any more; a report of success
 * says so, too. */
static bool
is_cleared(const struct envelope *e)
{
	return process.conf->bounce_cleared && e->d.warned != 0 &&
	       (e->d.notify & NOTIFY_SUCCESS) == 0;
}

void
outcome_done(struct envelope *e, const char *status, const char *text, const char *host, bool told)
{
	bool local = *e->d.route == '\0';

	note(e, status, "2.0.0", text, host);
	say(e, local ? "delivered" : "relayed", e->d.reason);
	if (local)
		queue_stats.delivered++;
	else
		queue_stats.relayed++;
	report_drop(e);
	if (is_cleared(e))
		report_add(e, REPORT_CLEARED);
	else if (!told)
		report_add(e, local || strncmp(e->d.route, "lmtp", 4) == 0 ? REPORT_DELIVERED
									   : REPORT_RELAYED);
	envelope_change(e, ENVELOPE_DONE);
	journal_add_envelope(e);
}

void
outcome_later(struct envelope *e, const char *status, const char *text, const char *host)
{
	if (e->m->fault != NULL) {
		outcome_aside(e);
		return;
	}
	int64_t now = clock_wall_sec();
	if (e->d.expire == 0)
		e->d.expire = e->d.created + process.conf->expire_sec;
	if (e->d.created > now) { /* the clock was set back: its time begins now */
		e->d.expire -= e->d.created - now;
		e->d.created = now;
	}
	e->d.attempts++;
	e->tried = true;
	int64_t at = schedule_decide(&e->d, now, arc4random());
	note(e, status, "4.0.0", text, host);
	if (at == 0) {
		outcome_failed(e, "4.4.7", NULL, NULL);
		return;
	}
	e->d.next_try = at;
	say(e, "deferred", e->d.reason);
	queue_stats.deferred++;
	warning_check(e, now);
	envelope_change(e, ENVELOPE_DEFERRED);
	journal_add_envelope(e);
	wish_come_true(e);
}

/* Its part of the spool is damaged: it waits for a person, who may release or remove it. */
void
outcome_aside(struct envelope *e)
{
	char *line = xasprintf("set aside: %s", e->m->fault);

	report_drop(e);
	note(e, "4.3.0", "4.3.0", line, NULL);
	free(line);
	say(e, "set-aside", e->d.reason);
	queue_stats.set_aside++;
	e->d.held = clock_wall_sec();
	envelope_change(e, ENVELOPE_DEFERRED);
	journal_add_envelope(e);
}

/* text NULL: it has expired, and the reason of its last try stands. */
void
outcome_failed(struct envelope *e, const char *status, const char *text, const char *host)
{
	if (text == NULL) {
		char *line = xasprintf("not delivered in time; the last try said: %s",
		    *e->d.reason == '\0' ? "nothing" : e->d.reason);
		e->expired = true;
		set_status(e, status, "4.4.7");
		say(e, "failed", line);
		free(line);
	} else {
		note(e, status, "5.0.0", text, host);
		say(e, "failed", e->d.reason);
		e->d.attempts++;
		e->tried = true;
	}
	queue_stats.failed++;
	envelope_change(e, ENVELOPE_FAILED);
	report_add(e, REPORT_FAILED);
}

void
outcome_removed(struct envelope *e)
{
	report_drop(e);
	note(e, NULL, "5.7.0", "removed by the administrator", NULL);
	say(e, "removed", e->d.reason);
	queue_stats.removed++;
	envelope_change(e, ENVELOPE_DONE);
	journal_add_envelope(e);
}
