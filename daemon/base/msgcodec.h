/*
 * The codec of the messages in ../msg.h.  Pure.
 *
 * A message is its length, the type, the call id, whether it is an answer, then the fields in the order
 * of the table: numbers in the machine's own order, strings and bytes with their length in front.  A
 * packet is one or more messages; one that carries a descriptor or a secret is alone in its packet.
 */
#ifndef TABMAIL_MSGCODEC_H
#define TABMAIL_MSGCODEC_H

#include "../msg.h"

#include <stdbool.h>

struct msg {
	enum msg_type type;
	uint32_t call; /* 0: no answer is awaited */
	bool answer;
	int fd; /* the descriptor it carries, or -1; whoever takes it sets -1 */
	const void
	    *body; /* struct msg_NAME; points into the packet: valid until the handler returns */
};

/* What a message begins with. */
struct msg_header {
	uint32_t len; /* bytes, with this header */
	uint16_t type;
	uint16_t answer;
	uint32_t call;
};

const char *msg_name(enum msg_type);
bool msg_allowed(enum msg_type, enum role from, enum role to);
const char *role_name(enum role);

/* What answers a question; MSG_NONE: it is none. */
enum msg_type msg_answer(enum msg_type);

/* Whether such messages carry one: what held them is wiped.  Any number may be asked for. */
bool msg_has_secret(unsigned type);

/* The descriptor that a body carries, or -1. */
int msg_body_fd(enum msg_type, const void *body);

/* Writes a message at out, where there is room for room bytes; its length, or 0 when it does not fit. */
size_t msg_encode(const struct msg *, void *out, size_t room);

/* The length of the first message of a packet, by its own word; that of all when that cannot be. */
size_t msg_first_len(const void *packet, size_t len);

/*
 * Reads a message.  *msg's body is a static struct, overwritten by the next call.  NULL, or what is
 * wrong; every length is checked against len.
 */
const char *msg_decode(struct msg *, const void *message, size_t len);

#endif
