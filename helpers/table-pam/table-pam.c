/*
 * table-pam: a helper that checks the system's users' passwords: check|auth, by PAM.  Called by the
 * daemon as a child process, under a user of its own who may read shadow (man page: group shadow).
 *
 * PAM may block (a directory, a second of delay), so each question is asked in a thread, THREADS at a
 * time, with a handle of its own.
 *
 * Who is not there, is locked or is root takes as long as who is compared with a hash, or a watch would tell who is there:
 * PAM says no to those at once, so the same work is done for them here.
 *
 * Invariant: not-found is said only where PAM itself said that the user may not come in.  Whatever else
 * it says (shadow cannot be read, a module is missing) is an error.  root never comes in, whatever his
 * name, nor does anybody whom passwd(5) and its kin do not have.
 */
#include <crypt.h>
#include <errno.h>
#include <pthread.h>
#include <pwd.h>
#include <security/pam_appl.h>
#include <shadow.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tab_helper.h"
#include "tab_pool.h"

#define THREADS   4
#define USER_MAX  255
#define ENTRY_MAX 65536 /* bytes of a user's entry */

struct ask {
	struct tab_query *q;
	char *user, *password;
	enum tab_answer answer;
	char why[256]; /* of ERROR */
};

static const char *service = "tabmail";

static void on_check(struct tab_query *);
static void work(void *);
static void on_done(void *);
static int converse(int n, const struct pam_message **, struct pam_response **, void *);

int
main(int argc, char *argv[])
{
	const struct tab_helper helper = { .services = TAB_OFFER(AUTH), .check = on_check };

	if (argc > 2) {
		fprintf(stderr, "usage: table-pam [service]\n");
		return 1;
	}
	if (argc == 2 && argv[1][0] != '\0')
		service = argv[1];
	tab_pool_size(THREADS);
	return tab_helper_run(&helper);
}

static void
on_check(struct tab_query *q)
{
	const char *colon = strchr(q->key, ':');

	if (colon == NULL || colon == q->key || colon - q->key > USER_MAX || colon[1] == '\0') {
		tab_missing(q); /* an empty password is nobody's */
		return;
	}
	struct ask *a = calloc(1, sizeof(*a));
	char *user = strndup(q->key, (size_t)(colon - q->key)), *password = strdup(colon + 1);
	if (a == NULL || user == NULL || password == NULL) {
		free(a);
		free(user);
		free(password);
		tab_error(q, "out of memory");
		return;
	}
	a->q = q;
	a->user = user;
	a->password = password;
	tab_pool_run(work, on_done, a);
}

/* The daemon slows guessers down; a thread that sleeps would hold up the others. */
static void
no_delay(int status, unsigned usec, void *data)
{
	(void)status;
	(void)usec;
	(void)data;
}

static enum tab_answer
meaning(int status)
{
	switch (status) {
	case PAM_SUCCESS: return TAB_FOUND;
	case PAM_AUTH_ERR:
	case PAM_USER_UNKNOWN:
	case PAM_MAXTRIES:
	case PAM_PERM_DENIED:
	case PAM_ACCT_EXPIRED:
	case PAM_CRED_EXPIRED:
	case PAM_NEW_AUTHTOK_REQD:
	case PAM_AUTHTOK_EXPIRED: return TAB_MISSING;
	default: return TAB_ERROR;
	}
}

struct account {
	uid_t uid;
	bool in_shadow; /* where the hash stands */
};

/* FOUND, MISSING, or what could not be found out. */
static enum tab_answer
find_account(const char *user, struct account *account)
{
	struct passwd pw, *found = NULL;
	enum tab_answer answer = TAB_ERROR;
	int error = ERANGE;

	for (size_t size = 4096; error == ERANGE && size <= ENTRY_MAX; size *= 4) {
		char *buf = malloc(size);
		if (buf == NULL)
			return TAB_ERROR;
		error = getpwnam_r(user, &pw, buf, size, &found);
		if (error == 0 && found != NULL) {
			account->uid = pw.pw_uid;
			account->in_shadow = strcmp(pw.pw_passwd, "x") == 0;
			answer = TAB_FOUND;
		} else if (error == 0 || error == ENOENT || error == ESRCH) {
			answer = TAB_MISSING; /* getpwnam(3): some sources say it so */
		}
		explicit_bzero(buf, size);
		free(buf);
	}
	return answer;
}

/* What users who have none are compared with: as costly as the last hash that was found. */
static struct {
	pthread_mutex_t lock;
	char hash[CRYPT_OUTPUT_SIZE]; /* "": none yet */
} last = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* Whether PAM has a hash of his to compare with. */
static bool
has_hash(const char *user)
{
	char *buf = malloc(ENTRY_MAX);
	struct spwd sp, *found = NULL;

	if (buf != NULL && getspnam_r(user, &sp, buf, ENTRY_MAX, &found) != 0)
		found = NULL;
	bool has =
	    found != NULL && found->sp_pwdp[0] == '$' && strlen(found->sp_pwdp) < sizeof(last.hash);
	if (has) {
		pthread_mutex_lock(&last.lock);
		snprintf(last.hash, sizeof(last.hash), "%s", found->sp_pwdp);
		pthread_mutex_unlock(&last.lock);
	}
	if (buf != NULL)
		explicit_bzero(buf, ENTRY_MAX);
	free(buf);
	return has;
}

/* The work of a comparison, whose result is nobody's. */
static void
compare_with_nobody(const char *password)
{
	struct crypt_data *data = calloc(1, sizeof(*data)); /* 32 KiB */
	char hash[CRYPT_OUTPUT_SIZE];

	pthread_mutex_lock(&last.lock);
	memcpy(hash, last.hash, sizeof(hash));
	pthread_mutex_unlock(&last.lock);
	if (hash[0] == '\0' && crypt_gensalt_rn(NULL, 0, NULL, 0, hash, sizeof(hash)) == NULL)
		hash[0] = '\0';
	if (data != NULL && hash[0] != '\0') {
		(void)crypt_r(password, hash, data);
		explicit_bzero(data, sizeof(*data));
	}
	explicit_bzero(hash, sizeof(hash));
	free(data);
}

static void
cannot_tell(struct ask *a, const char *why)
{
	a->answer = TAB_ERROR;
	snprintf(a->why, sizeof(a->why), "%s", why);
}

static void
work(void *arg)
{
	struct ask *a = arg;
	const struct pam_conv conv = { converse, a };
	union {
		void (*function)(int, unsigned, void *);
		const void *item;
	} delay = { no_delay };
	pam_handle_t *pam = NULL;
	struct account account = { 0 };
	enum tab_answer there = find_account(a->user, &account);

	if (there == TAB_ERROR) {
		cannot_tell(a, "the users of this system cannot be looked up");
		return;
	}
	if (there == TAB_FOUND && account.uid == 0) {
		compare_with_nobody(a->password);
		a->answer = TAB_MISSING;
		return;
	}
	int status = pam_start(service, a->user, &conv, &pam);

	if (status == PAM_SUCCESS)
		status = pam_set_item(pam, PAM_FAIL_DELAY, delay.item);
	if (status == PAM_SUCCESS)
		status = pam_authenticate(pam, PAM_SILENT | PAM_DISALLOW_NULL_AUTHTOK);
	if (status == PAM_SUCCESS)
		status = pam_acct_mgmt(pam, PAM_SILENT | PAM_DISALLOW_NULL_AUTHTOK);
	a->answer = meaning(status);
	if (there == TAB_MISSING && a->answer == TAB_FOUND)
		a->answer = TAB_MISSING; /* PAM was asked so that it takes as long */
	/* pam_unix takes a shadow file that it may not read for a wrong password */
	if (a->answer == TAB_MISSING && account.in_shadow && access("/etc/shadow", R_OK) == -1)
		cannot_tell(
		    a, "this helper's user may not read /etc/shadow: give it the group shadow");
	else if (a->answer == TAB_MISSING && !has_hash(a->user))
		compare_with_nobody(a->password);
	else if (a->answer == TAB_ERROR)
		snprintf(a->why, sizeof(a->why), "PAM service %s: %s", service,
		    pam_strerror(pam, status));
	pam_end(pam, status);
}

/* PAM asks for the password, and gets it; whatever else it wants to know it does not get. */
static int
converse(int n, const struct pam_message **messages, struct pam_response **responses, void *arg)
{
	const struct ask *a = arg;
	struct pam_response *r =
	    n > 0 && n <= PAM_MAX_NUM_MSG ? calloc((size_t)n, sizeof(*r)) : NULL;

	if (r == NULL)
		return PAM_BUF_ERR;
	for (int i = 0; i < n; i++)
		if (messages[i]->msg_style == PAM_PROMPT_ECHO_OFF)
			r[i].resp = strdup(a->password);
	*responses = r;
	return PAM_SUCCESS;
}

static void
on_done(void *arg)
{
	struct ask *a = arg;

	switch (a->answer) {
	case TAB_FOUND: tab_found(a->q, NULL); break;
	case TAB_MISSING: tab_missing(a->q); break;
	case TAB_ERROR:
		tab_log("%s", a->why);
		tab_error(a->q, a->why);
		break;
	}
	explicit_bzero(a->password, strlen(a->password));
	free(a->password);
	free(a->user);
	free(a);
}
