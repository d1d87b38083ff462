/*
 * The store of mail: messages, their bodies in pieces, their envelopes, the schedule.
 *
 * Called by the queue process only.  Every write opens a transaction when none is open; nothing is
 * kept before spool_commit(), whose fsync has returned when it does.  A write that fails (disk full,
 * I/O error) says false; the caller rolls back, and with that all since the last commit is undone.
 * Texts given out point into the store and are valid until the callback or the next call.
 */
#ifndef QUEUE_SPOOL_H
#define QUEUE_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SPOOL_N_BITS     17 /* envelopes of a message */
#define SPOOL_PIECE_BITS 12 /* pieces of a body, 64 KiB each at most */
#define SPOOL_N_MAX      ((1u << SPOOL_N_BITS) - 1)
#define SPOOL_PIECES_MAX (1u << SPOOL_PIECE_BITS)
#define SPOOL_PIECE_LEN  (64u * 1024)

#define SPOOL_ATTEMPTS_MAX 50 /* of one envelope */

struct spool_message {
	uint64_t id;
	int64_t created; /* seconds since 1970 */
	const char *sender, *client, *helo, *tag, *auth, *envid;
	uint32_t local, ret, eightbit, utf8;
	uint64_t size;   /* bytes of the body */
	uint32_t pieces; /* rows of the body */
};

enum spool_state { SPOOL_NEW, SPOOL_READY }; /* to be expanded; to be delivered */

struct spool_envelope {
	uint64_t message;
	uint32_t n;
	enum spool_state state;
	const char *rcpt, *orcpt;           /* as given, original (RFC 3461) */
	const char *dest, *action, *route;  /* after expansion */
	const char *user, *home;            /* of a local recipient */
	const char *status, *reason, *host; /* of the last try: "4.4.1", text, who said it or "" */
	uint32_t notify, uid, gid, attempts;
	int64_t created, expire, next_try; /* seconds since 1970; expire 0: not known yet */
	int64_t next_warn; /* when its sender is to be told that it is late; 0: never */
	const char *
	    warn; /* times of its own, in seconds: "14400,86400", "none"; "": the configuration's */
	int64_t warned; /* seconds: the step of bounce-warn that he was told; 0: none */
	int64_t held;   /* since when a person holds it: no try, no expiry, no warning; 0: not */
	bool part;      /* one of several that its recipient expanded to */
};

/* What came of one try, kept as long as its message is queued. */
struct spool_attempt {
	uint64_t message;
	uint32_t n, number; /* from 1 */
	int64_t at;         /* seconds since 1970 */
	const char *event;  /* "deferred", "failed" */
	const char *status, *host, *source, *tls, *reply;
};

struct spool_cursor {
	int64_t next_try;
	uint64_t key;
};

/*
 * Copies that own their texts, where NULL becomes ""; and the end of such a copy, which leaves it zeroed.
 * An empty text is spool_none, and costs no memory.
 */
extern const char spool_none[];
void spool_message_copy(struct spool_message *to, const struct spool_message *from);
void spool_message_free(struct spool_message *);
void spool_envelope_copy(struct spool_envelope *to, const struct spool_envelope *from);
void spool_envelope_free(struct spool_envelope *);
void spool_text_set(const char **where, const char *value); /* of a copy; NULL: "" */

/* The primary key of an envelope, and the number that EXPAND carries. */
static inline uint64_t
spool_key(uint64_t message, uint32_t n)
{
	return message << SPOOL_N_BITS | n;
}

/* NULL, or why not.  Mends what is damaged, and removes what an earlier process left half received. */
const char *spool_open(const char *file);
void spool_close(void);

bool spool_commit(void); /* true as well when nothing was written */
void spool_rollback(void);
bool spool_dirty(void);        /* something was written and not committed */
const char *spool_error(void); /* of the last call that said false */

/* A page of the database was found to be damaged; so the next spool_open() is to mend it. */
bool spool_damaged(void);
void spool_want_repair(void);
int64_t spool_unused(void); /* bytes of the file that hold nothing, and can */
bool spool_full(void);      /* what spool_error() tells is that the file system has no room */

/*
 * The write-ahead log: what a commit wrote is copied into the file when the log has len bytes, so the file system
 * must have room for it once more.
 */
#define SPOOL_LOG_LEN (32 * 1024 * 1024)
void spool_limit_log(int64_t len); /* at most SPOOL_LOG_LEN, which is what holds without */
bool spool_log_stuck(void);        /* there is no room to copy it */
bool spool_grow(void);             /* makes that room; false: there is none */
bool spool_grow_log(void);         /* the same for the log up to that length */
bool spool_empty_log(void);        /* copies it; false: no room, or a backup is made */

/*
 * The file as it is now, for a backup: *len bytes, which can be read, from the first on, until the end.  Such a copy
 * can be a spool: spool_open() then makes all its envelopes SPOOL_NEW.
 */
const char *spool_snapshot_begin(uint64_t *len); /* NULL, or why not */
bool spool_snapshot_read(uint64_t at, void *piece, size_t len);
void spool_snapshot_end(void);

/* A body that is received over more than one transaction is marked until its message is put. */
bool spool_put_mark(uint64_t id);
bool spool_put_piece(uint64_t id, uint32_t seq, const void *data, size_t len);
bool spool_put_message(const struct spool_message *, bool marked);
bool spool_put_envelope(const struct spool_envelope *);
bool spool_update_envelope(const struct spool_envelope *);
bool spool_delete_envelope(uint64_t id, uint32_t n);
/* Some that are to be tried later are due at `now` instead; *n is how many, 0 when none is left. */
bool spool_advance(uint64_t from, uint64_t to, int64_t now, size_t max, size_t *n);
/* The same for what waits for this route because it was not reached. */
bool spool_wake(const char *route, int64_t now, size_t max, size_t *n);
bool spool_delete_message(uint64_t id, uint32_t pieces); /* and its body; not its envelopes */
/* Of each envelope the newest SPOOL_ATTEMPTS_MAX are kept. */
bool spool_put_attempt(const struct spool_attempt *);
bool spool_delete_attempts(uint64_t id); /* of a message */
bool spool_put_pause(const char *what, int64_t since);
bool spool_delete_pause(const char *what);
bool spool_delete_marked(uint64_t id);

/* Reading sees what was written and not committed, too. */
typedef bool spool_on_envelope(const struct spool_envelope *, void *arg); /* false: enough */
typedef bool spool_on_attempt(const struct spool_attempt *, void *arg);   /* false: enough */
typedef void spool_on_pause(const char *what, int64_t since, void *arg);
typedef void spool_on_message(const struct spool_message *, void *arg);
typedef void spool_on_piece(const void *data, size_t len, void *arg);
bool spool_get_message(uint64_t id, spool_on_message *, void *arg); /* false: none */
/* false: none, not readable, or not what was written; nothing is given then. */
bool spool_get_piece(uint64_t id, uint32_t seq, spool_on_piece *, void *arg);
struct spool_size {
	uint64_t id, size;
	uint32_t pieces;
};
/* NULL: it is whole, or cannot be read now (spool_readable()); or what is damaged or missing. */
const char *spool_body_fault(const struct spool_size *);
size_t spool_sizes(uint64_t after, struct spool_size *, size_t max); /* of messages, by id */
bool spool_has_envelopes(uint64_t id);
bool spool_has_destination(uint64_t id, const char *dest, const char *action);
bool spool_readable(
    void); /* false: a read failed since the last rollback; what it said is not to be believed */
uint32_t spool_last_n(uint64_t id); /* the highest number in use */

/* Due at `now`, behind the cursor, in the schedule's order; returns how many were given. */
size_t spool_each_due(struct spool_cursor, int64_t now, size_t max, spool_on_envelope *, void *arg);
int64_t spool_next_due(struct spool_cursor); /* the first next_try behind it; 0: none */
/* Whose sender is to be told at `now` that they are late, and when the first is to be; 0: none. */
size_t spool_each_warning(int64_t now, size_t max, spool_on_envelope *, void *arg);
int64_t spool_next_warning(void);
/* All with keys from `from` to `to`, in order. */
size_t spool_each(uint64_t from, uint64_t to, size_t max, spool_on_envelope *, void *arg);

/* Behind attempt number `after` of the envelope with this key, to the end of the message. */
size_t spool_each_attempt(uint64_t key, uint32_t after, size_t max, spool_on_attempt *, void *arg);
void spool_each_pause(spool_on_pause *, void *arg);

uint64_t spool_last_id(void); /* the highest id of a message at the start */
int64_t spool_count_messages(void);
int64_t spool_count_envelopes(void);

/* For tests: at most this many pages, so that the disk is full. */
void spool_limit_pages(int pages);

#endif
