/* bounce-warn in the queue process: told in time whatever the mail waits for, once, and in one report. */
#include "queue/house.h"

static void
send_to(const char *rcpt, const char *other, uint32_t notify)
{
	int before = house.stored;

	house_send((struct house_mail){ .sender = "s@x",
	    .rcpts = { rcpt, other },
	    .data = "Subject: a\n\nx\n",
	    .len = 14,
	    .notify = notify });
	house_until(house.stored == before + 1);
}

static void
advance(int64_t sec)
{
	clock_advance(sec);
	schedule_now();
	warning_now();
}

/* Turns of the loop, for what should not happen. */
static void
idle(void)
{
	int64_t end_ms = clock_mono_ms() + 60;

	house_until(clock_mono_ms() >= end_ms);
}

static void
empty(void)
{
	size_t n;

	clock_advance(5 * 86400);
	spool_advance(0, INT64_MAX, clock_wall_sec(), 10000, &n);
	schedule_rewind(0, 0);
	house_until(house_empty());
	is_int(spool_count_envelopes(), 0, "all is gone");
}

static void
test_without_try(void)
{
	uint64_t before = queue_stats.warnings;

	send_to("defer@x", "later@x", 0);
	house_until(envelope_count() == 0 && spool_count_envelopes() == 2);
	int jobs = house.jobs;
	advance(50); /* and not 59: a slow machine may be a second later here */
	idle();
	is_int(queue_stats.warnings, before, "not before its time");
	advance(10);
	house_until(queue_stats.warnings == before + 1 && house.jobs == jobs + 1);
	is_int(house.jobs, jobs + 1, "in time: no try but the delivery of the warning");
	ok(strstr(house.last_body, "Action: delayed") != NULL, "it is a warning");
	house.last_body[house.last_len] = '\0';
	ok(strstr(house.last_body, "<defer@x>") && strstr(house.last_body, "<later@x>"),
	    "one for both recipients");
	ok(strstr(house.last_body, "\nDiagnostic-Code: X-tabmail; mailbox full\n") != NULL,
	    "with the last outcome, which memory did not hold");
	house_until(envelope_count() == 0);
	advance(1);
	idle();
	is_int(queue_stats.warnings, before + 1, "once");
	jobs = house.jobs;
	advance(80);
	house_until(house.jobs == jobs + 1 && envelope_count() == 0);
	is_int(house.jobs, jobs + 1, "the next try comes when it should");
	is_int(queue_stats.warnings, before + 1, "and needs no warning");
	empty();
}

static void
test_under_way(void)
{
	uint64_t before = queue_stats.warnings;

	house.jobs = 0;
	house.relay_silent = true;
	send_to("relay@y", NULL, 0);
	house_until(house.jobs == 1);
	advance(60);
	idle();
	is_int(queue_stats.warnings, before, "a try under way is awaited");
	advance(60);
	house_until(queue_stats.warnings == before + 1);
	is_int(queue_stats.warnings, before + 1, "a minute");
	advance(60);
	idle();
	is_int(queue_stats.warnings, before + 1, "once");
	ipc_close(relay_end);
	house_until(queue_relay == NULL);
	send_to("relay@y", NULL, NOTIFY_DELAY);
	advance(60);
	house_until(queue_stats.warnings == before + 2);
	is_int(queue_stats.warnings, before + 2, "one that waits for relay is told in time");
	house.relay_silent = false;
	house_new_relay();
	house_until(house_empty());
	ok(house_empty(), "and delivered");
}

static void
test_notify(void)
{
	static const uint32_t quiet[] = { NOTIFY_NEVER, NOTIFY_FAILURE, NOTIFY_SUCCESS,
		NOTIFY_SUCCESS | NOTIFY_FAILURE };
	uint64_t before = queue_stats.warnings;

	for (size_t i = 0; i < 4; i++)
		send_to("defer@x", NULL, quiet[i]);
	send_to("defer@x", NULL, NOTIFY_DELAY | NOTIFY_SUCCESS);
	house_until(envelope_count() == 0);
	advance(3600 * 24);
	idle();
	is_int(queue_stats.warnings, before + 1, "only where NOTIFY has DELAY");
	empty();
	is_int(
	    queue_stats.warnings, before + 1, "and so at the next step, which has passed with it");
}

/* Far more than memory holds, for a route that takes none. */
static void
test_many(void)
{
	uint64_t before = queue_stats.warnings;

	ipc_close(relay_end);
	house_until(queue_relay == NULL);
	for (int i = 0; i < 6000; i++)
		house_send((struct house_mail){
		    .sender = "s@x", .rcpts = { "relay@y" }, .data = "x\n", .len = 2 });
	house_until(spool_count_messages() == 6000);
	is_int(spool_count_messages(), 6000, "6,000 wait for a route");
	int64_t began_ms = clock_mono_ms();
	advance(60);
	house_until(queue_stats.warnings == before + 6000);
	printf("# warned in %lld ms\n", (long long)(clock_mono_ms() - began_ms));
	is_int(queue_stats.warnings, before + 6000, "each is warned of");
	house_until(spool_count_messages() == 6000 && !spool_dirty());
	advance(10);
	idle();
	is_int(queue_stats.warnings, before + 6000, "once");
	uint64_t relayed = queue_stats.relayed;
	house_new_relay();
	house_until(house_empty());
	is_int(spool_count_envelopes(), 0, "and all go out when the route works");
	is_int(queue_stats.relayed - relayed, 6000, "each once");
}

static void
test_full(void)
{
	uint64_t before = queue_stats.warnings;

	send_to("defer@x", NULL, 0);
	house_until(envelope_count() == 0);
	spool_limit_pages(1);
	for (int i = 0; i < 20; i++) /* what is free inside the file */
		house_send((struct house_mail){ .sender = "s@x",
		    .rcpts = { "defer@x" },
		    .data = house.last_body,
		    .len = 60000,
		    .notify = NOTIFY_NEVER });
	idle();
	advance(60);
	idle();
	spool_limit_pages(1000000);
	house_until(envelope_count() == 0 && !spool_dirty());
	idle();
	is_int(queue_stats.warnings, before + 1, "a full disk: the warning comes later, once");
	empty();
}

static void
test_success(void)
{
	uint64_t before = queue_stats.successes;

	send_to("jo@x", "relay@y", NOTIFY_SUCCESS);
	house_until(house_empty());
	ok(queue_stats.successes > before, "NOTIFY=SUCCESS is told of");
	before = queue_stats.successes;
	send_to("list@x", NULL, NOTIFY_SUCCESS);
	house_until(house_empty());
	is_int(queue_stats.successes, before + 1, "a list: of itself, not of its members");
	house.last_body[house.last_len] = '\0';
	send_to("jo@x", "list@x", NOTIFY_DELAY | NOTIFY_FAILURE);
	house_until(house_empty());
	is_int(queue_stats.successes, before + 1, "nobody is told who did not ask");
}

int
main(void)
{
	log_open("test", true, 0);
	if (freopen("/dev/null", "w", stderr) == NULL)
		return 1;
	house_conf.n_bounce_warn = 2;
	house_conf.bounce_warn_sec[0] = 60;
	house_conf.bounce_warn_sec[1] = 3600;
	house_start();
	test_without_try();
	test_under_way();
	test_notify();
	test_many();
	test_full();
	test_success();
	queue_role.on_stop();
	house_clean();
	return done();
}
