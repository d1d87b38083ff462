/*
 * The messages between the processes: this one table is the architecture.
 *
 * M(NAME, name, from, to, fields): a message, who may send it, who may be sent it, and what it
 * carries.  The enum, the structs (struct msg_name), the names, the codec (base/msgcodec.c) and the
 * check of directions (base/ipc.c) derive from it.  A message over a channel that its row does not
 * name ends that channel, and with it the sender.
 *
 * Fields: U32, U64, STR (NUL-terminated text, never NULL once received), SECRET (the same, of a type
 * that no log can print), BYTES (may hold NUL), FD (a descriptor; at most one a message).  An answer goes the other way with the id of its
 * question, so its row names the two processes again; MSG_QUESTIONS says which answers which.
 */
#ifndef TABMAIL_MSG_H
#define TABMAIL_MSG_H

#include "secret.h"

#include <stddef.h>
#include <stdint.h>

enum role { ROLE_PARENT, ROLE_SMTP, ROLE_LOOKUP, ROLE_QUEUE, ROLE_RELAY, ROLE_DELIVER, ROLE_MAX };

/* clang-format off */
#define MSG_TABLE(M)                                                                               \
/* start of a process; CHANNEL also when a peer was restarted */                                   \
M(CONFIG,          config,          PARENT,         ANY,     FD(memfd) STR(file) U32(instance))     \
M(CHANNEL,         channel,         PARENT,         ANY,     U32(peer) FD(fd))                      \
M(LISTENER,        listener,        PARENT,         SMTP | QUEUE, U32(index) FD(fd))               \
M(START,           start,           PARENT,         ANY,     )                                      \
M(READY,           ready,           ANY,            PARENT,  STR(sandbox))                                      \
/* certificates and keys, in a sealed memfd, before START and when renewed (base/keyring.h) */     \
M(PKI,             pki,             PARENT,         SMTP | RELAY,                                   \
    U32(index) U32(certificate_len) U32(key_len) U32(ca_len) FD(memfd))                             \
M(PKI_END,         pki_end,         PARENT,         SMTP | RELAY, )                                 \
/* helpers: lookup names a table of the configuration, parent forks and execs */                   \
M(HELPER_START,    helper_start,    LOOKUP,         PARENT,  U32(table))                            \
M(HELPER_STARTED,  helper_started,  PARENT,         LOOKUP,  U32(pid) FD(fd) STR(error))            \
M(HELPER_STDERR,   helper_stderr,   PARENT,         LOOKUP,  U32(table) U32(pid) FD(fd))            \
M(HELPER_KILL,     helper_kill,     LOOKUP,         PARENT,  U32(table) U32(pid))                   \
M(HELPER_EXITED,   helper_exited,   PARENT,         LOOKUP,  U32(table) U32(pid) STR(how))          \
/* delivery workers: one process per uid in use */                                                 \
M(WORKER_START,    worker_start,    QUEUE,          PARENT,  U32(uid) U32(gid) STR(user) STR(home)) \
M(WORKER_STARTED,  worker_started,  PARENT,         QUEUE,   U32(pid) FD(fd) STR(error))            \
/* a recipient's verdict, without side effect; whoever asked may leave before it comes */          \
M(ASK_RCPT,        ask_rcpt,        SMTP,           LOOKUP,                                         \
    STR(client) STR(helo) U32(local) STR(tag) STR(auth) STR(sender) STR(rcpt))                      \
M(VERDICT,         verdict,         LOOKUP,         SMTP,    U32(verdict) STR(reply))               \
M(ASK_LEFT,        ask_left,        SMTP,           LOOKUP,  U32(call))                             \
/* a login, and whether its user may send as this address: both are answered by a VERDICT.         \
 * exempt: no limit on failures counts for this client's address */                                \
M(ASK_AUTH,        ask_auth,        SMTP,           LOOKUP,                                         \
    U32(listener) STR(client) U32(exempt) STR(user) SECRET(password)                                \
    STR(session) STR(host) STR(mechanism))                                                          \
M(ASK_SENDER,      ask_sender,      SMTP,           LOOKUP,  U32(listener) STR(user) STR(sender))   \
/* a message comes in: begin at MAIL, body as it arrives, recipients, commit.  reentry: the token that\
 * the listener demands, "-" when there was none; "" when it demands none */                       \
M(MAIL_BEGIN,      mail_begin,      SMTP,           QUEUE,   )                                      \
M(MAIL_ID,         mail_id,         QUEUE,          SMTP,    U64(id) STR(reply))                    \
M(MAIL_BODY,       mail_body,       SMTP,           QUEUE,   U64(id) BYTES(data))                   \
M(MAIL_RCPT,       mail_rcpt,       SMTP,           QUEUE,                                          \
    U64(id) STR(rcpt) STR(orcpt) U32(notify))                                                       \
M(MAIL_COMMIT,     mail_commit,     SMTP,           QUEUE,                                          \
    U64(id) STR(sender) STR(client) STR(helo) U32(local) STR(tag) STR(auth) STR(envid) U32(ret)     \
    U32(eightbit) U32(utf8) STR(reentry))                                                                    \
M(MAIL_STORED,     mail_stored,     QUEUE,          SMTP,    STR(reply))                            \
M(MAIL_ABORT,      mail_abort,      SMTP,           QUEUE,   U64(id))                               \
M(SMTP_PAUSE,      smtp_pause,      QUEUE,          SMTP,    U32(paused))                           \
M(SMTP_STATS,      smtp_stats,      SMTP,           QUEUE,                                          \
    U64(sessions) U64(sessions_total) U64(accepted) U64(refused) U64(deferred))                     \
/* rules, aliases, users: EXPAND is answered by any number of ITEMs and one EXPANDED.              \
 * An ITEM with an error ("550 5.1.1 …") is a destination that failed for good: it bounces alone */ \
M(EXPAND,          expand,          QUEUE,          LOOKUP,                                         \
    U64(envelope) STR(client) STR(helo) U32(local) STR(tag) STR(auth) STR(sender) STR(rcpt))        \
M(EXPAND_ITEM,     expand_item,     LOOKUP,         QUEUE,                                          \
    U64(envelope) STR(dest) STR(action) STR(user) U32(uid) U32(gid) STR(home) STR(route)            \
    U64(expire_sec) STR(warn) STR(error))                                                           \
M(EXPANDED,        expanded,        LOOKUP,         QUEUE,   U64(envelope) U32(verdict) STR(reply)) \
/* jobs.  relay pulls, deliver is given; what is longer than the first piece is asked for.         \
 * before: fields to be put in front of the body, LF line ends.                                    \
 * rcpts: for each recipient dest, rcpt, orcpt, notify (decimal), each ended by NUL.               \
 * source: our own address of that connection, or "".                                              \
 * dsn 1: the next server was asked to tell the sender of success (RFC 3461) */                    \
M(ROUTE_WAITS,     route_waits,     QUEUE,          RELAY,   STR(route) U32(waiting))               \
/* a person wants what waits for it tried now, though it was set aside */                          \
M(ROUTE_RETRY,     route_retry,     QUEUE,          RELAY,   STR(route))                            \
M(JOB_PULL,        job_pull,        RELAY,          QUEUE,   STR(route) U32(max_rcpts))             \
M(JOB,             job,             QUEUE,          RELAY | DELIVER,                                \
    U64(job) U64(id) STR(sender) STR(action) STR(user) STR(home) U64(size) U32(eightbit) U32(utf8)  \
    STR(auth) STR(envid) U32(ret) U32(n_rcpts) BYTES(rcpts) STR(before) BYTES(body))                         \
M(BODY_PULL,       body_pull,       RELAY | DELIVER, QUEUE,  U64(job) U32(seq))                     \
M(BODY,            body,            QUEUE,          RELAY | DELIVER,                                \
    U64(job) U32(seq) BYTES(data))                                                                  \
/* down_ms: the route is set aside for so long, and what waits for it would be answered the same */ \
M(JOB_RESULT,      job_result,      RELAY | DELIVER, QUEUE,                                         \
    U64(job) U32(rcpt) U32(outcome) STR(status) STR(text) STR(host) STR(source)                     \
    STR(tls) U32(dsn) U32(down_ms))                                                                             \
/* where a route leads: any number of ROUTE_HOSTs in the order of their preference, then one        \
 * ROUTE_FOUND.  url: one host; addrs: its addresses, struct sockaddr_storage each; secure: DNSSEC   \
 * says so; tlsa: its TLSA records (base/tlsa.h), if DNSSEC vouches for some; base: the name that they are for;\
 * names: others that a certificate may be for, blanks between them.  No host: status and error say why, permanent whether asking again is of no use */      \
M(ROUTE_FIND,      route_find,      RELAY,          LOOKUP,  STR(route))                            \
M(ROUTE_HOST,      route_host,      LOOKUP,         RELAY,                                          \
    STR(route) STR(url) U32(preference) U32(secure) BYTES(addrs) STR(base) STR(names) BYTES(tlsa))                                   \
M(ROUTE_FOUND,     route_found,     LOOKUP,         RELAY,                                          \
    STR(route) STR(status) STR(error) U32(permanent))                                               \
/* credentials of a URL's label, from the table that the route's action names; and local sockets */ \
M(ASK_SECRET,      ask_secret,      RELAY,          LOOKUP,  STR(route) STR(label))                 \
M(SECRET,          secret,          LOOKUP,         RELAY,   STR(user) SECRET(password) STR(error)) \
M(CONNECT_UNIX,    connect_unix,    RELAY,          LOOKUP,  STR(path))                             \
M(CONNECTED_UNIX,  connected_unix,  LOOKUP,         RELAY,   FD(fd) STR(error))                     \
/* our addresses.  table: of an action's `source`; list: ADDRESS NUL NAME NUL for each, NAME "" none;      \
 * chosen: for this mail, not for all.  And the name of one, by a table of `hostnames` */        \
M(ASK_SOURCE,      ask_source,      RELAY,          LOOKUP,                                         \
    U32(table) STR(sender) STR(domain) STR(user) U32(inet6))                                        \
M(SOURCES,         sources,         LOOKUP,         RELAY,                                          \
    BYTES(list) U32(chosen) STR(error))                                                             \
M(ASK_NAME,        ask_name,        SMTP | RELAY,   LOOKUP,  U32(table) STR(address))               \
M(NAME,            name,            LOOKUP,         SMTP | RELAY, STR(name) STR(error))                  \
/* control: tabmailctl talks to queue, which asks those who know */                                \
M(CTL_ASK,         ctl_ask,         QUEUE,          LOOKUP | RELAY | PARENT,                        \
    STR(verb) STR(table) STR(service) STR(key) STR(sender) STR(client) STR(auth) STR(tag)           \
    U32(in_flight))                                                                                 \
M(CTL_ROW,         ctl_row,         LOOKUP | RELAY | PARENT, QUEUE, U32(ask) STR(row))              \
M(CTL_END,         ctl_end,         LOOKUP | RELAY | PARENT, QUEUE, U32(ask) STR(error))

/* Q(QUESTION, ANSWER): the one message that answers it; who asked reads its fields without a look at the type */
#define MSG_QUESTIONS(Q)                                                                           \
	Q(HELPER_START, HELPER_STARTED) Q(WORKER_START, WORKER_STARTED)                            \
	Q(ASK_RCPT, VERDICT) Q(ASK_AUTH, VERDICT) Q(ASK_SENDER, VERDICT)                           \
	Q(MAIL_BEGIN, MAIL_ID) Q(MAIL_COMMIT, MAIL_STORED) Q(EXPAND, EXPANDED)                     \
	Q(JOB_PULL, JOB) Q(BODY_PULL, BODY) Q(ROUTE_FIND, ROUTE_FOUND) Q(ASK_SECRET, SECRET)       \
	Q(CONNECT_UNIX, CONNECTED_UNIX) Q(ASK_SOURCE, SOURCES) Q(ASK_NAME, NAME) Q(CTL_ASK, CTL_END)
/* clang-format on */

/* A run of bytes inside a received packet, or to be sent.  Not terminated. */
struct bytes {
	const void *data;
	size_t len;
};

#define M(NAME, name, from, to, fields) MSG_##NAME,
enum msg_type { MSG_NONE, MSG_TABLE(M) MSG_MAX };
#undef M

#define U32(f)    uint32_t f;
#define U64(f)    uint64_t f;
#define STR(f)    const char *f;
#define SECRET(f) struct secret f;
#define BYTES(f)  struct bytes f;
#define FD(f)     int f;
#define M(NAME, name, from, to, fields) \
	struct msg_##name {             \
		fields                  \
	};
MSG_TABLE(M)
#undef M
#undef U32
#undef U64
#undef STR
#undef SECRET
#undef BYTES
#undef FD

/* Mail's three-valued answer, and a job's outcome per recipient. */
enum verdict { VERDICT_ACCEPT, VERDICT_LATER, VERDICT_NEVER };
enum outcome { OUTCOME_DONE, OUTCOME_LATER, OUTCOME_FAILED };

/* NOTIFY and RET of RFC 3461, as bits and values in messages and in the spool. */
enum dsn_notify {
	NOTIFY_SUCCESS = 1,
	NOTIFY_FAILURE = 2,
	NOTIFY_DELAY = 4,
	NOTIFY_NEVER = 8,
};
/* A message's SMTPUTF8 (RFC 6531): it was asked for; and a header of it is not all ASCII. */
enum { UTF8_ASKED = 1, UTF8_HEADER = 2 };
enum dsn_ret { RET_NONE, RET_FULL, RET_HDRS };

/* Values of msg_listener.index that are no listener of the configuration. */
#define LISTENER_SUBMIT  0xfffffffeu /* to smtp: the local submission socket */
#define LISTENER_CONTROL 0xffffffffu /* to queue: the control socket */

#define MSG_BODY_PIECE (64 * 1024)  /* bytes of body a message carries at most */
#define MSG_MAX_LEN    (112 * 1024) /* bytes of a packet at most */

#endif
