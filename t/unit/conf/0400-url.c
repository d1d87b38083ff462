/* Relay URLs and LMTP destinations. */
#include "conf.h"
#include "tap.h"

static const struct {
	const char *text;
	enum url_scheme scheme;
	const char *label, *host, *path;
	unsigned port;
} good[] = {
	{ "smtp://127.0.0.1:10028", URL_SMTP, "", "127.0.0.1", "", 10028 },
	{ "smtp://mx.example.org", URL_SMTP, "", "mx.example.org", "", 25 },
	{ "SMTP://MX.Example.ORG", URL_SMTP, "", "mx.example.org", "", 25 },
	{ "mx.example.org", URL_SMTP, "", "mx.example.org", "", 25 },
	{ "mx.example.org:2525", URL_SMTP, "", "mx.example.org", "", 2525 },
	{ "localhost", URL_SMTP, "", "localhost", "", 25 },
	{ "[::1]:26", URL_SMTP, "", "::1", "", 26 },
	{ "smtp://[2001:DB8::1]", URL_SMTP, "", "2001:db8::1", "", 25 },
	{ "smtp://[IPv6:2001:db8::1]:27", URL_SMTP, "", "2001:db8::1", "", 27 },
	{ "smtp+notls://a.example", URL_SMTP_NOTLS, "", "a.example", "", 25 },
	{ "smtp+tls://a.example", URL_SMTP_TLS, "", "a.example", "", 25 },
	{ "tls://a.example", URL_SMTP_TLS, "", "a.example", "", 25 },
	{ "smtps://a.example", URL_SMTPS, "", "a.example", "", 465 },
	{ "smtps://label@a.example:466", URL_SMTPS, "label", "a.example", "", 466 },
	{ "smtp+tls://me@x@a.example", URL_SMTP_TLS, "me@x", "a.example", "", 25 },
	{ "smtp+auth://l@a.example", URL_SMTP, "l", "a.example", "", 25 },
	{ "smtps+auth://l@a.example", URL_SMTPS, "l", "a.example", "", 465 },
	{ "tls+auth://l@a.example", URL_SMTP_TLS, "l", "a.example", "", 25 },
	{ "lmtp://127.0.0.1", URL_LMTP, "", "127.0.0.1", "", 24 },
	{ "lmtp://[::1]:2424", URL_LMTP, "", "::1", "", 2424 },
	{ "lmtp:/run/dovecot/lmtp", URL_LMTP, "", "", "/run/dovecot/lmtp", 0 },
};

static const struct {
	const char *text, *wrong;
} bad[] = {
	{ "", "the host is missing" },
	{ "smtp://", "the host is missing" },
	{ "smtp://:25", "the host is missing" },
	{ "smtp://a.example:", "the port is not a number from 1 to 65535" },
	{ "smtp://a.example:0", "the port is not a number from 1 to 65535" },
	{ "smtp://a.example:65536", "the port is not a number from 1 to 65535" },
	{ "smtp://a.example:25x", "the port is not a number from 1 to 65535" },
	{ "smtp://a.example:-1", "the port is not a number from 1 to 65535" },
	{ "smtp://a.example:000025", "the port is not a number from 1 to 65535" },
	{ "smtp://::1", "the host is missing" },
	{ "smtp://[::1", "\"[\" without \"]\"" },
	{ "smtp://[::1]x", "unexpected text behind the host" },
	{ "smtp://[a.example]", "this is not a host name or address (IPv6 stands in brackets)" },
	{ "smtp://a..example", "this is not a host name or address (IPv6 stands in brackets)" },
	{ "smtp://a.example/x", "this is not a host name or address (IPv6 stands in brackets)" },
	{ "smtp://a b", "this is not a host name or address (IPv6 stands in brackets)" },
	{ "smtp://@a.example", "the label before \"@\" is empty" },
	{ "smtp://u:p@a.example",
	    "the label may not hold : | / , or blanks: it names an entry of the auth table" },
	{ "smtp+auth://a.example", "\"+auth\" needs a label: LABEL@HOST" },
	{ "lmtp://l@a.example", "lmtp knows no authentication" },
	{ "lmtp:/", "the socket's path is missing" },
	{ "lmtp:/a\nb", "control character, blank or comma in the socket's path" },
	{ "http://a.example",
	    "unknown scheme: smtp, smtp+notls, smtp+tls, smtps, secure and lmtp are known" },
	{ "lmtp:/"
	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	  "aaaaaaaaaaaaaaaaaaaaaaaaaa",
	    "the socket's path is too long" },
};

int
main(void)
{
	struct conf_url u;
	char big[600];

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		is(conf_url_parse(&u, good[i].text), NULL, "%s", good[i].text);
		is_int(u.scheme, good[i].scheme, "scheme");
		is(u.label, good[i].label, "label");
		is(u.host, good[i].host, "host");
		is(u.path, good[i].path, "path");
		is_int(u.port, good[i].port, "port");
		is_int(u.auth, *good[i].label != '\0', "auth");
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		is(conf_url_parse(&u, bad[i].text), bad[i].wrong, "bad %zu", i);
	memset(big, 'a', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	is(conf_url_parse(&u, big), "the host is too long", "a long host");
	big[590] = '@';
	is(conf_url_parse(&u, big), "the label is too long", "a long label");
	return done();
}
