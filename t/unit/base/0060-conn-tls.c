/* conn.h with TLS: real handshakes over real sockets, and what goes wrong in them. */
#include "certs.h"
#include "conn.h"
#include "tap.h"
#include "tlsctx.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>

#define BIG (3 * 1024 * 1024)

static struct event_base *base;

/* One side, with what it saw. */
static struct side {
	struct conn *conn;
	struct evbuffer *got;
	unsigned secure, eof, ended, drained;
	enum conn_end how;
	bool greedy; /* takes its input at once */
	char error[200];
} client, server;

static void
on_input(void *arg)
{
	struct side *s = arg;

	if (s->greedy)
		evbuffer_add_buffer(s->got, conn_in(s->conn));
}

static void
on_secure(void *arg)
{
	((struct side *)arg)->secure++;
}

static void
on_drained(void *arg)
{
	((struct side *)arg)->drained++;
}

static void
on_eof(void *arg)
{
	((struct side *)arg)->eof++;
}

static void
on_end(enum conn_end how, int error, void *arg)
{
	struct side *s = arg;

	(void)error;
	s->ended++;
	s->how = how;
	snprintf(s->error, sizeof(s->error), "%s", conn_tls_error(s->conn));
	conn_free(s->conn);
	s->conn = NULL;
}

static const struct conn_ops ops = { .on_input = on_input,
	.on_secure = on_secure,
	.on_drained = on_drained,
	.on_eof = on_eof,
	.on_end = on_end };

static void
turn(int times)
{
	for (int i = 0; i < times; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
}

/* Turns until a count is reached, 10 s at most. */
static void
await(const unsigned *count, unsigned wanted)
{
	for (int i = 0; i < 100000 && *count < wanted; i++) {
		turn(1);
		usleep(i < 100 ? 0 : 100);
	}
}

static void
open_side(struct side *s, int fd)
{
	*s = (struct side){ .got = evbuffer_new(), .greedy = true };
	s->conn = conn_new(base, fd, &ops, s);
}

static void
close_side(struct side *s)
{
	if (s->conn != NULL)
		conn_free(s->conn);
	evbuffer_free(s->got);
	s->conn = NULL;
}

/* Both sides connected, plain. */
static void
open_pair(void)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == -1)
		exit(1);
	open_side(&client, fds[0]);
	open_side(&server, fds[1]);
}

static void
close_pair(void)
{
	close_side(&client);
	close_side(&server);
	turn(3);
}

static void
say(struct side *s, const char *text)
{
	evbuffer_add(conn_out(s->conn), text, strlen(text));
	conn_send(s->conn);
}

/* What has come since the last time; waits until that is as long as what is wanted. */
static const char *
got(struct side *s, const char *wanted)
{
	for (int i = 0; i < 10000 && evbuffer_get_length(s->got) < strlen(wanted); i++) {
		turn(1);
		usleep(i < 100 ? 0 : 100);
	}
	evbuffer_add(s->got, "", 1);
	const char *text = (const char *)evbuffer_pullup(s->got, -1);
	static char copy[1024];
	snprintf(copy, sizeof(copy), "%s", text);
	evbuffer_drain(s->got, evbuffer_get_length(s->got));
	return copy;
}

static struct tlsctx *
server_ctx(const char *name)
{
	char *error = NULL;
	struct tlsctx *x = tlsctx_server(certs_server(name), true, &error);

	if (x == NULL)
		printf("# %s\n", error);
	return x;
}

/* ca: the pair whose certificate is trusted; NULL: nothing is verified. */
static struct tlsctx *
client_ctx(const char *ca)
{
	struct tls_config *config = tls_config_new();
	char *error = NULL;

	if (ca == NULL) {
		tls_config_insecure_noverifycert(config);
		tls_config_insecure_noverifyname(config);
	} else if (tls_config_set_ca_file(config, certs_path(ca, "crt")) == -1) {
		printf("# %s\n", tls_config_error(config));
	}
	return tlsctx_client(config, &error);
}

static void
secure_pair(struct tlsctx *sx, struct tlsctx *cx, const char *name)
{
	open_pair();
	conn_tls(server.conn, sx, NULL);
	conn_tls(client.conn, cx, name);
	for (int i = 0; i < 100000 && !client.ended && !server.ended &&
			(client.secure == 0 || server.secure == 0);
	     i++)
		turn(1);
}

static void
talks(void)
{
	struct tlsctx *sx = server_ctx("mx.example.org"), *cx = client_ctx("mx.example.org");

	open_pair();
	say(&server, "220 go ahead\r\n");
	conn_tls(server.conn, sx, NULL);
	ok(conn_tls_peer(server.conn) == NULL, "no peer before the handshake");
	turn(5);
	is(got(&client, "220 go ahead\r\n"), "220 go ahead\r\n",
	    "what waited went out in plain text");
	say(&client, "EHLO early\r\n"); /* before conn_tls: plain */
	conn_tls(client.conn, cx, "mx.example.org");
	await(&server.ended, 1);
	is_int(server.how, CONN_TLS, "plain text in place of a handshake ends the connection");
	ok(server.error[0] != '\0', "and says why: %s", server.error);
	is_int(server.secure, 0, "it was never secure");
	is(got(&server, ""), "", "and its text was not taken for input");
	close_pair();

	secure_pair(sx, cx, "mx.example.org");
	is_int(client.secure, 1, "client: secure");
	is_int(server.secure, 1, "server: secure");
	ok(conn_is_secure(client.conn) && conn_is_secure(server.conn), "both say so");
	is(tls_conn_version(conn_tls_peer(client.conn)), "TLSv1.3", "protocol");
	ok(strlen(tls_conn_cipher(conn_tls_peer(server.conn))) > 5, "cipher %s",
	    tls_conn_cipher(conn_tls_peer(server.conn)));
	is(tls_conn_servername(conn_tls_peer(server.conn)), "mx.example.org", "SNI");
	for (int i = 0; i < 50; i++)
		say(&client, "NOOP\r\n");
	for (int i = 0; i < 10000 && evbuffer_get_length(server.got) < 300; i++)
		turn(1);
	is_int(evbuffer_get_length(server.got), 300, "fifty lines come");
	say(&server, "250 ok\r\n");
	got(&client, "250 ok\r\n");
	conn_shutdown(client.conn);
	await(&server.eof, 1);
	is_int(server.eof, 1, "close_notify is the end of input");
	say(&server, "221 bye\r\n");
	turn(10);
	is(got(&client, "221 bye\r\n"), "221 bye\r\n", "and the other direction is still open");
	is_int(server.ended + client.ended, 0, "nobody failed");
	close_pair();

	secure_pair(sx, cx, "mx.example.org");
	conn_last_word(server.conn, "421 leaving\r\n");
	conn_free(server.conn);
	server.conn = NULL;
	await(&client.eof, 1);
	is(got(&client, "421 leaving\r\n"), "421 leaving\r\n", "a last word is encrypted");
	is_int(client.eof, 1, "then the end");
	close_pair();
	tlsctx_drop(sx);
	tlsctx_drop(cx);
}

static void
much(void)
{
	struct tlsctx *sx = server_ctx("mx.example.org"), *cx = client_ctx(NULL);
	char *data = malloc(BIG);
	unsigned differs = 0;

	secure_pair(sx, cx, NULL);
	for (size_t i = 0; i < BIG; i++)
		data[i] = (char)(i * 31 + i / 977);
	server.greedy = false;
	evbuffer_add(conn_out(client.conn), data, BIG);
	conn_send(client.conn);
	turn(500);
	size_t held = evbuffer_get_length(conn_in(server.conn));
	ok(held >= 64 * 1024 && held <= 96 * 1024, "input stops at its limit: %zu", held);
	ok(evbuffer_get_length(conn_out(client.conn)) > BIG / 2, "and the sender waits");
	while (evbuffer_get_length(server.got) < BIG) {
		size_t before = evbuffer_get_length(server.got);
		evbuffer_add_buffer(server.got, conn_in(server.conn));
		conn_pause(server.conn);
		turn(2);
		conn_resume(server.conn);
		turn(20);
		if (evbuffer_get_length(server.got) == before &&
		    evbuffer_get_length(conn_in(server.conn)) == 0)
			break;
	}
	is_int(evbuffer_get_length(server.got), BIG, "pausing and resuming, all of it comes");
	const char *p = (const char *)evbuffer_pullup(server.got, -1);
	for (size_t i = 0; p != NULL && i < BIG; i++)
		differs += p[i] != data[i];
	is_int(differs, 0, "unchanged");
	ok(client.drained > 0, "and the sender is told that it is out");
	free(data);
	close_pair();
	tlsctx_drop(sx);
	tlsctx_drop(cx);
}

static void
refuses(void)
{
	struct tlsctx *sx = server_ctx("mx.example.org"), *cx = client_ctx("mx.example.org"),
		      *other = client_ctx("other.example.org");

	secure_pair(sx, other, "mx.example.org");
	is_int(client.how, CONN_TLS, "an unknown certificate is refused");
	ok(strstr(client.error, "verif") != NULL, "with its reason: %s", client.error);
	await(&server.ended, 1);
	is_int(server.ended, 1, "and the server learns it");
	close_pair();

	secure_pair(sx, cx, "wrong.example.org");
	is_int(client.how, CONN_TLS, "a certificate for another name is refused");
	ok(strstr(client.error, "wrong.example.org") != NULL, "with its reason: %s", client.error);
	close_pair();
	tlsctx_drop(other);
	tlsctx_drop(sx);
	tlsctx_drop(cx);
}

/* A peer that sends the bytes of one handshake, spoilt or cut at every point. */
static void
spoilt_handshakes(void)
{
	struct tlsctx *sx = server_ctx("mx.example.org"), *cx = client_ctx(NULL);
	char hello[2048], reply[512];
	unsigned survived = 0, hung = 0, whole = 0;
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == -1)
		exit(1);
	open_side(&client, fds[0]);
	conn_tls(client.conn, cx, "mx.example.org");
	turn(5);
	ssize_t len = recv(fds[1], hello, sizeof(hello), MSG_DONTWAIT);
	close(fds[1]);
	close_side(&client);
	ok(len > 100, "a client's first flight has %zd bytes", len);
	for (ssize_t i = len; i >= 0; i -= i < 60 ? 1 : 7) {
		for (int how = 0; how < 2; how++) { /* cut, spoilt */
			char copy[2048];
			memcpy(copy, hello, sizeof(copy));
			if (how == 1)
				copy[i < len ? i : 0] ^= 0x55;
			if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == -1)
				exit(1);
			open_side(&server, fds[1]);
			conn_tls(server.conn, sx, NULL);
			ssize_t n = write(fds[0], copy, how == 0 ? (size_t)i : (size_t)len);
			turn(3);
			whole += how == 0 && n == len && !server.ended;
			shutdown(fds[0], SHUT_WR);
			await(&server.ended, 1);
			survived += server.secure;
			hung += server.ended != 1;
			while (read(fds[0], reply, sizeof(reply)) > 0)
				;
			close(fds[0]);
			close_side(&server);
			turn(2);
		}
	}
	is_int(whole, 1, "the whole flight is not refused");
	is_int(survived, 0, "no spoilt handshake becomes a connection");
	is_int(hung, 0, "and each ends");
	tlsctx_drop(sx);
	tlsctx_drop(cx);
}

static void
ends(void)
{
	struct tlsctx *sx = server_ctx("mx.example.org"), *cx = client_ctx(NULL);

	open_pair();
	conn_tls(server.conn, sx, NULL);
	conn_deadline(server.conn, 1);
	await(&server.ended, 1);
	is_int(server.how, CONN_TIMEOUT, "a handshake that does not come meets the deadline");
	close_pair();

	secure_pair(sx, cx, NULL);
	if (write(conn_fd(client.conn), "no TLS at all, this is plain text\r\n", 35) != 35)
		exit(1);
	await(&server.ended, 1);
	is_int(server.how, CONN_TLS, "plain text in a secure connection ends it");
	is(got(&server, ""), "", "and is not read");
	close_pair();

	secure_pair(sx, cx, NULL);
	shutdown(conn_fd(client.conn), SHUT_RDWR);
	await(&server.eof, 1);
	is_int(server.eof, 1, "a cut without close_notify is the end of input");
	close_pair();

	/* the owner's context is replaced while a handshake runs, and after it */
	open_pair();
	conn_tls(server.conn, sx, NULL);
	conn_tls(client.conn, cx, "mx.example.org");
	tlsctx_drop(sx);
	tlsctx_drop(cx);
	await(&client.secure, 1);
	await(&server.secure, 1);
	is_int(client.secure + server.secure, 2, "a context lives as long as its connections");
	say(&client, "NOOP\r\n");
	turn(5);
	is(got(&server, "NOOP\r\n"), "NOOP\r\n", "which go on");
	close_pair();
}

static void
two_names(void)
{
	struct tls_config *config = certs_server("mx.example.org");
	struct tlsctx *one = client_ctx("mx.example.org"), *two = client_ctx("other.example.org");
	char *error = NULL;

	if (tls_config_add_keypair_file(config, certs_path("other.example.org", "crt"),
		certs_path("other.example.org", "key")) == -1)
		printf("# %s\n", tls_config_error(config));
	struct tlsctx *sx = tlsctx_server(config, true, &error);
	secure_pair(sx, one, "mx.example.org");
	is_int(client.secure, 1, "two certificates: the one that is asked for");
	close_pair();
	secure_pair(sx, two, "other.example.org");
	is_int(client.secure, 1, "and the other");
	close_pair();
	tlsctx_drop(sx);
	tlsctx_drop(one);
	tlsctx_drop(two);
}

/* A peer that reads nothing and sends on: what it sends before TLS can begin stays in its socket. */
static void
unread_before_tls(void)
{
	static char much_text[1024 * 1024];
	char *error = NULL;
	struct tlsctx *ctx = tlsctx_server(certs_server("mx.example.org"), true, &error);
	size_t taken = 0;
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == -1)
		exit(1);
	open_side(&server, fds[1]);
	memset(much_text, 'x', sizeof(much_text));
	evbuffer_add(
	    conn_out(server.conn), much_text, sizeof(much_text)); /* more than the socket takes */
	conn_send(server.conn);
	turn(3);
	conn_tls(server.conn, ctx, NULL);
	for (int i = 0; i < 2000; i++) {
		ssize_t n = write(fds[0], much_text, 64 * 1024);
		taken += n > 0 ? (size_t)n : 0;
		turn(1);
	}
	ok(taken < 4 * 1024 * 1024, "what is sent before TLS can begin is not read: %zu bytes",
	    taken);
	close(fds[0]);
	close_side(&server);
	turn(3);
	tlsctx_drop(ctx);
}

int
main(void)
{
	signal(SIGPIPE, SIG_IGN);
	base = event_base_new();
	certs_make("mx.example.org");
	certs_make("other.example.org");
	talks();
	much();
	refuses();
	spoilt_handshakes();
	ends();
	two_names();
	unread_before_tls();
	event_base_free(base);
	return done();
}
