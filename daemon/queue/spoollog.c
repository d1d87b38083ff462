/*
 * When SQLite's write-ahead log is copied into the file ("checkpoint", sqlite.org/wal.html section 3); see spool.h.
 *
 * After a commit, when the log is long enough; the log is then written from its start again.  Not while a backup
 * reads the file: the log grows meanwhile.
 */
#include "spool.h"
#include "spoolsql.h"

#include <errno.h>

#define PAGE_LEN (8192 + 24) /* with the header of its frame in the log */

static sqlite3 *db;
static int limit = SPOOL_LOG_LEN / PAGE_LEN;
static bool held, stuck;

static int on_commit(void *, sqlite3 *, const char *, int);

bool
spoolsql_is_full(sqlite3 *of)
{
	int rc = sqlite3_errcode(of) & 0xff;

	return rc == SQLITE_FULL || (rc == SQLITE_IOERR && sqlite3_system_errno(of) == EDQUOT);
}

static bool
copy_back(int how)
{
	int rc = sqlite3_wal_checkpoint_v2(db, NULL, how, NULL, NULL);

	stuck = rc != SQLITE_OK && spoolsql_is_full(db);
	return rc == SQLITE_OK;
}

void
spoollog_start(sqlite3 *of)
{
	db = of;
	held = stuck = false;
	sqlite3_wal_hook(db, on_commit, NULL);
}

/* A commit stands, whatever comes of the copy. */
static int
on_commit(void *arg, sqlite3 *of, const char *name, int pages)
{
	(void)arg;
	(void)of;
	(void)name;
	if (pages >= limit && !held)
		copy_back(SQLITE_CHECKPOINT_PASSIVE);
	return SQLITE_OK;
}

void
spoollog_hold(bool hold)
{
	held = hold;
}

void
spool_limit_log(int64_t len)
{
	limit = (int)(len < SPOOL_LOG_LEN ? len : SPOOL_LOG_LEN) / PAGE_LEN;
}

bool
spool_log_stuck(void)
{
	return stuck;
}

bool
spool_empty_log(void)
{
	return !held && copy_back(SQLITE_CHECKPOINT_TRUNCATE);
}
