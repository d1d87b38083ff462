/*
 * The configuration: grammar (parse.y, lex.c), model (this), checks (check.c), text of actions.
 *
 * parent reads the file and its includes into one text (conf_read), parses it, reports all errors,
 * and hands the text to every process, which parses the same bytes again: nothing is serialised.
 * The model is built once and never changes.
 */
#ifndef TABMAIL_CONF_H
#define TABMAIL_CONF_H

#include <sys/types.h>

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text;

/* One entry of a table that stands in the configuration itself; value NULL in a list. */
struct conf_entry {
	STAILQ_ENTRY(conf_entry) entry;
	char *key, *value;
};

/*
 * A table.  Exactly one of: type and arg (TYPE:ARG), command, or entries.  Lists written in a rule
 * ("{ a, b }", a single domain) are tables too, named "<rule N …>", so every criterion is a table.
 */
struct conf_table {
	STAILQ_ENTRY(conf_table) entry;
	unsigned index; /* from 0, in the order of the file: the number in messages */
	char *name;
	char *type, *arg;
	char *command;
	bool is_static;
	STAILQ_HEAD(conf_entries, conf_entry) entries;
	unsigned max_pending; /* default 512 */
	int64_t timeout_ms;   /* default 30000 */
	int64_t cache_ms;     /* found answers are kept as long; 0: not at all */
	int64_t negative_ms;  /* not-found ones */
	int64_t stale_ms;     /* while the helper fails, the last found one may serve as long */
	char *user;           /* NULL: _tabmail */
	unsigned line;
};

/* Files for TLS: a certificate (its chain behind it) with its key, those who are trusted, or both. */
struct conf_pki {
	STAILQ_ENTRY(conf_pki) entry;
	unsigned index; /* from 0: the number in messages */
	char *name, *certificate, *key, *ca;
	unsigned line;
};
#define CONF_PKI_MAX 64 /* of a listener */

enum conf_tls { TLS_NONE, TLS_OFFERED, TLS_REQUIRED, TLS_SMTPS };
enum conf_auth { AUTH_NONE, AUTH_OPTIONAL, AUTH_REQUIRED };

struct conf_listener {
	STAILQ_ENTRY(conf_listener) entry;
	unsigned index; /* from 0: the number in messages */
	char *where;    /* interface, group of interfaces, address, name of a host in /etc/hosts */
	bool socket;    /* "listen on socket": the local submission socket */
	int family;     /* AF_UNSPEC, AF_INET, AF_INET6 */
	unsigned port;  /* 25, or 465 with smtps */
	enum conf_tls tls;
	bool tls_verify;
	/* The first one is shown to who asks for no name (SNI); none: the host's own, found by parent. */
	struct conf_pki *pki[CONF_PKI_MAX];
	unsigned n_pki;
	char *ciphers, *protocols; /* as libtls takes them; NULL: its secure defaults */
	enum conf_auth auth;
	struct conf_table *auth_table; /* NULL: system users */
	char *tag;                     /* NULL: none */
	char *hostname;                /* NULL: the configuration's */
	struct conf_table *hostnames, *senders;
	/* lists of the configuration, of addresses and networks; NULL: nobody.  proxy: who connects is a
	 * proxy, and says for whom before the first word; xclient: who may say so by XCLIENT */
	struct conf_table *proxy, *xclient;
	bool masquerade, mask_source, received_auth, no_dsn;
	bool reentry; /* takes only what this host has sent to a proxy */
	char *file;   /* where its statement stands; NULL: it has none */
	unsigned line;
};

enum action_kind {
	ACTION_NONE, /* reject */
	ACTION_MAILDIR,
	ACTION_MBOX,
	ACTION_MDA,
	ACTION_LMTP,
	ACTION_RELAY,
	ACTION_FORWARD_ONLY,
};

/* What an accepted recipient's mail is done with. conf_action_text() is its canonical text. */
struct conf_action {
	enum action_kind kind;
	/* maildir: path with %{...}, or NULL for ~/Maildir; mbox: the same, or NULL for /var/mail;
	 * mda: command; lmtp: HOST:PORT or socket path; relay: URLs of "via" with "," between them, or
	 * NULL for MX */
	char *arg;
	char *as_user; /* mda, lmtp: "as USER", or NULL; of lmtp refused */
	bool rcpt_to;  /* lmtp: RCPT TO is the recipient as it was before expansion */
	/* relay: our addresses; their names; credentials; where a domain's mail goes */
	struct conf_table *source, *hostnames, *auth, *relayhost;
	char *hostname; /* what we are called, where hostnames do not say */
	char *as;       /* USER, @DOMAIN or USER@DOMAIN, in the place of that of the sender */
	char *pki;
	char *backup; /* the MX that we are; "": the one of our name; NULL: not given */
	bool tls, verify;
};

enum conf_from { FROM_LOCAL, FROM_ANY, FROM_SOURCE };
enum conf_for { FOR_LOCAL, FOR_ANY, FOR_DOMAIN };

/* A criterion that asks a table; table NULL: not given. */
struct conf_criterion {
	struct conf_table *table;
	bool negated;
};

struct conf_rule {
	STAILQ_ENTRY(conf_rule) entry;
	unsigned index, line; /* from 1, for people; line in the file */
	bool reject;
	char *tag; /* "tagged [!] T", or NULL */
	bool tag_negated, authenticated;
	enum conf_from from;
	struct conf_criterion source; /* from source */
	struct conf_criterion sender;
	enum conf_for to;
	struct conf_criterion domain; /* for domain */
	struct conf_table *alias, *virtual;
	struct conf_criterion recipient;
	struct conf_table *userbase;
	struct conf_action action;
	int64_t expire_sec; /* 0: the configuration's */
	char *bounce_warn;  /* its own times, in seconds: "14400,86400", or "none"; NULL: the
			     * configuration's */
	char *text;         /* the rule as canonical text, for people */
};

/* "limit relay": what other servers are spared. */
struct conf_relay_limit {
	STAILQ_ENTRY(conf_relay_limit) entry;
	struct conf_table *domains;     /* a list of the configuration; NULL: all */
	unsigned connections, messages; /* messages: of one connection; 0: not given */
	unsigned rate;                  /* messages in rate_ms; 0: not given */
	int64_t rate_ms;
	int family; /* AF_UNSPEC: not given */
	unsigned line;
};

/* Whether DNSSEC is validated, and other servers known by their TLSA records (RFC 7672). */
enum conf_dane {
	DANE_AUTO, /* where there is a trust anchor, and as long as the resolver passes signatures on */
	DANE_YES, /* a resolver that does not is no reason to do without */
	DANE_NO,
};

#define CONF_WARN_MAX  16
#define CONF_RETRY_MAX 32

struct conf {
	char *hostname, *spool, *socket, *helpers;
	char *resolver; /* "ADDRESS@PORT", "none", or NULL for the system's */
	enum conf_dane dane;
	char *trust_anchor; /* a file, or NULL: conf_trust_anchor() */
	char **no_dnssec;   /* domains that are not validated, with all below */
	size_t n_no_dnssec;
	uid_t first_uid; /* no delivery below: default 1000 */
	STAILQ_HEAD(conf_tables, conf_table) tables;
	STAILQ_HEAD(conf_pkis, conf_pki) pkis;
	STAILQ_HEAD(conf_listeners, conf_listener) listeners;
	STAILQ_HEAD(conf_rules, conf_rule) rules;
	STAILQ_HEAD(conf_relay_limits, conf_relay_limit) relay_limits;
	unsigned n_tables, n_listeners, n_rules, n_pkis;
	/* TYPE getpwnam, made for rules that deliver to a local user and name no userbase; NULL when
	 * there is no such rule */
	struct conf_table *system_users;
	/* TYPE pam, made for listeners with "auth" and no table; NULL when there is none */
	struct conf_table *system_auth;
	/* rising; default { 4h }; "none": n_bounce_warn 0 */
	int64_t bounce_warn_sec[CONF_WARN_MAX];
	size_t n_bounce_warn;
	bool bounce_cleared; /* after a warning the delivery is told, too; default no */
	char *double_bounce; /* who is sent bounces that cannot be delivered; NULL: nobody */
	int64_t retry_sec[CONF_RETRY_MAX]; /* waits between tries; the last goes on; n >= 1 */
	size_t n_retry;
	int64_t expire_sec;      /* default 4d */
	int64_t max_message_len; /* bytes, default 35 MiB, at most 256 MiB */
	unsigned max_hops;       /* Received lines, default 100 */
	int64_t
	    spool_free; /* bytes that stay free on the spool's file system; -1: queue's default */
	unsigned smtp_processes; /* default 1 */
	struct {
		unsigned sessions;          /* of one smtp process, default 10000 */
		unsigned recipients;        /* of one message, default 1000 */
		unsigned relay_connections; /* to one route, default 20 */
		unsigned deliveries;        /* of one user at once, default 64 */
		unsigned route_deliveries;  /* recipients of one route at once, default 5000 */
		unsigned all_deliveries;    /* of all users and routes at once, default 5000 */
		struct conf_smtp_limits {
			unsigned sessions_per_address; /* 0 in these five: no limit */
			unsigned sessions_per_network; /* 24 bits of IPv4, 48 of IPv6 */
			unsigned rate;                 /* connections a second, in all */
			unsigned rate_per_address;
			unsigned data_rate;      /* bytes a second that a message must come with */
			unsigned messages;       /* of one session, accepted */
			unsigned recipients;     /* of one session */
			unsigned errors;         /* refused commands in a row */
			unsigned auth_failures;  /* of one address; one is forgotten a minute */
			unsigned timeout_sec;    /* for a command, or a KiB of data */
			unsigned greet_delay_ms; /* 0: no look out for early talkers */
			int64_t memory;          /* bytes of one process */
		} smtp;
	} limit;
};

/*
 * The limits for mail to a domain: of each the first statement that names the domain, else the first
 * one for all, else the defaults (relay-connections, 100 messages, no rate, both families).
 */
void conf_relay_limit(const struct conf *, const char *domain, struct conf_relay_limit *);

/* The socket for local submission stands beside the control socket: DIR/submit.sock; caller frees. */
char *conf_submit_socket(const struct conf *);

/*
 * Reads a file with its includes into one text; macros ("name=value", NULL at the end, may be NULL)
 * are put in front.  The text is allocated; NULL: *error says why (caller frees).
 */
char *conf_read(const char *file, const char *const *macros, size_t *len, char **error);

/* The file of DNSSEC's trust anchor: as it is set, or a usual one that is there.  NULL: none. */
const char *conf_trust_anchor(const struct conf *);

/*
 * Parses a text made by conf_read().  NULL when there were errors: all of them are put into
 * *errors, a line each: "FILE:LINE:COLUMN: message".  errors may be NULL.
 */
struct conf *conf_parse(const char *text, size_t len, const char *file, struct text *errors);
const char *conf_warning(const struct conf *); /* what is no error and hardly meant; or NULL */
void conf_free(struct conf *);

struct conf_table *conf_table(const struct conf *, unsigned index);     /* NULL: none */
struct conf_table *conf_table_named(const struct conf *, const char *); /* NULL: none */
struct conf_listener *conf_listener(const struct conf *, unsigned index);
struct conf_pki *conf_pki(const struct conf *, unsigned index);        /* NULL: none */
bool conf_pki_is_relays(const struct conf *, const struct conf_pki *); /* a rule names it */

/* "deliver to maildir \"~/Maildir\"", "relay via \"smtp://127.0.0.1:10028\""; allocated. */
char *conf_action_text(const struct conf_action *);

/* The action of a rule whose canonical text this is; NULL: the configuration has it no longer. */
const struct conf_action *conf_action_find(const struct conf *, const char *text);

/* A relay URL or LMTP destination, taken apart. */
enum url_scheme { URL_SMTP, URL_SMTP_NOTLS, URL_SMTP_TLS, URL_SMTPS, URL_LMTP };
struct conf_url {
	enum url_scheme scheme;
	bool auth;
	char label[256];
	char host[256]; /* a name or address; empty with path */
	char path[108]; /* lmtp: a UNIX socket */
	unsigned port;
};
const char *conf_url_parse(struct conf_url *, const char *text); /* NULL, or what is wrong */

/* The first URL of a list with "," between them; *list goes on behind it, NULL at the end. */
const char *conf_url_next(struct conf_url *, const char **list);

/* "smtp://[2001:db8::1]:25": the one way to write it.  Allocated. */
char *conf_url_text(const struct conf_url *);

/*
 * The route of an action for a recipient in a domain, under which queue groups mail: where it goes,
 * and, behind a blank, the action's options that tell its connections from others':
 *
 *	mx:example.org
 *	relayhost:example.org relayhost <routes>
 *	smtp://127.0.0.1:10028
 *	smtp+tls://me@a.example:25,smtp+tls://me@b.example:25 auth <secrets>
 *	lmtp:/run/dovecot/lmtp
 *
 * Allocated; NULL for local actions.
 */
char *conf_action_route(const struct conf_action *, const char *domain);

/*
 * Whether it relays to servers on loopback only, as to a proxy that hands mail back on a listener with a
 * tag.
 */
bool conf_action_is_proxy(const struct conf_action *);

/* A route, taken apart. */
enum route_kind { ROUTE_MX, ROUTE_RELAYHOST, ROUTE_URLS };
struct conf_route {
	enum route_kind kind;
	char *where; /* the domain; or URLs with "," between them.  Owned: conf_route_free() */
	/* That of a rule with these options, of which only they count; NULL: the configuration has none
	 * any longer. */
	const struct conf_action *action;
};
void conf_route_parse(struct conf_route *, const struct conf *, const char *route);
void conf_route_free(struct conf_route *);

#endif
