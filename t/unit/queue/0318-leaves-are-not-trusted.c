/*
 * An smtp process that somebody has taken over hands in texts that none would: none of them is taken, and what goes on
 * to lookup and relay neither ends this process nor a line of somebody's dialogue.  Such a relay says what is no
 * address and no time.
 */
#include "queue/house.h"

static char longest[100001];

static struct odd {
	const char *what;
	struct msg_mail_rcpt rcpt;
	struct msg_mail_commit commit;
} * odd;

#define COMMIT .client = "192.0.2.7", .helo = "h", .tag = "", .auth = "", .envid = "", .reentry = ""

static struct odd odds[] = {
	{ "a recipient of 100,000 bytes", { 0, longest, "", 0 }, { COMMIT, .sender = "s@x" } },
	{ "an original recipient as long", { 0, "jo@x", longest, 0 }, { COMMIT, .sender = "s@x" } },
	{ "no recipient", { 0, "", "", 0 }, { COMMIT, .sender = "s@x" } },
	{ "a line's end in a recipient", { 0, "jo@x>\r\nDATA\r\n", "", 0 },
	    { COMMIT, .sender = "s@x" } },
	{ "a sender of 100,000 bytes", { 0, "jo@x", "", 0 }, { COMMIT, .sender = longest } },
	{ "a line's end in a sender", { 0, "jo@x", "", 0 },
	    { COMMIT, .sender = "s@x>\r\nRCPT TO:<all@x" } },
	{ "a HELO of 100,000 bytes", { 0, "jo@x", "", 0 },
	    { .client = "192.0.2.7",
		.helo = longest,
		.tag = "",
		.auth = "",
		.envid = "",
		.sender = "s@x",
		.reentry = "" } },
	{ "a login of 100,000 bytes", { 0, "jo@x", "", 0 },
	    { .client = "192.0.2.7",
		.helo = "h",
		.tag = "",
		.auth = longest,
		.envid = "",
		.sender = "s@x",
		.reentry = "" } },
	{ "an envelope's id of 100,000 bytes", { 0, "jo@x", "", 0 },
	    { .client = "192.0.2.7",
		.helo = "h",
		.tag = "",
		.auth = "",
		.envid = longest,
		.sender = "s@x",
		.reentry = "" } },
	{ "a client of 100,000 bytes", { 0, "jo@x", "", 0 },
	    { .client = longest,
		.helo = "h",
		.tag = "",
		.auth = "",
		.envid = "",
		.sender = "s@x",
		.reentry = "" } },
};

static void
on_id(const struct msg *msg, void *arg)
{
	static char body[50000];
	uint64_t id = ((const struct msg_mail_id *)msg->body)->id;

	(void)arg;
	memset(body, 'x', sizeof(body));
	odd->rcpt.id = odd->commit.id = id;
	ipc_send(smtp_end, MSG_MAIL_BODY, &(struct msg_mail_body){ id, { body, sizeof(body) } });
	ipc_send(smtp_end, MSG_MAIL_RCPT, &odd->rcpt);
	ipc_call(smtp_end, MSG_MAIL_COMMIT, &odd->commit, house_on_stored, NULL);
}

static bool
on_attempt(const struct spool_attempt *a, void *arg)
{
	snprintf(arg, 64, "%s", a->source);
	return false;
}

static bool
on_envelope(const struct spool_envelope *d, void *arg)
{
	*(uint64_t *)arg = spool_key(d->message, d->n);
	return true; /* the last one */
}

static void
test_relay(void)
{
	char source[64] = "none";
	uint64_t key = 0;

	house.source = "192.0.2.1 event=delivered";
	house.relay_down_ms = UINT32_MAX;
	house_send(
	    (struct house_mail){ .sender = "s@x", .rcpts = { "relay@y" }, .data = "x", .len = 1 });
	house_until(queue_stats.deferred == 2 && envelope_count() == 0);
	spool_each(0, INT64_MAX, 2, on_envelope, &key);
	spool_each_attempt(key, 0, 1, on_attempt, source);
	is(source, "", "relay's own address is one, or none");
	const struct lane *l = lane_of_route("smtp://sink");
	ok(l != NULL && l->down->until_ms - clock_mono_ms() <= 600000,
	    "a route is not set aside for weeks");
}

static void
test_lookup(void)
{
	uint64_t before = queue_stats.deferred;

	house_send((struct house_mail){
	    .sender = "s@x", .rcpts = { "huge@x" }, .data = house.last_body, .len = 60000 });
	house_until(queue_stats.deferred > before && envelope_count() == 0);
	is_int(queue_stats.deferred, before + 1, "an action of 100,000 bytes is for later");
}

int
main(void)
{
	log_open("test", true, 0);
	if (freopen("/dev/null", "w", stderr) == NULL)
		return 1;
	house_start();
	memset(longest, 'a', sizeof(longest) - 1);
	for (odd = odds; odd < odds + sizeof(odds) / sizeof(odds[0]); odd++) {
		int answers = house.stored + house.refused;
		ipc_call(smtp_end, MSG_MAIL_BEGIN, &(struct msg_mail_begin){}, on_id, NULL);
		house_until(house.stored + house.refused > answers);
		ok(house.refused > 0 && strncmp(house.reply, "554 ", 4) == 0, "%s: %s", odd->what,
		    house.reply);
	}
	is_int(house.stored, 0, "none is stored");
	house_send(
	    (struct house_mail){ .sender = "s@x", .rcpts = { "jo@x" }, .data = "x", .len = 1 });
	house_until(queue_stats.delivered == 1 && house_empty());
	ok(house_empty(), "and mail goes on");
	test_lookup();
	test_relay();
	house_clean();
	return done();
}
