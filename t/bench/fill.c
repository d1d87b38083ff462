/*
 * Fills a spool with messages, by the queue's own writing: t/bench/queue.pl starts a daemon on it.
 *
 *	fill FILE N DUE ROUTE	N messages of 4 KiB; the last DUE of them to be tried now by ROUTE, the others
 *				were put off for hours
 */
#include "clock.h"
#include "queue/local.h"
#include "log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct process process;

#define GROUP    500
#define BODY_LEN 4096

static char body[BODY_LEN];

static bool
put(uint64_t id, int64_t now, bool due, const char *route)
{
	struct spool_message m = { .id = id,
		.created = now - 3600,
		.sender = "somebody@example.net",
		.client = "192.0.2.7",
		.helo = "client.example.net",
		.size = BODY_LEN,
		.pieces = 1 };
	struct spool_envelope e = { .message = id,
		.n = 1,
		.state = SPOOL_READY,
		.rcpt = due ? "somebody@sink.example" : "somebody@dead.example",
		.dest = due ? "somebody@sink.example" : "somebody@dead.example",
		.action = due ? "relay" : "relay via \"smtp://127.0.0.1:1\"",
		.route = due ? route : "smtp://127.0.0.1:1",
		.status = due ? "" : "4.4.1",
		.reason = due ? "" : "cannot connect: Connection refused",
		.attempts = due ? 0 : 3,
		.created = now - 3600,
		.expire = now + 4 * 86400,
		.next_try = due ? now : now + 3600 + (int64_t)(id % 10800),
		.next_warn = now + 3 * 3600 };
	char action[256];

	if (due) {
		snprintf(action, sizeof(action), "relay via \"%s\"", route);
		e.action = action;
	}
	snprintf(body, 64, "Subject: number %llu\n\n", (unsigned long long)id);
	body[strlen(body)] = 'x';
	return spool_put_piece(id, 0, body, BODY_LEN) && spool_put_envelope(&e) &&
	       spool_put_message(&m, false);
}

int
main(int argc, char **argv)
{
	if (argc != 5) {
		fprintf(stderr, "usage: fill file n due route\n");
		return 1;
	}
	uint64_t n = strtoull(argv[2], NULL, 10), due = strtoull(argv[3], NULL, 10), i;
	int64_t now = clock_wall_sec();
	uint64_t first = (uint64_t)(now - 1577836800 - 3600) * 16000;

	log_open("fill", true, 0);
	memset(body, 'x', sizeof(body));
	const char *wrong = spool_open(argv[1]);
	for (i = 0; wrong == NULL && i < n; i++)
		if (!put(first + i, now, i + due >= n, argv[4]) ||
		    (i % GROUP == GROUP - 1 && !spool_commit()))
			wrong = spool_error();
	if (wrong != NULL || !spool_commit()) {
		fprintf(stderr, "fill: %s\n", wrong == NULL ? spool_error() : wrong);
		return 1;
	}
	spool_close();
	return 0;
}
