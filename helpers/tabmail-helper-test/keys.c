/*
 * The tests of keys: what is there, what is not, and what no one expected.  Called by main.c through
 * list.c.  Whatever the key, the answer is a line with the question's id; only where the protocol leaves
 * no choice is more asked for.
 */
#include "local.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A service that is matched by the key alone: a match of another key is a mistake. */
static bool
is_exact(enum tab_service s)
{
	return s == TAB_ALIAS || s == TAB_CREDENTIALS || s == TAB_USERINFO ||
	       s == TAB_MAILADDRMAP || s == TAB_AUTH;
}

/* Asks every lookup and check with the key, one by one. */
static void
ask_all(struct report *r, struct talk *t, const char *key, const char *advice)
{
	for (int i = 0; i < TAB_SERVICE_MAX && !r->bad; i++)
		for (enum tab_op op = TAB_CHECK; op <= TAB_LOOKUP && !r->bad; op++) {
			if (!talk_offers(t, op, (enum tab_service)i))
				continue;
			const struct asked *a = talk_ask(t, op, (enum tab_service)i, NULL, key);
			if (!talk_wait(t, options.secs))
				report_silence(r, t, a->line, advice);
		}
}

static void
ask_each(struct report *r, const char *const *keys, size_t n, const char *advice)
{
	struct talk *t = list_begin(r, 0);

	if (t == NULL)
		return;
	for (size_t i = 0; i < n && !r->bad; i++)
		ask_all(r, t, keys[i], advice);
	list_end(r, t);
}
#define EACH(r, keys, advice) ask_each((r), (keys), sizeof(keys) / sizeof((keys)[0]), (advice))

void
keys_unknown(struct report *r)
{
	struct talk *t = list_begin(r, 0);
	char key[100];

	if (t == NULL)
		return;
	for (int i = 0; i < TAB_SERVICE_MAX && !r->bad; i++) {
		enum tab_service s = (enum tab_service)i;
		for (enum tab_op op = TAB_CHECK; op <= TAB_LOOKUP && !r->bad; op++) {
			/* a helper may have the relayhosts for fetch only */
			if (!talk_offers(t, op, s) || s == TAB_RELAYHOST)
				continue;
			const struct asked *a =
			    talk_ask(t, op, s, NULL, talk_key(s, 230, key, sizeof(key)));
			if (!talk_wait(t, options.secs))
				report_silence(r, t, a->line, "answer not-found");
			else if (a->answer == TAB_ERROR)
				report_bad(r, a->line, a->reply,
				    "not-found means that there is none; error means that it "
				    "cannot be"
				    " known now, and mail waits for days because of it; is its data"
				    " out of reach just now?");
			else if (a->answer == TAB_FOUND)
				report_note(r, "%s: %s is found: it takes everything?",
				    tab_service_name(s), key);
		}
	}
	list_end(r, t);
}

static void
fetch_until(struct report *r, struct talk *t, const struct known *k)
{
	const struct asked *a = NULL;

	for (int i = 0; i < 100; i++) {
		a = talk_ask_known(t, k);
		if (!talk_wait(t, options.secs)) {
			report_silence(r, t, a->line, "answer each fetch with the next value");
			return;
		}
		if (a->answer == TAB_FOUND && strcmp(a->value, k->value) == 0)
			return;
		if (a->answer != TAB_FOUND)
			break;
	}
	report_bad(r, a->line, a->reply,
	    "the value of -s is not among the first hundred that are fetched");
}

void
keys_known(struct report *r, struct known *k)
{
	struct talk *t = list_begin(r, 0);
	char advice[TAB_KEY_MAX + 200];

	if (t == NULL)
		return;
	if ((t->services & 1u << k->service) == 0) {
		report_bad(
		    r, NULL, NULL, "register the service that -s names, or leave the -s out");
	} else if (k->op == TAB_FETCH)
		fetch_until(r, t, k);
	else {
		const struct asked *a = talk_ask_known(t, k);
		snprintf(advice, sizeof(advice), "by -s the answer is found%s%s",
		    k->op == TAB_LOOKUP ? "|" : "", k->value);
		if (!talk_wait(t, options.secs))
			report_silence(r, t, a->line, advice);
		else if (a->answer != TAB_FOUND || strcmp(a->value, k->value) != 0)
			report_bad(r, a->line, a->reply, advice);
	}
	k->wrong = r->bad;
	list_end(r, t);
}

static void
swap_case(char *s)
{
	for (; *s != '\0'; s++)
		*s = (char)(isupper((unsigned char)*s) ? tolower((unsigned char)*s)
						       : toupper((unsigned char)*s));
}

/* The first -s of an operation and, unless TAB_SERVICE_MAX, of a service. */
static const struct known *
known_of(enum tab_op op, enum tab_service service)
{
	for (size_t i = 0; i < options.n_known; i++) {
		const struct known *k = &options.known[i];
		if (k->op == op && (k->service == service ||
				       (service == TAB_SERVICE_MAX && k->service != TAB_AUTH)))
			return k;
	}
	return NULL;
}

void
keys_case(struct report *r)
{
	const struct known *k = known_of(TAB_LOOKUP, TAB_SERVICE_MAX);

	if (k == NULL)
		k = known_of(TAB_CHECK, TAB_SERVICE_MAX);
	if (k == NULL) {
		report_skip(r, "no -s of a lookup or check was given");
		return;
	}
	struct talk *t = list_begin(r, 0);
	if (t == NULL)
		return;
	char *key = strdup(k->key);
	if (key == NULL)
		abort();
	swap_case(key);
	const struct asked *a = talk_ask(t, k->op, k->service, NULL, key);
	if (!talk_wait(t, options.secs))
		report_silence(r, t, a->line, "keys come in lower case; this one is only a trial");
	else if (a->answer != TAB_FOUND)
		report_note(
		    r, "it does not: tabmail asks in lower case, so the data must have it so, too");
	free(key);
	list_end(r, t);
}

void
keys_password_case(struct report *r)
{
	const struct known *k = known_of(TAB_CHECK, TAB_AUTH);
	char *password;

	if (k == NULL || (password = strchr(k->key, ':')) == NULL) {
		report_skip(r, "no -s auth:user:password was given");
		return;
	}
	struct talk *t = list_begin(r, 0);
	if (t == NULL)
		return;
	char *key = strdup(k->key);
	if (key == NULL)
		abort();
	swap_case(key + (password - k->key));
	if (strcmp(key, k->key) == 0)
		report_skip(r, "the password of -s has no letters");
	else {
		const struct asked *a = talk_ask(t, TAB_CHECK, TAB_AUTH, NULL, key);
		if (!talk_wait(t, options.secs))
			report_silence(r, t, a->line, "answer not-found to a wrong password");
		else if (a->answer == TAB_FOUND)
			report_bad(r, a->line, a->reply,
			    "compare passwords with their case; only the user's name has none");
	}
	free(key);
	list_end(r, t);
}

/* Whether the helper finds that key: -1 when it does not answer. */
static int
finds(struct report *r, struct talk *t, const struct known *k, const char *tail, char **value)
{
	char *key = NULL;

	if (asprintf(&key, "%s%s", k->key, tail) == -1)
		abort();
	const struct asked *a = talk_ask(t, k->op, k->service, NULL, key);
	free(key);
	if (!talk_wait(t, options.secs)) {
		report_silence(r, t, a->line, "answer every key, whatever is in it");
		return -1;
	}
	*value = a->value;
	return a->answer == TAB_FOUND;
}

void
keys_bar(struct report *r)
{
	static const char *const keys[] = { "a|b", "|", "||x|", "found|x" };
	static const char advice[] =
	    "the key is the rest of the line: split at the first seven |, no"
	    " further";
	struct talk *t = list_begin(r, 0);
	char *value = NULL;

	if (t == NULL)
		return;
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]) && !r->bad; i++)
		ask_all(r, t, keys[i], advice);
	/* A helper that finds KEYx finds much, and says nothing about KEY|x. */
	for (size_t i = 0; i < options.n_known && !r->bad; i++) {
		const struct known *k = &options.known[i];
		if (!is_exact(k->service) || k->op == TAB_FETCH || finds(r, t, k, "x", &value) != 0)
			continue;
		if (finds(r, t, k, "|x", &value) == 1) {
			const struct asked *a = t->asked[t->n_asked - 1];
			report_bad(r, a->line, a->reply, advice);
		}
	}
	list_end(r, t);
}

void
keys_spaces(struct report *r)
{
	static const char *const keys[] = { "a b", " a", "a ", " ", "a\tb", "a  b  c" };

	EACH(r, keys,
	    "a key may hold spaces: split the line at | only, and trim nothing but its LF");
}

void
keys_utf8(struct report *r)
{
	static const char *const keys[] = { "j\xc3\xbcrgen", "j\xc3\xbcrgen@ex\xc3\xa4mple.org",
		"\xe6\x97\xa5\xe6\x9c\xac@\xe4\xbe\x8b\xe3\x81\x88.\xe3\x83\x86",
		"\xf0\x9f\x93\xab@example.org" };

	EACH(r, keys, "read and write bytes, or declare UTF-8 for both standard streams");
}

void
keys_bytes(struct report *r)
{
	static const char *const keys[] = { "\xff\xfe", "a\x80", "\xc3", "\x01\x02\x7f",
		"\xed\xa0\x80" };

	EACH(r, keys,
	    "clients send any bytes: a key that is no UTF-8 is answered not-found or error, and "
	    "ends"
	    " nothing (in Python: errors='surrogateescape')");
}

void
keys_meta(struct report *r)
{
	static const char *const keys[] = { "*", "%", "_", "?", ".*", "'or'1'='1", "\"or\"\"=\"",
		"';--", "*)(uid=*", "a)(|(uid=*", "\\2a", "\\", "$(id)", "`id`", "%s%n",
		"../../etc/passwd", "a,ou=admin", "x\\'y" };
	static const char advice[] = "quote the key for whatever it is put into, or use bound "
				     "parameters: here it means itself";
	struct talk *t = list_begin(r, 0);
	char key[100];

	if (t == NULL)
		return;
	for (int i = 0; i < TAB_SERVICE_MAX && !r->bad; i++) {
		enum tab_service s = (enum tab_service)i;
		enum tab_op op = talk_offers(t, TAB_LOOKUP, s) ? TAB_LOOKUP : TAB_CHECK;
		if (!talk_offers(t, op, s))
			continue;
		const struct asked *all =
		    talk_ask(t, op, s, NULL, talk_key(s, 77, key, sizeof(key)));
		if (!talk_wait(t, options.secs)) {
			report_silence(r, t, all->line, "answer not-found");
			break;
		}
		bool exact = is_exact(s) && all->answer != TAB_FOUND;
		for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]) && !r->bad; k++) {
			const struct asked *a = talk_ask(t, op, s, NULL, keys[k]);
			if (!talk_wait(t, options.secs))
				report_silence(r, t, a->line, advice);
			else if (exact && a->answer == TAB_FOUND &&
				 !(s == TAB_ALIAS && strcmp(keys[k], "*") == 0))
				report_bad(r, a->line, a->reply, advice);
		}
	}
	list_end(r, t);
}

void
keys_long(struct report *r)
{
	char key[4001];
	const char *const keys[] = { key, key + 3000, key + 3745 };

	memset(key, 'k', sizeof(key) - 1);
	key[sizeof(key) - 1] = '\0';
	EACH(r, keys,
	    "a line has up to 65536 bytes: read into a buffer that grows, or is that large");
}

void
keys_empty(struct report *r)
{
	static const char *const keys[] = { "" };

	EACH(r, keys,
	    "the key may be empty, as the local part of <> is: the line ends with a | then; keep "
	    "empty"
	    " fields when splitting, and answer not-found");
}
