/*
 * The tests: their names, which are stable, their levels and promises, in the order in which they run:
 * from simple to complex, so that the first failure is the cause.  Called by main.c.
 */
#include "local.h"

#include <stdlib.h>

/* clang-format off */
const struct test list_tests[] = {
	{ "start", MUST, "runs, and stays while nothing is asked",
	    { NEED_NOTHING }, NEED_START, handshake_starts },
	{ "handshake-silent", MUST, "says nothing before config|ready",
	    { NEED_START }, NEED_NOTHING, handshake_silent },
	{ "handshake-registers", MUST, "registers its services, then register|ready",
	    { NEED_START }, NEED_HANDSHAKE, handshake_registers },
	{ "handshake-services", MUST, "registers only services that the protocol has",
	    { NEED_HANDSHAKE }, NEED_NOTHING, handshake_known_services },
	{ "handshake-pieces", MUST, "takes the configuration byte by byte",
	    { NEED_HANDSHAKE }, NEED_NOTHING, handshake_pieces },
	{ "handshake-unknown-keys", MUST, "ignores config keys that it does not know",
	    { NEED_HANDSHAKE }, NEED_NOTHING, handshake_unknown_keys },
	{ "handshake-bare", SHOULD, "needs no config line but config|ready",
	    { NEED_HANDSHAKE }, NEED_NOTHING, handshake_bare },

	{ "idle", SHOULD, "takes no CPU while nothing is asked",
	    { NEED_HANDSHAKE }, NEED_NOTHING, handshake_idle },

	{ "answer", MUST, "answers every service that it registered",
	    { NEED_HANDSHAKE }, NEED_ANSWERS, answers_every_service },
	{ "answer-line-length", MUST, "no line is longer than 65536 bytes",
	    { NEED_HANDSHAKE }, NEED_ANSWERS, answers_line_length },
	{ "answer-valid", MUST, "says nothing on standard output that is not the protocol",
	    { NEED_HANDSHAKE }, NEED_ANSWERS, answers_valid_lines },
	{ "answer-not-empty", MUST, "a value that is found is not empty",
	    { NEED_HANDSHAKE }, NEED_ANSWERS, answers_not_empty },
	{ "answer-id", MUST, "an answer has the id of its question",
	    { NEED_HANDSHAKE }, NEED_ANSWERS, answers_id },
	{ "answer-once", MUST, "answers each question exactly once",
	    { NEED_ANSWERS }, NEED_NOTHING, answers_once },
	{ "answer-operation", SHOULD, "answers a fetch by fetch-result, a lookup by lookup-result",
	    { NEED_ANSWERS }, NEED_NOTHING, answers_operation },
	{ "answer-id-opaque", MUST, "gives any id back as it came",
	    { NEED_ANSWERS }, NEED_NOTHING, answers_id_opaque },

	{ "other-operation", MUST, "survives operations that its services do not have",
	    { NEED_ANSWERS }, NEED_NOTHING, answers_other_operation },
	{ "unknown-operation", MUST, "survives an operation that it does not know",
	    { NEED_ANSWERS }, NEED_NOTHING, answers_unknown_operation },
	{ "unknown-service", MUST, "survives a service that it did not register",
	    { NEED_ANSWERS }, NEED_NOTHING, answers_unknown_service },
	{ "update", MUST, "answers update by ok or error, and goes on",
	    { NEED_ANSWERS }, NEED_UPDATE, answers_update },
	{ "update-ok", SHOULD, "an update succeeds",
	    { NEED_UPDATE }, NEED_NOTHING, answers_update_error },

	{ "key-unknown", MUST, "answers not-found, not error, to what its data does not have",
	    { NEED_ANSWERS }, NEED_NOTHING, keys_unknown },
	{ "key-empty", MUST, "answers an empty key", { NEED_ANSWERS }, NEED_NOTHING, keys_empty },
	{ "key-spaces", MUST, "answers keys with spaces and tabs",
	    { NEED_ANSWERS }, NEED_NOTHING, keys_spaces },
	{ "key-bar", MUST, "takes the rest of the line as the key, with every |",
	    { NEED_ANSWERS }, NEED_NOTHING, keys_bar },
	{ "key-utf8", MUST, "answers keys in UTF-8", { NEED_ANSWERS }, NEED_NOTHING, keys_utf8 },
	{ "key-bytes", MUST, "answers keys that are no UTF-8",
	    { NEED_ANSWERS }, NEED_NOTHING, keys_bytes },
	{ "key-metacharacters", MUST, "finds nothing for *, %, quotes and their kin",
	    { NEED_ANSWERS }, NEED_NOTHING, keys_meta },
	{ "key-long", MUST, "answers keys of 4,000 bytes", { NEED_ANSWERS }, NEED_NOTHING, keys_long },
	{ "key-case", MAY, "finds a key of -s in upper case, too",
	    { NEED_ANSWERS }, NEED_NOTHING, keys_case },
	{ "key-password-case", MUST, "minds the case of passwords",
	    { NEED_ANSWERS }, NEED_NOTHING, keys_password_case },

	{ "flow-byte-by-byte", MUST, "takes questions byte by byte",
	    { NEED_ANSWERS }, NEED_NOTHING, flow_byte_by_byte },
	{ "flow-one-write", MUST, "answers 512 questions of one write, each exactly once",
	    { NEED_ANSWERS }, NEED_MANY, flow_one_write },
	{ "flow-not-reading", MUST, "loses nothing while the daemon does not read",
	    { NEED_MANY }, NEED_NOTHING, flow_not_reading },
	{ "flow-update", MUST, "an update among questions costs none of them",
	    { NEED_UPDATE, NEED_MANY }, NEED_NOTHING, flow_update_among },
	{ "flow-order", MAY, "works on several questions at a time",
	    { NEED_MANY }, NEED_NOTHING, flow_order },

	{ "end-eof", MUST, "exits with 0 when its standard input ends",
	    { NEED_HANDSHAKE }, NEED_END, end_eof },
	{ "end-early", MUST, "exits when its standard input ends before the handshake",
	    { NEED_END }, NEED_NOTHING, end_early },
	{ "end-pending", SHOULD, "answers what was asked before the end, then exits with 0",
	    { NEED_END, NEED_ANSWERS }, NEED_NOTHING, end_pending },
	{ "end-abrupt", MUST, "exits when the daemon is gone with answers unread",
	    { NEED_END, NEED_ANSWERS }, NEED_NOTHING, end_abrupt },
};
/* clang-format on */
const size_t list_len = sizeof(list_tests) / sizeof(list_tests[0]);

struct talk *
list_begin(struct report *r, int buffer_bytes)
{
	struct talk *t = talk_new(run_start(buffer_bytes));

	if (talk_shake(t, NULL)) {
		talk_clear(t); /* that is another test's */
		return t;
	}
	report_silence(r, t, "config|ready",
	    "this time the handshake failed: does the helper keep something between two runs, a "
	    "lock"
	    " or a port?");
	list_end(r, t);
	return NULL;
}

void
list_end(struct report *r, struct talk *t)
{
	free(r->errors);
	r->errors = run_errors(t->run);
	talk_free(t);
}
