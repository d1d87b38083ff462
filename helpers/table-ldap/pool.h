/* What the files of the directory share: the directory itself, its two kinds of connections. */
#ifndef TABLE_LDAP_POOL_H
#define TABLE_LDAP_POOL_H

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stdint.h>

#include "directory.h"
#include "link.h"
#include "question.h"
#include "server.h"

#define HEDGE_US 1000000 /* an attempt that takes longer has the next server tried beside it */

struct directory;
struct slot;
LIST_HEAD(side_conns, side_conn);

/* Connections for one question at a time: binds of users, or searches page by page. */
struct side {
	struct directory *d;
	bool binds;
	unsigned most, n;
	struct questions waiting;
	struct side_conns conns;
	struct event *timer;
	size_t turn; /* where a balanced choice begins */
};

struct directory {
	struct event_base *base;
	struct reach *reach;
	struct server *servers;   /* reach->n */
	struct questions open;    /* all, by age */
	struct questions waiting; /* searches that no connection has yet */
	struct questions unfit;   /* binds that must not be sent */
	struct slot *slots;
	size_t n_slots, turn;
	struct side binds, pages;
	struct event *work, *deadlines;
	int64_t down_since_us; /* since when no search could be sent; 0: it can */
	bool was_up;           /* ever */
	bool closing;
	unsigned calls; /* callbacks that are being made */
	unsigned slow_unsaid;
	int64_t slow_said_us;
};

/* directory.c */
void directory_wake(
    struct directory *); /* something has changed: waiting questions are looked at */
void directory_answer(struct directory *, struct question *, enum directory_answer,
    const char *error, const char *server);

/* Takes all that was in flight at a link that is lost: asked again once, else answered with an error. */
void directory_take_back(struct directory *, struct link *, const char *why);

/* Takes from a link in doubt what was asked but once, to be asked again; the rest stays there. */
void directory_take_fresh(struct directory *, struct link *);

/* slot.c: the connections for searches, kept open. */
bool slots_open(struct directory *);
void slots_close(struct directory *);
struct link *slots_choose(struct directory *); /* that may take one more; NULL: none */
bool slots_usable(struct directory *);         /* whether any is there and not in doubt */
void slots_close_drained(struct directory *);  /* what was left has been answered or given up */

/* side.c: opened when they are needed, closed when they are idle. */
bool side_open(struct side *, struct directory *, bool binds, unsigned most);
void side_close(struct side *);
void side_ask(struct side *, struct question *);
void side_work(struct side *);
bool side_connected(struct side *); /* whether it has any connection that is ready */

#endif
