/*
 * A worker's channel to queue: blocking, in order.  deliver.c collects a batch of jobs from it; a
 * destination reads bodies through it, and jobs that arrive in front of a piece are kept in order.
 */
#include "local.h"
#include "log.h"
#include "msgio.h"
#include "text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

const struct conf *worker_conf;

static int channel = -1;
static struct msg_reader *reader;
static bool ended;
static STAILQ_HEAD(, delivery) kept = STAILQ_HEAD_INITIALIZER(kept);
static size_t n_kept;

static int receive(struct msg *, int flags);
static struct delivery *new_delivery(const struct msg_job *);
static const struct conf_action *find_action(const char *text);

void
worker_open(int fd, const struct conf *conf)
{
	channel = fd;
	reader = msg_reader_new(fd);
	worker_conf = conf;
}

size_t
worker_collect(struct delivery *batch[WORKER_BATCH], bool wait)
{
	struct msg m;

	while (!ended && n_kept < WORKER_BATCH)
		if (receive(&m, wait && n_kept == 0 ? 0 : MSG_DONTWAIT) != 1)
			break;
	size_t n = 0;
	while (n < WORKER_BATCH && !STAILQ_EMPTY(&kept)) {
		batch[n++] = STAILQ_FIRST(&kept);
		STAILQ_REMOVE_HEAD(&kept, entry);
		n_kept--;
	}
	return n;
}

int
worker_channel(void)
{
	return ended ? -1 : channel;
}

/* Reads one message; a job is kept.  1; 0: nothing now, or never again. */
static int
receive(struct msg *m, int flags)
{
	ssize_t n = msg_read(reader, m, flags);

	if (n == -1 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return 0;
	if (n <= 0) {
		ended = true;
		return 0;
	}
	if (!msg_allowed(m->type, ROLE_QUEUE, ROLE_DELIVER) || m->fd != -1)
		log_fatal("breach from=queue message=%s", msg_name(m->type));
	if (m->type != MSG_JOB)
		return 1;
	struct delivery *d = new_delivery(m->body);
	if (d == NULL)
		log_bug("bug: queue sent a job that cannot be read");
	STAILQ_INSERT_TAIL(&kept, d, entry);
	n_kept++;
	return 1;
}

static const char *
next_text(const char **p, const char *end)
{
	const char *text = *p, *nul = memchr(text, '\0', (size_t)(end - text));

	if (nul == NULL)
		return NULL;
	*p = nul + 1;
	return text;
}

/* One allocation: the struct, its texts, the body's first piece. */
static struct delivery *
new_delivery(const struct msg_job *j)
{
	const char *texts[] = { j->sender, j->action, j->user, j->home };
	size_t lens[4], all = 0;

	if (j->n_rcpts != 1 || j->body.len > j->size)
		return NULL;
	for (int i = 0; i < 4; i++)
		all += lens[i] = strlen(texts[i]) + 1;
	struct delivery *d = malloc(sizeof(*d) + all + j->rcpts.len + j->body.len + 1);
	if (d == NULL)
		return NULL;
	char *space = (char *)(d + 1), *copies[4];
	for (int i = 0; i < 4; i++) {
		copies[i] = memcpy(space, texts[i], lens[i]);
		space += lens[i];
	}
	*d = (struct delivery){ .job = j->job,
		.id = j->id,
		.size = j->size,
		.sender = copies[0],
		.action_text = copies[1],
		.user = copies[2],
		.home = copies[3],
		.outcome = OUTCOME_LATER,
		.status = "4.3.0" };
	if (j->rcpts.len > 0)
		memcpy(space, j->rcpts.data, j->rcpts.len);
	const char *p = space, *end = space + j->rcpts.len;
	d->dest = next_text(&p, end);
	d->rcpt = d->dest == NULL ? NULL : next_text(&p, end);
	space += j->rcpts.len;
	if (j->body.len > 0)
		memcpy(space, j->body.data, j->body.len);
	d->body = (struct bytes){ space, j->body.len };
	d->action = find_action(d->action_text);
	if (d->rcpt == NULL) {
		free(d);
		return NULL;
	}
	return d;
}

/* The same action again and again is the common case. */
static const struct conf_action *
find_action(const char *text)
{
	static const struct conf_action *last;
	static char *last_text;

	if (last_text != NULL && strcmp(text, last_text) == 0)
		return last;
	free(last_text);
	last_text = xstrdup(text);
	last = conf_action_find(worker_conf, text);
	return last;
}

int
worker_body(struct delivery *d, struct bytes *piece)
{
	static uint32_t call;
	struct msg m;

	if (d->read == 0 && d->body.len > 0) {
		*piece = d->body;
		d->read = d->body.len;
		return 1;
	}
	if (d->read == d->size)
		return 0;
	struct msg_body_pull pull = { .job = d->job, .seq = ++d->seq };
	if (ended ||
	    !msg_write(channel,
		&(struct msg){ .type = MSG_BODY_PULL, .call = ++call, .fd = -1, .body = &pull }))
		return -1;
	do {
		if (receive(&m, 0) == 0)
			return -1;
	} while (m.type != MSG_BODY || !m.answer || m.call != call);
	const struct msg_body *b = m.body;
	if (b->job != d->job || b->data.len == 0 || b->data.len > d->size - d->read)
		return -1;
	d->read += b->data.len;
	*piece = b->data;
	return 1;
}

void
worker_answer(struct delivery *d)
{
	struct msg_job_result result = { .job = d->job,
		.outcome = d->outcome,
		.status = d->status,
		.text = d->text,
		.host = "",
		.source = "" };

	if (!ended &&
	    !msg_write(channel, &(struct msg){ .type = MSG_JOB_RESULT, .fd = -1, .body = &result }))
		ended = true;
	free(d);
}

void
delivery_end(struct delivery *d, enum outcome outcome, const char *status, const char *fmt, ...)
{
	va_list ap;

	d->outcome = outcome;
	d->status = status;
	va_start(ap, fmt);
	vsnprintf(d->text, sizeof(d->text), fmt, ap);
	va_end(ap);
	for (char *p = d->text; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || (unsigned char)*p >= 0x7f)
			*p = '?';
}

void
delivery_fail_errno(struct delivery *d, int error, const char *what)
{
	if (error == ENOSPC)
		delivery_end(d, OUTCOME_LATER, "4.3.1", "%s: the disk is full", what);
	else if (error == EDQUOT || error == EFBIG)
		delivery_end(d, OUTCOME_LATER, "4.2.2", "%s: the quota is used up", what);
	else
		delivery_end(d, OUTCOME_LATER, "4.3.0", "%s: %s", what, strerror(error));
}

static void
put_address(struct text *t, const char *address)
{
	for (; *address != '\0'; address++)
		text_putn(t, (unsigned char)*address < 0x20 || *address == 0x7f ? "?" : address, 1);
}

char *
delivery_header(const struct delivery *d)
{
	struct text t = { 0 };

	text_put(&t, "Return-Path: <");
	put_address(&t, d->sender);
	text_put(&t, ">\nDelivered-To: ");
	put_address(&t, d->dest);
	text_put(&t, "\n");
	return t.s;
}
