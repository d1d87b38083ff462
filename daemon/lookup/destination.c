/* The destinations of an alias, "bob, \"a b\"@example.org, \\root": commas outside of quotes part them.  Pure. */
#include "local.h"

#include <string.h>

/* "..." around the whole is only there to keep blanks and commas together. */
static void
unquote(char *part, size_t n)
{
	if (n < 2 || part[0] != '"' || part[n - 1] != '"')
		return;
	memmove(part, part + 1, n - 2);
	part[n - 2] = '\0';
}

/* One part, from p up to its comma, trimmed; where it ends. */
static const char *
take_part(const char *p, char *part, size_t len)
{
	bool quoted = false;
	size_t n = 0;

	while (*p == ' ' || *p == '\t')
		p++;
	for (; *p != '\0' && (quoted || *p != ','); p++) {
		if (*p == '"')
			quoted = !quoted;
		if (n < len - 1)
			part[n++] = *p;
	}
	while (n > 0 && (part[n - 1] == ' ' || part[n - 1] == '\t'))
		n--;
	part[n] = '\0';
	unquote(part, n);
	return p;
}

bool
destination_next(const char **list, char *part, size_t len)
{
	while (**list != '\0') {
		*list = take_part(*list, part, len);
		if (**list == ',')
			++*list;
		if (part[0] != '\0')
			return true;
	}
	return false;
}
