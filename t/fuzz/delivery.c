/*
 * libFuzzer: what an envelope says, on its way into paths and command lines: a format of the configuration,
 * then sender, recipient, destination, user and home, each ended by NUL.  Nothing that a shell reads gets
 * through, no path leads up; and an alias's value, cut apart.
 */
#include "../../daemon/lookup/destination.c"

#include "format.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static char *
take(const uint8_t **data, size_t *len)
{
	size_t n = strnlen((const char *)*data, *len);
	char *text = strndup((const char *)*data, n);

	n += n < *len;
	*data += n;
	*len -= n;
	return text;
}

static void
check_line(const struct format_values *v)
{
	const char *error;
	char *line =
	    format_expand("x %{sender} %{rcpt:strip} %{dest.user[2:]} %{dest.domain:uppercase} "
			  "%{user.username} -d %{rcpt.user}",
		v, true, &error);

	for (const char *p = line; p != NULL && *p != '\0'; p++)
		if ((unsigned char)*p < 0x80 && !isalnum((unsigned char)*p) &&
		    strchr("@._-+=,: ", *p) == NULL)
			abort();
	free(line);
}

static void
check_path(const struct format_values *v)
{
	const char *error;
	char *path = format_expand(
	    "/m/%{dest.domain}/%{rcpt.user[:1]}%{dest.user[0]}/.%{sender}/x", v, true, &error);

	for (char *rest = path, *name; (name = strsep(&rest, "/")) != NULL;)
		if (strcmp(name, "..") == 0 || (strcmp(name, ".") == 0 && v->sender[0] != '\0'))
			abort(); /* the dot of the format itself leads nowhere */
	free(path);
}

static void
check_alias(const char *list)
{
	char part[ADDR_TEXT_LEN + 8];

	while (destination_next(&list, part, sizeof(part)))
		if (part[0] == '\0' || strlen(part) >= sizeof(part))
			abort();
	if (*list != '\0')
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *format = take(&data, &len), *texts[5];
	const char *error;

	for (size_t i = 0; i < 5; i++)
		texts[i] = take(&data, &len);
	struct format_values v = { .sender = texts[0],
		.rcpt = texts[1],
		.dest = texts[2],
		.user = texts[3],
		.directory = texts[4],
		.id = "0123456789ab" };
	char *any = format_expand(format, &v, true, &error);
	if (any != NULL && format_check(format) != NULL)
		abort();
	free(any);
	check_line(&v);
	check_path(&v);
	check_alias(format);
	free(format);
	for (size_t i = 0; i < 5; i++)
		free(texts[i]);
	return 0;
}
