/*
 * Text: checked allocation, a growing string, small parsers.  Pure, but for ending the process
 * when memory is out (every size has been bounded by its caller).
 */
#ifndef TABMAIL_TEXT_H
#define TABMAIL_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed memory, or the process ends.  The caller owns it: free(). */
void *xcalloc(size_t n, size_t size);
void *xrealloc(void *p, size_t n, size_t size);
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t len);
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* A growing string.  Start with {0}; s is NULL until something was put.  text_free() or take s. */
struct text {
	char *s;
	size_t len; /* bytes, without the NUL that always follows */
	size_t cap;
};
void text_put(struct text *, const char *s);
void text_putn(struct text *, const void *data, size_t len);
void text_putf(struct text *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void text_free(struct text *);

/* Lower-cases ASCII in place; returns s. */
char *text_lower(char *s);

/* Whether s holds a control byte (below 0x20, or 0x7f). */
bool text_has_control(const char *s);

/* "4h", "1d", "30" (seconds), "500ms" into milliseconds; -1 when it is none, or beyond 10 years. */
int64_t text_duration_ms(const char *s);

/* "35M", "64k", "1024" into bytes; -1 when it is none. */
int64_t text_size(const char *s);

/* 30 s as "30s", 5400 as "1h30m", 86400 as "1d"; buf is returned. */
const char *text_of_duration(int64_t sec, char *buf, size_t len);

/* The distance of two words (insertions, deletions, changes, swaps), for "did you mean". */
unsigned text_distance(const char *a, const char *b);

/* Puts s as a JSON string, quotes included, invalid UTF-8 replaced. */
void text_put_json(struct text *, const char *s);

#endif
