/*
 * The arguments of XCLIENT, as Postfix's XCLIENT_README defines them: NAME=value, values in xtext
 * (RFC 3461 4), [UNAVAILABLE] and [TEMPUNAVAIL] for what the proxy does not know.
 *
 * Called by cmd_xclient.c.  Pure.
 */
#include "local.h"
#include "text.h"

#include <bsd/string.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char bad_value[] = "501 5.5.4 a value of XCLIENT is not valid";

static int
hex(char c)
{
	const char *digits = "0123456789ABCDEF", *at = c == '\0' ? NULL : strchr(digits, c);

	return at == NULL ? -1 : (int)(at - digits);
}

/* "+3D" and the like, in place.  Nothing else may follow a "+"; no control may come out. */
static bool
decode(char *value)
{
	char *out = value;

	for (const char *in = value; *in != '\0'; in++) {
		if (*in != '+') {
			*out++ = *in;
			continue;
		}
		int high = hex(in[1]), low = high == -1 ? -1 : hex(in[2]);
		if (low == -1 || high * 16 + low == 0)
			return false;
		*out++ = (char)(high * 16 + low);
		in += 2;
	}
	*out = '\0';
	return !text_has_control(value);
}

static bool
take_text(char out[XCLIENT_TEXT_LEN], const char *value, bool known)
{
	out[0] = '\0';
	return !known ||
	       (*value != '\0' && strlcpy(out, value, XCLIENT_TEXT_LEN) < XCLIENT_TEXT_LEN);
}

/* "192.0.2.1", "IPV6:2001:db8::1"; AF_UNSPEC when it is not known.  IPV6:::ffff:192.0.2.1 is 192.0.2.1, for limits, too. */
static bool
take_address(struct sockaddr_storage *ss, const char *value, bool known)
{
	bool six = strncasecmp(value, "IPV6:", 5) == 0;
	char text[NETADDR_TEXT_LEN];

	*ss = (struct sockaddr_storage){ .ss_family = AF_UNSPEC };
	if (!known)
		return true;
	if (*value == '[' || !netaddr_parse(ss, six ? value + 5 : value, 0))
		return false;
	if (six && ss->ss_family != AF_INET6)
		return false;
	return netaddr_parse(ss, netaddr_text(ss, text, sizeof(text)), 0);
}

/* Nobody asks for it. */
static bool
is_port(const char *value, bool known)
{
	return !known || (*value != '\0' && strlen(value) <= 5 &&
			     strspn(value, "0123456789") == strlen(value) && atoi(value) <= 65535);
}

static const char *
take(struct xclient *x, const char *name, char *value, bool login)
{
	bool known =
	    strcasecmp(value, "[UNAVAILABLE]") != 0 && strcasecmp(value, "[TEMPUNAVAIL]") != 0;
	bool good;

	if (!decode(value))
		return bad_value;
	if (strcasecmp(name, "NAME") == 0) {
		x->has_name = true;
		good = take_text(x->name, value, known) && (!known || addr_is_domain(value));
	} else if (strcasecmp(name, "ADDR") == 0) {
		x->has_addr = true;
		good = take_address(&x->addr, value, known);
	} else if (strcasecmp(name, "DESTADDR") == 0) {
		x->has_dest = true;
		good = take_address(&x->dest, value, known);
	} else if (strcasecmp(name, "PORT") == 0 || strcasecmp(name, "DESTPORT") == 0) {
		good = is_port(value, known);
	} else if (strcasecmp(name, "PROTO") == 0) {
		x->has_proto = true;
		x->esmtp = strcasecmp(value, "ESMTP") == 0;
		good = !known || x->esmtp || strcasecmp(value, "SMTP") == 0;
	} else if (strcasecmp(name, "HELO") == 0) {
		x->has_helo = true;
		good = take_text(x->helo, value, known) && (!known || smtp_parse_helo(value));
	} else if (strcasecmp(name, "LOGIN") == 0 && login) {
		x->has_login = true;
		good = take_text(x->login, value, known) && strchr(value, ':') == NULL;
	} else {
		return "501 5.5.4 XCLIENT has an attribute that is not offered";
	}
	return good ? NULL : bad_value;
}

const char *
xclient_parse(struct xclient *x, char *args, bool login)
{
	const char *wrong;
	char *word;

	*x = (struct xclient){ 0 };
	if (args[strspn(args, " ")] == '\0')
		return "501 5.5.4 XCLIENT needs NAME=VALUE";
	while ((word = strsep(&args, " ")) != NULL) {
		char *value = strchr(word, '=');
		if (*word == '\0')
			continue;
		if (value == NULL)
			return "501 5.5.4 XCLIENT needs NAME=VALUE";
		*value++ = '\0';
		if ((wrong = take(x, word, value, login)) != NULL)
			return wrong;
	}
	return NULL;
}
