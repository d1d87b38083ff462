/* What is known of each server: whether to try it, and when again.  Shared by all connections. */
#ifndef TABLE_LDAP_SERVER_H
#define TABLE_LDAP_SERVER_H

#include <stdint.h>

struct server {
	const char *url;
	unsigned delay_ms; /* of the back-off; 0: there was no failure since the last good answer */
	int64_t not_before_us; /* the next attempt */
	unsigned failures;     /* since the last good answer */
	int64_t said_us;       /* when the log heard of one */
	unsigned unsaid;       /* and how many it did not hear of since */
	char why[160];         /* the last one; empty: none was */
};

/* An attempt that began then has failed, or a connection was lost that never answered anything. */
void server_failed(struct server *, int64_t began_us, const char *why);

/* It answered a question. */
void server_good(struct server *);

#endif
