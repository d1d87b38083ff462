/*
 * The TLSA records of a host (RFC 7672 2.2.2, 2.2.3), for routing.c, which has its addresses.
 *
 * A name in an unsigned zone is not asked for: some servers have no answer to such a question, and none
 * of theirs would count.  A host whose name is an alias may have its records at either end.
 */
#include "local.h"
#include "text.h"
#include "tlsa.h"

#include <arpa/nameser.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct tlsa_find {
	char *bases[2]; /* candidates, the better one first */
	size_t n_bases, at;
	unsigned port;
	struct event now;
	tlsa_callback *callback;
	void *arg;
};

static void on_alias(const struct dns_answer *, void *);
static void ask(struct tlsa_find *);
static void on_tlsa(const struct dns_answer *, void *);
static void on_none(evutil_socket_t, short, void *);
static void finish(struct tlsa_find *, const struct tlsa_answer *);

void
tlsa_find(const char *host, const char *owner, bool secure, unsigned port, tlsa_callback *callback,
    void *arg)
{
	struct tlsa_find *f = xcalloc(1, sizeof(*f));
	bool is_alias = strcasecmp(host, owner) != 0;

	*f = (struct tlsa_find){ .port = port, .callback = callback, .arg = arg };
	event_assign(&f->now, process.base, -1, 0, on_none, f);
	if (secure && is_alias)
		f->bases[f->n_bases++] = xstrdup(owner);
	if (secure || is_alias)
		f->bases[f->n_bases++] = xstrdup(host);
	if (secure)
		ask(f);
	else if (is_alias) /* the alias may be signed where its target is not */
		dns_ask(host, ns_t_cname, on_alias, f);
	else
		event_active(&f->now, EV_TIMEOUT, 0);
}

static void
on_alias(const struct dns_answer *a, void *arg)
{
	struct tlsa_find *f = arg;

	if (a->result == DNS_ERROR)
		finish(f, &(struct tlsa_answer){ .why = a->why });
	else if (a->secure)
		ask(f);
	else
		finish(f, &(struct tlsa_answer){ 0 });
}

static void
ask(struct tlsa_find *f)
{
	char *name = xasprintf("_%u._tcp.%s", f->port, f->bases[f->at]);

	dns_ask(name, ns_t_tlsa, on_tlsa, f);
	free(name);
}

/* As a message carries it; too much of it is none, and says so. */
static bool
pack(const struct dns_answer *a, unsigned char *set, size_t *len)
{
	*len = 0;
	for (size_t i = 0; i < a->n; i++) {
		size_t more = tlsa_packed_len(a->records[i].len);
		if (more > TLSA_SET_LEN_MAX - *len)
			return false;
		tlsa_pack(set + *len, (struct bytes){ a->records[i].data, a->records[i].len });
		*len += more;
	}
	return true;
}

static void
on_tlsa(const struct dns_answer *a, void *arg)
{
	static unsigned char set[TLSA_SET_LEN_MAX];
	struct tlsa_find *f = arg;
	size_t len;

	if (a->result == DNS_ERROR)
		finish(f, &(struct tlsa_answer){ .why = a->why });
	else if (a->result == DNS_FOUND && a->secure && !pack(a, set, &len))
		finish(f, &(struct tlsa_answer){ .why = "its TLSA records are too long" });
	else if (a->result == DNS_FOUND && a->secure)
		finish(f, &(struct tlsa_answer){ .base = f->bases[f->at], .set = { set, len } });
	else if (++f->at < f->n_bases)
		ask(f);
	else
		finish(f, &(struct tlsa_answer){ 0 });
}

static void
on_none(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	finish(arg, &(struct tlsa_answer){ 0 });
}

static void
finish(struct tlsa_find *f, const struct tlsa_answer *answer)
{
	f->callback(answer, f->arg);
	event_del(&f->now);
	free(f->bases[0]);
	free(f->bases[1]);
	free(f);
}
