/*
 * What relay's files share.
 *
 *	relay.c    the role: channels in, routes told
 *	route.c    a destination: how many connections, which jobs, its health
 *	target.c   a route's addresses
 *	client.c   one connection: a table of steps; client_mail.c: those of a transaction
 *	parcel.c   a JOB in our hands, and the answers for its recipients
 */
#ifndef RELAY_LOCAL_H
#define RELAY_LOCAL_H

#include "addr.h"
#include "conf.h"
#include "../msg.h"
#include "../role.h"

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>
#include <event2/event_struct.h>
#include <sys/socket.h>

#define RCPTS_MAX 100 /* of a transaction: what every server takes (RFC 5321 4.5.3.1.8) */

struct client;
struct route;

/* The channels. */
extern struct relay {
	struct ipc *queue, *lookup;
} relay;

/* --- parcel.c */
enum parcel_state { PARCEL_OPEN, PARCEL_ACCEPTED, PARCEL_ANSWERED };

struct parcel_rcpt {
	const char *dest, *rcpt, *orcpt;
	unsigned notify;
	bool asked; /* there is a RCPT for it in this transaction */
	enum parcel_state state;
};

/* A JOB.  Exactly one answer goes to queue for each recipient: parcel_free() sees to it. */
struct parcel {
	STAILQ_ENTRY(parcel) entry;
	uint64_t job, id, size;
	bool eightbit;
	unsigned ret;
	const char *sender, *envid, *action;
	size_t n_rcpts, n_accepted;
	struct parcel_rcpt *rcpts;
	struct bytes body;             /* the first piece */
	char source[NETADDR_TEXT_LEN]; /* our address of the connection that has it, or "" */
	bool dsn;                      /* the server that has it knows NOTIFY (RFC 3461) */
	unsigned tries; /* connections that were lost before they answered anything */
};

struct parcel *parcel_new(const struct msg_job *); /* NULL: not one that can be read */
void parcel_accept(struct parcel *, size_t rcpt);
/* Answers for one recipient, once; later calls for it do nothing. */
void parcel_answer(struct parcel *, size_t rcpt, enum outcome, const char *status, const char *text,
    const char *host);
/* Answers for all that have none yet. */
void parcel_answer_rest(
    struct parcel *, enum outcome, const char *status, const char *text, const char *host);
void parcel_free(struct parcel *);

/* --- target.c */
#define TARGET_ADDRS_MAX 16

struct target {
	struct conf_url url;
	struct sockaddr_storage addrs[TARGET_ADDRS_MAX];
	size_t n_addrs, good; /* good: index of the one to try first */
	int64_t resolved_ms;  /* 0: never */
	bool is_fixed;        /* addresses that need no question */
	struct ipc_call *call;
};

/* NULL, or why there can be no connection to it. */
const char *target_init(struct target *, const char *route);
bool target_is_known(const struct target *);
/* Asks lookup; route_on_resolved() is called with NULL, or with what is wrong. */
void target_resolve(struct target *, struct route *);
/* "mx.example.org[192.0.2.1]:25", "127.0.0.1:10028", "/run/lmtp"; buf is returned. */
const char *target_text(const struct target *, size_t addr, char *buf, size_t len);
#define TARGET_TEXT_LEN 384

/* --- client.c */
/* Connects to an address of the route's target (number `tried` of this attempt). */
struct client *client_connect(struct route *, size_t addr, size_t tried);
/* The same with a connected UNIX socket, taken over. */
struct client *client_new(struct route *, int fd);
/* Begins a transaction.  The client must be idle. */
void client_take(struct client *, struct parcel *);
/* QUIT, and gone; for an idle one. */
void client_quit(struct client *);

/* --- route.c: how the others tell it */
void route_waits(const char *name, unsigned waiting);
void route_stop(void);
struct target *route_target(struct route *);
void route_on_resolved(struct route *, const char *error);
void route_on_ready(struct route *, struct client *, size_t addr); /* greeted: idle now */
void route_on_done(struct route *, struct client *);               /* idle again */
void route_on_idle_end(struct route *, struct client *);           /* an idle one is gone */
void route_on_busy_end(struct route *);                            /* one with a parcel is gone */
/* An attempt on this address failed; the route tries the next one. */
void route_on_failed(struct route *, size_t addr, size_t tried, const char *why);
void route_give_back(struct route *, struct parcel *); /* to be tried on a new connection */

#endif
