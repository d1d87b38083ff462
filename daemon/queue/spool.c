/*
 * The store of mail in SQLite; see spool.h.
 *
 * Write-ahead log with synchronous=FULL: a commit is one fsync of the log.  Keys are integers that
 * begin with the message's id, so all that belongs to a message is one range of a table and needs no
 * index; one index, the schedule's, is kept.  All values are bound, all statements are kept.
 */
#include "spool.h"
#include "spoolsql.h"
#include "log.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Chosen by t/unit/queue/0390-rate (4 KiB bodies, accept, deliver, delete), CPU of a message as a ratio to
 * this setting: pages of 4 KiB 1.0, of 16 KiB 1.1; a log that is copied back at the default 1000 pages 1.1
 * to 1.25, at 8000 no less.  Pages of 8 KiB hold a usual body with one overflow less.
 */
static const char pragmas[] = "PRAGMA page_size=8192;"
			      "PRAGMA locking_mode=EXCLUSIVE;"
			      "PRAGMA journal_mode=WAL;"
			      "PRAGMA synchronous=FULL;"
			      "PRAGMA secure_delete=OFF;"
			      "PRAGMA temp_store=MEMORY;"
			      "PRAGMA foreign_keys=OFF;"
			      "PRAGMA cache_size=-32768;";

#define S(NAME, sql) sql,
static const char *const sql_texts[] = { STATEMENTS(S) };
#undef S

static sqlite3 *db;
static sqlite3_stmt *statements[STATEMENT_MAX];
static char *file_name;
static bool damaged;                /* a page is: see spoolrepair.c */
static bool full;                   /* the last error: no room on the file system */
static bool in_transaction, broken; /* broken: nothing is written before spool_rollback() */
static uint64_t last_id;
static struct spoolsql_counts committed;
static char error_text[256];

struct spoolsql_counts spoolsql_counts;

static void remove_marked(void);

const char *
spool_error(void)
{
	return error_text;
}

static bool
failed(void)
{
	int rc = sqlite3_errcode(db) & 0xff;

	full = spoolsql_is_full(db);
	if (rc == SQLITE_CORRUPT || rc == SQLITE_NOTADB)
		damaged = true;
	snprintf(error_text, sizeof(error_text), "%s", sqlite3_errmsg(db));
	return false;
}

bool
spool_damaged(void)
{
	return damaged;
}

int64_t
spool_unused(void)
{
	return spoolsql_number(statements[STATEMENT_UNUSED], 0);
}

bool
spool_full(void)
{
	return full;
}

void
spool_want_repair(void)
{
	spoolrepair_want(file_name);
}

sqlite3_stmt *
spoolsql_prepared(enum statement s, uint64_t one, uint64_t two)
{
	sqlite3_stmt *st = statements[s];

	if (sqlite3_bind_parameter_count(st) >= 1)
		sqlite3_bind_int64(st, 1, (sqlite3_int64)one);
	if (sqlite3_bind_parameter_count(st) >= 2)
		sqlite3_bind_int64(st, 2, (sqlite3_int64)two);
	return st;
}

void
spoolsql_bind(sqlite3_stmt *st, int column, const char *s)
{
	sqlite3_bind_text(st, column, s == NULL ? "" : s, -1, SQLITE_STATIC);
}

bool
spoolsql_run(sqlite3_stmt *st)
{
	bool good = sqlite3_step(st) == SQLITE_DONE;

	if (!good) {
		broken = true;
		failed();
	}
	sqlite3_reset(st);
	return good;
}

/*
 * After an error SQLite may have rolled back by itself (sqlite.org/lang_transaction.html, section 3):
 * what came next would be outside of any transaction, so nothing comes.
 */
bool
spoolsql_begin(void)
{
	if (broken)
		return false;
	if (in_transaction)
		return true;
	if (!spoolsql_run(statements[STATEMENT_BEGIN]))
		return false;
	in_transaction = true;
	return true;
}

bool
spool_readable(void)
{
	return !broken;
}

/*
 * The next row; false: no more, or it could not be read.  SQLite may then have rolled the open
 * transaction back, so nothing is written before spool_rollback(), and what was read is not believed:
 * "no row" would delete a message that still has recipients.
 */
bool
spoolsql_step(sqlite3_stmt *st)
{
	int rc = sqlite3_step(st);

	if (rc != SQLITE_ROW && rc != SQLITE_DONE) {
		broken = true;
		failed();
	}
	return rc == SQLITE_ROW;
}

int
spoolsql_changes(void)
{
	return sqlite3_changes(db);
}

int64_t
spoolsql_number(sqlite3_stmt *st, int64_t fallback)
{
	int64_t n = fallback;

	if (spoolsql_step(st) && sqlite3_column_type(st, 0) != SQLITE_NULL)
		n = sqlite3_column_int64(st, 0);
	sqlite3_reset(st);
	return n;
}

static int64_t
query_number(const char *sql)
{
	sqlite3_stmt *st;
	int64_t n = 0;

	if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) == SQLITE_OK)
		n = spoolsql_number(st, 0);
	sqlite3_finalize(st);
	return n;
}

static const char *
open_file(void)
{
	if (sqlite3_open_v2(file_name, &db,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
		NULL) != SQLITE_OK ||
	    sqlite3_busy_timeout(db, 5000) != SQLITE_OK ||
	    sqlite3_exec(db, pragmas, NULL, NULL, NULL) != SQLITE_OK) {
		failed();
		return error_text;
	}
	spoollog_start(db);
	const char *wrong = spoolschema_upgrade(db);
	if (wrong == NULL)
		wrong = spoolsql_take_backup(db);
	if (wrong != NULL || spoolsql_probe(db) != SQLITE_OK) {
		failed();
		return wrong != NULL ? wrong : error_text;
	}
	for (int i = 0; i < STATEMENT_MAX; i++)
		if (sqlite3_prepare_v3(db, sql_texts[i], -1, SQLITE_PREPARE_PERSISTENT,
			&statements[i], NULL) != SQLITE_OK) {
			failed();
			return error_text;
		}
	return NULL;
}

/*
 * SQLite says "malformed" of what it has in memory, too, after errors of the disk.  So the word of an earlier process
 * is not believed before the whole file was read, which costs no more than mending it.
 */
static const char *
open_doubted(void)
{
	const char *wrong = open_file();

	if (wrong != NULL)
		return wrong;
	int rc = spoolsql_check(db);
	damaged = rc == SQLITE_CORRUPT || rc == SQLITE_NOTADB;
	if (rc == SQLITE_OK) {
		log_info("queue spool checked: it is sound");
		spoolrepair_forget(file_name);
		return NULL;
	}
	snprintf(error_text, sizeof(error_text), "check: %s", sqlite3_errstr(rc));
	return error_text;
}

const char *
spool_open(const char *file)
{
	free(file_name);
	file_name = xstrdup(file);
	damaged = false;
	const char *wrong = spoolrepair_wanted(file) ? open_doubted() : open_file();
	if (wrong != NULL && damaged) {
		log_warn("queue spool damaged file=%s reason=%s next=\"it is mended now\"",
		    log_quote(file), log_quote(wrong));
		spool_close();
		if ((wrong = spoolrepair(file)) != NULL)
			return wrong;
		wrong = open_file();
	}
	if (wrong != NULL)
		return wrong;
	spoolsql_counts.messages = query_number("SELECT messages FROM counter");
	spoolsql_counts.envelopes = query_number("SELECT envelopes FROM counter");
	committed = spoolsql_counts;
	last_id = (uint64_t)query_number("SELECT max(id) FROM message");
	remove_marked();
	return NULL;
}

/* Where the disk is full they stay until a later start. */
static void
remove_marked(void)
{
	for (;;) {
		uint64_t id = (uint64_t)query_number("SELECT max(id) FROM marked");
		if (id == 0)
			break;
		if (id > last_id)
			last_id = id;
		if (!spool_delete_marked(id))
			break;
	}
	if (!spool_commit())
		spool_rollback();
}

void
spool_close(void)
{
	for (int i = 0; i < STATEMENT_MAX; i++) {
		sqlite3_finalize(statements[i]);
		statements[i] = NULL;
	}
	spoollog_stop();
	sqlite3_close(db);
	db = NULL;
	in_transaction = broken = damaged = false;
}

bool
spool_commit(void)
{
	if (broken)
		return false;
	if (!in_transaction)
		return true;
	if (spoolsql_counts.messages != committed.messages ||
	    spoolsql_counts.envelopes != committed.envelopes)
		if (!spoolsql_run(spoolsql_prepared(STATEMENT_PUT_COUNTER,
			(uint64_t)spoolsql_counts.messages, (uint64_t)spoolsql_counts.envelopes)))
			return false;
	if (!spoolsql_run(statements[STATEMENT_COMMIT]))
		return false;
	in_transaction = false;
	committed = spoolsql_counts;
	return true;
}

void
spool_rollback(void)
{
	if (!sqlite3_get_autocommit(db))
		spoolsql_run(statements[STATEMENT_ROLLBACK]);
	in_transaction = broken = false;
	spoolsql_counts = committed;
}

bool
spool_dirty(void)
{
	return in_transaction;
}

const char *
spool_snapshot_begin(uint64_t *len)
{
	return in_transaction || broken ? "the spool cannot be written now"
					: spoolsql_snapshot(db, len);
}

uint64_t
spool_last_id(void)
{
	return last_id;
}

int64_t
spool_count_messages(void)
{
	return spoolsql_counts.messages;
}

int64_t
spool_count_envelopes(void)
{
	return spoolsql_counts.envelopes;
}

void
spool_limit_pages(int pages)
{
	char sql[64];

	snprintf(sql, sizeof(sql), "PRAGMA max_page_count=%d", pages);
	sqlite3_exec(db, sql, NULL, NULL, NULL);
}
