/*
 * The DNS, by libunbound on this loop; dnssec.c decides which way a question goes.
 *
 *	DNS_PLAIN   answers are taken as they come
 *	DNS_PROVED  signatures are followed from the trust anchor down: an answer is secure, or insecure,
 *	            for its zone provably has none, or bogus
 *
 * Whoever asks gets one answer, from the loop, never inside dns_ask_by(): libunbound itself may answer
 * at once, from its cache.  A question has a deadline of its own, so that a dead server costs those
 * alone who ask for its names.  What libunbound still works on then stays in memory until it has called
 * back, and is told to nobody.
 *
 * "No such name" and "no such record" are answers; all else that is no answer is DNS_ERROR.
 */
#include "local.h"
#include "log.h"
#include "text.h"

#include <arpa/nameser.h>
#include <bsd/string.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <netinet/in.h>
#include <resolv.h>
#include <stdlib.h>
#include <string.h>
#include <unbound-event.h>
#include <unbound.h>

#define DEADLINE_SEC 30
#define RECORDS_MAX  64

struct dns_query {
	dns_callback *callback; /* NULL: nobody waits any longer */
	void *arg;
	int type;
	bool asking; /* inside of ub_resolve_event() */
	bool called; /* libunbound is done with it */
	struct dns_answer answer;
	unsigned char *packet; /* that the records' data points into */
	struct event deadline, now;
};

static struct ub_ctx *ways[DNS_WAYS]; /* NULL: "resolver none", or no trust anchor */

static void on_dns(void *, int rcode, void *packet, int len, int sec, char *why, int ratelimited);
static void on_now(evutil_socket_t, short, void *);
static void on_deadline(evutil_socket_t, short, void *);
static void tell(struct dns_query *, enum dns_result, const char *why);
static void take_records(struct dns_query *, int len);
static bool take_record(struct dns_query *, const ns_msg *, const ns_rr *, struct dns_record *);

/* Names below these have no servers but the resolver's own (RFC 6761, 6762 G, 8375): none can be signed. */
static const char *const private_domains[] = { "test", "local", "internal", "lan", "home", "corp",
	"mail", "intranet", "private", "home.arpa", "localhost", "invalid", "onion" };

static void
trust(struct ub_ctx *dns, const char *anchor)
{
	for (size_t i = 0; i < sizeof(private_domains) / sizeof(private_domains[0]); i++)
		ub_ctx_set_option(dns, "domain-insecure:", private_domains[i]);
	for (size_t i = 0; i < process.conf->n_no_dnssec; i++)
		ub_ctx_set_option(dns, "domain-insecure:", process.conf->no_dnssec[i]);
	ub_ctx_add_ta_file(dns, anchor);
}

bool
dns_open(enum dns_way way, const char *anchor)
{
	const char *resolver = process.conf->resolver;
	struct ub_ctx *dns;

	if (resolver != NULL && strcmp(resolver, "none") == 0)
		return true;
	dns = ub_ctx_create_event(process.base);
	if (dns == NULL)
		log_fatal("libunbound does not start");
	if (resolver != NULL)
		ub_ctx_set_fwd(dns, resolver);
	else
		ub_ctx_resolvconf(dns, NULL);
	ub_ctx_hosts(dns, NULL);
	/* A resolver on loopback is one that the administrator named. */
	ub_ctx_set_option(dns, "do-not-query-localhost:", "no");
	/* It answers for all names: libunbound on its own would deny private networks' and these. */
	ub_ctx_set_option(dns, "unblock-lan-zones:", "yes");
	ub_ctx_set_option(dns, "insecure-lan-zones:", "yes");
	if (anchor != NULL)
		trust(dns, anchor);
	/* the first that needs all the settings above, so it tells whether they are good */
	if (ub_ctx_zone_add(dns, "test.", "transparent") != 0 && anchor != NULL) {
		ub_ctx_delete(dns);
		return false;
	}
	ways[way] = dns;
	return true;
}

static void
refuse(struct dns_query *q, const char *why)
{
	q->called = true;
	q->answer.why = why;
	q->answer.result = DNS_ERROR;
	event_active(&q->now, EV_TIMEOUT, 0);
}

void
dns_ask_by(enum dns_way way, const char *name, int type, dns_callback *callback, void *arg)
{
	struct dns_query *q = xcalloc(1, sizeof(*q));

	*q = (struct dns_query){ .callback = callback, .arg = arg, .type = type };
	event_assign(&q->deadline, process.base, -1, 0, on_deadline, q);
	event_assign(&q->now, process.base, -1, 0, on_now, q);
	event_add(&q->deadline, &(struct timeval){ DEADLINE_SEC, 0 });
	q->asking = true;
	if (ways[way] == NULL)
		refuse(q, ways[DNS_PLAIN] == NULL ? "no resolver is configured (resolver none)"
						  : "no trust anchor can be read (dane yes)");
	else if (ub_resolve_event(ways[way], name, type, ns_c_in, q, on_dns, NULL) != 0)
		refuse(q, "the resolver takes no question");
	q->asking = false;
}

static void
free_query(struct dns_query *q)
{
	event_del(&q->deadline);
	event_del(&q->now);
	free(q->answer.records);
	free(q->packet);
	free(q);
}

static void
on_dns(void *arg, int rcode, void *packet, int len, int sec, char *why, int ratelimited)
{
	struct dns_query *q = arg;

	(void)ratelimited;
	q->called = true;
	if (q->callback == NULL) {
		free_query(q);
		return;
	}
	q->answer.secure = sec == 2;
	if (sec == 1) { /* its signatures are wrong: no better than no answer */
		q->answer.bogus = true;
		strlcpy(q->answer.detail, why == NULL ? "" : why, sizeof(q->answer.detail));
		tell(q, DNS_ERROR, "the answer's signature is wrong (DNSSEC)");
		return;
	}
	/* rcode is libunbound's own; what the DNS says stands in the packet. */
	if (rcode == ns_r_noerror && packet != NULL && len >= NS_HFIXEDSZ)
		rcode = ((const unsigned char *)packet)[3] & 0xf;
	else
		rcode = ns_r_servfail;
	if (rcode == ns_r_nxdomain) {
		tell(q, DNS_NONE, "no such name");
	} else if (rcode != ns_r_noerror) {
		tell(q, DNS_ERROR, "the name's servers give no answer now");
	} else {
		q->packet = xcalloc(1, (size_t)len);
		memcpy(q->packet, packet, (size_t)len);
		take_records(q, len);
		if (q->answer.n > 0)
			tell(q, DNS_FOUND, "");
		else
			tell(q, DNS_EMPTY, "the name has no such record");
	}
}

static void
tell(struct dns_query *q, enum dns_result result, const char *why)
{
	q->answer.result = result;
	q->answer.why = why;
	event_del(&q->deadline);
	if (q->asking)
		event_active(&q->now, EV_TIMEOUT, 0);
	else
		on_now(-1, 0, q);
}

static void
on_now(evutil_socket_t fd, short what, void *arg)
{
	struct dns_query *q = arg;
	dns_callback *callback = q->callback;

	(void)fd;
	(void)what;
	q->callback = NULL;
	if (callback != NULL)
		callback(&q->answer, q->arg);
	if (q->called)
		free_query(q);
}

static void
on_deadline(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	tell(arg, DNS_ERROR, "the name's servers give no answer in time");
}

/* Those of the type asked for, wherever a CNAME led. */
static void
take_records(struct dns_query *q, int len)
{
	ns_msg msg;
	ns_rr rr;

	if (ns_initparse(q->packet, len, &msg) == -1)
		return;
	for (int i = 0; i < ns_msg_count(msg, ns_s_an) && q->answer.n < RECORDS_MAX; i++) {
		if (ns_parserr(&msg, ns_s_an, i, &rr) == -1)
			return;
		if ((int)ns_rr_type(rr) != q->type)
			continue;
		if (q->answer.records == NULL)
			q->answer.records = xcalloc(RECORDS_MAX, sizeof(struct dns_record));
		if (!take_record(q, &msg, &rr, &q->answer.records[q->answer.n]))
			continue;
		if (q->answer.n++ == 0) {
			strlcpy(q->answer.owner, ns_rr_name(rr), sizeof(q->answer.owner));
			text_lower(q->answer.owner);
		}
	}
}

static bool
take_record(struct dns_query *q, const ns_msg *msg, const ns_rr *rr, struct dns_record *r)
{
	const unsigned char *data = ns_rr_rdata(*rr);
	size_t len = ns_rr_rdlen(*rr);
	struct sockaddr_in *in4 = (struct sockaddr_in *)&r->addr;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&r->addr;

	r->data = data;
	r->len = len;
	switch (q->type) {
	case ns_t_a:
		in4->sin_family = AF_INET;
		if (len == sizeof(in4->sin_addr))
			memcpy(&in4->sin_addr, data, len);
		return len == sizeof(in4->sin_addr);
	case ns_t_aaaa:
		in6->sin6_family = AF_INET6;
		if (len == sizeof(in6->sin6_addr))
			memcpy(&in6->sin6_addr, data, len);
		return len == sizeof(in6->sin6_addr);
	case ns_t_mx:
		if (len < 3)
			return false;
		r->preference = (unsigned)data[0] << 8 | data[1];
		data += 2;
		break;
	case ns_t_ptr:
	case ns_t_cname: break;
	default: return true;
	}
	if (dn_expand(ns_msg_base(*msg), ns_msg_end(*msg), data, r->name, sizeof(r->name)) == -1)
		return false;
	text_lower(r->name);
	return true;
}
