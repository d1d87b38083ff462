/*
 * TLS between buffers; see tlslayer.h.  libtls reads and writes through callbacks, and the buffers
 * take whatever it writes, so the only thing that it ever waits for is input.
 */
#include "tlslayer.h"
#include "secret.h"
#include "text.h"
#include "tlsctx.h"

#include <event2/buffer.h>
#include <stdlib.h>
#include <tls.h>

#define RECORD_LEN (16 * 1024) /* plain text of a record at most: RFC 8446 5.1 */

struct tlslayer {
	struct tlsctx *ctx;
	struct tls *tls; /* NULL: failed before it began */
	struct evbuffer *net_in, *net_out;
	char *error;
	bool eof, secure, closed;
};

static ssize_t
on_read(struct tls *tls, void *buf, size_t len, void *arg)
{
	struct tlslayer *l = arg;

	(void)tls;
	if (evbuffer_get_length(l->net_in) == 0)
		return l->eof ? 0 : TLS_WANT_POLLIN;
	return evbuffer_remove(l->net_in, buf, len);
}

static ssize_t
on_write(struct tls *tls, const void *buf, size_t len, void *arg)
{
	struct tlslayer *l = arg;

	(void)tls;
	return evbuffer_add(l->net_out, buf, len) == -1 ? -1 : (ssize_t)len;
}

static enum tlslayer_state
fail(struct tlslayer *l, const char *why)
{
	if (l->error == NULL)
		l->error = xstrdup(why == NULL ? "unknown error" : why);
	return TLSLAYER_FAILED;
}

struct tlslayer *
tlslayer_new(struct tlsctx *ctx, const char *name)
{
	struct tlslayer *l = xcalloc(1, sizeof(*l));
	struct tls *tls = tlsctx_take(ctx);

	l->ctx = tlsctx_hold(ctx);
	l->net_in = evbuffer_new();
	l->net_out = evbuffer_new();
	if (tls == NULL) {
		fail(l, "out of memory");
	} else if (tlsctx_is_server(ctx)) {
		if (tls_accept_cbs(tls, &l->tls, on_read, on_write, l) == -1)
			fail(l, tls_error(tls));
	} else {
		l->tls = tls;
		if (tls_connect_cbs(tls, on_read, on_write, l, name) == -1)
			fail(l, tls_error(tls));
	}
	return l;
}

void
tlslayer_free(struct tlslayer *l)
{
	if (l == NULL)
		return;
	tls_free(l->tls);
	tlsctx_drop(l->ctx);
	evbuffer_free(l->net_in);
	evbuffer_free(l->net_out);
	free(l->error);
	free(l);
}

struct evbuffer *
tlslayer_net_in(struct tlslayer *l)
{
	return l->net_in;
}

struct evbuffer *
tlslayer_net_out(struct tlslayer *l)
{
	return l->net_out;
}

void
tlslayer_eof(struct tlslayer *l)
{
	l->eof = true;
}

const char *
tlslayer_error(const struct tlslayer *l)
{
	return l->error == NULL ? "" : l->error;
}

struct tls *
tlslayer_tls(const struct tlslayer *l)
{
	return l->tls;
}

enum tlslayer_state
tlslayer_handshake(struct tlslayer *l)
{
	if (l->error != NULL)
		return TLSLAYER_FAILED;
	int n = tls_handshake(l->tls);
	if (n == 0) {
		l->secure = true;
		return TLSLAYER_DONE;
	}
	if (n == TLS_WANT_POLLIN || n == TLS_WANT_POLLOUT)
		return l->eof ? fail(l, "connection closed in the handshake") : TLSLAYER_MORE;
	return fail(l, l->eof ? "connection closed in the handshake" : tls_error(l->tls));
}

enum tlslayer_state
tlslayer_read(struct tlslayer *l, struct evbuffer *plain, size_t max)
{
	static unsigned char
	    record[RECORD_LEN]; /* not reserved in plain: idle sessions would keep it */

	while (evbuffer_get_length(plain) < max) {
		size_t before = evbuffer_get_length(l->net_in);
		ssize_t n = tls_read(l->tls, record, sizeof(record));
		if (n > 0) {
			int added = evbuffer_add(plain, record, (size_t)n);
			secret_wipe(record, (size_t)n); /* it may be a password */
			if (added == -1)
				return fail(l, "out of memory");
			continue;
		}
		size_t left = evbuffer_get_length(l->net_in);
		if ((n == TLS_WANT_POLLIN || n == TLS_WANT_POLLOUT) && left > 0 && left < before)
			continue; /* a message of TLS itself, and more behind it */
		if (n == TLS_WANT_POLLIN || n == TLS_WANT_POLLOUT)
			return l->eof ? TLSLAYER_CLOSED : TLSLAYER_MORE;
		/* SMTP has marks of its own for ends, so a missing close_notify cuts nothing off */
		if (n == 0 || (l->eof && evbuffer_get_length(l->net_in) == 0))
			return TLSLAYER_CLOSED;
		return fail(l, tls_error(l->tls));
	}
	return TLSLAYER_DONE;
}

enum tlslayer_state
tlslayer_write(struct tlslayer *l, struct evbuffer *plain, size_t max)
{
	struct evbuffer_iovec piece;
	size_t len;

	while ((len = evbuffer_get_length(plain)) > 0) {
		if (evbuffer_get_length(l->net_out) >= max)
			return TLSLAYER_MORE;
		/* one record out of what stands there in pieces: a dialogue is many short lines */
		len = len < RECORD_LEN ? len : RECORD_LEN;
		if (evbuffer_peek(plain, 1, NULL, &piece, 1) < 1 || piece.iov_len < len) {
			piece.iov_base = evbuffer_pullup(plain, (ev_ssize_t)len);
			piece.iov_len = len;
		}
		ssize_t n = tls_write(l->tls, piece.iov_base,
		    piece.iov_len < RECORD_LEN ? piece.iov_len : RECORD_LEN);
		if (n == TLS_WANT_POLLIN || n == TLS_WANT_POLLOUT)
			return TLSLAYER_MORE;
		if (n <= 0)
			return fail(l, tls_error(l->tls));
		evbuffer_drain(plain, (size_t)n);
	}
	return TLSLAYER_DONE;
}

void
tlslayer_close(struct tlslayer *l)
{
	if (!l->secure || l->closed || l->error != NULL)
		return;
	l->closed = true;
	(void)tls_close(l->tls);
}
