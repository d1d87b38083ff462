/* A wall clock that is far off: a board without a battery starts in 1970, until a time server is reached. */
#include "queue/house.h"

static const char small[] = "Subject: hello\n\nBody.\n";

static void
put(const char *rcpt)
{
	int before = house.stored;

	house_send((struct house_mail){
	    .sender = "", .rcpts = { rcpt }, .data = small, .len = sizeof(small) - 1 });
	house_until(house.stored > before);
}

static bool
on_envelope(const struct spool_envelope *d, void *arg)
{
	int *held = arg;

	*held += d->held != 0;
	return true;
}

/* Now it is that year, or close to it. */
static void
test_year(int year)
{
	uint64_t before = queue_stats.deferred;
	int held = 0;

	clock_advance((year - 1970) * 31556952ll + 60 - clock_wall_sec());
	put("defer@x");
	house_until(queue_stats.deferred == before + 1 && envelope_count() == 0);
	is_int(queue_stats.deferred, before + 1, "%d: mail is put off", year);
	is_int(spool_count_messages(), 1, "and kept");
	clock_advance(200);
	schedule_now();
	house_until(queue_stats.deferred == before + 2 && envelope_count() == 0);
	is_int(queue_stats.deferred, before + 2, "and tried again, from the spool");
	spool_each(0, INT64_MAX, 10, on_envelope, &held);
	is_int(held, 0, "its message is found there");
	house.stored = 0;
	clock_advance(10ll * 86400);
	schedule_now();
	house_until(house_empty());
	ok(house_empty(), "until it expires");
}

/* What was put off in that year is tried in this one, and gets its whole time. */
static void
test_back(void)
{
	uint64_t deferred = queue_stats.deferred, failed = queue_stats.failed;
	int64_t now = clock_wall_sec();

	put("defer@x");
	house_until(queue_stats.deferred == deferred + 1 && envelope_count() == 0);
	clock_advance(-20ll * 31556952);
	schedule_now();
	house_until(spool_next_due((struct spool_cursor){ 0, 0 }) < now);
	clock_advance(2 * 3600);
	schedule_now();
	house_until(queue_stats.deferred == deferred + 2 && envelope_count() == 0);
	is_int(queue_stats.deferred, deferred + 2, "set back by 20 years: tried in two hours");
	clock_advance(3 * 86400);
	schedule_now();
	house_until(queue_stats.deferred == deferred + 3 && envelope_count() == 0);
	is_int(queue_stats.failed, failed, "and after three days");
	clock_advance(2 * 86400);
	schedule_now();
	house_until(house_empty());
	is_int(queue_stats.failed, failed + 1, "until it expires");
}

/* Lookup says yes, and to whom is not there: whatever has gone wrong, the mail stays. */
static void
test_nowhere(void)
{
	uint64_t before = queue_stats.deferred;

	put("nowhere@x");
	house_until(queue_stats.deferred > before || house_empty());
	is_int(spool_count_envelopes(), 1, "a recipient that leads nowhere is put off");
}

int
main(void)
{
	log_open("test", true, 0);
	if (freopen("/dev/null", "w", stderr) == NULL)
		return 1;
	house_start();
	test_year(1970);
	test_year(2026);
	test_year(2200);
	test_back();
	test_nowhere();
	house_clean();
	return done();
}
