/* Mail through the queue process, with all its peers played: see house.h. */
#include "queue/house.h"

static const char small[] = "Subject: hello\nFrom: a@x\n\nBody.\n";

static void
test_local(void)
{
	house_send((struct house_mail){
	    .sender = "a@x", .rcpts = { "jo@x" }, .data = small, .len = sizeof(small) - 1 });
	house_until(house.stored == 1);
	is_int(house.stored, 1, "a message is stored");
	is_int(spool_count_messages(), 1, "and is in the spool");
	house_until(house_empty());
	ok(house_empty(), "and gone when it is delivered");
	is(house.dests, "jo@x ", "it was delivered to its recipient");
	ok(house.last_len == sizeof(small) - 1 &&
		memcmp(house.last_body, small, house.last_len) == 0,
	    "byte for byte");
	is_int(house.worker_starts, 1, "by one worker");
	is_int(envelope_count(), 0, "nothing remains in memory");
	is_int(message_count(), 0, "and no message");
}

static void
test_list(void)
{
	house.dests[0] = '\0';
	house_send((struct house_mail){ .sender = "a@x",
	    .rcpts = { "list@x", "one@x" },
	    .data = small,
	    .len = sizeof(small) - 1 });
	house_until(house.stored == 2 && house_empty());
	is(house.dests, "one@x two@x ", "a list: each once, though named twice");
}

static void
test_long_body(void)
{
	static char big[1000000];

	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (char)(i % 80 == 79 ? '\n' : ' ' + (i * 7 + i / 80) % 90);
	house_send((struct house_mail){
	    .sender = "a@x", .rcpts = { "jo@x" }, .data = big, .len = sizeof(big) });
	house_until(house.stored == 3 && house_empty());
	ok(house.last_len == sizeof(big) && memcmp(house.last_body, big, sizeof(big)) == 0,
	    "a body of many pieces arrives byte for byte");
	house_send((struct house_mail){
	    .sender = "a@x", .rcpts = { "jo@x" }, .data = big, .len = sizeof(big), .abort = true });
	house_send(
	    (struct house_mail){ .sender = "a@x", .rcpts = { "jo@x" }, .data = "", .len = 0 });
	house_until(house.stored == 4 && house_empty());
	is_int(house.last_len, 0, "an empty body arrives, an aborted message does not");
}

static void
test_relay(void)
{
	house.dests[0] = '\0';
	house.jobs = 0;
	house_send((struct house_mail){ .sender = "a@x",
	    .rcpts = { "relay1@y", "relay2@y", "relay3@y" },
	    .data = small,
	    .len = sizeof(small) - 1 });
	house_until(house.stored == 5 && house_empty());
	ok(strstr(house.dests, "relay1@y") && strstr(house.dests, "relay2@y") &&
		strstr(house.dests, "relay3@y"),
	    "relayed to all recipients");
	is_int(house.jobs, 1, "in one transaction");
}

static void
test_bounce(void)
{
	house.dests[0] = '\0';
	house_send((struct house_mail){ .sender = "sender@x",
	    .rcpts = { "fail1@x", "relayfail@y", "never@x" },
	    .data = small,
	    .len = sizeof(small) - 1 });
	house_until(house.stored == 6 && house_empty());
	is(house.last_sender, "", "a failure comes back from the null sender");
	ok(strstr(house.dests, "sender@x") != NULL, "to the sender");
	house.last_body[house.last_len] = '\0';
	ok(strstr(house.last_body, "multipart/report") != NULL, "as a report");
	ok(strstr(house.last_body, "\nFake-Header") == NULL,
	    "foreign text makes no line of its own");
	ok(strstr(house.last_body, "Subject: hello") != NULL, "with the header");
	ok(strstr(house.last_body, "Body.") == NULL, "without the body");
	uint64_t before = queue_stats.bounces;
	house_send((struct house_mail){
	    .sender = "", .rcpts = { "fail1@x" }, .data = small, .len = sizeof(small) - 1 });
	house_send((struct house_mail){ .sender = "s@x",
	    .rcpts = { "fail1@x" },
	    .data = small,
	    .len = sizeof(small) - 1,
	    .notify = NOTIFY_NEVER });
	house_until(house.stored == 8 && house_empty());
	is_int(queue_stats.bounces, before, "none to the null sender, none when not wanted");
	house_send((struct house_mail){ .sender = "s@x",
	    .rcpts = { "fail1@x" },
	    .data = small,
	    .len = sizeof(small) - 1,
	    .ret = RET_FULL });
	house_until(house.stored == 9 && house_empty());
	house.last_body[house.last_len] = '\0';
	ok(strstr(house.last_body, "message/rfc822") != NULL &&
		strstr(house.last_body, "\n\nBody.\n") != NULL,
	    "the whole message with RET=FULL");
}

/* Of three that an alias stands for two do not exist. */
static void
test_partly(void)
{
	int stored = house.stored;
	uint64_t failed = queue_stats.failed, bounces = queue_stats.bounces;

	house.dests[0] = '\0';
	house_send((struct house_mail){ .sender = "sender@x",
	    .rcpts = { "mixed@x" },
	    .data = small,
	    .len = sizeof(small) - 1 });
	house_until(house.stored == stored + 1 && house_empty());
	ok(strstr(house.dests, "one@x ") != NULL, "a good member of an alias gets it");
	is_int(queue_stats.failed - failed, 2, "two others fail");
	is_int(queue_stats.bounces - bounces, 1, "in one bounce");
	house.stored = stored;
}

static void
test_defer(void)
{
	house.jobs = 0;
	house.dests[0] = '\0';
	house_send((struct house_mail){ .sender = "s@x",
	    .rcpts = { "defer@x", "later@x", "fine@x" },
	    .data = small,
	    .len = 12 });
	house_until(house.stored == 10 && spool_count_envelopes() == 2 && envelope_count() == 0);
	is_int(spool_count_envelopes(), 2, "two are deferred, and written");
	is_int(envelope_count(), 0, "memory holds none of them");
	is_int(house.jobs, 2, "each was tried once");
	clock_advance(300);
	schedule_rewind(0, 0);
	house_until(house.jobs == 3 && envelope_count() == 0);
	is_int(house.jobs, 3, "tried again when due");
	clock_advance(5 * 86400);
	schedule_rewind(0, 0);
	house_until(house_empty());
	ok(house_empty(), "and given back when expired");
	ok(strstr(house.dests, "s@x") != NULL, "to the sender");
	house.last_body[house.last_len] = '\0';
	ok(strstr(house.last_body, "Status: 4.4.7") != NULL, "with the status of an expiry");
}

/* Off for longer than mail is kept: what waits is tried before it is given back. */
static void
test_downtime(void)
{
	uint64_t failed = queue_stats.failed, delivered = queue_stats.delivered;

	house.lookup_later = true;
	house_send(
	    (struct house_mail){ .sender = "s@x", .rcpts = { "jo@x" }, .data = small, .len = 12 });
	house_until(house.stored == 11 && envelope_count() == 0);
	house.lookup_later = false;
	clock_advance(10 * 86400);
	schedule_rewind(0, 0);
	house_until(house_empty());
	is_int(queue_stats.failed, failed, "after ten days without a try it has not failed");
	is_int(queue_stats.delivered, delivered + 1, "but is delivered");
	house.stored = 10;
}

static void
test_deaths(void)
{
	int starts = house.worker_starts;

	house.jobs = 0;
	house.worker_dies = true;
	house_send((struct house_mail){
	    .sender = "s@x", .rcpts = { "user1@x" }, .data = small, .len = 12 });
	house_until(house.stored == 11 && spool_count_envelopes() == 1 && envelope_count() == 0);
	is_int(house.worker_starts - starts, 2, "a worker that dies is started anew once");
	is_int(house.jobs, 2, "its job is tried again at once, then deferred");
	house.worker_dies = false;
	clock_advance(3600);
	schedule_rewind(0, 0);
	house_until(house_empty());
	ok(house_empty(), "and delivered later");

	house.refuse_worker = true;
	house_send((struct house_mail){
	    .sender = "s@x", .rcpts = { "user2@x" }, .data = small, .len = 12 });
	house_until(house.stored == 12 && spool_count_envelopes() == 1 && envelope_count() == 0);
	is_int(spool_count_envelopes(), 1, "a refused worker defers");
	house.refuse_worker = false;
	clock_advance(3600);
	schedule_rewind(0, 0);
	house_until(house_empty());

	house.jobs = 0;
	house.relay_silent = true;
	house_send((struct house_mail){
	    .sender = "s@x", .rcpts = { "relay1@y" }, .data = small, .len = 12 });
	house_until(house.jobs == 1);
	ipc_close(relay_end);
	house_until(queue_relay == NULL);
	house.relay_silent = false;
	house_new_relay();
	house_until(house.stored == 13 && house_empty());
	ok(house_empty(), "relay's jobs go on with the next relay");
}

static void
test_smtp_gone(void)
{
	static char half[200000];

	memset(half, 'x', sizeof(half));
	house_send((struct house_mail){ .sender = "s@x",
	    .rcpts = { "jo@x" },
	    .data = half,
	    .len = sizeof(half),
	    .hold = true });
	house_until(message_count() == 1 && message_find(spool_last_id()) == NULL && spool_dirty());
	is_int(message_count(), 1, "a message is half here");
	ipc_close(smtp_end);
	house_until(message_count() == 0);
	is_int(message_count(), 0, "and dropped when its smtp process ends");
	smtp_end = house_channel(ROLE_SMTP, &house_smtp_ops, &smtp_queue_end);
	queue_role.on_channel(smtp_queue_end);
}

static void
test_many(void)
{
	for (int i = 0; i < 500; i++)
		house_send((struct house_mail){ .sender = "s@x",
		    .rcpts = { i % 2 ? "jo@x" : "relay@y" },
		    .data = small,
		    .len = sizeof(small) - 1 });
	house_until(house.stored == 513 && house_empty());
	is_int(house.stored, 513, "500 at once are stored");
	ok(house_empty(), "and delivered");
	ok(queue_stats.commits < 300, "with fewer commits than messages (%llu)",
	    (unsigned long long)queue_stats.commits);
}

static void
test_full(void)
{
	int stored = house.stored;
	static char half[60000];

	memset(half, 'x', sizeof(half));
	house_send((struct house_mail){
	    .sender = "s@x", .rcpts = { "defer@x" }, .data = small, .len = 12 });
	house_until(
	    house.stored == stored + 1 && spool_count_envelopes() == 1 && envelope_count() == 0);
	house.refused = 0;
	spool_limit_pages(1);
	for (int i = 0; i < 40; i++)
		house_send((struct house_mail){
		    .sender = "s@x", .rcpts = { "defer@x" }, .data = half, .len = sizeof(half) });
	house_until(house.stored + house.refused == stored + 41);
	ok(house.refused > 0, "a full disk refuses (%d of 40)", house.refused);
	ok(strncmp(house.reply, "452 ", 4) == 0 || house.refused < 40, "with 452");
	house_until(envelope_count() == 0);
	is_int(
	    spool_count_envelopes(), house.stored - stored, "what was accepted is there, no more");
	spool_limit_pages(1000000);
	house_send(
	    (struct house_mail){ .sender = "s@x", .rcpts = { "jo@x" }, .data = small, .len = 12 });
	int now = house.stored;
	house_until(house.stored == now + 1);
	is_int(house.stored, now + 1, "with room again it goes on");
}

int
main(void)
{
	log_open("test", true, getenv("V") != NULL);
	house_start();
	test_local();
	test_list();
	test_long_body();
	test_relay();
	test_bounce();
	test_partly();
	test_defer();
	test_downtime();
	test_deaths();
	test_smtp_gone();
	test_many();
	test_full();
	queue_role.on_stop();
	house_clean();
	return done();
}
