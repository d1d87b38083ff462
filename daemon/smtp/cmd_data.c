/*
 * DATA (RFC 5321 4.1.1.4): the message ends with CRLF.CRLF.
 *
 *	cmd_data           waits for queue's id when it is not there yet
 *	cmd_data_start     354
 *	cmd_data_read      body.c takes the octets, until data.c has seen the end
 */
#include "conn.h"
#include "local.h"

#include <event2/buffer.h>

void
cmd_data(struct session *s, char *args)
{
	(void)args;
	if (s->tx->id == 0 && s->tx->refusal == NULL)
		s->wait = WAIT_ID;
	else
		cmd_data_start(s);
}

void
cmd_data_start(struct session *s)
{
	if (s->tx->refusal != NULL) {
		session_refuse(s, "DATA", s->tx->refusal);
		cmd_mail_reset(s);
		return;
	}
	s->phase = PHASE_DATA;
	s->bad = 0;
	body_start(s, false);
	session_reply(s, "354 end data with <CR><LF>.<CR><LF>");
}

bool
cmd_data_read(struct session *s)
{
	size_t used = body_read(s, SIZE_MAX);

	if (s->tx->data.state == DATA_ENDED) {
		body_end(s, "DATA");
		return true;
	}
	return used > 0 && !s->paused && evbuffer_get_length(conn_in(s->conn)) > 0;
}
