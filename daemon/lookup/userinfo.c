/*
 * What a table says of a user, "uid:gid:home", taken apart and doubted: a directory is not trusted with
 * root, nor with a home that is none (security row 25).  parent looks again before a process becomes him.
 */
#include "local.h"
#include "text.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* Decimal, ended by ':'; NULL when it is none, else what follows. */
static const char *
parse_id(const char *text, uint32_t *id)
{
	char *end;

	errno = 0;
	unsigned long value = strtoul(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end != ':' || errno != 0 || value >= UINT32_MAX)
		return NULL;
	*id = (uint32_t)value;
	return end + 1;
}

const char *
userinfo_parse(const char *value, struct userinfo *info)
{
	const char *gid = parse_id(value, &info->uid);

	if (gid == NULL)
		return "no valid uid";
	const char *home = parse_id(gid, &info->gid);
	if (home == NULL)
		return "no valid gid";
	if (info->uid < process.conf->first_uid)
		return "uid below first-uid";
	size_t len = strlen(home);
	if (home[0] != '/' || len < 2 || len >= PATH_MAX)
		return "home is no absolute path below /";
	if (text_has_control(home) || strstr(home, "/../") != NULL ||
	    (len >= 3 && strcmp(home + len - 3, "/..") == 0))
		return "home holds .. or a control character";
	info->home = home;
	return NULL;
}
