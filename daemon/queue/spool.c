/*
 * The store of mail in SQLite; see spool.h.
 *
 * Write-ahead log with synchronous=FULL: a commit is one fsync of the log.  Keys are integers that
 * begin with the message's id, so all that belongs to a message is one range of a table and needs no
 * index; one index, the schedule's, is kept.  All values are bound, all statements are kept.
 */
#include "spool.h"
#include "log.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#define SCHEMA_VERSION 1

/*
 * Chosen by t/unit/queue/0390-spool-rate (4 KiB bodies, accept and delete, 32 a commit): pages of 8
 * KiB write 0.9 times the time of 4 KiB ones and 16 KiB ones 1.2 times; a log of 4000 pages before it
 * is copied back 0.8 times the time of the default 1000, more gains nothing.
 */
static const char pragmas[] = "PRAGMA page_size=8192;"
			      "PRAGMA locking_mode=EXCLUSIVE;"
			      "PRAGMA journal_mode=WAL;"
			      "PRAGMA synchronous=FULL;"
			      "PRAGMA secure_delete=OFF;"
			      "PRAGMA temp_store=MEMORY;"
			      "PRAGMA foreign_keys=OFF;"
			      "PRAGMA cache_size=-32768;"
			      "PRAGMA wal_autocheckpoint=4000;"
			      "PRAGMA journal_size_limit=67108864;";

static const char schema[] =
    "CREATE TABLE message (id INTEGER PRIMARY KEY, created INTEGER, size INTEGER, pieces INTEGER,"
    " sender TEXT, client TEXT, helo TEXT, tag TEXT, auth TEXT, envid TEXT,"
    " local INTEGER, ret INTEGER, eightbit INTEGER);"
    "CREATE TABLE body (id INTEGER PRIMARY KEY, data BLOB);"
    "CREATE TABLE envelope (id INTEGER PRIMARY KEY, state INTEGER, next_try INTEGER,"
    " created INTEGER, expire INTEGER, attempts INTEGER, notify INTEGER, uid INTEGER, gid INTEGER,"
    " rcpt TEXT, orcpt TEXT, dest TEXT, action TEXT, route TEXT, user TEXT, home TEXT, reason "
    "TEXT);"
    "CREATE INDEX schedule ON envelope (next_try) WHERE next_try IS NOT NULL;"
    "CREATE TABLE marked (id INTEGER PRIMARY KEY);"
    "CREATE TABLE counter (id INTEGER PRIMARY KEY, messages INTEGER, envelopes INTEGER);"
    "INSERT INTO counter VALUES (1, 0, 0);";

#define ENVELOPE_COLUMNS                                                                        \
	"id, state, next_try, created, expire, attempts, notify, uid, gid, rcpt, orcpt, dest, " \
	"action, route, user, home, reason"

#define STATEMENTS(S)                                                                              \
	S(BEGIN, "BEGIN IMMEDIATE")                                                                \
	S(COMMIT, "COMMIT")                                                                        \
	S(ROLLBACK, "ROLLBACK")                                                                    \
	S(PUT_MARK, "INSERT OR IGNORE INTO marked VALUES (?1)")                                    \
	S(DELETE_MARK, "DELETE FROM marked WHERE id = ?1")                                         \
	S(PUT_PIECE, "INSERT INTO body VALUES (?1, ?2)")                                           \
	S(PUT_MESSAGE, "INSERT INTO message VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13)")  \
	S(PUT_ENVELOPE, "INSERT INTO envelope (" ENVELOPE_COLUMNS ") VALUES "                      \
			"(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17)")            \
	S(UPDATE_ENVELOPE,                                                                         \
	    "UPDATE envelope SET state=?2, next_try=?3, created=?4, expire=?5, attempts=?6, "      \
	    "notify=?7, uid=?8, gid=?9, rcpt=?10, orcpt=?11, dest=?12, action=?13, route=?14, "    \
	    "user=?15, home=?16, reason=?17 WHERE id=?1")                                          \
	S(ADVANCE, "UPDATE envelope SET next_try = ?3 WHERE id IN (SELECT id FROM envelope "       \
		   "INDEXED BY schedule WHERE next_try > ?3 AND id BETWEEN ?1 AND ?2 LIMIT ?4)")   \
	S(DELETE_ENVELOPE, "DELETE FROM envelope WHERE id = ?1")                                   \
	S(DELETE_MESSAGE, "DELETE FROM message WHERE id = ?1")                                     \
	S(DELETE_PIECE, "DELETE FROM body WHERE id = ?1")                                          \
	S(DELETE_BODY, "DELETE FROM body WHERE id BETWEEN ?1 AND ?2")                              \
	S(PUT_COUNTER, "UPDATE counter SET messages = ?1, envelopes = ?2 WHERE id = 1")            \
	S(GET_MESSAGE,                                                                             \
	    "SELECT created, size, pieces, sender, client, helo, tag, auth, envid, local, ret, "   \
	    "eightbit FROM message WHERE id = ?1")                                                 \
	S(GET_PIECE, "SELECT data FROM body WHERE id = ?1")                                        \
	S(HAS_ENVELOPES, "SELECT 1 FROM envelope WHERE id BETWEEN ?1 AND ?2 LIMIT 1")              \
	S(HAS_DESTINATION,                                                                         \
	    "SELECT 1 FROM envelope WHERE id BETWEEN ?1 AND ?2 AND state = 1 AND dest = ?3 "       \
	    "AND action = ?4 LIMIT 1")                                                             \
	S(LAST_N, "SELECT max(id) FROM envelope WHERE id BETWEEN ?1 AND ?2")                       \
	S(EACH_DUE, "SELECT " ENVELOPE_COLUMNS " FROM envelope INDEXED BY schedule "               \
		    "WHERE next_try IS NOT NULL AND (next_try, id) > (?1, ?2) AND next_try <= ?3 " \
		    "ORDER BY next_try, id LIMIT ?4")                                              \
	S(NEXT_DUE, "SELECT next_try FROM envelope INDEXED BY schedule "                           \
		    "WHERE next_try IS NOT NULL AND (next_try, id) > (?1, ?2) "                    \
		    "ORDER BY next_try, id LIMIT 1")                                               \
	S(EACH, "SELECT " ENVELOPE_COLUMNS " FROM envelope WHERE id BETWEEN ?1 AND ?2 "            \
		"ORDER BY id LIMIT ?3")

#define S(NAME, sql) STATEMENT_##NAME,
enum statement { STATEMENTS(S) STATEMENT_MAX };
#undef S
#define S(NAME, sql) sql,
static const char *const sql_texts[] = { STATEMENTS(S) };
#undef S

static sqlite3 *db;
static sqlite3_stmt *statements[STATEMENT_MAX];
static bool in_transaction, broken; /* broken: nothing is written before spool_rollback() */
static uint64_t last_id;
static struct counts {
	int64_t messages, envelopes;
} counts, committed;
static char error_text[256];

static const char *remove_marked(void);

const char *
spool_error(void)
{
	return error_text;
}

static bool
failed(void)
{
	snprintf(error_text, sizeof(error_text), "%s", sqlite3_errmsg(db));
	return false;
}

/* A statement with its first two numbers bound. */
static sqlite3_stmt *
prepared(enum statement s, uint64_t one, uint64_t two)
{
	sqlite3_stmt *st = statements[s];

	if (sqlite3_bind_parameter_count(st) >= 1)
		sqlite3_bind_int64(st, 1, (sqlite3_int64)one);
	if (sqlite3_bind_parameter_count(st) >= 2)
		sqlite3_bind_int64(st, 2, (sqlite3_int64)two);
	return st;
}

static bool
run(sqlite3_stmt *st)
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
static bool
begin(void)
{
	if (broken)
		return false;
	if (in_transaction)
		return true;
	if (!run(statements[STATEMENT_BEGIN]))
		return false;
	in_transaction = true;
	return true;
}

/* One number; fallback when there is no row, or NULL. */
static int64_t
number(sqlite3_stmt *st, int64_t fallback)
{
	int64_t n = fallback;

	if (sqlite3_step(st) == SQLITE_ROW && sqlite3_column_type(st, 0) != SQLITE_NULL)
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
		n = number(st, 0);
	sqlite3_finalize(st);
	return n;
}

const char *
spool_open(const char *file)
{
	if (sqlite3_open_v2(file, &db,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
		NULL) != SQLITE_OK ||
	    sqlite3_busy_timeout(db, 5000) != SQLITE_OK ||
	    sqlite3_exec(db, pragmas, NULL, NULL, NULL) != SQLITE_OK) {
		failed();
		return error_text;
	}
	int64_t version = query_number("PRAGMA user_version");
	if (version == 0) {
		char *sql = sqlite3_mprintf(
		    "BEGIN;%s PRAGMA user_version=%d; COMMIT;", schema, SCHEMA_VERSION);
		if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK) {
			failed();
			sqlite3_free(sql);
			return error_text;
		}
		sqlite3_free(sql);
	} else if (version != SCHEMA_VERSION) {
		snprintf(error_text, sizeof(error_text),
		    "the spool has schema version %lld, this program knows version %d",
		    (long long)version, SCHEMA_VERSION);
		return error_text;
	}
	for (int i = 0; i < STATEMENT_MAX; i++)
		if (sqlite3_prepare_v3(db, sql_texts[i], -1, SQLITE_PREPARE_PERSISTENT,
			&statements[i], NULL) != SQLITE_OK) {
			failed();
			return error_text;
		}
	counts.messages = query_number("SELECT messages FROM counter");
	counts.envelopes = query_number("SELECT envelopes FROM counter");
	committed = counts;
	last_id = (uint64_t)query_number("SELECT max(id) FROM message");
	return remove_marked();
}

static const char *
remove_marked(void)
{
	for (;;) {
		uint64_t id = (uint64_t)query_number("SELECT max(id) FROM marked");
		if (id == 0)
			break;
		if (id > last_id)
			last_id = id;
		if (!spool_delete_marked(id))
			return error_text;
	}
	return spool_commit() ? NULL : error_text;
}

void
spool_close(void)
{
	for (int i = 0; i < STATEMENT_MAX; i++) {
		sqlite3_finalize(statements[i]);
		statements[i] = NULL;
	}
	sqlite3_close(db);
	db = NULL;
	in_transaction = broken = false;
}

bool
spool_commit(void)
{
	if (broken)
		return false;
	if (!in_transaction)
		return true;
	if (counts.messages != committed.messages || counts.envelopes != committed.envelopes)
		if (!run(prepared(STATEMENT_PUT_COUNTER, (uint64_t)counts.messages,
			(uint64_t)counts.envelopes)))
			return false;
	if (!run(statements[STATEMENT_COMMIT]))
		return false;
	in_transaction = false;
	committed = counts;
	return true;
}

void
spool_rollback(void)
{
	if (!sqlite3_get_autocommit(db))
		run(statements[STATEMENT_ROLLBACK]);
	in_transaction = broken = false;
	counts = committed;
}

bool
spool_dirty(void)
{
	return in_transaction;
}

bool
spool_put_mark(uint64_t id)
{
	return begin() && run(prepared(STATEMENT_PUT_MARK, id, 0));
}

bool
spool_put_piece(uint64_t id, uint32_t seq, const void *data, size_t len)
{
	sqlite3_stmt *st = statements[STATEMENT_PUT_PIECE];

	if (!begin())
		return false;
	sqlite3_bind_int64(st, 1, (sqlite3_int64)(id << SPOOL_PIECE_BITS | seq));
	sqlite3_bind_blob(st, 2, data, (int)len, SQLITE_STATIC);
	bool good = run(st);
	sqlite3_bind_null(st, 2);
	return good;
}

static void
bind_text(sqlite3_stmt *st, int column, const char *s)
{
	sqlite3_bind_text(st, column, s == NULL ? "" : s, -1, SQLITE_STATIC);
}

bool
spool_put_message(const struct spool_message *m, bool marked)
{
	sqlite3_stmt *st = statements[STATEMENT_PUT_MESSAGE];

	if (!begin() || (marked && !run(prepared(STATEMENT_DELETE_MARK, m->id, 0))))
		return false;
	sqlite3_bind_int64(st, 1, (sqlite3_int64)m->id);
	sqlite3_bind_int64(st, 2, m->created);
	sqlite3_bind_int64(st, 3, (sqlite3_int64)m->size);
	sqlite3_bind_int64(st, 4, m->pieces);
	bind_text(st, 5, m->sender);
	bind_text(st, 6, m->client);
	bind_text(st, 7, m->helo);
	bind_text(st, 8, m->tag);
	bind_text(st, 9, m->auth);
	bind_text(st, 10, m->envid);
	sqlite3_bind_int64(st, 11, m->local);
	sqlite3_bind_int64(st, 12, m->ret);
	sqlite3_bind_int64(st, 13, m->eightbit);
	if (!run(st))
		return false;
	counts.messages++;
	return true;
}

static bool
write_envelope(enum statement s, const struct spool_envelope *e)
{
	sqlite3_stmt *st = statements[s];

	if (!begin())
		return false;
	sqlite3_bind_int64(st, 1, (sqlite3_int64)spool_key(e->message, e->n));
	sqlite3_bind_int64(st, 2, e->state);
	sqlite3_bind_int64(st, 3, e->next_try);
	sqlite3_bind_int64(st, 4, e->created);
	sqlite3_bind_int64(st, 5, e->expire);
	sqlite3_bind_int64(st, 6, e->attempts);
	sqlite3_bind_int64(st, 7, e->notify);
	sqlite3_bind_int64(st, 8, e->uid);
	sqlite3_bind_int64(st, 9, e->gid);
	bind_text(st, 10, e->rcpt);
	bind_text(st, 11, e->orcpt);
	bind_text(st, 12, e->dest);
	bind_text(st, 13, e->action);
	bind_text(st, 14, e->route);
	bind_text(st, 15, e->user);
	bind_text(st, 16, e->home);
	bind_text(st, 17, e->reason);
	return run(st);
}

bool
spool_put_envelope(const struct spool_envelope *e)
{
	if (!write_envelope(STATEMENT_PUT_ENVELOPE, e))
		return false;
	counts.envelopes++;
	return true;
}

bool
spool_update_envelope(const struct spool_envelope *e)
{
	return write_envelope(STATEMENT_UPDATE_ENVELOPE, e);
}

bool
spool_delete_envelope(uint64_t id, uint32_t n)
{
	if (!begin() || !run(prepared(STATEMENT_DELETE_ENVELOPE, spool_key(id, n), 0)))
		return false;
	counts.envelopes -= sqlite3_changes(db);
	return true;
}

bool
spool_advance(uint64_t from, uint64_t to, int64_t now, size_t max, size_t *n)
{
	sqlite3_stmt *st = prepared(STATEMENT_ADVANCE, from, to);

	sqlite3_bind_int64(st, 3, now);
	sqlite3_bind_int64(st, 4, (sqlite3_int64)max);
	*n = 0;
	if (!begin() || !run(st))
		return false;
	*n = (size_t)sqlite3_changes(db);
	return true;
}

static bool
delete_body(uint64_t id)
{
	uint64_t first = id << SPOOL_PIECE_BITS;

	return run(prepared(STATEMENT_DELETE_BODY, first, first | (SPOOL_PIECES_MAX - 1)));
}

bool
spool_delete_message(uint64_t id, uint32_t pieces)
{
	if (!begin() || !run(prepared(STATEMENT_DELETE_MESSAGE, id, 0)))
		return false;
	counts.messages -= sqlite3_changes(db);
	if (pieces == 1) /* the exact key is quicker than the range */
		return run(prepared(STATEMENT_DELETE_PIECE, id << SPOOL_PIECE_BITS, 0));
	return delete_body(id);
}

bool
spool_delete_marked(uint64_t id)
{
	return begin() && delete_body(id) && run(prepared(STATEMENT_DELETE_MARK, id, 0));
}

static char *
column(sqlite3_stmt *st, int i)
{
	static char none[1];
	const unsigned char *s = sqlite3_column_text(st, i);

	return s == NULL ? none : (char *)(uintptr_t)s;
}

bool
spool_get_message(uint64_t id, spool_on_message *on_message, void *arg)
{
	sqlite3_stmt *st = prepared(STATEMENT_GET_MESSAGE, id, 0);
	bool found = sqlite3_step(st) == SQLITE_ROW;

	if (found) {
		struct spool_message m = { .id = id,
			.created = sqlite3_column_int64(st, 0),
			.size = (uint64_t)sqlite3_column_int64(st, 1),
			.pieces = (uint32_t)sqlite3_column_int64(st, 2),
			.sender = column(st, 3),
			.client = column(st, 4),
			.helo = column(st, 5),
			.tag = column(st, 6),
			.auth = column(st, 7),
			.envid = column(st, 8),
			.local = (uint32_t)sqlite3_column_int64(st, 9),
			.ret = (uint32_t)sqlite3_column_int64(st, 10),
			.eightbit = (uint32_t)sqlite3_column_int64(st, 11) };
		on_message(&m, arg);
	}
	sqlite3_reset(st);
	return found;
}

bool
spool_get_piece(uint64_t id, uint32_t seq, spool_on_piece *on_piece, void *arg)
{
	sqlite3_stmt *st = prepared(STATEMENT_GET_PIECE, id << SPOOL_PIECE_BITS | seq, 0);
	bool found = sqlite3_step(st) == SQLITE_ROW;

	if (found) {
		const void *data = sqlite3_column_blob(st, 0);
		on_piece(data, (size_t)sqlite3_column_bytes(st, 0), arg);
	}
	sqlite3_reset(st);
	return found;
}

bool
spool_has_envelopes(uint64_t id)
{
	return number(
		   prepared(STATEMENT_HAS_ENVELOPES, spool_key(id, 0), spool_key(id, SPOOL_N_MAX)),
		   0) != 0;
}

bool
spool_has_destination(uint64_t id, const char *dest, const char *action)
{
	sqlite3_stmt *st =
	    prepared(STATEMENT_HAS_DESTINATION, spool_key(id, 0), spool_key(id, SPOOL_N_MAX));

	bind_text(st, 3, dest);
	bind_text(st, 4, action);
	return number(st, 0) != 0;
}

uint32_t
spool_last_n(uint64_t id)
{
	return (uint32_t)number(
		   prepared(STATEMENT_LAST_N, spool_key(id, 0), spool_key(id, SPOOL_N_MAX)), 0) &
	       SPOOL_N_MAX;
}

static size_t
each(sqlite3_stmt *st, spool_on_envelope *on_envelope, void *arg)
{
	size_t n = 0;

	while (sqlite3_step(st) == SQLITE_ROW) {
		uint64_t key = (uint64_t)sqlite3_column_int64(st, 0);
		struct spool_envelope e = { .message = key >> SPOOL_N_BITS,
			.n = key & SPOOL_N_MAX,
			.state = sqlite3_column_int(st, 1) == SPOOL_READY ? SPOOL_READY : SPOOL_NEW,
			.next_try = sqlite3_column_int64(st, 2),
			.created = sqlite3_column_int64(st, 3),
			.expire = sqlite3_column_int64(st, 4),
			.attempts = (uint32_t)sqlite3_column_int64(st, 5),
			.notify = (uint32_t)sqlite3_column_int64(st, 6),
			.uid = (uint32_t)sqlite3_column_int64(st, 7),
			.gid = (uint32_t)sqlite3_column_int64(st, 8),
			.rcpt = column(st, 9),
			.orcpt = column(st, 10),
			.dest = column(st, 11),
			.action = column(st, 12),
			.route = column(st, 13),
			.user = column(st, 14),
			.home = column(st, 15),
			.reason = column(st, 16) };
		n++;
		if (!on_envelope(&e, arg))
			break;
	}
	sqlite3_reset(st);
	return n;
}

size_t
spool_each_due(
    struct spool_cursor after, int64_t now, size_t max, spool_on_envelope *on_envelope, void *arg)
{
	sqlite3_stmt *st = prepared(STATEMENT_EACH_DUE, (uint64_t)after.next_try, after.key);

	sqlite3_bind_int64(st, 3, now);
	sqlite3_bind_int64(st, 4, (sqlite3_int64)max);
	return each(st, on_envelope, arg);
}

int64_t
spool_next_due(struct spool_cursor after)
{
	return number(prepared(STATEMENT_NEXT_DUE, (uint64_t)after.next_try, after.key), 0);
}

size_t
spool_each(uint64_t from, uint64_t to, size_t max, spool_on_envelope *on_envelope, void *arg)
{
	sqlite3_stmt *st = prepared(STATEMENT_EACH, from, to);

	sqlite3_bind_int64(st, 3, (sqlite3_int64)max);
	return each(st, on_envelope, arg);
}

uint64_t
spool_last_id(void)
{
	return last_id;
}

int64_t
spool_count_messages(void)
{
	return counts.messages;
}

int64_t
spool_count_envelopes(void)
{
	return counts.envelopes;
}

void
spool_limit_pages(int pages)
{
	char sql[64];

	snprintf(sql, sizeof(sql), "PRAGMA max_page_count=%d", pages);
	sqlite3_exec(db, sql, NULL, NULL, NULL);
}
