/*
 * Relay URLs and LMTP destinations, taken apart (conf.h).  Pure.
 */
#include "local.h"
#include "idna.h"

#include "addr.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *prefix;
	enum url_scheme scheme;
	bool auth;
	unsigned port;
} schemes[] = {
	{ "smtp://", URL_SMTP, false, 25 },
	{ "smtp+notls://", URL_SMTP_NOTLS, false, 25 },
	{ "smtp+notls+auth://", URL_SMTP_NOTLS, true, 25 },
	{ "smtp+tls://", URL_SMTP_TLS, false, 25 },
	{ "tls://", URL_SMTP_TLS, false, 25 },
	{ "smtps://", URL_SMTPS, false, 465 },
	{ "secure://", URL_SMTPS, false, 465 }, /* route.c adds STARTTLS as the second choice */
	{ "lmtp://", URL_LMTP, false, 24 },
	{ "smtp+auth://", URL_SMTP, true, 25 },
	{ "tls+auth://", URL_SMTP_TLS, true, 25 },
	{ "smtp+tls+auth://", URL_SMTP_TLS, true, 25 },
	{ "smtps+auth://", URL_SMTPS, true, 465 },
	{ "secure+auth://", URL_SMTPS, true, 465 },
};

static const char *
parse_port(struct conf_url *u, const char *s)
{
	unsigned long port;
	char *end;

	if (!isdigit((unsigned char)*s) || strlen(s) > 5)
		return "the port is not a number from 1 to 65535";
	port = strtoul(s, &end, 10);
	if (*end != '\0' || port < 1 || port > 65535)
		return "the port is not a number from 1 to 65535";
	u->port = (unsigned)port;
	return NULL;
}

/* HOST, ADDRESS or [ADDRESS], and a port. */
static const char *
parse_host(struct conf_url *u, const char *s)
{
	char given[sizeof(u->host)];
	struct sockaddr_storage ss;
	bool bracket = *s == '[';
	size_t len;

	if (bracket) {
		s++;
		if (strncasecmp(s, "IPv6:", 5) == 0)
			s += 5;
		len = strcspn(s, "]");
		if (s[len] != ']')
			return "\"[\" without \"]\"";
	} else
		len = strcspn(s, ":");
	if (len == 0)
		return "the host is missing";
	if (len >= sizeof(u->host))
		return "the host is too long";
	memcpy(given, s, len);
	given[len] = '\0';
	s += len + bracket;
	bool address = netaddr_parse(&ss, text_lower(given), 0);
	if (address)
		memcpy(u->host, given, len + 1);
	else if (bracket || !idna_ascii(u->host, given))
		return "this is not a host name or address (IPv6 stands in brackets)";
	if (*s == ':')
		return parse_port(u, s + 1);
	return *s == '\0' ? NULL : "unexpected text behind the host";
}

static const char *
parse_label(struct conf_url *u, const char **s)
{
	const char *at = strrchr(*s, '@');
	size_t len = at == NULL ? 0 : (size_t)(at - *s);

	if (at == NULL)
		return NULL;
	if (len == 0)
		return "the label before \"@\" is empty";
	if (len >= sizeof(u->label))
		return "the label is too long";
	memcpy(u->label, *s, len);
	u->label[len] = '\0';
	if (strpbrk(u->label, ":|/, \"\\") != NULL || text_has_control(u->label))
		return "the label may not hold : | / , or blanks: it names an entry of the auth "
		       "table";
	u->auth = true;
	*s = at + 1;
	return NULL;
}

static bool
is_loopback(const char *host)
{
	struct sockaddr_storage ss;

	return strcmp(host, "localhost") == 0 ||
	       (netaddr_parse(&ss, host, 0) && netaddr_is_loopback(&ss));
}

const char *
conf_url_parse(struct conf_url *u, const char *text)
{
	const char *s = text, *wrong;
	bool auth = false, found = false;

	memset(u, 0, sizeof(*u));
	u->scheme = URL_SMTP;
	u->port = 25;
	if (strncmp(s, "lmtp:/", 6) == 0 && s[6] != '/') {
		u->scheme = URL_LMTP;
		u->port = 0;
		s += 5;
		if (s[1] == '\0')
			return "the socket's path is missing";
		if (strlen(s) >= sizeof(u->path))
			return "the socket's path is too long";
		if (text_has_control(s) || strpbrk(s, " ,") != NULL)
			return "control character, blank or comma in the socket's path";
		memcpy(u->path, s, strlen(s) + 1);
		return NULL;
	}
	for (size_t i = 0; !found && i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		size_t len = strlen(schemes[i].prefix);
		if (strncasecmp(s, schemes[i].prefix, len) == 0) {
			u->scheme = schemes[i].scheme;
			u->port = schemes[i].port;
			auth = schemes[i].auth;
			s += len;
			found = true;
		}
	}
	if (!found && strstr(s, "://") != NULL)
		return "unknown scheme: smtp, smtp+notls, smtp+tls, smtps, secure and lmtp are "
		       "known";
	if ((wrong = parse_label(u, &s)) != NULL)
		return wrong;
	if (auth && !u->auth)
		return "\"+auth\" needs a label: LABEL@HOST";
	if (u->auth && u->scheme == URL_LMTP)
		return "lmtp knows no authentication";
	if ((wrong = parse_host(u, s)) != NULL)
		return wrong;
	if (u->scheme == URL_SMTP_NOTLS && u->auth && !auth && !is_loopback(u->host))
		return "the password would go in clear; where that is meant, write "
		       "smtp+notls+auth://";
	return NULL;
}

char *
conf_url_text(const struct conf_url *u)
{
	static const char *const names[] = { [URL_SMTP] = "smtp",
		[URL_SMTP_NOTLS] = "smtp+notls",
		[URL_SMTP_TLS] = "smtp+tls",
		[URL_SMTPS] = "smtps",
		[URL_LMTP] = "lmtp" };

	if (u->path[0] != '\0')
		return xasprintf("lmtp:%s", u->path);
	bool v6 = strchr(u->host, ':') != NULL;
	return xasprintf("%s%s://%s%s%s%s%s:%u", names[u->scheme],
	    u->scheme == URL_SMTP_NOTLS && u->auth ? "+auth" : "", u->label, u->auth ? "@" : "",
	    v6 ? "[" : "", u->host, v6 ? "]" : "", u->port);
}

const char *
conf_url_next(struct conf_url *u, const char **list)
{
	size_t len = strcspn(*list, ",");
	char *one = xstrndup(*list, len);
	const char *wrong = conf_url_parse(u, one);

	free(one);
	*list = (*list)[len] == ',' ? *list + len + 1 : NULL;
	return wrong;
}
