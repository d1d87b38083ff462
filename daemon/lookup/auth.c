/*
 * A client's login: ASK_AUTH of smtp, answered by a VERDICT.
 *
 *	auth_on_ask      the limits on failures (authlimit.c), then
 *	ask              the table: by check where it offers `auth`, else for the hash
 *	on_checked       its word counts
 *	on_credentials   the hash, and crypt(3) in a thread (hash.c)
 *	on_hashed
 *	conclude         counts, and answers: a failure after a delay that grows
 *
 * Three values throughout: what could not be found out is "try later", never "wrong password".  The
 * password leaves by a question to a helper and by hash.c only.
 */
#include "local.h"
#include "clock.h"
#include "log.h"
#include "secret.h"
#include "text.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include <string.h>

#define ATTEMPTS_MAX   5000 /* under way, those that only wait for their answer among them */
#define READY_AGAIN_MS 50   /* looks again whether a helper that starts is there */

static const char answer_failed[] = "535 5.7.8 Authentication failed";
static const char answer_later[] = "454 4.7.0 cannot tell now, try again later";
static const char answer_busy[] = "454 4.7.0 too many logins at once, try again later";
static const char answer_address[] =
    "421 4.7.0 too many failed logins from this address, try again later";
static const char answer_user[] = "454 4.7.0 too many failed logins of this user, try again later";

struct attempt {
	LIST_ENTRY(attempt) entry;
	struct ipc *ipc; /* NULL: it has gone meanwhile */
	uint32_t call;
	const struct conf_table *table;
	struct authlimit_who who; /* its strings are ours */
	enum authlimit_answer rank;
	struct secret password;
	int64_t until_ms; /* for its helper to be there */
	struct event timer;
	enum verdict verdict;
	const char *reply;
};

static LIST_HEAD(, attempt) attempts = LIST_HEAD_INITIALIZER(attempts);
static unsigned n_attempts;
static struct authlimit *limits;

static void ask(struct attempt *);
static void on_again(evutil_socket_t, short, void *);
static void on_checked(enum tab_answer, const char *, void *);
static void on_credentials(enum tab_answer, const char *, void *);
static void on_hashed(enum tab_answer, void *);
static void conclude(struct attempt *, enum tab_answer, const char *later);
static void on_answer_due(evutil_socket_t, short, void *);
static void wait_ms(struct attempt *, int64_t ms, event_callback_fn);

static const struct conf_table *
table_of(uint32_t listener)
{
	const struct conf_listener *l = conf_listener(process.conf, listener);

	if (l == NULL || l->auth == AUTH_NONE)
		return NULL;
	return l->auth_table != NULL ? l->auth_table : process.conf->system_auth;
}

static void
refuse(struct ipc *ipc, uint32_t call, const char *reply)
{
	ipc_reply(ipc, call, MSG_VERDICT,
	    &(struct msg_verdict){ .verdict = VERDICT_LATER, .reply = reply });
}

void
auth_on_ask(struct ipc *ipc, struct msg *m, void *arg)
{
	const struct msg_ask_auth *q = m->body;
	const struct authlimit_who who = { q->client, q->user, q->exempt != 0 };
	const struct conf_table *table = table_of(q->listener);

	(void)arg;
	if (limits == NULL)
		limits = authlimit_new(process.conf->limit.smtp.auth_failures);
	enum authlimit_answer allowed = authlimit_ask(limits, &who, clock_mono_ms());
	if (table == NULL || allowed == AUTHLIMIT_ADDRESS || allowed == AUTHLIMIT_USER ||
	    n_attempts >= ATTEMPTS_MAX) {
		refuse(ipc, m->call,
		    table == NULL                  ? answer_later
		    : allowed == AUTHLIMIT_ADDRESS ? answer_address
		    : allowed == AUTHLIMIT_USER    ? answer_user
						   : answer_busy);
		return;
	}
	struct attempt *a = xcalloc(1, sizeof(*a));
	const char *password = secret_reveal(q->password);
	*a = (struct attempt){ .ipc = ipc,
		.call = m->call,
		.table = table,
		.who = { xstrdup(q->client), xstrdup(q->user), who.exempt },
		.rank = allowed,
		.password = secret_new(password, strlen(password)),
		.until_ms = clock_mono_ms() + table->timeout_ms };
	LIST_INSERT_HEAD(&attempts, a, entry);
	n_attempts++;
	ask(a);
}

static void
ask(struct attempt *a)
{
	const char *password = secret_reveal(a->password);

	/* Checked by smtp too; an empty password would be a bind without one (RFC 4513 5.1.2). */
	if (a->who.user[0] == '\0' || password[0] == '\0' || strchr(a->who.user, ':') != NULL ||
	    !tab_key_ok(password) || !tab_key_ok(a->who.user)) {
		conclude(a, TAB_MISSING, "");
		return;
	}
	switch (table_offers(a->table, TAB_AUTH)) {
	case TAB_FOUND: {
		char *key = xasprintf("%s:%s", a->who.user, password);
		table_ask(a->table, TAB_CHECK, TAB_AUTH, key, on_checked, a);
		secret_wipe(key, strlen(key));
		free(key);
		break;
	}
	case TAB_MISSING: {
		char *key = text_lower(xstrdup(a->who.user));
		table_ask(a->table, TAB_LOOKUP, TAB_CREDENTIALS, key, on_credentials, a);
		free(key);
		break;
	}
	case TAB_ERROR:
		if (clock_mono_ms() < a->until_ms)
			wait_ms(a, READY_AGAIN_MS, on_again);
		else
			conclude(a, TAB_ERROR, "the helper is not there");
		break;
	}
}

static void
on_again(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	ask(arg);
}

static void
on_checked(enum tab_answer answer, const char *value, void *arg)
{
	(void)value; /* a reason may hold anything; the broker has logged it */
	conclude(arg, answer, "the helper answers with an error");
}

/* "user:hash".  A locked one ("!…", "*…") is as one who is not there, and takes as long. */
static void
on_credentials(enum tab_answer answer, const char *value, void *arg)
{
	struct attempt *a = arg;
	const char *colon = answer == TAB_FOUND ? strchr(value, ':') : NULL;
	const char *hash = colon == NULL || strchr("!*", colon[1]) != NULL ? NULL : colon + 1;

	if (answer == TAB_ERROR)
		conclude(a, TAB_ERROR, "the helper answers with an error");
	else if (!hash_check(a->password, hash, a->rank, on_hashed, a))
		conclude(a, TAB_ERROR, "too many logins at once");
}

static void
on_hashed(enum tab_answer answer, void *arg)
{
	conclude(arg, answer, "the table holds no hash that crypt(3) knows");
}

static void
conclude(struct attempt *a, enum tab_answer answer, const char *later)
{
	int64_t delay_ms = 0;

	secret_free(&a->password);
	switch (answer) {
	case TAB_FOUND:
		authlimit_succeeded(limits, &a->who, clock_mono_ms());
		a->verdict = VERDICT_ACCEPT;
		a->reply = "";
		break;
	case TAB_MISSING:
		delay_ms = authlimit_failed(limits, &a->who, clock_mono_ms());
		a->verdict = VERDICT_NEVER;
		a->reply = answer_failed;
		break;
	case TAB_ERROR:
		log_warn("auth event=later table=%s user=%s address=%s reason=%s", a->table->name,
		    log_quote(a->who.user), a->who.address, log_quote(later));
		a->verdict = VERDICT_LATER;
		a->reply = answer_later;
		break;
	}
	wait_ms(a, delay_ms, on_answer_due);
}

static void
wait_ms(struct attempt *a, int64_t ms, event_callback_fn then)
{
	event_assign(&a->timer, process.base, -1, 0, then, a);
	event_add(&a->timer, &(struct timeval){ ms / 1000, (suseconds_t)(ms % 1000) * 1000 });
}

static void
on_answer_due(evutil_socket_t fd, short what, void *arg)
{
	struct attempt *a = arg;

	(void)fd;
	(void)what;
	if (a->ipc != NULL)
		ipc_reply(a->ipc, a->call, MSG_VERDICT,
		    &(struct msg_verdict){ .verdict = a->verdict, .reply = a->reply });
	LIST_REMOVE(a, entry);
	n_attempts--;
	free((char *)(size_t)a->who.address);
	free((char *)(size_t)a->who.user);
	free(a);
}

void
auth_channel_gone(struct ipc *ipc)
{
	struct attempt *a;

	LIST_FOREACH(a, &attempts, entry)
		if (a->ipc == ipc)
			a->ipc = NULL;
}
