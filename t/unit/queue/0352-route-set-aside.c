/*
 * A route that relay has set aside: what is for it is put off at once with relay's answer, without a job each;
 * fresh mail goes first while such mail is worked off; and when the route is up, or relay is another, it is used.
 */
#include "queue/house.h"

#define MANY 2000

static struct spool_attempt seen;
static char seen_reply[64], seen_host[64];

static bool
on_attempt(const struct spool_attempt *a, void *arg)
{
	(void)arg;
	seen = *a;
	snprintf(seen_reply, sizeof(seen_reply), "%s", a->reply);
	snprintf(seen_host, sizeof(seen_host), "%s", a->host);
	return false;
}

static bool
on_envelope(const struct spool_envelope *e, void *arg)
{
	*(struct spool_envelope *)arg = (struct spool_envelope){
		.message = e->message, .n = e->n, .attempts = e->attempts, .next_try = e->next_try
	};
	return true;
}

static void
send_some(int n, const char *rcpt)
{
	int before = house.stored;

	for (int i = 0; i < n; i++)
		house_send((struct house_mail){
		    .sender = "s@x", .rcpts = { rcpt }, .data = "x\n", .len = 2 });
	house_until(house.stored == before + n);
}

int
main(void)
{
	struct spool_envelope last = { 0 };
	size_t n;

	log_open("test", true, 0);
	if (freopen("/dev/null", "w", stderr) == NULL)
		return 1;
	is_int(yield_pause(clock_mono_us() - 1000).tv_usec, 0, "no pause while no mail comes in");
	house_start();
	house.relay_down_ms = 60000;
	send_some(1, "relay@y");
	house_until(queue_stats.deferred == 1);
	is_int(
	    house.jobs, 1, "the first mail for a route goes to relay, which sets the route aside");
	ok(yield_pause(clock_mono_us() - 1000).tv_usec > 1000, "behind fresh mail work pauses");
	is_int(yield_pause(clock_mono_us() - 1000000).tv_usec, 50000, "for 50 ms at most");
	for (int i = 0; i < MANY / 500; i++)
		send_some(500, "relay@y");
	house_until(queue_stats.deferred == MANY + 1);
	is_int(queue_stats.deferred, MANY + 1, "%d more are put off", MANY);
	is_int(house.jobs, 1, "without a job");
	house_until(!spool_dirty() && envelope_count() == 0);
	is_int(envelope_count(), 0, "memory holds none of them");
	spool_each(0, INT64_MAX, 1000000, on_envelope, &last);
	is_int(last.attempts, 1, "each has its try");
	ok(last.next_try >= clock_wall_sec() + 60, "and the time of its next");
	spool_each_attempt(spool_key(last.message, last.n), 0, 1, on_attempt, NULL);
	is_int(seen.number, 1, "and its history");
	is(seen_reply, "connection refused", "the reply is relay's");
	is(seen_host, "mx.example.org", "the host as well");

	/* All of them are due, and local mail comes in. */
	if (!spool_advance(0, INT64_MAX, clock_wall_sec(), 1000000, &n) || !spool_commit())
		return 1;
	is_int((long long)n, MANY + 1, "all are made due");
	schedule_rewind(clock_wall_sec(), 0);
	send_some(20, "jo@x");
	house_until(queue_stats.delivered == 20);
	ok(queue_stats.deferred < MANY + MANY / 4,
	    "local mail leaves before them (%llu were tried again)",
	    (unsigned long long)queue_stats.deferred - MANY - 1);
	house_until(queue_stats.deferred == 2 * (MANY + 1));
	is_int(queue_stats.deferred, 2 * (MANY + 1), "then all are put off again");
	is_int(house.jobs, 21, "without a job");

	/* Another relay. */
	house.relay_down_ms = 50;
	ipc_close(relay_end);
	house_until(queue_relay == NULL);
	house_new_relay();
	send_some(1, "relay@y");
	house_until(queue_stats.deferred == 2 * (MANY + 1) + 1);
	is_int(house.jobs, 22, "a new relay is asked again, and sets it aside for 50 ms");
	house.relay_down_ms = 0;
	int64_t began_ms = clock_mono_ms();
	house_until(clock_mono_ms() - began_ms > 60);
	send_some(1, "relay@y");
	house_until(house_empty());
	is_int(queue_stats.relayed, MANY + 3, "when it is up, all goes out, each once");
	is_int(queue_stats.failed, 0, "nothing failed");
	queue_role.on_stop();

	house_clean();
	return done();
}
