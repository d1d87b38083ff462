/*
 * The directory as the rest of table-ldap sees it: searches and binds, answered by callback from the
 * loop of tab_helper_base().  Connections, reconnecting, the choice of a server, TLS and deadlines are
 * its own.
 *
 * An answer is OK only where the server said success.  Whatever else it says, an outage, a deadline: all
 * of it is ERROR, so that no outage is read as "there is no such entry".
 */
#ifndef TABLE_LDAP_DIRECTORY_H
#define TABLE_LDAP_DIRECTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct berval;
struct event_base;
struct directory;

/* How to reach it.  Strings may be NULL where nothing is set; 0 of a number is its default. */
struct directory_settings {
	const char *const *urls; /* ldap, ldaps, ldapi; in order of preference */
	size_t n_urls;
	bool balance;            /* no preference: the load is shared */
	bool starttls;           /* for ldap:// URLs */
	bool tls_insecure;       /* tls_verify no: any certificate will do */
	const char *ca_file;     /* NULL: the system's */
	const char *certificate; /* ours; with key */
	const char *key;
	bool sasl_external;  /* we are who the certificate or the socket says */
	const char *bind_dn; /* NULL: anonymous */
	const char *password;
	unsigned connect_timeout_ms; /* resolve, connect, TLS and bind together: 5 s */
	unsigned query_timeout_ms;   /* from the question to its answer: 10 s */
	unsigned slow_ms;            /* what takes longer is logged; 0: nothing */
	unsigned connections; /* for searches, at a time: 1; more when balanced over more servers */
	unsigned bind_connections; /* for directory_bind(), at most: 4 */
	unsigned page_size;        /* of results that the server does not give at once: 500 */
	bool referrals; /* follow them, anonymously; else what a referral points at is not there */
};

enum directory_answer {
	DIRECTORY_OK,
	DIRECTORY_REFUSED, /* of a bind: the password is wrong, and nothing else */
	DIRECTORY_ERROR
};

struct directory_attr {
	const char *name;
	const struct berval *values; /* bytes may hold NUL; one more NUL stands behind them */
	size_t n;
};

struct directory_entry {
	const char *dn;
	struct directory_attr *attrs;
	size_t n;
};

/* Valid during the callback only. */
struct directory_result {
	enum directory_answer answer;
	const char *error; /* of ERROR and REFUSED: why; never holds a password */
	int code; /* of ERROR: the server's result code, such as noSuchObject; 0: none came */
	struct directory_entry *entries; /* in the order in which the server sent them */
	size_t n;
	const char *server; /* its URL; NULL: none was asked */
	int64_t took_us;    /* since the question came */
};

typedef void (*directory_cb)(const struct directory_result *, void *arg);

struct directory_search {
	const char *base;
	int scope; /* LDAP_SCOPE_… */
	const char *filter;
	const char *const *attrs; /* ended by NULL; NULL: all */
	size_t max_entries;       /* more than that are an error; 0: 1,000 */
};

/*
 * Copies the settings, starts to connect.  Never fails, never blocks: what is wrong is said by tab_log()
 * and in the answers.
 */
struct directory *directory_open(struct event_base *, const struct directory_settings *);

/*
 * Takes nothing more.  What is in flight is answered, within its deadline; then the memory goes.  With
 * nothing in flight and outside of a callback that is at once.
 */
void directory_close(struct directory *);

/*
 * The callback comes exactly once, from the loop, never inside the call.  Everything is copied.
 * directory_bind() uses connections of its own; an empty password is refused without asking anybody.
 */
void directory_find(struct directory *, const struct directory_search *, directory_cb, void *arg);
void directory_bind(
    struct directory *, const char *dn, const char *password, directory_cb, void *arg);

/*
 * Whether a thread still hangs in a connect.  Then the process must end by _exit(): libraries would be
 * taken down under it.
 */
bool directory_hangs(void);

#endif
