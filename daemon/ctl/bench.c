/*
 * "tabmailctl table NAME bench SERVICE FILE [N]": puts the keys of a file, one a line, to a table and
 * shows how fast they were answered.  Called by ctl.c; asks through ask.c, batch after batch, so that
 * neither side holds more than one.
 *
 * lookup measures, from the moment it asks until the answer is there (waiting for the helper included);
 * this adds up.  What a batch left unasked, because it took long, goes into the next.
 */
#include "local.h"
#include "row.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#define BATCH_LEN  (24 * 1024) /* bytes of keys as they go out; a request holds more */
#define BATCH_KEYS 4000
#define KEY_MAX    4096 /* bytes; TAB_KEY_MAX of the daemon */

struct bench {
	const char *file;
	FILE *in;
	off_t file_len, read_len;
	size_t line;
	char *keys[BATCH_KEYS]; /* of the batch, in order */
	size_t n_keys, keys_len;
	char *ahead; /* read, but without room in the batch */
	uint64_t asked, elapsed_us, found, missing, errors;
	size_t batch_asked;
	char *first_error;
	struct histogram took_us;
	bool bad_row;
};

static const char *fill(struct bench *);
static int run_batch(struct bench *, char *const *argv, const char *socket_path, const char *n);
static void on_line(char kind, char **fields, size_t n, void *);
static void show_progress(const struct bench *);
static void show(const struct bench *, bool json);

int
ctl_bench(char *const *argv, const char *socket_path, bool json)
{
	struct bench b = { .file = argv[4] };
	struct stat st;
	int code = EX_OK;
	const char *wrong = NULL;

	b.in = strcmp(b.file, "-") == 0 ? stdin : fopen(b.file, "r");
	if (b.in == NULL) {
		safe_warn("%s: %s", b.file, strerror(errno));
		return EX_NOINPUT;
	}
	if (fstat(fileno(b.in), &st) == 0 && S_ISREG(st.st_mode))
		b.file_len = st.st_size;
	while (code == EX_OK && !b.bad_row && (wrong = fill(&b)) == NULL && b.n_keys > 0) {
		code = run_batch(&b, argv, socket_path, argv[5] == NULL ? "64" : argv[5]);
		if (isatty(STDERR_FILENO))
			show_progress(&b);
	}
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r\033[K");
	if (wrong != NULL) {
		safe_warn("%s: line %zu: %s", b.file, b.line, wrong);
		code = EX_DATAERR;
	} else if (b.bad_row) {
		safe_warn("tabmaild's answer was not understood");
		code = EX_PROTOCOL;
	} else if (code == EX_OK && b.asked == 0) {
		safe_warn("%s: no keys in it", b.file);
		code = EX_DATAERR;
	} else if (code == EX_OK) {
		show(&b, json);
	}
	if (b.first_error != NULL && !(json && code == EX_OK))
		safe_warn("the first error: %s", b.first_error);
	for (size_t i = 0; i < b.n_keys; i++)
		free(b.keys[i]);
	free(b.ahead);
	free(b.first_error);
	if (b.in != stdin)
		fclose(b.in);
	return code;
}

/* Bytes that a key takes in a request, with its LF. */
static size_t
cost(const char *key)
{
	size_t n = 2;

	for (; *key != '\0'; key++)
		n += (unsigned char)*key < 0x20 || *key == 0x7f ? 4 : *key == '\\' ? 2 : 1;
	return n;
}

/* The next line that is not empty; NULL at the end, or with *wrong. */
static char *
next_key(struct bench *b, const char **wrong)
{
	char *key = b->ahead, *line = NULL;
	size_t cap = 0;
	ssize_t len;

	b->ahead = NULL;
	if (key != NULL)
		return key;
	while ((len = getline(&line, &cap, b->in)) != -1) {
		b->line++;
		b->read_len += len;
		while (len > 0 && (line[len - 1] == '\n' || line[len - 1] == '\r'))
			line[--len] = '\0';
		if (len == 0)
			continue;
		if (len <= KEY_MAX && strlen(line) == (size_t)len)
			return line;
		*wrong = len > KEY_MAX ? "too long a key" : "a key holds no NUL";
		free(line);
		return NULL;
	}
	if (ferror(b->in))
		*wrong = "it cannot be read";
	free(line);
	return NULL;
}

/* NULL, or what is wrong with the file. */
static const char *
fill(struct bench *b)
{
	const char *wrong = NULL;
	char *key;

	while (b->n_keys < BATCH_KEYS && (key = next_key(b, &wrong)) != NULL) {
		if (b->n_keys > 0 && b->keys_len + cost(key) > BATCH_LEN) {
			b->ahead = key;
			break;
		}
		b->keys[b->n_keys++] = key;
		b->keys_len += cost(key);
	}
	return wrong;
}

static int
run_batch(struct bench *b, char *const *argv, const char *socket_path, const char *n)
{
	static const struct ask_ops ops = { .on_line = on_line };
	struct text keys = { 0 };

	for (size_t i = 0; i < b->n_keys; i++)
		text_putf(&keys, "%s\n", b->keys[i]);
	const char *request[] = { "table", argv[1], "bench", argv[3], n, keys.s, NULL };
	b->batch_asked = 0;
	int code = ask(socket_path, request, &ops, b);
	text_free(&keys);
	if (code == EX_OK && (b->batch_asked == 0 || b->batch_asked > b->n_keys))
		b->bad_row = true;
	if (code != EX_OK || b->bad_row)
		return code;
	for (size_t i = 0; i < b->batch_asked; i++) {
		b->keys_len -= cost(b->keys[i]);
		free(b->keys[i]);
	}
	b->n_keys -= b->batch_asked;
	memmove(b->keys, b->keys + b->batch_asked, b->n_keys * sizeof(b->keys[0]));
	return code;
}

/* asked, elapsed_us, found, missing, errors, error, took_us */
static void
on_line(char kind, char **fields, size_t n, void *arg)
{
	struct bench *b = arg;

	if (kind != 'R')
		return;
	if (n < 7) {
		b->bad_row = true;
		return;
	}
	b->batch_asked = strtoull(fields[0], NULL, 10);
	b->asked += b->batch_asked;
	b->elapsed_us += strtoull(fields[1], NULL, 10);
	b->found += strtoull(fields[2], NULL, 10);
	b->missing += strtoull(fields[3], NULL, 10);
	b->errors += strtoull(fields[4], NULL, 10);
	if (b->first_error == NULL && fields[5][0] != '\0')
		b->first_error = xstrdup(fields[5]);
	for (char *p = fields[6], *end; *p != '\0'; p = end) {
		uint64_t us = strtoull(p, &end, 10);
		if (end == p)
			break;
		histogram_add(&b->took_us, us);
	}
}

static uint64_t
rate(const struct bench *b)
{
	return b->elapsed_us == 0 ? 0 : b->asked * 1000000 / b->elapsed_us;
}

static void
show_progress(const struct bench *b)
{
	fprintf(stderr, "\r\033[K%llu asked, %llu a second", (unsigned long long)b->asked,
	    (unsigned long long)rate(b));
	if (b->file_len > 0)
		fprintf(stderr, ", %lld%%", (long long)(b->read_len * 100 / b->file_len));
}

static void
show(const struct bench *b, bool json)
{
	static const char *const names[] = { "asked#", "found#", "missing#", "errors#", "rate#",
		"p50us#", "p99us#", "max_us#", "elapsed_us#", "error" };
	const uint64_t values[] = { b->asked, b->found, b->missing, b->errors, rate(b),
		histogram_below(&b->took_us, 50), histogram_below(&b->took_us, 99), b->took_us.max,
		b->elapsed_us };
	const size_t n = sizeof(values) / sizeof(values[0]);
	char *fields[sizeof(names) / sizeof(names[0])];
	struct print *print = print_new(stdout, json, time(NULL));

	for (size_t i = 0; i <= n; i++)
		fields[i] = xstrdup(names[i]);
	print_line('H', fields, json ? n + 1 : n, print); /* people are told of errors below */
	for (size_t i = 0; i <= n; i++)
		free(fields[i]);
	for (size_t i = 0; i < n; i++)
		fields[i] = xasprintf("%llu", (unsigned long long)values[i]);
	fields[n] = xstrdup(b->first_error == NULL ? "" : b->first_error);
	print_line('R', fields, json ? n + 1 : n, print);
	for (size_t i = 0; i <= n; i++)
		free(fields[i]);
	print_free(print, true);
	fflush(stdout); /* before what is said of errors */
}
