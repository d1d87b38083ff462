/*
 * What is known only when the whole configuration is read: names of tables and pki, defaults, the
 * canonical text of rules.  Called once by conf_parse(); warnings, by who starts or checks.
 */
#include "local.h"

#include "addr.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>
#include <unistd.h>

const char *
check_name(const char *name)
{
	if (*name == '\0')
		return "it is empty";
	if (strlen(name) > 64)
		return "it is longer than 64 bytes";
	for (const char *s = name; *s != '\0'; s++)
		if (!isalnum((unsigned char)*s) && strchr("._-", *s) == NULL)
			return "letters, digits, \".\", \"_\" and \"-\" only";
	if (!isalnum((unsigned char)*name) && *name != '_')
		return "it must begin with a letter or digit";
	return NULL;
}

bool
check_path(struct parser *p, const struct loc *loc, const char *what, const char *path)
{
	char shown[FAULT_SHOWN_LEN];

	if (path[0] != '/')
		fail(p, loc, "%s: \"%s\" is not a path that begins with \"/\"", what,
		    fault_shown(path, shown));
	else if (strlen(path) > 1000)
		fail(p, loc, "%s: the path is too long", what);
	else if (strcmp(what, "socket") == 0 &&
		 strlen(path) >=
		     sizeof(((struct sockaddr_un *)NULL)->sun_path) - sizeof("/submit.sock"))
		fail(p, loc, "socket: the path is too long for a socket");
	else
		return true;
	return false;
}

static void
find_table(struct parser *p, struct ref *ref)
{
	struct conf *c = p->conf;
	const struct conf_table *t;
	struct nearest nearest = { 0 };
	char shown[FAULT_SHOWN_LEN];

	if ((*ref->table = conf_table_named(c, ref->name)) != NULL)
		return;
	STAILQ_FOREACH(t, &c->tables, entry)
		if (t->name[0] != '<')
			fault_nearer(&nearest, ref->name, t->name);
	fault_shown(ref->name, shown);
	if (nearest.word != NULL)
		fail(p, &ref->loc, "table \"%s\" is not declared; did you mean \"%s\"?", shown,
		    nearest.word);
	else
		fail(p, &ref->loc, "table \"%s\" is not declared", shown);
}

static void
find_pki(struct parser *p, struct ref *ref)
{
	struct conf_pki *k, *found = NULL;
	char shown[FAULT_SHOWN_LEN];

	STAILQ_FOREACH(k, &p->conf->pkis, entry)
		if (strcmp(k->name, ref->name) == 0)
			found = k;
	if (ref->pki != NULL)
		*ref->pki = found;
	if (found != NULL && ref->for_server && found->key == NULL)
		fail(p, &ref->loc, "pki \"%s\" has no certificate to show",
		    fault_shown(ref->name, shown));
	if (found == NULL)
		fail(p, &ref->loc, "pki \"%s\" is not declared", fault_shown(ref->name, shown));
}

bool
check_protocols(const char *list)
{
	static const char *const words[] = { "tlsv1.0", "tlsv1.1", "tlsv1.2", "tlsv1.3", "tlsv1",
		"all", "legacy", "default", "secure" };
	size_t len, n = 0;

	for (const char *s = list;; s += len + 1) {
		bool known = false;
		s += *s == '!';
		len = strcspn(s, ",:");
		for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
			known = known ||
				(strlen(words[i]) == len && strncasecmp(s, words[i], len) == 0);
		if (!known || ++n > 16)
			return false;
		if (s[len] == '\0')
			return true;
	}
}

/*
 * A listener that names none shows the pki that has its host's name, and any other with a key to
 * who asks for its name; with no pki at all parent looks for the host's certificate.
 */
static void
choose_pki(struct conf *c, struct conf_listener *l)
{
	const char *host = l->hostname != NULL ? l->hostname : c->hostname;
	struct conf_pki *k;

	for (int own = 1; own >= 0; own--)
		STAILQ_FOREACH(k, &c->pkis, entry)
			if (k->key != NULL && (strcasecmp(k->name, host) == 0) == (own == 1) &&
			    l->n_pki < CONF_PKI_MAX)
				l->pki[l->n_pki++] = k;
}

static void
choose_all_pki(struct conf *c)
{
	struct conf_listener *l;

	STAILQ_FOREACH(l, &c->listeners, entry)
		if (l->tls != TLS_NONE && l->n_pki == 0)
			choose_pki(c, l);
}

static char *
read_mailname(void)
{
	char line[256];
	FILE *f = fopen("/etc/mailname", "re");

	if (f == NULL)
		return NULL;
	char *got = fgets(line, sizeof(line), f);
	fclose(f);
	if (got == NULL)
		return NULL;
	line[strcspn(line, " \t\r\n")] = '\0';
	return addr_is_domain(line) ? xstrdup(line) : NULL;
}

char *
check_own_name(void)
{
	char host[256] = "";
	char *name = read_mailname();

	if (name != NULL)
		return name;
	if (gethostname(host, sizeof(host) - 1) == -1 || !addr_is_domain(host))
		return xstrdup("localhost");
	return xstrdup(host);
}

static void
set_default(char **field, const char *value)
{
	if (*field == NULL)
		*field = xstrdup(value);
}

static void
set_defaults(struct parser *p)
{
	struct conf *c = p->conf;

	if (c->hostname == NULL)
		c->hostname = p->lex.hostname != NULL ? xstrdup(p->lex.hostname) : check_own_name();
	set_default(&c->spool, "/var/spool/tabmail");
	set_default(&c->socket, "/run/tabmail/control.sock");
	set_default(&c->helpers, LIBEXEC);
	if (c->n_listeners == 0) {
		struct conf_listener *l = xcalloc(1, sizeof(*l));
		l->where = xstrdup("localhost");
		l->port = 25;
		l->index = c->n_listeners++;
		STAILQ_INSERT_TAIL(&c->listeners, l, entry);
	}
}

static bool
is_for_a_system_user(const struct conf_rule *r)
{
	if (r->action.as_user != NULL)
		return true;
	switch (r->action.kind) {
	case ACTION_MAILDIR:
	case ACTION_MBOX:
	case ACTION_MDA: return r->userbase == NULL;
	case ACTION_FORWARD_ONLY:
	case ACTION_NONE:
	case ACTION_LMTP:
	case ACTION_RELAY: return false;
	}
	return false;
}

/* The system's users are a table like others: getpwnam(3) may block, so a helper asks it. */
static void
add_system_users(struct conf *c)
{
	const struct conf_rule *r;

	STAILQ_FOREACH(r, &c->rules, entry)
		if (is_for_a_system_user(r) && c->system_users == NULL) {
			c->system_users = model_new_table(xstrdup("<getpwnam>"), 0);
			c->system_users->type = xstrdup("getpwnam");
			c->system_users->arg = xstrdup("");
			c->system_users->is_static = false;
			c->system_users->index = c->n_tables++;
			STAILQ_INSERT_TAIL(&c->tables, c->system_users, entry);
		}
}

/* A listener that takes logins and names no table: the system's users, by PAM, which may block. */
static void
add_system_auth(struct conf *c)
{
	const struct conf_listener *l;

	STAILQ_FOREACH(l, &c->listeners, entry)
		if (l->auth != AUTH_NONE && l->auth_table == NULL && c->system_auth == NULL) {
			c->system_auth = model_new_table(xstrdup("<pam>"), 0);
			c->system_auth->type = xstrdup("pam");
			c->system_auth->arg = xstrdup("");
			c->system_auth->index = c->n_tables++;
			STAILQ_INSERT_TAIL(&c->tables, c->system_auth, entry);
		}
}

const char *
conf_warning(const struct conf *c)
{
	static char text[400];
	const struct conf_rule *r;
	bool accepts = false, relays = false;

	STAILQ_FOREACH(r, &c->rules, entry) {
		accepts = accepts || !r->reject;
		relays = relays || (r->action.kind == ACTION_RELAY && r->action.arg == NULL &&
				       r->action.hostname == NULL);
	}
	if (!accepts)
		return "there is no rule that begins with \"accept\": all mail is refused";
	if (!relays || strchr(c->hostname, '.') != NULL)
		return NULL;
	snprintf(text, sizeof(text),
	    "this host calls itself \"%s\", and others may refuse its mail; name it: hostname "
	    "mail.example.org",
	    c->hostname);
	return text;
}

void
check_all(struct parser *p)
{
	struct conf_rule *r;

	for (struct ref *ref = p->all_refs; ref != NULL; ref = ref->next)
		if (ref->table != NULL)
			find_table(p, ref);
		else
			find_pki(p, ref);
	limiting_check(p);
	listening_check(p);
	set_defaults(p);
	choose_all_pki(p->conf);
	if (p->faults.n != 0)
		return;
	add_system_users(p->conf);
	add_system_auth(p->conf);
	STAILQ_FOREACH(r, &p->conf->rules, entry)
		r->text = canon_rule(r);
}
