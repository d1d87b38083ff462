/*
 * One reading of the file, at work: settings and the directory that they lead to.  An update opens
 * another one and retires the old, which lives on until the last question that was put to it is
 * answered: so none is lost, and none changes its settings half-way.
 */
#ifndef TABLE_LDAP_BACKEND_H
#define TABLE_LDAP_BACKEND_H

#include <stdbool.h>

#include "tab.h"

struct backend;
struct ldap_settings;

/* Takes the settings over.  trace: each search and bind is told of on stderr. */
struct backend *backend_open(struct ldap_settings *, bool trace);
void backend_retire(struct backend *); /* NULL is fine */
unsigned backend_services(const struct backend *);

/*
 * The answer comes once, from the loop or within backend_ask().  text: a lookup's or fetch's value, or an
 * error's reason; valid during the call only.
 */
typedef void (*backend_cb)(enum tab_answer, const char *text, void *arg);

/* key and table stay with the caller, and stay as they are, until the answer. */
void backend_ask(struct backend *, enum tab_op, enum tab_service, const char *table,
    const char *key, backend_cb, void *arg);

#endif
