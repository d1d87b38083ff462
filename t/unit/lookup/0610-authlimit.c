/* authlimit.c: failures of addresses and users, and how they are forgotten. */
#include "lookup/local.h"
#include "role.h"
#include "tap.h"

struct process process;

static const struct authlimit_who bob = { "192.0.2.7", "bob", false };
static const struct authlimit_who ann = { "192.0.2.7", "ann", false };
static const struct authlimit_who home = { "198.51.100.1", "bob", false };
static const struct authlimit_who local = { "127.0.0.1", "eve", true };

/* The answer for an attempt that ends at once. */
static enum authlimit_answer
judged(struct authlimit *l, const struct authlimit_who *who, int64_t now_ms)
{
	enum authlimit_answer answer = authlimit_ask(l, who, now_ms);

	if (answer <= AUTHLIMIT_SUSPECT)
		authlimit_left(l, who, answer, now_ms);
	return answer;
}

/* What is under way counts, for as long as it is. */
static void
test_under_way(void)
{
	struct authlimit *l = authlimit_new(3);
	char address[32];

	is_int(authlimit_ask(l, &bob, 0), AUTHLIMIT_FREE, "the first of an address is free");
	is_int(authlimit_ask(l, &ann, 0), AUTHLIMIT_SUSPECT, "a second beside it comes later");
	authlimit_failed(l, &bob, 0);
	authlimit_left(l, &bob, AUTHLIMIT_FREE, 0);
	is_int(authlimit_ask(l, &ann, 0), AUTHLIMIT_SUSPECT, "a failure and two under way");
	is_int(authlimit_ask(l, &bob, 0), AUTHLIMIT_BUSY, "are as many as may fail");
	is_int(judged(l, &home, 0), AUTHLIMIT_FREE, "other addresses are others");
	authlimit_left(l, &ann, AUTHLIMIT_SUSPECT, 0);
	authlimit_succeeded(l, &bob, 0);
	is_int(authlimit_ask(l, &bob, 0), AUTHLIMIT_KNOWN, "who is known there waits for nobody");
	is_int(authlimit_ask(l, &bob, 0), AUTHLIMIT_KNOWN, "twice, for one has failed");
	is_int(authlimit_ask(l, &bob, 0), AUTHLIMIT_BUSY, "then his own are too many");
	for (int i = 0; i < 8; i++)
		is_int(judged(l, &local, 0), AUTHLIMIT_FREE, "a trusted address has no such limit");
	for (int i = 0; i < 15; i++) {
		struct authlimit_who who = { address, "eve", false };
		snprintf(address, sizeof(address), "203.0.113.%d", i);
		authlimit_ask(l, &who, 0);
	}
	is_int(judged(l, &(struct authlimit_who){ "203.0.113.99", "eve", false }, 0),
	    AUTHLIMIT_BUSY, "many addresses ask for one user at once");
	authlimit_free(l);
}

/* Made-up users push nobody out of what is known, nor an attempt that is under way. */
static void
test_flood(void)
{
	struct authlimit *l = authlimit_new(3);
	char user[32], address[32];

	authlimit_succeeded(l, &home, 0);
	authlimit_ask(l, &ann, 0);
	for (int i = 0; i < 60000; i++) {
		struct authlimit_who who = { address, user, false };
		snprintf(user, sizeof(user), "u%d", i);
		snprintf(address, sizeof(address), "10.%d.%d.7", i / 250, i % 250);
		authlimit_failed(l, &who, 0);
	}
	for (int i = 0; i < 15; i++) {
		struct authlimit_who who = { address, "bob", false };
		snprintf(address, sizeof(address), "203.0.113.%d", i);
		authlimit_failed(l, &who, 0);
	}
	is_int(judged(l, &bob, 0), AUTHLIMIT_USER, "bob is guessed");
	is_int(judged(l, &home, 0), AUTHLIMIT_KNOWN, "after a flood he comes in at home");
	is_int(judged(l, &ann, 0), AUTHLIMIT_SUSPECT, "what is under way is remembered");
	authlimit_left(l, &ann, AUTHLIMIT_FREE, 0);
	is_int(judged(l, &ann, 0), AUTHLIMIT_FREE, "until it ends");
	authlimit_free(l);
}

/* Trusted addresses all together: their floods leave places to others, and the known theirs. */
static void
test_trusted(void)
{
	struct authlimit *l = authlimit_new(3);
	char user[32];
	struct authlimit_who made_up = { "127.0.0.1", user, true };
	struct authlimit_who other = { "192.0.2.77", "zoe", true };
	unsigned n = 0, free_ones = 0;
	enum authlimit_answer answer;

	authlimit_succeeded(l, &local, 0);
	for (int i = 0; i < 100; i++) {
		snprintf(user, sizeof(user), "u%d", i);
		answer = authlimit_ask(l, &made_up, 0);
		n += answer <= AUTHLIMIT_SUSPECT;
		free_ones += answer == AUTHLIMIT_FREE;
	}
	is_int(n, 32, "made-up users of a trusted address: so many under way");
	is_int(free_ones, 3, "the first come before those who have failed, the others with them");
	is_int(authlimit_ask(l, &other, 0), AUTHLIMIT_BUSY, "of all such addresses");
	is_int(judged(l, &bob, 0), AUTHLIMIT_FREE, "others are not held up");
	for (int i = 0; i < 3; i++)
		is_int(
		    authlimit_ask(l, &local, 0), AUTHLIMIT_KNOWN, "who is known there is let in");
	is_int(authlimit_ask(l, &local, 0), AUTHLIMIT_BUSY, "as often as an address may fail");
	for (int i = 0; i < 100; i++) {
		snprintf(user, sizeof(user), "k%d", i);
		authlimit_succeeded(l, &made_up, 0);
		n += authlimit_ask(l, &made_up, 0) == AUTHLIMIT_KNOWN;
	}
	is_int(n, 32 + 61, "and all the known together have a bound");
	authlimit_left(l, &local, AUTHLIMIT_KNOWN, 0);
	is_int(authlimit_ask(l, &local, 0), AUTHLIMIT_KNOWN, "one that ends leaves its place");
	authlimit_free(l);
}

int
main(void)
{
	struct authlimit *l = authlimit_new(3);
	struct authlimit_who six = { "2001:db8::1", "x", false },
			     near = { "2001:db8::2", "y", false };
	struct authlimit_who far = { "2001:db8:0:1::1", "y", false };
	char address[32];

	is_int(judged(l, &bob, 0), AUTHLIMIT_FREE, "nothing is known at first");
	is_int(
	    authlimit_failed(l, &bob, 1000), 500, "the first failure's answer waits half a second");
	is_int(authlimit_failed(l, &bob, 1000), 1000, "the second's a whole one");
	is_int(judged(l, &bob, 1000), AUTHLIMIT_SUSPECT, "the address is suspect");
	authlimit_succeeded(l, &bob, 1000);
	is_int(judged(l, &bob, 1000), AUTHLIMIT_KNOWN, "who has logged in from there is known");
	is_int(
	    authlimit_failed(l, &ann, 1000), 1500, "another user's failure counts for the address");
	is_int(judged(l, &bob, 1000), AUTHLIMIT_ADDRESS, "at the limit nobody there is asked for");
	is_int(judged(l, &ann, 60999), AUTHLIMIT_ADDRESS, "until one failure is forgotten");
	is_int(judged(l, &ann, 61001), AUTHLIMIT_SUSPECT, "after a minute");
	is_int(judged(l, &ann, 181001), AUTHLIMIT_FREE, "and all of them in time");

	for (int i = 0; i < 15; i++) {
		struct authlimit_who who = { address, "BOB", false };
		snprintf(address, sizeof(address), "203.0.113.%d", i);
		authlimit_failed(l, &who, 200000);
	}
	is_int(judged(l, &home, 200000), AUTHLIMIT_USER, "many addresses guess one user");
	is_int(judged(l, &bob, 200000), AUTHLIMIT_KNOWN, "where he has been he may come in");

	for (int i = 0; i < 10; i++)
		authlimit_failed(l, &local, 200000);
	is_int(
	    judged(l, &local, 200000), AUTHLIMIT_FREE + 1, "a trusted address is suspect at most");
	for (int i = 0; i < 3; i++)
		authlimit_failed(l, &six, 200000);
	is_int(judged(l, &near, 200000), AUTHLIMIT_ADDRESS, "64 bits of IPv6 are one address");
	is_int(judged(l, &far, 200000), AUTHLIMIT_FREE, "others are others");
	for (int i = 0; i < 60000; i++) {
		struct authlimit_who who = { "192.0.2.99", address, true };
		snprintf(address, sizeof(address), "u%d", i);
		authlimit_failed(l, &who, 300000);
	}
	ok(true, "what is remembered has a bound");
	authlimit_free(l);
	test_under_way();
	test_flood();
	test_trusted();
	return done();
}
