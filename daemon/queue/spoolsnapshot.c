/*
 * A copy of the spool as it is at one moment, for a backup; and the first use of such a copy.  See spool.h.
 *
 * The copy differs from the file in one number of its first page (the application's id of SQLite's file
 * format), by which spool_open() knows it.
 */
#include "spool.h"
#include "spoolsql.h"

#include <string.h>

#define APPLICATION_ID_AT 68
static const unsigned char backup_id[4] = { 't', 'm', 'b', 'k' };

static sqlite3 *db;
static sqlite3_file *file;

const char *
spoolsql_snapshot(sqlite3 *of, uint64_t *len)
{
	db = of;
	if (!spool_empty_log())
		return sqlite3_errmsg(db);
	sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &file);
	spoollog_hold(true);
	*len = (uint64_t)spoollog_length();
	return NULL;
}

bool
spool_snapshot_read(uint64_t at, void *piece, size_t len)
{
	if (file->pMethods->xRead(file, piece, (int)len, (sqlite3_int64)at) != SQLITE_OK)
		return false;
	if (at == 0)
		memcpy((char *)piece + APPLICATION_ID_AT, backup_id, sizeof(backup_id));
	return true;
}

void
spool_snapshot_end(void)
{
	spoollog_hold(false);
	file = NULL;
}

/*
 * What recipients led to holds uids, homes and routes of the machine that it comes from: all is asked for again.
 * One of several that a recipient led to keeps its destination.
 */
const char *
spoolsql_take_backup(sqlite3 *of)
{
	static const char sql[] =
	    "BEGIN; UPDATE envelope SET state = 0, dest = CASE WHEN part THEN dest ELSE '' END,"
	    " action = '', route = '', user = '', home = '', uid = 0, gid = 0 WHERE state <> 0;"
	    "PRAGMA application_id = 0; COMMIT;";
	sqlite3_stmt *st = NULL;
	bool is_backup = false;

	if (sqlite3_prepare_v2(of, "PRAGMA application_id", -1, &st, NULL) == SQLITE_OK &&
	    sqlite3_step(st) == SQLITE_ROW)
		is_backup = (uint32_t)sqlite3_column_int(st, 0) ==
			    ((uint32_t)backup_id[0] << 24 | (uint32_t)backup_id[1] << 16 |
				(uint32_t)backup_id[2] << 8 | backup_id[3]);
	sqlite3_finalize(st);
	if (!is_backup || sqlite3_exec(of, sql, NULL, NULL, NULL) == SQLITE_OK)
		return NULL;
	return sqlite3_errmsg(of);
}
