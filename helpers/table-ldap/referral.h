/*
 * Searches that the server answers with "ask another one" (referrals, of the whole or of a part), when the settings
 * want them followed: asked again in a thread, where libldap goes from server to server, anonymously, and
 * blocks as it likes.  A part that cannot be had makes the whole an error.
 */
#ifndef TABLE_LDAP_REFERRAL_H
#define TABLE_LDAP_REFERRAL_H

#include <stdbool.h>
#include <stddef.h>

struct directory;
struct question;

/* Whether this answer is one, and to be followed. */
bool referral_wanted(const struct directory *, const struct question *);

/* Answers the question, later, from this server on. */
void referral_ask(struct directory *, struct question *, size_t server);

#endif
