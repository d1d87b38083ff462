/*
 * BDAT (RFC 3030): a message in chunks, each with its length in front.
 *
 *	cmd_bdat           the length; a chunk that is not wanted is eaten all the same (security row 13)
 *	cmd_bdat_start     queue's id is there
 *	cmd_bdat_read      body.c takes the octets, or they are eaten; at the chunk's end a reply
 *
 * What was refused stays refused until the chunk that says LAST, or RSET.  A length that cannot be read
 * ends the session: nobody knows where commands begin again.  So does a chunk that nobody takes and that
 * is longer than any message: eating it would take for ever.
 */
#include "conf.h"
#include "conn.h"
#include "local.h"
#include "../role.h"

#include <bsd/stdlib.h>
#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define CHUNK_MAX (1LL << 40) /* longer is read as a mistake */

static bool parse(struct chunk *, const char *args);
static bool nobody_takes(const struct session *);
static void end_chunk(struct session *);

void
cmd_bdat(struct session *s, char *args)
{
	struct chunk *c = &s->chunk;

	if (!parse(c, args)) {
		session_refuse(s, "BDAT", "501 5.5.4 write it as BDAT SIZE or BDAT SIZE LAST");
		session_close(s, "bdat", true);
		return;
	}
	c->refusal = s->phase != PHASE_RCPT && s->phase != PHASE_BDAT
			 ? "503 5.5.1 MAIL and RCPT come first"
			 : NULL;
	c->size = c->left;
	if (c->size > (uint64_t)process.conf->max_message_len && nobody_takes(s)) {
		session_refuse(s, "BDAT", "552 5.3.4 the chunk is too big");
		session_close(s, "bdat", true);
		return;
	}
	c->open = true;
	body_pace_start(&c->pace);
	conn_deadline(s->conn, smtp.timeout_sec);
	if (c->refusal == NULL && s->tx->id == 0 && s->tx->refusal == NULL)
		s->wait = WAIT_ID;
	else
		cmd_bdat_start(s);
}

/* It is to be eaten. */
static bool
nobody_takes(const struct session *s)
{
	return s->chunk.refusal != NULL || (s->tx->refusal != NULL && s->tx->body == NULL);
}

static bool
parse(struct chunk *c, const char *args)
{
	size_t digits = strspn(args, "0123456789");
	const char *rest = args + digits, *error;
	char number[20];

	if (digits == 0 || digits >= sizeof(number) || (*rest != '\0' && *rest != ' '))
		return false;
	memcpy(number, args, digits);
	number[digits] = '\0';
	c->left = (uint64_t)strtonum(number, 0, CHUNK_MAX, &error);
	while (*rest == ' ')
		rest++;
	c->last = strcasecmp(rest, "LAST") == 0;
	return error == NULL && (c->last || *rest == '\0');
}

void
cmd_bdat_start(struct session *s)
{
	if (s->chunk.refusal != NULL)
		return; /* session_run() goes on, and eats it */
	if (s->phase == PHASE_RCPT && s->tx->refusal == NULL)
		body_start(s, true);
	s->phase = PHASE_BDAT;
}

/* RFC 5321 has no time for a chunk; what is eaten must come as fast as what is kept. */
static size_t
eat(struct session *s)
{
	struct evbuffer *in = conn_in(s->conn);
	size_t len = evbuffer_get_length(in);

	if (len > s->chunk.left)
		len = (size_t)s->chunk.left;
	evbuffer_drain(in, len);
	if (len < s->chunk.left)
		body_pace(s, &s->chunk.pace, s->chunk.size - s->chunk.left + len);
	return len;
}

bool
cmd_bdat_read(struct session *s)
{
	struct chunk *c = &s->chunk;
	size_t max = c->left < SIZE_MAX ? (size_t)c->left : SIZE_MAX;
	size_t used = c->left == 0 ? 0 : nobody_takes(s) ? eat(s) : body_read(s, max);

	c->left -= used;
	if (s->closing)
		return false;
	if (c->left == 0) {
		end_chunk(s);
		return true;
	}
	return used > 0 && !s->paused && evbuffer_get_length(conn_in(s->conn)) > 0;
}

static void
end_chunk(struct session *s)
{
	struct chunk *c = &s->chunk;

	c->open = false;
	conn_deadline(s->conn, smtp.timeout_sec);
	if (c->refusal != NULL) {
		session_refuse(s, "BDAT", c->refusal);
	} else if (c->last) {
		body_end_line(s);
		data_end(&s->tx->data);
		if (s->tx->data.bare && s->tx->refusal == NULL)
			body_refuse(s, data_bare);
		body_end(s, "BDAT");
	} else if (s->tx->refusal != NULL) {
		session_refuse(s, "BDAT", s->tx->refusal);
	} else if (!body_is_slow(s, &s->tx->pace, s->tx->data.size)) {
		s->bad = 0;
		session_replyf(s, "250 2.0.0 %llu octets", (unsigned long long)c->size);
		if (c->size == 0)
			session_count_idle(s);
	}
}
