/* Private to table-ldap: what settings*.c share. */
#ifndef TABLE_LDAP_LOCAL_H
#define TABLE_LDAP_LOCAL_H

#include "settings.h"

#define SETTINGS_KEYWORDS_MAX 128 /* that a file can have at all: every one at most once */

/* A file being read. */
struct settings_parse {
	struct ldap_settings *s;
	struct settings_faults *wrong, *warnings;
	const char *path;
	unsigned line;             /* 0: faults are the whole file's */
	bool tls_urls, clear_urls; /* some URL is ldap+tls://; is ldap:// to another host */
	const char *password_file;
	struct {
		const char *keyword;
		unsigned line;
	} seen[SETTINGS_KEYWORDS_MAX];
	size_t n_seen;
};

/* settings.c: say what is wrong, or what should be known; keep a text as long as the settings. */
void settings_wrong(struct settings_parse *, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void settings_warn(struct settings_parse *, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
const char *settings_keep(struct settings_parse *, const char *text);

/* keyword.c: a line's keyword and value, both without blanks around them; value may be "". */
void keyword_take(struct settings_parse *, const char *word, char *value);
/* Goes to the keyword's line, so that what is said next is said of it; whether it is there. */
bool keyword_at(struct settings_parse *, const char *word);

/* settings_check.c: the defaults before the first line; behind the last one what no line alone can show. */
void settings_start(struct settings_parse *);
void settings_check(struct settings_parse *);
unsigned settings_meant(struct settings_parse *); /* see settings_load() */

#endif
