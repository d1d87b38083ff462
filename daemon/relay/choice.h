/*
 * Which of our addresses a connection goes out from, and how long one that was not fit is set aside.
 * Decisions only: source.c keeps what they are about.  Pure; times are monotonic milliseconds.
 */
#ifndef RELAY_CHOICE_H
#define RELAY_CHOICE_H

#include "addr.h"

#include <sys/socket.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What speaks against an address, once another one has shown that it was not the other side. */
enum choice_fault {
	CHOICE_NOT_OURS,    /* it could not be bound: for all routes */
	CHOICE_NOT_REACHED, /* from it there was no connection */
	CHOICE_REFUSED,     /* it was turned away at the greeting or HELO */
	CHOICE_POLICY,      /* a later reply was about it, not about the mail */
};

/* An address set aside: {0} at first, and again once it has worked. */
struct choice_aside {
	int64_t until_ms, backoff_ms;
	bool has_chance; /* its time was over: one connection tries it */
};
bool choice_is_aside(const struct choice_aside *, int64_t now_ms);
/* Once more, twice as long as the last time.  When it was aside already, nothing changes. */
void choice_blame(struct choice_aside *, int64_t now_ms);
/* Its time is over and it is given another chance: until that is decided, to one connection only. */
void choice_try_again(struct choice_aside *, int64_t now_ms);

/* One turn of a table's round. */
struct choice_turn {
	struct sockaddr_storage addr; /* port 0 */
	char text[NETADDR_TEXT_LEN];
	char name[DOMAIN_MAX + 1]; /* for HELO; "": none came with it */
	bool taken;
};
/* The first turn of this family that is not taken and that may be used; -1: none. */
int choice_pick(const struct choice_turn *, size_t n, int family,
    bool (*may_use)(const char *text, void *arg), void *arg);

/* Whether a reply is about the address that we come from, not about this mail or recipient. */
bool choice_is_policy(unsigned code, const char *status, const char *text, const char *source);

#endif
