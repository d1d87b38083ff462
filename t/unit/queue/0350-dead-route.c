/* A route that takes nothing has more mail than memory may hold: others go on, and so does it, later. */
#include "queue/house.h"

#define MANY 7000

static void
send_some(int n, const char *rcpt)
{
	int before = house.stored + house.refused;

	for (int i = 0; i < n; i++)
		house_send((struct house_mail){
		    .sender = "s@x", .rcpts = { rcpt }, .data = "x\n", .len = 2 });
	house_until(house.stored + house.refused == before + n);
}

int
main(void)
{
	log_open("test", true, 0);
	if (freopen("/dev/null", "w", stderr) == NULL)
		return 1;
	house_start();
	house.relay_silent = true;
	for (int i = 0; i < MANY / 500; i++)
		send_some(500, "relay@y");
	is_int(house.stored, MANY, "%d messages for a route that takes none are stored", MANY);
	house_until(spool_count_envelopes() == MANY && envelope_count() < ACTIVE_MAX);
	ok(envelope_count() < ACTIVE_MAX, "memory holds %zu of them", envelope_count());
	house.dests[0] = '\0';
	int64_t began_ms = clock_mono_ms();
	send_some(1, "jo@x");
	house_until(strstr(house.dests, "jo@x") != NULL);
	ok(strstr(house.dests, "jo@x") != NULL, "a local message is delivered beside them");
	ok(clock_mono_ms() - began_ms < 1000, "at once");
	send_some(2000, "jo@x");
	house_until(spool_count_envelopes() == MANY);
	is_int(spool_count_envelopes(), MANY, "and 2,000");

	house.relay_silent = false;
	ipc_close(relay_end);
	house_until(queue_relay == NULL);
	house_new_relay();
	house_until(house_empty());
	is_int(spool_count_envelopes(), 0, "when the route works again, all goes out");
	is_int(queue_stats.relayed, MANY, "each once");
	queue_role.on_stop();

	house_clean();
	return done();
}
