/*
 * The reserve beside the spool: it holds room and not only a length, its absence stops nobody, and a spool that cannot
 * be opened or mended for want of room is given it.
 */
#include "queue/disk.h"

static char body[50000];

static const char *
in_folder(const char *name)
{
	static char file[2][96];
	static int next;

	next = !next;
	snprintf(file[next], sizeof(file[next]), "%s/%s", house_dir, name);
	return file[next];
}

static int64_t
held(void)
{
	struct stat st;

	return stat(in_folder("reserve"), &st) == 0 ? (int64_t)st.st_blocks * 512 : -1;
}

/* A spool with so many messages, of which a page is damaged. */
static void
make_damaged(int n)
{
	spool_open(in_folder("spool.db"));
	for (int i = 1; i <= n; i++) {
		spool_put_piece((uint64_t)i, 0, body, sizeof(body));
		spool_put_envelope(&(struct spool_envelope){ .message = (uint64_t)i, .n = 1 });
		spool_put_message(
		    &(struct spool_message){ .id = (uint64_t)i, .size = sizeof(body), .pieces = 1 },
		    false);
	}
	spool_commit();
	spool_close();
	int fd = open(in_folder("spool.db"), O_RDWR);
	(void)!pwrite(fd, "damage", 6, 3 * 8192);
	close(fd);
	fd = open(in_folder("spool.db.damaged"), O_WRONLY | O_CREAT, 0600);
	close(fd);
}

static void
test_mending(void)
{
	make_damaged(200);
	disk_put("ballast", 10 << 20);
	int64_t before = disk_free();
	ok(spool_open(in_folder("spool.db")) != NULL, "there is no room to mend a spool");
	spool_close();
	ok(disk_free() >= before - 65536, "what was begun is gone again");
	disk_remove("spool.db");
	disk_remove("spool.db-wal");
	disk_remove("ballast");
}

int
main(void)
{
	disk_start("size=24m");
	memset(body, 'x', sizeof(body));
	test_mending();

	make_damaged(3);
	int fd = open(in_folder("reserve"), O_WRONLY | O_CREAT, 0600);
	ok(posix_fallocate(fd, 0, 1200000) == 0, "a reserve is there");
	close(fd);
	disk_put("ballast", SIZE_MAX);
	is_int(disk_free(), 0, "and no other room");
	house_start();
	ok(true, "a damaged spool is mended all the same");
	disk_remove("ballast");
	room_stop();
	room_start();
	house_until(!room_is_short());
	ok(held() >= 1200000, "with room there is a reserve");

	room_stop();
	ok(truncate(in_folder("reserve"), 0) == 0 && truncate(in_folder("reserve"), 1300000) == 0 &&
		held() == 0,
	    "one that is a hole, as copies are");
	room_start();
	house_until(!room_is_short() && held() > 0);
	ok(held() >= 1200000, "is filled");

	room_stop();
	disk_remove("reserve");
	ok(mkdir(in_folder("reserve"), 0700) == 0, "one that cannot be opened");
	room_start();
	house_until(!room_is_short());
	ok(!room_is_short(), "is done without");
	queue_role.on_stop();
	disk_stop();
	return done();
}
