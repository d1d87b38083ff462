/*
 * Certificates and keys: read here, where root may, tried out, and handed in sealed memfds to those
 * who use them: to smtp what a listener names, to relay what a rule names.  They stand in no other
 * process, in no log and in no file of ours.
 *
 *	pki_open     at the start: all that the configuration needs, or none
 *	pki_give     to a process that has just been started
 *	pki_renew    SIGHUP, tabmailctl update pki: what is good replaces what was, the rest stays
 */
#include "local.h"
#include "conf.h"
#include "keyring.h"
#include "log.h"
#include "sandbox.h"
#include "text.h"
#include "tlsctx.h"
#include "tlsnative.h"

#include <bsd/string.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <tls.h>
#include <unistd.h>

#define FILE_LEN_MAX (1 << 20)
#define FILES_MAX    256

/* A certificate, its key, and those who are trusted; as they were when they were last good. */
struct held {
	uint32_t index;
	const char *name; /* for people */
	const char *certificate, *key, *ca;
	bool for_smtp, for_relay;
	int memfd; /* -1: not read yet */
	uint32_t certificate_len, key_len, ca_len;
};

static struct held held[FILES_MAX];
static size_t n_held;

static bool plan(const struct conf *, struct text *errors);
static bool plan_host(const struct conf *, struct text *errors);
static void plan_system(const struct conf *);
static bool load(struct held *, struct text *errors);
static char *try_out(const struct held *, const struct pki *);
static bool check_listeners(const struct conf *, struct text *errors);

bool
pki_open(const struct conf *conf, struct text *errors)
{
	bool good = plan(conf, errors);

	for (size_t i = 0; i < n_held; i++)
		good = load(&held[i], errors) && good;
	return good && check_listeners(conf, errors);
}

void
pki_give(struct ipc *ipc, enum role role)
{
	if (role != ROLE_SMTP && role != ROLE_RELAY)
		return;
	for (size_t i = 0; i < n_held; i++) {
		const struct held *h = &held[i];
		if (h->memfd == -1 || !(role == ROLE_SMTP ? h->for_smtp : h->for_relay))
			continue;
		ipc_send(ipc, MSG_PKI,
		    &(struct msg_pki){ .index = h->index,
			.certificate_len = h->certificate_len,
			.key_len = h->key_len,
			.ca_len = h->ca_len,
			.memfd = h->memfd });
	}
	ipc_send(ipc, MSG_PKI_END, &(struct msg_pki_end){});
}

bool
pki_renew(struct text *errors)
{
	size_t renewed = 0;

	for (size_t i = 0; i < n_held; i++)
		renewed += load(&held[i], errors);
	log_info("pki event=renewed good=%zu kept=%zu", renewed, n_held - renewed);
	child_each(pki_give);
	return renewed == n_held;
}

/* --- What is needed, and where it stands */

static struct held *
need(uint32_t index, const char *name)
{
	for (size_t i = 0; i < n_held; i++)
		if (held[i].index == index)
			return &held[i];
	if (n_held == FILES_MAX)
		return NULL;
	held[n_held] = (struct held){ .index = index, .name = name, .memfd = -1 };
	return &held[n_held++];
}

static struct held *
need_pki(const struct conf_pki *k)
{
	struct held *h = need(k->index, k->name);

	if (h != NULL) {
		h->certificate = k->certificate;
		h->key = k->key;
		h->ca = k->ca;
	}
	return h;
}

static bool
plan(const struct conf *conf, struct text *errors)
{
	const struct conf_listener *l;
	const struct conf_pki *k;
	struct held *h;
	bool good = true, host = false;

	STAILQ_FOREACH(l, &conf->listeners, entry) {
		for (unsigned i = 0; i < l->n_pki; i++)
			if ((h = need_pki(l->pki[i])) != NULL)
				h->for_smtp = true;
		host = host || (l->tls != TLS_NONE && l->n_pki == 0);
	}
	STAILQ_FOREACH(k, &conf->pkis, entry)
		if (conf_pki_is_relays(conf, k) && (h = need_pki(k)) != NULL)
			h->for_relay = true;
	if (host)
		good = plan_host(conf, errors);
	plan_system(conf);
	return good;
}

/* The host's certificate where tools for it put theirs; %s is its name. */
static const struct {
	const char *certificate, *key;
} usual[] = {
	{ SYSCONF "/%s.crt", SYSCONF "/%s.key" },
	{ "/etc/letsencrypt/live/%s/fullchain.pem", "/etc/letsencrypt/live/%s/privkey.pem" },
	{ "/etc/ssl/%s.fullchain.pem", "/etc/ssl/private/%s.key" },
	{ "/etc/ssl/certs/%s.pem", "/etc/ssl/private/%s.key" },
	{ "/etc/ssl/certs/%s.crt", "/etc/ssl/private/%s.key" },
	{ "/etc/ssl/%s.crt", "/etc/ssl/private/%s.key" },
	{ "/etc/mail/certs/%s.crt", "/etc/mail/certs/%s.key" },
};

static char *
fill(const char *pattern, const char *host)
{
	const char *at = strstr(pattern, "%s");

	return xasprintf("%.*s%s%s", (int)(at - pattern), pattern, host, at + 2);
}

static bool
plan_host(const struct conf *conf, struct text *errors)
{
	struct held *h = need(PKI_HOST, "of the host");

	for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]) && h->key == NULL; i++) {
		char *certificate = fill(usual[i].certificate, conf->hostname);
		char *key = fill(usual[i].key, conf->hostname);
		if (access(certificate, F_OK) == 0 && access(key, F_OK) == 0) {
			h->certificate = certificate; /* kept: renewal reads it again */
			h->key = key;
		} else {
			free(certificate);
			free(key);
		}
	}
	h->for_smtp = true;
	if (h->key != NULL)
		return true;
	text_putf(errors, "a listener has TLS, and there is no certificate for %s.  Looked for:\n",
	    conf->hostname);
	for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++) {
		char *certificate = fill(usual[i].certificate, conf->hostname);
		char *key = fill(usual[i].key, conf->hostname);
		text_putf(errors, "  %s and %s\n", certificate, key);
		free(certificate);
		free(key);
	}
	text_putf(errors,
	    "Name yours: pki %s certificate \"FILE\" key \"FILE\"\n"
	    "Or make one for tests:\n"
	    "  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 "
	    "-subj /CN=%s -addext subjectAltName=DNS:%s -keyout " SYSCONF "/%s.key -out " SYSCONF
	    "/%s.crt\n",
	    conf->hostname, conf->hostname, conf->hostname, conf->hostname, conf->hostname);
	n_held--; /* it was the last */
	return false;
}

/* Whom the system trusts: for relay, and for a listener that verifies by no list of its own. */
static void
plan_system(const struct conf *conf)
{
	const char *file = tls_default_ca_cert_file();
	const struct conf_listener *l;
	bool relays = false, verifies = false;
	const struct conf_rule *r;

	STAILQ_FOREACH(r, &conf->rules, entry)
		relays = relays || r->action.kind == ACTION_RELAY;
	STAILQ_FOREACH(l, &conf->listeners, entry)
		verifies = verifies || l->tls_verify;
	if (access(file, R_OK) == -1)
		file = "/etc/ssl/certs/ca-certificates.crt";
	if ((!relays && !verifies) || access(file, R_OK) == -1)
		return;
	struct held *h = need(PKI_SYSTEM, "of the system");
	if (h != NULL)
		*h = (struct held){ .index = PKI_SYSTEM,
			.name = h->name,
			.ca = file,
			.for_smtp = verifies,
			.for_relay = relays,
			.memfd = -1 };
}

/* --- Reading */

/* The error, allocated; NULL: the file's text is behind *t's. */
static char *
read_into(struct text *t, const char *path, bool secret)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	char piece[4096];
	ssize_t n = 0;
	size_t before = t->len;
	const char *why = NULL;

	if (fd == -1)
		return xasprintf("%s: %s", path, strerror(errno));
	if (fstat(fd, &st) == -1)
		why = strerror(errno);
	else if (!S_ISREG(st.st_mode))
		why = "not a file";
	else if (secret && (st.st_mode & 027) != 0)
		why = "a key that others may use: chmod 600 it";
	while (why == NULL && (n = read(fd, piece, sizeof(piece))) > 0) {
		text_putn(t, piece, (size_t)n);
		if (t->len - before > FILE_LEN_MAX)
			why = "too long";
	}
	if (n == -1)
		why = strerror(errno);
	else if (why == NULL && t->len == before)
		why = "empty";
	else if (why == NULL && memmem(t->s + before, t->len - before, "-----BEGIN ", 11) == NULL)
		why = "this is no PEM file: it has no line \"-----BEGIN ...\"";
	explicit_bzero(piece, sizeof(piece));
	close(fd);
	return why == NULL ? NULL : xasprintf("%s: %s", path, why);
}

static char *
read_all(const struct held *h, struct held *lens, struct text *t)
{
	char *error = NULL;

	t->s =
	    xcalloc(1, 3 * (FILE_LEN_MAX + 4096)); /* it never moves, so nothing of a key is left */
	t->cap = 3 * (FILE_LEN_MAX + 4096);
	if (h->certificate != NULL)
		error = read_into(t, h->certificate, false);
	lens->certificate_len = (uint32_t)t->len;
	if (error == NULL && h->key != NULL)
		error = read_into(t, h->key, true);
	lens->key_len = (uint32_t)t->len - lens->certificate_len;
	if (error == NULL && h->ca != NULL)
		error = read_into(t, h->ca, false);
	lens->ca_len = (uint32_t)t->len - lens->certificate_len - lens->key_len;
	return error;
}

/* Whether it is good now; what was held before stays when it is not. */
static bool
load(struct held *h, struct text *errors)
{
	struct held lens = *h;
	struct text t = { 0 };
	char *error = read_all(h, &lens, &t);

	if (error == NULL)
		error = try_out(
		    h, &(struct pki){ .certificate = { t.s, lens.certificate_len },
			   .key = { t.s + lens.certificate_len, lens.key_len },
			   .ca = { t.s + lens.certificate_len + lens.key_len, lens.ca_len } });
	if (error == NULL) {
		lens.memfd = sandbox_sealed("tabmail.pki", t.s, t.len);
		if (lens.memfd == -1)
			error = xasprintf("memfd: %s", strerror(errno));
	}
	const char *untimely = error == NULL ? tlsnative_untimely(t.s, lens.certificate_len) : NULL;
	if (untimely != NULL) /* no reason to stop: who does not look at it goes on */
		log_warn("pki %s: %s: the certificate %s", h->name, h->certificate, untimely);
	explicit_bzero(t.s, t.cap);
	text_free(&t);
	if (error != NULL) {
		text_putf(errors, "pki %s: %s%s\n", h->name, error,
		    h->memfd == -1 ? "" : " (what was read before is kept)");
		free(error);
		return false;
	}
	if (h->memfd != -1)
		close(h->memfd);
	*h = lens;
	return true;
}

/* As its users will use it.  The error, allocated, names the files. */
static char *
try_out(const struct held *h, const struct pki *k)
{
	const struct pki *list[] = { k };
	struct tlsctx *x;
	char *error = NULL;

	if (k->key.len > 0)
		x = keyring_server(
		    &(struct keyring_server){
			.pki = list, .n_pki = 1, .verify = k->ca.len > 0 ? &k->ca : NULL },
		    &error);
	else
		x = keyring_client(&(struct keyring_client){ .verify = &k->ca }, &error);
	if (x != NULL) {
		tlsctx_drop(x);
		return NULL;
	}
	char *whole = k->key.len > 0 ? xasprintf("%s with %s: %s", h->certificate, h->key, error)
				     : xasprintf("%s: %s", h->ca, error);
	free(error);
	return whole;
}

/* Ciphers and protocols, which only libtls knows. */
static bool
check_listeners(const struct conf *conf, struct text *errors)
{
	const struct conf_listener *l;
	bool good = true;

	STAILQ_FOREACH(l, &conf->listeners, entry) {
		char *error = NULL;
		if (l->tls == TLS_NONE || (l->ciphers == NULL && l->protocols == NULL))
			continue;
		struct tlsctx *x = keyring_client(
		    &(struct keyring_client){ .ciphers = l->ciphers, .protocols = l->protocols },
		    &error);
		if (x == NULL)
			text_putf(errors, "%s:%u: %s\n", l->file, l->line, error);
		good = good && x != NULL;
		tlsctx_drop(x);
		free(error);
	}
	return good;
}
