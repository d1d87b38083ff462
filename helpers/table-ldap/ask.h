/*
 * A question at work, as backend.c, auth.c and group.c share it.
 *
 *	backend_ask → auth_ask: a search, a bind → ask_answer
 *	            → a search → group_follow: more searches, level by level → ask_answer
 *	                       → compose → ask_answer
 */
#ifndef TABLE_LDAP_ASK_H
#define TABLE_LDAP_ASK_H

#include "backend.h"
#include "directory.h"
#include "settings.h"
#include "template.h"

/* Its parts; backend.h says what it is. */
struct backend {
	struct ldap_settings *settings;
	struct directory *directory;
	unsigned open; /* questions */
	bool retired, trace;
	unsigned turns[TAB_SERVICE_MAX]; /* of fetches */
	const char *remarked[8];         /* what was said once already */
};

struct ask {
	struct backend *backend;
	const struct ldap_settings *settings;
	const struct ldap_service *part; /* of them, this service's part */
	enum tab_op op;
	enum tab_service service;
	const char *table, *key;   /* the asker's */
	bool is_list;              /* see settings_is_list() */
	char *user;                /* auth: key up to its colon */
	struct template_key parts; /* of key, or of user */
	backend_cb cb;
	void *arg;
};

/* backend.c: ends what was retired and has no question open. */
void backend_end_if_idle(struct backend *);

/*
 * The answer; the question is gone afterwards.  ask_error()'s reason goes to the log of whoever
 * asked; it names no password, for it has none.
 */
void ask_answer(struct ask *, enum tab_answer, const char *text);
void ask_error(struct ask *, const char *why);

/* Fills a template in.  False: the question has been answered, for nothing can match, or with an error. */
bool ask_fill(struct ask *, const struct template *, char **out);

/* Searches by the service's filter, under its base.  On failure the question is answered, cb not called. */
void ask_search(struct ask *, const char *const *attrs, size_t max, directory_cb, void *arg);
void ask_find(struct ask *, const struct directory_search *, directory_cb, void *arg);
void ask_bind(struct ask *, const char *dn, const char *password, directory_cb, void *arg);

/* Says it in the log once, however often it is so; a static text. */
void ask_remark(struct ask *, const char *remark);

/* auth.c: check|auth, by a bind as the user. */
void auth_ask(struct ask *);

/* group.c: goes on from the first entries to what their special attributes name. */
void group_follow(struct ask *, const struct directory_result *);
const char *const *group_attrs(const struct ldap_settings *); /* what is to be asked for */

#endif
