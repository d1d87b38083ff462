/*
 * The grammar.  Tokens come from lex.c; every action is one call into model.c, setting.c,
 * listening.c, limiting.c or accepting.c, which build the model and find what is wrong with it.  A
 * syntax error ends with its statement, so that all errors of a file are found in one go; the
 * message proposes the nearest word that would do.
 */
%code requires {
#include "local.h"
}
%code {
#include <string.h>
static int yylex(CONFYYSTYPE *, struct loc *, struct parser *);
static void yyerror(const struct loc *, struct parser *, const char *);
}
%code requires {
#define YYLLOC_DEFAULT(now, rhs, n) ((now) = YYRHSLOC(rhs, (n) > 0 ? 1 : 0))
}

%define api.prefix {confyy}
%define api.token.prefix {CONFYY_}
%define api.pure full
%define api.location.type {struct loc}
%define parse.error custom
%define parse.lac full
%locations
%param { struct parser *p }

%union {
	const char *text;
	bool flag;
	struct words *words;
	struct operand operand;
}

%token <text> WORD "a word" STRING "a quoted string" TABLE_NAME "<table>"
%token <text> ACCEPT "accept" REJECT "reject" TABLE "table" LISTEN "listen" PKI "pki" HOSTNAME
	"hostname" SPOOL "spool" SOCKET "socket" HELPERS "helpers" RESOLVER "resolver" DANE "dane"
	TRUST_ANCHOR "trust-anchor" NO_DNSSEC "no-dnssec" FIRST_UID
	"first-uid" SMTP "smtp" LIMIT "limit" BOUNCE_WARN "bounce-warn" EXPIRE "expire"
	BOUNCE_CLEARED "bounce-cleared" DOUBLE_BOUNCE "double-bounce" RETRY "retry"
	MAX_MESSAGE_SIZE "max-message-size" MAX_HOPS "max-hops" SPOOL_FREE "spool-free" INCLUDE "include" PROCESSES
	"processes" SESSIONS "sessions" RECIPIENTS "recipients" RELAY_CONNECTIONS "relay-connections"
	DELIVERIES "deliveries" ROUTE_DELIVERIES "route-deliveries" ALL_DELIVERIES "all-deliveries" COMMAND "command" MAX_PENDING "max-pending" TIMEOUT "timeout" CACHE
	"cache" NEGATIVE "negative" STALE "stale" USER
	"user" CERTIFICATE "certificate" KEY "key" CA "ca" CIPHERS "ciphers" PROTOCOLS "protocols" ON "on" INET4 "inet4" INET6 "inet6" PORT
	"port" TLS "tls" TLS_REQUIRE "tls-require" VERIFY "verify" SMTPS "smtps" AUTH "auth"
	AUTH_OPTIONAL "auth-optional" TAG "tag" HOSTNAMES "hostnames" SENDERS "senders" MASQUERADE
	"masquerade" MASK_SOURCE "mask-source" RECEIVED_AUTH "received-auth" NO_DSN "no-dsn" REENTRY "reentry" PROXY_V2
	"proxy-v2" XCLIENT "xclient" TAGGED "tagged" AUTHENTICATED "authenticated" FROM "from" ANY "any" LOCAL "local" SOURCE "source"
	SENDER "sender" FOR "for" DOMAIN "domain" ALIAS "alias" VIRTUAL "virtual" RECIPIENT
	"recipient" USERBASE "userbase" FORWARD_ONLY "forward-only" DELIVER "deliver" TO "to" MAILDIR
	"maildir" MBOX "mbox" MDA "mda" AS "as" LMTP "lmtp" RCPT_TO "rcpt-to" RELAY "relay" VIA "via"
	BACKUP "backup" RELAYHOST "relayhost" CONNECTIONS "connections" MESSAGES "messages" RATE "rate"
	FAMILY "family"

%type <text> plain word keyword setting limit table_option pki_file family listener_flag
%type <text> relay_word relay_flag relay_number tls_word
%type <flag> neg
%type <words> times list items item
%type <operand> operand table table_or_list

%%

file: %empty
    | file '\n'
    | file statement '\n'		{ model_end(p); }
    | file error '\n'		{ model_drop(p); yyerrok; }
    ;

statement: setting plain		{ setting_take(p, &@1, $1, &@2, $2); }
    | SMTP PROCESSES plain	{ setting_take(p, &@1, "smtp processes", &@3, $3); }
    | LIMIT limits
    | relay_limit
    | LIMIT SMTP smtp_limits
    | "bounce-warn" times	{ setting_bounce_warn(p, &@1, $2); }
    | RETRY times		{ setting_retry(p, &@1, $2); }
    | "no-dnssec" times		{ setting_no_dnssec(p, &@1, $2); }
    | INCLUDE plain		{
	fail(p, &@1, "\"include\" must stand at the beginning of a line of its own"); }
    | declaration
    | pki
    | listen
    | rule
    ;

setting: HOSTNAME | SPOOL | SOCKET | HELPERS | RESOLVER | DANE | "trust-anchor" | "first-uid" | EXPIRE
    | "max-message-size" | "max-hops" | "spool-free" | "bounce-cleared" | "double-bounce" ;

limits: limit plain		{ setting_limit(p, &@1, $1, &@2, $2); }
    | limits limit plain	{ setting_limit(p, &@2, $2, &@3, $3); }
    ;
limit: SESSIONS | RECIPIENTS | "relay-connections" | DELIVERIES | "route-deliveries" |
	"all-deliveries" ;
smtp_limits: word plain	{ model_smtp_limit(p, &@1, $1, &@2, $2); }
    | smtp_limits word plain	{ model_smtp_limit(p, &@2, $2, &@3, $3); }
    ;

/* limit relay for domain D connections N, rate N/m, family inet4 */
relay_limit: relay_limit_begin limit_of_relay
    | relay_limit comma limit_of_relay
    ;
relay_limit_begin: LIMIT RELAY	{ limiting_begin(p, &@2, NULL); }
    | LIMIT RELAY FOR DOMAIN operand	{ limiting_begin(p, &@2, &$5); }
    ;
limit_of_relay: relay_number plain	{ limiting_set(p, &@1, $1, &@2, $2); }
    | FAMILY family		{ limiting_set(p, &@1, $1, &@2, $2); }
    ;
relay_number: CONNECTIONS | MESSAGES | RATE ;

/* Words and lists.  "plain" stands where a keyword would be a mistake, "word" where a name must
 * come and any will do. */
plain: WORD | STRING ;
word: plain | keyword ;
keyword: ACCEPT | REJECT | TABLE | LISTEN | PKI | HOSTNAME | SPOOL | SOCKET | HELPERS |
	RESOLVER | DANE | TRUST_ANCHOR | NO_DNSSEC | FIRST_UID | SMTP | LIMIT | BOUNCE_WARN | EXPIRE | MAX_MESSAGE_SIZE | MAX_HOPS | SPOOL_FREE |
	INCLUDE | PROCESSES | SESSIONS | RECIPIENTS | RELAY_CONNECTIONS | DELIVERIES |
	ROUTE_DELIVERIES | ALL_DELIVERIES | BOUNCE_CLEARED | DOUBLE_BOUNCE | RETRY | COMMAND |
	MAX_PENDING | TIMEOUT | CACHE | NEGATIVE | STALE | USER | CERTIFICATE | KEY | CA | CIPHERS | PROTOCOLS | ON | INET4 | INET6 | PORT | TLS |
	TLS_REQUIRE | VERIFY | SMTPS | AUTH | AUTH_OPTIONAL | TAG | HOSTNAMES | SENDERS | MASQUERADE |
	MASK_SOURCE | RECEIVED_AUTH | NO_DSN | REENTRY | PROXY_V2 | XCLIENT | TAGGED | AUTHENTICATED | FROM | ANY | LOCAL | SOURCE |
	SENDER | FOR | DOMAIN | ALIAS | VIRTUAL | RECIPIENT | USERBASE | FORWARD_ONLY | DELIVER | TO |
	MAILDIR | MBOX | MDA | AS | LMTP | RCPT_TO | RELAY | VIA | BACKUP |
	RELAYHOST | CONNECTIONS | MESSAGES | RATE | FAMILY ;
times: plain			{ $$ = words_add(p, words_new(p), &@1, $1, NULL); }
    | times comma plain		{ $$ = words_add(p, $1, &@3, $3, NULL); }
    ;
comma: %empty | ',' ;

list: '{' lines '}'		{ $$ = words_new(p); }
    | '{' lines items '}'	{ $$ = $3; }
    | '{' lines items separator '}'	{ $$ = $3; }
    ;
items: item			{ $$ = words_new(p); words_join($$, $1); }
    | items separator item	{ $$ = $1; words_join($$, $3); }
    ;
item: word			{ $$ = words_add(p, words_new(p), &@1, $1, NULL); }
    | word '=' word		{ $$ = words_add(p, words_new(p), &@1, $1, $3); }
    ;
separator: ',' lines | '\n' lines ;
lines: %empty | lines '\n' ;

/* table NAME ... */
declaration: declared
    | declared table_options
    ;
declared: name_of_table plain	{ model_table_source(p, &@2, $2); }
    | name_of_table COMMAND plain	{ model_table_command(p, &@3, $3); }
    | name_of_table list	{ model_table_words(p, &@2, $2); }
    ;
name_of_table: TABLE word	{ model_table(p, &@2, $2); }
    ;
table_options: table_one | table_options table_one ;
table_one: table_option plain	{ model_table_option(p, &@1, $1, &@2, $2); }
    ;
table_option: "max-pending" | TIMEOUT | USER | CACHE | NEGATIVE | STALE ;

/* pki NAME certificate FILE key FILE ca FILE */
pki: pki_name pki_files ;
pki_name: PKI word		{ model_pki(p, &@2, $2); }
    ;
pki_files: pki_one | pki_files pki_one ;
pki_one: pki_file plain	{ model_pki_file(p, &@1, $1, $2); }
    ;
pki_file: CERTIFICATE | KEY | CA ;

/* listen on WHERE options */
listen: listen_on
    | listen listener_option
    ;
listen_on: LISTEN ON plain	{ listening_begin(p, &@1, &@3, $3); }
    | LISTEN ON SOCKET		{ listening_begin(p, &@1, &@3, NULL); }
    ;
listener_option: family	{ listening_family(p, &@1, $1); }
    | PORT word		{ listening_port(p, &@1, &@2, $2); }
    | tls_word			{ listening_tls(p, &@1, $1); }
    | AUTH			{ listening_auth(p, &@1, $1, NULL); }
    | AUTH table		{ listening_auth(p, &@1, $1, &$2); }
    | "auth-optional"		{ listening_auth(p, &@1, $1, NULL); }
    | "auth-optional" table	{ listening_auth(p, &@1, $1, &$2); }
    | PKI word			{ listening_name(p, &@1, $1, &@2, $2); }
    | CIPHERS plain		{ listening_name(p, &@1, $1, &@2, $2); }
    | PROTOCOLS plain		{ listening_name(p, &@1, $1, &@2, $2); }
    | TAG word			{ listening_name(p, &@1, $1, &@2, $2); }
    | HOSTNAME plain		{ listening_name(p, &@1, $1, &@2, $2); }
    | HOSTNAMES table		{ listening_table(p, &@1, $1, &$2); }
    | SENDERS table		{ listening_table(p, &@1, $1, &$2); }
    | "proxy-v2" FROM operand	{ listening_trusts(p, &@1, $1, &$3); }
    | XCLIENT FROM operand	{ listening_trusts(p, &@1, $1, &$3); }
    | listener_flag		{ listening_flag(p, &@1, $1); }
    ;
family: INET4 | INET6 ;
tls_word: TLS | "tls-require" | SMTPS ;
listener_flag: VERIFY | MASQUERADE | "mask-source" | "received-auth" | "no-dsn" | REENTRY ;

/* accept, reject: criteria, action and its options in any order */
rule: rule_begin
    | rule rule_part
    ;
rule_begin: ACCEPT		{ accepting_begin(p, &@1, false); }
    | REJECT			{ accepting_begin(p, &@1, true); }
    ;
neg: %empty			{ $$ = false; }
    | '!'			{ $$ = true; }
    ;
rule_part: neg TAGGED neg word	{ accepting_tagged(p, &@2, $1, $3, $4); }
    | AUTHENTICATED		{ accepting_authenticated(p, &@1); }
    | FROM from
    | FOR for
    | neg SENDER neg operand	{ accepting_table(p, &@2, $2, $1, $3, &$4); }
    | neg RECIPIENT neg operand	{ accepting_table(p, &@2, $2, $1, $3, &$4); }
    | ALIAS table_or_list	{ accepting_table(p, &@1, $1, false, false, &$2); }
    | VIRTUAL table_or_list	{ accepting_table(p, &@1, $1, false, false, &$2); }
    | USERBASE table_or_list	{ accepting_table(p, &@1, $1, false, false, &$2); }
    | EXPIRE plain		{ accepting_expire(p, &@1, &@2, $2); }
    | "bounce-warn" times	{ accepting_bounce_warn(p, &@1, $2); }
    | "forward-only"		{ accepting_action(p, &@1, ACTION_FORWARD_ONLY, $1, NULL); }
    | RELAY			{ accepting_action(p, &@1, ACTION_RELAY, $1, NULL); }
    | VIA times			{ accepting_via(p, &@1, $2); }
    | VIA list			{ accepting_via(p, &@1, $2); }
    | DELIVER TO MAILDIR	{ accepting_action(p, &@3, ACTION_MAILDIR, $3, NULL); }
    | DELIVER TO MAILDIR plain	{ accepting_action(p, &@4, ACTION_MAILDIR, $3, $4); }
    | DELIVER TO MBOX		{ accepting_action(p, &@3, ACTION_MBOX, $3, NULL); }
    | DELIVER TO MBOX plain	{ accepting_action(p, &@4, ACTION_MBOX, $3, $4); }
    | DELIVER TO MDA plain	{ accepting_action(p, &@4, ACTION_MDA, $3, $4); }
    | DELIVER TO LMTP plain	{ accepting_action(p, &@4, ACTION_LMTP, $3, $4); }
    | SOURCE table_or_list	{ accepting_action_table(p, &@1, $1, &$2); }
    | HOSTNAMES table_or_list	{ accepting_action_table(p, &@1, $1, &$2); }
    | AUTH table_or_list	{ accepting_action_table(p, &@1, $1, &$2); }
    | RELAYHOST table_or_list	{ accepting_action_table(p, &@1, $1, &$2); }
    | relay_word word		{ accepting_action_option(p, &@1, $1, &@2, $2); }
    | BACKUP			{ accepting_action_option(p, &@1, $1, &@1, NULL); }
    | BACKUP plain		{ accepting_action_option(p, &@1, $1, &@2, $2); }
    | relay_flag		{ accepting_action_option(p, &@1, $1, &@1, NULL); }
    ;
relay_word: AS | HOSTNAME | PKI ;
relay_flag: TLS | VERIFY | "rcpt-to" ;
from: ANY			{ accepting_from(p, &@1, FROM_ANY); }
    | LOCAL			{ accepting_from(p, &@1, FROM_LOCAL); }
    | neg SOURCE neg operand	{
	accepting_from(p, &@2, FROM_SOURCE);
	accepting_table(p, &@2, $2, $1, $3, &$4); }
    ;
for: ANY			{ accepting_for(p, &@1, FOR_ANY); }
    | LOCAL			{ accepting_for(p, &@1, FOR_LOCAL); }
    | neg DOMAIN neg operand	{
	accepting_for(p, &@2, FOR_DOMAIN);
	accepting_table(p, &@2, $2, $1, $3, &$4); }
    ;

/* A criterion's operand: a table, a list, or one value. */
table: TABLE_NAME		{ $$ = (struct operand) { .name = $1, .loc = @1 }; }
    ;
table_or_list: table
    | list			{ $$ = (struct operand) { .words = $1, .loc = @1 }; }
    ;
operand: table_or_list
    | plain			{
	$$ = (struct operand) {
	    .words = words_add(p, words_new(p), &@1, $1, NULL), .loc = @1 };
	$$.words->bare = true; }
    ;

%%

static int
yylex(CONFYYSTYPE *value, struct loc *loc, struct parser *p)
{
	return lex_next(&p->lex, &value->text, loc);
}

/* Memory is out: the only thing that is reported this way. */
static void
yyerror(const struct loc *loc, struct parser *p, const char *what)
{
	fail(p, loc, "%s", what);
}

/* A token that was wanted, as a person sees it. */
static void
put_expected(struct text *t, yysymbol_kind_t symbol)
{
	const char *name = yysymbol_name(symbol);

	if (strcmp(name, "'\\n'") == 0)
		text_put(t, "the end of the line");
	else if (name[0] == '\'')
		text_putf(t, "\"%c\"", name[1]);
	else if (keyword_token(name) != CONFYY_WORD)
		text_putf(t, "\"%s\"", name);
	else
		text_put(t, name);
}

static bool
is_expected(const yysymbol_kind_t *expected, int n, yysymbol_kind_t symbol)
{
	for (int i = 0; i < n; i++)
		if (expected[i] == symbol)
			return true;
	return false;
}

#define EXPECTED_MAX  100
#define EXPECTED_SHOWN 8

static int
yyreport_syntax_error(const yypcontext_t *context, struct parser *p)
{
	const struct loc *loc = yypcontext_location(context);
	yysymbol_kind_t expected[EXPECTED_MAX];
	int n = yypcontext_expected_tokens(context, expected, EXPECTED_MAX);
	const char *token = p->lex.token;
	char shown[FAULT_SHOWN_LEN];
	struct text t = { 0 };
	struct nearest nearest = { 0 };

	bool at_end = yypcontext_token(context) == YYSYMBOL_YYEOF;

	if (token == NULL)
		text_putf(&t, "unexpected end of the %s", at_end ? "file" : "line");
	else
		text_putf(&t, "unexpected \"%s\"", fault_shown(token, shown));
	for (int i = 0; i < n && token != NULL; i++)
		if (keyword_token(yysymbol_name(expected[i])) != CONFYY_WORD)
			fault_nearer(&nearest, token, yysymbol_name(expected[i]));
	if (token != NULL && keyword_foreign(token) != NULL)
		text_putf(&t, "; %s", keyword_foreign(token));
	else if (nearest.word != NULL)
		text_putf(&t, "; did you mean \"%s\"?", nearest.word);
	else if (n > EXPECTED_SHOWN && is_expected(expected, n, YYSYMBOL_WORD))
		text_put(&t, "; a name is expected");
	else if (n > 0 && n <= EXPECTED_SHOWN)
		for (int i = 0; i < n; i++) {
			text_put(&t, i == 0 ? "; expected " : i == n - 1 ? " or " : ", ");
			put_expected(&t, expected[i]);
		}
	if (p->lex.braces > 0 && (at_end || p->lex.brace_line != loc->line))
		text_putf(&t, " (the list that begins at line %u is not closed)", p->lex.brace_line);
	fail(p, loc, "%s", t.s);
	text_free(&t);
	lex_recover(&p->lex);
	return 0;
}

/* conf.h */
struct conf *
conf_parse(const char *text, size_t len, const char *file, struct text *errors)
{
	struct parser p = { .conf = conf_new() };
	struct conf *conf = p.conf;

	p.lex.arena = &p.arena;
	p.lex.faults = &p.faults;
	input_start(&p.lex, text, len, file);
	if (confyyparse(&p) != 0 && p.faults.n == 0)
		fail(&p, &p.lex.at, "this cannot be parsed");
	model_drop(&p);
	check_all(&p);
	if (p.faults.n != 0) {
		fault_print(&p.faults, errors);
		conf_free(conf);
		conf = NULL;
	}
	fault_free(&p.faults);
	arena_free(&p.arena);
	return conf;
}
