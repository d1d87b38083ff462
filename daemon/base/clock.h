/*
 * The time.  Two clocks: the wall's, for the schedule and for headers, which tests may set; and
 * one that only goes forward, for deadlines and for measuring.
 */
#ifndef TABMAIL_CLOCK_H
#define TABMAIL_CLOCK_H

#include <stddef.h>
#include <stdint.h>
#include <sys/time.h>

int64_t clock_wall_sec(void); /* seconds since 1970, plus what clock_advance() added */
int64_t clock_wall_ms(void);
int64_t clock_mono_ms(void);
int64_t clock_mono_us(void);

/* Milliseconds as libevent takes them. */
struct timeval clock_timeval(int64_t ms);

/* For tests: moves the wall's clock of this process. */
void clock_advance(int64_t sec);

/* RFC 5322 3.3, "Mon, 23 Nov 2026 20:08:48 +0000" in local time; buf is returned. */
const char *clock_rfc5322(int64_t wall_sec, char *buf, size_t len);

#endif
