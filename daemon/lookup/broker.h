/*
 * A broker from the inside: what broker.c (the helper's life) and brokertalk.c (its questions) share.
 * Others see local.h.
 *
 * A question is in exactly one of the two lists, or has been answered and freed.
 */
#ifndef TABMAIL_LOOKUP_BROKER_H
#define TABMAIL_LOOKUP_BROKER_H

#include "local.h"
#include "conn.h"

#include <event2/event_struct.h>

#define BACKOFF_MIN_MS 50
#define BACKOFF_MAX_MS 30000
#define CIRCUIT_AFTER  5

/* clang-format off */
#define BROKER_STATES(S) \
	S(DOWN, "down") S(STARTING, "starting") S(GREETING, "greeting") S(READY, "ready") S(BACKOFF, "back-off")
/* clang-format on */
#define S(NAME, text) BROKER_##NAME,
enum broker_state { BROKER_STATES(S) };
#undef S

struct broker {
	const struct conf_table *table;
	enum broker_state state;
	struct conn *conn;
	uint32_t pid;
	uint32_t closed_pid; /* of the last one that closed its pipe: how it ended is told later */
	unsigned services;   /* bits of those it registered */
	unsigned offered;    /* the same of the last one that was ready, since the first was */
	bool known;
	struct question_list waiting, in_flight; /* both in the order of their deadlines */
	size_t n_waiting, n_in_flight;
	struct question **slots; /* max_pending of them */
	uint16_t *free_slots;    /* a stack: max_pending - n_in_flight of them */
	uint32_t generation;
	struct event deadline, backoff;
	int64_t backoff_ms, started_ms;
	int64_t heard_us;  /* when something came from it; the time of the answers in hand */
	unsigned failures; /* since its last good answer */
	char why[256];     /* the last of them */
	struct broker_stats stats;
	struct helperlog *log; /* NULL before the first start */
};

/* --- broker.c */
/* The helper is over: ends what is left of it, and starts another after the back-off, or at once. */
void broker_fail(struct broker *, const char *why, bool at_once);

/* Answers ERROR, with the reason: it keeps failing. */
void broker_turn_away(struct broker *, struct question *);

/* --- brokertalk.c */
void broker_on_input(void *broker);                            /* of its conn */
void broker_on_deadline(evutil_socket_t, short, void *broker); /* of its event */
void broker_set_deadline(
    struct broker *); /* the earliest of both lists; while it greets, its own */
void broker_take_back(
    struct broker *, struct question *); /* out of its slot, which the next may have */
void broker_settle(struct question *, enum tab_answer, const char *value, int64_t now_us);

#endif
