/* Private to table-source. */
#ifndef TABLE_SOURCE_LOCAL_H
#define TABLE_SOURCE_LOCAL_H

#include <stdbool.h>
#include <stddef.h>

#define LINES_MAX  4096 /* of a list */
#define ADDRS_MAX  4096 /* of all its interfaces together with its addresses */
#define WEIGHT_MAX 100
#define ERROR_LEN  400

enum family { FAMILY_INET4, FAMILY_INET6, FAMILY_MAX };
enum fact { FACT_SENDER, FACT_TO, FACT_USER, FACT_MAX }; /* what a pattern is about */

/* --- lines.c: a list as it is written.  Pure. */

struct pattern {
	enum fact fact;
	char *text; /* lower case */
};

/* An address, or an interface, which stands for all addresses that it has. */
struct line {
	bool is_interface;
	char *name; /* an address in its canonical text, or the interface's */
	enum family family;
	unsigned weight;
	char *helo; /* NULL: none */
	struct pattern *patterns;
	size_t n_patterns;
};

struct lines {
	struct line *lines;
	size_t n;
};

/* Adds one; text is cut up.  NULL, or what is wrong (in error).  Blank ones and comments are nothing. */
const char *lines_add(struct lines *, char *text, char error[ERROR_LEN]);
void lines_free(struct lines *);
/* An address as it is always written, and its family; false: it is none, or of no use as a source. */
bool lines_address(const char *text, char out[64], enum family *);

/* --- load.c: a list from the argument, or from the file that it names. */
struct lines *load_lines(const char *argument, char error[ERROR_LEN]); /* NULL: error says why */

/* --- interface.c: the addresses that an interface has now, but those of the link alone. */
struct iface_addr {
	char name[32], text[64];
	enum family family;
};
/* Of all interfaces; allocated.  NULL: the kernel did not say. */
struct iface_addr *interface_addrs(size_t *n);

/* --- pool.c: which address is next.  Pure. */

/* Lines with the same patterns, as addresses; each family goes round by weight. */
struct source {
	const char *text, *helo; /* helo NULL: none */
	unsigned weight;
	long credit;
};
struct pool {
	const struct line *line; /* the first: its patterns are the pool's */
	struct {
		struct source *sources;
		size_t n;
	} family[FAMILY_MAX];
	enum family turn; /* of fetch */
};
struct pools {
	struct pool *pools; /* in the order of the list; the one without patterns last */
	size_t n;
};

/* What is asked: "" stands for what is not known. */
struct facts {
	const char *of[FACT_MAX];
};

/* The addresses must outlive the pools. */
struct pools *pools_new(const struct lines *, const struct iface_addr *, size_t n_addrs);
void pools_free(struct pools *);
/* The next one of those without patterns, the families in turn; NULL: there is none. */
const struct source *pools_fetch(struct pools *);
/* The next one of the first pool whose patterns fit; NULL: it has none of this family. */
const struct source *pools_choose(struct pools *, const struct facts *, enum family);
/* The name that goes with an address in its canonical text; NULL: none. */
const char *pools_name(const struct pools *, const char *address);

#endif
