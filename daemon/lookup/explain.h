/*
 * An explanation from the inside: what explain.c (the request) and explaintell.c (the rows) share.
 * Others see local.h.
 */
#ifndef TABMAIL_LOOKUP_EXPLAIN_H
#define TABMAIL_LOOKUP_EXPLAIN_H

#include "local.h"

enum section { REQUEST, RULE, CRITERION, QUESTION, STEP, DELIVERY, HOP, TRIP, VERDICT, SECTIONS };

struct explain {
	struct ipc *ipc; /* queue; when it has gone, so are we */
	uint32_t ask;
	struct facts facts;
	char *client, *auth, *tag;
	int64_t began_us;
	enum section section; /* of the last row; SECTIONS: none yet */
	size_t n_rows, n_omitted, n_questions, n_rules;
	char *why;                   /* the first reason of "try later" */
	struct expansion *expansion; /* the result, while its routes are looked into */
	size_t item, n_routes;       /* the one at work; how many were */
	size_t trip;                 /* the item whose trip is told */
};

/*
 * A row of a section, whose name and columns go before the first of its rows: what is put into the text
 * between these two.  False: enough has been told, and this is not.
 */
bool explain_begin_row(struct explain *, enum section, struct text *);
void explain_end_row(struct explain *, struct text *);
void explain_put_when(struct explain *, struct text *); /* microseconds since it began */
void explain_put_long(struct text *, const char *);     /* cut, and it says so */

#endif
