/*
 * Whether what is in the spool is whole; see spool.h.
 *
 * At the start only the ways into each table and index are walked, which costs the same for ten messages
 * and for a million; bodies are checked later, one by one, by who needs them or has time.
 */
#include "spool.h"
#include "spoolsql.h"

#include <stdio.h>
#include <string.h>

static void
add_len(const void *data, size_t len, void *arg)
{
	(void)data;
	*(uint64_t *)arg += len;
}

const char *
spool_body_fault(const struct spool_size *m)
{
	static char wrong[128];
	uint64_t len = 0;

	for (uint32_t seq = 0; seq < m->pieces; seq++) {
		if (spool_get_piece(m->id, seq, add_len, &len))
			continue;
		if (!spool_readable())
			return NULL; /* not known */
		snprintf(wrong, sizeof(wrong),
		    "piece %u of %u of its body is damaged or missing in the spool", seq + 1,
		    m->pieces);
		return wrong;
	}
	if (len == m->size)
		return NULL;
	snprintf(wrong, sizeof(wrong), "of its body %llu bytes are in the spool, and not %llu",
	    (unsigned long long)len, (unsigned long long)m->size);
	return wrong;
}

size_t
spool_sizes(uint64_t after, struct spool_size *sizes, size_t max)
{
	sqlite3_stmt *st = spoolsql_prepared(STATEMENT_SIZES, after, max);
	size_t n = 0;

	while (n < max && spoolsql_step(st))
		sizes[n++] = (struct spool_size){ .id = (uint64_t)sqlite3_column_int64(st, 0),
			.size = (uint64_t)sqlite3_column_int64(st, 1),
			.pieces = (uint32_t)sqlite3_column_int64(st, 2) };
	sqlite3_reset(st);
	return n;
}

int
spoolsql_probe(sqlite3 *db)
{
	static const char *const ways[] = { "SELECT * FROM message ORDER BY id LIMIT 1",
		"SELECT * FROM message ORDER BY id DESC LIMIT 1",
		"SELECT * FROM envelope ORDER BY id LIMIT 1",
		"SELECT * FROM envelope ORDER BY id DESC LIMIT 1",
		"SELECT * FROM body ORDER BY id LIMIT 1",
		"SELECT * FROM body ORDER BY id DESC LIMIT 1",
		"SELECT id FROM envelope INDEXED BY schedule WHERE next_try IS NOT NULL "
		"ORDER BY next_try LIMIT 1",
		"SELECT id FROM envelope INDEXED BY schedule WHERE next_try IS NOT NULL "
		"ORDER BY next_try DESC LIMIT 1",
		"SELECT id FROM envelope INDEXED BY warning WHERE next_warn IS NOT NULL "
		"ORDER BY next_warn LIMIT 1",
		"SELECT * FROM attempt LIMIT 1", "SELECT * FROM pause LIMIT 1",
		"SELECT * FROM marked", "SELECT messages, envelopes FROM counter" };
	int rc = SQLITE_OK;

	for (size_t i = 0; rc == SQLITE_OK && i < sizeof(ways) / sizeof(ways[0]); i++)
		rc = sqlite3_exec(db, ways[i], NULL, NULL, NULL);
	return rc;
}

int
spoolsql_check(sqlite3 *db)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(db, "PRAGMA quick_check(1)", -1, &st, NULL);

	if (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW)
		rc = strcmp((const char *)sqlite3_column_text(st, 0), "ok") == 0 ? SQLITE_OK
										 : SQLITE_CORRUPT;
	sqlite3_finalize(st);
	return rc & 0xff;
}
