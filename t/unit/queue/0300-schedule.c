/* Decisions: when to try again, when to tell the sender, which ids the control socket takes, foreign text made safe. */
#include "tap.h"
#include "queue/local.h"
#include "conf.h"
#include "text.h"

#define H 3600

struct process process;

static void
warnings(void)
{
	static struct conf conf = { .n_bounce_warn = 3,
		.bounce_warn_sec = { 4 * H, 24 * H, 48 * H },
		.expire_sec = 96 * H };
	struct spool_envelope e = { .created = 1000 };

	process.conf = &conf;
	is_int(warning_next(&e), 1000 + 4 * H, "the first warning after the first step");
	is_int(warning_step(&e, 1000 + 4 * H - 1), 0, "not before");
	is_int(warning_step(&e, 1000 + 4 * H), 4 * H, "then");
	e.warned = 4 * H;
	is_int(warning_step(&e, 1000 + 5 * H), 0, "once");
	is_int(warning_next(&e), 1000 + 24 * H, "the next after the second");
	is_int(warning_step(&e, 1000 + 60 * H), 48 * H, "of two that have passed the latest");
	e.warned = 48 * H;
	is_int(warning_next(&e), 0, "none after the last");
	is_int(warning_step(&e, 1000 + 95 * H), 0, "none is due");
	e.warned = 0;
	is_int(warning_step(&e, 1000 + 96 * H), 0, "mail that has expired is not late any more");
	e.expire = 1000 + 4 * H;
	is_int(warning_next(&e), 0, "a step at the expiry is none");
	e.expire = 1000 + 30 * H;
	e.warned = 24 * H;
	is_int(warning_next(&e), 0, "nor one behind it");
	e.warned = 5 * H; /* the configuration was another then */
	is_int(warning_next(&e), 1000 + 24 * H, "steps that have changed: the next above");
	e.expire = 0;
	e.warned = 0;
	e.warn = (char[]){ "7200,10800" };
	is_int(warning_next(&e), 1000 + 2 * H, "a rule's own times");
	is_int(warning_step(&e, 1000 + 5 * H), 3 * H, "the latest of them");
	e.warned = 3 * H;
	is_int(warning_next(&e), 0, "and no others");
	e.warned = 0;
	e.warn = (char[]){ "none" };
	is_int(warning_next(&e), 0, "a rule that wants none");
	is_int(warning_step(&e, 1000 + 5 * H), 0, "has none");
	e.warn = NULL;
	conf.n_bounce_warn = 0;
	e.warned = 0;
	is_int(warning_next(&e), 0, "bounce-warn none");
	is_int(warning_step(&e, 1000 + 29 * H), 0, "is none");
}

static void
patterns(void)
{
	static const struct {
		const char *pattern, *text;
		bool fits;
	} cases[] = { { "*", "", true }, { "", "", true }, { "", "a", false }, { "a", "", false },
		{ "bob@x.example", "BOB@x.Example", true }, { "*@x", "bob@x", true },
		{ "*@x", "bob@xy", false }, { "b?b@*", "bob@x", true }, { "b?b@*", "bb@x", false },
		{ "*a*b*c*", "xxaxxbxxcxx", true }, { "*a*b*c*", "xxcxxbxxaxx", false },
		{ "a*a", "a", false }, { "**", "x", true },
		{ "smtp://[::1]:25", "smtp://[::1]:25", true } };
	static char text[20001];
	char pattern[81] = "";

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		is_int(select_fits(cases[i].pattern, cases[i].text), cases[i].fits, "%s: %s",
		    cases[i].pattern, cases[i].text);
	memset(text, 'a', sizeof(text) - 1);
	for (int i = 0; i < 20; i++)
		strcat(pattern, "*aab");
	ok(!select_fits(pattern, text), "a pattern of many stars takes no long time");
}

int
main(void)
{
	struct spool_envelope e = { .expire = 100000, .attempts = 1 };
	uint64_t id;
	int64_t n;
	char clean[16];
	static struct conf retries = { .retry_sec = { 120, 240, 600, 4 * H }, .n_retry = 4 };

	process.conf = &retries;
	patterns();
	for (uint32_t r = 0; r < 1000; r += 7) {
		int64_t first = schedule_backoff(1, r * 7919);
		if (first < 100 || first > 140)
			ok(false, "the first retry after %lld s", (long long)first);
	}
	ok(true, "the first retry is after about the first time");
	ok(schedule_backoff(2, 0) > schedule_backoff(1, 0), "the next later");
	is_int(schedule_backoff(100, 0), 4 * 3600 * 9 / 10, "the last time goes on");
	ok(schedule_backoff(4000000000u, 0xffffffff) <= 4 * 3600 * 11 / 10, "and jitter on that");
	ok(schedule_decide(&e, 1000, 0) > 1000, "a retry is in the future");
	is_int(schedule_decide(&e, 99990, 0), 100000, "the last one at the expiry");
	is_int(schedule_decide(&e, 100000, 0), 0, "and none later");

	ok(control_parse_id("0123456789ab", &id, &n) && id == 0x123456789ab && n == -1,
	    "a message");
	ok(control_parse_id("ff.12", &id, &n) && id == 0xff && n == 12, "an envelope");
	const char *bad[] = { "", ".", "x", "12.", "12.x", "12 ", "12.1.1", "-1", "0x12",
		"12.9999999", "12.131072", "0123456789abcdef0" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		ok(!control_parse_id(bad[i], &id, &n), "not an id: \"%s\"", bad[i]);

	outcome_clean(clean, sizeof(clean),
	    "\r\n a\r\nb\x01\x7f"
	    "c\xff\n");
	is(clean, "a b c?", "foreign text is one line of ASCII");
	outcome_clean(clean, sizeof(clean), "0123456789abcdefgh");
	is(clean, "0123456789abcde", "and bounded");
	warnings();
	return done();
}
