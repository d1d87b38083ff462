/*
 * What is written into the store: messages, bodies, envelopes and what becomes of them; see spool.h.
 *
 * Each write opens a transaction when none is open; spool.c commits.  The counts go with the rows, and
 * into the file with the commit.
 */
#include "spool.h"
#include "spoolsql.h"

bool
spool_put_mark(uint64_t id)
{
	return spoolsql_begin() && spoolsql_run(spoolsql_prepared(STATEMENT_PUT_MARK, id, 0));
}

bool
spool_put_piece(uint64_t id, uint32_t seq, const void *data, size_t len)
{
	sqlite3_stmt *st = spoolsql_prepared(STATEMENT_PUT_PIECE, id << SPOOL_PIECE_BITS | seq, 0);

	if (!spoolsql_begin())
		return false;
	sqlite3_bind_blob(st, 2, data, (int)len, SQLITE_STATIC);
	sqlite3_bind_int64(st, 3, (sqlite3_int64)spoolsum(data, len));
	bool good = spoolsql_run(st);
	sqlite3_bind_null(st, 2);
	return good;
}

bool
spool_put_message(const struct spool_message *m, bool marked)
{
	sqlite3_stmt *st = spoolsql_prepared(STATEMENT_PUT_MESSAGE, m->id, (uint64_t)m->created);

	if (!spoolsql_begin() ||
	    (marked && !spoolsql_run(spoolsql_prepared(STATEMENT_DELETE_MARK, m->id, 0))))
		return false;
	sqlite3_bind_int64(st, 3, (sqlite3_int64)m->size);
	sqlite3_bind_int64(st, 4, m->pieces);
	spoolsql_bind(st, 5, m->sender);
	spoolsql_bind(st, 6, m->client);
	spoolsql_bind(st, 7, m->helo);
	spoolsql_bind(st, 8, m->tag);
	spoolsql_bind(st, 9, m->auth);
	spoolsql_bind(st, 10, m->envid);
	sqlite3_bind_int64(st, 11, m->local);
	sqlite3_bind_int64(st, 12, m->ret);
	sqlite3_bind_int64(st, 13, m->eightbit);
	sqlite3_bind_int64(st, 14, m->utf8);
	if (!spoolsql_run(st))
		return false;
	spoolsql_counts.messages++;
	return true;
}

/* NULL keeps a row out of the index of that column. */
static void
bind_unless(sqlite3_stmt *st, int column, bool null, int64_t sec)
{
	if (null)
		sqlite3_bind_null(st, column);
	else
		sqlite3_bind_int64(st, column, sec);
}

static bool
write_envelope(enum statement s, const struct spool_envelope *e)
{
	sqlite3_stmt *st = spoolsql_prepared(s, spool_key(e->message, e->n), e->state);

	if (!spoolsql_begin())
		return false;
	bind_unless(st, 3, e->held != 0, e->next_try);
	sqlite3_bind_int64(st, 4, e->created);
	sqlite3_bind_int64(st, 5, e->expire);
	sqlite3_bind_int64(st, 6, e->attempts);
	sqlite3_bind_int64(st, 7, e->notify);
	sqlite3_bind_int64(st, 8, e->uid);
	sqlite3_bind_int64(st, 9, e->gid);
	spoolsql_bind(st, 10, e->rcpt);
	spoolsql_bind(st, 11, e->orcpt);
	spoolsql_bind(st, 12, e->dest);
	spoolsql_bind(st, 13, e->action);
	spoolsql_bind(st, 14, e->route);
	spoolsql_bind(st, 15, e->user);
	spoolsql_bind(st, 16, e->home);
	spoolsql_bind(st, 17, e->reason);
	spoolsql_bind(st, 18, e->status);
	spoolsql_bind(st, 19, e->host);
	bind_unless(st, 20, e->held != 0 || e->next_warn == 0, e->next_warn);
	sqlite3_bind_int64(st, 21, e->warned);
	spoolsql_bind(st, 22, e->warn);
	sqlite3_bind_int64(st, 23, e->held);
	sqlite3_bind_int64(st, 24, e->part);
	return spoolsql_run(st);
}

bool
spool_put_envelope(const struct spool_envelope *e)
{
	if (!write_envelope(STATEMENT_PUT_ENVELOPE, e))
		return false;
	spoolsql_counts.envelopes++;
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
	if (!spoolsql_begin() ||
	    !spoolsql_run(spoolsql_prepared(STATEMENT_DELETE_ENVELOPE, spool_key(id, n), 0)))
		return false;
	spoolsql_counts.envelopes -= spoolsql_changes();
	return true;
}

bool
spool_advance(uint64_t from, uint64_t to, int64_t now, size_t max, size_t *n)
{
	sqlite3_stmt *st = spoolsql_prepared(STATEMENT_ADVANCE, from, to);

	sqlite3_bind_int64(st, 3, now);
	sqlite3_bind_int64(st, 4, (sqlite3_int64)max);
	*n = 0;
	if (!spoolsql_begin() || !spoolsql_run(st))
		return false;
	*n = (size_t)spoolsql_changes();
	return true;
}

bool
spool_wake(const char *route, int64_t now, size_t max, size_t *n)
{
	sqlite3_stmt *st = spoolsql_prepared(STATEMENT_WAKE, (uint64_t)now, max);

	spoolsql_bind(st, 3, route);
	*n = 0;
	if (!spoolsql_begin() || !spoolsql_run(st))
		return false;
	*n = (size_t)spoolsql_changes();
	return true;
}

static bool
delete_body(uint64_t id)
{
	uint64_t first = id << SPOOL_PIECE_BITS;

	return spoolsql_run(
	    spoolsql_prepared(STATEMENT_DELETE_BODY, first, first | (SPOOL_PIECES_MAX - 1)));
}

bool
spool_delete_message(uint64_t id, uint32_t pieces)
{
	if (!spoolsql_begin() || !spoolsql_run(spoolsql_prepared(STATEMENT_DELETE_MESSAGE, id, 0)))
		return false;
	spoolsql_counts.messages -= spoolsql_changes();
	if (pieces == 1) /* the exact key is quicker than the range */
		return spoolsql_run(
		    spoolsql_prepared(STATEMENT_DELETE_PIECE, id << SPOOL_PIECE_BITS, 0));
	return delete_body(id);
}

bool
spool_delete_marked(uint64_t id)
{
	return spoolsql_begin() && delete_body(id) &&
	       spoolsql_run(spoolsql_prepared(STATEMENT_DELETE_MARK, id, 0));
}
