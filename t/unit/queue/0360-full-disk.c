/* A real file system that fills up: 452, nothing accepted is lost, and it goes on when there is room. */
#include "queue/house.h"

#include <sys/mount.h>

int
main(void)
{
	static char body[50000];
	char ballast[96];
	int sent = 0;

	strcpy(house_dir, "/tmp/tabmail-queue-XXXXXX");
	if (mkdtemp(house_dir) == NULL)
		return 1;
	if (geteuid() != 0 || mount("tmpfs", house_dir, "tmpfs", 0, "size=24m") == -1) {
		rmdir(house_dir);
		printf("1..0 # SKIP only root can mount a small file system\n");
		return 0;
	}
	log_open("test", true, 0);
	if (freopen("/dev/null", "w", stderr) == NULL)
		return 1;
	house_start();
	memset(body, 'x', sizeof(body));
	while (house.refused == 0 && sent < 2000) {
		for (int i = 0; i < 20; i++)
			house_send((struct house_mail){ .sender = "s@x",
			    .rcpts = { i % 2 ? "defer@x" : "jo@x" },
			    .data = body,
			    .len = sizeof(body) });
		sent += 20;
		house_until(house.stored + house.refused == sent);
	}
	ok(house.refused > 0, "%d stored, then refused", house.stored);
	ok(strncmp(house.reply, "452 4.3.1 ", 10) == 0, "with 452");

	/* To the last byte: what is here must still come out. */
	snprintf(ballast, sizeof(ballast), "%s/ballast", house_dir);
	FILE *f = fopen(ballast, "w");
	while (fwrite(body, 1, 4096, f) == 4096 && fflush(f) == 0)
		;
	fclose(f);
	house_until(queue_stats.delivered + queue_stats.deferred >= (uint64_t)house.stored);
	is_int(queue_stats.delivered + queue_stats.deferred, house.stored, "all was tried");
	unlink(ballast);
	house_until(
	    spool_count_envelopes() == (int64_t)queue_stats.deferred && envelope_count() == 0);
	is_int(spool_count_envelopes(), queue_stats.deferred, "what is deferred is kept, no more");
	int before = house.stored, bad = house.refused;
	clock_advance(86400);
	schedule_rewind(0, 0);
	for (int i = 0; i < 50 && house.stored == before; i++) {
		int answers = house.stored + house.refused;
		house_send((struct house_mail){
		    .sender = "s@x", .rcpts = { "jo@x" }, .data = body, .len = 100 });
		house_until(house.stored + house.refused > answers);
		usleep(20000); /* the free space is asked for ten times a second */
	}
	ok(house.stored > before || house.refused > bad, "the daemon lives");
	queue_role.on_stop();
	ok(umount(house_dir) == 0, "unmounted");
	rmdir(house_dir);
	return done();
}
