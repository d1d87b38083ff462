/*
 * `tabmailctl queue backup`: the whole spool goes to a client while mail flows.
 *
 * The write-ahead log is copied back into the file, which then does not change until the copy is done: what is
 * written meanwhile stays in the log.  A backup that is used as a spool, here or elsewhere, says of itself that it
 * is one, and all its recipients are then expanded anew (spool.h).
 */
#include "local.h"
#include "base64.h"
#include "log.h"
#include "row.h"
#include "text.h"

#include <stdlib.h>

#define PIECE (48 * 1024)

static struct control *owner; /* one at a time */
static uint64_t at, end;

static void step(struct control *);
static void finish(const char *error);

void
backup_start(struct control *c)
{
	const char *wrong;

	journal_commit();
	if (owner != NULL) {
		control_end(c, "a backup is under way already");
		return;
	}
	if ((wrong = spool_snapshot_begin(&end)) != NULL) {
		log_warn("queue backup failed reason=%s", log_quote(wrong));
		control_end(c, wrong);
		return;
	}
	log_info("queue backup begins bytes=%llu messages=%lld", (unsigned long long)end,
	    (long long)spool_count_messages());
	owner = c;
	at = 0;
	c->step = step;
	step(c);
}

static void
step(struct control *c)
{
	static unsigned char piece[PIECE];
	static char letters[BASE64_TEXT_LEN(PIECE)];
	struct text t = { 0 };

	while (at < end && control_room(c)) {
		size_t len = end - at < PIECE ? (size_t)(end - at) : PIECE;
		if (room_is_short_for_log() || !spool_snapshot_read(at, piece, len)) {
			finish(room_is_short_for_log() ? "the file system of the spool is full"
						       : "the spool cannot be read");
			return;
		}
		base64_encode(piece, len, letters);
		row_line(&t, 'D', letters, NULL);
		control_put(c, &t);
		at += len;
	}
	text_free(&t);
	if (at == end)
		finish(NULL); /* else it goes on when the client has read */
}

static void
finish(const char *error)
{
	struct control *c = owner;

	spool_snapshot_end();
	owner = NULL;
	if (error == NULL)
		log_info("queue backup done bytes=%llu", (unsigned long long)end);
	else
		log_warn("queue backup failed reason=%s", log_quote(error));
	control_end(c, error);
}

/* The log, which grows meanwhile, must be copied now. */
void
backup_give_way(void)
{
	if (owner != NULL)
		finish("the file system of the spool is full");
}

/* The client has left. */
void
backup_gone(struct control *c)
{
	if (c != owner)
		return;
	spool_snapshot_end();
	owner = NULL;
	log_warn("queue backup failed reason=\"the client has left\"");
}
