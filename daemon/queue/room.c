/*
 * Room on the file system of the spool.
 *
 * Mail is refused while less than a floor is free, which leaves room for what must still be written for mail that is
 * here: deferrals, reports.  Others may fill the file system to its last byte all the same, and go on.  SQLite's log
 * and what it holds of the file have their room by then (spoollog.c), so mail can leave; and a file beside the spool
 * holds as much again (a twentieth of a small file system; the log is kept as short then) for what makes the spool
 * longer.  It is given up in small parts, each used at once, and made anew when there is room for it; no mail is taken
 * before.
 */
#include "local.h"
#include "clock.h"
#include "conf.h"
#include "log.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define FLOOR_MAX (32ll * 1024 * 1024)
#define LOOK_MS   100
#define GIVE_LEN  (512 * 1024)

static int reserve = -1; /* its file */
static int64_t reserve_len, floor_len;
static bool wanting; /* the reserve is not there */
static bool log_is_long;
static int64_t taken;   /* since the last look */
static int64_t outside; /* free on the file system, at the last look */
static int64_t written; /* of bodies, in the open transaction */

static int64_t
lesser(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int
open_reserve(void)
{
	char *file = xasprintf("%s/reserve", strcmp(queue_folder, "/") == 0 ? "" : queue_folder);
	int fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	free(file);
	return fd;
}

static int
hold(int fd, int64_t len)
{
#if defined(_POSIX_ADVISORY_INFO) && _POSIX_ADVISORY_INFO > 0
	return posix_fallocate(fd, 0, len);
#else /* OpenBSD has none */
	(void)fd;
	(void)len;
	return EOPNOTSUPP;
#endif
}

/* Where room cannot be held, there is no reserve, and mail is taken. */
static void
reserve_fill(void)
{
	if (reserve == -1)
		reserve = open_reserve();
	int wrong = reserve == -1 ? errno : hold(reserve, reserve_len);

	wanting = wrong == ENOSPC || wrong == EDQUOT;
	if (wrong != 0 && !wanting)
		log_warn(
		    "queue spool has no reserve reason=%s next=\"see that its file system never "
		    "fills\"",
		    log_quote(strerror(wrong)));
	if (wrong != 0 && reserve != -1)
		(void)!ftruncate(reserve, 0);
}

void
room_start(void)
{
	struct statvfs st;
	struct stat found;

	if (statvfs(queue_folder, &st) == -1)
		log_fatal("spool %s: %s", process.conf->spool, strerror(errno));
	int64_t part = (int64_t)st.f_blocks * (int64_t)st.f_frsize / 20;
	floor_len =
	    process.conf->spool_free >= 0 ? process.conf->spool_free : lesser(part, FLOOR_MAX);
	reserve_len = lesser(part, SPOOL_LOG_LEN);
	spool_limit_log(reserve_len);
	log_is_long = false;
	reserve =
	    open_reserve(); /* -1: no room even for that; what is here must go out all the same */
	/* a copy of the spool may have a hole there */
	wanting = reserve == -1 || fstat(reserve, &found) == -1 || found.st_size < reserve_len ||
		  (int64_t)found.st_blocks * 512 < reserve_len;
	(void)room_is_short();
}

/* Before room_start(): the spool cannot be opened, perhaps for want of room.  Whether there is some now. */
bool
room_give_all(void)
{
	struct stat found;
	int fd = open_reserve();
	bool given =
	    fd != -1 && fstat(fd, &found) == 0 && found.st_size > 0 && ftruncate(fd, 0) == 0;

	if (fd != -1)
		close(fd);
	return given;
}

void
room_stop(void)
{
	if (reserve != -1)
		close(reserve);
	reserve = -1;
}

/*
 * Whether new mail must wait.  Asked of the file system ten times a second, and whenever an eighth of the floor came in.
 * What mail that has gone left free in the file is room as well.
 */
bool
room_is_short(void)
{
	static int64_t looked_ms;
	static bool is_short;
	int64_t now = clock_mono_ms();
	struct statvfs st;

	if (looked_ms != 0 && now - looked_ms < LOOK_MS && taken < floor_len / 8)
		return is_short;
	looked_ms = now;
	taken = 0;
	if (statvfs(queue_folder, &st) == -1)
		return is_short = false;
	outside = (int64_t)st.f_bavail * (int64_t)st.f_frsize;
	int64_t room = outside + spool_unused();
	if (wanting && outside >= reserve_len && room >= floor_len + reserve_len) {
		reserve_fill();
		room -= reserve_len;
	}
	if (!log_is_long && outside >= reserve_len + floor_len)
		log_is_long = spool_grow_log();
	return is_short = wanting || room < floor_len || (st.f_files != 0 && st.f_favail < 16);
}

/* While a backup is made the log grows, and nothing of it goes into the file. */
bool
room_is_short_for_log(void)
{
	return room_is_short() || outside < floor_len;
}

void
room_took(size_t len)
{
	taken += (int64_t)len;
}

/*
 * Whether so much more of bodies can go into the open transaction.  It is written twice, into the log and from there
 * into the file: were there room for the first only, the log could never be copied, for it would be longer than the
 * reserve.
 */
bool
room_for(size_t len)
{
	int64_t need = written + (int64_t)len, unused = spool_unused();
	struct statvfs st;

	if (wanting || statvfs(queue_folder, &st) == -1)
		return !wanting;
	if (st.f_blocks == 0) /* it tells nothing */
		return true;
	return need <= unused || 2 * need - unused <= (int64_t)st.f_bavail * (int64_t)st.f_frsize;
}

void
room_wrote(size_t len)
{
	written += (int64_t)len;
}

void
room_settled(void)
{
	written = 0;
}

/*
 * No byte could be written: gives a part of the reserve up, for others may take it before we do.  False: there is
 * none.
 */
bool
room_give(void)
{
	struct stat st;

	if (!wanting)
		log_warn("queue spool full next=\"make room on its file system: no mail is taken, "
			 "what is here goes out\"");
	wanting = true;
	return reserve != -1 && fstat(reserve, &st) == 0 && st.st_size > 0 &&
	       ftruncate(reserve, st.st_size > GIVE_LEN ? st.st_size - GIVE_LEN : 0) == 0;
}
