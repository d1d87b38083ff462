/*
 * The tables of the spool, and how those of an older version become today's; see spool.h.
 *
 * Called once by spool_open() and by the repair, before anything else is read.  Each step is a transaction
 * with its number, so a death between two of them leaves a spool that goes on from there.
 */
#include "spoolsql.h"

#include <stdio.h>

#define SCHEMA_VERSION 7

#define ATTEMPTS_AND_PAUSES                                                                 \
	"CREATE TABLE attempt (envelope INTEGER, number INTEGER, at INTEGER, event TEXT,"   \
	" status TEXT, host TEXT, source TEXT, reply TEXT, PRIMARY KEY (envelope, number))" \
	" WITHOUT ROWID;"                                                                   \
	"CREATE TABLE pause (what TEXT PRIMARY KEY, since INTEGER) WITHOUT ROWID;"

/* What waits for a route that was not reached; nothing that is fresh is in it. */
#define UNREACHED \
	"CREATE INDEX unreached ON envelope (route, next_try) WHERE " SPOOLSQL_UNREACHED ";"

/* Whether SMTPUTF8 was asked for, and a header needs it. */
#define MESSAGES_UTF8 "ALTER TABLE message ADD COLUMN utf8 INTEGER;"

/* The TLS of a try: protocol, cipher, verified or not. */
#define ATTEMPTS_TLS "ALTER TABLE attempt ADD COLUMN tls TEXT;"

static const char schema[] =
    "CREATE TABLE message (id INTEGER PRIMARY KEY, created INTEGER, size INTEGER, pieces INTEGER,"
    " sender TEXT, client TEXT, helo TEXT, tag TEXT, auth TEXT, envid TEXT,"
    " local INTEGER, ret INTEGER, eightbit INTEGER);"
    "CREATE TABLE body (id INTEGER PRIMARY KEY, data BLOB, sum INTEGER);"
    "CREATE TABLE envelope (id INTEGER PRIMARY KEY, state INTEGER, next_try INTEGER,"
    " created INTEGER, expire INTEGER, attempts INTEGER, notify INTEGER, uid INTEGER, gid INTEGER,"
    " rcpt TEXT, orcpt TEXT, dest TEXT, action TEXT, route TEXT, user TEXT, home TEXT,"
    " reason TEXT, status TEXT, host TEXT, next_warn INTEGER, warned INTEGER, warn TEXT,"
    " held INTEGER, part INTEGER);"
    "CREATE INDEX schedule ON envelope (next_try) WHERE next_try IS NOT NULL;"
    "CREATE INDEX warning ON envelope (next_warn) WHERE next_warn IS NOT NULL;"
    "CREATE TABLE marked (id INTEGER PRIMARY KEY);"
    "CREATE TABLE counter (id INTEGER PRIMARY KEY, messages INTEGER, envelopes INTEGER);"
    "INSERT INTO counter VALUES (1, 0, 0);" ATTEMPTS_AND_PAUSES UNREACHED ATTEMPTS_TLS
	MESSAGES_UTF8;

/* upgrades[v] makes version v + 1 of version v; each is one transaction. */
static const char *const upgrades[SCHEMA_VERSION] = {
	[0] = schema,
	[1] = "ALTER TABLE envelope ADD COLUMN status TEXT;"
	      "ALTER TABLE envelope ADD COLUMN host TEXT;"
	      "ALTER TABLE envelope ADD COLUMN next_warn INTEGER;"
	      "ALTER TABLE envelope ADD COLUMN warned INTEGER;"
	      "CREATE INDEX warning ON envelope (next_warn) WHERE next_warn IS NOT NULL;",
	[2] = "ALTER TABLE envelope ADD COLUMN warn TEXT;",
	[3] = "ALTER TABLE envelope ADD COLUMN held INTEGER;"
	      "ALTER TABLE envelope ADD COLUMN part INTEGER;" ATTEMPTS_AND_PAUSES,
	[4] = "ALTER TABLE body ADD COLUMN sum INTEGER;" UNREACHED,
	[5] = ATTEMPTS_TLS,
	[6] = MESSAGES_UTF8,
};

static int64_t
version_of(sqlite3 *db)
{
	sqlite3_stmt *st;
	int64_t version = -1;

	if (sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &st, NULL) == SQLITE_OK &&
	    sqlite3_step(st) == SQLITE_ROW)
		version = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return version;
}

/* An empty spool gets the newest schema at once. */
const char *
spoolschema_upgrade(sqlite3 *db)
{
	static char wrong[256];
	int64_t version = version_of(db);

	if (version > SCHEMA_VERSION) {
		snprintf(wrong, sizeof(wrong),
		    "the spool has schema version %lld, this program knows up to version %d",
		    (long long)version, SCHEMA_VERSION);
		return wrong;
	}
	while (version >= 0 && version < SCHEMA_VERSION) {
		int64_t next = version == 0 ? SCHEMA_VERSION : version + 1;
		char *sql = sqlite3_mprintf(
		    "BEGIN;%s PRAGMA user_version=%d; COMMIT;", upgrades[version], (int)next);
		int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
		sqlite3_free(sql);
		if (rc != SQLITE_OK)
			break;
		version = next;
	}
	if (version == SCHEMA_VERSION)
		return NULL;
	snprintf(wrong, sizeof(wrong), "%s", sqlite3_errmsg(db));
	return wrong;
}
