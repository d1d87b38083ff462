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

#define DEPTH_MAX 50 /* aliases of aliases */

struct expand {
	struct facts facts;
	struct worklist work;
	/* what the node at work waits for: one of them */
	struct match *match;
	struct ranked *ranked;
	struct question *question;
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
static void do_as_user(struct expand *, struct node *);
static void on_as_user(enum tab_answer, const char *, void *);
static void add_delivery(struct expand *, struct node *, const char *user, const char *userinfo);
static void add_node(struct expand *, const struct node *);
static struct item *add_item(
    struct expand *, const struct node *, const char *user, const struct conf_rule *);
static void add_failure(struct expand *, const struct node *, const char *reply);
static void finish(struct expand *);
static void free_work(struct expand *);
static void give_up(struct expand *, const char *why);
static void tell(struct expand *, const struct node *, const char *what, const char *result);

struct expand *
expand_start(const struct facts *facts, const struct addr *rcpt, expand_answer *answer, void *arg)
{
	struct expand *x = xcalloc(1, sizeof(*x));

	*x = (struct expand){ .facts = *facts, .answer = answer, .arg = arg };
	x->result = expansion_new();
	add_node(x, &(struct node){ .kind = NODE_ADDRESS, .addr = *rcpt });
	step(x);
	return x;
}

void
expand_cancel(struct expand *x)
{
	if (x->match != NULL)
		match_cancel(x->match);
	if (x->ranked != NULL)
		table_cancel_ranked(x->ranked);
	if (x->question != NULL)
		table_cancel(x->question);
	expansion_release(x->result);
	free_work(x);
}

/*
 * Whether the recipient must be a user: for lmtp, and for a command that runs as another, only where
 * the rule names a userbase: they know their own.
 */
static bool
needs_user(const struct conf_rule *rule)
{
	switch (rule->action.kind) {
	case ACTION_RELAY: return false;
	case ACTION_LMTP: return rule->userbase != NULL;
	case ACTION_MDA: return rule->userbase != NULL || rule->action.as_user == NULL;
	case ACTION_NONE:
	case ACTION_MAILDIR:
	case ACTION_MBOX:
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
	while (x->work.next < x->work.n && x->result->verdict != VERDICT_LATER) {
		struct node *n = &x->work.nodes[x->work.next];
		switch (n->kind) {
		case NODE_ADDRESS:
			tell(x, n, "address", "which rule takes it?");
			x->match = match_start(&x->facts, &n->addr, n->depth > 0, on_rule, x);
			return;
		case NODE_NAME: do_name(x, n); return;
		case NODE_USER:
			if (n->rule->action.kind == ACTION_FORWARD_ONLY) {
				add_failure(x, n, "550 5.1.1 No such address here");
			} else if (needs_user(n->rule)) {
				do_user(x, n);
				return;
			} else if (n->rule->action.as_user != NULL) {
				do_as_user(x, n);
				return;
			} else {
				add_item(x, n, n->name, n->rule);
			}
			x->work.next++;
			break;
		}
	}
	finish(x);
}

static void
node_done(struct expand *x)
{
	x->work.next++;
	step(x);
}

static void
on_rule(enum match_result result, const struct conf_rule *rule, const char *reason, void *arg)
{
	struct expand *x = arg;
	struct node *n = &x->work.nodes[x->work.next];

	x->match = NULL;
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
		if (rule->action.as_user == NULL) {
			add_item(x, n, n->name, rule);
			node_done(x);
			return;
		}
	}
	strlcpy(name.name, n->addr.local, sizeof(name.name));
	if (rule->alias == NULL)
		name.kind = NODE_USER;
	add_node(x, &name);
	node_done(x);
}

static void
do_virtual(struct expand *x, struct node *n)
{
	char keys[KEYS_MAX][ADDR_TEXT_LEN];
	const char *ranked[KEYS_MAX];
	size_t count = keys_of_address(&n->addr, keys, ranked);

	x->ranked = explain_ask_ranked(
	    x->facts.explain, n->rule->virtual, TAB_ALIAS, ranked, count, on_alias, x);
}

static void
ask_name(struct expand *x, const struct node *n, const struct conf_table *table,
    enum tab_service service, table_answer *answer)
{
	char keys[KEYS_MAX][ADDR_TEXT_LEN];
	const char *ranked[KEYS_MAX];
	size_t count = keys_of_name(n->name, keys, ranked);

	x->ranked = explain_ask_ranked(x->facts.explain, table, service, ranked, count, answer, x);
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
	struct node n = x->work.nodes[x->work.next]; /* a copy: adding nodes may move them */
	const char *what = n.kind == NODE_ADDRESS ? "virtual" : "alias";

	x->ranked = NULL;
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

static void
add_destinations(struct expand *x, const struct node *from, const char *list)
{
	char part[ADDR_TEXT_LEN + 8];

	while (x->result->verdict != VERDICT_LATER && destination_next(&list, part, sizeof(part)))
		add_destination(x, from, part);
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
	struct node *n = &x->work.nodes[x->work.next];

	x->ranked = NULL;
	switch (answer) {
	case TAB_ERROR: give_up(x, value); break;
	case TAB_MISSING: add_failure(x, n, "550 5.1.1 No such user here"); break;
	case TAB_FOUND:
		if (n->rule->action.as_user != NULL) {
			tell(x, n, "user", value);
			do_as_user(x, n);
			return;
		}
		add_delivery(x, n, n->name, value);
		break;
	}
	node_done(x);
}

/* "mda … as USER": a user of the system, whoever the recipient is. */
static void
do_as_user(struct expand *x, struct node *n)
{
	x->question = explain_ask(x->facts.explain, process.conf->system_users, TAB_LOOKUP,
	    TAB_USERINFO, n->rule->action.as_user, on_as_user, x);
}

static void
on_as_user(enum tab_answer answer, const char *value, void *arg)
{
	struct expand *x = arg;
	struct node *n = &x->work.nodes[x->work.next];

	x->question = NULL;
	switch (answer) {
	case TAB_ERROR: give_up(x, value); break;
	case TAB_MISSING: give_up(x, "the user that \"as\" names does not exist"); break;
	case TAB_FOUND: add_delivery(x, n, n->rule->action.as_user, value); break;
	}
	node_done(x);
}

/* A delivery by a process of this user. */
static void
add_delivery(struct expand *x, struct node *n, const char *user, const char *userinfo)
{
	struct userinfo info;
	const char *wrong = userinfo_parse(userinfo, &info);

	if (wrong != NULL) {
		log_warn("user event=refused name=%s userinfo=%s reason=%s", log_quote(user),
		    log_quote(userinfo), log_quote(wrong));
		tell(x, n, "user", wrong);
		give_up(x, "what is known of the user cannot be right");
		return;
	}
	tell(x, n, "user", userinfo);
	struct item *item = add_item(x, n, user, n->rule);
	if (item == NULL)
		return;
	item->uid = info.uid;
	item->gid = info.gid;
	free(item->home);
	item->home = xstrdup(info.home);
}

/* One that was there before is not added again: so loops end. */
static void
add_node(struct expand *x, const struct node *n)
{
	switch (worklist_add(&x->work, n)) {
	case WORKLIST_ADDED: break;
	case WORKLIST_MET: tell(x, n, "again", "was met before, and is not followed twice"); break;
	case WORKLIST_FULL: give_up(x, "too many destinations"); break;
	}
}

/* A delivery of this node under this rule; NULL when the same one is there already. */
static struct item *
add_item(struct expand *x, const struct node *n, const char *user, const struct conf_rule *rule)
{
	char dest[ADDR_TEXT_LEN];
	struct addr a = n->addr;

	if (n->name[0] != '\0' && rule->action.kind != ACTION_RELAY && !rule->action.rcpt_to)
		strlcpy(a.local, n->name, sizeof(a.local));
	x->n_good++;
	return expansion_add(x->result, addr_text(&a, dest), user, rule);
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
		tell(x, &x->work.nodes[x->work.next], "later", why);
	else
		log_info("lookup event=try-later rcpt=%s reason=%s",
		    log_quote(x->work.nodes[0].addr.local), log_quote(why));
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
	free_work(x);
	answer(e, arg);
}

static void
free_work(struct expand *x)
{
	free(x->failure);
	worklist_free(&x->work);
	free(x);
}
