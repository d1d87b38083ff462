/*
 * Which answers of the DNS are believed: dns_ask(), by way of dns.c.
 *
 *	OFF     there is no trust anchor, or "dane no": nothing is validated
 *	ON      everything is; a bogus answer is none.  With "dane yes" that is all
 *	BLIND   "dane auto", and the resolver has been found to pass no signatures on: nothing is
 *	        validated, until it does
 *
 * With a resolver that strips signatures every answer is bogus.  So on a bogus one the anchor's own zone is
 * asked for something small.  When that is proved, what was bogus is bogus.  When it is bogus too, but the
 * resolver answers, it is the resolver, and the questions that wait are asked again without proof.  Mail
 * goes then as it did before there was DNSSEC: as well, and no better.
 */
#include "clock.h"
#include "local.h"
#include "log.h"
#include "text.h"

#include <arpa/nameser.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The next probe at the soonest, after one that was good, was none, and had no answer. */
#define PROBE_AGAIN_MS 60000
#define BLIND_MS       120000
#define UNKNOWN_MS     5000

/* One that is validated. */
struct asking {
	STAILQ_ENTRY(asking) entry;
	char *name;
	int type;
	dns_callback *callback;
	void *arg;
};

static enum { OFF, ON, BLIND } state;
static char zone[256]; /* whose trust anchor it is */
static bool probing;
static int64_t next_probe_ms;
static STAILQ_HEAD(, asking) waiting = STAILQ_HEAD_INITIALIZER(waiting); /* for the probe */

static void on_proved(const struct dns_answer *, void *);
static void probe(void);
static void on_probe(const struct dns_answer *, void *);
static void on_plain_probe(const struct dns_answer *, void *);
static void end_probe(bool is_blind, int64_t next_ms);

/* The first name in the file: DS and DNSKEY records in the form of a zone. */
static void
read_zone(const char *file)
{
	FILE *f = fopen(file, "re");
	char line[4096];

	snprintf(zone, sizeof(zone), ".");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		line[strcspn(line, " \t\r\n;")] = '\0';
		if (line[0] == '\0' || line[0] == '$')
			continue;
		snprintf(zone, sizeof(zone), "%.255s", line);
		break;
	}
	if (f != NULL)
		fclose(f);
}

void
dnssec_init(void)
{
	const char *anchor = conf_trust_anchor(process.conf);
	const char *resolver = process.conf->resolver;

	dns_open(DNS_PLAIN, NULL);
	if (process.conf->dane == DANE_NO || (resolver != NULL && strcmp(resolver, "none") == 0))
		return;
	if (anchor != NULL && dns_open(DNS_PROVED, anchor)) {
		read_zone(anchor);
		state = ON;
		log_info("dns event=dnssec-on file=%s", log_quote(anchor));
		return;
	}
	if (anchor != NULL)
		log_warn(
		    "dns event=dnssec-off file=%s reason=\"no trust anchor can be read there\"",
		    log_quote(anchor));
	else
		log_info("dns event=dnssec-off reason=\"there is no trust anchor, as of the "
			 "package dns-root-data\"");
	if (process.conf->dane == DANE_YES)
		state = ON; /* and nothing can be proved */
}

bool
dnssec_is_on(void)
{
	return state == ON;
}

/* --- A question */

static void
free_asking(struct asking *a)
{
	free(a->name);
	free(a);
}

void
dns_ask(const char *name, int type, dns_callback *callback, void *arg)
{
	if (state == BLIND && !probing && clock_mono_ms() >= next_probe_ms)
		probe();
	if (state != ON) {
		dns_ask_by(DNS_PLAIN, name, type, callback, arg);
		return;
	}
	struct asking *a = xcalloc(1, sizeof(*a));
	*a = (struct asking){
		.name = xstrdup(name), .type = type, .callback = callback, .arg = arg
	};
	dns_ask_by(DNS_PROVED, name, type, on_proved, a);
}

static void
ask_plainly(struct asking *a)
{
	dns_ask_by(DNS_PLAIN, a->name, a->type, a->callback, a->arg);
	free_asking(a);
}

static void
on_proved(const struct dns_answer *answer, void *arg)
{
	struct asking *a = arg;
	bool may_be_resolver = answer->bogus && process.conf->dane == DANE_AUTO;

	if (may_be_resolver && state == BLIND) {
		ask_plainly(a);
		return;
	}
	if (may_be_resolver && (probing || clock_mono_ms() >= next_probe_ms)) {
		STAILQ_INSERT_TAIL(&waiting, a, entry);
		if (!probing)
			probe();
		return;
	}
	if (answer->bogus)
		log_info("dns event=bogus name=%s reason=%s", log_quote(a->name),
		    log_quote(answer->detail));
	a->callback(answer, a->arg);
	free_asking(a);
}

/* --- Whether the resolver passes signatures on */

/* What few zones have at their top: it takes keys, signatures, and a proof of absence. */
static void
probe(void)
{
	probing = true;
	dns_ask_by(DNS_PROVED, zone, ns_t_txt, on_probe, NULL);
}

static void
on_probe(const struct dns_answer *answer, void *arg)
{
	(void)arg;
	if (answer->secure)
		end_probe(false, PROBE_AGAIN_MS);
	else if (!answer->bogus) /* no answer at all says nothing of signatures */
		end_probe(state == BLIND, UNKNOWN_MS);
	else
		dns_ask_by(DNS_PLAIN, zone, ns_t_soa, on_plain_probe, NULL);
}

static void
on_plain_probe(const struct dns_answer *answer, void *arg)
{
	(void)arg;
	if (answer->result == DNS_ERROR)
		end_probe(state == BLIND, UNKNOWN_MS);
	else
		end_probe(true, BLIND_MS);
}

static void
end_probe(bool is_blind, int64_t next_ms)
{
	STAILQ_HEAD(, asking) now = STAILQ_HEAD_INITIALIZER(now);
	struct asking *a;

	if (is_blind && state == ON)
		log_warn("dns event=dnssec-off reason=\"the resolver passes no signatures on: mail "
			 "goes without DANE\"");
	else if (!is_blind && state == BLIND)
		log_info("dns event=dnssec-on reason=\"the resolver passes signatures on\"");
	state = is_blind ? BLIND : ON;
	probing = false;
	next_probe_ms = clock_mono_ms() + next_ms;
	STAILQ_CONCAT(&now, &waiting);
	while ((a = STAILQ_FIRST(&now)) != NULL) {
		STAILQ_REMOVE_HEAD(&now, entry);
		if (is_blind)
			ask_plainly(a);
		else
			dns_ask_by(DNS_PROVED, a->name, a->type, on_proved, a);
	}
}
