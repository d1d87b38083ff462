/*
 * The queue process with everything around it played by this program, in one event loop: two smtp
 * processes, lookup, relay, parent and its workers.  Bodies, outcomes and deaths are chosen by address.
 */
#ifndef QUEUE_HOUSE_H
#define QUEUE_HOUSE_H

#include "clock.h"
#include "conf.h"
#include "queue/local.h"
#include "log.h"
#include "tap.h"
#include "text.h"

#include <event2/event.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

struct process process;

static const char house_maildir[] = "deliver to maildir \"~/Maildir\"";
static struct conf_rule house_rules[] = { { .action.kind = ACTION_MAILDIR },
	{ .action.kind = ACTION_RELAY } };
static struct conf house_conf = {
	.n_rules = 2,
	.retry_sec = { 120, 3600 },
	.n_retry = 2,
	.limit = { .deliveries = 64, .route_deliveries = 5000, .all_deliveries = 5000 },
};
static char house_dir[64];
static struct ipc *smtp_end, *smtp_queue_end, *lookup_end, *relay_end, *relay_queue_end;
static struct {
	int stored, refused, jobs, worker_starts, asked;
	char reply[256], refusal[256], last_body[2 * 1024 * 1024], dests[4096], last_sender[256];
	size_t last_len;
	bool lookup_later, relay_silent, worker_dies, refuse_worker;
	const char *source;     /* of relay's connections, if it is not 192.0.2.99 */
	uint32_t relay_down_ms; /* relay answers that it has set the route aside for so long */
	bool lookup_silent;     /* no answer until house_look() */
	struct ipc *asker;
	struct {
		uint32_t call;
		uint64_t envelope;
		char rcpt[64];
	} open[64];
	int n_open;
	bool hold; /* jobs stay in hand until house_go() */
	struct house_job *in_hand[1024];
	int n_in_hand, rcpts_in_hand;
} house;

static void
house_queue_end(struct ipc *ipc, void *arg)
{
	(void)arg;
	queue_role.on_gone(ipc);
}

static struct ipc_ops house_queue_ops = { .on_end = house_queue_end };

/* A channel of the queue to a player; the player's end. */
static struct ipc *
house_channel(enum role peer, const struct ipc_ops *ops, struct ipc **queue_end)
{
	int fds[2];

	ipc_pair(fds);
	house_queue_ops.handlers = queue_role.handlers;
	*queue_end = ipc_new(process.base, fds[0], ROLE_QUEUE, peer, &house_queue_ops, NULL);
	return ipc_new(process.base, fds[1], peer, ROLE_QUEUE, ops, NULL);
}

static void
house_item(struct ipc *ipc, uint64_t envelope, const char *dest, const char *route, uint32_t uid)
{
	ipc_send(ipc, MSG_EXPAND_ITEM,
	    &(struct msg_expand_item){ .envelope = envelope,
		.dest = dest,
		.action = *route == '\0' ? house_maildir : "relay",
		.user = *route == '\0' ? "jo" : "",
		.uid = *route == '\0' ? uid : 0,
		.gid = 1000,
		.home = *route == '\0' ? "/home/jo" : "",
		.route = route,
		.error = "" });
}

static void house_expansion(struct ipc *, uint32_t call, const struct msg_expand *);

static void
house_expand(struct ipc *ipc, struct msg *msg, void *arg)
{
	const struct msg_expand *e = msg->body;

	(void)arg;
	house.asked++;
	if (house.lookup_silent && house.n_open < 64) {
		house.asker = ipc;
		house.open[house.n_open].call = msg->call;
		house.open[house.n_open].envelope = e->envelope;
		snprintf(house.open[house.n_open++].rcpt, 64, "%s", e->rcpt);
	} else {
		house_expansion(ipc, msg->call, e);
	}
}

/* What was asked and not answered is answered now. */
__attribute__((unused)) static void
house_look(void)
{
	for (int i = 0; i < house.n_open; i++)
		house_expansion(house.asker, house.open[i].call,
		    &(struct msg_expand){
			.envelope = house.open[i].envelope, .rcpt = house.open[i].rcpt });
	house.n_open = 0;
	house.lookup_silent = false;
}

/* never*, later*: the verdict; nowhere*: none; huge*: a long action; list*: three local ones; half*: one that is deferred, and another; relay*, slow*: a
 * route; others local. */
static void
house_expansion(struct ipc *ipc, uint32_t call, const struct msg_expand *e)
{
	enum verdict verdict = VERDICT_ACCEPT;
	const char *reply = "";

	if (strncmp(e->rcpt, "never", 5) == 0) {
		verdict = VERDICT_NEVER;
		reply = "550 5.1.1 no such user";
	} else if (house.lookup_later || strncmp(e->rcpt, "later", 5) == 0) {
		verdict = VERDICT_LATER;
		reply = "451 4.4.3 table ldap: try later";
	} else if (strncmp(e->rcpt, "huge", 4) == 0) {
		static char action[100001];
		memset(action, 'a', sizeof(action) - 1);
		ipc_send(ipc, MSG_EXPAND_ITEM,
		    &(struct msg_expand_item){ .envelope = e->envelope,
			.dest = e->rcpt,
			.action = action,
			.user = "jo",
			.uid = 1000,
			.gid = 1000,
			.home = "/home/jo",
			.route = "",
			.error = "" });
	} else if (strncmp(e->rcpt, "nowhere", 7) == 0) {
		; /* no item */
	} else if (strncmp(e->rcpt, "list", 4) == 0) {
		house_item(ipc, e->envelope, "one@x", "", 1000);
		house_item(ipc, e->envelope, "two@x", "", 1000);
		house_item(ipc, e->envelope, "one@x", "", 1000);
	} else if (strncmp(e->rcpt, "half", 4) == 0) {
		house_item(ipc, e->envelope, "defer@x", "", 1000);
		house_item(ipc, e->envelope, "two@x", "", 1000);
	} else if (strncmp(e->rcpt, "mixed", 5) == 0) {
		for (int i = 0; i < 2; i++)
			ipc_send(ipc, MSG_EXPAND_ITEM,
			    &(struct msg_expand_item){ .envelope = e->envelope,
				.dest = i == 0 ? "gone@x" : "none@x",
				.action = "",
				.user = "",
				.home = "",
				.route = "",
				.error = "550 5.1.1 no such user" });
		house_item(ipc, e->envelope, "one@x", "", 1000);
	} else if (strncmp(e->rcpt, "relay", 5) == 0) {
		house_item(ipc, e->envelope, e->rcpt, "smtp://sink", 0);
	} else {
		house_item(ipc, e->envelope, e->rcpt, "",
		    strncmp(e->rcpt, "user", 4) == 0 ? 2000 + (uint32_t)atoi(e->rcpt + 4) : 1000);
	}
	ipc_reply(ipc, call, MSG_EXPANDED,
	    &(struct msg_expanded){ .envelope = e->envelope, .verdict = verdict, .reply = reply });
}

static void
house_ctl_ask(struct ipc *ipc, struct msg *msg, void *arg)
{
	const struct msg_ctl_ask *a = msg->body;

	(void)arg;
	ipc_send(ipc, MSG_CTL_ROW, &(struct msg_ctl_row){ msg->call, "R\ta table" });
	ipc_reply(ipc, msg->call, MSG_CTL_END,
	    &(struct msg_ctl_end){
		msg->call, strcmp(a->table, "none") == 0 ? "no such table" : "" });
}

static void
house_result(struct ipc *ipc, uint64_t job, uint32_t i, const char *dest)
{
	enum outcome outcome = OUTCOME_DONE;
	const char *status = "2.0.0", *text = "stored";

	if (strstr(dest, "defer") != NULL) {
		outcome = OUTCOME_LATER;
		status = "4.2.2";
		text = "mailbox full";
	} else if (strstr(dest, "fail") != NULL) {
		outcome = OUTCOME_FAILED;
		status = "5.2.1";
		text = "553-first\r\n553 \x01second\nFake-Header: yes\n\n.\n\xff";
	}
	if (*dest == 'r' && house.relay_down_ms > 0) {
		outcome = OUTCOME_LATER;
		status = "4.4.1";
		text = "connection refused";
	}
	ipc_send(ipc, MSG_JOB_RESULT,
	    &(struct msg_job_result){ job, i, outcome, status, text,
		*dest == 'r' ? "mx.example.org" : "",
		*dest != 'r'           ? ""
		: house.source != NULL ? house.source
				       : "192.0.2.99",
		"", 0, *dest == 'r' ? house.relay_down_ms : 0 });
}

struct house_job {
	struct ipc *ipc;
	uint64_t job;
	uint64_t size, len; /* of the body, and of what is here of it */
	uint32_t seq;
	char dests[2048];
	uint32_t n;
};

static void house_body(const struct msg *, void *);

static void
house_answer(struct house_job *h)
{
	const char *p = h->dests;

	for (uint32_t i = 0; i < h->n; i++, p += strlen(p) + 1)
		house_result(h->ipc, h->job, i, p);
	free(h);
}

/* The job that is in hand longest is done. */
__attribute__((unused)) static void
house_go(void)
{
	struct house_job *h = house.in_hand[0];

	memmove(house.in_hand, house.in_hand + 1, sizeof(house.in_hand) - sizeof(house.in_hand[0]));
	house.n_in_hand--;
	house.rcpts_in_hand -= (int)h->n;
	house_answer(h);
}

static void
house_go_on(struct house_job *h)
{
	if (h->len < h->size) {
		ipc_call(h->ipc, MSG_BODY_PULL, &(struct msg_body_pull){ h->job, ++h->seq },
		    house_body, h);
		return;
	}
	if (house.hold && house.n_in_hand < 1024) {
		house.in_hand[house.n_in_hand++] = h;
		house.rcpts_in_hand += (int)h->n;
	} else {
		house_answer(h);
	}
}

static void
house_body(const struct msg *msg, void *arg)
{
	struct house_job *h = arg;
	const struct msg_body *b = msg == NULL ? NULL : msg->body;

	if (b == NULL || b->data.len == 0) {
		free(h);
		return;
	}
	h->len += b->data.len;
	if (house.last_len + b->data.len <= sizeof(house.last_body)) {
		memcpy(house.last_body + house.last_len, b->data.data, b->data.len);
		house.last_len += b->data.len;
	}
	house_go_on(h);
}

static void
house_job(struct ipc *ipc, const struct msg_job *j)
{
	struct house_job *h = xcalloc(1, sizeof(*h));
	const char *p = j->rcpts.data;
	size_t at = 0;

	house.jobs++;
	h->ipc = ipc;
	h->job = j->job;
	h->size = j->size;
	h->n = j->n_rcpts;
	for (uint32_t i = 0; i < j->n_rcpts; i++) {
		at += (size_t)sprintf(h->dests + at, "%s", p) + 1;
		if (strlen(house.dests) < 3000) {
			strcat(house.dests, p);
			strcat(house.dests, " ");
		}
		for (int field = 0; field < 4; field++)
			p += strlen(p) + 1;
	}
	snprintf(house.last_sender, sizeof(house.last_sender), "%s", j->sender);
	memcpy(house.last_body, j->body.data, j->body.len);
	h->len = house.last_len = j->body.len;
	house_go_on(h);
}

static void
house_worker_job(struct ipc *ipc, struct msg *msg, void *arg)
{
	(void)arg;
	if (house.worker_dies) {
		house.jobs++;
		ipc_close(ipc);
		return;
	}
	house_job(ipc, msg->body);
}

static ipc_handler *const house_worker_handlers[MSG_MAX] = { [MSG_JOB] = house_worker_job };
static const struct ipc_ops house_worker_ops = { .handlers = house_worker_handlers };

static void
house_worker_start(struct ipc *ipc, struct msg *msg, void *arg)
{
	int fds[2];

	(void)arg;
	house.worker_starts++;
	if (house.refuse_worker) {
		ipc_reply(ipc, msg->call, MSG_WORKER_STARTED,
		    &(struct msg_worker_started){ .fd = -1, .error = "uid 0 is refused" });
		return;
	}
	ipc_pair(fds);
	ipc_new(process.base, fds[1], ROLE_DELIVER, ROLE_QUEUE, &house_worker_ops, NULL);
	ipc_reply(ipc, msg->call, MSG_WORKER_STARTED,
	    &(struct msg_worker_started){ .pid = 1, .fd = fds[0], .error = "" });
	close(fds[0]);
}

static void house_pull(struct ipc *);

static void
house_pulled(const struct msg *msg, void *arg)
{
	const struct msg_job *j = msg == NULL ? NULL : msg->body;

	if (j == NULL || j->job == 0)
		return;
	if (!house.relay_silent) {
		house_job(arg, j);
		house_pull(arg);
	} else {
		house.jobs++;
	}
}

static void
house_pull(struct ipc *ipc)
{
	ipc_call(
	    ipc, MSG_JOB_PULL, &(struct msg_job_pull){ "smtp://sink", 100 }, house_pulled, ipc);
}

static void
house_route_waits(struct ipc *ipc, struct msg *msg, void *arg)
{
	(void)msg;
	(void)arg;
	house_pull(ipc);
}

static ipc_handler *const house_lookup_handlers[MSG_MAX] = {
	[MSG_EXPAND] = house_expand, [MSG_CTL_ASK] = house_ctl_ask
};
static ipc_handler *const house_relay_handlers[MSG_MAX] = { [MSG_ROUTE_WAITS] = house_route_waits };
static ipc_handler *const house_parent_handlers[MSG_MAX] = {
	[MSG_WORKER_START] = house_worker_start, [MSG_CTL_ASK] = house_ctl_ask
};
static const struct ipc_ops house_lookup_ops = { .handlers = house_lookup_handlers };
static const struct ipc_ops house_relay_ops = { .handlers = house_relay_handlers };
static const struct ipc_ops house_parent_ops = { .handlers = house_parent_handlers };
static const struct ipc_ops house_smtp_ops = { .handlers = NULL };

static void
house_new_relay(void)
{
	relay_end = house_channel(ROLE_RELAY, &house_relay_ops, &relay_queue_end);
	queue_role.on_channel(relay_queue_end);
}

/* Rules with the actions that house_expand() gives. */
static void
house_configure(void)
{
	STAILQ_INIT(&house_conf.rules);
	for (size_t i = 0; i < 2; i++)
		STAILQ_INSERT_TAIL(&house_conf.rules, &house_rules[i], entry);
}

__attribute__((unused)) static void
house_start(void)
{
	struct ipc *queue_end;

	signal(SIGPIPE, SIG_IGN);
	process.base = event_base_new();
	event_base_priority_init(process.base, 2);
	process.role = ROLE_QUEUE;
	process.conf = &house_conf;
	if (*house_dir == '\0') {
		strcpy(house_dir, "/tmp/tabmail-queue-XXXXXX");
		if (mkdtemp(house_dir) == NULL)
			exit(1);
	}
	house_conf.hostname = xstrdup("mail.example.org");
	house_conf.spool = house_dir;
	house_conf.expire_sec = 4 * 86400;
	house_conf.spool_free = -1;
	house_configure();
	house_channel(ROLE_PARENT, &house_parent_ops, &process.parent);
	lookup_end = house_channel(ROLE_LOOKUP, &house_lookup_ops, &queue_end);
	queue_role.on_channel(queue_end);
	smtp_end = house_channel(ROLE_SMTP, &house_smtp_ops, &smtp_queue_end);
	queue_role.on_channel(smtp_queue_end);
	house_new_relay();
	queue_role.on_start();
}

/* Runs the loop until the condition holds, 20 s at most. */
#define house_until(cond)                                                               \
	do {                                                                            \
		int64_t end_ms_ = clock_mono_ms() + 20000;                              \
		while (!(cond) && clock_mono_ms() < end_ms_) {                          \
			event_base_once(process.base, -1, EV_TIMEOUT, house_tick, NULL, \
			    &(struct timeval){ 0, 10000 });                             \
			event_base_loop(process.base, EVLOOP_ONCE);                     \
		}                                                                       \
	} while (0)

__attribute__((unused)) static void
house_tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
}

__attribute__((unused)) static bool
house_empty(void)
{
	return spool_count_messages() == 0 && spool_count_envelopes() == 0 && !spool_dirty();
}

struct house_mail {
	const char *sender, *rcpts[8], *data;
	size_t len;
	uint32_t notify, ret;
	bool abort, hold; /* hold: body only, no end */
};

static void
house_refused(const char *reply)
{
	house.refused++;
	snprintf(house.reply, sizeof(house.reply), "%s", reply);
	snprintf(house.refusal, sizeof(house.refusal), "%s", reply);
}

static void
house_on_stored(const struct msg *msg, void *arg)
{
	(void)arg;
	if (msg == NULL)
		return;
	const struct msg_mail_stored *s = msg->body;
	if (*s->reply != '\0') {
		house_refused(s->reply);
		return;
	}
	house.stored++;
	house.reply[0] = '\0';
}

static void
house_on_id(const struct msg *msg, void *arg)
{
	struct house_mail *mail = arg;

	if (msg == NULL)
		return;
	const struct msg_mail_id *id = msg->body;
	if (id->id == 0) {
		house_refused(id->reply);
		free(mail);
		return;
	}
	for (size_t at = 0; at < mail->len; at += 10000)
		ipc_send(smtp_end, MSG_MAIL_BODY,
		    &(struct msg_mail_body){ id->id,
			{ mail->data + at, mail->len - at < 10000 ? mail->len - at : 10000 } });
	for (int i = 0; i < 8 && mail->rcpts[i] != NULL; i++)
		ipc_send(smtp_end, MSG_MAIL_RCPT,
		    &(struct msg_mail_rcpt){ id->id, mail->rcpts[i], "", mail->notify });
	if (mail->abort)
		ipc_send(smtp_end, MSG_MAIL_ABORT, &(struct msg_mail_abort){ id->id });
	else if (!mail->hold)
		ipc_call(smtp_end, MSG_MAIL_COMMIT,
		    &(struct msg_mail_commit){ .id = id->id,
			.sender = mail->sender,
			.client = "192.0.2.7",
			.helo = "client",
			.tag = "",
			.auth = "",
			.envid = "",
			.ret = mail->ret },
		    house_on_stored, NULL);
	free(mail);
}

__attribute__((unused)) static void
house_send(struct house_mail mail)
{
	struct house_mail *m = xcalloc(1, sizeof(*m));

	*m = mail;
	ipc_call(smtp_end, MSG_MAIL_BEGIN, &(struct msg_mail_begin){}, house_on_id, m);
}

__attribute__((unused)) static void
house_clean(void)
{
	char cmd[128];

	snprintf(cmd, sizeof(cmd), "rm -rf %s", house_dir);
	if (strncmp(house_dir, "/tmp/tabmail-queue-", 19) == 0 && system(cmd) != 0)
		printf("# could not remove %s\n", house_dir);
}

#endif
