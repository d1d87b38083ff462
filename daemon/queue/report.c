/*
 * Reports to senders: gathers what has failed, is late, or was delivered since the last commit; one
 * report of each kind per message.
 *
 * The report enters the spool in the same transaction that writes what it says of the envelopes, so neither
 * is there without the other.  The null sender gets none (RFC 5321 6.1), nor who asked for none (RFC 3461).
 */
#include "local.h"
#include "addr.h"
#include "clock.h"
#include "conf.h"
#include "log.h"
#include "text.h"
#include "utf8.h"

#include <bsd/string.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define RCPTS_MAX 1000 /* in one report */

static struct envelopes reported = TAILQ_HEAD_INITIALIZER(reported);

static bool is_wanted(const struct envelope *, enum report_kind);
static void report_message(struct message *, struct envelope **, size_t n);
static void read_original(struct message *, struct text *, bool *full);
static void enter(
    struct message *of, const char *to, struct text *body, uint64_t id, size_t n, enum report_kind);

/* A later word about the same recipient stands for the one before. */
void
report_add(struct envelope *e, enum report_kind kind)
{
	if (kind != REPORT_FAILED && !is_wanted(e, kind))
		return;
	if (e->report == REPORT_NONE)
		TAILQ_INSERT_TAIL(&reported, e, reporting);
	e->report = kind;
	journal_wrote();
}

void
report_drop(struct envelope *e)
{
	if (e->report != REPORT_NONE)
		TAILQ_REMOVE(&reported, e, reporting);
	e->report = REPORT_NONE;
}

/* RFC 3461 5.2.7.3: success is told now, and not again of each that the recipient expands to. */
void
report_expanded(struct envelope *e)
{
	if (!is_wanted(e, REPORT_EXPANDED))
		return;
	e->report = REPORT_EXPANDED;
	spool_text_set(&e->d.status, "2.0.0");
	report_message(e->m, &e, 1);
	e->report = REPORT_NONE;
	e->d.notify &= ~(uint32_t)NOTIFY_SUCCESS;
	if (e->d.notify == 0)
		e->d.notify = NOTIFY_NEVER;
}

/* Whom double-bounce names, with the domain that it may leave out. */
static const char *
postmaster(void)
{
	static char address[ADDR_TEXT_LEN];
	const char *named = process.conf->double_bounce;

	snprintf(address, sizeof(address), "%s%s%s", named, strchr(named, '@') == NULL ? "@" : "",
	    strchr(named, '@') == NULL ? process.conf->hostname : "");
	return address;
}

/* What he cannot be sent either ends here: no loop. */
static bool
goes_to_postmaster(const struct envelope *e)
{
	return process.conf->double_bounce != NULL && strcasecmp(e->d.rcpt, postmaster()) != 0;
}

static bool
is_wanted(const struct envelope *e, enum report_kind kind)
{
	bool of_delay = kind == REPORT_DELAYED || kind == REPORT_CLEARED;
	uint32_t bit = kind == REPORT_FAILED ? NOTIFY_FAILURE
		       : of_delay            ? NOTIFY_DELAY
					     : NOTIFY_SUCCESS;

	if (*e->m->d.sender == '\0') {
		if (kind == REPORT_FAILED && goes_to_postmaster(e))
			return true;
		if (kind == REPORT_FAILED)
			log_info("%012" PRIx64 ".%u dropped rcpt=%s reason=\"the null sender gets "
				 "no report\"",
			    e->d.message, e->d.n, log_quote(e->d.rcpt));
		return false;
	}
	if (e->d.notify == 0)
		return kind == REPORT_FAILED || of_delay;
	return (e->d.notify & NOTIFY_NEVER) == 0 && (e->d.notify & bit) != 0;
}

static bool
are_together(enum report_kind a, enum report_kind b)
{
	bool success = a >= REPORT_DELIVERED && b >= REPORT_DELIVERED;

	return a == b || (success && a != REPORT_CLEARED && b != REPORT_CLEARED);
}

/* Called before each commit. */
void
report_compose(void)
{
	struct envelope *of_one[RCPTS_MAX], *e, *next;

	while ((e = TAILQ_FIRST(&reported)) != NULL) {
		struct message *m = e->m;
		enum report_kind kind = e->report;
		size_t n = 0;
		for (; e != NULL && n < RCPTS_MAX; e = next) {
			next = TAILQ_NEXT(e, reporting);
			if (e->m != m || !are_together(e->report, kind))
				continue;
			TAILQ_REMOVE(&reported, e, reporting);
			if (kind == REPORT_FAILED) {
				envelope_change(e, ENVELOPE_DONE);
				journal_add_envelope(e);
			}
			if (kind != REPORT_FAILED || is_wanted(e, kind))
				of_one[n++] = e;
			else
				e->report = REPORT_NONE;
		}
		if (n > 0)
			report_message(m, of_one, n);
		while (n > 0)
			of_one[--n]->report = REPORT_NONE;
	}
}

static const char *
or_empty(const char *s)
{
	return s == NULL ? "" : s;
}

/* A status of the class that the report is about: none, or another, is the general one. */
static const char *
status_of(const struct envelope *e, char class, const char *general)
{
	const char *status = or_empty(e->d.status);

	return *status == class ? status : general;
}

static void
describe(const struct envelope *e, struct bounce_rcpt *r)
{
	int64_t until = e->d.expire != 0 ? e->d.expire : e->d.created + process.conf->expire_sec;
	char date[64];

	*r = (struct bounce_rcpt){ .kind = e->report,
		.rcpt = e->d.rcpt,
		.orcpt = e->d.orcpt,
		.status = or_empty(e->d.status),
		.text = or_empty(e->d.reason),
		.host = or_empty(e->d.host),
		.expired = e->expired,
		.relayed = *e->d.route != '\0',
		.until = "" };
	if (e->report == REPORT_DELAYED) {
		r->status = status_of(e, '4', "4.0.0");
		r->until = xstrdup(clock_rfc5322(until, date, sizeof(date)));
	} else if (e->report != REPORT_FAILED) {
		r->status = status_of(e, '2', "2.0.0");
	}
}

static const char *
event_of(enum report_kind kind)
{
	return kind == REPORT_FAILED    ? "bounce"
	       : kind == REPORT_DELAYED ? "warning"
	       : kind == REPORT_CLEARED ? "cleared"
					: "success";
}

/* What is returned: its header in UTF-8, as mail that was handed in with SMTPUTF8 may have it. */
static bool
is_utf8(const struct message *m, const struct text *original)
{
	size_t len = bounce_header_len(original->s, original->len);
	uint32_t code;

	if (m->d.utf8 == 0 || !utf8_has_high(original->s, len))
		return false;
	for (size_t at = 0, n; at < len; at += n)
		if ((n = utf8_char_within(original->s + at, len - at, &code)) == 0)
			return false;
	return true;
}

static void
report_message(struct message *m, struct envelope **of_one, size_t n)
{
	struct bounce_rcpt *rcpts = xcalloc(n, sizeof(*rcpts));
	char date[64], arrived[64], of[24], id_text[24];
	struct text original = { 0 }, body = { 0 };
	enum report_kind kind = of_one[0]->report;
	bool undeliverable = *m->d.sender == '\0';
	bool full = /* RFC 3461 4.3 */
	    kind == REPORT_FAILED && (m->d.ret == RET_FULL || undeliverable);
	const char *to = undeliverable ? postmaster() : m->d.sender;
	bool utf8 = !utf8_is_ascii(to);
	uint64_t id = message_next_id();

	for (size_t i = 0; i < n; i++)
		describe(of_one[i], &rcpts[i]);
	read_original(m, &original, &full);
	strlcpy(of, message_id(m), sizeof(of));
	snprintf(id_text, sizeof(id_text), "%012" PRIx64, id);
	bounce_compose(&body, &(struct bounce){ .hostname = process.conf->hostname,
				  .id = of,
				  .message_id = id_text,
				  .sender = to,
				  .undeliverable = undeliverable,
				  .envid = m->d.envid,
				  .date = clock_rfc5322(clock_wall_sec(), date, sizeof(date)),
				  .arrived = clock_rfc5322(m->d.created, arrived, sizeof(arrived)),
				  .original = original.s == NULL ? "" : original.s,
				  .original_len = original.len,
				  .full = full,
				  .utf8 = utf8,
				  .utf8_original = is_utf8(m, &original),
				  .rcpts = rcpts,
				  .n_rcpts = n });
	enter(m, to, &body, id, n, kind);
	text_free(&original);
	for (size_t i = 0; i < n && kind == REPORT_DELAYED; i++)
		free((void *)(uintptr_t)rcpts[i].until);
	free(rcpts);
}

static void
on_piece(const void *data, size_t len, void *arg)
{
	text_putn(arg, data, len);
}

/* The whole message when it was asked for, is not too long, and there is room for it, else its header. */
static void
read_original(struct message *m, struct text *t, bool *full)
{
	if (m->d.size > REPORT_BODY_MAX || room_is_short())
		*full = false;
	if (m->body != NULL)
		text_putn(t, m->body, m->body_len);
	else
		spool_get_piece(m->d.id, 0, on_piece, t);
	for (uint32_t seq = 1; *full && seq < m->d.pieces; seq++)
		spool_get_piece(m->d.id, seq, on_piece, t);
	if (!*full)
		t->len = bounce_header_len(t->s, t->len);
}

static void
enter(struct message *of, const char *to, struct text *body, uint64_t id, size_t n,
    enum report_kind kind)
{
	int64_t now = clock_wall_sec();
	struct message *m = message_new(id);

	m->open = m->whole = true;
	m->next_n = 2;
	spool_message_copy(
	    &m->d, &(struct spool_message){ .id = id,
		       .created = now,
		       .client = "local",
		       .helo = process.conf->hostname,
		       .local = 1,
		       .eightbit = utf8_has_high(body->s, body->len),
		       .utf8 = utf8_is_ascii(to) ? 0 : UTF8_ASKED | UTF8_HEADER,
		       .size = body->len,
		       .pieces = (uint32_t)((body->len + SPOOL_PIECE_LEN - 1) / SPOOL_PIECE_LEN) });
	m->body = body->s;
	m->body_len = body->len;
	envelope_new(
	    m, &(struct spool_envelope){ .n = 1, .rcpt = to, .created = now, .next_try = now });
	queue_stats.bounces += kind == REPORT_FAILED;
	queue_stats.warnings += kind == REPORT_DELAYED;
	queue_stats.successes += kind >= REPORT_DELIVERED;
	log_info("%012" PRIx64 " %s of=%012" PRIx64 " to=%s recipients=%zu", id, event_of(kind),
	    of->d.id, log_quote(to), n);
	journal_add_message(m);
}
