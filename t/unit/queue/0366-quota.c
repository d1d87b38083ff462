/*
 * The spool's user has a quota, which statvfs(3) does not tell of: SQLite's writes and what holds room say EDQUOT.  Mail is
 * refused, and what is here goes out.
 */
#include "queue/house.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>

#define QUOTA (90ll << 20) /* the reserve and the log take 64 of them */

static char body[50000];
static bool limited;

ssize_t pwrite64(int fd, const void *data, size_t len, off64_t at);
int posix_fallocate64(int fd, off64_t at, off64_t len);

/* Whether a file of the spool may be so long. */
static bool
may(int fd, off64_t end)
{
	static const char *const names[] = { "spool.db", "spool.db-wal", "reserve" };
	int64_t sum = 0;
	struct stat st;
	char file[96];

	if (!limited || fstat(fd, &st) == -1 || end <= st.st_size)
		return true;
	sum = end - st.st_size;
	for (size_t i = 0; i < 3; i++) {
		snprintf(file, sizeof(file), "%s/%s", house_dir, names[i]);
		if (stat(file, &st) == 0)
			sum += st.st_size;
	}
	return sum <= QUOTA;
}

ssize_t
pwrite64(int fd, const void *data, size_t len, off64_t at)
{
	if (!may(fd, at + (off64_t)len)) {
		errno = EDQUOT;
		return -1;
	}
	return syscall(SYS_pwrite64, fd, data, len, at);
}

int
posix_fallocate64(int fd, off64_t at, off64_t len)
{
	if (!may(fd, at + len))
		return EDQUOT;
	return syscall(SYS_fallocate, fd, 0, at, len) == 0 ? 0 : errno;
}

int
posix_fallocate(int fd, off_t at, off_t len)
{
	return posix_fallocate64(fd, at, len);
}

int
main(void)
{
	int sent = 0;

	log_open("test", true, 0);
	if (getenv("V") == NULL && freopen("/dev/null", "w", stderr) == NULL)
		return 1;
	limited = true;
	house.hold = true;
	house_start();
	memset(body, 'x', sizeof(body));
	while (house.refused == 0 && sent < 2000) {
		for (int i = 0; i < 100; i++)
			house_send((struct house_mail){
			    .sender = "", .rcpts = { "jo@x" }, .data = body, .len = sizeof(body) });
		sent += 100;
		house_until(house.stored + house.refused == sent);
	}
	ok(house.stored > 300 && house.refused > 0, "%d are stored, then mail is refused",
	    house.stored);
	ok(strncmp(house.refusal, "452 4.3.1 ", 10) == 0, "with 452");
	house.hold = false;
	for (int64_t end_ms = clock_mono_ms() + 20000;
	     !house_empty() && clock_mono_ms() < end_ms;) {
		while (house.n_in_hand > 0)
			house_go();
		house_until(house.n_in_hand > 0 || house_empty() || clock_mono_ms() >= end_ms);
	}
	is_int(queue_stats.delivered, house.stored, "all is delivered");
	is_int(spool_count_envelopes(), 0, "and has left the spool");
	limited = false;
	house_until(!room_is_short());
	ok(!room_is_short(), "without a quota mail is taken again");
	house_clean();
	return done();
}
