/*
 * The list of table-source as it is written, line by line:
 *
 *	192.0.2.1 weight=3 helo=mx1.example.org
 *	2001:db8::1
 *	interface eth0
 *	192.0.2.9 sender=@shop.example sender=ann@example.org to=*.example.net user=ann
 *
 * Called by load.c.  Pure.  A line that is not understood is an error, never skipped.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "local.h"

#define PATTERNS_MAX 64 /* of a line */

static const char *take_option(struct line *, char *word);

bool
lines_address(const char *text, char out[64], enum family *family)
{
	static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };
	unsigned char addr[16];
	char plain[64];
	size_t len = strlen(text);

	if (len >= 2 && len < sizeof(plain) && text[0] == '[' && text[len - 1] == ']') {
		if (strncasecmp(text, "[IPv6:", 6) == 0)
			text += 5;
		snprintf(plain, sizeof(plain), "%.*s", (int)(strlen(text) - 2), text + 1);
		text = plain;
	}
	*family = strchr(text, ':') != NULL ? FAMILY_INET6 : FAMILY_INET4;
	int af = *family == FAMILY_INET6 ? AF_INET6 : AF_INET;
	if (inet_pton(af, text, addr) != 1)
		return false;
	if (af == AF_INET6 && memcmp(addr, mapped, 12) == 0)
		return false;
	/* 0.0.0.0, multicast, broadcast; ::, ff00::/8, fe80::/10, which needs to be told a link */
	if (af == AF_INET && (addr[0] == 0 || addr[0] >= 224))
		return false;
	if (af == AF_INET6 && (addr[0] == 0xff || (addr[0] == 0xfe && (addr[1] & 0xc0) == 0x80) ||
				  memcmp(addr, (unsigned char[16]){ 0 }, 16) == 0))
		return false;
	return inet_ntop(af, addr, out, 64) != NULL;
}

static char *
next_word(char **rest)
{
	char *word = *rest + strspn(*rest, " \t");

	if (*word == '\0')
		return NULL;
	char *end = word + strcspn(word, " \t");
	*rest = *end == '\0' ? end : end + 1;
	*end = '\0';
	return word;
}

/* In canonical form, so that it is found whatever it was written like. */
static const char *
take_name(struct line *l, char **rest)
{
	char *word = next_word(rest), text[64];

	if (strcmp(word, "interface") == 0) {
		word = next_word(rest);
		if (word == NULL || strchr(word, '=') != NULL)
			return "\"interface\" wants a name";
		if (strlen(word) >= IF_NAMESIZE)
			return "the interface's name is too long";
		l->is_interface = true;
	} else {
		if (!lines_address(word, text, &l->family))
			return "not an address to send from, nor \"interface NAME\"";
		word = text;
	}
	l->name = strdup(word);
	return l->name == NULL ? "out of memory" : NULL;
}

static const char *
read_line(struct line *l, char *text)
{
	const char *wrong = take_name(l, &text);
	char *word;

	while (wrong == NULL && (word = next_word(&text)) != NULL)
		wrong = take_option(l, word);
	return wrong;
}

static bool
is_host_name(const char *s)
{
	size_t len = strlen(s);

	if (len == 0 || len > 253 || *s == '.' || *s == '-' || strstr(s, "..") != NULL)
		return false;
	for (; *s != '\0'; s++)
		if (!isalnum((unsigned char)*s) && strchr("-._[]:", *s) == NULL)
			return false;
	return true;
}

static const char *
add_pattern(struct line *l, enum fact fact, const char *text)
{
	if (*text == '\0')
		return "an empty pattern";
	if (l->n_patterns == PATTERNS_MAX)
		return "more than 64 patterns";
	struct pattern *more = reallocarray(l->patterns, l->n_patterns + 1, sizeof(*more));
	char *copy = strdup(text);
	if (more != NULL)
		l->patterns = more;
	if (more == NULL || copy == NULL) {
		free(copy);
		return "out of memory";
	}
	for (char *c = copy; *c != '\0'; c++)
		*c = (char)tolower((unsigned char)*c);
	l->patterns[l->n_patterns++] = (struct pattern){ .fact = fact, .text = copy };
	return NULL;
}

static const char *
take_option(struct line *l, char *word)
{
	static const char *const facts[FACT_MAX] = {
		[FACT_SENDER] = "sender",
		[FACT_TO] = "to",
		[FACT_USER] = "user",
	};
	char *value = strchr(word, '='), *end;

	if (value == NULL)
		return "behind the address stand weight=, helo=, sender=, to= and user=";
	*value++ = '\0';
	for (int i = 0; i < FACT_MAX; i++)
		if (strcmp(word, facts[i]) == 0)
			return add_pattern(l, (enum fact)i, value);
	if (strcmp(word, "weight") == 0) {
		long n = strtol(value, &end, 10);
		if (l->weight != 0)
			return "\"weight\" is given twice";
		if (*end != '\0' || !isdigit((unsigned char)*value) || n < 1 || n > WEIGHT_MAX)
			return "weight: a number from 1 to 100";
		l->weight = (unsigned)n;
		return NULL;
	}
	if (strcmp(word, "helo") == 0) {
		if (l->helo != NULL)
			return "\"helo\" is given twice";
		if (!is_host_name(value))
			return "helo: not a host name";
		l->helo = strdup(value);
		return l->helo == NULL ? "out of memory" : NULL;
	}
	return "no such option: weight=, helo=, sender=, to= and user= are known";
}

static void
free_line(struct line *l)
{
	for (size_t i = 0; i < l->n_patterns; i++)
		free(l->patterns[i].text);
	free(l->patterns);
	free(l->name);
	free(l->helo);
}

const char *
lines_add(struct lines *all, char *text, char error[ERROR_LEN])
{
	struct line l = { 0 };

	for (char *c = text; *c != '\0'; c++)
		if ((unsigned char)*c < ' ' && *c != '\t')
			return "a control character";
	text[strcspn(text, "#")] = '\0';
	if (text[strspn(text, " \t")] == '\0')
		return NULL;
	const char *wrong = all->n == LINES_MAX ? "more than 4096 lines" : read_line(&l, text);
	if (wrong == NULL) {
		struct line *more = reallocarray(all->lines, all->n + 1, sizeof(l));
		if (more != NULL) {
			if (l.weight == 0)
				l.weight = 1;
			all->lines = more;
			all->lines[all->n++] = l;
			return NULL;
		}
		wrong = "out of memory";
	}
	snprintf(error, ERROR_LEN, "%s", wrong);
	free_line(&l);
	return error;
}

void
lines_free(struct lines *all)
{
	if (all == NULL)
		return;
	for (size_t i = 0; i < all->n; i++)
		free_line(&all->lines[i]);
	free(all->lines);
	free(all);
}
