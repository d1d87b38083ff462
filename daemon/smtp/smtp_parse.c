/*
 * Command lines of SMTP: their end, verb and parameters (RFC 5321 4.1.1, 1870, 6152, 3461,
 * 6531).
 *
 * Called by session.c and the commands with a line of their own to cut up.  Pure: bytes of the
 * network come in, and what is wrong goes out as the reply to give.
 */
#include "local.h"
#include "utf8.h"
#include "xtext.h"

#include <bsd/stdlib.h>
#include <ctype.h>
#include <string.h>
#include <strings.h>

#define ENVID_MAX 100 /* RFC 3461 4.4 */

#define BAD_PARAM     "501 5.5.4 a parameter is malformed"
#define UNKNOWN_PARAM "555 5.5.4 a parameter is not known here"

struct param {
	char *name, *value; /* value NULL: without = */
};

static const char *parse_path(
    char **args, const char *keyword, bool null_ok, struct addr *, bool *high, const char *wrong);
static char *next_param(char *p, struct param *, bool *good);

enum line
smtp_parse_scan(const char *in, size_t in_len, size_t *len)
{
	size_t window = in_len < COMMAND_LINE_MAX ? in_len : COMMAND_LINE_MAX;
	const char *lf = memchr(in, '\n', window);

	*len = 0;
	if (lf == NULL)
		return in_len < COMMAND_LINE_MAX ? LINE_MORE : LINE_LONG;
	*len = (size_t)(lf - in) + 1;
	if (lf == in || lf[-1] != '\r')
		return LINE_BARE_LF;
	if (memchr(in, '\r', *len - 2) != NULL || memchr(in, '\0', *len) != NULL)
		return LINE_CONTROL;
	return LINE_OK;
}

char *
smtp_parse_verb(char *line)
{
	char *end = line + strlen(line);
	char *p = line;

	while (end > line && (end[-1] == ' ' || end[-1] == '\t'))
		*--end = '\0';
	for (; *p != '\0' && *p != ' ' && *p != '\t'; p++)
		*p = (char)toupper((unsigned char)*p);
	while (*p == ' ' || *p == '\t')
		*p++ = '\0';
	return p;
}

/* Odd names are in use, and refusing them keeps mail out; what could confuse a header does not. */
bool
smtp_parse_helo(const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len > DOMAIN_MAX)
		return false;
	for (; *name != '\0'; name++)
		if (!isalnum((unsigned char)*name) && strchr("-._[]:", *name) == NULL)
			return false;
	return true;
}

const char *
smtp_parse_mail(char *args, unsigned offered, struct addr *sender, struct mail_params *out)
{
	struct param p;
	bool good = true, body = false, high, dsn = (offered & OFFERS_DSN) != 0;
	const char *wrong, *error, *auth = NULL;

	*out = (struct mail_params){ .size = -1, .envid = "" };
	wrong =
	    parse_path(&args, "FROM:", true, sender, &high, "501 5.1.7 no valid sender address");
	if (wrong != NULL)
		return wrong;
	while ((args = next_param(args, &p, &good)) != NULL) {
		if (strcasecmp(p.name, "SIZE") == 0) {
			if (out->size != -1 || p.value == NULL || strlen(p.value) > 20 ||
			    strspn(p.value, "0123456789") != strlen(p.value))
				return BAD_PARAM;
			out->size = strtonum(p.value, 0, INT64_MAX, &error);
			if (error != NULL)
				out->size = INT64_MAX;
		} else if (strcasecmp(p.name, "BODY") == 0) {
			if (body || p.value == NULL ||
			    (strcasecmp(p.value, "7BIT") != 0 &&
				strcasecmp(p.value, "8BITMIME") != 0))
				return BAD_PARAM;
			body = true;
		} else if (strcasecmp(p.name, "SMTPUTF8") == 0) {
			if (out->utf8 || p.value != NULL)
				return BAD_PARAM;
			out->utf8 = true;
		} else if (dsn && strcasecmp(p.name, "RET") == 0) {
			if (out->ret != RET_NONE || p.value == NULL)
				return BAD_PARAM;
			if (strcasecmp(p.value, "FULL") == 0)
				out->ret = RET_FULL;
			else if (strcasecmp(p.value, "HDRS") == 0)
				out->ret = RET_HDRS;
			else
				return BAD_PARAM;
		} else if (dsn && strcasecmp(p.name, "ENVID") == 0) {
			if (out->envid[0] != '\0' || p.value == NULL ||
			    strlen(p.value) > ENVID_MAX || !xtext_is_valid(p.value, false))
				return BAD_PARAM;
			out->envid = p.value;
		} else if ((offered & OFFERS_AUTH) != 0 && strcasecmp(p.name, "AUTH") == 0) {
			/* RFC 4954 5: who submitted it elsewhere.  Nobody here trusts that. */
			if (auth != NULL || p.value == NULL)
				return BAD_PARAM;
			auth = p.value;
		} else {
			return UNKNOWN_PARAM;
		}
	}
	if (!good || (auth != NULL && strcmp(auth, "<>") != 0 && !xtext_is_valid(auth, out->utf8)))
		return BAD_PARAM;
	return high && !out->utf8 ? "550 5.6.7 a sender beyond ASCII needs SMTPUTF8" : NULL;
}

/* NOTIFY's value into bits; 0 when it is malformed. */
static uint32_t
parse_notify(char *value)
{
	uint32_t bits = 0;
	char *word;

	while ((word = strsep(&value, ",")) != NULL) {
		uint32_t bit = strcasecmp(word, "SUCCESS") == 0   ? NOTIFY_SUCCESS
			       : strcasecmp(word, "FAILURE") == 0 ? NOTIFY_FAILURE
			       : strcasecmp(word, "DELAY") == 0   ? NOTIFY_DELAY
			       : strcasecmp(word, "NEVER") == 0   ? NOTIFY_NEVER
								  : 0;
		if (bit == 0 || (bits & bit) != 0)
			return 0;
		bits |= bit;
	}
	return (bits & NOTIFY_NEVER) != 0 && bits != NOTIFY_NEVER ? 0 : bits;
}

const char *
smtp_parse_rcpt(char *args, unsigned offered, struct addr *rcpt, struct rcpt_params *out)
{
	struct param p;
	bool good = true, high;
	bool dsn = (offered & OFFERS_DSN) != 0, utf8 = (offered & OFFERS_UTF8) != 0;
	const char *wrong;

	*out = (struct rcpt_params){ .orcpt = "" };
	wrong =
	    parse_path(&args, "TO:", false, rcpt, &high, "501 5.1.3 no valid recipient address");
	if (wrong != NULL)
		return wrong;
	while ((args = next_param(args, &p, &good)) != NULL) {
		if (dsn && strcasecmp(p.name, "NOTIFY") == 0) {
			if (out->notify != 0 || p.value == NULL ||
			    (out->notify = parse_notify(p.value)) == 0)
				return BAD_PARAM;
		} else if (dsn && strcasecmp(p.name, "ORCPT") == 0) {
			if (out->orcpt[0] != '\0' || p.value == NULL ||
			    !xtext_is_orcpt(p.value, utf8))
				return BAD_PARAM;
			out->orcpt = p.value;
		} else {
			return UNKNOWN_PARAM;
		}
	}
	if (!good)
		return BAD_PARAM;
	return high && !utf8 ? "553 5.6.7 a recipient beyond ASCII needs SMTPUTF8" : NULL;
}

/*
 * "FROM:<…>"; *params then points to what is behind it.  A space after the colon is tolerated, as elsewhere.
 * *high: it is not all ASCII.
 */
static const char *
parse_path(
    char **params, const char *keyword, bool null_ok, struct addr *a, bool *high, const char *wrong)
{
	size_t len = strlen(keyword);
	char *args = *params;
	const char *rest;

	if (strncasecmp(args, keyword, len) != 0)
		return null_ok ? "501 5.5.4 write it as MAIL FROM:<address>"
			       : "501 5.5.4 write it as RCPT TO:<address>";
	args += len;
	while (*args == ' ')
		args++;
	if (addr_parse_path(a, args, null_ok, &rest) != NULL)
		return wrong;
	*params = args + (rest - args);
	*high = utf8_has_high(args, (size_t)(rest - args));
	if (**params != '\0' && **params != ' ')
		return wrong;
	return NULL;
}

/*
 * Cuts the next parameter off: returns what follows it, NULL when there is none, or when it is
 * malformed (*good false).  esmtp-keyword ["=" esmtp-value], RFC 5321 4.1.2, 6531 3.3.
 */
static char *
next_param(char *p, struct param *out, bool *good)
{
	while (*p == ' ')
		p++;
	if (*p == '\0')
		return NULL;
	*out = (struct param){ .name = p };
	*good = isalnum((unsigned char)*p) != 0;
	while (isalnum((unsigned char)*p) || *p == '-')
		p++;
	if (*p == '=') {
		*p++ = '\0';
		out->value = p;
		while ((unsigned char)*p > ' ' && *p != 0x7f && *p != '=')
			p++;
		if (p == out->value)
			*good = false;
	}
	if (*p != '\0' && *p != ' ')
		*good = false;
	if (*p == ' ')
		*p++ = '\0';
	return *good ? p : NULL;
}
