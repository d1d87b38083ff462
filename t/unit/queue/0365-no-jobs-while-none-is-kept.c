/* While the spool cannot be written no delivery begins: a restart would make all of them again. */
#include "queue/house.h"

#define MAILS 50

static char body[20000];

int
main(void)
{
	log_open("test", true, 0);
	if (freopen("/dev/null", "w", stderr) == NULL)
		return 1;
	house_start();
	memset(body, 'x', sizeof(body));
	house_conf.limit.deliveries = 2;
	house.hold = true;
	for (int i = 0; i < MAILS; i++)
		house_send((struct house_mail){ .sender = "s@x",
		    .rcpts = { "fail@x" },
		    .data = body,
		    .len = sizeof(body),
		    .ret = RET_FULL });
	house_until(house.stored == MAILS && house.n_in_hand == 2);
	is_int(house.jobs, 2, "two are with a worker");

	spool_limit_pages(1); /* no more than there are */
	for (int i = 0; i < 20; i++) {
		int64_t next_ms = clock_mono_ms() + 100;
		if (house.n_in_hand > 0)
			house_go();
		house_until(clock_mono_ms() >= next_ms);
	}
	ok(journal_is_failing(), "what came of them cannot be written");
	ok(house.jobs <= 4, "%d are begun, and no more", house.jobs);
	is_int(spool_count_envelopes(), MAILS, "all are in the spool");

	int refused = house.refused;
	house_send((struct house_mail){
	    .sender = "", .rcpts = { "jo@x" }, .data = body, .len = sizeof(body) });
	house_until(house.refused > refused);
	is(house.refusal, "452 4.3.1 Insufficient system storage", "and no mail is begun");

	spool_limit_pages(1000000);
	house.hold = false;
	while (house.n_in_hand > 0)
		house_go();
	house_until(house_empty());
	ok(house_empty(), "with room it goes on by itself");
	is_int(house.jobs, 2 * MAILS, "each once, and a report of each");
	house_clean();
	return done();
}
