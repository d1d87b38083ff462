/* The header of a message: hops, Date, Message-ID, and where it ends. */
#include "smtp/local.h"
#include "tap.h"

static struct headscan
scan(const char *text, size_t step)
{
	struct headscan h = { 0 };

	for (size_t at = 0, len = strlen(text); at < len; at += step)
		headscan_feed(&h, text + at, len - at < step ? len - at : step);
	return h;
}

static void
check(const char *text, unsigned received, bool date, bool id, bool over, const char *name)
{
	for (size_t step = 1; step < 100; step += 33) {
		struct headscan h = scan(text, step);
		ok(h.received == received && h.date == date && h.message_id == id && h.over == over,
		    "%s (%zu bytes at a time)", name, step);
	}
}

/* How the header ends, wherever the input is cut. */
static void
ends(const char *text, bool malformed, const char *name)
{
	for (size_t step = 1; step < 100; step += 33)
		ok(scan(text, step).over && scan(text, step).malformed == malformed,
		    "it ends %s: %s (%zu bytes at a time)", malformed ? "malformed" : "well", name,
		    step);
}

int
main(void)
{
	check(
	    "Subject: x\nDate: y\nMessage-ID: <z>\n\nReceived: no\n", 0, true, true, true, "usual");
	check("Received: a\n\tb\nreceived: c\nRECEIVED : d\n\n", 3, false, false, true, "hops");
	check("Subject: x\n Date: y\n\n", 0, false, false, true, "a continuation is no field");
	check("\nDate: y\n", 0, false, false, true, "an empty header");
	check("Hello,\nDate: y\n", 0, false, false, true, "no header at all");
	check("Dear Bob: x\nDate: y\n", 0, false, false, true, "a line that only looks like one");
	check("  Date: y\n", 0, false, false, true, "a blank at the start");
	check("From bob Mon Nov\nDate: y\n", 0, false, false, true, "mbox's From line ends it");
	check("X-Date: y\nDates: z\nMessage-IDs: q\n", 0, false, false, false, "other names");
	check("Resent-Message-ID-And-More: y\nDate: z\n", 0, true, false, false, "a long name");
	check(": y\nDate: z\n", 0, false, false, true, "a field without a name");
	check("D\xc3\xa4te: y\nDate: z\n", 0, false, false, true, "an 8-bit name");
	check("", 0, false, false, false, "nothing");
	ends("Subject: x\n y\n\nNot a field\n", false, "at an empty line");
	ends("\n", false, "an empty header");
	ends("Subject: x\nNot a field\nFrom: y\n\n", true, "a line without a colon");
	ends("Subject: x\nNot\nFrom: y\n\n", true, "a word");
	ends("From bob Mon Nov\nFrom: y\n\n", true, "mbox's From line");
	ends(" From: y\n\n", true, "a blank at the start");
	ends(": y\n\n", true, "no name");
	return done();
}
