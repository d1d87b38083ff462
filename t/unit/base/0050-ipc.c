/* ipc.h over a real socketpair: order, calls, cancel, descriptors, breaches, backlog, the end. */
#include "ipc.h"
#include "log.h"
#include "msgio.h"
#include "tap.h"

#include <event2/event.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

static struct event_base *base;
static struct ipc *smtp, *queue; /* the two ends: smtp asks, queue answers */
static unsigned bodies, in_order, answers, nulls, ended;
static uint64_t answered_id;
static uint32_t kept_call;
static bool keep_call;

static void
on_begin(struct ipc *ipc, struct msg *m, void *arg)
{
	(void)arg;
	if (keep_call) {
		kept_call = m->call;
		return;
	}
	ipc_reply(ipc, m->call, MSG_MAIL_ID, &(struct msg_mail_id){ .id = 42, .reply = "" });
}

static void
on_body(struct ipc *ipc, struct msg *m, void *arg)
{
	const struct msg_mail_body *b = m->body;

	(void)ipc;
	(void)arg;
	if (b->id == bodies)
		in_order++;
	bodies++;
}

static void
on_end(struct ipc *ipc, void *arg)
{
	(void)ipc;
	(void)arg;
	ended++;
}

static void
on_id(const struct msg *m, void *arg)
{
	(void)arg;
	if (m == NULL) {
		nulls++;
		return;
	}
	answers++;
	answered_id = ((const struct msg_mail_id *)m->body)->id;
}

static ipc_handler *const queue_handlers[MSG_MAX] = {
	[MSG_MAIL_BEGIN] = on_begin, [MSG_MAIL_BODY] = on_body
};
static const struct ipc_ops queue_ops = { .handlers = queue_handlers, .on_end = on_end };
static const struct ipc_ops smtp_ops = { .on_end = on_end };

static int fds[2]; /* of the pair in use: smtp's end, queue's end */

static void
connect_pair(void)
{
	if (!ipc_pair(fds))
		exit(1);
	smtp = ipc_new(base, fds[0], ROLE_SMTP, ROLE_QUEUE, &smtp_ops, NULL);
	queue = ipc_new(base, fds[1], ROLE_QUEUE, ROLE_SMTP, &queue_ops, NULL);
}

static void
turn(int times)
{
	for (int i = 0; i < times; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
}

static void
messages(void)
{
	static char big[MSG_BODY_PIECE];

	connect_pair();
	for (unsigned i = 0; i < 1000; i++)
		ipc_send(smtp, MSG_MAIL_BODY,
		    &(struct msg_mail_body){
			.id = i, .data = { big, i % 10 == 0 ? sizeof(big) : 5 } });
	ok(ipc_backlog(smtp) > IPC_BACKLOG_HIGH, "a backlog is told");
	turn(2000);
	is_int(bodies, 1000, "every message comes");
	is_int(in_order, 1000, "in order");
	is_int(ipc_backlog(smtp), 0, "the backlog is gone");
}

/* Short ones share a packet; what carries a descriptor or a secret has one for itself. */
static void
packing(void)
{
	struct msg m;
	static unsigned char packet[MSG_MAX_LEN];

	connect_pair();
	struct ipc *old = queue;
	int in = dup(fds[1]);
	ipc_close(old);
	turn(2);
	for (unsigned i = 0; i < 3; i++)
		ipc_send(
		    smtp, MSG_MAIL_BODY, &(struct msg_mail_body){ .id = i, .data = { "x", 1 } });
	ipc_flush(smtp);
	ssize_t len = recv(in, packet, sizeof(packet), MSG_DONTWAIT);
	size_t first = msg_first_len(packet, (size_t)len);
	is_int(len, 3 * (ssize_t)first, "three messages share a packet");
	is(msg_decode(&m, packet + 2 * first, first), NULL, "and each can be read");
	struct msg_reader *r = msg_reader_new(in);
	for (unsigned i = 0; i < 3; i++)
		ipc_send(smtp, MSG_MAIL_ABORT, &(struct msg_mail_abort){ .id = i });
	ipc_flush(smtp);
	for (unsigned i = 0; i < 3; i++)
		ok(msg_read(r, &m, MSG_DONTWAIT) == 1 && m.type == MSG_MAIL_ABORT &&
			((const struct msg_mail_abort *)m.body)->id == i,
		    "a process without a loop reads them one by one");
	is_int(msg_read(r, &m, MSG_DONTWAIT), -1, "and no more");
	ipc_close(smtp);
	close(in);
	free(r);
	turn(2);
}

/* A secret and what is around it: three packets, and the one with the secret is wiped when it is taken. */
static void
secrets(void)
{
	struct ipc *asker, *teller;
	int pair[2];
	static unsigned char packet[MSG_MAX_LEN];
	ssize_t lens[3];

	if (!ipc_pair(pair))
		exit(1);
	int in = dup(pair[1]);
	asker = ipc_new(base, pair[0], ROLE_SMTP, ROLE_LOOKUP, &smtp_ops, NULL);
	teller = ipc_new(base, pair[1], ROLE_LOOKUP, ROLE_SMTP, &smtp_ops, NULL);
	ipc_close(teller);
	turn(2);
	struct msg_ask_left left = { .call = 1 };
	struct msg_ask_auth auth = { .client = "", .user = "u", .password = { "hidden-password" } };
	ipc_send(asker, MSG_ASK_LEFT, &left);
	ipc_send(asker, MSG_ASK_AUTH, &auth);
	ipc_send(asker, MSG_ASK_LEFT, &left);
	ipc_flush(asker);
	for (int i = 0; i < 3; i++)
		lens[i] = recv(in, packet, sizeof(packet), MSG_DONTWAIT);
	ok(lens[0] > 0 && lens[0] == lens[2] && lens[1] > lens[0],
	    "a message with a secret has a packet for itself");
	ipc_close(asker);
	close(in);
	turn(2);
}

static void
calls(void)
{
	ipc_call(smtp, MSG_MAIL_BEGIN, &(struct msg_mail_begin){}, on_id, NULL);
	is_int(answers, 0, "no answer inside the call");
	turn(10);
	is_int(answers, 1, "a call is answered");
	is_int(answered_id, 42, "with its fields");
	keep_call = true;
	struct ipc_call *c =
	    ipc_call(smtp, MSG_MAIL_BEGIN, &(struct msg_mail_begin){}, on_id, NULL);
	turn(10);
	ipc_cancel(c);
	keep_call = false;
	ipc_call(smtp, MSG_MAIL_BEGIN, &(struct msg_mail_begin){}, on_id, NULL); /* the same slot */
	ipc_reply(queue, kept_call, MSG_MAIL_ID, &(struct msg_mail_id){ .id = 7, .reply = "" });
	turn(10);
	is_int(answers, 2, "a late answer to a cancelled call is dropped");
	is_int(answered_id, 42, "and not taken for the next one's");
	for (int i = 0; i < 5000; i++)
		ipc_call(smtp, MSG_MAIL_BEGIN, &(struct msg_mail_begin){}, on_id, NULL);
	turn(2000);
	is_int(answers, 5002, "thousands at once");
	keep_call = true;
	ipc_call(smtp, MSG_MAIL_BEGIN, &(struct msg_mail_begin){}, on_id, NULL);
	turn(10);
	ipc_close(queue);
	turn(10);
	is_int(nulls, 1, "a call whose channel ends gets NULL");
	is_int(ended, 1, "and the end is told once");
}

/* Bytes of a hostile peer, sent past ipc. */
static void
breach(const void *data, size_t len, int pass, const char *what)
{
	struct iovec iov = { (void *)(uintptr_t)data, len };
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct msghdr head = { .msg_iov = &iov, .msg_iovlen = 1 };
	unsigned before = ended;

	connect_pair();
	if (pass != -1) {
		head.msg_control = control.space;
		head.msg_controllen = sizeof(control);
		struct cmsghdr *c = CMSG_FIRSTHDR(&head);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &pass, sizeof(pass));
	}
	int out = dup(fds[0]);
	ok(sendmsg(out, &head, 0) == (ssize_t)len, "sent: %s", what);
	close(out);
	turn(10);
	is_int(ended - before, 2, "and its channel is closed");
}

static void
breaches(void)
{
	struct msg_header no_such = { .len = sizeof(no_such), .type = 999 };
	struct msg_header forged = { .len = sizeof(forged), .type = MSG_EXPANDED };
	struct msg_header long_one = { .len = 1000, .type = MSG_MAIL_BEGIN };
	struct msg_header no_length = { .type = MSG_MAIL_BEGIN };
	struct msg_header two[2] = { { .len = sizeof(two[0]), .type = MSG_MAIL_BEGIN },
		{ .len = 2 * sizeof(two[0]), .type = MSG_MAIL_BEGIN } };
	static unsigned char buf[MSG_MAX_LEN];
	size_t len = msg_encode(
	    &(struct msg){ .type = MSG_EXPANDED, .body = &(struct msg_expanded){ .reply = "" } },
	    buf, sizeof(buf));

	log_open("test", false, 0);
	breach("x", 1, -1, "a single byte");
	breach(&no_such, sizeof(no_such), -1, "an unknown message");
	breach(&forged, sizeof(forged), -1, "a message without its fields");
	breach(&long_one, sizeof(long_one), -1, "a message longer than its packet");
	breach(&no_length, sizeof(no_length), -1, "a message of no length");
	breach(two, sizeof(two), -1, "a good one, and one that is longer than the rest");
	breach(buf, len, -1, "a message of another process");
	int null = open("/dev/null", O_RDONLY);
	breach(buf, len, null, "and one with a descriptor");
	close(null);
}

/* Both may be sent over this channel, and the one's fields are not the other's. */
static void
another_answer(void)
{
	unsigned answered = answers, without = nulls, before = ended;

	connect_pair();
	keep_call = true;
	ipc_call(smtp, MSG_MAIL_BEGIN, &(struct msg_mail_begin){}, on_id, NULL);
	turn(10);
	ipc_reply(queue, kept_call, MSG_MAIL_STORED, &(struct msg_mail_stored){ .reply = "" });
	turn(10);
	is_int(answers - answered, 0, "what answers another question is no answer");
	is_int(ended - before, 2, "and its channel is closed");
	is_int(nulls - without, 1, "so the call gets NULL");
}

int
main(void)
{
	base = event_base_new();
	messages();
	calls();
	breaches();
	another_answer();
	packing();
	secrets();
	return done();
}
