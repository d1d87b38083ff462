/*
 * Room on the file system of the spool.
 *
 * Mail is refused while less than a floor is free, which leaves room for what must still be written for mail that is
 * here: deferrals, reports.  Others may fill the file system to its last byte all the same; then what is in SQLite's
 * log cannot be copied into its file, the log grows, and not even a deletion can be written.  So a file beside the
 * spool holds as much room as the log may take (a twentieth of a small file system; the log is kept as short then),
 * and is made empty when that happens: the log is copied, which makes it short, and mail goes out.  The reserve is
 * made anew when there is room for it, and no mail is taken before.
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

static int reserve = -1; /* its file */
static int64_t reserve_len, floor_len;
static bool wanting;    /* the reserve is not there */
static int64_t taken;   /* since the last look */
static int64_t outside; /* free on the file system, at the last look */

static int64_t
lesser(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* Where room cannot be held, there is no reserve, and mail is taken. */
static void
reserve_fill(void)
{
#if defined(_POSIX_ADVISORY_INFO) && _POSIX_ADVISORY_INFO > 0
	int wrong = posix_fallocate(reserve, 0, reserve_len);

	wanting = wrong == ENOSPC || wrong == EDQUOT;
	if (wrong != 0)
		(void)!ftruncate(reserve, 0);
#endif
}

void
room_start(void)
{
	struct statvfs st;
	char *file = xasprintf("%s/reserve", strcmp(queue_folder, "/") == 0 ? "" : queue_folder);

	if (statvfs(queue_folder, &st) == -1)
		log_fatal("spool %s: %s", process.conf->spool, strerror(errno));
	int64_t part = (int64_t)st.f_blocks * (int64_t)st.f_frsize / 20;
	floor_len =
	    process.conf->spool_free >= 0 ? process.conf->spool_free : lesser(part, FLOOR_MAX);
	reserve_len = lesser(part, SPOOL_LOG_LEN);
	spool_limit_log(reserve_len);
	reserve = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (reserve == -1)
		log_fatal("spool %s: %s", file, strerror(errno));
	free(file);
	struct stat found;
	if (fstat(reserve, &found) == -1 || found.st_size < reserve_len)
		wanting = true;
	(void)room_is_short();
}

void
room_stop(void)
{
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

/* No byte could be written: gives the reserve up.  Whether that may have helped. */
bool
room_make(void)
{
	if (!wanting && ftruncate(reserve, 0) == 0) {
		wanting = true;
		log_warn("queue spool full next=\"make room on its file system: no mail is taken, "
			 "what is here goes out\"");
	}
	return spool_empty_log();
}
