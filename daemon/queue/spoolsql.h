/*
 * The statements of the spool: what spool.c (writing), spoolread.c and spoolnote.c share, and nobody else sees.
 */
#ifndef QUEUE_SPOOLSQL_H
#define QUEUE_SPOOLSQL_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ENVELOPE_COLUMNS                                                                        \
	"id, state, next_try, created, expire, attempts, notify, uid, gid, rcpt, orcpt, dest, " \
	"action, route, user, home, reason, status, host, next_warn, warned, warn, "            \
	"held, part"

/* Of an index, and so word for word of the statement that uses it: that was tried, and not reached. */
#define SPOOLSQL_UNREACHED "route <> '' AND status >= '4.4.' AND status < '4.4/'"

#define STATEMENTS(S)                                                                              \
	S(BEGIN, "BEGIN IMMEDIATE")                                                                \
	S(COMMIT, "COMMIT")                                                                        \
	S(ROLLBACK, "ROLLBACK")                                                                    \
	S(UNUSED,                                                                                  \
	    "SELECT freelist_count * page_size FROM pragma_freelist_count, pragma_page_size")      \
	S(PUT_MARK, "INSERT OR IGNORE INTO marked VALUES (?1)")                                    \
	S(DELETE_MARK, "DELETE FROM marked WHERE id = ?1")                                         \
	S(PUT_PIECE, "INSERT INTO body VALUES (?1, ?2, ?3)")                                       \
	S(PUT_MESSAGE,                                                                             \
	    "INSERT INTO message VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14)")         \
	S(PUT_ENVELOPE, "INSERT INTO envelope (" ENVELOPE_COLUMNS ") VALUES "                      \
			"(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19,?20," \
			"?21,?22,?23,?24)")                                                        \
	S(UPDATE_ENVELOPE,                                                                         \
	    "UPDATE envelope SET state=?2, next_try=?3, created=?4, expire=?5, attempts=?6, "      \
	    "notify=?7, uid=?8, gid=?9, rcpt=?10, orcpt=?11, dest=?12, action=?13, route=?14, "    \
	    "user=?15, home=?16, reason=?17, status=?18, host=?19, next_warn=?20, warned=?21, "    \
	    "warn=?22, held=?23, part=?24 "                                                        \
	    "WHERE id=?1")                                                                         \
	S(ADVANCE, "UPDATE envelope SET next_try = ?3 WHERE id IN (SELECT id FROM envelope "       \
		   "INDEXED BY schedule WHERE next_try > ?3 AND id BETWEEN ?1 AND ?2 LIMIT ?4)")   \
	S(WAKE, "UPDATE envelope SET next_try = ?1 WHERE id IN (SELECT id FROM envelope "          \
		"INDEXED BY unreached WHERE route = ?3 AND next_try > ?1 AND " SPOOLSQL_UNREACHED  \
		" LIMIT ?2)")                                                                      \
	S(DELETE_ENVELOPE, "DELETE FROM envelope WHERE id = ?1")                                   \
	S(DELETE_MESSAGE, "DELETE FROM message WHERE id = ?1")                                     \
	S(DELETE_PIECE, "DELETE FROM body WHERE id = ?1")                                          \
	S(DELETE_BODY, "DELETE FROM body WHERE id BETWEEN ?1 AND ?2")                              \
	S(PUT_ATTEMPT,                                                                             \
	    "INSERT OR REPLACE INTO attempt VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")          \
	S(DELETE_ATTEMPT, "DELETE FROM attempt WHERE envelope = ?1 AND number <= ?2")              \
	S(DELETE_ATTEMPTS, "DELETE FROM attempt WHERE envelope BETWEEN ?1 AND ?2")                 \
	S(PUT_PAUSE, "INSERT OR IGNORE INTO pause VALUES (?2, ?1)")                                \
	S(DELETE_PAUSE, "DELETE FROM pause WHERE what = ?1")                                       \
	S(EACH_PAUSE, "SELECT what, since FROM pause ORDER BY what")                               \
	S(EACH_ATTEMPT,                                                                            \
	    "SELECT envelope, number, at, event, status, host, source, reply, tls "                \
	    "FROM attempt WHERE envelope = ?1 AND number > ?2 ORDER BY number LIMIT ?3")           \
	S(EACH_ATTEMPT_BEHIND,                                                                     \
	    "SELECT envelope, number, at, event, status, host, source, reply, tls "                \
	    "FROM attempt WHERE envelope > ?1 AND envelope <= ?2 "                                 \
	    "ORDER BY envelope, number LIMIT ?3")                                                  \
	S(PUT_COUNTER, "UPDATE counter SET messages = ?1, envelopes = ?2 WHERE id = 1")            \
	S(GET_MESSAGE,                                                                             \
	    "SELECT created, size, pieces, sender, client, helo, tag, auth, envid, local, ret, "   \
	    "eightbit, utf8 FROM message WHERE id = ?1")                                           \
	S(GET_PIECE, "SELECT data, sum FROM body WHERE id = ?1")                                   \
	S(SIZES, "SELECT id, size, pieces FROM message WHERE id > ?1 ORDER BY id LIMIT ?2")        \
	S(HAS_ENVELOPES, "SELECT 1 FROM envelope WHERE id BETWEEN ?1 AND ?2 LIMIT 1")              \
	S(HAS_DESTINATION,                                                                         \
	    "SELECT 1 FROM envelope WHERE id BETWEEN ?1 AND ?2 AND state = 1 AND dest = ?3 "       \
	    "AND action = ?4 LIMIT 1")                                                             \
	S(LAST_N, "SELECT max(id) FROM envelope WHERE id BETWEEN ?1 AND ?2")                       \
	S(EACH_DUE_SAME, "SELECT " ENVELOPE_COLUMNS " FROM envelope INDEXED BY schedule "          \
			 "WHERE next_try = ?1 AND id > ?2 ORDER BY id LIMIT ?3")                   \
	S(EACH_DUE_LATER, "SELECT " ENVELOPE_COLUMNS " FROM envelope INDEXED BY schedule "         \
			  "WHERE next_try > ?1 AND next_try <= ?2 ORDER BY next_try, id LIMIT ?3") \
	S(NEXT_DUE_SAME, "SELECT next_try FROM envelope INDEXED BY schedule "                      \
			 "WHERE next_try = ?1 AND id > ?2 LIMIT 1")                                \
	S(NEXT_DUE_LATER, "SELECT next_try FROM envelope INDEXED BY schedule "                     \
			  "WHERE next_try > ?1 ORDER BY next_try LIMIT 1")                         \
	S(EACH_WARNING, "SELECT " ENVELOPE_COLUMNS " FROM envelope INDEXED BY warning "            \
			"WHERE next_warn <= ?1 ORDER BY next_warn, id LIMIT ?2")                   \
	S(NEXT_WARNING, "SELECT next_warn FROM envelope INDEXED BY warning "                       \
			"WHERE next_warn IS NOT NULL ORDER BY next_warn LIMIT 1")                  \
	S(EACH, "SELECT " ENVELOPE_COLUMNS " FROM envelope WHERE id BETWEEN ?1 AND ?2 "            \
		"ORDER BY id LIMIT ?3")

#define S(NAME, sql) STATEMENT_##NAME,
enum statement { STATEMENTS(S) STATEMENT_MAX };
#undef S

/* A statement with its first two numbers bound. */
sqlite3_stmt *spoolsql_prepared(enum statement, uint64_t one, uint64_t two);

/* Before each write: a transaction is open now; and the write. */
bool spoolsql_begin(void);
bool spoolsql_run(sqlite3_stmt *);

int spoolsql_changes(void); /* rows of the last one */

/* Rows in the store, with those of the open transaction. */
struct spoolsql_counts {
	int64_t messages, envelopes;
};
extern struct spoolsql_counts spoolsql_counts;

/* Text of a row, never NULL. */
const char *spoolsql_column(sqlite3_stmt *, int i);

/* Text; NULL is "". It must live until the statement has run. */
void spoolsql_bind(sqlite3_stmt *, int column, const char *);

/* NULL, or why the tables cannot be made today's. */
const char *spoolschema_upgrade(sqlite3 *);

/* Of a piece of a body: what tells that it is still what was written. */
uint64_t spoolsum(const void *data, size_t len);

/* Walks the ways into each table and index; SQLITE_OK, or what is wrong. */
int spoolsql_probe(sqlite3 *);
/* Reads the whole file; SQLITE_OK, SQLITE_CORRUPT, or why that is not known. */
int spoolsql_check(sqlite3 *);

/* Whether the last error was that the file system, or the quota, is full. */
bool spoolsql_is_full(sqlite3 *);

/* spoollog.c */
void spoollog_start(sqlite3 *);
void spoollog_stop(void);
int64_t spoollog_length(void); /* of the file, once the log is copied */
void spoollog_hold(bool);      /* from now on nothing is copied into the file; or again */

/* spoolsnapshot.c; NULL, or why not */
const char *spoolsql_snapshot(sqlite3 *, uint64_t *len);
const char *spoolsql_take_backup(sqlite3 *);

/* spoolrepair.c */
const char *spoolrepair(const char *file); /* NULL: mended; its old file is closed */
bool spoolrepair_wanted(const char *file);
void spoolrepair_want(const char *file);
void spoolrepair_forget(const char *file); /* it is not wanted after all */

/* One number; fallback when there is no row, or NULL. */
bool spoolsql_step(sqlite3_stmt *);
int64_t spoolsql_number(sqlite3_stmt *, int64_t fallback);

#endif
