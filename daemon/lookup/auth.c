/*
 * A client's login: ASK_AUTH of smtp, answered by a VERDICT.
 *
 *	auth_on_ask      the limits on failures (authlimit.c), then
 *	ask              the table: by check where it offers `auth`, else for the hash
 *	on_checked       its word counts
 *	on_credentials   the hash, and crypt(3) in a thread (hash.c)
 *	on_hashed
 *	on_hash_late     it has waited for a thread for too long
 *	conclude         counts, and answers: a failure after a delay that grows
 *
 * Those whose helper is away stand in one list, which one timer looks through.  Whose session has gone
 * is dropped where that is possible without forgetting a guess that is being looked at.
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

#define ATTEMPTS_MAX  5000 /* under way, those that only wait for their answer among them */
#define TRUSTED_MAX   1000 /* of those, of trusted addresses: others have the rest */
#define AWAY_AGAIN_MS 250  /* looks again whether a helper that starts is there */

static const char answer_failed[] = "535 5.7.8 Authentication failed";
static const char answer_later[] = "454 4.7.0 cannot tell now, try again later";
static const char answer_busy[] = "454 4.7.0 too many logins at once, try again later";
static const char answer_under_way[] =
    "454 4.7.0 too many logins from this address or of this user at once, try again later";
static const char answer_address[] =
    "421 4.7.0 too many failed logins from this address, try again later";
static const char answer_user[] = "454 4.7.0 too many failed logins of this user, try again later";

struct attempt {
	LIST_ENTRY(attempt) entry;
	TAILQ_ENTRY(attempt) away_entry;
	bool away;       /* in that list */
	struct ipc *ipc; /* NULL: it has gone meanwhile */
	uint32_t call;
	const struct conf_table *table;
	struct authlimit_who who; /* its strings are ours */
	char *session, *host, *mechanism;
	enum authlimit_answer rank;
	struct secret password;
	struct hash_job *job; /* NULL: none under way */
	int64_t until_ms;     /* for its helper to be there */
	struct event timer;
	enum verdict verdict;
	const char *reply;
};

static LIST_HEAD(, attempt) attempts = LIST_HEAD_INITIALIZER(attempts);
static unsigned n_attempts, n_trusted;
static TAILQ_HEAD(, attempt) away = TAILQ_HEAD_INITIALIZER(away);
static struct event away_timer;
static struct authlimit *limits;

static void ask(struct attempt *);
static void wait_for_helper(struct attempt *);
static void on_away_timer(evutil_socket_t, short, void *);
static void on_checked(enum tab_answer, const char *, void *);
static void on_credentials(enum tab_answer, const char *, void *);
static void on_hashed(enum tab_answer, void *);
static void on_hash_late(evutil_socket_t, short, void *);
static void conclude(struct attempt *, enum tab_answer, const char *later);
static void on_answer_due(evutil_socket_t, short, void *);
static void free_attempt(struct attempt *);
static void forget(struct attempt *);
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
	if (table == NULL || n_attempts >= ATTEMPTS_MAX ||
	    (who.exempt && n_trusted >= TRUSTED_MAX)) {
		refuse(ipc, m->call, table == NULL ? answer_later : answer_busy);
		return;
	}
	enum authlimit_answer allowed = authlimit_ask(limits, &who, clock_mono_ms());
	if (allowed > AUTHLIMIT_SUSPECT) {
		refuse(ipc, m->call,
		    allowed == AUTHLIMIT_ADDRESS ? answer_address
		    : allowed == AUTHLIMIT_USER  ? answer_user
						 : answer_under_way);
		return;
	}
	struct attempt *a = xcalloc(1, sizeof(*a));
	const char *password = secret_reveal(q->password);
	*a = (struct attempt){ .ipc = ipc,
		.call = m->call,
		.table = table,
		.who = { xstrdup(q->client), xstrdup(q->user), who.exempt },
		.session = xstrdup(q->session),
		.host = xstrdup(q->host),
		.mechanism = xstrdup(q->mechanism),
		.rank = allowed,
		.password = secret_new(password, strlen(password)),
		.until_ms = clock_mono_ms() + table->timeout_ms };
	event_assign(&a->timer, process.base, -1, 0, on_answer_due, a);
	LIST_INSERT_HEAD(&attempts, a, entry);
	n_attempts++;
	n_trusted += who.exempt;
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
			wait_for_helper(a);
		else
			conclude(a, TAB_ERROR, "the helper is not there");
		break;
	}
}

static void
wait_for_helper(struct attempt *a)
{
	if (!event_initialized(&away_timer))
		event_assign(&away_timer, process.base, -1, 0, on_away_timer, NULL);
	if (TAILQ_EMPTY(&away))
		event_add(&away_timer, &(struct timeval){ .tv_usec = AWAY_AGAIN_MS * 1000 });
	TAILQ_INSERT_TAIL(&away, a, away_entry);
	a->away = true;
}

/* ask() may put them back, at the end of a list that is empty by then: the timer is set again. */
static void
on_away_timer(evutil_socket_t fd, short what, void *arg)
{
	TAILQ_HEAD(, attempt) now = TAILQ_HEAD_INITIALIZER(now);
	struct attempt *a;

	(void)fd;
	(void)what;
	(void)arg;
	TAILQ_CONCAT(&now, &away, away_entry);
	while ((a = TAILQ_FIRST(&now)) != NULL) {
		TAILQ_REMOVE(&now, a, away_entry);
		a->away = false;
		ask(a);
	}
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

	if (answer == TAB_ERROR) {
		conclude(a, TAB_ERROR, "the helper answers with an error");
	} else if (answer == TAB_FOUND &&
		   colon == NULL) { /* no hash: nothing is known of the password */
		conclude(a, TAB_ERROR, "the helper's answer is not USER:HASH");
	} else if (a->ipc == NULL) {
		forget(a); /* nothing was told about the password */
	} else if ((a->job = hash_check(a->password, hash, a->rank, on_hashed, a)) == NULL) {
		conclude(a, TAB_ERROR, "too many logins at once");
	} else {
		wait_ms(a, a->table->timeout_ms, on_hash_late);
	}
}

static void
on_hashed(enum tab_answer answer, void *arg)
{
	struct attempt *a = arg;

	a->job = NULL;
	conclude(a, answer, "the table holds no hash that crypt(3) knows");
}

/* One that a thread has in its hands will be answered soon. */
static void
on_hash_late(evutil_socket_t fd, short what, void *arg)
{
	struct attempt *a = arg;

	(void)fd;
	(void)what;
	if (!hash_drop(a->job))
		return;
	a->job = NULL;
	conclude(a, TAB_ERROR, "too many logins before this one");
}

static void
conclude(struct attempt *a, enum tab_answer answer, const char *later)
{
	int64_t delay_ms = 0;

	secret_free(&a->password);
	authlimit_left(limits, &a->who, a->rank, clock_mono_ms());
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
	event_del(&a->timer);
	event_assign(&a->timer, process.base, -1, 0, then, a);
	event_add(&a->timer, &(struct timeval){ ms / 1000, (suseconds_t)(ms % 1000) * 1000 });
}

/* Who leaves before a 535, which comes late, would escape those who read the log: smtp's line (cmd_auth.c) is written here. */
static void
log_failed(const struct attempt *a)
{
	log_info("%s smtp event=failed-command address=%s host=%s command=\"AUTH %s (user=%s)\" "
		 "result=\"535 Authentication failed\"",
	    a->session, a->who.address, a->host, a->mechanism, log_quote(a->who.user));
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
	else if (a->verdict == VERDICT_NEVER)
		log_failed(a);
	free_attempt(a);
}

static void
free_attempt(struct attempt *a)
{
	event_del(&a->timer);
	LIST_REMOVE(a, entry);
	n_attempts--;
	n_trusted -= a->who.exempt;
	free((char *)(size_t)a->who.address);
	free((char *)(size_t)a->who.user);
	free(a->session);
	free(a->host);
	free(a->mechanism);
	free(a);
}

/* Without a conclusion: nothing counts. */
static void
forget(struct attempt *a)
{
	secret_free(&a->password);
	authlimit_left(limits, &a->who, a->rank, clock_mono_ms());
	free_attempt(a);
}

/* A guess that a helper or a thread has in its hands goes on, and counts. */
static void
leave(struct attempt *a)
{
	a->ipc = NULL;
	if (a->away)
		TAILQ_REMOVE(&away, a, away_entry);
	if (a->away || (a->job != NULL && hash_drop(a->job)))
		forget(a);
}

void
auth_on_left(struct ipc *ipc, uint32_t call)
{
	struct attempt *a;

	LIST_FOREACH(a, &attempts, entry) {
		if (a->ipc != ipc || a->call != call)
			continue;
		leave(a);
		return;
	}
}

void
auth_channel_gone(struct ipc *ipc)
{
	struct attempt *a, *next;

	LIST_FOREACH_SAFE(a, &attempts, entry, next)
	if (a->ipc == ipc)
		leave(a);
}
