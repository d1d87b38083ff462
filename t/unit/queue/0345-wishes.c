/* What a person wants of an envelope that is with lookup, in a job, in its lane, or in the spool only; pauses. */
#include "queue/house.h"

static const char small[] = "Subject: hello\n\nBody.\n";

static void
put(const char *rcpt)
{
	house_send((struct house_mail){
	    .sender = "", .rcpts = { rcpt }, .data = small, .len = sizeof(small) - 1 });
}

static struct {
	uint64_t message;
	uint32_t n;
	int rows;
	int64_t held, next_try;
	bool part;
	char reason[128];
} row;

static bool
on_row(const struct spool_envelope *d, void *arg)
{
	(void)arg;
	row.rows++;
	row.message = d->message;
	row.n = d->n;
	row.held = d->held;
	row.next_try = d->next_try;
	row.part = d->part;
	snprintf(row.reason, sizeof(row.reason), "%s", d->reason);
	return true;
}

/* The last row; how many there are. */
static int
rows(void)
{
	row.rows = 0;
	spool_each(0, INT64_MAX, 1000, on_row, NULL);
	return row.rows;
}

/* Those in memory, or the row itself as the control socket would load it. */
static struct envelope *
only(void)
{
	rows();
	return envelope_find(row.message, row.n);
}

static bool
on_load(const struct spool_envelope *d, void *arg)
{
	struct envelope *e = envelope_load(d);

	envelope_change(e, ENVELOPE_DEFERRED);
	*(struct envelope **)arg = e;
	return false;
}

static struct envelope *
loaded(void)
{
	struct envelope *e = NULL;

	spool_each(0, INT64_MAX, 1, on_load, &e);
	return e;
}

static bool
is_in(enum envelope_state state)
{
	const struct envelope *e = rows() == 1 ? only() : NULL;

	return e != NULL && e->state == state;
}

static void
at_rest(void)
{
	house_until(envelope_count() == 0 && !spool_dirty());
}

static void
with_lookup(void)
{
	house.dests[0] = '\0';
	house.lookup_silent = true;
	put("jo@x");
	house_until(is_in(ENVELOPE_EXPANDING));
	ok(wish_hold(only()), "held while lookup is asked");
	ok(!wish_hold(only()), "once");
	ok(!wish_reroute(only()), "not to be asked for again: it is");
	house_look();
	at_rest();
	ok(rows() == 1 && row.held != 0, "held when the answer comes");
	is(house.dests, "", "and not delivered");
	ok(wish_release(loaded()), "released");
	house_until(house_empty());
	is(house.dests, "jo@x ", "it is asked for again, and delivered once");

	house.lookup_silent = true;
	put("jo@x");
	house_until(is_in(ENVELOPE_EXPANDING));
	ok(wish_hold(only()) && wish_release(only()), "held, and no more held, meanwhile");
	ok(wish_remove(only()), "removed while lookup is asked");
	at_rest();
	ok(house_empty(), "it is gone at once");
	house_look();
	house_until(message_count() == 0);
	is(house.dests, "jo@x ", "the answer comes too late");
}

static void
in_a_job(void)
{
	house.hold = true;
	house.dests[0] = '\0';
	put("jo@x");
	house_until(house.n_in_hand == 1 && is_in(ENVELOPE_IN_JOB));
	ok(wish_remove(only()), "removed while a worker has it");
	at_rest();
	ok(house_empty(), "it is gone at once");
	is_int(job_count(), 1, "its job is not");
	house_go();
	house_until(job_count() == 0);
	is_int(message_count(), 0, "the result frees the rest");

	put("defer@x");
	house_until(house.n_in_hand == 1 && is_in(ENVELOPE_IN_JOB));
	ok(wish_hold(only()), "held while a worker has it");
	house_go();
	at_rest();
	ok(rows() == 1 && row.held != 0, "held when it comes back");
	is(row.reason, "mailbox full", "with what came of it");
	ok(wish_remove(loaded()), "removed");
	at_rest();

	put("jo@x");
	house_until(house.n_in_hand == 1 && is_in(ENVELOPE_IN_JOB));
	ok(wish_hold(only()), "held while a worker has it");
	house_go();
	house_until(house_empty());
	ok(house_empty(), "which delivers it: it is done");

	put("defer@x");
	house_until(house.n_in_hand == 1 && is_in(ENVELOPE_IN_JOB));
	int asked = house.asked;
	ok(wish_reroute(only()), "to be routed again while a worker has it");
	house_go();
	house_until(house.n_in_hand == 1);
	is_int(house.asked, asked + 1, "lookup is asked again when it comes back");
	house_go();
	at_rest();
	wish_remove(loaded());
	at_rest();
	house.hold = false;
}

/* Ten days on hold, where mail expires after four. */
static void
time_stands_still(void)
{
	uint64_t failed = queue_stats.failed, warnings = queue_stats.warnings;

	house_conf.n_bounce_warn = 1;
	house_conf.bounce_warn_sec[0] = 4 * 3600;
	house.dests[0] = '\0';
	house_send((struct house_mail){ .sender = "sender@x",
	    .rcpts = { "defer@x" },
	    .data = small,
	    .len = sizeof(small) - 1 });
	house_until(strlen(house.dests) > 7 && rows() == 1);
	at_rest();
	ok(wish_hold(loaded()), "held");
	at_rest();
	clock_advance(10 * 86400);
	schedule_now();
	warning_now();
	for (int i = 0; i < 50; i++)
		event_base_loop(process.base, EVLOOP_NONBLOCK);
	at_rest();
	is_int(rows(), 1, "after ten days it is there");
	is(house.dests, "defer@x ", "and was not tried");
	is_int(queue_stats.warnings - warnings, 0, "nobody was warned");
	ok(wish_release(loaded()), "released");
	house_until(strlen(house.dests) > 15);
	house_until(
	    queue_stats.warnings == warnings + 1 && strstr(house.dests, "sender@x") != NULL);
	at_rest();
	is_int(queue_stats.failed - failed, 0, "it has not expired: its time stood still");
	is_int(queue_stats.warnings - warnings, 1, "that it is late is told now");
	house_conf.n_bounce_warn = 0;
	ok(wish_remove(loaded()), "removed");
	at_rest();
	ok(house_empty(), "and gone");
}

/* Of two that a recipient led to one waits: routed again, the other gets nothing. */
static void
one_of_two(void)
{
	house.dests[0] = '\0';
	put("half@x");
	house_until(strlen(house.dests) > 13 && rows() == 1);
	at_rest();
	ok(rows() == 1 && row.part, "one of two is known as such");
	is(house.dests, "defer@x two@x ", "both were tried");
	ok(wish_reroute(loaded()), "routed again");
	house_until(strlen(house.dests) > 20);
	at_rest();
	is(house.dests, "defer@x two@x defer@x ", "only the one that waited is tried");
	ok(wish_reroute(loaded()), "and again");
	house_until(strlen(house.dests) > 28);
	at_rest();
	is_int(rows(), 1, "it still waits");
	ok(wish_schedule(loaded()), "tried at once");
	house_until(strlen(house.dests) > 36);
	at_rest();
	is(house.dests, "defer@x two@x defer@x defer@x defer@x ", "without lookup");
	wish_remove(loaded());
	at_rest();
	ok(house_empty(), "removed");
}

static void
paused(void)
{
	house.dests[0] = '\0';
	house.hold = true;
	house_conf.limit.deliveries = 1;
	for (int i = 0; i < 40; i++)
		put("jo@x");
	put("relay@y");
	house_until(rows() == 41 && house.n_in_hand == 2);
	is(pause_begin("local"), NULL, "local is paused");
	ok(pause_begin("local") != NULL, "not twice");
	house_until(envelope_count() == 2);
	is_int(envelope_count(), 2, "what waits leaves memory");
	house_go();
	house_go();
	at_rest();
	is_int(rows(), 39, "what is in hand goes on");
	put("jo@x");
	house_until(rows() == 40 && envelope_count() == 0);
	is_int(rows(), 40, "what comes waits, too");
	house.hold = false;
	house.dests[0] = '\0';
	is(pause_end("local"), NULL, "resumed");
	ok(pause_end("local") != NULL, "not twice");
	house_until(house_empty());
	is_int((int)strlen(house.dests), 40 * 5, "each goes, once");
	house_conf.limit.deliveries = 64;
}

static bool
on_change(const struct spool_envelope *d, void *arg)
{
	struct spool_envelope *e = arg;

	spool_envelope_copy(e, d);
	return false;
}

static void
action_gone(void)
{
	struct spool_envelope e;

	house.dests[0] = '\0';
	put("defer@x");
	house_until(strlen(house.dests) > 7 && rows() == 1);
	at_rest();
	spool_each(0, INT64_MAX, 1, on_change, &e);
	spool_text_set(&e.action, "deliver to the moon");
	e.next_try = clock_wall_sec();
	ok(spool_update_envelope(&e) && spool_commit(), "an envelope whose action is gone");
	spool_envelope_free(&e);
	schedule_rewind(0, 0);
	house_until(strstr(row.reason, "no rule with this action") != NULL || rows() != 1);
	at_rest();
	ok(rows() == 1 && strstr(row.reason, "no rule with this action") != NULL,
	    "waits and says so");
	is(house.dests, "defer@x ", "and is not tried");
	ok(wish_reroute(loaded()), "routed again");
	house_until(strlen(house.dests) > 8);
	at_rest();
	is(house.dests, "defer@x defer@x ", "it is tried");
	wish_remove(loaded());
	at_rest();
	ok(house_empty(), "removed");
}

int
main(void)
{
	log_open("test", true, 0);
	if (freopen("/dev/null", "w", stderr) == NULL)
		return 1;
	house_start();
	with_lookup();
	in_a_job();
	time_stands_still();
	one_of_two();
	paused();
	action_gone();
	is_int(message_count(), 0, "no message is left in memory");
	queue_role.on_stop();
	house_clean();
	return done();
}
