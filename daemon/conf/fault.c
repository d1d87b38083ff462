/*
 * Faults of a configuration: collected while it is parsed and checked, printed in the order of the
 * text, so that a person sees all of them in one go.  Also the memory of one parse, and "did you
 * mean".  Called by all of conf; pure.
 */
#include "local.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct arena_piece {
	struct arena_piece *next;
	max_align_t data[];
};

void *
arena_alloc(struct arena *a, size_t len)
{
	struct arena_piece *piece = xcalloc(1, sizeof(*piece) + len);

	piece->next = a->pieces;
	a->pieces = piece;
	return piece->data;
}

char *
arena_strndup(struct arena *a, const char *s, size_t len)
{
	char *copy = arena_alloc(a, len + 1);

	memcpy(copy, s, len);
	return copy;
}

void
arena_free(struct arena *a)
{
	struct arena_piece *piece;

	while ((piece = a->pieces) != NULL) {
		a->pieces = piece->next;
		free(piece);
	}
}

void
fault_add(struct faults *f, const struct loc *loc, const char *fmt, ...)
{
	struct text t = { 0 };
	char line[1024];
	va_list ap;

	if (f->n == FAULTS_MAX) {
		f->dropped++;
		return;
	}
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	text_put(&t, line);
	f->list[f->n] = (struct fault){ .loc = *loc, .seq = f->n, .text = t.s };
	f->n++;
}

static int
compare(const void *a, const void *b)
{
	const struct fault *x = a, *y = b;

	if (x->loc.order != y->loc.order)
		return x->loc.order < y->loc.order ? -1 : 1;
	if (x->loc.column != y->loc.column)
		return x->loc.column < y->loc.column ? -1 : 1;
	return x->seq < y->seq ? -1 : 1;
}

void
fault_print(struct faults *f, struct text *out)
{
	if (out == NULL)
		return;
	qsort(f->list, f->n, sizeof(f->list[0]), compare);
	for (unsigned i = 0; i < f->n; i++) {
		const struct loc *loc = &f->list[i].loc;
		text_put(out, loc->file);
		if (loc->line != 0)
			text_putf(out, ":%u:%u", loc->line, loc->column);
		text_putf(out, ": %s\n", f->list[i].text);
	}
	if (f->dropped != 0)
		text_putf(out, "%u more errors are not shown\n", f->dropped);
}

void
fault_free(struct faults *f)
{
	for (unsigned i = 0; i < f->n; i++)
		free(f->list[i].text);
}

const char *
fault_shown(const char *token, char buf[FAULT_SHOWN_LEN])
{
	size_t len = strlen(token), n = len > 40 ? 40 : len;

	while (len > 40 && n > 0 && ((unsigned char)token[n] & 0xc0) == 0x80)
		n--; /* not in the middle of a character */
	for (size_t i = 0; i < n; i++)
		buf[i] = (unsigned char)token[i] < 0x20 || token[i] == 0x7f ? '?' : token[i];
	snprintf(buf + n, FAULT_SHOWN_LEN - n, "%s", len > 40 ? "..." : "");
	return buf;
}

void
fault_nearer(struct nearest *n, const char *got, const char *candidate)
{
	unsigned distance = text_distance(got, candidate);
	size_t len = strlen(got);

	if (distance > (len < 5 ? 1 : len < 9 ? 2 : 3) || distance >= strlen(candidate))
		return;
	if (n->word == NULL || distance < n->distance)
		*n = (struct nearest){ .word = candidate, .distance = distance };
}
