/*
 * A question at work, as backend.c, auth.c and group.c share it.
 *
 *	backend_ask → auth_ask: a search, a bind → question_answer
 *	            → a search → group_follow: more searches, level by level → question_answer
 *	                       → compose → question_answer
 */
#ifndef TABLE_LDAP_QUESTION_H
#define TABLE_LDAP_QUESTION_H

#include "backend.h"
#include "directory.h"
#include "settings.h"
#include "template.h"

struct question {
	struct backend *backend;
	const struct ldap_settings *settings;
	const struct ldap_service *ask; /* of them, this service's part */
	enum tab_op op;
	enum tab_service service;
	const char *table, *key;   /* the asker's */
	char *user;                /* auth: key up to its colon */
	struct template_key parts; /* of key, or of user */
	backend_cb cb;
	void *arg;
};

/*
 * The answer; the question is gone afterwards.  question_error()'s reason goes to the log of whoever
 * asked; it names no password, for it has none.
 */
void question_answer(struct question *, enum tab_answer, const char *text);
void question_error(struct question *, const char *why);

/* Fills a template in.  False: the question has been answered, for nothing can match, or with an error. */
bool question_fill(struct question *, const struct template *, char **out);

/* Searches by the service's filter, under its base.  On failure the question is answered, cb not called. */
void question_search(
    struct question *, const char *const *attrs, size_t max, directory_cb, void *arg);
void question_find(struct question *, const struct directory_search *, directory_cb, void *arg);
void question_bind(
    struct question *, const char *dn, const char *password, directory_cb, void *arg);

/* Says it in the log once for each service, however often it is so. */
void question_remark(struct question *, const char *remark);

/* auth.c: check|auth, by a bind as the user. */
void auth_ask(struct question *);

/* group.c: goes on from the first entries to what their special attributes name. */
void group_follow(struct question *, const struct directory_result *);
const char *const *group_attrs(const struct ldap_settings *); /* what is to be asked for */

#endif
