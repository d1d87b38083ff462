/*
 * The words of the grammar.  A word that begins a statement ends an unclosed list when it begins a
 * line.  Called by lex.c and parse.y.
 */
#include "local.h"
#include "parse.h"

#include <string.h>

static const struct {
	const char *word;
	int token;
	bool begins;
} keywords[] = {
	{ "accept", CONFYY_ACCEPT, true },
	{ "reject", CONFYY_REJECT, true },
	{ "table", CONFYY_TABLE, true },
	{ "listen", CONFYY_LISTEN, true },
	{ "pki", CONFYY_PKI, true },
	{ "hostname", CONFYY_HOSTNAME, true },
	{ "spool", CONFYY_SPOOL, true },
	{ "socket", CONFYY_SOCKET, true },
	{ "helpers", CONFYY_HELPERS, true },
	{ "resolver", CONFYY_RESOLVER, true },
	{ "dane", CONFYY_DANE, true },
	{ "trust-anchor", CONFYY_TRUST_ANCHOR, true },
	{ "no-dnssec", CONFYY_NO_DNSSEC, true },
	{ "first-uid", CONFYY_FIRST_UID, true },
	{ "smtp", CONFYY_SMTP, true },
	{ "limit", CONFYY_LIMIT, true },
	{ "bounce-warn", CONFYY_BOUNCE_WARN, true },
	{ "bounce-cleared", CONFYY_BOUNCE_CLEARED, true },
	{ "double-bounce", CONFYY_DOUBLE_BOUNCE, true },
	{ "retry", CONFYY_RETRY, true },
	{ "expire", CONFYY_EXPIRE, true },
	{ "max-message-size", CONFYY_MAX_MESSAGE_SIZE, true },
	{ "max-hops", CONFYY_MAX_HOPS, true },
	{ "spool-free", CONFYY_SPOOL_FREE, true },
	{ "include", CONFYY_INCLUDE, true },
	{ "processes", CONFYY_PROCESSES, false },
	{ "sessions", CONFYY_SESSIONS, false },
	{ "recipients", CONFYY_RECIPIENTS, false },
	{ "relay-connections", CONFYY_RELAY_CONNECTIONS, false },
	{ "deliveries", CONFYY_DELIVERIES, false },
	{ "route-deliveries", CONFYY_ROUTE_DELIVERIES, false },
	{ "all-deliveries", CONFYY_ALL_DELIVERIES, false },
	{ "command", CONFYY_COMMAND, false },
	{ "max-pending", CONFYY_MAX_PENDING, false },
	{ "timeout", CONFYY_TIMEOUT, false },
	{ "cache", CONFYY_CACHE, false },
	{ "negative", CONFYY_NEGATIVE, false },
	{ "stale", CONFYY_STALE, false },
	{ "user", CONFYY_USER, false },
	{ "certificate", CONFYY_CERTIFICATE, false },
	{ "key", CONFYY_KEY, false },
	{ "ca", CONFYY_CA, false },
	{ "ciphers", CONFYY_CIPHERS, false },
	{ "protocols", CONFYY_PROTOCOLS, false },
	{ "on", CONFYY_ON, false },
	{ "inet4", CONFYY_INET4, false },
	{ "inet6", CONFYY_INET6, false },
	{ "port", CONFYY_PORT, false },
	{ "tls", CONFYY_TLS, false },
	{ "tls-require", CONFYY_TLS_REQUIRE, false },
	{ "verify", CONFYY_VERIFY, false },
	{ "smtps", CONFYY_SMTPS, false },
	{ "auth", CONFYY_AUTH, false },
	{ "auth-optional", CONFYY_AUTH_OPTIONAL, false },
	{ "tag", CONFYY_TAG, false },
	{ "hostnames", CONFYY_HOSTNAMES, false },
	{ "senders", CONFYY_SENDERS, false },
	{ "masquerade", CONFYY_MASQUERADE, false },
	{ "mask-source", CONFYY_MASK_SOURCE, false },
	{ "received-auth", CONFYY_RECEIVED_AUTH, false },
	{ "no-dsn", CONFYY_NO_DSN, false },
	{ "reentry", CONFYY_REENTRY, false },
	{ "proxy-v2", CONFYY_PROXY_V2, false },
	{ "xclient", CONFYY_XCLIENT, false },
	{ "tagged", CONFYY_TAGGED, false },
	{ "authenticated", CONFYY_AUTHENTICATED, false },
	{ "from", CONFYY_FROM, false },
	{ "any", CONFYY_ANY, false },
	{ "local", CONFYY_LOCAL, false },
	{ "source", CONFYY_SOURCE, false },
	{ "sender", CONFYY_SENDER, false },
	{ "for", CONFYY_FOR, false },
	{ "domain", CONFYY_DOMAIN, false },
	{ "alias", CONFYY_ALIAS, false },
	{ "virtual", CONFYY_VIRTUAL, false },
	{ "recipient", CONFYY_RECIPIENT, false },
	{ "userbase", CONFYY_USERBASE, false },
	{ "forward-only", CONFYY_FORWARD_ONLY, false },
	{ "deliver", CONFYY_DELIVER, false },
	{ "to", CONFYY_TO, false },
	{ "maildir", CONFYY_MAILDIR, false },
	{ "mbox", CONFYY_MBOX, false },
	{ "mda", CONFYY_MDA, false },
	{ "as", CONFYY_AS, false },
	{ "lmtp", CONFYY_LMTP, false },
	{ "rcpt-to", CONFYY_RCPT_TO, false },
	{ "relay", CONFYY_RELAY, false },
	{ "via", CONFYY_VIA, false },
	{ "backup", CONFYY_BACKUP, false },
	{ "relayhost", CONFYY_RELAYHOST, false },
	{ "connections", CONFYY_CONNECTIONS, false },
	{ "messages", CONFYY_MESSAGES, false },
	{ "rate", CONFYY_RATE, false },
	{ "family", CONFYY_FAMILY, false },
};

#define N (sizeof(keywords) / sizeof(keywords[0]))

int
keyword_token(const char *word)
{
	for (size_t i = 0; i < N; i++)
		if (strcmp(keywords[i].word, word) == 0)
			return keywords[i].token;
	return CONFYY_WORD;
}

/* Of OpenSMTPD since 2018: what is written here instead; NULL: not one of those. */
const char *
keyword_foreign(const char *word)
{
	static const struct {
		const char *word, *here;
	} foreign[] = {
		{ "match",
		    "a rule and its action are one line here: accept ... deliver to maildir" },
		{ "action",
		    "a rule and its action are one line here: accept ... deliver to maildir" },
		{ "filter",
		    "there are no filters; a proxy can stand between two rules (listen ... tag)" },
		{ "queue", "here it is expire, retry or spool-free" },
		{ "bounce", "here it is bounce-warn" },
		{ "mta", "here it is limit relay" },
		{ "ca", "here it is pki NAME ca FILE" },
		{ "srs", "senders are not rewritten, but by \"as\" of relay" },
	};

	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++)
		if (strcmp(foreign[i].word, word) == 0)
			return foreign[i].here;
	return NULL;
}

bool
keyword_begins(const char *word)
{
	for (size_t i = 0; i < N; i++)
		if (strcmp(keywords[i].word, word) == 0)
			return keywords[i].begins;
	return false;
}
