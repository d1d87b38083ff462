/* Which hop is next: better hosts first, equal ones by chance, down and full ones left out. */
#include "relay/local.h"

#include "addr.h"
#include "relay/dane.h"
#include "tap.h"
#include "text.h"

struct process process;

static struct hops *h;

static void
add(const char *url, unsigned preference, const char *a, const char *b)
{
	struct sockaddr_storage addrs[2];
	size_t n = 0;

	if (a != NULL)
		netaddr_parse(&addrs[n++], a, 25);
	if (b != NULL)
		netaddr_parse(&addrs[n++], b, 25);
	ok(hops_add(h, url, preference, false, NULL, addrs, n, AF_UNSPEC), "%s", url);
}

/* One host with these records. */
static struct hops *
hops_with(const char *base, const char *names, const char *set, size_t len)
{
	struct sockaddr_storage addr;
	struct hops *one = hops_new();

	netaddr_parse(&addr, "192.0.2.9", 25);
	hops_add(one, "smtp://mx.example:25", 10, true,
	    dane_new(base, names, (struct bytes){ set, len }), &addr, 1, AF_UNSPEC);
	return one;
}

/* Whether a connection that was made by one is outdated by the other. */
static void
demands(void)
{
	struct hops *none = hops_with("", "", "", 0);
	struct hops *pkix = hops_with("mx.example", "", "\0\4\1\1\1x", 6);
	struct hops *full = hops_with("mx.example", "", "\0\4\3\1\0x", 6);
	struct hops *also = hops_with("mx.example", "other.example", "\0\4\3\1\0x", 6);
	struct hops *alias = hops_with("alias.example", "", "\0\4\3\1\0x", 6);

	ok(hops_dane(none, 0) == NULL, "no records");
	ok(hops_dane(pkix, 0) != NULL && !dane_demands_certificate(hops_dane(pkix, 0)),
	    "none that can be used: TLS alone");
	ok(dane_demands_certificate(hops_dane(full, 0)), "one that can");
	ok(!dane_demands_certificate(NULL), "nothing demands nothing");
	ok(!hops_demand_other(none, none, 0) && !hops_demand_other(full, also, 0), "the same");
	ok(hops_demand_other(full, none, 0), "records have come");
	ok(hops_demand_other(none, full, 0), "have gone");
	ok(hops_demand_other(full, pkix, 0), "have changed");
	ok(hops_demand_other(full, alias, 0), "are another name's");
	hops_release(none);
	hops_release(pkix);
	hops_release(full);
	hops_release(also);
	hops_release(alias);
}

static int
pick(uint64_t tried, enum hops_none *why)
{
	return hops_pick(h, tried, 5, 12, why);
}

int
main(void)
{
	enum hops_none why;
	char buf[TARGET_TEXT_LEN];

	h = hops_new();
	is_int(pick(0, &why), -1, "none at all");
	is_int(why, HOPS_ALL_TRIED, "and all of them tried");
	add("smtp://a.example:25", 10, "2001:db8::1", "192.0.2.1");
	add("smtp://b.example:25", 20, "192.0.2.2", NULL);
	add("smtp://c.example:25", 20, "192.0.2.3", NULL);
	is(hops_text(h, 0, buf, sizeof(buf)), "a.example[2001:db8::1]:25", "its text");
	is(h->v[0].host->name, "[2001:db8::1]:25", "its host");
	is_int(pick(0, &why), 0, "the best host's first address");
	is_int(pick(1, &why), 1, "then its other one");
	int first = pick(3, &why);
	ok(first == 2 || first == 3, "then one of the equal ones");
	unsigned n[4] = { 0 };
	for (uint32_t random = 0; random < 100; random++)
		n[hops_pick(h, 3, 5, random, &why)]++;
	ok(n[2] == 50 && n[3] == 50, "each as often as the other");
	is_int(pick(3 | 1u << first, &why), first == 2 ? 3 : 2, "then the other");
	is_int(pick(15, &why), -1, "then none");
	is_int(why, HOPS_ALL_TRIED, "for all are tried");

	h->v[0].host->n_open = h->v[1].host->n_open = h->v[0].host->window;
	is_int(
	    pick(0, &why), -1, "the best host has no room: those that stand in for it stay free");
	is_int(why, HOPS_FULL, "it is waited for");
	h->v[0].host->n_idle = 1;
	is_int(pick(0, &why), 0, "an idle connection makes room");
	h->v[0].host->n_idle = 0;
	host_failed(h->v[0].host, "refused", false);
	host_failed(h->v[1].host, "refused", false);
	is_int(pick(0, &why) >= 2, 1, "the best host is down: the others");
	host_failed(h->v[2].host, "refused", false);
	host_failed(h->v[3].host, "no answer", true);
	is_int(pick(0, &why), -1, "all are down");
	is_int(why, HOPS_DOWN, "and it says so");
	ok(h->v[3].host->down_ms > h->v[2].host->down_ms,
	    "one that does not answer in time is down longer");
	host_greeted(h->v[3].host);
	is_int(pick(0, &why), 3, "one is back");
	is_int(h->v[3].host->window, 1, "with one connection");
	host_took(h->v[3].host, 5);
	host_took(h->v[3].host, 5);
	is_int(h->v[3].host->window, 3, "more with each message");
	host_pushed_back(h->v[3].host, "451 slow");
	is_int(h->v[3].host->window, 1, "fewer when it pushes back");
	hops_release(h);

	h = hops_new();
	struct sockaddr_storage both[2];
	netaddr_parse(&both[0], "2001:db8::1", 25);
	netaddr_parse(&both[1], "192.0.2.1", 25);
	hops_add(h, "smtp://a.example:25", 10, false, NULL, both, 2, AF_INET);
	is_int(h->n, 1, "one family alone");
	ok(!hops_add(h, "what is this", 10, false, NULL, both, 2, AF_INET), "no URL");
	for (int i = 0; i < 100; i++)
		hops_add(h, "smtp://a.example:25", 10, true, NULL, both, 2, AF_UNSPEC);
	is_int(h->n, HOPS_MAX, "so many at most");
	hops_release(h);
	demands();
	return done();
}
