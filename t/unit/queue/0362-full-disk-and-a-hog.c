/*
 * Another program takes each block of the file system as soon as it is free, and does not stop: what is here goes out
 * all the same, and what comes of it is kept.
 */
#include "queue/disk.h"

#define MAILS 600

static char body[20000];

static void
put(const char *rcpt, int n)
{
	int before = house.stored;

	for (int i = 0; i < n; i++)
		house_send((struct house_mail){
		    .sender = "", .rcpts = { rcpt }, .data = body, .len = sizeof(body) });
	house_until(house.stored == before + n);
}

int
main(void)
{
	disk_start("size=64m");
	memset(body, 'x', sizeof(body));
	house_start();
	put("defer@x", MAILS);
	house_until(queue_stats.deferred == MAILS && envelope_count() == 0);
	house.hold = true;
	put("jo@x", MAILS);
	is_int(spool_count_envelopes(), 2 * MAILS, "all are stored");

	pid_t hog = disk_hog("hog");
	house_until(disk_free() == 0);
	house.hold = false;
	while (house.n_in_hand > 0)
		house_go();
	house_until(spool_count_envelopes() == MAILS);
	is_int(spool_count_envelopes(), MAILS, "what was in hand is delivered, and gone");
	clock_advance(300);
	schedule_rewind(0, 0);
	house_until(queue_stats.deferred == 2 * MAILS && envelope_count() == 0);
	is_int(queue_stats.deferred, 2 * MAILS, "what was due is tried");
	is_int(envelope_count(), 0, "and what came of it is written");
	clock_advance(30 * 86400);
	schedule_rewind(0, 0);
	house_until(spool_count_envelopes() == 0);
	is_int(spool_count_envelopes(), 0, "all expires");
	is_int(disk_free(), 0, "no block has become free for us");
	disk_end_hog(hog);
	queue_role.on_stop();
	disk_stop();
	return done();
}
