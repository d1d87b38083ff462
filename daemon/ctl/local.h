/*
 * tabmailctl's parts.  control (ctl.c) asks the daemon over the control socket (ask.c) and shows
 * the answer (print.c, story.c; bench.c); sendmail.c reads a message (letter.c, header_rcpts.c) and hands it to the
 * submission socket (submission.c).  Nothing here has a privilege: the daemon sees who asks.
 */
#ifndef TABMAIL_CTL_LOCAL_H
#define TABMAIL_CTL_LOCAL_H

#include "addr.h"
#include "text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* ask.c: one request on the control socket, its answer line by line. */

struct ask_ops {
	/* A line: kind 'S', 'H', 'R' or 'T', and its fields. */
	void (*on_line)(char kind, char **fields, size_t n, void *arg);
	/* The daemon has paused: show what is held back.  May be NULL. */
	void (*on_pause)(void *arg);
};

/*
 * Returns an exit code: 0, 1 when the daemon refused (with its reason on stderr), EX_TEMPFAIL when
 * it is not there, ends in the middle, or says nothing for long.  words ends with NULL.
 */
int ask(const char *socket_path, const char *const *words, const struct ask_ops *, void *arg);

/* Connects to a UNIX socket; -1 and a message on stderr. */
int ask_connect(const char *socket_path);

/* The same on a connection that is open already; closes it. */
int ask_on(int fd, const char *const *words, const struct ask_ops *, void *arg);

/* print.c: rows as columns or as a JSON array. */

struct print *print_new(FILE *out, bool json, int64_t now_sec);
void print_line(char kind, char **fields, size_t n, void *print); /* an ask_ops.on_line */
void print_flush(void *print);                                    /* an ask_ops.on_pause */
size_t print_rows(const struct print *);                          /* rows so far */
/* Flushes.  well: it is the whole answer (an empty one is [] in JSON). */
void print_free(struct print *, bool well);

/* safe.c: foreign text for a terminal and for JSON. */

/* Controls (C0, DEL, C1), what changes the direction of text, and invalid UTF-8 become \xHH. */
void safe_put(struct text *, const char *s);

/* As a JSON string in ASCII and UTF-8, the same as \uHHHH, invalid UTF-8 as U+FFFD. */
void safe_put_json(struct text *, const char *s);

/* How many columns it takes: characters, without regard to wide ones. */
size_t safe_width(const char *s);

/* A message of ours with foreign text in it, on stderr: "tabmailctl: …" */
void safe_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* ctl.c: "show queue" and the others. */

/* Carries out the command of argv, which ends with NULL; the exit code. */
int ctl_run(char **argv, const char *socket_path, bool json);
void ctl_usage(FILE *);

/* The word nearest to a wrong one, NULL when none is near.  Pure. */
const char *ctl_nearest(const char *word, const char *const *words);

/*
 * Checks the words of a command and makes the request of them (at most CTL_WORDS, NULL at the
 * end).  NULL, or what is wrong: allocated.  Pure.
 */
#define CTL_WORDS 12
char *ctl_parse(char **argv, const char *request[CTL_WORDS + 1]);

/* which.c: which of the queue a command is for.  Pure. */

bool which_is_id(const char *);
/* From argv[at] on, into request.  NULL, or what is wrong: allocated. */
char *which_parse(char **argv, size_t at, const char **request);

/* newaliases: has every table that has a helper read its data again. */
int ctl_newaliases(const char *socket_path);

/* story.c: the rows of "explain" for people. */

struct story *story_new(FILE *out);
void story_line(char kind, char **fields, size_t n, void *story); /* an ask_ops.on_line */
void story_free(struct story *);

/* backup.c: "queue backup FILE" */

int ctl_backup(const char *path, const char *socket_path, bool json);

/* bench.c: "table NAME bench SERVICE FILE [N]" */

int ctl_bench(char *const *argv, const char *socket_path, bool json);

/* histogram.c: times and how often each was met.  Start with {0}.  Pure. */

#define HISTOGRAM_LEN (64 * 60)
struct histogram {
	uint64_t buckets[HISTOGRAM_LEN], n, max;
};
void histogram_add(struct histogram *, uint64_t value);
/* The value below or at which this share lies. */
uint64_t histogram_below(const struct histogram *, unsigned percent);

/* encrypt.c */

int encrypt_main(const char *word); /* NULL: asks for it */

/* header_rcpts.c: recipients of a message's header.  Pure. */

#define RCPTS_MAX 10000

struct rcpts {
	struct addr *addrs; /* domain empty: the host's name is to be put there */
	size_t n;
};

/*
 * Adds the addresses of an address list (RFC 5322 3.4, its obsolete forms too), each only once.
 * NULL, or what is wrong: allocated.
 */
char *rcpts_add_list(struct rcpts *, const char *text, size_t len);

/*
 * Adds those of all To, Cc and Bcc fields of a header, or of Resent-To, Resent-Cc and Resent-Bcc
 * when it has one of these.  Lines end with LF.
 */
char *rcpts_add_header(struct rcpts *, const char *header, size_t len);

/* Takes the Bcc and Resent-Bcc fields out, in place; the new length. */
size_t rcpts_strip_bcc(char *header, size_t len);

/* Whether the header has a field of that name. */
bool rcpts_header_has(const char *header, size_t len, const char *name);

void rcpts_free(struct rcpts *);

/* letter.c: a message from stdin, lines ending with LF. */

struct letter {
	char *data; /* the header, then the rest */
	size_t len;
	size_t header_len; /* without the empty line that ends it */
	bool eightbit;
};

/*
 * Reads all of it; dot_ends: a line "." ends it.  Returns NULL, or what is wrong: a static text,
 * with *exit_code.
 */
const char *letter_read(struct letter *, FILE *, bool dot_ends, int *exit_code);
void letter_strip_bcc(struct letter *);
/* Puts a field (a line with its LF) in front, and an empty line behind the header where none is. */
void letter_prepend(struct letter *, const char *field);
void letter_free(struct letter *);

/* From: for an address and a name in full, encoded where it must be; with its LF.  Pure. */
void letter_from(struct text *, const char *name, const char *address);

/* The name in full of a GECOS field: up to the comma, & is the login name.  Allocated.  Pure. */
char *letter_full_name(const char *gecos, const char *login);

/* submission.c: SMTP to the submission socket. */

struct submission {
	const char *socket_path;
	bool verbose;       /* shows the dialogue on stderr */
	struct addr sender; /* local empty: the null path; domain empty: the host's */
	struct rcpts *rcpts;
	struct letter *message;
	bool add_from; /* From: of the sender and full_name, if the header has none */
	struct addr from;
	const char *full_name; /* may be empty */
	const char *notify;    /* "NEVER", "SUCCESS,FAILURE", or NULL */
	const char *ret;       /* "FULL", "HDRS" or NULL */
	const char *envid;     /* or NULL */
};

/* Sends; an exit code of sysexits.h; the refused are named on stderr. */
int submission_send(struct submission *);
int submission_send_on(int fd, struct submission *); /* closes it */

/* sendmail -bs: stdin and stdout are the client. */
int submission_pipe(const char *socket_path, int in, int out);

/* sendmail.c */

int sendmail_main(int argc, char **argv, const char *control_socket);

#endif
