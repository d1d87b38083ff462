/*
 * How to reach the directory: the settings, copied once and never changed.  The loop and the threads
 * of attempts hold it together; who lets go last frees it and wipes the password.
 */
#ifndef TABLE_LDAP_REACH_H
#define TABLE_LDAP_REACH_H

#include <ldap.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "directory.h"

struct reach_server {
	char *url;         /* scheme://host:port only */
	LDAPURLDesc *desc; /* NULL: the URL cannot be used */
	bool tls, starttls;
};

struct reach {
	atomic_uint holders;
	struct directory_settings s; /* with defaults filled in; its strings are ours */
	struct reach_server *servers;
	size_t n; /* at least 1 */
};

struct reach *reach_new(const struct directory_settings *); /* NULL: out of memory */
struct reach *reach_hold(struct reach *);
void reach_release(struct reach *);

#endif
