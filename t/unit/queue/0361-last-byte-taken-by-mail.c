/* A person has set spool-free to nothing, so mail itself takes all room: what is here goes out without help. */
#include "queue/disk.h"

#include <sqlite3.h>

static char body[100000];

/* What the file holds when it is closed. */
static int
rows(const char *sql)
{
	char file[96];
	sqlite3 *db = NULL;
	sqlite3_stmt *st = NULL;
	int n = -1;

	snprintf(file, sizeof(file), "%s/spool.db", house_dir);
	if (sqlite3_open(file, &db) == SQLITE_OK &&
	    sqlite3_prepare_v2(db, sql, -1, &st, NULL) == SQLITE_OK &&
	    sqlite3_step(st) == SQLITE_ROW)
		n = sqlite3_column_int(st, 0);
	sqlite3_finalize(st);
	sqlite3_close(db);
	return n;
}

int
main(void)
{
	int sent = 0;

	disk_start("size=24m");
	house.hold = true;
	house_start();
	house_conf.spool_free = 0;
	room_stop();
	room_start();
	memset(body, 'x', sizeof(body));
	while (house.refused == 0 && sent < 2000) {
		for (int i = 0; i < 128; i++)
			house_send((struct house_mail){
			    .sender = "", .rcpts = { "jo@x" }, .data = body, .len = sizeof(body) });
		sent += 128;
		house_until(house.stored + house.refused == sent);
	}
	ok(house.refused > 0, "%d stored, then refused; %lld bytes are free", house.stored,
	    (long long)disk_free());
	house.hold = false;
	int64_t end_ms = clock_mono_ms() + 20000;
	while (!house_empty() && clock_mono_ms() < end_ms) {
		while (house.n_in_hand > 0)
			house_go();
		house_until(house.n_in_hand > 0 || house_empty() || clock_mono_ms() >= end_ms);
	}
	is_int(queue_stats.delivered, house.stored, "all is delivered");
	is_int(spool_count_envelopes(), 0, "and has left the spool");
	queue_role.on_stop();
	is_int(rows("SELECT count(*) FROM body"), 0, "no body is left");
	is_int(rows("SELECT count(*) FROM marked"), 0, "nor the beginning of one");
	disk_stop();
	return done();
}
