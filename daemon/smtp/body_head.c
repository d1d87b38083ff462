/*
 * A message's header, when it is whole: whether the message was here before, what a submission lacks,
 * whom its From field names.
 *
 * Called by body.c, which holds the header in tx->body until it is whole.
 */
#include "clock.h"
#include "conf.h"
#include "local.h"
#include "../role.h"
#include "text.h"
#include "utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define PASSAGES_MAX 8 /* through this host, of one message */

static void look_back(struct session *);
static void add_missing(struct session *);
static void name_author(struct session *);
static void note_utf8(struct transaction *);

/* RFC 6409: its author's own server has to complete it. */
static bool
is_submission(const struct session *s)
{
	return s->listener->submit || s->auth != NULL;
}

static bool
is_masked(const struct session *s)
{
	return s->auth != NULL && s->listener->masquerade;
}

void
body_head_scan(struct session *s, const char *out, size_t len)
{
	struct transaction *tx = s->tx;
	bool was_over = tx->head.over;
	size_t in_head = was_over ? 0 : headscan_feed(&tx->head, out, len);

	if (tx->utf8 && in_head < len)
		partscan_feed(&tx->parts, out + in_head, len - in_head);
	if (!was_over && tx->head.over)
		body_head_end(s);
}

void
body_head_end(struct session *s)
{
	look_back(s);
	if (s->tx->refusal == NULL && is_masked(s))
		name_author(s);
	if (s->tx->refusal == NULL && is_submission(s))
		add_missing(s);
	if (s->tx->refusal == NULL && s->tx->utf8)
		note_utf8(s->tx);
}

/* Whether the header, as it is stored, is for those servers only that offer SMTPUTF8. */
static void
note_utf8(struct transaction *tx)
{
	const char *head = tx->body + tx->trace_len;
	size_t len = tx->body_len - tx->trace_len;
	const char *end = memmem(head, len, "\n\n", 2);

	if (len > 0 && *head == '\n')
		return;
	tx->utf8_head = utf8_has_high(head, end == NULL ? len : (size_t)(end - head));
}

/*
 * Whether it was here before.  A circle of this host and a proxy adds one of our Received fields each
 * time around; caught long before max-hops, the reply can say where it closes.
 */
static void
look_back(struct session *s)
{
	struct transaction *tx = s->tx;
	const struct listener *l = s->listener;
	const char *host = process.conf->hostname;
	char *head = tx->body + tx->trace_len;
	size_t len = tx->body_len - tx->trace_len;
	char reply[REPLY_LEN_MAX];

	size_t left = passage_take_token(head, len, host, tx->token);
	tx->body_len -= len - left;
	smtp.held_len -= len - left;
	unsigned passages = passage_count(head, left, host);
	if (strcasecmp(s->hostname, host) != 0)
		passages += passage_count(head, left, s->hostname);
	if (passages <= PASSAGES_MAX)
		return;
	snprintf(reply, sizeof(reply),
	    "554 5.4.6 mail loop: this message was here %u times before; now it came from %s to %s "
	    "(tag %s), and the rules send it back there",
	    passages, s->client, l->submit ? "the local socket" : l->where,
	    l->tag[0] == '\0' ? "none" : l->tag);
	body_refuse(s, reply);
}

/* RFC 6409 8.2, 8.3; directly behind our trace. */
static void
add_missing(struct session *s)
{
	struct transaction *tx = s->tx;
	struct text t = { 0 };
	char date[64];

	if (!tx->head.date)
		text_putf(&t, "Date: %s\n", clock_rfc5322(clock_wall_sec(), date, sizeof(date)));
	if (!tx->head.message_id)
		text_putf(&t, "Message-ID: <%012llx.%s@%s>\n", (unsigned long long)tx->id, s->id,
		    s->hostname);
	if (t.len == 0)
		return;
	tx->body = xrealloc(tx->body, tx->body_cap + t.len, 1);
	char *at = tx->body + tx->trace_len;
	memmove(at + t.len, at, tx->body_len - tx->trace_len);
	memcpy(at, t.s, t.len);
	tx->body_cap += t.len;
	tx->body_len += t.len;
	smtp.held_len += t.len;
	text_free(&t);
}

/*
 * senders … masquerade.  Readers do not agree on where a header ends that has a line that is no field:
 * a From below it may be shown.
 */
static void
name_author(struct session *s)
{
	struct transaction *tx = s->tx;
	struct text t = { 0 };

	if (tx->head.malformed) {
		body_refuse(s, "550 5.6.0 the header has a line that is no field");
		return;
	}
	text_putn(&t, tx->body, tx->trace_len);
	masquerade(&t, tx->body + tx->trace_len, tx->body_len - tx->trace_len, tx->sender);
	body_free(tx);
	tx->body = t.s;
	tx->body_cap = t.cap;
	tx->body_len = t.len;
	smtp.held_len += t.len;
}
