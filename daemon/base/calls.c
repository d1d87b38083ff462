/* See calls.h. */
#include "calls.h"
#include "log.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

static size_t
slot_of(uint32_t id)
{
	return (id & 0xffff) - 1;
}

static void
grow(struct calls *c)
{
	size_t n = c->n == 0 ? 64 : c->n * 2;

	if (n > UINT16_MAX)
		log_fatal("more than %zu questions wait for one process", c->n);
	c->slots = xrealloc(c->slots, n, sizeof(struct ipc_call *));
	memset(c->slots + c->n, 0, (n - c->n) * sizeof(struct ipc_call *));
	c->n = n;
}

struct ipc_call *
calls_add(struct calls *c, struct ipc *ipc, enum msg_type awaits, ipc_answer *answer, void *arg)
{
	size_t slot = c->next_free;

	while (slot < c->n && c->slots[slot] != NULL)
		slot++;
	if (slot == c->n)
		grow(c);
	struct ipc_call *call = c->slots[slot] = xcalloc(1, sizeof(*call));
	c->next_free = (uint32_t)slot + 1;
	*call = (struct ipc_call){ .ipc = ipc,
		.id = (uint32_t)++c->generation << 16 | (uint32_t)(slot + 1),
		.awaits = awaits,
		.answer = answer,
		.arg = arg };
	return call;
}

struct ipc_call *
calls_find(const struct calls *c, uint32_t id)
{
	size_t slot = slot_of(id);
	struct ipc_call *call = slot < c->n ? c->slots[slot] : NULL;

	return call != NULL && call->id == id ? call : NULL;
}

void
calls_remove(struct calls *c, struct ipc_call *call)
{
	size_t slot = slot_of(call->id);

	c->slots[slot] = NULL;
	if (slot < c->next_free)
		c->next_free = (uint32_t)slot;
	free(call);
}

void
calls_answer(struct calls *c, struct ipc_call *call, const struct msg *m)
{
	ipc_answer *answer = call->answer;
	void *arg = call->arg;

	calls_remove(c, call);
	answer(m, arg);
}

void
calls_end(struct calls *c)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->slots[i] != NULL)
			calls_answer(c, c->slots[i], NULL);
	free(c->slots);
	*c = (struct calls){ 0 };
}
