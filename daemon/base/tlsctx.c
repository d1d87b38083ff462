/* What TLS connections have in common; see tlsctx.h. */
#include "tlsctx.h"
#include "text.h"
#include "tlsnative.h"

#include <stdlib.h>
#include <tls.h>

struct tlsctx {
	struct tls_config *config;
	struct tls *server; /* NULL: for clients */
	struct tlsnative native;
	unsigned refs;
};

static struct tlsctx *
make(struct tls_config *config, struct tls *tls, bool server, bool tickets, char **error)
{
	struct tlsnative native;

	if (tls == NULL || tlsnative_configure(&native, tls, config, tickets) == -1) {
		const char *why = tls == NULL ? "out of memory" : tls_error(tls);
		*error = xstrdup(why == NULL ? "unknown error" : why);
		tls_free(tls);
		tls_config_free(config);
		return NULL;
	}
	struct tlsctx *x = xcalloc(1, sizeof(*x));
	*x = (struct tlsctx){ .config = config, .refs = 1, .native = native };
	if (server) {
		x->server = tls;
		tls_config_clear_keys(config);
	} else {
		tls_free(tls);
	}
	return x;
}

struct tlsctx *
tlsctx_server(struct tls_config *config, bool tickets, char **error)
{
	return make(config, tls_server(), true, tickets, error);
}

struct tlsctx *
tlsctx_client(struct tls_config *config, char **error)
{
	return make(config, tls_client(), false, false, error);
}

struct tlsctx *
tlsctx_hold(struct tlsctx *x)
{
	x->refs++;
	return x;
}

void
tlsctx_drop(struct tlsctx *x)
{
	if (x == NULL || --x->refs > 0)
		return;
	tls_free(x->server);
	tls_config_free(x->config);
	free(x);
}

bool
tlsctx_is_server(const struct tlsctx *x)
{
	return x->server != NULL;
}

struct tls *
tlsctx_take(struct tlsctx *x)
{
	if (x->server != NULL) {
		tlsnative_renew(&x->native);
		return x->server;
	}
	struct tlsnative native; /* this one is its own */
	struct tls *tls = tls_client();
	if (tls != NULL && tlsnative_configure(&native, tls, x->config, false) == -1) {
		tls_free(tls);
		tls = NULL;
	}
	return tls;
}
