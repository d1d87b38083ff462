/* What TLS connections have in common; see tlsctx.h. */
#include "tlsctx.h"
#include "text.h"

#include <stdlib.h>
#include <tls.h>

struct tlsctx {
	struct tls_config *config;
	struct tls *server; /* NULL: for clients */
	unsigned refs;
};

static struct tlsctx *
make(struct tls_config *config, struct tls *tls, bool server, char **error)
{
	if (tls == NULL || tls_configure(tls, config) == -1) {
		const char *why = tls == NULL ? "out of memory" : tls_error(tls);
		*error = xstrdup(why == NULL ? "unknown error" : why);
		tls_free(tls);
		tls_config_free(config);
		return NULL;
	}
	struct tlsctx *x = xcalloc(1, sizeof(*x));
	*x = (struct tlsctx){ .config = config, .refs = 1 };
	if (server) {
		x->server = tls;
		tls_config_clear_keys(config);
	} else {
		tls_free(tls);
	}
	return x;
}

struct tlsctx *
tlsctx_server(struct tls_config *config, char **error)
{
	return make(config, tls_server(), true, error);
}

struct tlsctx *
tlsctx_client(struct tls_config *config, char **error)
{
	return make(config, tls_client(), false, error);
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
tlsctx_take(const struct tlsctx *x)
{
	if (x->server != NULL)
		return x->server;
	struct tls *tls = tls_client();
	if (tls != NULL && tls_configure(tls, x->config) == -1) {
		tls_free(tls);
		tls = NULL;
	}
	return tls;
}
