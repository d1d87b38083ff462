/* The spool: what was committed is there after any death, what was not is not; a full disk. */
#include "tap.h"
#include "queue/spool.h"

#include <signal.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

static char file[64];

static void
put(uint64_t id, bool marked)
{
	struct spool_message m = { .id = id,
		.created = 1000,
		.sender = (char[]){ "o'neil\"--\n\t\x01@x" },
		.client = (char[]){ "192.0.2.1" },
		.size = 6,
		.pieces = 1 };
	struct spool_envelope e = { .message = id,
		.n = 1,
		.rcpt = (char[]){ "a@x'); DROP TABLE body;--" },
		.created = 1000,
		.next_try = 1000 + (int64_t)id };

	ok(spool_put_piece(id, marked ? 1 : 0, "hello\n", 6) && spool_put_envelope(&e) &&
		spool_put_message(&m, marked),
	    "a message is written");
}

static void
on_message(const struct spool_message *m, void *arg)
{
	is(m->sender, "o'neil\"--\n\t\x01@x", "its sender comes back as it was");
	*(int *)arg += 1;
}

static bool
on_envelope(const struct spool_envelope *e, void *arg)
{
	is(e->rcpt, "a@x'); DROP TABLE body;--", "its recipient comes back as it was");
	*(int *)arg += (int)e->message;
	return true;
}

static void
on_piece(const void *data, size_t len, void *arg)
{
	ok(len == 6 && memcmp(data, "hello\n", 6) == 0, "its body comes back as it was");
	*(int *)arg += 1;
}

static void
round_trip(void)
{
	int messages = 0, sum = 0, pieces = 0;

	put(1, false);
	ok(spool_commit(), "committed");
	ok(spool_get_message(1, on_message, &messages) && messages == 1, "the message is there");
	ok(spool_get_piece(1, 0, on_piece, &pieces) && pieces == 1, "the body is there");
	ok(!spool_get_piece(1, 1, on_piece, &pieces), "no more of it");
	put(2, false);
	spool_rollback();
	is_int(spool_count_messages(), 1, "rolled back: counted no more");
	put(2, false);
	put(3, false);
	ok(spool_commit(), "committed");
	is_int(spool_each(0, INT64_MAX, 10, on_envelope, &sum), 3, "three envelopes");
	is_int(sum, 6, "each once");
	sum = 0;
	struct spool_cursor c = { 1001, spool_key(1, 1) };
	is_int(spool_each_due(c, 1002, 10, on_envelope, &sum), 1, "one is due behind the cursor");
	is_int(sum, 2, "the second");
	is_int(spool_next_due(c), 1002, "and is the next");
	size_t n;
	ok(spool_advance(0, INT64_MAX, 900, 10, &n) && n == 3, "all are due earlier");
	is_int(spool_each_due((struct spool_cursor){ 0 }, 900, 10, on_envelope, &sum), 3, "now");
	for (uint64_t id = 1; id <= 3; id++)
		ok(spool_delete_envelope(id, 1) && !spool_has_envelopes(id) &&
			spool_delete_message(id, 1),
		    "deleted");
	ok(spool_commit(), "committed");
	is_int(spool_count_messages(), 0, "nothing is left");
	ok(!spool_get_piece(2, 0, on_piece, &pieces), "of its body neither");
}

/* Dies after as many steps as told. */
static void
child(int steps)
{
	if (spool_open(file) != NULL)
		_exit(9);
	static char big[SPOOL_PIECE_LEN];
	fclose(stdout);
	for (int i = 0; i < steps; i++) {
		if (i == 0)
			spool_put_mark(10);
		else if (i == 1)
			spool_put_piece(10, 0, big, sizeof(big));
		else if (i == 2)
			spool_commit();
		else if (i == 3)
			put(10, true);
		else if (i == 4)
			spool_commit();
		else if (i == 5)
			spool_delete_envelope(10, 1);
		else if (i == 6)
			spool_delete_message(10, 2);
		else if (i == 7)
			spool_commit();
	}
	kill(getpid(), SIGKILL);
}

static void
nothing(const void *data, size_t len, void *arg)
{
	(void)data;
	(void)len;
	(void)arg;
}

static void
killed(void)
{
	for (int steps = 0; steps <= 8; steps++) {
		pid_t pid = fork();
		int status;
		if (pid == 0)
			child(steps);
		waitpid(pid, &status, 0);
		ok(WIFSIGNALED(status), "a process dies after step %d", steps);
		is(spool_open(file), NULL, "the spool opens");
		bool there = steps >= 5 && steps < 8;
		is_int(spool_count_messages(), there, "counted: %d", there);
		is_int(spool_has_envelopes(10), there, "its envelope: %d", there);
		is_int(spool_get_piece(10, 0, nothing, NULL), there, "its first piece: %d", there);
		is_int(spool_get_piece(10, 1, nothing, NULL), there, "its second piece: %d", there);
		if (there) {
			spool_delete_envelope(10, 1);
			spool_delete_message(10, 2);
			spool_commit();
		}
		spool_close();
	}
}

static bool
on_attempt(const struct spool_attempt *a, void *arg)
{
	uint32_t *seen = arg;

	is(a->reply, "a reply'); DROP TABLE attempt;--", "its reply comes back as it was");
	seen[0] += 1;
	seen[1] = a->number;
	return true;
}

/* Tries of two recipients of a message, and of another message. */
static void
history(void)
{
	uint32_t seen[2] = { 0, 0 };
	struct spool_attempt a = { .message = 40,
		.at = 1000,
		.event = "deferred",
		.status = "4.2.1",
		.host = "mx",
		.source = "192.0.2.9",
		.reply = "a reply'); DROP TABLE attempt;--" };

	is(spool_open(file), NULL, "the spool opens");
	for (a.n = 1; a.n <= 2; a.n++)
		for (a.number = 1; a.number <= SPOOL_ATTEMPTS_MAX + 20; a.number++)
			if (!spool_put_attempt(&a))
				ok(false, "an attempt is written");
	a = (struct spool_attempt){ .message = 41, .n = 1, .number = 1, .reply = a.reply };
	ok(spool_put_attempt(&a) && spool_commit(), "attempts are written");
	is_int(spool_each_attempt(spool_key(40, 1), 0, 1000, on_attempt, seen),
	    2 * SPOOL_ATTEMPTS_MAX, "of each recipient the newest are kept");
	is_int(seen[1], SPOOL_ATTEMPTS_MAX + 20, "to the last");
	seen[0] = 0;
	is_int(spool_each_attempt(spool_key(40, 2), 68, 1000, on_attempt, seen), 2,
	    "those behind one");
	is_int(spool_each_attempt(spool_key(40, 2), 0, 7, on_attempt, seen), 7, "so many at most");
	ok(spool_delete_attempts(40) && spool_commit(), "deleted with their message");
	is_int(spool_each_attempt(spool_key(40, 0), 0, 9, on_attempt, seen), 0, "none is left");
	is_int(spool_each_attempt(spool_key(41, 0), 0, 9, on_attempt, seen), 1, "of another, all");
	spool_delete_attempts(41);
	spool_commit();
	spool_close();
}

/* What version 1 left, made by hand. */
static void
upgrade(void)
{
	static const char old[] =
	    "DROP INDEX warning; DROP INDEX unreached; ALTER TABLE body DROP COLUMN sum;"
	    "ALTER TABLE envelope DROP COLUMN status;"
	    "ALTER TABLE envelope DROP COLUMN host; ALTER TABLE envelope DROP COLUMN next_warn;"
	    "ALTER TABLE envelope DROP COLUMN warned; ALTER TABLE envelope DROP COLUMN warn;"
	    "ALTER TABLE envelope DROP COLUMN held; ALTER TABLE envelope DROP COLUMN part;"
	    "ALTER TABLE message DROP COLUMN utf8; DROP TABLE attempt; DROP TABLE pause;"
	    "PRAGMA user_version=%d;";
	char sql[768];
	sqlite3 *db;
	int sum = 0, pieces = 0;

	is(spool_open(file), NULL, "the spool opens");
	put(30, false);
	spool_commit();
	spool_close();
	snprintf(sql, sizeof(sql), old, 1);
	ok(sqlite3_open(file, &db) == SQLITE_OK &&
		sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK,
	    "a spool of version 1");
	sqlite3_close(db);
	is(spool_open(file), NULL, "is opened");
	is_int(spool_each(0, INT64_MAX, 10, on_envelope, &sum), 1, "with its envelope");
	ok(spool_get_piece(30, 0, on_piece, &pieces), "and body");
	is_int(spool_next_warning(), 0, "no warning is due");
	struct spool_envelope e = { .message = 30, .n = 1, .next_warn = 77, .created = 1 };
	ok(spool_update_envelope(&e) && spool_commit(), "it is written anew");
	is_int(spool_next_warning(), 77, "a warning is");
	spool_delete_envelope(30, 1);
	spool_delete_message(30, 1);
	spool_commit();
	spool_close();
	is(spool_open(file), NULL, "it opens again");
	spool_close();
	sqlite3_open(file, &db);
	sqlite3_exec(db, "PRAGMA user_version=99;", NULL, NULL, NULL);
	sqlite3_close(db);
	const char *wrong = spool_open(file);
	ok(wrong != NULL && strstr(wrong, "version 99") != NULL, "a newer one is left alone: %s",
	    wrong == NULL ? "" : wrong);
	spool_close();
	sqlite3_open(file, &db);
	sqlite3_exec(db, "PRAGMA user_version=7;", NULL, NULL, NULL);
	sqlite3_close(db);
}

static void
full(void)
{
	static char big[SPOOL_PIECE_LEN];
	uint32_t n = 0;

	is(spool_open(file), NULL, "the spool opens");
	put(20, false);
	ok(spool_commit(), "a message is committed");
	spool_limit_pages(100);
	while (n < 1000 && spool_put_piece(21, n, big, sizeof(big)))
		n++;
	ok(n < 1000, "the disk is full after %u pieces: %s", n, spool_error());
	ok(!spool_put_mark(22) && !spool_commit(), "nothing is written before the rollback");
	spool_rollback();
	ok(!spool_get_piece(21, 0, nothing, NULL), "then nothing of it is left");
	is_int(spool_has_envelopes(20), 1, "what was committed is");
	ok(spool_delete_envelope(20, 1) && spool_delete_message(20, 1) && spool_commit(),
	    "a full spool can still be emptied");
	spool_limit_pages(1000000);
	spool_close();
}

int
main(void)
{
	char dir[] = "/tmp/tabmail-spool-XXXXXX";

	if (mkdtemp(dir) == NULL)
		return 1;
	snprintf(file, sizeof(file), "%s/spool.db", dir);
	is(spool_open(file), NULL, "a new spool opens");
	round_trip();
	spool_close();
	killed();
	history();
	upgrade();
	full();
	const char *names[] = { "", "-wal", "-shm" };
	for (int i = 0; i < 3; i++) {
		char name[80];
		snprintf(name, sizeof(name), "%s%s", file, names[i]);
		unlink(name);
	}
	rmdir(dir);
	return done();
}
