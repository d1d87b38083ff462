/*
 * A recipient into deliveries: a work list of nodes, one step at a time.
 *
 * A node is an address (which rule takes it?), a name (an alias of that rule?) or a user (does he
 * exist?).  Each node becomes further nodes, an item, or a failure.  What was visited before is not
 * visited again, so a loop ends by itself; depth and number of nodes are bounded.
 *
 * One "try later" anywhere makes the whole "try later": nothing is delivered in part and then again.
 */
#include "local.h"
#include "log.h"
#include "text.h"

#include <bsd/string.h>
#include <bsd/stdlib.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX    50    /* aliases of aliases */
#define NODES_MAX    20000 /* destinations of one recipient, at all depths */
#define NAME_MAX_LEN LOCAL_MAX

enum node_kind { NODE_ADDRESS, NODE_NAME, NODE_USER };

struct node {
	enum node_kind kind;
	struct addr addr;             /* ADDRESS; for the others where they came from */
	char name[NAME_MAX_LEN + 1];  /* NAME, USER */
	const struct conf_rule *rule; /* NAME, USER: whose alias table, userbase and action */
	int depth;
};

struct expand {
	struct facts facts;
	struct node *nodes; /* all there ever were; those from `next` on are still to be done */
	size_t n_nodes, cap_nodes, next;
	struct expansion *result;
	size_t n_good;
	char *failure; /* the first failure's reply, when nothing came of it */
	expand_answer *answer;
	void *arg;
};

static void step(struct expand *);
static void on_rule(enum match_result, const struct conf_rule *, const char *, void *);
static void accept_address(struct expand *, struct node *, const struct conf_rule *);
static void do_virtual(struct expand *, struct node *);
static void do_name(struct expand *, struct node *);
static void on_alias(enum tab_answer, const char *, void *);
static void add_destinations(struct expand *, const struct node *from, const char *list);
static void add_destination(struct expand *, const struct node *from, const char *text);
static void do_user(struct expand *, struct node *);
static void on_user(enum tab_answer, const char *, void *);
static const char *parse_userinfo(const char *value, struct item *);
static void add_node(struct expand *, const struct node *);
static struct item *add_item(struct expand *, const struct node *, const struct conf_rule *);
static void add_failure(struct expand *, const struct node *, const char *reply);
static void finish(struct expand *);
static void give_up(struct expand *, const char *why);
static void tell(struct expand *, const struct node *, const char *what, const char *result);

void
expand_start(const struct facts *facts, const struct addr *rcpt, expand_answer *answer, void *arg)
{
	struct expand *x = xcalloc(1, sizeof(*x));

	*x = (struct expand){ .facts = *facts, .answer = answer, .arg = arg };
	x->result = expansion_new();
	add_node(x, &(struct node){ .kind = NODE_ADDRESS, .addr = *rcpt });
	step(x);
}

/* lmtp asks for a user only where the rule names a userbase: the other side knows its own. */
static bool
needs_user(const struct conf_rule *rule)
{
	switch (rule->action.kind) {
	case ACTION_RELAY: return false;
	case ACTION_LMTP: return rule->userbase != NULL;
	case ACTION_NONE:
	case ACTION_MAILDIR:
	case ACTION_MBOX:
	case ACTION_MDA:
	case ACTION_FORWARD_ONLY: return true;
	}
	return true;
}

/*
 * Works off nodes until one waits for an answer, whose callback calls node_done().  The first node
 * is an address and waits, so nothing is answered inside expand_start().
 */
static void
step(struct expand *x)
{
	while (x->next < x->n_nodes && x->result->verdict != VERDICT_LATER) {
		struct node *n = &x->nodes[x->next];
		switch (n->kind) {
		case NODE_ADDRESS:
			tell(x, n, "address", "which rule takes it?");
			match_start(&x->facts, &n->addr, n->depth > 0, on_rule, x);
			return;
		case NODE_NAME: do_name(x, n); return;
		case NODE_USER:
			if (needs_user(n->rule)) {
				do_user(x, n);
				return;
			}
			add_item(x, n, n->rule);
			x->next++;
			break;
		}
	}
	finish(x);
}

static void
node_done(struct expand *x)
{
	x->next++;
	step(x);
}

static void
on_rule(enum match_result result, const struct conf_rule *rule, const char *reason, void *arg)
{
	struct expand *x = arg;
	struct node *n = &x->nodes[x->next];

	switch (result) {
	case MATCH_LATER: give_up(x, reason); break;
	case MATCH_NONE:
		add_failure(x, n, "550 5.7.1 No rule accepts mail for this recipient from you");
		break;
	case MATCH_RULE:
		if (!rule->reject) {
			accept_address(x, n, rule);
			return;
		}
		add_failure(x, n, "550 5.7.1 Mail for this recipient is refused here");
		break;
	}
	node_done(x);
}

static void
accept_address(struct expand *x, struct node *n, const struct conf_rule *rule)
{
	struct node name = { .kind = NODE_NAME, .addr = n->addr, .rule = rule, .depth = n->depth };
	char text[ADDR_TEXT_LEN];

	n->rule = rule;
	if (x->facts.explain != NULL)
		explain_step(x->facts.explain, "address", addr_text(&n->addr, text), n->depth,
		    "taken by rule %u", rule->index);
	bool asks = rule->virtual != NULL || rule->alias != NULL || needs_user(rule);
	if (asks && strchr(n->addr.local, '@') != NULL) {
		/* "a@b"@c would be the key of another address than the rules have seen */
		add_failure(x, n, "550 5.1.1 No such address here");
		node_done(x);
		return;
	}
	if (rule->virtual != NULL) {
		do_virtual(x, n);
		return;
	}
	if (rule->action.kind == ACTION_RELAY || (rule->alias == NULL && !needs_user(rule))) {
		add_item(x, n, rule);
		node_done(x);
		return;
	}
	strlcpy(name.name, n->addr.local, sizeof(name.name));
	if (rule->alias == NULL)
		name.kind = NODE_USER;
	add_node(x, &name);
	node_done(x);
}

/* "user+tag" without its tag; false when it has none. */
static bool
strip_tag(const char *local, char *out, size_t len)
{
	const char *plus = strchr(local, '+');

	if (plus == NULL || plus == local)
		return false;
	snprintf(out, len, "%.*s", (int)(plus - local), local);
	return true;
}

/* user@domain, user@domain without +tag, user, user without +tag, @domain, @ : by rank. */
static void
do_virtual(struct expand *x, struct node *n)
{
	char plain[LOCAL_MAX + 1], keys[6][ADDR_TEXT_LEN];
	const char *list[6];
	char local[LOCAL_MAX + 1];
	size_t count = 0;

	strlcpy(local, n->addr.local, sizeof(local));
	text_lower(local);
	bool tagged = strip_tag(local, plain, sizeof(plain));
	snprintf(keys[count++], ADDR_TEXT_LEN, "%s@%s", local, n->addr.domain);
	if (tagged)
		snprintf(keys[count++], ADDR_TEXT_LEN, "%s@%s", plain, n->addr.domain);
	snprintf(keys[count++], ADDR_TEXT_LEN, "%s", local);
	if (tagged)
		snprintf(keys[count++], ADDR_TEXT_LEN, "%s", plain);
	snprintf(keys[count++], ADDR_TEXT_LEN, "@%s", n->addr.domain);
	snprintf(keys[count++], ADDR_TEXT_LEN, "@");
	for (size_t i = 0; i < count; i++)
		list[i] = keys[i];
	explain_ask_ranked(x->facts.explain, n->rule->virtual, TAB_ALIAS, list, count, on_alias, x);
}

/* A name, and the name without its +tag, by rank. */
static void
ask_name(struct expand *x, const struct node *n, const struct conf_table *table,
    enum tab_service service, table_answer *answer)
{
	char local[LOCAL_MAX + 1], plain[LOCAL_MAX + 1];
	const char *keys[2] = { local, plain };

	strlcpy(local, n->name, sizeof(local));
	text_lower(local);
	explain_ask_ranked(x->facts.explain, table, service, keys,
	    strip_tag(local, plain, sizeof(plain)) ? 2 : 1, answer, x);
}

static void
do_name(struct expand *x, struct node *n)
{
	ask_name(x, n, n->rule->alias, TAB_ALIAS, on_alias);
}

static void
on_alias(enum tab_answer answer, const char *value, void *arg)
{
	struct expand *x = arg;
	struct node n = x->nodes[x->next]; /* a copy: adding nodes may move them */
	const char *what = n.kind == NODE_ADDRESS ? "virtual" : "alias";

	switch (answer) {
	case TAB_ERROR: give_up(x, value); break;
	case TAB_FOUND:
		tell(x, &n, what, value);
		add_destinations(x, &n, value);
		break;
	case TAB_MISSING:
		if (n.kind == NODE_ADDRESS) {
			add_failure(x, &n, "550 5.1.1 No such address here");
			break;
		}
		tell(x, &n, what, "none: it is a user");
		n.kind = NODE_USER;
		add_node(x, &n);
		break;
	}
	node_done(x);
}

/* Commas outside of quotes part them. */
static void
add_destinations(struct expand *x, const struct node *from, const char *list)
{
	char part[ADDR_TEXT_LEN + 8];
	bool quoted = false;
	size_t n = 0;

	for (const char *p = list;; p++) {
		if (*p == '"')
			quoted = !quoted;
		if (*p != '\0' && (quoted || *p != ',')) {
			if (n < sizeof(part) - 1 && (n > 0 || (*p != ' ' && *p != '\t')))
				part[n++] = *p;
			continue;
		}
		while (n > 0 && (part[n - 1] == ' ' || part[n - 1] == '\t'))
			n--;
		part[n] = '\0';
		/* "…" around the whole is only there to keep blanks and commas together */
		if (n > 1 && part[0] == '"' && part[n - 1] == '"') {
			part[n - 1] = '\0';
			add_destination(x, from, part + 1);
		} else if (n > 0) {
			add_destination(x, from, part);
		}
		n = 0;
		if (*p == '\0' || x->result->verdict == VERDICT_LATER)
			return;
	}
}

/*
 * An address is put to the rules again, a name to the aliases of this rule again.  A name that is
 * its own alias, or is written "\name", is the user.  What a virtual table leads to is a user.
 */
static void
add_destination(struct expand *x, const struct node *from, const char *text)
{
	struct node n = { .addr = from->addr, .rule = from->rule, .depth = from->depth + 1 };
	const char *wrong = NULL;

	if (n.depth > DEPTH_MAX) {
		give_up(x, "aliases nested too deep");
		return;
	}
	if (text[0] == '|' || text[0] == '/' || strncmp(text, ":include:", 9) == 0) {
		log_warn("alias event=refused name=%s destination=%s reason=\"commands, files and "
			 "lists are not taken from a table: name a rule with mda, or an address\"",
		    log_quote(from->name[0] != '\0' ? from->name : from->addr.local),
		    log_quote(text));
		give_up(x, "an alias leads to a command, file or list");
		return;
	}
	if (strchr(text, '@') != NULL) {
		n.kind = NODE_ADDRESS;
		n.rule = NULL;
		wrong = addr_parse(&n.addr, text, strlen(text));
	} else {
		bool is_user = text[0] == '\\' || from->kind == NODE_ADDRESS ||
			       strcasecmp(text, from->name) == 0;
		n.kind = is_user || from->rule->alias == NULL ? NODE_USER : NODE_NAME;
		if (text[0] == '\\')
			text++;
		if (strlcpy(n.name, text, sizeof(n.name)) >= sizeof(n.name))
			wrong = "too long a name";
	}
	if (wrong != NULL) {
		log_warn(
		    "alias event=bad destination=%s reason=%s", log_quote(text), log_quote(wrong));
		add_failure(x, from, "550 5.1.3 An alias leads to an address that is none");
	} else {
		add_node(x, &n);
	}
}

static void
do_user(struct expand *x, struct node *n)
{
	const struct conf_table *users =
	    n->rule->userbase != NULL ? n->rule->userbase : process.conf->system_users;

	ask_name(x, n, users, TAB_USERINFO, on_user);
}

static void
on_user(enum tab_answer answer, const char *value, void *arg)
{
	struct expand *x = arg;
	struct node *n = &x->nodes[x->next];
	struct item info = { 0 };
	const char *wrong;

	switch (answer) {
	case TAB_ERROR: give_up(x, value); break;
	case TAB_MISSING: add_failure(x, n, "550 5.1.1 No such user here"); break;
	case TAB_FOUND:
		if ((wrong = parse_userinfo(value, &info)) != NULL) {
			log_warn("user event=refused name=%s userinfo=%s reason=%s",
			    log_quote(n->name), log_quote(value), log_quote(wrong));
			tell(x, n, "user", wrong);
			give_up(x, "what is known of the user cannot be right");
			break;
		}
		tell(x, n, "user", value);
		struct item *item = add_item(x, n, n->rule);
		if (item == NULL) {
			free(info.home);
			break;
		}
		item->uid = info.uid;
		item->gid = info.gid;
		free(item->home);
		item->home = info.home;
		break;
	}
	node_done(x);
}

/* "uid:gid:home".  parent looks again before it becomes him (security row 25). */
static const char *
parse_userinfo(const char *value, struct item *item)
{
	char *end;
	unsigned long uid, gid;

	errno = 0;
	uid = strtoul(value, &end, 10);
	if (value[0] < '0' || value[0] > '9' || *end != ':' || errno != 0 || uid >= UINT32_MAX)
		return "no valid uid";
	const char *p = end + 1;
	gid = strtoul(p, &end, 10);
	if (*p < '0' || *p > '9' || *end != ':' || errno != 0 || gid >= UINT32_MAX)
		return "no valid gid";
	if (uid < process.conf->first_uid)
		return "uid below first-uid";
	if (end[1] != '/' || end[2] == '\0' || strlen(end + 1) >= PATH_MAX)
		return "home is no absolute path below /";
	if (text_has_control(end + 1) || strstr(end + 1, "/../") != NULL ||
	    strcmp(end + strlen(end) - 3, "/..") == 0)
		return "home holds .. or a control character";
	*item =
	    (struct item){ .uid = (uint32_t)uid, .gid = (uint32_t)gid, .home = xstrdup(end + 1) };
	return NULL;
}

/* One that was there before is not added again: so loops end. */
static void
add_node(struct expand *x, const struct node *n)
{
	for (size_t i = 0; i < x->n_nodes; i++) {
		struct node *o = &x->nodes[i];
		if (o->kind == n->kind && o->rule == n->rule && strcasecmp(o->name, n->name) == 0 &&
		    strcasecmp(o->addr.local, n->addr.local) == 0 &&
		    strcmp(o->addr.domain, n->addr.domain) == 0) {
			tell(x, n, "again", "was met before, and is not followed twice");
			return;
		}
	}
	if (x->n_nodes == NODES_MAX) {
		give_up(x, "too many destinations");
		return;
	}
	if (x->n_nodes == x->cap_nodes) {
		x->cap_nodes = x->cap_nodes == 0 ? 4 : x->cap_nodes * 2;
		x->nodes = xrealloc(x->nodes, x->cap_nodes, sizeof(struct node));
	}
	x->nodes[x->n_nodes++] = *n;
}

/* A delivery of this node under this rule; NULL when the same one is there already. */
static struct item *
add_item(struct expand *x, const struct node *n, const struct conf_rule *rule)
{
	char dest[ADDR_TEXT_LEN];
	struct addr a = n->addr;

	if (n->name[0] != '\0' && rule->action.kind != ACTION_RELAY && !rule->action.rcpt_to)
		strlcpy(a.local, n->name, sizeof(a.local));
	x->n_good++;
	return expansion_add(x->result, addr_text(&a, dest), n->name, rule);
}

/* This destination fails for good; when others are good it bounces alone. */
static void
add_failure(struct expand *x, const struct node *n, const char *reply)
{
	char dest[ADDR_TEXT_LEN];
	struct addr a = n->addr;

	if (x->failure == NULL)
		x->failure = xstrdup(reply);
	if (n->name[0] != '\0')
		strlcpy(a.local, n->name, sizeof(a.local));
	explain_step(x->facts.explain, "failed", addr_text(&a, dest), n->depth, "%s", reply);
	expansion_add_failure(x->result, dest, reply);
}

/* "Try later" for the whole recipient: the node at work ends, and step() sees it. */
static void
give_up(struct expand *x, const char *why)
{
	if (x->result->verdict == VERDICT_LATER)
		return;
	if (why[0] == '\0')
		why = "a helper answers with an error";
	if (x->facts.explain != NULL)
		tell(x, &x->nodes[x->next], "later", why);
	else
		log_info("lookup event=try-later rcpt=%s reason=%s",
		    log_quote(x->nodes[0].addr.local), log_quote(why));
	x->result->verdict = VERDICT_LATER;
}

static void
tell(struct expand *x, const struct node *n, const char *what, const char *result)
{
	char text[ADDR_TEXT_LEN];

	if (x->facts.explain == NULL)
		return;
	explain_step(x->facts.explain, what,
	    n->name[0] != '\0' ? n->name : addr_text(&n->addr, text), n->depth, "%s", result);
}

static void
finish(struct expand *x)
{
	struct expansion *e = x->result;
	expand_answer *answer = x->answer;
	void *arg = x->arg;

	if (e->verdict == VERDICT_LATER) {
		e->reply =
		    xstrdup("451 4.3.0 Cannot find out now where this goes, try again later");
		expansion_drop_items(e);
	} else if (x->n_good == 0) {
		e->verdict = VERDICT_NEVER;
		e->reply = xstrdup(x->failure != NULL
				       ? x->failure
				       : "550 5.4.6 The aliases of this address lead nowhere");
		expansion_drop_items(e);
	} else {
		e->verdict = VERDICT_ACCEPT;
		e->reply = xstrdup("");
	}
	free(x->failure);
	free(x->nodes);
	free(x);
	answer(e, arg);
}
