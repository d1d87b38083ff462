/*
 * What the files of conf share: places, faults, the lexer, and the parser's state.
 *
 * One struct parser lives for one conf_parse().  Text of tokens stands in its arena and goes with
 * it; what the model keeps is copied.  A statement in work belongs to the parser until it ended
 * well (model_end), so an error anywhere leaks nothing.
 */
#ifndef TABMAIL_CONF_LOCAL_H
#define TABMAIL_CONF_LOCAL_H

#include "conf.h"
#include "text.h"

/*
 * A marker line in a text of conf_read(): "\1F LINE FILE" (what follows is that line of that file),
 * "\1D NAME=VALUE" (a macro of the command line) or "\1H NAME" (the host's own name, found while
 * the system's files could be read).
 */
#define MARKER '\1'

/* A place.  order counts lines of the whole text, includes resolved: faults are sorted by it. */
struct loc {
	const char *file;
	unsigned line, column, order;
};

/* Memory of one parse, freed at once. */
struct arena {
	struct arena_piece *pieces;
};
void *arena_alloc(struct arena *, size_t);
char *arena_strndup(struct arena *, const char *, size_t);
void arena_free(struct arena *);

/* fault.c: what is wrong, in the order of the text, whenever it was found. */
#define FAULTS_MAX 100
struct fault {
	struct loc loc;
	unsigned seq;
	char *text;
};
struct faults {
	struct fault list[FAULTS_MAX];
	unsigned n, dropped;
};
void fault_add(struct faults *, const struct loc *, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void fault_print(struct faults *, struct text *); /* sorts; out may be NULL */
void fault_free(struct faults *);
/* A token as a fault shows it: bounded, controls made visible.  buf is returned. */
#define FAULT_SHOWN_LEN 64
const char *fault_shown(const char *token, char buf[FAULT_SHOWN_LEN]);
/* The word nearest to one that was not understood, among n; NULL when none is near. */
struct nearest {
	const char *word;
	unsigned distance;
};
void fault_nearer(struct nearest *, const char *got, const char *candidate);

/* lex.c */
struct macro {
	struct macro *next;
	const char *name, *value;
	bool fixed; /* given with -D: stays when the file sets it too */
	unsigned line;
};
#define LEX_DEPTH_MAX 16
struct lex {
	const char *p, *end;
	struct loc at; /* of *p */
	struct {
		const char *p, *end;
	} expand[LEX_DEPTH_MAX]; /* values of macros that are being read */
	unsigned depth, braces, brace_line;
	size_t expanded;      /* bytes of macro values so far: bounded */
	struct loc at_macro;  /* of the outermost $name: where its words stand */
	struct macro *macros; /* newest first */
	bool line_start;      /* the next word begins a statement */
	bool newline_due, end_given;
	bool newline_last;    /* the last token was an end of line */
	const char *hostname; /* of a marker, or NULL */
	const char *token;    /* text of the last token, for faults */
	struct arena *arena;
	struct faults *faults;
};

/* input.c: characters. */
#define INPUT_END (-1)
void input_start(struct lex *, const char *text, size_t len, const char *file);
int input_peek(struct lex *); /* the next one, not taken */
void input_take(struct lex *);
struct loc input_here(struct lex *); /* its place; inside a macro's value that of $name */

/* The next token: its kind, text (in the arena) and place. */
int lex_next(struct lex *, const char **text, struct loc *);
/* After an error: skips to the end of the statement, which is the next token. */
void lex_recover(struct lex *);
void lex_define(struct lex *, const struct loc *, const char *name, const char *value);

/* keyword.c */
int keyword_token(const char *);               /* CONFYY_WORD when it is none */
const char *keyword_foreign(const char *word); /* what a word of OpenSMTPD is here, or NULL */
bool keyword_begins(const char *);             /* a statement */

/* A list or mapping that is being read, and words that are being joined. */
struct words {
	struct word {
		struct word *next;
		const char *key, *value;
		struct loc loc;
	} * first, **last;
	bool bare; /* one value, no braces */
};

/* What a rule or listener names and check.c looks up when all is read. */
struct ref {
	struct ref *next;
	const char *name;
	struct loc loc;
	struct conf_table **table; /* NULL: it is a pki */
	struct conf_pki **pki;     /* NULL: it must be there, and nobody wants it */
	bool for_server;           /* the pki must have a certificate */
};

/* An option that was given, in this statement or in the file. */
struct seen {
	struct seen *next;
	const char *group, *word;
	struct loc loc;
};

/* An operand that is a table: its name, or words of an inline one. */
struct operand {
	const char *name;
	struct words *words;
	struct loc loc;
};

struct parser {
	struct lex lex;
	struct arena arena;
	struct faults faults;
	struct conf *conf;
	/* the statement in work */
	struct conf_table *table;
	struct conf_listener *listener;
	struct conf_rule *rule;
	struct conf_pki *pki;
	struct conf_relay_limit *relay_limit;
	struct ref *refs; /* its own */
	struct seen *seen;
	/* of the whole file */
	struct ref *all_refs;
	struct seen *once;
};

/* model.c: the statements.  Words come from the arena. */
#define fail(p, loc, ...) fault_add(&(p)->faults, (loc), __VA_ARGS__)
void model_end(struct parser *);  /* the statement was read whole */
void model_drop(struct parser *); /* it had a syntax error */
bool model_once(struct parser *, const struct loc *, const char *group, const char *word);
/* The same of the whole file: a setting. */
bool model_once_of_all(struct parser *, const struct loc *, const char *word);
void model_unbuilt(struct parser *, const struct loc *, const char *what);
int64_t model_number(struct parser *, const struct loc *, const char *what, const char *text,
    int64_t min, int64_t max);
int64_t model_duration(struct parser *, const struct loc *, const char *what, const char *text);
void model_smtp_limit(
    struct parser *, const struct loc *, const char *what, const struct loc *, const char *value);
/* A name that check.c will look up; the statement's until it ended well. */
struct conf_table *model_new_table(char *name, unsigned line); /* takes name over */
void model_ref(struct parser *, const struct loc *, const char *name, struct conf_table **,
    struct conf_pki **);
/* The table of an operand: a name to look up, or an anonymous one made now. */
void model_operand(struct parser *, const struct operand *, const char *what, struct conf_table **);
void model_table(struct parser *, const struct loc *, const char *name);
void model_table_source(struct parser *, const struct loc *, const char *source);
void model_table_command(struct parser *, const struct loc *, const char *command);
void model_table_words(struct parser *, const struct loc *, const struct words *);
void model_table_option(
    struct parser *, const struct loc *, const char *option, const struct loc *, const char *value);
void model_pki(struct parser *, const struct loc *, const char *name);
void model_pki_file(struct parser *, const struct loc *, const char *what, const char *file);
struct words *words_new(struct parser *);
struct words *words_add(
    struct parser *, struct words *, const struct loc *, const char *key, const char *value);
struct words *words_join(struct words *, struct words *);

/* setting.c: settings and limits, each once */
void setting_take(
    struct parser *, const struct loc *, const char *what, const struct loc *, const char *value);
void setting_limit(
    struct parser *, const struct loc *, const char *what, const struct loc *, const char *value);
void setting_bounce_warn(struct parser *, const struct loc *, const struct words *);
void setting_no_dnssec(struct parser *, const struct loc *, const struct words *);
void setting_retry(struct parser *, const struct loc *, const struct words *);
size_t setting_warn_times(struct parser *, const struct words *, int64_t sec[CONF_WARN_MAX]);

/* limiting.c: "limit relay" */
void limiting_begin(struct parser *, const struct loc *, const struct operand *domains);
void limiting_set(
    struct parser *, const struct loc *, const char *what, const struct loc *, const char *value);
void limiting_end(struct parser *);
void limiting_check(struct parser *); /* when all tables are known */
/* listening.c, accepting.c: the statements of listeners and rules. */
/* where NULL: the local submission socket */
void listening_begin(struct parser *, const struct loc *, const struct loc *, const char *where);
void listening_family(struct parser *, const struct loc *, const char *word);
void listening_port(struct parser *, const struct loc *, const struct loc *, const char *port);
void listening_tls(struct parser *, const struct loc *, const char *word);
void listening_auth(struct parser *, const struct loc *, const char *word, const struct operand *);
void listening_table(struct parser *, const struct loc *, const char *what, const struct operand *);
void listening_trusts(
    struct parser *, const struct loc *, const char *what, const struct operand *);
void listening_name(
    struct parser *, const struct loc *, const char *what, const struct loc *, const char *value);
void listening_flag(struct parser *, const struct loc *, const char *word);
void listening_end(struct parser *);
void listening_check(struct parser *); /* when all tables are known */
void accepting_begin(struct parser *, const struct loc *, bool reject);
void accepting_tagged(
    struct parser *, const struct loc *, bool negated, bool again, const char *tag);
void accepting_authenticated(struct parser *, const struct loc *);
void accepting_from(struct parser *, const struct loc *, enum conf_from);
void accepting_for(struct parser *, const struct loc *, enum conf_for);

void accepting_table(struct parser *, const struct loc *, const char *what, bool negated,
    bool again, const struct operand *);
void accepting_action_table(
    struct parser *, const struct loc *, const char *what, const struct operand *);
void accepting_bounce_warn(struct parser *, const struct loc *, const struct words *);
void accepting_expire(struct parser *, const struct loc *, const struct loc *, const char *value);
void accepting_action(
    struct parser *, const struct loc *, enum action_kind, const char *word, const char *arg);
void accepting_via(struct parser *, const struct loc *, const struct words *urls);
void accepting_action_option(
    struct parser *, const struct loc *, const char *what, const struct loc *, const char *value);
void accepting_end(struct parser *);

/* check.c: what is known only when all is read: names, defaults. */
void check_all(struct parser *);
char *check_own_name(void); /* of /etc/mailname or the system; allocated */
bool check_path(struct parser *, const struct loc *, const char *what, const char *path);
/* "[a-z0-9_.-]", at most 64: names of tables, tags, users; NULL or what is wrong. */
const char *check_name(const char *);

/* "tlsv1.2,tlsv1.3", "all,!tlsv1.2": what libtls takes, as far as it goes without libtls. */
bool check_protocols(const char *);

/* canon.c: canonical text. */
void canon_quoted(struct text *, const char *);
char *canon_rule(const struct conf_rule *);
void canon_relay_options(struct text *, const struct conf_action *); /* may put nothing */

/* conf.c */
struct conf *conf_new(void);
void conf_table_free(struct conf_table *);
void conf_pki_free(struct conf_pki *);
void conf_listener_free(struct conf_listener *);
void conf_rule_free(struct conf_rule *);

#endif
