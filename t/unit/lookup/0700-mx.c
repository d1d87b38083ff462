/* Mail exchangers: by preference, equal ones in any order, and none that is not better than us. */
#include "lookup/mx.h"

#include "tap.h"

#include <string.h>

/* The order of "PREFERENCE[!]NAME …" (!: ours), names only; then "loop" when some were dropped. */
static const char *
chosen(const char *list, uint32_t random)
{
	static char out[64];
	struct mx mx[16] = { 0 };
	char names[16];
	size_t n = 0, len = 0;
	bool loop;

	for (const char *p = list; *p != '\0'; p += *p == ' ') {
		char *end;
		mx[n].preference = (unsigned)strtoul(p, &end, 10);
		mx[n].is_ours = *end == '!';
		mx[n].index = n;
		names[n++] = end[*end == '!'];
		p = end + 1 + (*end == '!');
	}
	n = mx_choose(mx, n, random, &loop);
	for (size_t i = 0; i < n; i++)
		out[len++] = names[mx[i].index];
	snprintf(out + len, sizeof(out) - len, "%s", loop ? " loop" : "");
	return out;
}

int
main(void)
{
	is(chosen("", 1), "", "none");
	is(chosen("10a", 1), "a", "one");
	is(chosen("30c 10a 20b", 1), "abc", "by preference");
	is(chosen("0a 65535b 1c", 7), "acb", "the whole range");
	is(chosen("10!a", 1), " loop", "ourselves alone");
	is(chosen("10!a 20b", 1), " loop", "ourselves first");
	is(chosen("10b 20!a 30c", 1), "b loop", "only better ones");
	is(chosen("10b 20!a", 1), "b loop", "and none worse");
	unsigned first[3] = { 0 }, last_wrong = 0, equal_wrong = 0;
	for (uint32_t i = 0; i < 3000; i++) {
		const char *order = chosen("10a 10b 10c 20d", i * 2654435761u);
		first[order[0] - 'a']++;
		last_wrong += strlen(order) != 4 || order[3] != 'd';
		equal_wrong += strcmp(chosen("10a 10!b 10c 5d", i * 2654435761u), "d loop") != 0;
	}
	ok(first[0] > 700 && first[1] > 700 && first[2] > 700,
	    "equal ones come first equally often: %u %u %u", first[0], first[1], first[2]);
	is_int(last_wrong, 0, "never before a better one");
	is_int(equal_wrong, 0, "ours drops those of the same preference, wherever they stand");
	return done();
}
