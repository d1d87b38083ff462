/* TAP for unit tests in C: ok(), is(), is_int(), then return done(). */
#ifndef TAP_H
#define TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int tap_run, tap_failed;

#define ok(cond, ...)      tap_ok((cond), __FILE__, __LINE__, __VA_ARGS__)
#define is(got, want, ...) tap_is((got), (want), __FILE__, __LINE__, __VA_ARGS__)
#define is_int(got, want, ...) \
	tap_is_int((long long)(got), (long long)(want), __FILE__, __LINE__, __VA_ARGS__)

__attribute__((unused, format(printf, 4, 5))) static bool
tap_ok(bool good, const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	printf("%sok %d - ", good ? "" : "not ", ++tap_run);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	if (!good) {
		tap_failed++;
		printf("# failed at %s:%d\n", file, line);
	}
	fflush(stdout);
	return good;
}

__attribute__((unused, format(printf, 5, 6))) static bool
tap_is(const char *got, const char *want, const char *file, int line, const char *fmt, ...)
{
	char name[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(name, sizeof(name), fmt, ap);
	va_end(ap);
	bool same = got == want || (got != NULL && want != NULL && strcmp(got, want) == 0);
	tap_ok(same, file, line, "%s", name);
	if (!same)
		printf("#  got: %s\n# want: %s\n", got == NULL ? "NULL" : got,
		    want == NULL ? "NULL" : want);
	return same;
}

__attribute__((unused, format(printf, 5, 6))) static bool
tap_is_int(long long got, long long want, const char *file, int line, const char *fmt, ...)
{
	char name[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(name, sizeof(name), fmt, ap);
	va_end(ap);
	tap_ok(got == want, file, line, "%s", name);
	if (got != want)
		printf("#  got: %lld\n# want: %lld\n", got, want);
	return got == want;
}

/* Prints the plan; the exit status of main. */
__attribute__((unused)) static int
done(void)
{
	printf("1..%d\n", tap_run);
	return tap_failed != 0;
}

#endif
