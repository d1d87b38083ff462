/*
 * What relay cannot do itself, being locked into an empty folder: to find where a route leads
 * (routing.c), the credentials of a URL's label, and sockets of the file system, which are connected
 * here and handed over.  A label is looked up only in the table that the route's own action names.
 */
#include "local.h"
#include "text.h"

#include <bsd/string.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

/* A question of relay's whose answer is on its way. */
struct asked {
	LIST_ENTRY(asked) entry;
	struct ipc *ipc; /* NULL: it has gone */
	uint32_t call;
	char *route;
};

static LIST_HEAD(, asked) pending = LIST_HEAD_INITIALIZER(pending);

static void on_routed(const struct routed *, void *);
static void on_secret(enum tab_answer, const char *, void *);
static void send_secret(struct ipc *, uint32_t call, const char *secret, const char *error);

static struct asked *
new_asked(struct ipc *ipc, uint32_t call, const char *route)
{
	struct asked *a = xcalloc(1, sizeof(*a));

	*a = (struct asked){ .ipc = ipc, .call = call, .route = xstrdup(route) };
	LIST_INSERT_HEAD(&pending, a, entry);
	return a;
}

static void
free_asked(struct asked *a)
{
	LIST_REMOVE(a, entry);
	free(a->route);
	free(a);
}

/* --- Where a route leads */

void
resolve_on_route_find(struct ipc *ipc, struct msg *m, void *arg)
{
	const struct msg_route_find *q = m->body;

	(void)arg;
	routing_start(q->route, on_routed, new_asked(ipc, m->call, q->route));
}

static void
on_routed(const struct routed *routed, void *arg)
{
	struct asked *a = arg;

	for (size_t i = 0; i < routed->n && a->ipc != NULL; i++) {
		const struct routed_host *h = &routed->hosts[i];
		char *url = conf_url_text(&h->url);
		ipc_send(a->ipc, MSG_ROUTE_HOST,
		    &(struct msg_route_host){ .route = a->route,
			.url = url,
			.preference = h->preference,
			.secure =
			    (!routed->has_mx || routed->secure) && (h->secure || h->tlsa.len > 0),
			.addrs = { h->addrs, h->n_addrs * sizeof(h->addrs[0]) },
			.base = h->tlsa_base == NULL ? "" : h->tlsa_base,
			.names = h->tlsa_names == NULL ? "" : h->tlsa_names,
			.tlsa = h->tlsa });
		free(url);
	}
	if (a->ipc != NULL)
		ipc_reply(a->ipc, a->call, MSG_ROUTE_FOUND,
		    &(struct msg_route_found){ .route = a->route,
			.status = routed->status == NULL ? "" : routed->status,
			.error = routed->error == NULL ? "" : routed->error,
			.permanent = routed->permanent });
	free_asked(a);
}

/* --- Credentials */

void
resolve_on_ask_secret(struct ipc *ipc, struct msg *m, void *arg)
{
	const struct msg_ask_secret *q = m->body;
	struct conf_route route;

	(void)arg;
	conf_route_parse(&route, process.conf, q->route);
	if (route.action == NULL || route.action->auth == NULL)
		send_secret(ipc, m->call, NULL, "the rule names no table of credentials (auth)");
	else
		table_ask(route.action->auth, TAB_LOOKUP, TAB_CREDENTIALS, q->label, on_secret,
		    new_asked(ipc, m->call, q->route));
	conf_route_free(&route);
}

static void
on_secret(enum tab_answer answer, const char *value, void *arg)
{
	struct asked *a = arg;

	if (a->ipc != NULL)
		send_secret(a->ipc, a->call, answer == TAB_FOUND ? value : NULL,
		    answer == TAB_MISSING ? "the table of credentials has no such label"
					  : "the table of credentials cannot be asked");
	free_asked(a);
}

/* "user:password"; a password may hold colons. */
static void
send_secret(struct ipc *ipc, uint32_t call, const char *secret, const char *error)
{
	const char *colon = secret == NULL ? NULL : strchr(secret, ':');
	char *user =
	    xstrndup(secret == NULL ? "" : secret, colon == NULL ? 0 : (size_t)(colon - secret));

	if (secret != NULL && (colon == NULL || colon == secret))
		error = "the label's credentials are not USER:PASSWORD";
	ipc_reply(ipc, call, MSG_SECRET,
	    &(struct msg_secret){ .user = user,
		.password = { colon == NULL ? "" : colon + 1 },
		.error = colon == NULL || colon == secret ? error : "" });
	free(user);
}

/* --- Local sockets */

/* Only a path that an action of the configuration names. */
static bool
is_configured(const char *path)
{
	const struct conf_rule *r;
	struct conf_url url;

	STAILQ_FOREACH(r, &process.conf->rules, entry) {
		char *route = conf_action_route(&r->action, "");
		bool same = false;
		for (const char *urls = route; urls != NULL;)
			if (conf_url_next(&url, &urls) == NULL && strcmp(url.path, path) == 0)
				same = true;
		free(route);
		if (same)
			return true;
	}
	return false;
}

void
resolve_on_connect_unix(struct ipc *ipc, struct msg *m, void *arg)
{
	const struct msg_connect_unix *q = m->body;
	struct msg_connected_unix a = { .fd = -1, .error = "" };
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	(void)arg;
	if (q->path[0] == '\0' || !is_configured(q->path) ||
	    strlcpy(un.sun_path, q->path, sizeof(un.sun_path)) >= sizeof(un.sun_path)) {
		a.error = "no socket of the configuration";
	} else {
		a.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (a.fd == -1 || connect(a.fd, (struct sockaddr *)&un, sizeof(un)) == -1)
			a.error = strerror(errno);
	}
	if (a.error[0] != '\0' && a.fd != -1) {
		close(a.fd);
		a.fd = -1;
	}
	ipc_reply(ipc, m->call, MSG_CONNECTED_UNIX, &a);
	if (a.fd != -1)
		close(a.fd); /* ipc_reply made a duplicate */
}

void
resolve_channel_gone(struct ipc *ipc)
{
	struct asked *a;

	LIST_FOREACH(a, &pending, entry)
		if (a->ipc == ipc)
			a->ipc = NULL;
}
