/* Format specifiers, and that no value gets out of its place (security row 1). */
#include "format.h"
#include "tap.h"

static struct format_values values = {
	.sender = "Sender+Tag@Example.COM",
	.rcpt = "User+Tag@Example.org",
	.dest = "joe@example.org",
	.user = "joe",
	.directory = "/home/joe",
	.id = "00000000002a",
};

static void
gives(const char *format, const char *want)
{
	const char *error = NULL;
	char *got = format_expand(format, &values, true, &error);

	is(got, want, "%s", format);
	is(format_check(format), NULL, "is checked");
	free(got);
}

static void
fails(const char *format, const char *want)
{
	const char *error = NULL;
	char *got = format_expand(format, &values, true, &error);

	ok(got == NULL, "%.60s fails", format);
	is(error, want, "and says why");
	is(format_check(format), want, "already when it is parsed");
	free(got);
}

static void
specifiers(void)
{
	gives("", "");
	gives("plain ~/text", "plain ~/text");
	gives("%{sender}", "Sender+Tag@Example.COM");
	gives("%{sender.user}", "Sender+Tag");
	gives("%{sender.domain}", "Example.COM");
	gives("%{rcpt}", "User+Tag@Example.org");
	gives("%{rcpt.user}", "User+Tag");
	gives("%{rcpt.domain}", "Example.org");
	gives("%{dest}", "joe@example.org");
	gives("%{dest.user}", "joe");
	gives("%{dest.domain}", "example.org");
	gives("%{user.username}", "joe");
	gives("%{user.directory}/Maildir", "/home/joe/Maildir");
	gives("%{id}", "00000000002a");
	gives("a%{id}b%{user.username}c", "a00000000002abjoec");
	gives("100%", "100%");
	gives("%%{id}", "%{id}");
	gives("%d %", "%d %");
}

static void
substrings(void)
{
	/* as smtpd.conf(5) shows them */
	gives("%{dest.domain[0]}", "e");
	gives("%{dest.domain[1]}", "x");
	gives("%{dest.domain[8:]}", "org");
	gives("%{dest.domain[-3:]}", "org");
	gives("%{dest.domain[0:6]}", "example");
	gives("%{dest.domain[0:-4]}", "example");
	gives("%{dest.domain[:6]}", "example");
	gives("%{dest.domain[:]}", "example.org");
	gives("%{dest.domain[-1]}", "g");
	gives("%{dest.domain[10]}", "g");
	gives("%{dest.domain[8:100]}", "org");
	/* outside of the value there is nothing */
	gives("x%{dest.domain[11]}y", "xy");
	gives("x%{dest.domain[-12]}y", "xy");
	gives("x%{dest.domain[4:2]}y", "xy");
	gives("%{dest.domain[-100:2]}", "exa");
	gives("x%{dest.domain[0:-100]}y", "xy");
	gives("%{rcpt[0]:lowercase}", "u");
}

/* Two mailboxes are two paths; a letter is one, however many octets it has. */
static void
beyond_ascii(void)
{
	struct format_values saved = values;

	values.rcpt = "j\xc3\xbcrgen@x.org";
	values.dest = "j\xc3\xb6rgen@x.org";
	values.sender = "a\xff\xc3/\xc2\x85\xe2\x80\xae"
			"b@x.org";
	gives("%{rcpt.user}", "j\xc3\xbcrgen");
	gives("%{dest.user}", "j\xc3\xb6rgen");
	gives("%{rcpt.user[1]}", "\xc3\xbc");
	gives("%{rcpt.user[0:1]}", "j\xc3\xbc");
	gives("%{rcpt.user[-4:]}", "rgen");
	gives("%{rcpt.user[2]}", "r");
	gives("%{rcpt.user:uppercase}", "J\xc3\xbcRGEN");
	gives("%{sender.user}", "a::::::::b");
	values = saved;
}

static void
modifiers(void)
{
	gives("%{rcpt:lowercase}", "user+tag@example.org");
	gives("%{rcpt:uppercase}", "USER+TAG@EXAMPLE.ORG");
	gives("%{rcpt:strip}", "User@Example.org");
	gives("%{rcpt:lowercase|strip}", "user@example.org");
	gives("%{rcpt:strip:lowercase}", "user@example.org");
	gives("%{rcpt.user:strip}", "User");
	gives("%{dest.user:strip}", "joe");
	gives("%{rcpt.domain:strip}", "Example.org");
	values.dest = "+tag@example.org";
	gives("%{dest:strip}", "+tag@example.org");
	values.dest = "joe@example.org";
}

static void
errors(void)
{
	fails("%{foo}", "unknown format specifier");
	fails("%{}", "unknown format specifier");
	fails("%{rcpt.userx}", "unknown format specifier");
	fails("%{RCPT}", "unknown format specifier");
	fails("%{rcpt", "\"%{\" without \"}\"");
	fails("%{rcpt[}", "an offset in [ ] is not a number");
	fails("%{rcpt[x]}", "an offset in [ ] is not a number");
	fails("%{rcpt[1}", "\"[\" without \"]\"");
	fails("%{rcpt[1:}", "an offset in [ ] is not a number");
	fails("%{rcpt[1:2}", "\"[\" without \"]\"");
	fails("%{rcpt[99999999999999999999]}", "an offset in [ ] is too large");
	fails("%{rcpt[-99999]}", "an offset in [ ] is too large");
	fails("%{rcpt[1]x}", "unexpected text in %{ }");
	fails("%{rcpt:foo}", "unknown modifier: lowercase, uppercase and strip are known");
	fails("%{rcpt:}", "unknown modifier: lowercase, uppercase and strip are known");
	fails("%{rcpt:lowercase|}", "unknown modifier: lowercase, uppercase and strip are known");
	fails(
	    "%{rcpt:raw}", "the modifier \"raw\" is not offered: values are always made harmless");
	fails("%{rcpt:lowercase|uppercase}", "lowercase contradicts uppercase");
	char big[300] = "%{";
	memset(big + 2, 'a', 200);
	strcat(big, "}");
	fails(big, "a format specifier is too long");
}

/* Every byte that is not harmless, in each value that comes from outside. */
static void
shell(void)
{
	static const char *const names[] = { "sender", "sender.user", "rcpt", "rcpt.user", "dest",
		"dest.user", "user.username", "id" };
	static const char fine[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@._-+=,:";
	char value[8] = "aXb";
	unsigned wrong = 0, n = 0;
	const struct format_values saved = values;

	values = (struct format_values){ value, value, value, value, "/home/joe", value };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		for (int c = 1; c < 256; c++) {
			char format[64];
			const char *error;
			value[1] = (char)c;
			if (c == '@')
				continue;
			snprintf(format, sizeof(format), "%%{%s}", names[i]);
			char *got = format_expand(format, &values, true, &error);
			char expected = strchr(fine, c) != NULL ? (char)c : ':';
			n++;
			if (got == NULL || strlen(got) != 3 || got[1] != expected) {
				printf("# %s with byte %d: %s\n", names[i], c, got);
				wrong++;
			}
			free(got);
		}
	is_int(wrong, 0, "%u values with one byte each are harmless", n);
	values = saved;

	values.sender = ";touch x;";
	gives("mda -f %{sender}", "mda -f :touch:x:");
	values.sender = "`id`$(id)@x";
	gives("mda %{sender}", "mda :id:::id:@x");
	values.sender = "'\"\\|&<>(){}[]*?!#~^@x";
	gives("%{sender}", ":::::::::::::::::::@x");
	values.sender = "a\nb\rc\td\001@x";
	gives("%{sender.user}", "a:b:c:d:");
	values.sender = "-oQ/tmp@x";
	gives("mda %{sender}", "mda :oQ:tmp@x");
	gives("mda -f%{sender.user[1:]}", "mda -foQ:tmp");
	values.sender = "\303\244@x";
	gives("%{sender.user}", "\303\244");
	values = saved;
}

static void
paths(void)
{
	const struct format_values saved = values;
	const char *error = NULL;

	values.dest = "../../etc/passwd@x";
	gives("~/M/%{dest.user}", "~/M/..:..:etc:passwd");
	values.dest = "..@x";
	gives("~/M/%{dest.user}", "~/M/::");
	gives("~/M/%{dest.user}/x", "~/M/::/x");
	gives("~/M/a%{dest.user}/x", "~/M/a../x");
	gives("%{dest.user}", "::");
	values.dest = ".@x";
	gives("~/M/%{dest.user}/new", "~/M/:/new");
	gives("~/M/%{dest.user}%{dest.user}/new", "~/M/::/new");
	gives("~/M/.%{dest.user}/new", "~/M/::/new");
	gives("~/M/../x", "~/M/../x");
	gives("cmd -d=%{dest.user}%{dest.user} x", "cmd -d=:: x");
	values.dest = "a..b@x";
	gives("~/%{dest.user[1:2]}/x", "~/::/x");
	gives("~/%{dest.user}/x", "~/a..b/x");
	values.dest = "/etc@x";
	gives("~/M/%{dest.user}", "~/M/:etc");
	values.dest = "";
	gives("~/M/%{dest.user}x", "~/M/x");
	gives("%{dest}%{dest.domain}", "");
	values.dest = NULL;
	gives("%{dest}", "");
	values.dest = "nodomain";
	gives("%{dest.user}-%{dest.domain}-", "nodomain--");

	/* a home is taken as it is, or not at all */
	values.directory = "/home/b\303\266b_x.y-z";
	gives("%{user.directory}/M", "/home/b\303\266b_x.y-z/M");
	values.directory = "/home/joe;id";
	char *got = format_expand("%{user.directory}/M", &values, true, &error);
	ok(got == NULL, "a home with a shell character is refused");
	is(error, "the home directory has an unusual character in its name", "and says so");
	free(got);
	got = format_expand("%{user.directory}/M", &values, false, &error);
	is(got, "/home/joe;id/M", "but shown where nothing is run");
	free(got);
	values = saved;

	values.sender = "a;b@x";
	got = format_expand("%{sender}", &values, false, &error);
	is(got, "a;b@x", "not sanitised when not asked to");
	free(got);
	values = saved;
}

static void
lengths(void)
{
	char *format = malloc(10000);
	const char *error = NULL;
	char *got;

	memset(format, 'x', 9999);
	format[9999] = '\0';
	got = format_expand(format, &values, true, &error);
	ok(got == NULL, "the result is bounded");
	is(error, "the expanded text is too long", "and says so");
	free(got);
	format[4000] = '\0';
	got = format_expand(format, &values, true, &error);
	ok(got != NULL && strlen(got) == 4000, "4,000 bytes fit");
	free(got);
	free(format);
}

int
main(void)
{
	specifiers();
	substrings();
	beyond_ascii();
	modifiers();
	errors();
	shell();
	paths();
	lengths();
	return done();
}
