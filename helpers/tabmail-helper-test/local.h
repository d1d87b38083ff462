/*
 * What the files of tabmail-helper-test share.
 *
 *	main.c       arguments; runs the tests in order, prints TAP
 *	run.c        the helper as a child: one socket pair, stderr apart, every wait with a deadline
 *	talk.c       the daemon's part of the protocol: handshake, questions, answers matched by id
 *	report.c     what a test found, as TAP
 *	list.c       the tests: names, levels, promises, what each needs
 *	handshake.c answers.c keys.c flow.c end.c   the tests themselves
 *
 * Each test has a helper of its own, so none spoils another's.
 */
#ifndef HELPER_TEST_LOCAL_H
#define HELPER_TEST_LOCAL_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "tab.h"

#define QUIET_SEC 0.3 /* that long nothing must come, where nothing must */
#define MANY      512 /* max-pending's default: so many may be in flight */
#define TABLE     "test"

struct evbuffer;

/* --- main.c: what the person gave */

/* -s service:key=value */
struct known {
	enum tab_op op;
	enum tab_service service;
	const char *key, *value; /* value "" for a check */
	char *text;              /* as it was given; owns key */
	char *parts;
	bool wrong; /* the helper finds it not so, and was told */
};

struct options {
	char **command;
	double secs; /* that an answer may take */
	bool strict; /* a broken "should" fails */
	struct known *known;
	size_t n_known;
};
extern struct options options;

/* --- run.c */

struct run {
	pid_t pid;
	int fd, err_fd;                     /* -1: closed */
	struct evbuffer *in, *out, *errors; /* errors: stderr, for the report */
	bool reading;                       /* false: what it says is left in the socket */
	bool eof;                           /* it closed its end */
	bool ended;
	int status; /* of waitpid(), when ended */
};

enum run_got { RUN_LINE, RUN_NOTHING, RUN_EOF, RUN_TOO_LONG };

struct run *run_start(int buffer_bytes); /* 0: the system's */
void run_put(struct run *, const char *bytes, size_t len);
bool run_flush(struct run *, double secs); /* whether all is written */
/* Writes byte by byte, each when the helper has read the one before. */
void run_drip(struct run *, const char *bytes, size_t len);
size_t run_unsent(const struct run *);
void run_discard(struct run *); /* what was put and is not written */

/* The next line, without its LF; valid until free(). TOO_LONG: 64 KiB and no LF; line is its start. */
enum run_got run_line(struct run *, double secs, char **line, size_t *len);
void run_turn(struct run *, double secs); /* reads and writes what can be, for at most that long */
void run_shut(struct run *);              /* the helper reads EOF, its answers can still be read */
void run_close(struct run *);
/* Whether it ended by itself; busy: how much of the time it did not sleep, 0 to 1; may be NULL. */
bool run_wait(struct run *, double secs, double *busy);
/* Until it says something, ends, or has been asleep for QUIET_SEC: it has started up. */
void run_settle(struct run *);
const char *run_fate(const struct run *, char *buf, size_t len); /* "it ended with status 1" */
char *run_errors(struct run *);                                  /* stderr; free() */
void run_free(struct run *);                                     /* kills what is left of it */
double run_now(void);                                            /* seconds, monotonic */

/* --- talk.c */

struct asked {
	char id[TAB_ID_MAX];
	enum tab_op op;
	enum tab_service service;
	char *line; /* as it was sent, without LF */
	const struct known *known;
	unsigned answers;
	enum tab_answer answer; /* the first */
	char *value, *reply;
	double at;
};

/* A line that should not have come: the first of its kind. */
struct oddity {
	unsigned n;
	char *line, *after; /* after: what was sent last before it */
	const char *why;
};

struct talk {
	struct run *run;
	unsigned services; /* registered: 1 << TAB_ALIAS … */
	unsigned n_registered;
	char *unknown_service;
	bool ready;
	struct asked **asked;
	size_t n_asked, n_open, cap, next;
	char *last;                                             /* line that it sent */
	struct oddity garbage, empty, strange, twice, other_op; /* strange: an id of nobody */
	struct oddity too_long;
	unsigned out_of_order;
	size_t answered_upto; /* index of the last one answered */
};

struct talk *talk_new(struct run *);
void talk_put(struct talk *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Sends the configuration (unless NULL: the usual) and takes the services; whether register|ready came. */
bool talk_shake(struct talk *, const char *config);

/* A question, put into the buffer only.  id NULL: a new one. */
struct asked *talk_ask(
    struct talk *, enum tab_op, enum tab_service, const char *id, const char *key);
struct asked *talk_ask_known(struct talk *, const struct known *);

/* Takes lines until nothing is open any more; each answer renews the deadline. */
bool talk_wait(struct talk *, double secs);
void talk_listen(struct talk *, double secs); /* whatever comes in that time */
/* Forgets what was odd so far. */
void talk_clear(struct talk *);
const struct asked *talk_unanswered(const struct talk *);
void talk_free(struct talk *);

bool talk_offers(const struct talk *, enum tab_op, enum tab_service);
/* A key of that service that most tables do not have. */
const char *talk_key(enum tab_service, unsigned n, char *buf, size_t len);

/* --- report.c */

enum level { MUST, SHOULD, MAY };

/* What a test found; all strings are freed with it. */
struct report {
	bool bad;
	bool harmless; /* bad, but the tests that need this one can be run */
	char *skip, *sent, *got, *advice;
	char *notes; /* lines */
	char *errors;
};

/* The first call counts.  sent and got may be NULL; got may be any bytes. */
void report_bad(struct report *, const char *sent, const char *got, const char *advice);
void report_note(struct report *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void report_skip(struct report *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* No answer came: says what came instead, and how the helper fared. */
void report_silence(struct report *, struct talk *, const char *sent, const char *advice);
void report_print(struct report *, unsigned n, const char *name, enum level, const char *promise);
void report_free(struct report *);

/* --- list.c */

enum need {
	NEED_NOTHING,
	NEED_START,
	NEED_HANDSHAKE,
	NEED_ANSWERS,
	NEED_UPDATE,
	NEED_MANY,
	NEED_END,
	NEED_MAX
};

struct test {
	const char *name;
	enum level level;
	const char *promise; /* what holds when it passes */
	enum need needs[2];
	enum need gives; /* gives: what is not there when this fails */
	void (*run)(struct report *);
};
extern const struct test list_tests[];
extern const size_t list_len;

/* A helper that has shaken hands; NULL, and reported, when it does not. */
struct talk *list_begin(struct report *, int buffer_bytes);
void list_end(struct report *, struct talk *);

void handshake_starts(struct report *);
void handshake_silent(struct report *);
void handshake_registers(struct report *);
void handshake_known_services(struct report *);
void handshake_pieces(struct report *);
void handshake_unknown_keys(struct report *);
void handshake_bare(struct report *);
void handshake_idle(struct report *);

void answers_every_service(struct report *);
void answers_line_length(struct report *);
void answers_valid_lines(struct report *);
void answers_not_empty(struct report *);
void answers_id(struct report *);
void answers_once(struct report *);
void answers_operation(struct report *);
void answers_id_opaque(struct report *);
void answers_other_operation(struct report *);
void answers_unknown_operation(struct report *);
void answers_unknown_service(struct report *);
void answers_update(struct report *);
void answers_update_error(struct report *);
bool answers_came_twice(void);
void answers_free(void); /* what the first look at the answers left */

void keys_unknown(struct report *);
void keys_known(struct report *, struct known *);
void keys_case(struct report *);
void keys_password_case(struct report *);
void keys_bar(struct report *);
void keys_spaces(struct report *);
void keys_utf8(struct report *);
void keys_bytes(struct report *);
void keys_meta(struct report *);
void keys_long(struct report *);
void keys_empty(struct report *);

void flow_byte_by_byte(struct report *);
void flow_one_write(struct report *);
void flow_not_reading(struct report *);
void flow_update_among(struct report *);
void flow_order(struct report *);

void end_eof(struct report *);
void end_pending(struct report *);
void end_abrupt(struct report *);
void end_early(struct report *);

#endif
