/*
 * What the files of lookup share.  The flow, from the wire inwards:
 *
 *	lookup.c     the role: channels, who handles which message
 *	verdict.c    ASK_RCPT and EXPAND: the short cache, one answer for both
 *	expand.c     a recipient into deliveries: a work list over rules, aliases, users
 *	keys.c       under which keys a table may know an address or a name
 *	destination.c an alias's value, cut apart
 *	worklist.c   what it has met, and is still to do
 *	userinfo.c   what a table says of a user
 *	expansion.c  its result
 *	match.c      which rule: criteria in order, first match wins
 *	table.c      a question to a table: a list of the configuration, or a helper
 *	cache.c      answers that are kept, and equal questions that share one
 *	broker.c     a helper's life: started, replaced, its circuit
 *	brokertalk.c its questions in flight, deadlines (broker.h: what these two share)
 *	helperlog.c  what a helper says on its standard error
 *	resolve.c    what relay asks: routes, credentials, local sockets
 *	routing.c    where a route leads; mx.c the order of mail exchangers (pure)
 *	ourselves.c  whether a host is this one
 *	dns.c        the DNS, by libunbound; dnssec.c: which answers are believed
 *	tlsafind.c   the TLSA records of a host; routedtlsa.c: those of a route's hosts
 *	source.c     addresses that relay sends from, and their names
 *	auth.c       a client's login; authlimit.c: who has failed lately; hash.c: crypt(3) in threads
 *	sender.c     whether a user may send as an address
 *	tablectl.c   tabmailctl's questions about tables
 *	explain.c    tabmailctl explain: a request, and where it leads
 *	explaintell.c what match.c and expand.c do, told (explain.h: what these two share)
 *	trip.c       the way of mail that a proxy hands back
 *	tablebench.c tabmailctl table NAME bench
 *
 * Nothing blocks: every answer is a callback, which runs exactly once, from the loop, never inside
 * the call that asks, never after a cancel.
 */
#ifndef TABMAIL_LOOKUP_LOCAL_H
#define TABMAIL_LOOKUP_LOCAL_H

#include "../role.h"
#include "addr.h"
#include "conf.h"
#include "hashindex.h"
#include "secret.h"
#include "tab.h"

#include <bsd/sys/queue.h>
#include <stdbool.h>

struct text;

/* --- table.c */

/* value: of FOUND ("" for a check), or the reason of ERROR; valid until the callback returns. */
typedef void table_answer(enum tab_answer, const char *value, void *arg);

/*
 * A question under way.  In exactly one list: waiting or in flight at its broker; when it shares
 * another's answer, in that one's list (shared, in cache.c); when its answer is known, in table.c's.
 */
struct question {
	TAILQ_ENTRY(question) entry;
	struct broker *broker;
	struct shared *shared;
	struct question
	    *inner; /* of a key that has two forms, the one that is asked; then in no list */
	const struct conf_table *table; /* of inner */
	enum tab_op op;
	enum tab_service service;
	char *key;
	table_answer *answer;
	void *arg;
	int64_t asked_us, sent_us, deadline_ms;
	bool in_flight, asked_again;
	uint64_t id; /* generation in the high bits, slot + 1 in the low 16 */
	enum tab_answer known;
	char *known_value;
};
TAILQ_HEAD(question_list, question);

void table_init(void);
void table_free(void); /* of a configuration of lists only: for tests */
struct question *table_ask(const struct conf_table *, enum tab_op, enum tab_service,
    const char *key, table_answer *, void *arg);
void table_cancel(struct question *);

/* An entry of a set, under both forms of its domain where it has two (idna.h). */
struct tab_set;
void table_add(struct tab_set *, const char *key, const char *value);

/* Whether it answers this service at all; ERROR: its helper has not been up yet. */
enum tab_answer table_offers(const struct conf_table *, enum tab_service);

/*
 * Asks several keys at once and answers with the first, by rank, that is found; MISSING when none
 * is.  An ERROR counts where no key of a better rank is found.  At most TABLE_KEYS_MAX keys; they are
 * copied.
 */
#define TABLE_KEYS_MAX 8
struct ranked;
struct ranked *table_ask_ranked(const struct conf_table *, enum tab_service,
    const char *const *keys, size_t n, table_answer *, void *arg);
void table_cancel_ranked(struct ranked *);

struct question *table_question(
    enum tab_op, enum tab_service, const char *key, table_answer *, void *arg);
void table_question_free(struct question *);

/* Gives this answer from the loop.  The question is in no list. */
void table_settle_later(struct question *, enum tab_answer, const char *value);

/* --- cache.c: answers of one helper's table that are kept, and questions that share one */

struct cache_stats {
	uint64_t hits, joined, stale;
};

struct cache *cache_new(const struct conf_table *, struct broker *);
/* Only what cache_takes(); the question is in no list. */
bool cache_takes(enum tab_op, enum tab_service);
void cache_ask(struct cache *, struct question *);
void cache_cancel(struct question *);
void cache_empty(struct cache *);
const struct cache_stats *cache_stats(const struct cache *);
struct cache *table_cache(const struct conf_table *); /* NULL: a list */

/* --- broker.c: one for each table that a helper serves */

struct broker_stats {
	uint64_t asked, found, missing, errors, timeouts, unknown_ids, restarts, turned_away;
	uint64_t latency_us
	    [40]; /* answers that took less than 2^i microseconds, and not less than half */
};

struct broker *broker_new(const struct conf_table *);
struct question *broker_ask(
    struct broker *, enum tab_op, enum tab_service, const char *key, table_answer *, void *arg);
void broker_cancel(struct question *);
enum tab_answer broker_offers(const struct broker *, enum tab_service); /* ERROR: not known yet */
bool broker_is_up(const struct broker *); /* a question would be put to it now */
bool broker_may_offer(const struct broker *, enum tab_service); /* true until it is known */
void broker_restart(struct broker *, const char *why);
void broker_on_exited(struct broker *, uint32_t pid, const char *how);
void broker_on_stderr(struct broker *, int fd); /* takes fd over */

struct broker_view { /* for tabmailctl */
	const struct conf_table *table;
	const char *state;
	uint32_t pid;
	int64_t uptime_sec;
	size_t in_flight, waiting;
	const char *why; /* its last failure, while no good answer came since; else "" */
	const struct broker_stats *stats;
};
void broker_view(const struct broker *, struct broker_view *);
struct broker *table_broker(const struct conf_table *); /* NULL: a list */

/* --- helperlog.c: takes fd over; lines go to the log under the table's name */
struct helperlog;
struct helperlog *helperlog_open(const char *table, int fd);
void helperlog_close(struct helperlog *); /* NULL: nothing */

/* --- match.c: which rule accepts a recipient */

/* Where a recipient comes from; strings are owned by whoever made it, and outlive the question. */
struct facts {
	const char *client, *helo, *tag, *auth; /* tag, auth: "" none */
	struct addr sender;
	bool local;              /* the client is this host */
	struct explain *explain; /* is told what happens; NULL: nobody asks */
};

enum match_result { MATCH_RULE, MATCH_NONE, MATCH_LATER };
typedef void match_answer(
    enum match_result, const struct conf_rule *, const char *reason, void *arg);

/* internal: the address comes from an alias of ours, and so counts as from local. */
struct match *match_start(
    const struct facts *, const struct addr *rcpt, bool internal, match_answer *, void *arg);
void match_cancel(struct match *);
bool match_is_local_domain(const char *domain);

/* --- userinfo.c */
struct userinfo {
	uint32_t uid, gid;
	const char *home; /* inside the value that was parsed */
};
const char *userinfo_parse(const char *value, struct userinfo *); /* NULL, or what is wrong */

/* --- keys.c: under which keys a table may know it, best first; how many */
#define KEYS_MAX 6
size_t keys_of_address(
    const struct addr *, char keys[KEYS_MAX][ADDR_TEXT_LEN], const char *ranked[KEYS_MAX]);
size_t keys_of_name(
    const char *name, char keys[KEYS_MAX][ADDR_TEXT_LEN], const char *ranked[KEYS_MAX]);

/* --- destination.c */
/* The next of an alias's destinations into part, which is cut at len; false at the end. */
bool destination_next(const char **list, char *part, size_t len);

/* --- worklist.c */
enum node_kind { NODE_ADDRESS, NODE_NAME, NODE_USER };

struct node {
	enum node_kind kind;
	struct addr addr;             /* ADDRESS; for the others where they came from */
	char name[LOCAL_MAX + 1];     /* NAME, USER */
	const struct conf_rule *rule; /* NAME, USER: whose alias table, userbase and action */
	int depth;
};

struct worklist {
	struct node *nodes; /* all there ever were; those from `next` on are still to be done */
	size_t n, cap, next;
	struct hashindex seen;
};

enum worklist_result { WORKLIST_ADDED, WORKLIST_MET, WORKLIST_FULL };
enum worklist_result worklist_add(
    struct worklist *, const struct node *); /* a copy; may move all */
void worklist_free(struct worklist *);

/* --- expand.c */

/* One delivery; strings are owned by the expansion. error: it failed for good, "550 5.1.1 …". */
struct item {
	char *dest, *action, *user, *home, *route, *error;
	uint32_t uid, gid;
	int64_t expire_sec;
	const char *warn; /* the rule's bounce-warn, owned by it; NULL: it has none */
};

struct expansion {
	enum verdict verdict;
	char *reply; /* of LATER and NEVER: "550 5.1.1 …"; else "" */
	struct item *items;
	size_t n_items, cap_items;
	struct hashindex seen; /* items by destination and action */
	unsigned refs;
};

/* The result belongs to the callee, which releases it by expansion_release(). */
struct expand;
typedef void expand_answer(struct expansion *, void *arg);
struct expand *expand_start(
    const struct facts *, const struct addr *rcpt, expand_answer *, void *arg);
void expand_cancel(struct expand *); /* not of one that is explained */

/* --- expansion.c */
struct expansion *expansion_new(void); /* with one reference */
void expansion_release(struct expansion *);
/* A delivery of a rule, user without +tag; NULL when the same one is there already. */
struct item *expansion_add(
    struct expansion *, const char *dest, const char *user, const struct conf_rule *);
void expansion_add_failure(struct expansion *, const char *dest, const char *reply);
void expansion_drop_items(struct expansion *);

/* --- verdict.c */
void verdict_forget(void); /* empties the cache: a table was updated */
void verdict_on_ask_rcpt(struct ipc *, struct msg *, void *);
void verdict_on_ask_left(struct ipc *, struct msg *, void *);
void verdict_on_expand(struct ipc *, struct msg *, void *);
void verdict_channel_gone(struct ipc *);

/* A recipient is an address, or "postmaster" alone; a sender may be empty. NULL, or what is wrong. */
const char *verdict_parse_address(struct addr *, const char *text);

/* --- dns.c */
enum dns_result {
	DNS_FOUND,
	DNS_EMPTY, /* the name exists, and has no such record */
	DNS_NONE,  /* no such name */
	DNS_ERROR, /* could not be found out */
};
#define DNS_RECORDS_MAX 64
struct dns_record {
	char name[256];               /* MX, PTR, CNAME: lower case, "" for the root */
	unsigned preference;          /* MX */
	struct sockaddr_storage addr; /* A, AAAA: port 0 */
	const unsigned char *data;    /* as it stands in the packet, len bytes */
	size_t len;
};
struct dns_answer {
	enum dns_result result;
	bool secure;      /* DNSSEC says that it is true */
	bool bogus;       /* DNSSEC says that it is not: of ERROR */
	char detail[256]; /* why it is bogus, for the log */
	const char *why;  /* of all but FOUND */
	char owner[256];  /* whose records these are: where CNAMEs led */
	struct dns_record *records;
	size_t n;
};
/* The answer is valid until the callback returns. */
typedef void dns_callback(const struct dns_answer *, void *arg);
enum dns_way { DNS_PLAIN, DNS_PROVED, DNS_WAYS };
/* anchor: a file, for PROVED; false: no trust anchor stands there. */
bool dns_open(enum dns_way, const char *anchor);
void dns_ask_by(enum dns_way, const char *name, int type, dns_callback *, void *arg);

/* --- dnssec.c */
void dnssec_init(void);
bool dnssec_is_on(void); /* else no answer is secure */
/* type: ns_t_mx and its like.  The callback is never called inside. */
void dns_ask(const char *name, int type, dns_callback *, void *arg);

/* --- tlsafind.c */
#define TLSA_SET_LEN_MAX (32 * 1024) /* bytes of a set as messages carry it */
struct tlsa_answer {
	const char *why;  /* they could not be found out: the host is not to be used.  NULL: else */
	const char *base; /* the name that they are for: of a certificate, and to ask a server by */
	struct bytes set; /* tlsa_pack(); len 0: there are none that DNSSEC vouches for */
};
typedef void tlsa_callback(const struct tlsa_answer *, void *arg);
/*
 * owner: where the CNAMEs of the host's addresses led; secure: DNSSEC vouches for all of them.  The
 * callback is never called inside; the answer is valid until it returns.
 */
void tlsa_find(
    const char *host, const char *owner, bool secure, unsigned port, tlsa_callback *, void *arg);

/* --- routing.c */
#define ROUTED_HOSTS_MAX 32
#define ROUTED_ADDRS_MAX 16
struct routed_host {
	struct conf_url url;
	unsigned preference; /* the lowest first; hosts stand in the order to try them */
	struct sockaddr_storage addrs[ROUTED_ADDRS_MAX];
	size_t n_addrs;
	char owner[256]; /* whose addresses they are, behind CNAMEs; "": the DNS was not asked */
	bool secure;     /* DNSSEC says that these are its addresses */
	bool failed;     /* some of them could not be found out */
	/* TLSA records that DNSSEC vouches for (tlsa_pack()); len 0: there are none */
	struct bytes tlsa;
	char *tlsa_base;  /* the name that they are for */
	char *tlsa_names; /* others that a certificate may be for, blanks between them; allocated */
	char *tlsa_error; /* they could not be found out */
};
struct routed {
	struct routed_host *hosts; /* each with an address or a path */
	size_t n;
	bool has_mx;        /* the hosts come from MX records */
	bool secure;        /* and DNSSEC says that they are true */
	char mx_owner[256]; /* whose MX they are, behind CNAMEs */
	const char *status; /* n is 0: "5.4.6" */
	char *error;
	bool permanent;
};
/* The result is valid until the callback returns.  It is never called inside routing_start(). */
typedef void routing_answer(const struct routed *, void *arg);
void routing_start(const char *route, routing_answer *, void *arg);

/* --- routedtlsa.c: by what each host will be known */
/*
 * Asks for the TLSA records of all hosts; those whose could not be found out are dropped, and error, which
 * is valid until the callback returns, says why.  False: there is nothing to ask.  domain: whose MX
 * they are.
 */
bool routed_tlsa_ask(
    struct routed *, const char *domain, void (*)(const char *error, void *arg), void *arg);
void routed_tlsa_free(struct routed *);

/* --- ourselves.c; also: one name more that is ours, or NULL */
bool ourselves_is_name(const char *host, const char *also);
bool ourselves_is_address(const struct sockaddr_storage *);
/* --- auth.c, sender.c */
void auth_on_ask(struct ipc *, struct msg *, void *);
/* A session that left: its password is not looked at any more. */
void auth_on_left(struct ipc *, uint32_t call);
void auth_channel_gone(struct ipc *);
void sender_on_ask(struct ipc *, struct msg *, void *);
void sender_channel_gone(struct ipc *);

/* --- authlimit.c: pure */
struct authlimit;
struct authlimit_who {
	const char *address, *user;
	bool exempt; /* the address is trusted: only the user counts */
};
enum authlimit_answer {
	AUTHLIMIT_KNOWN,   /* this user has logged in from there lately */
	AUTHLIMIT_FREE,    /* nothing is known */
	AUTHLIMIT_SUSPECT, /* has failed lately */
	AUTHLIMIT_ADDRESS, /* not to be asked for: too many failures of the address, or */
	AUTHLIMIT_USER,    /* of the user, from whom this address has not logged in lately, or */
	AUTHLIMIT_BUSY, /* too many attempts under way: were they all to fail, the limit is there */
};
struct authlimit *authlimit_new(unsigned limit); /* failures of one address */
void authlimit_free(struct authlimit *);
/* KNOWN, FREE, SUSPECT: an attempt is under way until authlimit_left() with this answer. */
enum authlimit_answer authlimit_ask(
    struct authlimit *, const struct authlimit_who *, int64_t now_ms);
void authlimit_left(
    struct authlimit *, const struct authlimit_who *, enum authlimit_answer rank, int64_t now_ms);
/* Counts; how long the answer is to wait, in milliseconds. */
int64_t authlimit_failed(struct authlimit *, const struct authlimit_who *, int64_t now_ms);
void authlimit_succeeded(struct authlimit *, const struct authlimit_who *, int64_t now_ms);

/* --- hash.c */
/* FOUND: it is the password; ERROR: the hash is none that crypt(3) knows. */
typedef void hash_answer(enum tab_answer, void *arg);
struct hash_job;
/*
 * hash NULL: there is no such user, which takes as long.  rank: KNOWN before FREE before SUSPECT.
 * NULL: too much of its rank waits already.
 */
struct hash_job *hash_check(
    struct secret, const char *hash, enum authlimit_answer rank, hash_answer *, void *arg);
/* One that still waits is gone, and never answers; false: a thread has it, its answer comes. */
bool hash_drop(struct hash_job *);

/* --- resolve.c */
void resolve_on_route_find(struct ipc *, struct msg *, void *);
void resolve_on_ask_secret(struct ipc *, struct msg *, void *);
void resolve_on_connect_unix(struct ipc *, struct msg *, void *);
void resolve_channel_gone(struct ipc *);

/* --- source.c */
void source_on_ask(struct ipc *, struct msg *, void *);
void source_on_ask_name(struct ipc *, struct msg *, void *);
void source_channel_gone(struct ipc *);

/* --- tablectl.c */
void tablectl_on_ask(struct ipc *, struct msg *, void *);
void tablectl_channel_gone(struct ipc *);

/* --- explain.c: all but the first two are told something; the asking ones may be given NULL */
void explain_on_ask(struct ipc *, uint32_t ask, const struct msg_ctl_ask *);
void explain_free(struct explain *);
void explain_rule(struct explain *, const struct conf_rule *);
void explain_criterion(
    struct explain *, const char *criterion, const char *answer, const char *reason);
/* what: "address", "alias", "user", "failed", "later", …; may be given NULL. */
void explain_step(struct explain *, const char *what, const char *name, int depth, const char *fmt,
    ...) __attribute__((format(printf, 5, 6)));
/* As table_ask() and table_ask_ranked(); what is explained is not cancelled (of ranked: NULL). */
struct question *explain_ask(struct explain *, const struct conf_table *, enum tab_op,
    enum tab_service, const char *key, table_answer *, void *arg);
struct ranked *explain_ask_ranked(struct explain *, const struct conf_table *, enum tab_service,
    const char *const *keys, size_t n, table_answer *, void *arg);

/* --- trip.c: a listener that mail may come back by, and what becomes of it there; NULL: the end */
typedef void trip_answer(const struct conf_listener *, const struct expansion *, void *arg);
/* false: the delivery leads to no proxy, and nothing is answered. */
bool trip_start(const struct facts *, const struct item *, trip_answer *, void *arg);

/* --- tablebench.c */
void tablebench_on_ask(
    struct ipc *, uint32_t ask, const struct conf_table *, const struct msg_ctl_ask *);

#endif
