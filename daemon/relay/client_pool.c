/*
 * The connections there are: how many, and which are idle.  An idle one is of its route, and of its
 * host, too: it is closed when another needs its place, or serves another route to the same server.
 */
#include "client.h"
#include "dane.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define OPEN_MAX_ALL 20000 /* connections in all */

static TAILQ_HEAD(, client) all_idle = TAILQ_HEAD_INITIALIZER(all_idle); /* the oldest first */
static size_t n_open, max_open = OPEN_MAX_ALL;

void
client_pool_count(int more)
{
	n_open += (size_t)more;
}

void
client_pool_add(struct client *c)
{
	struct host *h = client_host(c);

	TAILQ_INSERT_TAIL(&h->idle, c, idle);
	TAILQ_INSERT_TAIL(&all_idle, c, any_idle);
	h->n_idle++;
}

void
client_pool_remove(struct client *c)
{
	struct host *h = client_host(c);

	TAILQ_REMOVE(&h->idle, c, idle);
	TAILQ_REMOVE(&all_idle, c, any_idle);
	h->n_idle--;
}

bool
client_fits(const struct client *c, const struct parcel *p)
{
	if (c->mail == NULL)
		return true;
	char *mail = parcel_mail(p);
	bool same = strcmp(mail, c->mail) == 0;
	free(mail);
	return same;
}

static bool
quit_idle(struct client *c)
{
	if (c == NULL)
		return false;
	route_on_idle_end(c->route, c);
	client_quit(c);
	return true;
}

bool
client_make_room(struct host *h)
{
	return quit_idle(TAILQ_FIRST(&h->idle));
}

static bool
is_same_server(const struct conf_url *a, const struct conf_url *b)
{
	return a->scheme == b->scheme && a->auth == b->auth && a->port == b->port &&
	       strcmp(a->host, b->host) == 0 && strcmp(a->path, b->path) == 0 &&
	       strcmp(a->label, b->label) == 0;
}

/* Of the best hosts alone: those that stand in for them are not asked because they happen to be there. */
struct client *
client_adopt(struct route *r, const struct hops *hops)
{
	struct client *c;

	for (size_t i = 0; i < hops->n && hops->v[i].preference == hops->v[0].preference; i++)
		TAILQ_FOREACH(c, &hops->v[i].host->idle, idle) {
			if (c->route == r || c->mail != NULL || !route_is_done(c->route) ||
			    route_action(c->route) != route_action(r) ||
			    c->hops->v[c->hop].secure != hops->v[i].secure || c->by_name ||
			    !dane_is_same(hops_dane(c->hops, c->hop), hops_dane(hops, i)) ||
			    !is_same_server(client_url(c), hops_url(hops, i)))
				continue;
			route_on_idle_end(c->route, c);
			c->route = r;
			return c;
		}
	return NULL;
}

bool
client_is_outdated(const struct client *c, const struct hops *hops)
{
	return hops != NULL && hops_demand_other(hops, c->hops, c->hop);
}

bool
client_has_descriptor(void)
{
	return n_open < max_open || quit_idle(TAILQ_FIRST(&all_idle));
}

/* One for each connection, as far as the system allows; some are for other things. */
void
client_init(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
		r.rlim_cur = r.rlim_max;
		setrlimit(RLIMIT_NOFILE, &r);
	}
	if (getrlimit(RLIMIT_NOFILE, &r) == -1)
		r.rlim_cur = 256;
	max_open = r.rlim_cur > OPEN_MAX_ALL + 64 ? OPEN_MAX_ALL : r.rlim_cur - 64;
}
