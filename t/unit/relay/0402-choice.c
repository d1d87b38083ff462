/* Which of our addresses a connection goes out from, how long one is set aside, and which replies are about it. */
#include "relay/choice.h"
#include "tap.h"

static bool
is_not_bad(const char *text, void *arg)
{
	return strcmp(text, arg) != 0;
}

static void
picks(void)
{
	static char none[] = "", bad4[] = "192.0.2.2", bad6[] = "2001:db8::1";
	struct choice_turn t[5] = { 0 };
	static const char *const texts[] = { "192.0.2.1", "2001:db8::1", "192.0.2.2", "192.0.2.1",
		"192.0.2.3" };

	for (size_t i = 0; i < 5; i++) {
		netaddr_parse(&t[i].addr, texts[i], 0);
		snprintf(t[i].text, sizeof(t[i].text), "%s", texts[i]);
	}
	is_int(choice_pick(t, 5, AF_INET, is_not_bad, none), 0, "the first");
	t[0].taken = true;
	is_int(choice_pick(t, 5, AF_INET, is_not_bad, none), 2, "then the next of the family");
	is_int(
	    choice_pick(t, 5, AF_INET6, is_not_bad, none), 1, "the other family has its own order");
	is_int(choice_pick(t, 5, AF_INET6, is_not_bad, bad6), -1, "its only one is set aside");
	is_int(choice_pick(t, 5, AF_INET, is_not_bad, bad4), 3, "one that is set aside is passed");
	t[2].taken = t[3].taken = t[4].taken = true;
	is_int(choice_pick(t, 5, AF_INET, is_not_bad, none), -1, "the round is over");
	is_int(choice_pick(t, 0, AF_INET, is_not_bad, none), -1, "no round");
}

static void
asides(void)
{
	struct choice_aside a = { 0 };
	int64_t now = 1000000;

	ok(!choice_is_aside(&a, now), "not set aside at first");
	choice_try_again(&a, now);
	ok(!choice_is_aside(&a, now), "one that works needs no chance");
	choice_blame(&a, now);
	int64_t first = a.until_ms - now;
	ok(first > 0 && choice_is_aside(&a, now) && choice_is_aside(&a, now + first - 1) &&
		!choice_is_aside(&a, now + first),
	    "set aside for a time");
	choice_blame(&a, now + 1);
	is_int(a.until_ms - now, first, "blamed by several connections for one thing: no longer");
	now = a.until_ms;
	choice_try_again(&a, now);
	ok(choice_is_aside(&a, now + 1), "one connection has the chance, the others wait");
	choice_blame(&a, now + 10);
	is_int(a.until_ms - now - 10, 2 * first, "it failed again: twice as long");
	for (int i = 0; i < 40; i++) {
		now = a.until_ms;
		choice_try_again(&a, now);
		choice_blame(&a, now + 1);
	}
	ok(a.until_ms - now <= 31 * 60 * 1000, "half an hour at most");
	now = a.until_ms;
	choice_try_again(&a, now);
	choice_blame(&a, now + 1);
	ok(a.until_ms > now + 60000, "a long one is blamed for its chance, too");
	choice_try_again(&a, a.until_ms);
	ok(!choice_is_aside(&a, a.until_ms), "a chance that nobody used ends");
}

static void
policies(void)
{
	static const struct {
		unsigned code;
		const char *status, *text;
		bool about_us;
	} cases[] = {
		{ 550, "5.7.1", "550 5.7.1 Client host [192.0.2.1] blocked using zen.example",
		    true },
		{ 554, "5.0.0", "554 rejected, 192.0.2.1 is listed", true },
		{ 450, "4.7.25", "450 4.7.25 no reverse name", true },
		{ 550, "5.7.25", "550 5.7.25 x", true },
		{ 421, "4.7.0", "421 4.7.0 unusual rate", true },
		{ 521, "5.7.1", "521 5.7.1 go away", true },
		{ 550, "5.7.1", "550 5.7.1 user does not want this", false },
		{ 550, "5.1.1", "550 5.1.1 no such user", false },
		{ 450, "4.7.1", "450 4.7.1 greylisted", false },
		{ 451, "4.7.1", "451 4.7.1 Greylisted, see https://x.example/?ip=192.0.2.1",
		    false },
		{ 421, "4.3.2", "421 4.3.2 shutting down", false },
		{ 554, "5.0.0", "554 listed: 192.0.2.12", false },
		{ 554, "5.0.0", "554 listed: 1192.0.2.1", false },
		{ 554, "5.0.0", "554 listed: 192.0.2.1.", true },
		{ 554, "5.0.0", "554 listed: 192.0.2.1.7", false },
		{ 250, "2.0.0", "250 2.0.0 hello 192.0.2.1", false },
		{ 550, "", "550", false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		ok(choice_is_policy(cases[i].code, cases[i].status, cases[i].text, "192.0.2.1") ==
			cases[i].about_us,
		    "%s: %s", cases[i].text, cases[i].about_us ? "about us" : "about the mail");
	ok(!choice_is_policy(550, "5.7.25", "550 5.7.25 x", ""),
	    "nothing is about an address that was not chosen");
	ok(choice_is_policy(554, "5.7.1", "554 [2001:db8::1] is listed", "2001:db8::1"), "IPv6");
	ok(!choice_is_policy(554, "5.7.1", "554 [2001:db8::12] is listed", "2001:db8::1"),
	    "IPv6, another");
}

int
main(void)
{
	picks();
	asides();
	policies();
	return done();
}
