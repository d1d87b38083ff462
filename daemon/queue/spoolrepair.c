/*
 * Mends a spool whose database has a damaged page: all rows that can be read go into a new file, which takes the
 * old one's place; the old one is kept beside it as spool.db.damaged-DATE for a person.
 *
 * Called by spool_open(), when the file cannot be used or a process that met damage has left the mark
 * spool.db.damaged.  Messages of which a part was lost are held, and say so.  Whatever the moment of a death:
 * the old file is in its place until the new one is whole and on the disk as spool.db.mended, and from
 * then on the next start puts that one there.
 */
#include "spool.h"
#include "spoolsql.h"
#include "clock.h"
#include "log.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BATCH 500

static sqlite3 *db;
static char
    trouble[256]; /* no damage, but a disk that is full or does not answer: not the time to mend */

static void copy(const char *table);
static int64_t salvage(const char *table, int64_t *gaps);
static int64_t skip(const char *table, int64_t behind);
static void reconcile(void);
static bool keep_old(const char *file, char *kept, size_t len);

static char *
beside(const char *file, const char *suffix)
{
	return xasprintf("%s%s", file, suffix);
}

static void
remove_beside(const char *file, const char *suffix)
{
	char *path = beside(file, suffix);

	unlink(path);
	free(path);
}

void
spoolrepair_want(const char *file)
{
	char *mark = beside(file, ".damaged");
	int fd = open(mark, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	if (fd != -1)
		close(fd);
	free(mark);
}

/* A start that was to mend got as far as the new file: it only has to be put in its place. */
static bool
take_mended(const char *file)
{
	char *mended = beside(file, ".mended");
	bool there = access(mended, F_OK) == 0;

	if (there) {
		remove_beside(file, "-wal"); /* of the old one: kept under its other name */
		there = rename(mended, file) == 0;
		remove_beside(file, ".damaged");
	}
	free(mended);
	return there;
}

bool
spoolrepair_wanted(const char *file)
{
	char *mark = beside(file, ".damaged");
	bool wanted = !take_mended(file) && access(mark, F_OK) == 0;

	free(mark);
	return wanted;
}

void
spoolrepair_forget(const char *file)
{
	remove_beside(file, ".damaged");
}

/* Damage is what is expected here; any other error ends the repair, and the next start tries again. */
static void
note(int rc)
{
	rc &= 0xff;
	if (rc != SQLITE_OK && rc != SQLITE_ROW && rc != SQLITE_DONE && rc != SQLITE_CORRUPT &&
	    rc != SQLITE_NOTADB && *trouble == '\0')
		snprintf(trouble, sizeof(trouble), "%s", sqlite3_errmsg(db));
}

static int64_t
number(const char *fmt, ...)
{
	sqlite3_stmt *st = NULL;
	int64_t n = -1;
	va_list ap;

	va_start(ap, fmt);
	char *sql = sqlite3_vmprintf(fmt, ap);
	va_end(ap);
	int rc = sqlite3_prepare_v2(db, sql, -1, &st, NULL);
	if (rc == SQLITE_OK) {
		rc = sqlite3_step(st);
		n = rc == SQLITE_ROW ? sqlite3_column_int64(st, 0) : rc == SQLITE_DONE ? 0 : -1;
	}
	note(rc);
	sqlite3_finalize(st);
	sqlite3_free(sql);
	return n;
}

/* How many rows it changed; -1: it failed. */
static int64_t
change(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	char *sql = sqlite3_vmprintf(fmt, ap);
	va_end(ap);
	int64_t before = sqlite3_total_changes64(db);
	int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
	sqlite3_free(sql);
	note(rc);
	return rc == SQLITE_OK ? sqlite3_total_changes64(db) - before : -1;
}

static void
fill(const char *file, const char *fresh)
{
	static const char *const tables[] = { "message", "envelope", "body" };
	char *old = sqlite3_mprintf("ATTACH %Q AS old", file);
	int64_t began_ms = clock_mono_ms();

	/* not a WAL: the file must be whole by itself.  Not durable: it is made durable at the end. */
	note(sqlite3_open(fresh, &db));
	change("PRAGMA page_size=8192; PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=MEMORY;"
	       "PRAGMA synchronous=OFF;");
	const char *wrong = spoolschema_upgrade(db);
	if (wrong != NULL)
		snprintf(trouble, sizeof(trouble), "%s", wrong);
	bool readable = *trouble == '\0' && change("%s", old) != -1 &&
			number("SELECT count(*) FROM old.sqlite_master") > 0;
	if (!readable)
		log_warn("queue repair nothing of the damaged spool can be read: %s",
		    sqlite3_errmsg(db));
	for (size_t i = 0; readable && i < sizeof(tables) / sizeof(tables[0]); i++) {
		int64_t gaps = 0, rows = salvage(tables[i], &gaps);
		log_warn("queue repair table=%s rows=%" PRId64 " gaps=%" PRId64 " after=%" PRId64
			 "ms",
		    tables[i], rows, gaps, clock_mono_ms() - began_ms);
	}
	sqlite3_free(old);
	if (readable) {
		copy("attempt");
		copy("pause");
	}
	if (*trouble == '\0')
		reconcile();
	sqlite3_close(db);
}

const char *
spoolrepair(const char *file)
{
	static char wrong[300];
	char kept[64] = "", *fresh = beside(file, ".fresh"), *mended = beside(file, ".mended");

	unlink(fresh);
	*trouble = *wrong = '\0';
	fill(file, fresh);
	int fd = *trouble == '\0' ? open(fresh, O_RDONLY | O_CLOEXEC) : -1;
	if (*trouble != '\0')
		snprintf(wrong, sizeof(wrong), "repair: %s", trouble);
	else if (fd == -1 || fsync(fd) == -1 || !keep_old(file, kept, sizeof(kept)) ||
		 rename(fresh, mended) == -1 || !take_mended(file))
		snprintf(wrong, sizeof(wrong), "repair: %s", strerror(errno));
	else
		log_warn("queue repair done kept=%s", log_quote(kept));
	if (fd != -1)
		close(fd);
	if (*wrong != '\0')
		unlink(fresh); /* it may have filled the file system */
	free(fresh);
	free(mended);
	return *wrong == '\0' ? NULL : wrong;
}

/* Under one more name each, so that nothing is missing under the first. */
static bool
keep_old(const char *file, char *kept, size_t len)
{
	time_t now = (time_t)clock_wall_sec();
	struct tm tm;
	char date[32];

	strftime(date, sizeof(date), "%Y%m%d-%H%M%S", gmtime_r(&now, &tm));
	snprintf(kept, len, ".damaged-%s", date);
	char *to = beside(file, kept), *to_wal = beside(to, "-wal"), *wal = beside(file, "-wal");
	bool good = link(file, to) == 0 && (link(wal, to_wal) == 0 || errno == ENOENT);
	const char *slash = strrchr(to, '/');
	snprintf(kept, len, "%s", slash == NULL ? to : slash + 1);
	free(to);
	free(to_wal);
	free(wal);
	return good;
}

/* What the old table has of today's columns: it may be of an older version. */
static char *
columns(const char *table)
{
	sqlite3_stmt *st = NULL;
	struct text t = { 0 };

	char *sql = sqlite3_mprintf("SELECT name FROM pragma_table_info(%Q, 'main') WHERE name IN "
				    "(SELECT name FROM pragma_table_info(%Q, 'old'))",
	    table, table);
	if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) == SQLITE_OK)
		while (sqlite3_step(st) == SQLITE_ROW)
			text_putf(&t, "%s%s", t.len == 0 ? "" : ",",
			    (const char *)sqlite3_column_text(st, 0));
	sqlite3_finalize(st);
	sqlite3_free(sql);
	return t.s;
}

/* All at once; what goes wrong costs these rows only, and no mail waits for them. */
static void
copy(const char *table)
{
	char *names = columns(table);
	char *sql = sqlite3_mprintf(
	    "INSERT OR IGNORE INTO main.%s (%s) SELECT %s FROM old.%s", table, names, names, table);

	if (names != NULL && sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		log_warn("queue repair table=%s lost: %s", table, sqlite3_errmsg(db));
	sqlite3_free(sql);
	free(names);
}

/* All rows that can be read, in the order of their keys; how many. */
static int64_t
salvage(const char *table, int64_t *gaps)
{
	char *names = columns(table);
	int64_t behind = 0, copied = 0, max = BATCH, n;

	while (names != NULL && *trouble == '\0') {
		n = change("INSERT OR IGNORE INTO main.%s (%s) SELECT %s FROM old.%s "
			   "WHERE id > %lld ORDER BY id LIMIT %lld",
		    table, names, names, table, behind, max);
		if (n > 0) {
			copied += n;
			behind = number("SELECT max(id) FROM main.%s", table);
		}
		if (n >= 0 && n < max && max == BATCH)
			break; /* the end */
		if (n == -1 && max == BATCH) {
			max = 1; /* one by one up to the damage */
		} else if (n < 1) {
			behind = n == 0 ? 0 : skip(table, behind);
			*gaps += n == -1;
			max = BATCH;
			if (behind == 0)
				break;
		}
	}
	free(names);
	return copied;
}

/* The key of the first row behind `key`; 0: none; -1: not to be read. */
static int64_t
next_key(const char *table, int64_t key)
{
	return number("SELECT id FROM old.%s WHERE id > %lld ORDER BY id LIMIT 1", table, key);
}

/* Behind which key to go on after what cannot be read; 0: nothing more can. */
static int64_t
skip(const char *table, int64_t behind)
{
	int64_t bad = behind, good = 0, next = next_key(table, behind);

	if (next >= 0)
		return next; /* that row alone */
	for (int64_t step = 1; good == 0 && step < INT64_MAX / 4; step *= 2) {
		if (next_key(table, behind + step) >= 0)
			good = behind + step;
		else
			bad = behind + step;
	}
	while (good - bad > 1) {
		int64_t middle = bad + (good - bad) / 2;
		if (next_key(table, middle) >= 0)
			good = middle;
		else
			bad = middle;
	}
	return good;
}

/* Parts of messages whose other parts were lost are held. */
static void
reconcile(void)
{
	change("CREATE TEMP TABLE aside (id INTEGER PRIMARY KEY, why TEXT)");
	/* a sender cannot be guessed: the null sender is told nothing, and a person may release it */
	change(
	    "INSERT INTO aside SELECT DISTINCT id >> %d, 'set aside: its sender was on a damaged "
	    "page of the spool' FROM envelope WHERE id >> %d NOT IN (SELECT id FROM message)",
	    SPOOL_N_BITS, SPOOL_N_BITS);
	change("INSERT INTO message SELECT id, %lld, "
	       "(SELECT coalesce(sum(length(data)), 0) FROM body WHERE body.id >> %d = aside.id), "
	       "(SELECT count(*) FROM body WHERE body.id >> %d = aside.id), "
	       "'', '', '', '', '', '', 0, 0, 1, 0 FROM aside",
	    (long long)clock_wall_sec(), SPOOL_PIECE_BITS, SPOOL_PIECE_BITS);
	change("INSERT OR IGNORE INTO aside SELECT id, 'set aside: a part of its body was on a "
	       "damaged "
	       "page of the spool' FROM message WHERE pieces <> (SELECT count(*) FROM body WHERE "
	       "body.id BETWEEN message.id << %d AND (message.id << %d) + %d)",
	    SPOOL_PIECE_BITS, SPOOL_PIECE_BITS, SPOOL_PIECES_MAX - 1);
	int64_t held =
	    change("UPDATE envelope SET next_try = NULL, next_warn = NULL, held = %lld, "
		   "status = '4.3.0', reason = (SELECT why FROM aside WHERE "
		   "aside.id = envelope.id >> %d) WHERE id >> %d IN (SELECT id FROM aside)",
		(long long)clock_wall_sec(), SPOOL_N_BITS, SPOOL_N_BITS);
	int64_t alone = change("DELETE FROM message WHERE NOT EXISTS (SELECT 1 FROM envelope WHERE "
			       "envelope.id BETWEEN message.id << %d AND (message.id << %d) + %d)",
	    SPOOL_N_BITS, SPOOL_N_BITS, SPOOL_N_MAX);
	change("DELETE FROM body WHERE id >> %d NOT IN (SELECT id FROM message)", SPOOL_PIECE_BITS);
	change("UPDATE counter SET messages = (SELECT count(*) FROM message), "
	       "envelopes = (SELECT count(*) FROM envelope)");
	log_warn("queue repair messages=%" PRId64 " recipients=%" PRId64 " set-aside=%" PRId64
		 " messages-without-recipients=%" PRId64,
	    number("SELECT messages FROM counter"), number("SELECT envelopes FROM counter"), held,
	    alone);
}
