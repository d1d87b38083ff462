/*
 * A socket to a server, resolved and connected, for a thread that may block until the deadline.  A host
 * with several addresses has them tried one after the other, a quarter of a second apart; the first that
 * answers is taken.
 */
#ifndef TABLE_LDAP_DIAL_H
#define TABLE_LDAP_DIAL_H

#include <ldap.h>
#include <stdint.h>

#define DIAL_ERROR_LEN 256

/* A descriptor that does not block, or -1 and why. */
int dial(const LDAPURLDesc *, int64_t deadline_us, char error[DIAL_ERROR_LEN]);

#endif
