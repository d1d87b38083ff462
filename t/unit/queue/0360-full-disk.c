/* A real file system that fills up: 452, nothing accepted is lost, and it goes on when there is room. */
#include "queue/house.h"

#include <sys/mount.h>

static char body[50000];

/* Until one is taken; the free space is asked for ten times a second. */
static bool
is_taken_again(void)
{
	int before = house.stored;

	for (int i = 0; i < 100 && house.stored == before; i++) {
		int answers = house.stored + house.refused;
		house_send((struct house_mail){
		    .sender = "s@x", .rcpts = { "jo@x" }, .data = body, .len = 100 });
		house_until(house.stored + house.refused > answers);
		usleep(20000);
	}
	return house.stored > before;
}

/* At most max bytes, and less where there is no room. */
static void
put_ballast(const char *name, size_t max)
{
	char file[96];

	snprintf(file, sizeof(file), "%s/%s", house_dir, name);
	FILE *f = fopen(file, "w");
	for (size_t n = 0; f != NULL && n < max; n += 4096)
		if (fwrite(body, 1, 4096, f) != 4096 || fflush(f) != 0)
			break;
	if (f != NULL)
		fclose(f);
}

static void
remove_ballast(const char *name)
{
	char file[96];

	snprintf(file, sizeof(file), "%s/%s", house_dir, name);
	unlink(file);
}

int
main(void)
{
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
	put_ballast("first", 6 << 20);
	while (house.refused == 0 && sent < 2000) {
		for (int i = 0; i < 20; i++)
			house_send((struct house_mail){ .sender = "",
			    .rcpts = { i % 2 ? "defer@x" : "jo@x" },
			    .data = body,
			    .len = sizeof(body) });
		sent += 20;
		house_until(house.stored + house.refused == sent);
	}
	ok(house.refused > 0, "%d stored, then refused", house.stored);
	ok(strncmp(house.refusal, "452 4.3.1 ", 10) == 0, "with 452");

	/* To the last byte: what is here must still come out. */
	put_ballast("rest", SIZE_MAX);
	house_until(queue_stats.delivered + queue_stats.deferred >= (uint64_t)house.stored);
	is_int(queue_stats.delivered + queue_stats.deferred, house.stored, "all was tried");
	house_until(
	    spool_count_envelopes() == (int64_t)queue_stats.deferred && envelope_count() == 0);
	is_int(spool_count_envelopes(), queue_stats.deferred,
	    "and what is deferred is kept, no more, while the file system is full");
	remove_ballast("first");
	ok(is_taken_again(), "with room, mail is taken again");

	/* The file does not become shorter, but what has left it makes room in it. */
	put_ballast("again", SIZE_MAX);
	clock_advance(86400ll * 30);
	schedule_rewind(0, 0);
	house_until(spool_count_envelopes() == 0);
	is_int(spool_count_envelopes(), 0, "all has expired while the file system is full");
	ok(is_taken_again(), "so mail is taken again though it still is");
	queue_role.on_stop();
	ok(umount(house_dir) == 0, "unmounted");
	rmdir(house_dir);
	return done();
}
