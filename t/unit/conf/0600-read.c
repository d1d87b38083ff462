/* Files: includes, macros of -D, places of errors over several files, what is refused. */
#include "parsing.h"

#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/tabmail-conf-XXXXXX";

static char *
path(const char *name)
{
	return xasprintf("%s/%s", dir, name);
}

static void
file(const char *name, const char *text, size_t len)
{
	char *p = path(name);
	FILE *f = fopen(p, "w");

	if (f == NULL || fwrite(text, 1, len, f) != len || fclose(f) != 0) {
		printf("Bail out! %s\n", p);
		exit(1);
	}
	free(p);
}
#define put(name, text) file(name, text, strlen(text))

/* A text in which the folder stands as @. */
static char *
with_dir(const char *text)
{
	struct text t = { 0 };

	text_put(&t, "");
	for (; *text != '\0'; text++)
		if (*text == '@')
			text_put(&t, dir);
		else
			text_putn(&t, text, 1);
	return t.s;
}

static struct conf *
reads(const char *name, const char *const *macros, const char *want_errors)
{
	char *p = path(name), *error = NULL, *want = with_dir(want_errors);
	struct text errors = { 0 };
	struct conf *conf = NULL;
	size_t len;
	char *text = conf_read(p, macros, &len, &error);

	if (text == NULL) {
		is(error, want, "%s: what is wrong with reading", name);
	} else {
		conf = conf_parse(text, len, p, &errors);
		is(errors.s == NULL ? "" : errors.s, want, "%s: its errors", name);
	}
	text_free(&errors);
	free(error);
	free(text);
	free(want);
	free(p);
	return conf;
}

static void
includes(void)
{
	char *sub = path("sub");
	struct conf *c;

	mkdir(sub, 0700);
	free(sub);
	put("main", "table a file:/a\n"
		    "include \"sub/one\" # why\n"
		    "accept for local alias <a> deliver to mbox\n"
		    "table m {\n\tx,\n\tinclude\n}\n"
		    "# include nothing\n"
		    "spool \\\ninclude_me\n"
		    "accept foo\n");
	put("sub/one", "\n  include 'two'\nfoo\ntable b file:/b");
	put("sub/two", "listen on lo prot 25\ninclude three\nbar\n");
	put("sub/three", "");
	c = reads("main", NULL,
	    "@/sub/two:1:14: unexpected \"prot\"; did you mean \"port\"?\n"
	    "@/sub/two:3:1: unexpected \"bar\"\n"
	    "@/sub/one:3:1: unexpected \"foo\"\n"
	    "@/main:10:1: spool: \"include_me\" is not a path that begins with \"/\"\n"
	    "@/main:11:8: unexpected \"foo\"; did you mean \"for\"?\n");
	ok(c == NULL, "errors in three files");
	put("sub/two", "listen on lo port 25\ninclude three\n");
	put("sub/one", "include two\ntable b file:/b");
	put("main", "table a file:/a\ninclude sub/one\r\ntable c file:/c\r\n");
	c = reads("main", NULL, "");
	if (ok(c != NULL, "includes in includes")) {
		is_int(c->n_tables, 3, "tables of both");
		is_int(conf_table_named(c, "b")->line, 2, "lines are those of their own file");
		is(conf_table_named(c, "c")->arg, "/c", "CR LF ends a line");
		is_int(conf_table_named(c, "c")->line, 3, "and after an include");
	}
	conf_free(c);
	char *text = with_dir("include @/sub/two\n");
	put("whole", text);
	free(text);
	c = reads("whole", NULL, "");
	ok(c != NULL && c->n_listeners == 1, "a whole path");
	conf_free(c);
	put("late", "hostname a include x\n");
	reads("late", NULL, "@/late:1:12: unexpected \"include\"; expected the end of the line\n");
	put("open", "include \"x\n");
	reads("open", NULL, "@/open:1:9: a quote is not closed on its line\n");
}

static void
macros(void)
{
	static const char *const two[] = { "dir=/x y", "port=2525", NULL };
	static const char *const bad[] = { "dir", NULL };
	static const char *const bad2[] = { "a-b=c", NULL };
	static const char *const bad3[] = { "a=b\nc", NULL };
	struct conf *c;

	put("macros", "port = 25\nlisten on lo port $port\nspool \"$dir\"\nhelpers /h$empty\n"
		      "empty = x\n");
	c = reads("macros", two,
	    "@/macros:3:7: spool: \"$dir\" is not a path that begins with \"/\"\n"
	    "@/macros:4:9: macro \"$empty\" is not set\n");
	put("macros", "port = 25\nlisten on lo port $port\n");
	c = reads("macros", two, "");
	is_int(c == NULL ? 0 : conf_listener(c, 0)->port, 2525, "-D wins over the file");
	conf_free(c);
	c = reads("macros", NULL, "");
	is_int(c == NULL ? 0 : conf_listener(c, 0)->port, 25, "the file's own");
	conf_free(c);
	put("dir", "spool $dir\n");
	reads("dir", two, "@/dir:1:7: unexpected \"y\"; expected the end of the line\n");
	reads("dir", bad, "-D dir: this is not NAME=VALUE");
	reads("dir", bad2, "-D a-b=c: this is not NAME=VALUE");
	reads("dir", bad3, "-D a: the value has a control character");
}

static void
refused(void)
{
	char *p;

	reads("missing", NULL, "@/missing: No such file or directory");
	reads("sub", NULL, "@/sub: Is a directory");
	p = path("fifo");
	mkfifo(p, 0600);
	free(p);
	reads("fifo", NULL, "@/fifo: not a regular file");
	put("includes-missing", "\ninclude nothing\n");
	reads("includes-missing", NULL,
	    "@/includes-missing:2:1: @/nothing: No such file or directory");
	put("loop", "include loop\n");
	reads("loop", NULL, "@/loop:1:1: includes are nested more than 16 deep");
	file("nul", "a\nb\0c\n", 6);
	reads("nul", NULL, "@/nul:2:2: control character 0");
	put("marker", "hostname a\n\001F 7 x\n");
	reads("marker", NULL, "@/marker:2:1: control character 1");
	size_t len = 17 * 1024 * 1024;
	char *big = malloc(len);
	memset(big, '#', len);
	file("big", big, len);
	reads("big", NULL, "@/big: the configuration is larger than 16 MiB");
	len = 9 * 1024 * 1024;
	file("half", big, len);
	free(big);
	put("twice", "include half\ninclude half\n");
	reads("twice", NULL, "@/twice:2:1: @/half: the configuration is larger than 16 MiB");
	put("empty", "");
	struct conf *c = reads("empty", NULL, "");
	ok(c != NULL && *c->hostname != '\0', "an empty file is a configuration");
	conf_free(c);
}

/* The name of the host is found when the file is read, and travels with the text. */
static void
own_name(void)
{
	static const char text[] = "\001H mail.example.org\n\001F 5 x.conf\nfoo\n";
	struct text errors = { 0 };

	struct conf *c = conf_parse(text, strlen(text) - 4, "t.conf", NULL);
	is(c == NULL ? NULL : c->hostname, "mail.example.org", "the name of the text");
	conf_free(c);
	ok(conf_parse(text, strlen(text), "t.conf", &errors) == NULL, "an error in it");
	is(errors.s, "x.conf:5:1: unexpected \"foo\"\n", "is at the place that the marker says");
	text_free(&errors);
}

/* Whatever the bytes are: no crash, no leak (under the sanitizers), and errors or a configuration. */
static void
any_bytes(void)
{
	static const char seed[] =
	    "x = \"127.0.0.1 port 25\" # y\ntable t { a = b,\n c = 'd' }\nlisten on $x tag T\n"
	    "accept from ! source <t> for domain { a, b } alias <t> deliver to mda \"x %{id}\" as "
	    "y\n"
	    "reject for any\n";
	unsigned long state = 1;
	unsigned bad = 0;

	for (int i = 0; i < 3000; i++) {
		char text[sizeof(seed)];
		struct text errors = { 0 };
		memcpy(text, seed, sizeof(seed));
		for (int k = 0; k < 1 + i % 4; k++) {
			state = state * 6364136223846793005UL + 1442695040888963407UL;
			static const char odd[] = "\n\n{}<>!=,\"'\\$#% \001\377\0ax";
			text[(state >> 33) % (sizeof(seed) - 1)] =
			    odd[(state >> 24) % (sizeof(odd) - 1)];
		}
		size_t len = i % 3 == 0 ? (state >> 40) % sizeof(seed) : sizeof(seed) - 1;
		struct conf *c = conf_parse(text, len, "t.conf", &errors);
		bad += (c == NULL) != (errors.len > 0);
		conf_free(c);
		text_free(&errors);
	}
	is_int(bad, 0, "3000 broken texts give errors or a configuration");
}

int
main(void)
{
	if (mkdtemp(dir) == NULL)
		return 1;
	includes();
	macros();
	refused();
	own_name();
	any_bytes();
	static const char *const files[] = { "main", "sub/one", "sub/two", "sub/three", "whole",
		"late", "open", "macros", "dir", "fifo", "includes-missing", "loop", "nul",
		"marker", "big", "half", "twice", "empty" };
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		char *p = path(files[i]);
		unlink(p);
		free(p);
	}
	char *sub = path("sub");
	rmdir(sub);
	free(sub);
	is_int(rmdir(dir), 0, "nothing is left");
	return done();
}
