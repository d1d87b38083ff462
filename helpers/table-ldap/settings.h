/*
 * The file of a table: its keywords as a struct, whole and good, or a list of what is wrong with it.
 * settings.c reads it, for table-ldap.c; the connection part is what the directory takes.
 *
 * Nothing here changes after settings_load(): an update makes another one.
 */
#ifndef TABLE_LDAP_SETTINGS_H
#define TABLE_LDAP_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>

#include "directory.h"
#include "tab_helper.h"

struct template;
struct settings_text;

#define SETTINGS_SERVERS_MAX 16
#define SETTINGS_ATTRS_MAX   16
#define SETTINGS_FAULTS_MAX  20

/* Services that a file can have. */
#define SETTINGS_OFFERED                                                                         \
	(TAB_OFFER(ALIAS) | TAB_OFFER(DOMAIN) | TAB_OFFER(AUTH) | TAB_OFFER(CREDENTIALS) |       \
	    TAB_OFFER(NETADDR) | TAB_OFFER(USERINFO) | TAB_OFFER(SOURCE) | TAB_OFFER(MAILADDR) | \
	    TAB_OFFER(MAILADDRMAP) | TAB_OFFER(ADDRNAME) | TAB_OFFER(RELAYHOST))

/* Names of attributes. */
struct ldap_attrs {
	const char *names[SETTINGS_ATTRS_MAX + 1]; /* a NULL at the end */
	size_t n;
};

/* What one service asks for. */
struct ldap_service {
	struct template *filter; /* NULL: the service is not offered (but auth with a dn) */
	struct template *dn;     /* auth only: the DN to bind as, instead of a search */
	struct template *basedn; /* NULL: the one of all services */
	int scope;               /* LDAP_SCOPE_* */
	struct ldap_attrs attrs;
};

struct ldap_settings {
	struct directory_settings connection;
	struct ldap_service services[TAB_SERVICE_MAX];
	struct template *basedn;
	int scope;

	/* Groups, of alias: attributes whose values are DNs or LDAP URLs, and those of a leaf. */
	struct ldap_attrs special, leaf;
	unsigned group_depth, group_members;

	const char *urls[SETTINGS_SERVERS_MAX]; /* connection.urls */
	struct settings_text *texts;            /* where all strings live */
};

/* What is wrong: "path:line: text", ready for the log.  Beyond the maximum they are counted only. */
struct settings_faults {
	char *text[SETTINGS_FAULTS_MAX];
	unsigned n;
};

void settings_faults_clear(struct settings_faults *);

/*
 * Reads the file, and the file that password_file names.  NULL when there is any fault; *warnings is
 * what the author should know either way; *meant are the services (bits, as TAB_OFFER() makes them) whose
 * filters stand in the file, be they good or not.  May block on a file system; touches nothing else.
 */
struct ldap_settings *settings_load(const char *path, struct settings_faults *wrong,
    struct settings_faults *warnings, unsigned *meant);
void settings_free(struct ldap_settings *); /* wipes passwords; NULL is fine */

/*
 * Whether a service's filter has no place for the key, and its attributes are a list that the key is to be
 * matched with: networks, domains, addresses.
 */
bool settings_is_list(const struct ldap_settings *, enum tab_service);

/* Bits, as TAB_OFFER() makes them, of the services that can be asked. */
unsigned settings_services(const struct ldap_settings *);

#endif
