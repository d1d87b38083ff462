/*
 * The line protocol between a daemon and its helpers: smtpd-tables(7), version 0.1.
 *
 * This is the codec, used by both sides: no I/O, no allocation.  tab_helper.h is the runtime for
 * helpers, tab_set.h the matching rules of the services.  Knows nothing of the daemon.
 */
#ifndef TABMAIL_TAB_H
#define TABMAIL_TAB_H

#include <stdbool.h>
#include <stddef.h>

#define TAB_VERSION  "0.1"
#define TAB_LINE_MAX (64 * 1024) /* bytes of a line with its LF, either way */
#define TAB_ID_MAX   32          /* bytes of an id that we make or echo, with NUL */
#define TAB_KEY_MAX  4096        /* bytes of a key that is put into a question */

/* The whole environment of a helper, from the daemon and from tabmail-helper-test. */
#define TAB_ENV "PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "LANG=C.UTF-8"

/* clang-format off */
#define TAB_SERVICES(S)                                                                     \
	S(ALIAS, "alias") S(DOMAIN, "domain") S(AUTH, "auth") S(CREDENTIALS, "credentials") \
	S(NETADDR, "netaddr") S(USERINFO, "userinfo") S(SOURCE, "source")                   \
	S(MAILADDR, "mailaddr") S(MAILADDRMAP, "mailaddrmap") S(ADDRNAME, "addrname")       \
	S(RELAYHOST, "relayhost") S(STRING, "string") S(REGEX, "regex")                     \
	S(SOURCE_FOR, "source-for") /* ours: see tab_service_is_ours() */
/* clang-format on */

#define S(NAME, text) TAB_##NAME,
enum tab_service { TAB_SERVICES(S) TAB_SERVICE_MAX };
#undef S

enum tab_op { TAB_UPDATE, TAB_CHECK, TAB_LOOKUP, TAB_FETCH };

/* The three-valued answer.  ERROR never becomes MISSING. */
enum tab_answer { TAB_FOUND, TAB_MISSING, TAB_ERROR };

const char *tab_service_name(enum tab_service);
enum tab_service tab_service_find(const char *name); /* TAB_SERVICE_MAX: none */
const char *tab_op_name(enum tab_op);

/*
 * A service that only tabmail asks for.  OpenSMTPD ends when a helper registers one that it does not know,
 * so such a service is registered only where the daemon has said config|tabmail|1.
 */
bool tab_service_is_ours(enum tab_service);
#define TAB_OURS         "tabmail" /* the key of that line; the value TAB_OURS_VERSION */
#define TAB_OURS_VERSION "1"

/*
 * A line from the daemon to a helper.  Strings point into the line, which is cut up in place;
 * before tab_format_question() the caller sets them.
 */
struct tab_question {
	/* OTHER: an operation that we do not know: to be ignored */
	enum { TAB_LINE_CONFIG, TAB_LINE_CONFIG_END, TAB_LINE_QUESTION, TAB_LINE_OTHER } kind;
	const char *config_key, *config_value; /* TAB_LINE_CONFIG */
	enum tab_op op;
	enum tab_service
	    service; /* TAB_SERVICE_MAX: one that we do not know; service_name holds it */
	const char *service_name;
	const char *table, *id;
	const char *key; /* "" for update and fetch */
};

/* A line from a helper to the daemon. */
struct tab_reply {
	enum { TAB_LINE_REGISTER, TAB_LINE_REGISTER_END, TAB_LINE_REPLY } kind;
	const char *registered; /* TAB_LINE_REGISTER: the service's name */
	enum tab_op op;
	const char *id;
	enum tab_answer answer; /* an update's "ok" is TAB_FOUND */
	const char *value;      /* FOUND: the value, "" for check and update; ERROR: reason or "" */
};

/*
 * Parse a line of len bytes without its LF.  A CR is no part of the protocol, not even before the
 * LF: such a line is refused.  line[len] must be writable.  A `lookup-result` that answers a fetch
 * has op TAB_LOOKUP.  NULL, or what is wrong, a static text.
 */
const char *tab_parse_question(struct tab_question *, char *line, size_t len);
const char *tab_parse_reply(struct tab_reply *, char *line, size_t len);

/*
 * Write a line with its LF into buf of size len; its length, or 0 when it does not fit or when a
 * field holds what it may not: LF, CR, NUL; '|' but in the last; an empty found value.
 */
size_t tab_format_question(const struct tab_question *, char *buf, size_t len);
size_t tab_format_reply(const struct tab_reply *, char *buf, size_t len);

/* Whether a key may be put into a question at all: no LF, no CR, at most TAB_KEY_MAX.  May be "". */
bool tab_key_ok(const char *key);

/* Whether two hashes are the same, in a time that does not tell where they differ. */
bool tab_same_secret(const char *, const char *);

#endif
