/*
 * check|auth: user:password against the hash that the table has for the user, by crypt(3) in a thread,
 * so that a slow hash holds up nobody.  Called by table-file.c.
 *
 * Invariant: found only when crypt(3) gave the very hash of the table.  An empty password matches
 * nothing; nor does a password that stands in the table unhashed (a relay's).
 */
#include <crypt.h>
#include <stdlib.h>
#include <string.h>

#include "local.h"
#include "tab_helper.h"
#include "tab_pool.h"
#include "tab_set.h"

/* What an unknown or locked user is compared with: as costly as the last hash that was found. */
static char *nobodys_hash;
#define NOBODYS_FIRST "$6$nobodynobody$"

struct auth {
	struct tab_query *q;
	char *hash, *password;
	enum tab_answer answer;
	const char *why; /* ERROR */
};

static void work(void *);
static void done(void *);

static void
remember(const char *hash)
{
	char *copy = hash[0] == '$' ? strdup(hash) : NULL;

	if (copy == NULL)
		return;
	free(nobodys_hash);
	nobodys_hash = copy;
}

void
auth_check(struct tab_query *q, struct tab_set *set)
{
	const char *colon = strchr(q->key, ':'), *value = "";

	if (colon == NULL || colon == q->key || colon[1] == '\0') {
		tab_missing(q);
		return;
	}
	char *user = strndup(q->key, (size_t)(colon - q->key));
	struct auth *a = calloc(1, sizeof(*a));
	if (user == NULL || a == NULL) {
		free(user);
		free(a);
		tab_error(q, "out of memory");
		return;
	}
	enum tab_answer known = tab_set_ask(set, TAB_LOOKUP, TAB_CREDENTIALS, user, &value);
	const char *hash = known == TAB_FOUND ? strchr(value, ':') : NULL;
	if (hash != NULL && (hash[1] == '!' || hash[1] == '*'))
		hash = NULL; /* locked: as one who is not there */
	if (hash != NULL)
		remember(hash + 1);
	a->q = q;
	a->answer = hash == NULL ? TAB_MISSING : TAB_FOUND;
	a->hash = strdup(hash != NULL           ? hash + 1
			 : nobodys_hash != NULL ? nobodys_hash
						: NOBODYS_FIRST);
	a->password = strdup(colon + 1);
	free(user);
	tab_pool_run(work, done, a);
}

static void
work(void *arg)
{
	struct auth *a = arg;

	/* 32 KB: one for each thread at work, not for each question that waits. */
	struct crypt_data *data = calloc(1, sizeof(*data));
	if (data == NULL || a->hash == NULL || a->password == NULL) {
		a->answer = TAB_ERROR;
		a->why = "out of memory";
		free(data);
		return;
	}
	const char *got = crypt_r(a->password, a->hash, data);
	if (strlen(a->password) >= CRYPT_MAX_PASSPHRASE_SIZE) {
		a->answer = TAB_MISSING; /* never hashed: no fault of the table's */
	} else if (a->answer == TAB_FOUND && (got == NULL || *got == '*')) {
		a->answer = TAB_ERROR;
		a->why = "the table holds no hash that crypt(3) knows";
	} else if (a->answer == TAB_FOUND && !tab_same_secret(got, a->hash))
		a->answer = TAB_MISSING;
	explicit_bzero(data, sizeof(*data));
	free(data);
}

static void
done(void *arg)
{
	struct auth *a = arg;

	switch (a->answer) {
	case TAB_FOUND: tab_found(a->q, NULL); break;
	case TAB_MISSING: tab_missing(a->q); break;
	case TAB_ERROR: tab_error(a->q, a->why); break;
	}
	if (a->password != NULL)
		explicit_bzero(a->password, strlen(a->password));
	free(a->password);
	free(a->hash);
	free(a);
}
