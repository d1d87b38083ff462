/* A password; see secret.h. */
#include "secret.h"
#include "text.h"

#include <bsd/string.h>
#include <stdlib.h>
#include <string.h>

struct secret
secret_new(const char *text, size_t len)
{
	return (struct secret){ xstrndup(text, len) };
}

const char *
secret_reveal(struct secret s)
{
	return s.hidden == NULL ? "" : s.hidden;
}

void
secret_free(struct secret *s)
{
	if (s->hidden == NULL)
		return;
	char *p = (char *)(size_t)s->hidden;
	secret_wipe(p, strlen(p));
	free(p);
	s->hidden = NULL;
}

void
secret_wipe(void *p, size_t len)
{
	explicit_bzero(p, len);
}
