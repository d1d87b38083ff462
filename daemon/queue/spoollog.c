/*
 * When SQLite's write-ahead log is copied into the file ("checkpoint", sqlite.org/wal.html section 3); see spool.h.
 *
 * After a commit, when the log is long enough; the log is then written from its start again.  Not while a backup
 * reads the file: the log grows meanwhile.
 *
 * Neither must depend on what others leave free.  So the log's file is as long as it may become from the start and is
 * not made shorter, and the file is made longer with each commit that needs it, not when the log is copied.
 */
#include "spool.h"
#include "spoolsql.h"

#include <errno.h>
#include <stdio.h>

#define PAGE_LEN (8192 + 24) /* with the header of its frame in the log */

#define LEAST 32            /* pages of the log, on a file system that tells no size */
#define CHUNK (1024 * 1024) /* bytes by which the files become longer */

static sqlite3 *db;
static sqlite3_stmt *length;
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

	if (rc != SQLITE_OK)
		stuck = spoolsql_is_full(db);
	return rc == SQLITE_OK;
}

/* At least so long; what is there already costs a look. */
static bool
make_longer(int which, int64_t len)
{
	sqlite3_int64 want = len;
	sqlite3_file *file = NULL;
	int chunk = CHUNK;

	sqlite3_file_control(db, "main", which, &file);
	if (file == NULL || file->pMethods == NULL)
		return true;
	file->pMethods->xFileControl(file, SQLITE_FCNTL_CHUNK_SIZE, &chunk);
	return file->pMethods->xFileControl(file, SQLITE_FCNTL_SIZE_HINT, &want) == SQLITE_OK;
}

int64_t
spoollog_length(void)
{
	return spoolsql_number(length, 0);
}

bool
spool_grow(void)
{
	stuck = !make_longer(SQLITE_FCNTL_FILE_POINTER, spoollog_length());
	return !stuck;
}

bool
spool_grow_log(void)
{
	return make_longer(SQLITE_FCNTL_JOURNAL_POINTER, (int64_t)limit * PAGE_LEN);
}

void
spoollog_start(sqlite3 *of)
{
	db = of;
	held = stuck = false;
	sqlite3_prepare_v2(db,
	    "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size", -1, &length,
	    NULL);
	sqlite3_wal_hook(db, on_commit, NULL);
}

void
spoollog_stop(void)
{
	sqlite3_finalize(length);
	length = NULL;
}

/* A commit stands, whatever comes of the copy. */
static int
on_commit(void *arg, sqlite3 *of, const char *name, int pages)
{
	(void)arg;
	(void)of;
	(void)name;
	spool_grow();
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
	char sql[64];

	limit = (int)(len < SPOOL_LOG_LEN ? len : SPOOL_LOG_LEN) / PAGE_LEN;
	if (limit < LEAST)
		limit = LEAST;
	snprintf(sql, sizeof(sql), "PRAGMA journal_size_limit=%d", limit * PAGE_LEN + CHUNK);
	sqlite3_exec(db, sql, NULL, NULL, NULL);
}

bool
spool_log_stuck(void)
{
	return stuck;
}

bool
spool_empty_log(void)
{
	return !held && copy_back(SQLITE_CHECKPOINT_RESTART);
}
