/*
 * More users than there may be workers: whoever waits has one in time, though those who have one never run out of
 * mail, and though what they have in hand hangs.
 */
#include "queue/house.h"

#define WORKERS 128
#define MANY    600

static const char small[] = "Subject: hello\n\nBody.\n";

static void
put(int user, int n)
{
	static char rcpts[MANY][32];

	snprintf(rcpts[user], sizeof(rcpts[user]), "user%d@x", user);
	for (int i = 0; i < n; i++)
		house_send((struct house_mail){ .sender = "",
		    .rcpts = { rcpts[user] },
		    .data = small,
		    .len = sizeof(small) - 1 });
}

static int
is_there(const char *dest)
{
	return strstr(house.dests, dest) != NULL;
}

/* All that is with workers stays there. */
static void
test_hanging(void)
{
	house.hold = true;
	for (int i = 0; i < WORKERS; i++)
		put(i, 1);
	house_until(house.n_in_hand == WORKERS);
	is_int(house.n_in_hand, WORKERS, "each user's delivery hangs");
	house.dests[0] = '\0';
	put(WORKERS, 1);
	house_until(is_there("user128@x"));
	ok(is_there("user128@x"), "one more user has a worker all the same");
	house.hold = false;
	while (house.n_in_hand > 0)
		house_go();
	house_until(house_empty());
	ok(house_empty(), "and all is delivered");
}

/* Each has one in hand at a time, and more behind that, for longer than this runs. */
static void
test_busy(void)
{
	int64_t end_ms;

	house_conf.limit.deliveries = 1;
	house.hold = true;
	for (int i = 0; i < WORKERS; i++)
		put(i, 30);
	house_until(house.n_in_hand == WORKERS && spool_count_envelopes() == 30 * WORKERS);
	is_int(house.n_in_hand, WORKERS, "each user has a worker, and mail enough");
	house.dests[0] = '\0';
	put(WORKERS, 2);
	put(WORKERS + 1, 2);
	for (end_ms = clock_mono_ms() + 15000; clock_mono_ms() < end_ms;) {
		int64_t next_ms = clock_mono_ms() + 10;
		house_until(clock_mono_ms() >= next_ms);
		if (house.n_in_hand > 0)
			house_go();
		if (is_there("user128@x"))
			break;
		if (strlen(house.dests) > 2000)
			house.dests[0] = '\0';
	}
	ok(is_there("user128@x"), "the next user has his turn before they have no more");
	house.hold = false;
	while (house.n_in_hand > 0)
		house_go();
	house_until(house_empty());
	ok(house_empty(), "and all is delivered, each user after the other");
}

/* Who has no more gives his place up at once. */
static void
test_many(void)
{
	int64_t began_ms = clock_mono_ms();
	uint64_t before = queue_stats.delivered;

	for (int i = 0; i < MANY; i++)
		put(i, 1);
	house_until(queue_stats.delivered == before + MANY);
	is_int(queue_stats.delivered, before + MANY, "%d users get one each", MANY);
	ok(clock_mono_ms() - began_ms < 5000, "in %lld ms",
	    (long long)(clock_mono_ms() - began_ms));
}

int
main(void)
{
	log_open("test", true, 0);
	if (freopen("/dev/null", "w", stderr) == NULL)
		return 1;
	house_start();
	test_many();
	test_hanging();
	test_busy();
	queue_role.on_stop();
	house_clean();
	return done();
}
