/*
 * What the files of the SMTP server share.  The pure parts come first (no I/O, unit-tested), then
 * the session and what each file offers to the others.
 */
#ifndef TABMAIL_SMTP_LOCAL_H
#define TABMAIL_SMTP_LOCAL_H

#include "addr.h"
#include "conf.h"
#include "ipc.h"
#include "passage.h"

#include <sys/types.h>

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tab_set;
struct text;

/* --- smtp_parse.c: command lines.  Pure. */
#define COMMAND_LINE_MAX 2048 /* with CRLF: 512 and what the extensions add, rounded up */

/* What the bytes begin with: nothing whole yet, a line, or a fault. */
enum line { LINE_MORE, LINE_OK, LINE_LONG, LINE_BARE_LF, LINE_CONTROL };
/* *len: bytes with the end.  After LONG (len 0) and BARE_LF the rest up to CRLF is to be eaten. */
enum line smtp_parse_scan(const char *in, size_t in_len, size_t *len);

/* Cuts the verb off, upper case; returns the arguments, "" when there are none. */
char *smtp_parse_verb(char *line);

/* "HELO x": whether x is a name or an address literal, or near enough to be harmless. */
bool smtp_parse_helo(const char *name);

/* Parameters that count only where their extension is offered.  UTF8: for RCPT, MAIL has asked for it. */
enum { OFFERS_DSN = 1, OFFERS_AUTH = 2, OFFERS_UTF8 = 4 };

struct mail_params {
	int64_t size;      /* -1: not given */
	enum dsn_ret ret;  /* RFC 3461 4.3 */
	const char *envid; /* xtext as given, "" when not; points into the arguments */
	bool utf8;         /* SMTPUTF8 */
};
struct rcpt_params {
	uint32_t notify;   /* bits of enum dsn_notify */
	const char *orcpt; /* as given (xtext.h), or "" */
};
/* The whole of MAIL's and RCPT's arguments; NULL, or the reply that says what is wrong. */
const char *smtp_parse_mail(char *args, unsigned offered, struct addr *, struct mail_params *);
const char *smtp_parse_rcpt(char *args, unsigned offered, struct addr *, struct rcpt_params *);

/* --- data.c: what follows DATA, up to CRLF.CRLF.  Pure. */
enum data_state { DATA_LINE_START, DATA_DOT, DATA_DOT_CR, DATA_TEXT, DATA_CR, DATA_ENDED };
struct data {
	enum data_state state; /* DATA_LINE_START at the start */
	bool bare;             /* held a bare CR, a bare LF or a NUL: to be refused */
	bool eightbit;
	bool chunked;  /* no dots are stuffed, and none ends it */
	uint64_t size; /* bytes as RFC 1870 counts them: with CRLF, without stuffed dots */
};
/*
 * Takes input, writes what is to be stored (lines end with LF) to out, which has room for in_len
 * bytes, or is NULL.  Returns how much it took: less than in_len only when state is DATA_ENDED.
 */
extern const char data_bare[]; /* the reply to such a message */
void data_end(struct data *);  /* of the last chunk */
size_t data_feed(struct data *, const char *in, size_t in_len, char *out, size_t *out_len);

/* --- headscan.c: what the header of a stored message holds.  Pure.  Start with {0}. */
struct headscan {
	enum { HEAD_LINE, HEAD_NAME, HEAD_SPACE, HEAD_REST } state;
	bool over;      /* the header has ended */
	bool malformed; /* at a line that is no field, not at an empty one */
	bool some;      /* a field was seen */
	bool date, message_id;
	unsigned received;
	uint8_t name_len;
	char name[15];
};
/* Returns how much of it belongs to the header. */
size_t headscan_feed(struct headscan *, const char *text, size_t len);

/*
 * --- partscan.c: whether a header of one of the body's parts (RFC 2046 5.1) is not all ASCII.  Pure.  Start
 * with {0} at the end of the message's header.
 */
struct partscan {
	enum {
		PART_LINE,
		PART_DASH,
		PART_DELIMITER,
		PART_DELIMITER_REST,
		PART_FIELD,
		PART_NAME,
		PART_VALUE,
		PART_BODY
	} state;
	bool high;
};
void partscan_feed(struct partscan *, const char *text, size_t len);

/* --- reply.c: foreign replies made safe.  Pure. */
#define REPLY_LEN_MAX 510
/*
 * One line to send: `text` when it is a reply of the verdict's class ("550 5.1.1 …"), without
 * controls and 8-bit bytes; else, or when it is empty, `otherwise`, followed by the text.
 */
const char *reply_clean(
    char out[REPLY_LEN_MAX + 1], const char *text, enum verdict, const char *otherwise);

/* --- trace.c: the header that is put in front.  Pure. */
struct trace {
	const char *helo, *client, *host, *id;
	const char *name; /* the client's; NULL: unknown */
	const char *rcpt; /* NULL: more than one, or not to be told */
	const char *auth; /* the user, to be told; NULL: nobody, or not to be told */
	const char *tls;  /* "TLSv1.3 TLS_AES_256_GCM_SHA384", or NULL */
	bool esmtp, utf8, masked;
	bool authenticated;
	bool local; /* through the submission socket, by uid */
	uid_t uid;
	int64_t wall_sec;
};
void trace_put(struct text *, const struct trace *);

/* --- proxy_header.c: the header of the PROXY protocol, version 2.  Pure. */
#define PROXY_HEADER_MAX (8 * 1024) /* bytes, what proxies add about TLS and themselves included */
/* Not whole yet; a client, from and to are set; the proxy itself; anything else. */
enum proxy { PROXY_MORE, PROXY_CLIENT, PROXY_SELF, PROXY_BAD };
enum proxy proxy_header(const char *in, size_t in_len, size_t *len, struct sockaddr_storage *from,
    struct sockaddr_storage *to);

/* --- xclient_parse.c: the arguments of XCLIENT.  Pure. */
#define XCLIENT_TEXT_LEN 256
/* What was given; a text is "" and an address AF_UNSPEC when it is said to be unavailable. */
struct xclient {
	bool has_name, has_addr, has_proto, has_helo, has_login, has_dest;
	bool esmtp;
	char name[XCLIENT_TEXT_LEN], helo[XCLIENT_TEXT_LEN], login[XCLIENT_TEXT_LEN];
	struct sockaddr_storage addr, dest;
};
/* Cuts args up.  NULL, or the reply that says what is wrong. */
const char *xclient_parse(struct xclient *, char *args, bool login);

/* --- admit.c: who may connect.  Pure, but that it counts. */
struct admission {
	struct counter *address, *network; /* NULL: not counted */
};
/* NULL, or the reply that turns it away.  The address NULL: it is exempt. */
const char *admit(struct admission *, const struct sockaddr_storage *,
    const struct conf_smtp_limits *, int64_t now_ms);
void admit_leave(struct admission *);

/* --- The session. */
enum phase { PHASE_START, PHASE_READY, PHASE_MAIL, PHASE_RCPT, PHASE_DATA, PHASE_BDAT };
/* PROXY: for who the client is; NAME: for what we are called at the address he connected to */
enum wait { WAIT_NONE, WAIT_ID, WAIT_STORED, WAIT_VERDICT, WAIT_TLS, WAIT_PROXY, WAIT_NAME };

/* What the next line is: a command, or an answer to AUTH's challenge. */
enum auth_step { AUTH_STEP_NONE, AUTH_STEP_PLAIN, AUTH_STEP_USER, AUTH_STEP_PASSWORD };

struct listener {
	uint32_t index;
	const char *hostname, *tag;        /* tag: "" when it has none */
	char where[NETADDR_TEXT_LEN + 16]; /* "127.0.0.1 port 25" */
	bool submit;                       /* AF_UNIX */
	bool dsn, masked, reentry;
	bool loopback; /* a password may come in clear */
	enum conf_auth auth;
	bool senders, masquerade, received_auth;
	enum conf_tls tls;
	bool tls_verify; /* clients show a certificate */
	const struct conf_table *hostnames;
	struct tab_set *proxies, *xclients; /* who may name another as the client; NULL: nobody */
};

/* A recipient, asked for or accepted.  Replies go out in the order of the commands. */
struct rcpt {
	STAILQ_ENTRY(rcpt) entry;
	struct session *session;
	struct ipc_call *call; /* NULL: answered */
	bool accepted;
	uint32_t notify;
	char *reply; /* once answered */
	char *orcpt;
	char address[]; /* "": what was given is no address */
};

/* How fast octets come. */
struct pace {
	int64_t began_ms;
	uint64_t deadline_at; /* the octet at which the deadline is set anew */
};

/* From MAIL to the end of DATA. */
struct transaction {
	char *sender, *envid;
	bool utf8; /* SMTPUTF8 was asked for */
	enum dsn_ret ret;
	uint64_t id;   /* queue's; 0: not known yet, or aborted */
	char *refusal; /* queue's, or what is wrong with the data; NULL: none */
	STAILQ_HEAD(rcpts, rcpt) asked, accepted;
	unsigned n_asked, n_accepted;
	struct data data;
	struct headscan head;
	struct partscan parts;         /* of a message with SMTPUTF8 */
	bool utf8_head;                /* its header is not all ASCII */
	char token[PASSAGE_TOKEN_LEN]; /* that the message came back with, or "" */
	char *body;                    /* what is not sent to queue yet */
	size_t body_len, body_cap, trace_len;
	struct pace pace;
	int64_t worked_ms; /* a recipient was taken, or octets came */
};

/* A chunk of BDAT. */
struct chunk {
	bool open; /* its octets are to come next */
	bool last;
	uint64_t size, left;
	const char *refusal; /* it is eaten; NULL: it is the transaction's */
	struct pace pace;    /* of what is eaten */
};

struct begin;
struct naming;

struct session {
	TAILQ_ENTRY(session) entry;
	char id[17];
	struct conn *conn;
	const struct listener *listener;
	const char *hostname;          /* what we are called here: the listener's, or own_name */
	char *own_name;                /* of our address, by the listener's hostnames; or NULL */
	char client[NETADDR_TEXT_LEN]; /* an address, "local", or "unknown" */
	char *client_name;             /* by XCLIENT; NULL: unknown */
	char *helo;                    /* NULL: not said yet */
	bool near;                     /* the connection comes from this machine */
	bool xclient;                  /* he may tell us for whom he speaks */
	bool local;                    /* the client is on this machine */
	bool exempt;       /* no limit of an address counts: 127.0.0.1, ::1, ourselves */
	char *user, *auth; /* who logs in, who has logged in; NULL: nobody */
	const char *mechanism;
	struct admission admission;
	struct event *greeting; /* waits for early talkers; NULL: it was greeted */
	int64_t born_ms;
	unsigned n_messages, n_rcpts;
	enum auth_step auth_step;
	unsigned auth_failures;
	bool esmtp, eating, paused;
	bool owed;                       /* patience_owes(), when the deadline was set */
	bool eof;                        /* the client sends no more */
	bool closing, linger, lingering; /* ends when its replies are out; or a little later */
	const char *reason;              /* of closing */
	uid_t uid;                       /* of the peer, on the submission socket */
	enum phase phase;
	enum wait wait;
	unsigned bad;          /* refused commands in a row */
	unsigned idle;         /* commands that brought nothing, since the last message */
	struct naming *naming; /* the question of WAIT_NAME */
	struct begin *begin;   /* MAIL_BEGIN asked and not answered */
	struct ipc_call *commit;
	struct ipc_call *call; /* of WAIT_VERDICT */
	struct transaction *tx;
	struct chunk chunk;
};

TAILQ_HEAD(session_list, session);
extern struct session_list session_list; /* oldest first */

/* smtp.c */
struct smtp {
	int timeout_sec; /* of a command, or of a KiB of data: RFC 5321 4.5.3.2; less under stress */
	bool stress;     /* too many sessions: those that do nothing have little time */
	bool full;       /* too much memory in use: nothing new is begun */
	struct ipc *lookup, *queue;
	unsigned n_sessions, sessions_max; /* limit sessions, or what descriptors allow */
	bool paused;                       /* by a person: 421 for who comes, and for MAIL */
	unsigned n_asked, n_begun;         /* questions that lookup and queue have not answered */
	size_t held_len;                   /* bytes in tx->body of all sessions */
	uint64_t sessions_total, accepted, refused, deferred;
};
extern struct smtp smtp;
void smtp_count_changed(void); /* queue is to be told */
int64_t smtp_max_len(void);    /* bytes of a message at most */

/* How many questions may wait: far below what a channel holds. */
#define ASKED_MAX       20000
#define CALLS_MAX       30000 /* to queue, commits and all */
#define ASKED_AHEAD_MAX 4096  /* in all: beyond it no RCPT runs ahead */
#define RCPT_AHEAD_MAX  64    /* of one session */

/* session.c */
struct peer {
	char client[NETADDR_TEXT_LEN];
	bool local, exempt, xclient;
	uid_t uid;
	struct admission admission; /* the session's, from now on */
};
void session_new(const struct listener *, int fd, const struct peer *);
void session_open(struct session *); /* the client is known: TLS, or the greeting */
void session_run(struct session *);  /* goes on with the input that is there */
void session_reply(struct session *, const char *line);
void session_replyf(struct session *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A command was refused: replies, logs, counts; ends the session that does it too often. */
void session_refuse(struct session *, const char *verb, const char *reply);
void session_count_idle(
    struct session *); /* a command brought nothing; ends who does nothing else */
void session_refuse_rcpt(struct session *, const char *rcpt, const char *reply);
void session_close(struct session *, const char *reason, bool linger); /* when replies are out */
void session_pause(struct session *);                                  /* queue has too much */
void session_resume_all(void);
void session_stop_all(void); /* 421 to everyone: the process is about to end */
void session_free(struct session *, const char *reason); /* not below session_run() */

/* patience.c */
void patience_greet(struct session *); /* at once, or when no early talk came */
void patience_greet_now(struct session *);
void patience_early_talk(struct session *); /* it came */
bool patience_owes(const struct session *);
void patience_deadline(struct session *); /* for the next command */
void patience_stress(void);               /* smtp.stress has begun or ended */
bool patience_make_room(void);            /* for another session: ends an idle one */
void patience_free_memory(void); /* ends those that hold a message and bring no more of it */

/* peer.c */
void peer_await(struct session *); /* a proxy has connected: its header comes first */
void peer_read(struct session *);  /* some of it is there */
/* What we are called at this address, then `then`; on an outage the session ends.  NULL: the socket's. */
void peer_name(
    struct session *, const struct sockaddr_storage *own, void (*then)(struct session *));
/* The client is another one; AF_UNSPEC: nobody knows who.  NULL, or the reply that turns him away. */
const char *peer_set(struct session *, const struct sockaddr_storage *, bool own);
void peer_left(struct session *); /* the session ends: its question for a name is on its own */
bool peer_is(struct tab_set *, const char *address); /* whether it is trusted */

bool session_is_private(const struct session *);       /* TLS, or the submission socket */
void session_user(struct session *, const char *user); /* who wants to log in */

/* command.c */
void command_run(struct session *, char *line);

/* certs.c: listeners' certificates */
void certs_on_pki(struct ipc *, struct msg *, void *);
void certs_on_end(struct ipc *, struct msg *, void *);
struct tlsctx *certs_context(const struct listener *); /* NULL: none */

/* cmd_starttls.c */
void cmd_starttls(struct session *, char *args);
void starttls_begin(struct session *); /* without a word: smtps */
void starttls_on_secure(struct session *);
void starttls_failed(struct session *);
bool starttls_is_missing(const struct session *); /* the listener demands it */
/* Protocol and cipher in use; NULL: plain text. */
const char *starttls_text(const struct session *, char *buf, size_t len);

/* cmd_auth.c, cmd_mail.c, cmd_rcpt.c, cmd_data.c */
void cmd_auth(struct session *, char *args);
void cmd_auth_line(struct session *, char *line);
void cmd_xclient(struct session *, char *args);
bool cmd_auth_is_open(const struct session *);
void cmd_mail(struct session *, char *args);
void cmd_mail_reset(struct session *);  /* drops the transaction, if there is one */
void cmd_mail_orphan(struct session *); /* the session ends: its MAIL_BEGIN is on its own */
void cmd_rcpt(struct session *, char *args);
void cmd_rcpt_free(struct rcpt *);
void cmd_data(struct session *, char *args);
void cmd_data_start(struct session *); /* queue has given its id, or refused */
bool cmd_data_read(struct session *);  /* false: more input is needed, or has to wait */
void cmd_bdat(struct session *, char *args);
void cmd_bdat_start(struct session *);
bool cmd_bdat_read(struct session *);

/* body.c */
void body_start(struct session *, bool chunked);
size_t body_read(struct session *, size_t max); /* how many octets of the input it took */
void body_end_line(struct session *);           /* of BDAT, which need not end with one */
void body_pace_start(struct pace *);
void body_pace(struct session *, struct pace *, uint64_t len); /* len octets have come */
bool body_is_slow(
    struct session *, const struct pace *, uint64_t len); /* then it is told, and ends */
void body_refuse(struct session *, const char *reply);
void body_end(struct session *, const char *verb);
void body_free(struct transaction *);

/* body_head.c */
void body_head_scan(struct session *, const char *, size_t len);
void body_head_end(struct session *); /* the header stands whole in tx->body */

/* masquerade.c: the header that text begins with, its author replaced.  Pure. */
void masquerade(struct text *out, const char *head, size_t len, const char *sender);

#endif
