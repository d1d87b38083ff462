/*
 * Replies that come from elsewhere (a verdict's, queue's), made safe to send: one line, printable
 * ASCII, of the class that the verdict has.  Called by the commands.  Pure.
 */
#include "local.h"

#include <bsd/string.h>
#include <ctype.h>
#include <string.h>

const char *
reply_clean(char out[REPLY_LEN_MAX + 1], const char *text, enum verdict v, const char *otherwise)
{
	static const char classes[] = {
		[VERDICT_ACCEPT] = '2', [VERDICT_LATER] = '4', [VERDICT_NEVER] = '5'
	};
	char class = (unsigned)v < sizeof(classes) ? classes[v] : '4';
	size_t n = 0;

	if (text[0] != class || !isdigit((unsigned char)text[1]) ||
	    !isdigit((unsigned char)text[2]) || text[3] != ' ') {
		n = strlcpy(out, otherwise, REPLY_LEN_MAX + 1);
		if (text[0] != '\0')
			n = strlcat(out, ": ", REPLY_LEN_MAX + 1);
	}
	for (; *text != '\0' && *text != '\r' && *text != '\n' && n < REPLY_LEN_MAX; text++)
		out[n++] = *text >= ' ' && *text < 0x7f ? *text : '?';
	out[n] = '\0';
	return out;
}
