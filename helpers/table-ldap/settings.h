/*
 * The file of a table: its keywords as a struct, whole and good, or a list of what is wrong with it.
 * settings.c reads it, for table-ldap.c; the directory uses the connection part only.
 *
 * Nothing here changes after settings_load(): an update makes another one.
 */
#ifndef TABLE_LDAP_SETTINGS_H
#define TABLE_LDAP_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tab.h"

struct template;

#define SETTINGS_SERVERS_MAX 16
#define SETTINGS_ATTRS_MAX   16
#define SETTINGS_FAULTS_MAX  20

struct ldap_server {
	char *uri;     /* scheme://host[:port], nothing behind; what libldap takes */
	bool starttls; /* must succeed before anything else is sent */
};

/* What the directory reads. */
struct ldap_connection {
	struct ldap_server servers[SETTINGS_SERVERS_MAX];
	size_t n_servers;     /* at least 1 */
	bool balance;         /* else in order, the first one preferred */
	unsigned connections; /* for searches, to one server */
	bool referrals;

	char *username, *password; /* the service's own bind; both NULL: anonymous */
	bool sasl_external;        /* then no username is needed */

	char *ca_file, *certificate, *key; /* NULL: the system's, none, none */
	bool tls_verify;

	unsigned connect_timeout_ms; /* resolve, connect, TLS and bind together */
	unsigned query_timeout_ms;   /* a question's, with all its searches and binds */
	unsigned slow_ms;            /* a search or bind that took longer is logged; 0: none */
	unsigned page_size;          /* 0: no paged results control */
};

/* What one service asks for. */
struct ldap_service {
	struct template *filter; /* NULL: the service is not offered (but auth with a dn) */
	struct template *dn;     /* auth only: the DN to bind as, instead of a search */
	struct template *basedn; /* set where filter is */
	int scope;               /* LDAP_SCOPE_* */
	char *attrs[SETTINGS_ATTRS_MAX + 1]; /* a NULL at the end */
	size_t n_attrs;
};

struct ldap_settings {
	struct ldap_connection connection;
	struct ldap_service services[TAB_SERVICE_MAX];

	/* Groups, of alias: attributes whose values are DNs or LDAP URLs, and those of a leaf. */
	char *special_attrs[SETTINGS_ATTRS_MAX + 1], *leaf_attrs[SETTINGS_ATTRS_MAX + 1];
	size_t n_special, n_leaf;
	unsigned group_depth, group_members;
};

/* What is wrong: "path:line: text", ready for the log.  Beyond the maximum they are counted only. */
struct settings_faults {
	char *text[SETTINGS_FAULTS_MAX];
	unsigned n;
};

void settings_faults_clear(struct settings_faults *);

/*
 * Reads the file, and the file that password_file names.  NULL when there is any fault; *warnings is
 * what the author should know either way.  May block on a file system; touches nothing else.
 */
struct ldap_settings *settings_load(
    const char *path, struct settings_faults *wrong, struct settings_faults *warnings);
void settings_free(struct ldap_settings *); /* wipes passwords; NULL is fine */

/* Bits, as TAB_OFFER() makes them, of the services that can be asked. */
unsigned settings_services(const struct ldap_settings *);

#endif
