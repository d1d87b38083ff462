/*
 * Attempts to reach a server (attempt.h).  Called by slot.c and side.c.
 *
 *	loop: attempt_start ──────────────── on_done → callback, free
 *	thread:      └ run: dial, TLS, bind → wakes ┘
 *
 * Invariant: an attempt belongs to its thread until `finished` or `abandoned` is set, under the lock;
 * after finished to the loop alone, after abandoned to the thread alone.  A request for StartTLS is
 * followed by TLS or by the end of the connection, whatever is answered.
 */
#include "attempt.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <openldap.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "reach.h"
#include "ticks.h"

#define THREADS_MAX 64           /* more than that hang: nothing new until one of them ends */
#define WORKERS_MAX 8            /* what they do blocks for as long as others please */
#define STACK_SIZE  (512 * 1024) /* resolvers and TLS want some */

struct attempt {
	struct reach *reach;
	const struct reach_server *server;
	int64_t began_us, deadline_us;
	int wake;
	struct event *event;
	attempt_cb cb;
	void *arg;
	struct attempt_work work; /* .work may be NULL */
	void *data;
	bool finished, abandoned;
	struct attempt_done done;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_uint threads, workers; /* workers are among them */

static bool start_thread(struct attempt *);
static void *run(void *);
static bool reach_server(struct attempt *);
static bool set_options(struct attempt *);
static bool start_tls(struct attempt *);
static bool handshake(struct attempt *);
static bool bind_service(struct attempt *);
static void on_done(int, short, void *);

bool
directory_hangs(void)
{
	return threads > 0;
}

static void
free_attempt(struct attempt *a)
{
	if (a->event != NULL)
		event_free(a->event);
	if (a->wake != -1)
		close(a->wake);
	if (a->work.work != NULL)
		a->work.free_data(a->data);
	reach_release(a->reach);
	free(a);
}

struct attempt *
attempt_start(struct event_base *base, struct reach *reach, size_t server, attempt_cb cb, void *arg)
{
	struct attempt_work none = { .deadline_us = ticks_now() +
						    (int64_t)reach->s.connect_timeout_ms * 1000 };

	return attempt_start_work(base, reach, server, &none, NULL, cb, arg);
}

struct attempt *
attempt_start_work(struct event_base *base, struct reach *reach, size_t server,
    const struct attempt_work *work, void *data, attempt_cb cb, void *arg)
{
	struct attempt *a = calloc(1, sizeof(*a));

	if (a == NULL) {
		if (work->work != NULL)
			work->free_data(data);
		return NULL;
	}
	a->reach = reach_hold(reach);
	a->work = *work;
	a->data = data;
	a->server = &reach->servers[server];
	a->cb = cb;
	a->arg = arg;
	a->began_us = ticks_now();
	a->deadline_us = work->deadline_us;
	a->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (a->wake != -1)
		a->event = event_new(base, a->wake, EV_READ, on_done, a);
	struct timeval left = ticks_left(a->deadline_us);
	if (a->event == NULL || event_add(a->event, &left) == -1) {
		free_attempt(a);
		return NULL;
	}
	if (!start_thread(a)) {
		a->finished = true;
		event_active(a->event, EV_READ, 0);
	}
	return a;
}

static bool
start_thread(struct attempt *a)
{
	pthread_attr_t attr;
	pthread_t thread;
	sigset_t all, before;

	if (threads >= THREADS_MAX || (a->work.work != NULL && workers >= WORKERS_MAX)) {
		snprintf(a->done.error, sizeof(a->done.error), "too many attempts hang");
		return false;
	}
	threads++;
	workers += a->work.work != NULL;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	int wrong = pthread_create(&thread, &attr, run, a);
	pthread_attr_destroy(&attr);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (wrong == 0)
		return true;
	threads--;
	workers -= a->work.work != NULL;
	snprintf(a->done.error, sizeof(a->done.error), "no thread: %s", strerror(wrong));
	return false;
}

static void
drop_handle(struct attempt *a)
{
	if (a->done.ld != NULL)
		ldap_unbind_ext(a->done.ld, NULL, NULL);
	a->done.ld = NULL;
}

static void *
run(void *arg)
{
	struct attempt *a = arg;
	bool worker = a->work.work != NULL;

	if (!reach_server(a))
		drop_handle(a);
	else if (worker) {
		a->work.work(a->done.ld, a->deadline_us, a->data);
		a->done.data = a->data;
	}
	a->done.took_us = ticks_now() - a->began_us;
	pthread_mutex_lock(&lock);
	bool mine = a->abandoned;
	a->finished = true;
	if (!mine && eventfd_write(a->wake, 1) == -1)
		abort(); /* a counter of 1 that cannot be set: memory is gone */
	pthread_mutex_unlock(&lock);
	if (mine) {
		drop_handle(a);
		free_attempt(a);
	}
	workers -= worker;
	threads--;
	return NULL;
}

/* --- In the thread.  Each step says in done.error what went wrong. */

static bool
fail(struct attempt *a, const char *what, const char *why)
{
	snprintf(a->done.error, sizeof(a->done.error), "%s: %s", what, why);
	return false;
}

/* A result code, with what the server or TLS said about it. */
static bool
fail_code(struct attempt *a, const char *what, int code, const char *more)
{
	if (more != NULL && more[0] != '\0')
		snprintf(a->done.error, sizeof(a->done.error), "%s: %s (%s)", what,
		    ldap_err2string(code), more);
	else
		snprintf(
		    a->done.error, sizeof(a->done.error), "%s: %s", what, ldap_err2string(code));
	return false;
}

static bool
reach_server(struct attempt *a)
{
	const struct reach_server *server = a->server;

	if (server->desc == NULL)
		return fail(a, "the URL", "cannot be used");
	a->done.fd = dial(server->desc, a->deadline_us, a->done.error);
	if (a->done.fd == -1)
		return false;
	a->done.rtt_us = ticks_now() - a->began_us;
	int proto =
	    strcmp(server->desc->lud_scheme, "ldapi") == 0 ? LDAP_PROTO_IPC : LDAP_PROTO_TCP;
	int code = ldap_init_fd(a->done.fd, proto, server->url, &a->done.ld);
	if (code != LDAP_SUCCESS) {
		close(a->done.fd);
		return fail_code(a, "libldap", code, NULL);
	}
	if (!set_options(a))
		return false;
	if (server->starttls && !start_tls(a))
		return false;
	if ((server->starttls || server->tls) && !handshake(a))
		return false;
	return bind_service(a);
}

static bool
set_options(struct attempt *a)
{
	const struct directory_settings *s = &a->reach->s;
	struct timeval left = ticks_left(a->deadline_us);
	const int version = LDAP_VERSION3, client = 0;
	const int check = s->tls_insecure ? LDAP_OPT_X_TLS_NEVER : LDAP_OPT_X_TLS_DEMAND;
	const int least = LDAP_OPT_X_TLS_PROTOCOL_TLS1_2;
	LDAP *ld = a->done.ld;

	if (left.tv_sec == 0 && left.tv_usec == 0)
		return fail(a, "connected", "but too late");
	if (ldap_set_option(ld, LDAP_OPT_PROTOCOL_VERSION, &version) != LDAP_OPT_SUCCESS ||
	    ldap_set_option(ld, LDAP_OPT_REFERRALS, LDAP_OPT_OFF) != LDAP_OPT_SUCCESS ||
	    ldap_set_option(ld, LDAP_OPT_RESTART, LDAP_OPT_ON) != LDAP_OPT_SUCCESS ||
	    ldap_set_option(ld, LDAP_OPT_NETWORK_TIMEOUT, &left) != LDAP_OPT_SUCCESS)
		return fail(a, "libldap", "an option is refused");
	if (!a->server->tls && !a->server->starttls)
		return true;
	if (ldap_set_option(ld, LDAP_OPT_X_TLS_REQUIRE_CERT, &check) != LDAP_OPT_SUCCESS ||
	    ldap_set_option(ld, LDAP_OPT_X_TLS_PROTOCOL_MIN, &least) != LDAP_OPT_SUCCESS ||
	    (s->ca_file != NULL &&
		ldap_set_option(ld, LDAP_OPT_X_TLS_CACERTFILE, s->ca_file) != LDAP_OPT_SUCCESS) ||
	    (s->certificate != NULL &&
		ldap_set_option(ld, LDAP_OPT_X_TLS_CERTFILE, s->certificate) != LDAP_OPT_SUCCESS) ||
	    (s->key != NULL &&
		ldap_set_option(ld, LDAP_OPT_X_TLS_KEYFILE, s->key) != LDAP_OPT_SUCCESS))
		return fail(a, "TLS", "an option is refused");
	if (ldap_set_option(ld, LDAP_OPT_X_TLS_NEWCTX, &client) != LDAP_OPT_SUCCESS)
		return fail(a, "TLS", "ca_file, certificate or key cannot be used");
	return true;
}

/* Waits for the answer to one request; NULL: there is none, which is said. */
static LDAPMessage *
await(struct attempt *a, const char *what, int id)
{
	struct timeval left = ticks_left(a->deadline_us);
	LDAPMessage *m = NULL;
	int64_t asked = ticks_now();
	int code;

	switch (ldap_result(a->done.ld, id, LDAP_MSG_ALL, &left, &m)) {
	case 0: fail(a, what, "no answer"); break;
	case -1:
		code = LDAP_SERVER_DOWN;
		ldap_get_option(a->done.ld, LDAP_OPT_RESULT_CODE, &code);
		fail_code(a, what, code, NULL);
		break;
	default: a->done.rtt_us = ticks_now() - asked; return m;
	}
	ldap_msgfree(m);
	return NULL;
}

/* Whether the answer, which is freed, says success. */
static bool
succeeded(struct attempt *a, const char *what, LDAPMessage *m)
{
	char *more = NULL;
	int code = LDAP_OTHER;
	int wrong = ldap_parse_result(a->done.ld, m, &code, NULL, &more, NULL, NULL, 1);

	if (wrong != LDAP_SUCCESS)
		code = wrong;
	if (code != LDAP_SUCCESS)
		fail_code(a, what, code, more);
	ldap_memfree(more);
	return code == LDAP_SUCCESS;
}

static bool
start_tls(struct attempt *a)
{
	int id;
	int code = ldap_start_tls(a->done.ld, NULL, NULL, &id);
	char early;

	if (code != LDAP_SUCCESS)
		return fail_code(a, "StartTLS", code, NULL);
	LDAPMessage *m = await(a, "StartTLS", id);
	if (m == NULL || !succeeded(a, "StartTLS", m))
		return false;
	/* Nothing may come before our hello: what does was put there by somebody else. */
	if (recv(a->done.fd, &early, 1, MSG_PEEK | MSG_DONTWAIT) > 0)
		return fail(a, "StartTLS", "plain text after the answer");
	return true;
}

static bool
handshake(struct attempt *a)
{
	int code = ldap_install_tls(a->done.ld);
	char *more = NULL;

	if (code == LDAP_SUCCESS && ldap_tls_inplace(a->done.ld)) {
		a->done.tls = true;
		return true;
	}
	ldap_get_option(a->done.ld, LDAP_OPT_DIAGNOSTIC_MESSAGE, &more);
	/* GnuTLS has often no more to say than that it failed. */
	if (more == NULL || strstr(more, "unknown error") != NULL)
		fail(a, "TLS", "the handshake failed, or the certificate is not one to trust here");
	else
		fail_code(a, "TLS", code == LDAP_SUCCESS ? LDAP_CONNECT_ERROR : code, more);
	ldap_memfree(more);
	return false;
}

/* Who we are; where nobody, a question that any server answers somehow. */
static bool
bind_service(struct attempt *a)
{
	const struct directory_settings *s = &a->reach->s;
	char empty[] = "", no_attrs[] = LDAP_NO_ATTRS;
	struct berval password = { 0, empty };
	char *none[] = { no_attrs, NULL };
	LDAP *ld = a->done.ld;
	int id, code;

	if (s->sasl_external)
		code = ldap_sasl_bind(ld, NULL, "EXTERNAL", &password, NULL, NULL, &id);
	else if (s->bind_dn != NULL) {
		if (s->password == NULL || s->password[0] == '\0')
			return fail(a, "bind", "no password");
		password.bv_val = (char *)s->password;
		password.bv_len = strlen(s->password);
		code = ldap_sasl_bind(ld, s->bind_dn, LDAP_SASL_SIMPLE, &password, NULL, NULL, &id);
	} else
		code = ldap_search_ext(
		    ld, "", LDAP_SCOPE_BASE, "(objectClass=*)", none, 0, NULL, NULL, NULL, 1, &id);
	bool bound = s->sasl_external || s->bind_dn != NULL;
	if (code != LDAP_SUCCESS)
		return fail_code(a, bound ? "bind" : "hello", code, NULL);
	LDAPMessage *m = await(a, bound ? "bind" : "hello", id);
	if (m == NULL)
		return false;
	if (bound)
		return succeeded(a, "bind", m);
	ldap_msgfree(m);
	return true;
}

/* --- In the loop */

static void
on_done(int fd, short what, void *arg)
{
	struct attempt *a = arg;
	struct attempt_done late = { .fd = -1 };

	(void)fd;
	(void)what;
	pthread_mutex_lock(&lock);
	bool finished = a->finished;
	pthread_mutex_unlock(&lock);
	if (finished) {
		a->cb(&a->done, a->arg);
		free_attempt(a);
		return;
	}
	attempt_cb cb = a->cb;
	void *their = a->arg;
	late.took_us = ticks_now() - a->began_us;
	snprintf(
	    late.error, sizeof(late.error), "not done within %d ms", (int)(late.took_us / 1000));
	attempt_cancel(a);
	cb(&late, their);
}

void
attempt_cancel(struct attempt *a)
{
	event_free(a->event);
	a->event = NULL;
	pthread_mutex_lock(&lock);
	bool finished = a->finished;
	a->abandoned = true;
	if (!finished) {
		close(a->wake);
		a->wake = -1;
	}
	pthread_mutex_unlock(&lock);
	if (finished) {
		drop_handle(a);
		free_attempt(a);
	}
}
