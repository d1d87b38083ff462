/*
 * TLS on a connection: the handshake, and what is decrypted and encrypted after it; see conn.h.
 *
 * Between conn_tls() and the end of the handshake (tls_begun, then !secure) nothing is read into
 * `in`, and what is put into `out` waits.
 */
#include "connstate.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>

#define NET_OUT_MAX (64 * 1024) /* encrypted ahead of the socket */

void
conn_tls(struct conn *c, struct tlsctx *ctx, const char *name)
{
	if (c->ended || c->tls != NULL)
		return;
	evbuffer_drain(c->in, evbuffer_get_length(c->in));
	c->tls = tlslayer_new(ctx, name);
	conn_set_reading(c);
	conn_send(c); /* begins, once what waits is out */
}

void
conn_tls_from_start(struct conn *c, struct tlsctx *ctx)
{
	struct evbuffer *first = evbuffer_new();

	evbuffer_add_buffer(first, c->in);
	conn_tls(c, ctx, NULL);
	if (c->tls != NULL)
		evbuffer_add_buffer(tlslayer_net_in(c->tls), first);
	evbuffer_free(first);
}

bool
conn_is_secure(const struct conn *c)
{
	return c->secure;
}

const char *
conn_tls_error(const struct conn *c)
{
	return c->tls == NULL ? "" : tlslayer_error(c->tls);
}

struct tls *
conn_tls_peer(const struct conn *c)
{
	return c->secure ? tlslayer_tls(c->tls) : NULL;
}

/* A step of the handshake; true when it is over. */
static bool
shake_hands(struct conn *c)
{
	enum tlslayer_state state = tlslayer_handshake(c->tls);

	/* what it wrote goes out, an alert too */
	(void)evbuffer_write(tlslayer_net_out(c->tls), c->fd);
	if (state == TLSLAYER_FAILED) {
		conn_fail(c, CONN_TLS, 0);
		return false;
	}
	if (evbuffer_get_length(tlslayer_net_out(c->tls)) > 0)
		event_add(&c->writable, NULL);
	if (state != TLSLAYER_DONE)
		return false;
	c->secure = true;
	if (c->ops->on_secure != NULL)
		c->ops->on_secure(c->arg);
	if (c->ended)
		return false;
	conn_send(c);
	return true;
}

/*
 * What TLS itself has to say to what it read, an update of keys (RFC 8446 4.6.3): at once.  A peer that
 * asks for it again and again and reads none of it is ended; false then.  An error of the socket is met
 * again by what is sent next, and may be no more than the end that was just read.
 */
static bool
answer_tls(struct conn *c)
{
	struct evbuffer *net = tlslayer_net_out(c->tls);
	int error = conn_write_out(c, net);

	if (error == 0 && evbuffer_get_length(net) > 2 * NET_OUT_MAX) {
		conn_fail(c, CONN_ERROR, ENOBUFS);
		return false;
	}
	if (error == 0 && evbuffer_get_length(net) > 0)
		event_add(&c->writable, NULL);
	return true;
}

/* What came from the network: the handshake goes on, or there is input. */
void
conn_decrypt(struct conn *c)
{
	if (!c->tls_begun || (!c->secure && !shake_hands(c)))
		return;
	if (c->paused) {
		c->undecrypted = true;
		return;
	}
	enum tlslayer_state state = tlslayer_read(c->tls, c->in, c->input_limit);
	c->undecrypted = state == TLSLAYER_DONE;
	if (state == TLSLAYER_FAILED) {
		conn_fail(c, CONN_TLS, 0);
		return;
	}
	if (!answer_tls(c))
		return;
	if (evbuffer_get_length(c->in) > 0)
		c->ops->on_input(c->arg);
	if (c->freed || c->ended)
		return;
	if (state == TLSLAYER_CLOSED) {
		conn_tell_eof(c);
		return;
	}
	conn_set_reading(c);
	if (c->reading && c->undecrypted) /* taken already: there is room for more */
		event_active(&c->readable, EV_READ, 0);
	if (evbuffer_get_length(c->out) > 0) /* it may have waited for a message of TLS itself */
		conn_send(c);
}

/* Out of plain text: TLS begins. */
void
conn_begin_tls(struct conn *c)
{
	c->tls_begun = true;
	conn_set_reading(c);
	conn_decrypt(c);
}

enum tlslayer_state
conn_encrypt(struct conn *c)
{
	return c->secure ? tlslayer_write(c->tls, c->out, NET_OUT_MAX) : TLSLAYER_DONE;
}
