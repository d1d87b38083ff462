/* Private to table-file. */
#ifndef TABLE_FILE_LOCAL_H
#define TABLE_FILE_LOCAL_H

#include <stdbool.h>
#include <stddef.h>

struct tab_query;
struct tab_set;

/* parse.c: lines into a set.  Pure. */
struct parse {
	struct tab_set *set;
	enum { PARSE_UNKNOWN, PARSE_LIST, PARSE_MAPPING } kind;
	bool marked;           /* by # @list */
	unsigned line;         /* the one that was read last; where the error is */
	unsigned entry_line;   /* where the open entry began; 0: none is open */
	char *key, *value;     /* of the open entry, which an indented line may continue */
	unsigned n_double;     /* keys that stood there before */
	unsigned first_double; /* line of the first */
};

void parse_start(struct parse *, struct tab_set *);

/* One line of len bytes without its LF; line[len] is writable.  NULL, or what is wrong. */
const char *parse_line(struct parse *, char *line, size_t len);
const char *parse_end(struct parse *);
void parse_free(struct parse *);

/* load.c: the whole file, or NULL and in error "path:line: reason". */
#define LOAD_ERROR_LEN 400
struct tab_set *load_file(const char *path, char error[LOAD_ERROR_LEN]);

/* auth.c: answers check|auth, later.  Serves from the set, needs it only during the call. */
void auth_check(struct tab_query *, struct tab_set *);

#endif
