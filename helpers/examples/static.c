/*
 * Source addresses that take turns, and the networks that may send, with tabmail's runtime.  After make:
 *
 *	cc -Iproto -o static helpers/examples/static.c build/libproto.a -levent_core -lpthread
 */
#include "tab_helper.h"
#include "tab_set.h"

static struct tab_set *sources, *networks;

static void
ask(struct tab_query *q)
{
	struct tab_set *set = q->service == TAB_SOURCE ? sources : networks;
	const char *value;

	/* Not known is not missing: the mail would bounce. */
	switch (tab_set_ask(set, q->op, q->service, q->key, &value)) {
	case TAB_FOUND: tab_found(q, value); break;
	case TAB_MISSING: tab_missing(q); break;
	case TAB_ERROR: tab_error(q, value); break;
	}
}

int
main(void)
{
	const struct tab_helper helper = {
		.services = TAB_OFFER(SOURCE) | TAB_OFFER(NETADDR), .fetch = ask, .check = ask
	};
	sources = tab_set_new();
	tab_set_add(sources, "192.0.2.1", NULL);
	tab_set_add(sources, "192.0.2.2", NULL);
	networks = tab_set_new();
	tab_set_add(networks, "127.0.0.0/8", NULL);
	tab_set_add(networks, "2001:db8::/32", NULL);
	return tab_helper_run(&helper);
}
