/*
 * What the files of the queue process share.
 *
 * A message is in memory while it is received or any of its envelopes is active; an envelope is active
 * from its commit (or from when the schedule finds it due) until it is done, or deferred and written.
 * Nothing is written outside journal.c but the pieces of long bodies: a state that must be kept puts its
 * envelope on the journal's list, and the next commit writes it, so an envelope in the spool is never
 * ahead of what a crash may repeat.
 *
 *	intake.c      a message comes in             lane.c      what waits for one user or route
 *	journal.c     the group commit               job.c       what is with a worker or with relay
 *	envelope.c    the memory of active ones      jobworker.c workers of parent; jobroute.c relay
 *	recipient.c   asks lookup, makes items       outcome.c   what becomes of a try; the log line
 *	schedule.c    when to try again              bounce.c    composes reports (pure); report.c glue
 *	warning.c     when to tell that mail is late  wake.c     a route that is reached again
 *	yield.c       fresh mail goes first           lanedown.c a route that relay has set aside
 *	backup.c      the whole spool to a client
 *	damage.c      mail whose part of the spool is damaged
 *	spool*.c, spoolsql.h  the store; everyone else sees spool.h
 *	action.c      whether the configuration still has an action
 *	select.c      which envelopes a person means   wish.c   what he wants of each
 *	pause.c       what he has paused
 *	reentry.c     tokens for mail that a proxy hands back
 *	control.c     the control socket             controlshow.c, controlmessage.c, controldo.c  its commands
 */
#ifndef QUEUE_LOCAL_H
#define QUEUE_LOCAL_H

#include "../role.h"
#include "spool.h"

#include <sys/types.h>

#include <bsd/sys/queue.h>

#define ACTIVE_MAX      5000               /* envelopes in memory */
#define BODY_CACHE_MAX  (32 * 1024 * 1024) /* bytes of first pieces in memory */
#define REPORT_BODY_MAX (1024 * 1024)      /* bytes of a message that RET=FULL sends back */

struct conn;
struct text;

/* clang-format off */
#define ENVELOPE_STATES(S)                                                                \
	S(FRESH,     "fresh")      /* its message is not yet committed */                 \
	S(NEW,       "new")        /* waits to be expanded */                             \
	S(EXPANDING, "expanding")  /* lookup was asked */                                 \
	S(READY,     "ready")      /* waits in its lane */                                \
	S(IN_JOB,    "delivering") /* a worker or relay has it */                         \
	S(DEFERRED,  "deferred")   /* to be written, then forgotten until next_try */     \
	S(FAILED,    "failed")     /* to be reported, then deleted */                     \
	S(DONE,      "done")       /* to be deleted */
/* clang-format on */
#define S(NAME, name) ENVELOPE_##NAME,
enum envelope_state { ENVELOPE_STATES(S) ENVELOPE_STATE_MAX };
#undef S

/* What a sender is told of a recipient. */
enum report_kind {
	REPORT_NONE,
	REPORT_DELAYED,
	REPORT_FAILED,
	REPORT_DELIVERED,
	REPORT_RELAYED, /* to a server that tells him nothing more */
	REPORT_EXPANDED,
	REPORT_CLEARED, /* delivered after all, behind a warning */
};

enum wish { WISH_NONE, WISH_HOLD, WISH_REROUTE };

struct lane;
struct job;

struct envelope {
	struct spool_envelope d; /* its texts are owned */
	struct message *m;
	enum envelope_state state;
	bool stored;  /* it has a row */
	bool journal; /* on the journal's list */
	bool lost;    /* a worker or relay died with it once */
	bool expired; /* failed for want of time; the reason is the last try's */
	bool asleep;  /* in memory for a warning only: its turn in the schedule is another time */
	bool tried;   /* the next commit writes what came of it into the history */
	const char *source;      /* of that try: our own address; like a text of d */
	const char *tls;         /* and its TLS, "" when it had none */
	enum report_kind report; /* it is on report.c's list for this */
	enum wish wish;          /* of a person, while a job or lookup has it */
	struct lane *lane;       /* READY: where it waits */
	struct job *job;         /* IN_JOB */
	struct ipc_call *asked;  /* EXPANDING */
	struct item *items;      /* recipient.c: what lookup has answered so far */
	TAILQ_ENTRY(envelope) of_message, waiting, changed, reporting;
	struct envelope *next_in_bucket;
};
TAILQ_HEAD(envelopes, envelope);

struct message {
	struct spool_message d;     /* its texts are owned */
	struct envelopes envelopes; /* those in memory, by n */
	uint32_t next_n;
	bool open;                     /* still received */
	bool marked;                   /* has pieces in the spool before its row */
	bool too_long, broken, insane; /* so its commit is refused */
	bool whole;    /* all envelopes are in memory: none needs to be looked for in the spool */
	bool history;  /* there may be attempts of it in the spool */
	size_t n_jobs; /* that have it in hand */
	char *fault;   /* damage.c: what is wrong with its body in the spool, or NULL */
	bool deleting; /* on the journal's list of messages that lost an envelope */
	struct ipc *from; /* of intake; NULL: a report of our own, or its smtp process is gone */
	uint32_t call;    /* to be answered after the commit */
	char *body;       /* first piece, or NULL; while open: what no row holds yet */
	size_t body_len, body_cap;
	uint64_t *seen; /* hashes of destination and action, for duplicates */
	size_t n_seen, seen_cap;
	TAILQ_ENTRY(message) arriving; /* intake's open ones, then the journal's */
	STAILQ_ENTRY(message) shrunk;
	struct message *next_in_bucket;
};
TAILQ_HEAD(messages, message);

struct queue_stats {
	uint64_t accepted, delivered, relayed, deferred, failed, expanded, bounces, warnings,
	    successes, removed, refused, set_aside;
	uint64_t commits, committed_messages;
};
extern struct queue_stats queue_stats;

/* queue.c */
extern const char *queue_folder; /* of the spool, as this process sees it */
extern bool queue_stopping;      /* no new jobs */
extern struct ipc *queue_lookup, *queue_relay;
struct ipc *queue_smtp(size_t i, struct msg_smtp_stats *); /* NULL: no such */
void queue_tell_smtp(void);                                /* whether SMTP is paused */

/* envelope.c: what is in memory */
struct message *message_new(uint64_t id);
struct message *message_find(uint64_t id);
struct message *message_load(uint64_t id); /* from memory or the spool; NULL: none */
void message_free(struct message *);       /* with its envelopes; none may be in use */
void message_release(struct message *);    /* frees when nothing needs it */
const char *message_id(const struct message *);
size_t message_count(void);
void message_cache_body(struct message *);
uint64_t message_next_id(void);
bool message_seen(struct message *, const char *dest, const char *action); /* notes it, too */
void message_see_again(struct message *, const struct envelope *but);

struct envelope *envelope_new(struct message *, const struct spool_envelope *); /* a copy */
struct envelope *envelope_find(uint64_t message, uint32_t n);
struct envelope *envelope_load(const struct spool_envelope *); /* a due one; NULL: message gone */
void envelope_free(struct envelope *);
void envelope_change(struct envelope *, enum envelope_state);
size_t envelope_count(void);
size_t envelope_room(void);
const char *envelope_state_name(const struct envelope *);

/* intake.c */
void intake_begin(struct ipc *, struct msg *, void *);
void intake_body(struct ipc *, struct msg *, void *);
void intake_rcpt(struct ipc *, struct msg *, void *);
void intake_commit(struct ipc *, struct msg *, void *);
void intake_abort(struct ipc *, struct msg *, void *);
void intake_gone(struct ipc *);
void intake_rolled_back(void);
void intake_remains(uint64_t id); /* pieces of a message that was refused are to be deleted */
bool intake_sweep(void);          /* deletes them in the open transaction */
void intake_swept(void);

/* room.c */
void room_start(void);
void room_stop(void);
bool room_is_short(void);
bool room_is_short_for_log(void);
void room_took(size_t len); /* of bodies that came in */
bool room_for(size_t len);  /* more of bodies in the open transaction */
void room_wrote(size_t len);
void room_settled(void); /* it is committed, or rolled back */
bool room_give(void);
bool room_give_all(void);

/* journal.c */
void journal_start(void);
void journal_add_message(struct message *); /* complete: written and answered at the next commit */
void journal_add_envelope(struct envelope *); /* its state is written at the next commit */
void journal_wrote(void);                     /* a row was written; commit soon */
void journal_commit(void);
bool journal_is_failing(
    void); /* what has been done cannot be written: nothing more is to be done */
void journal_gone(struct ipc *);

/* recipient.c */
void recipient_expand(struct envelope *);
void recipient_item(struct ipc *, struct msg *, void *);
void recipient_forget(struct envelope *); /* lookup's answer is not wanted any more */

/* outcome.c */
/* told: the next hop tells the sender of success itself. */
void outcome_done(
    struct envelope *, const char *status, const char *text, const char *host, bool told);
void outcome_later(struct envelope *, const char *status, const char *text, const char *host);
void outcome_failed(struct envelope *, const char *status, const char *text, const char *host);
/* Before one of these, if known: our own address, and the connection's TLS. */
void outcome_source(struct envelope *, const char *source, const char *tls);
void outcome_aside(struct envelope *); /* its message has a fault */
void outcome_removed(struct envelope *);
void outcome_clean(char *out, size_t len, const char *foreign);  /* one line, printable */
void outcome_clean_address(char *out, size_t len, const char *); /* the same, but for UTF-8 */

/* schedule.c */
int64_t schedule_backoff(uint32_t attempts, uint32_t random);
int64_t schedule_decide(const struct spool_envelope *, int64_t now, uint32_t random);
void schedule_start(void);
void schedule_now(void); /* the clock was moved */
void schedule_load(const struct spool_envelope *);
void schedule_wake(void);                             /* there may be room again */
void schedule_rewind(int64_t next_try, uint64_t key); /* rows from here on must be met again */
void schedule_written(const struct spool_envelope *); /* a row that memory no longer holds */

/* warning.c */
int64_t warning_step(const struct spool_envelope *, int64_t now); /* the one due at now, or 0 */
int64_t warning_next(const struct spool_envelope *);              /* when the next is, or 0 */
void warning_start(void);
void warning_now(void); /* the clock was moved */
void warning_set(struct envelope *);
void warning_check(struct envelope *, int64_t now); /* tells its sender when a step is due */

/* yield.c: what has waited yields to what comes in */
void yield_fresh(void); /* mail has come in */
/* Until the next part of such work; this one began at that time, in microseconds. */
struct timeval yield_pause(int64_t began_us);

/* lane.c */
struct lane_down {        /* relay has set the route aside: the answer for its mail until then */
	int64_t until_ms; /* monotonic */
	char *status, *text, *host;
};
struct lane {
	char *route; /* "": local, of this uid */
	uid_t uid;
	gid_t gid;
	struct envelopes waiting;
	size_t n_waiting, n_in_job;
	uint32_t told; /* of a route: what relay was told last */
	size_t bucket;
	int64_t moved_ms; /* monotonic: its last result */
	bool is_hungry;   /* waits for its turn, because too much is in flight */
	bool is_catching; /* it takes part in this reading of the schedule */
	bool skipped;     /* due rows behind `behind` were left in the spool */
	struct spool_cursor behind;
	struct lane_down *down;
	bool reached; /* wake.c: its route's server has answered, and what waited for that is due */
	struct jobworker *worker;
	int64_t waits_ms; /* monotonic: since when it waits for one */
	TAILQ_ENTRY(lane) entry, hungry;
	struct lane *next_in_bucket;
};
TAILQ_HEAD(lanes, lane);
TAILQ_HEAD(lanes_hungry, lane);
extern struct lanes lanes;
void lane_enter(struct envelope *); /* READY: waits for its user's worker or its route */
void lane_leave(struct envelope *);
struct lane *lane_of_route(const char *);      /* NULL: nothing of it is in memory */
bool lane_full(const struct spool_envelope *); /* takes no more into memory now */
bool lane_skips(
    const struct spool_envelope *);    /* the same of a due row: its lane notes it for later */
void lane_drop(struct envelope *);     /* by a person's will */
void lane_unload(struct envelope *);   /* into the spool, due at once */
void lane_unload_paused(void);         /* all of the lanes that a pause holds now */
size_t lane_room(const struct lane *); /* recipients that may still go into jobs */
void lane_hunger(struct lane *);       /* there was no room */
void lane_go_on(void);
void lane_job(struct lane *);   /* one envelope of it goes into a job */
void lane_over(struct lane *);  /* one envelope of it is out of its job */
void lane_check(struct lane *); /* frees when unused */

/* job.c */
struct job {
	uint64_t id;
	struct message *m;
	struct lane *lane;
	struct ipc *to;
	size_t n, left;
	struct job *next_in_bucket;
	TAILQ_ENTRY(job) entry;
	struct envelope *envelopes[]; /* NULL when its result is there */
};
struct job *job_new(struct ipc *, struct envelope **, size_t n);
void job_body_pull(struct ipc *, struct msg *, void *);
void job_result(struct ipc *, struct msg *, void *);
void job_lost(struct ipc *, const char *why);
void job_forget(struct envelope *);
/* NULL, or why there is none */
const char *job_message(struct job *, struct msg_job *, struct text *rcpts);
void job_fail(struct job *, const char *why);
size_t job_count(void);

/* jobworker.c, jobroute.c */
void jobworker_feed(struct lane *);
void jobworker_over(struct lane *);
void jobworker_drain(int64_t until_ms);
size_t jobworker_count(void);
void jobroute_feed(struct lane *);
void jobroute_pull(struct ipc *, struct msg *, void *);
void jobroute_new_relay(void);

/* lanedown.c */
bool lanedown_is(const struct lane *);
void lanedown_note(struct lane *, const struct msg_job_result *);
void lanedown_answer(const struct lane *, struct envelope *); /* it is put off */
void lanedown_retry(const char *route);                       /* a person wants it tried now */
void lanedown_retry_all(void);
void lanedown_forget_all(void);

/* wake.c */
struct msg_job_result;
void wake_result(struct lane *, const struct msg_job_result *);

/* backup.c */
struct control;
void backup_start(struct control *);
void backup_gone(struct control *);
void backup_give_way(void);

/* damage.c: what is damaged is set aside, like mail that a person holds, and the log says so */
void damage_start(void); /* looks at all that an earlier process left, little by little */
bool damage_found(
    struct message *); /* whether its body is; to be asked when it could not be read */
void damage_orphan(const struct spool_envelope *); /* a row whose message is not there */
void damage_repair(void); /* a page of the database is: ends this process, the next one mends it */

/* bounce.c: pure */
struct bounce_rcpt {
	const char *rcpt, *orcpt, *status, *text, *host;
	enum report_kind kind;
	bool expired;      /* failed: the text is what the last try said */
	bool relayed;      /* cleared: passed on to another server */
	const char *until; /* delayed: a date */
};
struct bounce { /* its recipients are all failed, all delayed, all cleared, or none of these */
	const char *hostname, *id, *sender, *envid, *date, *arrived, *message_id;
	const char *original; /* whole or headers only */
	size_t original_len;
	bool full;
	bool utf8;          /* the sender's address is not ASCII: the report goes with SMTPUTF8 */
	bool utf8_original; /* what follows is a header, or a message, in UTF-8 (RFC 6532) */
	bool undeliverable; /* the original is a bounce itself: this is for postmaster */
	const struct bounce_rcpt *rcpts;
	size_t n_rcpts;
};
void bounce_compose(struct text *, const struct bounce *);
size_t bounce_header_len(const char *body, size_t len);

/* report.c */
void report_add(struct envelope *, enum report_kind); /* goes into the next commit */
void report_drop(struct envelope *);                  /* what was added */
void report_expanded(struct envelope *);              /* at once */
void report_compose(void);

/* select.c */
struct selection {
	uint64_t from, to; /* envelope keys; from moves on */
	bool all, one;     /* all there is; a message or envelope that was named */
	char *sender, *recipient, *route, *state; /* patterns, or NULL */
	uint64_t of;                              /* the message that sender_fits is of */
	bool sender_fits;
};
const char *select_parse(struct selection *, char **words, size_t n); /* NULL, or what is wrong */
void select_free(struct selection *);
bool select_fits(const char *pattern, const char *text);
/* row: what the spool has; the envelope is NULL when memory has none. */
bool select_takes(struct selection *, const struct spool_envelope *row, const struct envelope *);
const char *select_state(const struct spool_envelope *row, const struct envelope *);

/* wish.c: false: nothing to be done */
bool wish_schedule(struct envelope *);
bool wish_hold(struct envelope *);
bool wish_release(struct envelope *);
bool wish_remove(struct envelope *);
bool wish_reroute(struct envelope *);
void wish_come_true(struct envelope *);

/* pause.c */
void pause_start(void);
bool pause_smtp(void);
bool pause_holds(const struct spool_envelope *);
const char *pause_begin(const char *what); /* NULL, or why not */
const char *pause_end(const char *what);
void pause_each(void (*)(const char *what, int64_t since, void *arg), void *arg);

/* action.c */
bool action_is_known(const char *text);

/* control.c */
struct control {
	struct conn *conn;
	struct event *again;
	void (*step)(
	    struct control *); /* goes on with an answer that is under way; NULL: none is */
	struct ipc_call *asked;
	uint32_t ask;              /* number of that call */
	struct selection selected; /* what a step goes over */
	uint64_t message, range;   /* of "show message"; range: where its envelopes begin */
	uint32_t attempt;          /* shown last */
	size_t command;            /* of controldo.c */
	uint64_t count;
	TAILQ_ENTRY(control) entry;
};
void control_listener(uint32_t index, int fd);
void control_row(struct ipc *, struct msg *, void *);
bool control_room(struct control *);               /* the client reads as fast as we write */
void control_put(struct control *, struct text *); /* one line; the text is emptied */
void control_put_line(struct control *, const char *line);
void control_again(struct control *);                  /* step() once other events had their turn */
void control_end(struct control *, const char *error); /* NULL: all well */
bool control_parse_id(const char *text, uint64_t *id, int64_t *n); /* n -1: whole message */

/* controlshow.c, controlmessage.c */
void controlshow_queue(struct control *, char **words, size_t n);
void controlshow_paused(struct control *);
void controlshow_stats(struct control *);
void controlmessage_show(struct control *, const char *id);
/* columns of an envelope, and a row of it; with those that "show message" has in addition */
void controlshow_columns(struct control *, bool in_full);
void controlshow_envelope(struct control *, const struct spool_envelope *row, bool in_full);

/* reentry.c: tokens for mail that a proxy hands back */
void reentry_start(void);
/* The field for a message that goes out under this action; nothing when it leads to no proxy. */
void reentry_put(struct text *, const struct message *, const char *action);
bool reentry_check(const char *token);

/* controldo.c */
void controldo_clock(struct control *, const char *plus_sec);
void controldo_pause(struct control *, char **words, size_t n);
bool controldo_is_command(const char *word);
void controldo_command(struct control *, char **words, size_t n);

#endif
