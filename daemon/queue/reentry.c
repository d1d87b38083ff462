/*
 * Tokens for mail that goes to a proxy on this host, which hands it back on a listener with `reentry`:
 * only what carries one is taken there, so an address and a port are not enough to be taken for
 * signed mail.
 *
 * A token is the message's id, the time, and a MAC of both.  Its key stands in the spool, for mail may
 * come back after a restart; smtp, which faces the Internet, only passes tokens on and could make none.
 * One that is known serves until it is old: a proxy may hand one message back in several.
 */
#include "local.h"
#include "clock.h"
#include "conf.h"
#include "log.h"
#include "passage.h"
#include "tab.h"
#include "text.h"

#include <bsd/stdlib.h>
#include <bsd/string.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KEY_LEN   32
#define MAC_LEN   16                  /* bytes of it that are said */
#define OLD_SEC   (14 * 24 * 60 * 60) /* a proxy has its own queue, and time to empty it */
#define AHEAD_SEC (60 * 60)           /* a clock may have been set back */

static unsigned char key[KEY_LEN];
static char **actions; /* canonical texts of those that lead to a proxy */
static size_t n_actions;

/* Only what leads to servers on this host, and to no other. */
static void
add_action(const struct conf_action *a)
{
	if (!conf_action_is_proxy(a))
		return;
	actions = xrealloc(actions, n_actions + 1, sizeof(*actions));
	actions[n_actions++] = conf_action_text(a);
}

/* The key of an earlier start, or a new one. */
static const char *
load_key(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd != -1) {
		ssize_t n = read(fd, key, KEY_LEN);
		close(fd);
		return n == KEY_LEN ? NULL : "it is damaged; without it a new one will be made";
	}
	if (errno != ENOENT)
		return strerror(errno);
	arc4random_buf(key, KEY_LEN);
	char *new = xasprintf("%s.new", path);
	unlink(new);
	fd = open(new, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	bool good = fd != -1 && write(fd, key, KEY_LEN) == KEY_LEN && fsync(fd) == 0 &&
		    rename(new, path) == 0;
	int error = errno;
	if (fd != -1)
		close(fd);
	free(new);
	return good ? NULL : strerror(error);
}

void
reentry_start(void)
{
	const struct conf_listener *l;
	const struct conf_rule *r;
	bool wanted = false;

	STAILQ_FOREACH(l, &process.conf->listeners, entry)
		wanted = wanted || l->reentry;
	if (!wanted)
		return;
	char *path =
	    xasprintf("%s/reentry.key", strcmp(queue_folder, "/") == 0 ? "" : queue_folder);
	const char *wrong = load_key(path);
	if (wrong != NULL)
		log_fatal("%s: %s", path, wrong);
	free(path);
	STAILQ_FOREACH(r, &process.conf->rules, entry)
		add_action(&r->action);
}

/* HMAC-SHA256 (RFC 2104), the first half of it in hex. */
static void
make_mac(const char *text, char mac[2 * MAC_LEN + 1])
{
	unsigned char pad[SHA256_BLOCK_LENGTH], sum[SHA256_DIGEST_LENGTH];
	SHA2_CTX c;

	for (int outer = 0; outer < 2; outer++) {
		memset(pad, outer ? 0x5c : 0x36, sizeof(pad));
		for (size_t i = 0; i < KEY_LEN; i++)
			pad[i] ^= key[i];
		SHA256Init(&c);
		SHA256Update(&c, pad, sizeof(pad));
		if (outer)
			SHA256Update(&c, sum, sizeof(sum));
		else
			SHA256Update(&c, (const uint8_t *)text, strlen(text));
		SHA256Final(sum, &c);
	}
	for (size_t i = 0; i < MAC_LEN; i++)
		snprintf(mac + 2 * i, 3, "%02x", sum[i]);
}

/* Whether a listener that demands a token waits for it: not the one that it came by. */
static bool
comes_back(const char *tag)
{
	const struct conf_listener *l;

	STAILQ_FOREACH(l, &process.conf->listeners, entry)
		if (l->reentry && strcmp(l->tag, tag) != 0)
			return true;
	return false;
}

void
reentry_put(struct text *t, const struct message *m, const char *action)
{
	char body[40], mac[2 * MAC_LEN + 1], token[PASSAGE_TOKEN_LEN], date[64];
	int64_t now = clock_wall_sec();
	size_t i = 0;

	while (i < n_actions && strcmp(actions[i], action) != 0)
		i++;
	if (i == n_actions || !comes_back(m->d.tag))
		return;
	snprintf(body, sizeof(body), "%012" PRIx64 ".%" PRIx64, m->d.id, now);
	make_mac(body, mac);
	snprintf(token, sizeof(token), "%s.%s", body, mac);
	passage_put_token(t, process.conf->hostname, token, clock_rfc5322(now, date, sizeof(date)));
}

bool
reentry_check(const char *token)
{
	char body[40], mac[2 * MAC_LEN + 1];
	unsigned long long id, at;
	const char *dot = strrchr(token, '.');
	int end = 0;

	if (dot == NULL || (size_t)(dot - token) >= sizeof(body) || strlen(dot + 1) != 2 * MAC_LEN)
		return false;
	strlcpy(body, token, (size_t)(dot - token) + 1);
	make_mac(body, mac);
	if (!tab_same_secret(mac, dot + 1))
		return false;
	if (sscanf(body, "%12llx.%llx%n", &id, &at, &end) != 2 || body[end] != '\0')
		return false;
	int64_t age = clock_wall_sec() - (int64_t)at;
	return age < OLD_SEC && age > -AHEAD_SEC;
}
