/*
 * What the spool keeps beside the mail: the history of tries, and what a person has paused.  See spool.h.
 */
#include "spool.h"
#include "spoolsql.h"

bool
spool_put_attempt(const struct spool_attempt *a)
{
	uint64_t key = spool_key(a->message, a->n);
	sqlite3_stmt *st = spoolsql_prepared(STATEMENT_PUT_ATTEMPT, key, a->number);

	sqlite3_bind_int64(st, 3, a->at);
	spoolsql_bind(st, 4, a->event);
	spoolsql_bind(st, 5, a->status);
	spoolsql_bind(st, 6, a->host);
	spoolsql_bind(st, 7, a->source);
	spoolsql_bind(st, 8, a->reply);
	spoolsql_bind(st, 9, a->tls);
	if (!spoolsql_begin() || !spoolsql_run(st))
		return false;
	return a->number <= SPOOL_ATTEMPTS_MAX ||
	       spoolsql_run(spoolsql_prepared(
		   STATEMENT_DELETE_ATTEMPT, key, a->number - SPOOL_ATTEMPTS_MAX));
}

bool
spool_delete_attempts(uint64_t id)
{
	return spoolsql_begin() && spoolsql_run(spoolsql_prepared(STATEMENT_DELETE_ATTEMPTS,
				       spool_key(id, 0), spool_key(id, SPOOL_N_MAX)));
}

bool
spool_put_pause(const char *what, int64_t since)
{
	sqlite3_stmt *st = spoolsql_prepared(STATEMENT_PUT_PAUSE, (uint64_t)since, 0);

	spoolsql_bind(st, 2, what);
	return spoolsql_begin() && spoolsql_run(st);
}

bool
spool_delete_pause(const char *what)
{
	sqlite3_stmt *st = spoolsql_prepared(STATEMENT_DELETE_PAUSE, 0, 0);

	spoolsql_bind(st, 1, what);
	return spoolsql_begin() && spoolsql_run(st);
}

static void
each_attempt(sqlite3_stmt *st, size_t *n, spool_on_attempt *on_attempt, void *arg)
{
	bool more = true;

	while (more && spoolsql_step(st)) {
		uint64_t key = (uint64_t)sqlite3_column_int64(st, 0);
		struct spool_attempt a = { .message = key >> SPOOL_N_BITS,
			.n = key & SPOOL_N_MAX,
			.number = (uint32_t)sqlite3_column_int64(st, 1),
			.at = sqlite3_column_int64(st, 2),
			.event = spoolsql_column(st, 3),
			.status = spoolsql_column(st, 4),
			.host = spoolsql_column(st, 5),
			.source = spoolsql_column(st, 6),
			.reply = spoolsql_column(st, 7),
			.tls = spoolsql_column(st, 8) };
		++*n;
		more = on_attempt(&a, arg);
	}
	sqlite3_reset(st);
}

size_t
spool_each_attempt(
    uint64_t key, uint32_t after, size_t max, spool_on_attempt *on_attempt, void *arg)
{
	sqlite3_stmt *st = spoolsql_prepared(STATEMENT_EACH_ATTEMPT, key, after);
	size_t n = 0;

	sqlite3_bind_int64(st, 3, (sqlite3_int64)max);
	each_attempt(st, &n, on_attempt, arg);
	if (n == max)
		return n;
	st = spoolsql_prepared(STATEMENT_EACH_ATTEMPT_BEHIND, key, key | SPOOL_N_MAX);
	sqlite3_bind_int64(st, 3, (sqlite3_int64)(max - n));
	each_attempt(st, &n, on_attempt, arg);
	return n;
}

void
spool_each_pause(spool_on_pause *on_pause, void *arg)
{
	sqlite3_stmt *st = spoolsql_prepared(STATEMENT_EACH_PAUSE, 0, 0);

	while (spoolsql_step(st))
		on_pause(spoolsql_column(st, 0), sqlite3_column_int64(st, 1), arg);
	sqlite3_reset(st);
}
