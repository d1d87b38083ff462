/* The time; see clock.h. */
#include "clock.h"

#include <stdio.h>
#include <time.h>

static int64_t advanced_sec;

int64_t
clock_wall_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (ts.tv_sec + advanced_sec) * 1000 + ts.tv_nsec / 1000000;
}

int64_t
clock_wall_sec(void)
{
	return clock_wall_ms() / 1000;
}

int64_t
clock_mono_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t
clock_mono_ms(void)
{
	return clock_mono_us() / 1000;
}

struct timeval
clock_timeval(int64_t ms)
{
	return (struct timeval){ .tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000 };
}

void
clock_advance(int64_t sec)
{
	advanced_sec += sec;
}

/* Not strftime: day and month must be English whatever the locale (RFC 5322 3.3). */
const char *
clock_rfc5322(int64_t wall_sec, char *buf, size_t len)
{
	static const char days[][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
	static const char months[][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug",
		"Sep", "Oct", "Nov", "Dec" };
	time_t t = (time_t)wall_sec;
	struct tm tm;

	localtime_r(&t, &tm);
	long off_min = tm.tm_gmtoff / 60;
	char sign = '+';
	if (off_min < 0) {
		sign = '-';
		off_min = -off_min;
	}
	snprintf(buf, len, "%s, %d %s %d %02d:%02d:%02d %c%02ld%02ld", days[tm.tm_wday], tm.tm_mday,
	    months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec, sign,
	    off_min / 60, off_min % 60);
	return buf;
}
