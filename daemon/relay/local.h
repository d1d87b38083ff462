/*
 * What relay's files share.
 *
 *	relay.c    the role: channels in, routes told
 *	route.c    a destination: how many connections, which jobs; route_hops.c asks where it leads,
 *	           and answers its mail while it leads nowhere; routes.c: all of them
 *	hops.c     its hosts and their addresses; which one is next
 *	dane.c     its hosts' TLSA records, and whether a server's certificates are those
 *	pace.c     a rate (pure)
 *	host.c     a server by its address, whatever route leads there: its health
 *	attempt.c  from a route to a connection that is greeted, over its hops
 *	source.c   our own addresses: which one is next, which are set aside; choice.c decides (pure)
 *	client.c   one connection: a table of steps; client_hello.c, client_tls.c, client_auth.c: the
 *	           beginning; client_mail.c, client_lines.c, client_data.c: a transaction; client_pool.c: all
 *	trust.c    certificates: whose are shown, whose are trusted
 *	show.c     what tabmailctl shows of all this
 *	parcel.c   a JOB in our hands, and the answers for its recipients
 */
#ifndef RELAY_LOCAL_H
#define RELAY_LOCAL_H

#include "addr.h"
#include "conf.h"
#include "choice.h"
#include "hops.h"
#include "../msg.h"
#include "../role.h"

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>
#include <event2/event_struct.h>
#include <sys/socket.h>

#define RCPTS_MAX 100 /* of a transaction: what every server takes (RFC 5321 4.5.3.1.8) */

struct attempt;
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
	bool again; /* which was one too many: in the next */
	enum parcel_state state;
};

/* A JOB.  Exactly one answer goes to queue for each recipient: parcel_free() sees to it. */
struct parcel {
	STAILQ_ENTRY(parcel) entry;
	uint64_t job, id, size; /* size: with what goes before the body */
	bool eightbit;
	bool utf8_head; /* a header of it is for servers with SMTPUTF8 (RFC 6531) only */
	bool utf8;      /* it goes with SMTPUTF8 on the connection that has it */
	unsigned ret;
	const char *sender, *envid, *action, *before; /* before: fields in front of the body */
	const char *auth;                             /* who handed it in, or "" */
	size_t n_rcpts, n_accepted;
	struct parcel_rcpt *rcpts;
	struct bytes body;             /* the first piece */
	char source[NETADDR_TEXT_LEN]; /* our address of the connection that has it, or "" */
	char tls[96];                  /* its protocol, cipher, verified or not; "" without */
	bool dsn;                      /* the server that has it knows NOTIFY (RFC 3461) */
	unsigned tries;  /* connections that were lost before they answered anything */
	unsigned moves;  /* our addresses that the server had something against, so far */
	int64_t down_ms; /* its route is set aside for so long, and this is why it is answered */
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
bool parcel_has_more(const struct parcel *); /* for another transaction */
/* For another connection, as if there had been none; false: some recipient has its answer. */
bool parcel_reopen(struct parcel *);
/* What one of our addresses is chosen by: "SENDER DOMAIN USER"; allocated. */
char *parcel_mail(const struct parcel *);

/* --- host.c: another server, by address and port */
struct host {
	RB_ENTRY(host) entry;
	char *name; /* "192.0.2.1:25", "[2001:db8::1]:25", a socket's path */
	unsigned refs, n_open, n_idle, window;
	int64_t down_ms, backoff_ms; /* monotonic: set aside until then */
	char *reason;                /* of that, or NULL */
	const char
	    *dane; /* what came of its TLSA records the last time: "verified", …; NULL: none */
	uint64_t n_taken, n_later, n_failed;
	TAILQ_HEAD(, client) idle; /* the oldest first */
};
struct host *host_get(const char *name); /* a reference more */
void host_release(struct host *);
bool host_is_down(const struct host *);
bool host_has_room(const struct host *, unsigned limit);     /* idle ones can make it */
void host_failed(struct host *, const char *why, bool slow); /* slow: it did not answer in time */
void host_retry(struct host *); /* it is not set aside any more, until it fails again */
void host_greeted(struct host *);
void host_took(struct host *, unsigned limit); /* a message */
void host_pushed_back(
    struct host *, const char *reply); /* a 4xx that is about us, not a recipient */
void host_each(void (*tell)(const struct host *, void *), void *arg);

/* --- source.c: our own addresses, where an action names them */
#define SOURCE_TRIES_MAX 8 /* addresses that an attempt tries at one hop */

struct source_try {
	char text[NETADDR_TEXT_LEN], why[300];
	enum choice_fault fault;
};

/* An attempt's wish for one of them. */
struct seek {
	TAILQ_ENTRY(seek) entry;
	const struct conf_table *table;
	const char *route; /* its name */
	char *mail; /* that it is for, as parcel_mail(); NULL: any.  Owned, as is the next line */
	char *sender, *domain, *user;
	int family;
	void (*on_answer)(struct seek *);
	struct source_try tried[SOURCE_TRIES_MAX];
	size_t n_tried;
	unsigned n_asked;          /* set this and n_tried to 0 for another hop */
	struct choice_turn choice; /* of SOURCE_READY */
	char why[1000];            /* of SOURCE_NONE */
	/* source.c's own */
	bool failed;
	struct ipc_call *call;
	struct choice_turn *own;
	size_t n_own;
};

enum source_answer {
	SOURCE_READY,
	SOURCE_NONE,
	SOURCE_WAITS,      /* on_answer() comes, from the loop; then it is to be asked again */
	SOURCE_WANTS_MAIL, /* the table chooses for each mail, and there is none in the seek */
};
enum source_answer source_pick(struct seek *);
/* What was picked did not get through; whether it is to blame is not known yet. */
void source_tried(struct seek *, enum choice_fault, const char *why);
void source_end(struct seek *); /* frees what it owns */
void source_blame(const char *source, const char *route, enum choice_fault, const char *why);
/* The host greeted it, which disproves all but CHOICE_POLICY. */
void source_worked(const char *source, const char *route);
void source_took(const char *source, const char *route); /* the host took mail from it */
/* Whether another address of the same family could be used in its place. */
bool source_has_other(const struct conf_table *, const char *route, const char *source);

struct source_view { /* for tabmailctl; route "": altogether */
	const char *source, *route, *reason;
	int64_t aside_ms;
	uint64_t n_used, n_blamed;
};
void source_each(void (*tell)(const struct source_view *, void *), void *arg);

/* --- attempt.c: a connection in the making, over as many hops as it takes */
enum attempt_fault {   /* the more it says, the higher */
	FAULT_FAMILY,  /* no address here from which this one could be reached */
	FAULT_SOURCE,  /* our address could not be bound */
	FAULT_REFUSED, /* no connection */
	FAULT_SLOW,    /* no answer in time */
	FAULT_OURS,    /* nothing that the host could help */
	FAULT_AUTH,    /* nor its other addresses: credentials, which are not shown round */
	FAULT_REPLY,   /* it answers, and will not have us */
	FAULT_TLS, /* TLS failed, where it may be done without: the same hop again in plain text */
};
#define TARGET_TEXT_LEN 384

/* Started; or not, and *why says so.  The parcel is what it is for, or NULL: for any of the route. */
bool attempt_start(
    struct route *, struct hops *, unsigned limit, const struct parcel *, enum hops_none *why);
void attempt_on_ready(struct attempt *, struct client *);
void attempt_on_failed(struct attempt *, enum attempt_fault, const char *status, const char *why);

/* --- client.c */
/* Connects to a hop, of which the host has counted one connection more already.  from: NULL, or what
 * was picked and for which mail; plain: TLS that may be done without has failed there just now. */
struct client *client_connect(struct attempt *, struct route *, struct hops *, size_t hop,
    const struct seek *from, bool plain);
/* The same with a connected UNIX socket, taken over. */
struct client *client_new(struct attempt *, struct route *, struct hops *, size_t hop, int fd);
/* Begins a transaction.  The client must be idle. */
void client_take(struct client *, struct parcel *);
/* QUIT, and gone; for an idle one. */
void client_quit(struct client *);
struct host *client_host(const struct client *);
/* --- client_pool.c */
/* Whether its address is good for this mail, when the route chooses by mail. */
bool client_fits(const struct client *, const struct parcel *);
/* One of the idle connections of this host, the oldest, is closed; false: there is none. */
bool client_make_room(struct host *);
/*
 * An idle connection of another route with the same options to the same server, which is this route's from
 * now on: domains that have a mail host in common share its connections.  NULL: there is none.
 */
struct client *client_adopt(struct route *, const struct hops *);
/* Whether its server must show other certificates by now than when it was connected to. */
bool client_is_outdated(const struct client *, const struct hops *now);
/* There is one for one more connection; an idle one is closed for it when that helps. */
bool client_has_descriptor(void);
void client_init(void);

/* --- trust.c: what connections over TLS show and demand */
/*
 * For an action's options (NULL: none); the caller holds it.  any: any certificate will do, the caller
 * looks at it.  NULL: it could not be made.
 */
struct tlsctx *trust_context(const struct conf_action *, bool any);
void trust_on_pki(struct ipc *, struct msg *, void *);
void trust_on_end(struct ipc *, struct msg *, void *);

/* --- show.c: what tabmailctl shows of us */
void show_on_ask(struct ipc *, struct msg *, void *);

/* --- route.c: how the others tell it */
struct route_view { /* for tabmailctl */
	const char *name, *reason;
	size_t n_connecting, n_busy, n_idle, n_parcels;
	int64_t down_ms;
};
void route_each(void (*tell)(const struct route_view *, void *), void *arg);

void route_waits(const char *name, unsigned waiting);
void route_retry(const char *name); /* it and its hosts are not set aside any more */
void route_stop(void);
const char *route_name(const struct route *);
/* Its options; NULL: no rule of the configuration has them any longer, and nothing is sent. */
const struct conf_action *route_action(const struct route *);
const struct conf_relay_limit *route_limit(const struct route *);
void route_on_host(struct ipc *, struct msg *, void *); /* a part of lookup's answer */
void route_wants_mail(struct route *); /* a connection is for one mail: it comes first */
void route_on_ready(struct route *, struct client *); /* greeted: idle now */
void route_on_done(struct route *, struct client *);  /* idle again */
/* Nothing waits for it now: its idle connections may serve other routes, and are not taken back and forth. */
bool route_is_done(const struct route *);
void route_on_idle_end(struct route *, struct client *); /* an idle one is gone */
/* It is gone before its first mail: a server that greets and hangs up is not called for ever. */
void route_on_unused_end(struct route *, struct client *, const char *status, const char *why);
void route_on_busy_end(struct route *); /* one with a parcel is gone */
/* An attempt came to nothing: a host that may work has no room now; or no hop works. */
void route_on_busy(struct route *);
void route_on_exhausted(
    struct route *, const char *mail, const char *status, const char *why); /* mail: or NULL */
void route_give_back(struct route *, struct parcel *); /* its connection was lost: once more */
void route_take_back(struct route *, struct parcel *); /* to be tried on another connection */

#endif
