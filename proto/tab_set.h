/*
 * A set of entries that answers the services' questions by their matching rules (table(5)): what
 * table-file serves, and what a list in the daemon's configuration is.  No I/O, and nothing that
 * takes long: `auth` (crypt(3)) is not answered here, for the daemon's loop may not block.
 *
 *	domain    exact, or an entry *.example.org (any depth, not example.org itself), or with * elsewhere
 *	netaddr   an address, or a network ADDRESS/BITS; IPv4, IPv6, [IPv6]; or the exact text ("local")
 *	mailaddr  user@domain, user@*.domain, @domain, @*.domain, user (of any domain), @ (all); user+tag
 *	          matches an entry for user, unless that has a tag itself
 *	alias, credentials, userinfo, mailaddrmap, relayhost, string   by key
 *	addrname  by address, however it is written
 *	regex     POSIX extended, any entry, regardless of case
 *	source, relayhost   fetch: each entry in turn, wrapping around
 *
 * A check is answered "", a lookup with the entry's value.  An entry of a list has none: where the
 * service looks for a match (domain, netaddr, mailaddr, string, regex) the entry itself is given,
 * elsewhere it is missing.  Credentials without a user get the key: "$6$…" becomes "key:$6$…".
 */
#ifndef TABMAIL_TAB_SET_H
#define TABMAIL_TAB_SET_H

#include "tab.h"

struct tab_set;

struct tab_set *tab_set_new(void);
void tab_set_free(struct tab_set *); /* NULL is fine */

/*
 * Adds an entry; value NULL in a list.  Copies both.  Keys compare regardless of case (ASCII); a key
 * that is there already gets the new value: false is returned.
 */
bool tab_set_add(struct tab_set *, const char *key, const char *value);
size_t tab_set_count(const struct tab_set *);

/*
 * Answers.  On FOUND *value is set ("" for a check) and stays valid until the next question or the
 * set's end; on ERROR it is the reason.
 */
enum tab_answer tab_set_ask(
    struct tab_set *, enum tab_op, enum tab_service, const char *key, const char **value);

/* Whether the text is an address or a network, as netaddr takes them. */
bool tab_net_is(const char *text);

#endif
