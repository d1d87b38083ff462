/*
 * The hops of a route: each address of each of its hosts, in the order of preference.  Counted
 * references.  hops_pick() decides where the next connection goes.
 */
#ifndef RELAY_HOPS_H
#define RELAY_HOPS_H

#include "conf.h"

#include <sys/socket.h>

#define HOPS_MAX 64

struct dane;
struct host;

struct hop {
	unsigned url; /* which of the hosts */
	unsigned preference;
	bool secure; /* DNSSEC vouches for the name, and for its addresses or TLSA records */
	struct sockaddr_storage addr; /* with port; empty for a UNIX socket */
	struct host *host;
};

struct hops {
	unsigned refs;
	struct conf_url *urls; /* the hosts: name or address, scheme, label */
	struct dane **danes;   /* of each: its TLSA records, or NULL */
	unsigned n_urls;
	struct hop *v;
	size_t n;
};

struct hops *hops_new(void); /* with one reference */
struct hops *hops_hold(struct hops *);
void hops_release(struct hops *); /* NULL: nothing */
/*
 * A host with its addresses, those of `family` alone unless it is AF_UNSPEC; false: no URL, or full.  Its
 * TLSA records are taken over, also then.
 */
bool hops_add(struct hops *, const char *url, unsigned preference, bool secure, struct dane *,
    const struct sockaddr_storage *, size_t n, int family);
const struct conf_url *hops_url(const struct hops *, size_t hop);
const struct dane *hops_dane(const struct hops *, size_t hop); /* NULL: it has none */
/* Whether a hop of other hops to the same server demands other certificates than this one. */
bool hops_demand_other(const struct hops *other, const struct hops *, size_t hop);
/* "mx.example.org[192.0.2.1]:25", "127.0.0.1:10028", "/run/lmtp"; buf is returned. */
const char *hops_text(const struct hops *, size_t hop, char *buf, size_t len);

/* Why none is picked. */
enum hops_none {
	HOPS_ALL_TRIED,
	HOPS_DOWN, /* those not tried are set aside */
	HOPS_FULL, /* one that is up has as many connections as it may have */
};
/* The hop to connect to next, or -1.  tried: a bit for each; limit: connections of one host. */
int hops_pick(
    const struct hops *, uint64_t tried, unsigned limit, uint32_t random, enum hops_none *);

#endif
