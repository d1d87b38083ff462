/*
 * What the files of a connection (client.c) and of its transactions (client_mail.c) share.
 */
#ifndef RELAY_CLIENT_H
#define RELAY_CLIENT_H

#include "client_body.h"
#include "local.h"
#include "target_reply.h"

struct conn;
struct text;

#define CONNECT_SEC 30
#define IDLE_SEC    10
#define BLOCK_SEC   180 /* RFC 5321 4.5.3.2.5: a block of the body */
#define DOT_SEC     600 /* 4.5.3.2.6 */
#define OUT_HIGH    (256 * 1024)

enum feature {
	PIPELINING = 1,
	SIZE = 2,
	EIGHTBIT = 4,
	DSN = 8,
	AUTH_PLAIN = 16,
	AUTH_LOGIN = 32,
	STARTTLS = 64,
	SMTPUTF8 = 128,
};

/* In the order of a dialogue. */
enum step {
	STEP_CONNECT,
	STEP_GREETING,
	STEP_NAME, /* lookup is asked for the name of our address */
	STEP_EHLO,
	STEP_HELO,
	STEP_STARTTLS,
	STEP_TLS,    /* the handshake */
	STEP_SECRET, /* lookup is asked for credentials */
	STEP_AUTH,   /* PLAIN */
	STEP_AUTH_LOGIN,
	STEP_AUTH_USER,
	STEP_AUTH_PASSWORD,
	STEP_RSET,
	STEP_MAIL,
	STEP_RCPT,
	STEP_DATA,
	STEP_BODY,
	STEP_EMPTY,
	STEP_IDLE,
	STEP_MAX
};

struct client {
	struct route *route;
	struct attempt *attempt; /* until it is ready */
	struct hops *hops;       /* what it is connected to: this one of them */
	size_t hop;
	TAILQ_ENTRY(client) idle, any_idle; /* of its host, and of all, while it is idle */
	struct conn *conn;
	enum step step;
	unsigned features; /* enum feature */
	uint64_t size_limit;
	bool is_lmtp, piped, must_reset, must_end, sent_all, answered, gone;
	bool has_rcpt; /* the server has taken one in this transaction, whatever it said of MAIL */
	size_t rcpt, n_done;
	struct target_reply reply;
	struct parcel *parcel;
	struct client_body body;
	uint64_t body_read; /* bytes of the stored body */
	uint32_t seq;
	char source[NETADDR_TEXT_LEN]; /* our address, when it was chosen; "" else */
	char helo[DOMAIN_MAX + 1];     /* what we are called */
	char *mail; /* sender, domain and user that the address was chosen for; NULL: any */
	struct ipc_call *call; /* BODY_PULL, ASK_SECRET, ASK_NAME */
	bool plain;            /* no TLS, unless it is required */
	bool tls_begun;        /* STARTTLS was said, or need not be */
	char tls[96];          /* "TLSv1.3 TLS_AES_256_GCM_SHA384 unverified"; "" without */
	bool
	    by_name; /* DANE: the certificate is good for the domain of the mail, not for the host */
	bool authenticated;
	char *secret; /* user, LF, password: until it is said */
	struct event reap;
	char host[TARGET_TEXT_LEN];
};

/* --- client.c */
void client_go(struct client *, enum step); /* to a step: says its line, unless piped */
void client_say(struct client *, const char *data, size_t len);
const struct conf_url *client_url(const struct client *);
/* The connection is of no more use; what it was doing is answered or given back. */
void client_lost(struct client *, const char *status, const char *why);

/*
 * The connection is left as it stands, with a QUIT, and its mail is tried on another one; false: some
 * recipient has its answer already.
 */
bool client_abandon(struct client *);
/* Before it was ready: the attempt goes on elsewhere. */
void client_fail(struct client *, enum attempt_fault, const char *status, const char *why);

/* --- client_hello.c */
void client_note_keyword(struct client *, const char *line, size_t len); /* of the answer to EHLO */
void ask_name(struct client *);
void say_ehlo(struct client *);
void say_helo(struct client *);
void got_greeting(struct client *, const struct target_reply *);
void got_ehlo(struct client *, const struct target_reply *);
void got_helo(struct client *, const struct target_reply *);
void client_ready(struct client *); /* greeted: TLS and credentials where they are due; then idle */

/* --- client_pool.c */
void client_pool_count(int more);      /* one more is open, or one less */
void client_pool_add(struct client *); /* it is idle now, or no longer */
void client_pool_remove(struct client *);

/* --- client_tls.c */
enum client_tls { CLIENT_TLS_NEVER, CLIENT_TLS_MAY, CLIENT_TLS_MUST, CLIENT_TLS_AT_ONCE };
enum client_tls client_tls_wanted(const struct client *);
bool client_tls_next(struct client *); /* after EHLO: it is TLS's turn, or the end */
void client_tls_begin(struct client *);
void client_tls_on_secure(struct client *);
bool client_tls_is_fresh(const struct client *); /* an end now is TLS's failure */
void client_tls_failed(struct client *, const char *why);
void say_starttls(struct client *);
void got_starttls(struct client *, const struct target_reply *);

/* --- client_auth.c */
bool client_needs_auth(const struct client *);
void client_forget_secret(struct client *);
void say_secret(struct client *);
void say_auth(struct client *);
void say_auth_login(struct client *);
void say_auth_user(struct client *);
void say_auth_password(struct client *);
void got_auth(struct client *, const struct target_reply *);
void got_auth_login(struct client *, const struct target_reply *);
void got_auth_user(struct client *, const struct target_reply *);

/* --- client_lines.c: what a transaction says of its envelope */
void client_put_mail(struct client *, struct text *);
/*
 * NULL, or why a server without SMTPUTF8 must not be given this recipient's mail (RFC 6531 3.2), with its status;
 * "5.6.7" says that of addresses, "5.6.9" of headers.
 */
const char *client_utf8_lack(struct client *, size_t rcpt, const char **status);
void client_put_rcpt(const struct client *, struct text *, size_t rcpt);

/* --- client_data.c */
void say_body(struct client *);
void client_on_drained(struct client *); /* room for more of the body */

/* --- client_mail.c: the steps of a transaction */
void say_rset(struct client *);
void say_mail(struct client *);
void say_rcpt(struct client *);
void say_data(struct client *);
void say_empty(struct client *);
void got_rset(struct client *, const struct target_reply *);
void got_mail(struct client *, const struct target_reply *);
void got_rcpt(struct client *, const struct target_reply *);
void got_data(struct client *, const struct target_reply *);
void got_body(struct client *, const struct target_reply *);
void got_empty(struct client *, const struct target_reply *);
/*
 * Leaves when a reply is about our address rather than about the mail, while another one may be used:
 * this one is set aside.
 */
bool client_leave(struct client *, const struct target_reply *);

#endif
