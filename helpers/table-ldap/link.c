/*
 * A connection on the loop (link.h).  Called by slot.c (searches) and side.c (binds, pages).
 *
 *	link_send → libldap encodes into sockio's buffer → on_flush, once a turn of the loop
 *	on_readable → sockio_fill → libldap decodes → question_take … → on_answer
 *
 * Invariant: a question with q->link == this is in `sent` and in its slot, and nowhere else.  After any
 * error from libldap the handle is not used again: it would open a connection of its own, in clear and
 * as nobody.
 */
#include "link.h"

#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "ticks.h"

#define TICK_US    100000
#define SILENCE_US 500000 /* and two round trips: then the server is asked whether it is there */
#define PROBE_US   500000 /* and two: then it is suspect */
#define BATCH      256    /* messages of a turn */

static void on_flush(int, short, void *);
static void on_readable(int, short, void *);
static bool take_message(struct link *, LDAPMessage *, int type);
static void take_result(struct link *, struct question *, LDAPMessage *);
static void on_tick(int, short, void *);
static void probe(struct link *);
static void on_closed(int, short, void *);

static void
free_link(struct link *l)
{
	struct event *events[] = { l->readable, l->writable, l->flush, l->tick };

	for (size_t i = 0; i < sizeof(events) / sizeof(*events); i++)
		if (events[i] != NULL)
			event_free(events[i]);
	if (l->ld != NULL)
		ldap_unbind_ext(l->ld, NULL, NULL);
	sockio_free(&l->io);
	free(l);
}

struct link *
link_new(struct event_base *base, struct attempt_done *done, size_t server, unsigned most,
    const struct link_owner *owner, void *arg)
{
	struct link *l = calloc(1, sizeof(*l));

	if (l == NULL) {
		ldap_unbind_ext(done->ld, NULL, NULL);
		return NULL;
	}
	*l = (struct link){ .owner = owner, .arg = arg, .server = server, .most = most };
	TAILQ_INIT(&l->sent);
	l->ld = done->ld;
	l->rtt_us = done->rtt_us;
	l->readable = event_new(base, done->fd, EV_READ | EV_PERSIST, on_readable, l);
	l->writable = event_new(base, done->fd, EV_WRITE, on_flush, l);
	l->flush = event_new(base, -1, 0, on_flush, l);
	l->tick = event_new(base, -1, 0, on_tick, l);
	fcntl(done->fd, F_SETFL, fcntl(done->fd, F_GETFL) | O_NONBLOCK);
	if (l->readable == NULL || l->writable == NULL || l->flush == NULL || l->tick == NULL ||
	    event_add(l->readable, NULL) == -1 || !sockio_attach(&l->io, l->ld, done->fd)) {
		free_link(l);
		return NULL;
	}
	return l;
}

void
link_close(struct link *l)
{
	if (l->closed)
		return;
	l->closed = true;
	event_del(l->readable);
	event_del(l->writable);
	event_del(l->flush);
	event_del(l->tick);
	event_assign(l->tick, event_get_base(l->tick), -1, 0, on_closed, l);
	event_active(l->tick, EV_TIMEOUT, 0);
}

static void
on_closed(int fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	free_link(arg);
}

static void
lose(struct link *l, const char *why)
{
	if (l->closed)
		return;
	event_del(l->readable);
	event_del(l->writable);
	event_del(l->flush);
	event_del(l->tick);
	l->owner->on_lost(l, why, l->arg);
}

bool
link_has_room(const struct link *l)
{
	return !l->closed && l->in_flight < l->most;
}

/* --- What is in flight */

static void
put(struct link *l, struct question *q)
{
	struct question **slot = &l->slots[(unsigned)q->id % LINK_SLOTS];

	q->link = l;
	q->sent_us = ticks_now();
	q->same_slot = *slot;
	*slot = q;
	TAILQ_INSERT_TAIL(&l->sent, q, place);
	if (l->in_flight++ == 0)
		l->heard_us = q->sent_us;
	if (!l->ticking) {
		struct timeval tv = { .tv_usec = TICK_US };
		l->ticking = true;
		event_add(l->tick, &tv);
	}
}

static void
take_out(struct link *l, struct question *q)
{
	struct question **p = &l->slots[(unsigned)q->id % LINK_SLOTS];

	while (*p != q)
		p = &(*p)->same_slot;
	*p = q->same_slot;
	TAILQ_REMOVE(&l->sent, q, place);
	q->link = NULL;
	l->in_flight--;
}

static struct question *
find(struct link *l, int id)
{
	struct question *q = l->slots[(unsigned)id % LINK_SLOTS];

	while (q != NULL && q->id != id)
		q = q->same_slot;
	return q;
}

struct question *
link_take_back(struct link *l)
{
	struct question *q = TAILQ_FIRST(&l->sent);

	if (q != NULL)
		take_out(l, q);
	return q;
}

/* --- Sending */

static int
send_bind(struct link *l, struct question *q)
{
	struct berval password = { strlen(q->password), q->password };

	return ldap_sasl_bind(l->ld, q->base, LDAP_SASL_SIMPLE, &password, NULL, NULL, &q->id);
}

static int
send_search(struct link *l, struct question *q)
{
	LDAPControl *page = NULL;
	struct timeval left = ticks_left(q->deadline_us);
	/* One more than may come, so that too many are told from the server's own limit. */
	int limit = q->page_size > 0 || q->max_entries >= INT32_MAX ? LDAP_NO_LIMIT
								    : (int)q->max_entries + 1;

	left.tv_sec++;
	left.tv_usec = 0;
	if (q->page_size > 0) {
		int code =
		    ldap_create_page_control(l->ld, (ber_int_t)q->page_size, q->cookie, 1, &page);
		if (code != LDAP_SUCCESS)
			return code;
	}
	LDAPControl *controls[] = { page, NULL };
	int code = ldap_search_ext(l->ld, q->base, q->scope, q->filter, q->attrs, 0,
	    page == NULL ? NULL : controls, NULL, &left, limit, &q->id);
	ldap_control_free(page);
	return code;
}

const char *
link_send(struct link *l, struct question *q)
{
	int code = q->is_bind ? send_bind(l, q) : send_search(l, q);

	/* Both are found before anything is sent.  All else is the connection's end, which is met there. */
	if (code == LDAP_FILTER_ERROR || code == LDAP_ENCODING_ERROR)
		return code == LDAP_FILTER_ERROR ? "the filter cannot be read"
						 : "it cannot be encoded";
	if (code != LDAP_SUCCESS) {
		q->id = -1;
		l->io.over = true;
	}
	q->tries += q->cookie == NULL;
	put(l, q);
	event_active(l->flush, 0, 0);
	return NULL;
}

static void
on_flush(int fd, short what, void *arg)
{
	struct link *l = arg;

	(void)fd;
	(void)what;
	if (sockio_flush(&l->io))
		event_add(l->writable, NULL);
	if (l->io.over)
		event_active(l->readable, EV_READ, 0); /* what it still said comes first */
}

void
link_abandon(struct link *l, struct question *q)
{
	if (!l->io.over && q->id > 0 && !q->is_bind) {
		ldap_abandon_ext(l->ld, q->id, NULL, NULL);
		event_active(l->flush, 0, 0);
	}
	take_out(l, q);
}

/* --- Receiving */

static void
heard(struct link *l)
{
	l->heard_us = ticks_now();
	if (l->state == LINK_GOOD)
		return;
	bool told = l->state == LINK_SUSPECT;
	l->state = LINK_GOOD;
	if (told)
		l->owner->on_doubt(l, l->arg);
}

static void
on_readable(int fd, short what, void *arg)
{
	struct link *l = arg;
	struct timeval now = { 0 };
	LDAPMessage *m;
	int type = 0;

	(void)fd;
	(void)what;
	if (sockio_fill(&l->io))
		heard(l);
	for (int i = 0; !l->closed && sockio_has_input(&l->io); i++) {
		if (i == BATCH) {
			event_active(l->readable, EV_READ, 0);
			return;
		}
		m = NULL;
		type = ldap_result(l->ld, LDAP_RES_ANY, LDAP_MSG_ONE, &now, &m);
		if (type == 0)
			break;
		if (type == -1 || !take_message(l, m, type))
			l->io.over = true;
		if (l->io.over)
			break;
	}
	if (l->closed || (!l->io.over && type != -1))
		return;
	int code = LDAP_SERVER_DOWN;
	ldap_get_option(l->ld, LDAP_OPT_RESULT_CODE, &code);
	lose(l, code == LDAP_SERVER_DOWN || code == LDAP_SUCCESS || code == LDAP_TIMEOUT
		    ? "the connection has ended"
		    : ldap_err2string(code));
}

/* Whether the connection is good for more. */
static bool
take_message(struct link *l, LDAPMessage *m, int type)
{
	int id = ldap_msgid(m);
	struct question *q = id > 0 ? find(l, id) : NULL;

	if (q == NULL) {
		if (id != l->probe)
			l->stray++;
		else if (type == LDAP_RES_SEARCH_RESULT)
			l->probe = 0;
		ldap_msgfree(m);
		return id != 0; /* a notice of disconnection */
	}
	if (type == LDAP_RES_SEARCH_ENTRY && !q->is_bind) {
		const char *wrong = question_take(q, l->ld, m);
		if (wrong != NULL) {
			link_abandon(l, q);
			l->owner->on_answer(l, q, wrong, l->arg);
		}
		return true;
	}
	if (type == (int)(q->is_bind ? LDAP_RES_BIND : LDAP_RES_SEARCH_RESULT)) {
		take_result(l, q, m);
		return true;
	}
	/* A reference is followed later, if at all (referral.c); anything else makes no sense here. */
	q->references += type == LDAP_RES_SEARCH_REFERENCE;
	ldap_msgfree(m);
	return type == LDAP_RES_SEARCH_REFERENCE || type == LDAP_RES_INTERMEDIATE;
}

static void
take_result(struct link *l, struct question *q, LDAPMessage *m)
{
	LDAPControl **controls = NULL;
	const char *wrong = NULL;

	ldap_memfree(q->diagnostic);
	q->diagnostic = NULL;
	ber_bvfree(q->cookie);
	q->cookie = NULL;
	int code = ldap_parse_result(
	    l->ld, m, &q->code, NULL, &q->diagnostic, NULL, q->page_size > 0 ? &controls : NULL, 1);
	if (code != LDAP_SUCCESS)
		wrong = "an answer that cannot be read";
	LDAPControl *page = ldap_control_find(LDAP_CONTROL_PAGEDRESULTS, controls, NULL);
	if (page != NULL) {
		struct berval cookie = { 0, NULL };
		ber_int_t estimate;

		if (ldap_parse_pageresponse_control(l->ld, page, &estimate, &cookie) !=
		    LDAP_SUCCESS)
			wrong = "a page that cannot be read";
		else if (cookie.bv_len > 0)
			q->cookie = ber_bvdup(&cookie);
		ber_memfree(cookie.bv_val);
	}
	ldap_controls_free(controls);
	if (l->heard_us - q->sent_us < l->rtt_us)
		l->rtt_us = l->heard_us - q->sent_us;
	take_out(l, q);
	l->answered++;
	l->owner->on_answer(l, q, wrong, l->arg);
}

/* --- Doubt */

static void
on_tick(int fd, short what, void *arg)
{
	struct link *l = arg;
	struct timeval tv = { .tv_usec = TICK_US };
	int64_t silent = ticks_now() - l->heard_us;

	(void)fd;
	(void)what;
	l->ticking = l->in_flight > 0;
	if (!l->ticking)
		return;
	event_add(l->tick, &tv);
	switch (l->state) {
	case LINK_GOOD:
		if (silent >= SILENCE_US + 2 * l->rtt_us)
			probe(l);
		break;
	case LINK_PROBED:
		if (ticks_now() - l->probed_us >= PROBE_US + 2 * l->rtt_us) {
			l->state = LINK_SUSPECT;
			l->owner->on_doubt(l, l->arg);
		}
		break;
	case LINK_SUSPECT: break;
	}
}

static void
probe(struct link *l)
{
	char no_attrs[] = LDAP_NO_ATTRS;
	char *none[] = { no_attrs, NULL };

	l->state = LINK_PROBED;
	l->probed_us = ticks_now();
	if (l->most == 1 || l->probe != 0 || l->io.over)
		return;
	if (ldap_search_ext(l->ld, "", LDAP_SCOPE_BASE, "(objectClass=*)", none, 0, NULL, NULL,
		NULL, 1, &l->probe) != LDAP_SUCCESS)
		l->io.over = true;
	event_active(l->flush, 0, 0);
}
