/*
 * Whether a user may send as an address: ASK_SENDER of smtp, answered by a VERDICT.
 *
 * The listener's `senders` table maps users to the addresses that are theirs (mailaddrmap); these
 * match as those of any mailaddr table do: "@example.org" is all of a domain.
 */
#include "local.h"
#include "log.h"
#include "tab_set.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

struct wish {
	LIST_ENTRY(wish) entry;
	struct ipc *ipc; /* NULL: it has gone meanwhile */
	uint32_t call;
	char *sender;
};

static LIST_HEAD(, wish) wishes = LIST_HEAD_INITIALIZER(wishes);

static void on_addresses(enum tab_answer, const char *, void *);

void
sender_on_ask(struct ipc *ipc, struct msg *m, void *arg)
{
	const struct msg_ask_sender *q = m->body;
	const struct conf_listener *l = conf_listener(process.conf, q->listener);

	(void)arg;
	if (l == NULL || l->senders == NULL) {
		ipc_reply(ipc, m->call, MSG_VERDICT,
		    &(struct msg_verdict){ .verdict = VERDICT_LATER, .reply = "" });
		return;
	}
	struct wish *w = xcalloc(1, sizeof(*w));
	*w = (struct wish){ .ipc = ipc, .call = m->call, .sender = text_lower(xstrdup(q->sender)) };
	LIST_INSERT_HEAD(&wishes, w, entry);
	char *user = text_lower(xstrdup(q->user));
	table_ask(l->senders, TAB_LOOKUP, TAB_MAILADDRMAP, user, on_addresses, w);
	free(user);
}

/* "a@example.org, @example.net": whether one of them takes the sender. */
static bool
is_among(const char *addresses, const char *sender)
{
	struct tab_set *set = tab_set_new();
	char *copy = xstrdup(addresses), *rest = copy, *word;
	const char *value;

	while ((word = strsep(&rest, ", \t")) != NULL)
		if (*word != '\0')
			table_add(set, word, NULL);
	bool found = tab_set_ask(set, TAB_CHECK, TAB_MAILADDR, sender, &value) == TAB_FOUND;
	tab_set_free(set);
	free(copy);
	return found;
}

static void
on_addresses(enum tab_answer answer, const char *value, void *arg)
{
	struct wish *w = arg;
	struct msg_verdict v = { .verdict = VERDICT_LATER,
		.reply = "451 4.3.0 cannot tell now whose address this is, try again later" };

	if (answer == TAB_FOUND && is_among(value, w->sender))
		v = (struct msg_verdict){ VERDICT_ACCEPT, "" };
	else if (answer != TAB_ERROR)
		v = (struct msg_verdict){ VERDICT_NEVER,
			"553 5.7.1 this sender address is not yours" };
	if (w->ipc != NULL)
		ipc_reply(w->ipc, w->call, MSG_VERDICT, &v);
	LIST_REMOVE(w, entry);
	free(w->sender);
	free(w);
}

void
sender_channel_gone(struct ipc *ipc)
{
	struct wish *w;

	LIST_FOREACH(w, &wishes, entry)
		if (w->ipc == ipc)
			w->ipc = NULL;
}
