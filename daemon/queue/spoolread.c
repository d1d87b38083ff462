/*
 * Reading from the spool; see spool.h.  Rows are given to callbacks as they are met, so that no size of a
 * queue or of a message costs memory; a callback may read again, by another statement.
 */
#include "spool.h"
#include "spoolsql.h"

const char *
spoolsql_column(sqlite3_stmt *st, int i)
{
	const unsigned char *s = sqlite3_column_text(st, i);

	return s == NULL ? spool_none : (const char *)s;
}

bool
spool_get_message(uint64_t id, spool_on_message *on_message, void *arg)
{
	sqlite3_stmt *st = spoolsql_prepared(STATEMENT_GET_MESSAGE, id, 0);
	bool found = spoolsql_step(st);

	if (found) {
		struct spool_message m = { .id = id,
			.created = sqlite3_column_int64(st, 0),
			.size = (uint64_t)sqlite3_column_int64(st, 1),
			.pieces = (uint32_t)sqlite3_column_int64(st, 2),
			.sender = spoolsql_column(st, 3),
			.client = spoolsql_column(st, 4),
			.helo = spoolsql_column(st, 5),
			.tag = spoolsql_column(st, 6),
			.auth = spoolsql_column(st, 7),
			.envid = spoolsql_column(st, 8),
			.local = (uint32_t)sqlite3_column_int64(st, 9),
			.ret = (uint32_t)sqlite3_column_int64(st, 10),
			.eightbit = (uint32_t)sqlite3_column_int64(st, 11),
			.utf8 = (uint32_t)sqlite3_column_int64(st, 12) };
		on_message(&m, arg);
	}
	sqlite3_reset(st);
	return found;
}

bool
spool_get_piece(uint64_t id, uint32_t seq, spool_on_piece *on_piece, void *arg)
{
	sqlite3_stmt *st = spoolsql_prepared(STATEMENT_GET_PIECE, id << SPOOL_PIECE_BITS | seq, 0);
	bool good = spoolsql_step(st);

	if (good) {
		const void *data = sqlite3_column_blob(st, 0);
		size_t len = (size_t)sqlite3_column_bytes(st, 0);
		good = sqlite3_column_type(st, 1) == SQLITE_NULL ||
		       (uint64_t)sqlite3_column_int64(st, 1) == spoolsum(data, len);
		if (good)
			on_piece(data, len, arg);
	}
	sqlite3_reset(st);
	return good;
}

bool
spool_has_envelopes(uint64_t id)
{
	return spoolsql_number(spoolsql_prepared(STATEMENT_HAS_ENVELOPES, spool_key(id, 0),
				   spool_key(id, SPOOL_N_MAX)),
		   0) != 0;
}

bool
spool_has_destination(uint64_t id, const char *dest, const char *action)
{
	sqlite3_stmt *st = spoolsql_prepared(
	    STATEMENT_HAS_DESTINATION, spool_key(id, 0), spool_key(id, SPOOL_N_MAX));

	spoolsql_bind(st, 3, dest);
	spoolsql_bind(st, 4, action);
	return spoolsql_number(st, 0) != 0;
}

uint32_t
spool_last_n(uint64_t id)
{
	return (uint32_t)spoolsql_number(spoolsql_prepared(STATEMENT_LAST_N, spool_key(id, 0),
					     spool_key(id, SPOOL_N_MAX)),
		   0) &
	       SPOOL_N_MAX;
}

/* Adds to *n how many were given; false when on_envelope said that it is enough. */
static bool
each(sqlite3_stmt *st, size_t *n, spool_on_envelope *on_envelope, void *arg)
{
	bool more = true;

	while (more && spoolsql_step(st)) {
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
			.rcpt = spoolsql_column(st, 9),
			.orcpt = spoolsql_column(st, 10),
			.dest = spoolsql_column(st, 11),
			.action = spoolsql_column(st, 12),
			.route = spoolsql_column(st, 13),
			.user = spoolsql_column(st, 14),
			.home = spoolsql_column(st, 15),
			.reason = spoolsql_column(st, 16),
			.status = spoolsql_column(st, 17),
			.host = spoolsql_column(st, 18),
			.next_warn = sqlite3_column_int64(st, 19),
			.warned = sqlite3_column_int64(st, 20),
			.warn = spoolsql_column(st, 21),
			.held = sqlite3_column_int64(st, 22),
			.part = sqlite3_column_int(st, 23) != 0 };
		++*n;
		more = on_envelope(&e, arg);
	}
	sqlite3_reset(st);
	return more;
}

/* Two statements: a comparison of (next_try, id) would walk all of the cursor's second each time. */
size_t
spool_each_due(
    struct spool_cursor after, int64_t now, size_t max, spool_on_envelope *on_envelope, void *arg)
{
	sqlite3_stmt *st =
	    spoolsql_prepared(STATEMENT_EACH_DUE_SAME, (uint64_t)after.next_try, after.key);
	size_t n = 0;

	if (after.next_try <= now) {
		sqlite3_bind_int64(st, 3, (sqlite3_int64)max);
		if (!each(st, &n, on_envelope, arg) || n == max)
			return n;
	}
	st = spoolsql_prepared(STATEMENT_EACH_DUE_LATER, (uint64_t)after.next_try, (uint64_t)now);
	sqlite3_bind_int64(st, 3, (sqlite3_int64)(max - n));
	each(st, &n, on_envelope, arg);
	return n;
}

int64_t
spool_next_due(struct spool_cursor after)
{
	uint64_t at = (uint64_t)after.next_try;
	int64_t same =
	    spoolsql_number(spoolsql_prepared(STATEMENT_NEXT_DUE_SAME, at, after.key), 0);

	return same != 0 ? same
			 : spoolsql_number(spoolsql_prepared(STATEMENT_NEXT_DUE_LATER, at, 0), 0);
}

size_t
spool_each(uint64_t from, uint64_t to, size_t max, spool_on_envelope *on_envelope, void *arg)
{
	sqlite3_stmt *st = spoolsql_prepared(STATEMENT_EACH, from, to);
	size_t n = 0;

	sqlite3_bind_int64(st, 3, (sqlite3_int64)max);
	each(st, &n, on_envelope, arg);
	return n;
}

size_t
spool_each_warning(int64_t now, size_t max, spool_on_envelope *on_envelope, void *arg)
{
	sqlite3_stmt *st = spoolsql_prepared(STATEMENT_EACH_WARNING, (uint64_t)now, max);
	size_t n = 0;

	each(st, &n, on_envelope, arg);
	return n;
}

int64_t
spool_next_warning(void)
{
	return spoolsql_number(spoolsql_prepared(STATEMENT_NEXT_WARNING, 0, 0), 0);
}
