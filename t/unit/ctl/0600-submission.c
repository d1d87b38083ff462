/* sendmail's SMTP, against a server that plays recorded replies and keeps what it was told. */
#include "tap.h"

#include "ctl/local.h"

#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#define HELLO                \
	"220 srv ESMTP\r\n", \
	    "250-mail.example.org Hello\r\n250-8BITMIME\r\n250-SIZE 1000\r\n250 DSN\r\n"

/*
 * Sends the next reply at the start, for each line, and for the body's end.  A reply "354…" makes
 * lines text up to the dot.
 */
static void
serve(int fd, FILE *log, const char *const *replies)
{
	FILE *in = fdopen(fd, "r");
	char line[2048];
	bool body = false;

	send(fd, *replies, strlen(*replies), MSG_NOSIGNAL);
	replies++;
	while (fgets(line, sizeof(line), in) != NULL) {
		fputs(line, log);
		fflush(log);
		if (body && strcmp(line, ".\r\n") != 0)
			continue;
		if (*replies == NULL)
			_exit(0);
		body = strncmp(*replies, "354", 3) == 0;
		send(fd, *replies, strlen(*replies), MSG_NOSIGNAL);
		replies++;
	}
	_exit(0);
}

static char told[65536];

static int
play(struct submission *sub, const char *header, const char *rcpts, const char *const *replies)
{
	struct rcpts r = { 0 };
	struct letter m;
	int fds[2], code;
	FILE *log = tmpfile(), *in = fmemopen((char *)(uintptr_t)header, strlen(header), "r");

	free(rcpts_add_list(&r, rcpts, strlen(rcpts)));
	letter_read(&m, in, false, &code);
	fclose(in);
	sub->rcpts = &r;
	sub->message = &m;
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == -1)
		return -1;
	pid_t pid = fork();
	if (pid == 0) {
		close(fds[0]);
		serve(fds[1], log, replies);
	}
	close(fds[1]);
	code = submission_send_on(fds[0], sub);
	waitpid(pid, NULL, 0);
	rewind(log);
	size_t n = fread(told, 1, sizeof(told) - 1, log);
	told[n] = '\0';
	fclose(log);
	/* the name of this machine is none of the test's business */
	char *ehlo = strstr(told, "EHLO "), *end = ehlo == NULL ? NULL : strchr(ehlo, '\r');
	if (end != NULL)
		memmove(ehlo + 5, end, strlen(end) + 1);
	rcpts_free(&r);
	letter_free(&m);
	return code;
}

int
main(void)
{
	struct submission plain = {
		.sender = { "ann", "" }, .from = { "ann", "" }, .full_name = "Ann", .add_from = true
	};
	struct submission s = plain;

	is_int(play(&s, "To: b\n\nhi\n.dot\n", "bob, c@x.org",
		   (const char *[]){ HELLO, "250 ok\r\n", "250 ok\r\n", "250 ok\r\n", "354 go\r\n",
		       "250 2.0.0 stored\r\n", "221 bye\r\n", NULL }),
	    EX_OK, "sent");
	is(told,
	    "EHLO \r\nMAIL FROM:<ann@mail.example.org> SIZE=53\r\nRCPT "
	    "TO:<bob@mail.example.org>\r\n"
	    "RCPT TO:<c@x.org>\r\nDATA\r\nFrom: Ann <ann@mail.example.org>\r\nTo: b\r\n\r\nhi\r\n"
	    "..dot\r\n.\r\nQUIT\r\n",
	    "the dialogue");

	s = plain;
	s.sender = (struct addr){ 0 };
	s.ret = "HDRS";
	s.notify = "NEVER";
	s.envid = "a+b c";
	is_int(play(&s, "From: x\n\n\xc3\xa4\n", "b@x.org",
		   (const char *[]){ HELLO, "250 ok\r\n", "250 ok\r\n", "354 go\r\n", "250 ok\r\n",
		       "221 bye\r\n", NULL }),
	    EX_OK, "8-bit, DSN, the null path");
	is(told,
	    "EHLO \r\nMAIL FROM:<> SIZE=15 BODY=8BITMIME RET=HDRS ENVID=a+2Bb+20c\r\n"
	    "RCPT TO:<b@x.org> NOTIFY=NEVER\r\nDATA\r\nFrom: x\r\n\r\n\xc3\xa4\r\n.\r\nQUIT\r\n",
	    "its parameters; the From that is there stays alone");

	static const struct {
		const char *header, *rcpt, *says;
		bool utf8;
	} beyond[] = { { "From: x\n\nhi\n", "z\xc3\xab@x.org", "a recipient in UTF-8", true },
		{ "From: \xc3\xab\n\nhi\n", "b@x.org", "a header in UTF-8", true },
		{ "From: x\n\n\xc3\xab\n", "b@x.org", "a body in UTF-8", false },
		{ "From: \xeb\n\nhi\n", "b@x.org", "a header in Latin-1", false },
		{ "From: x\n\nhi\n", "b@\xc3\xab.org", "a domain", false } };
	for (size_t i = 0; i < sizeof(beyond) / sizeof(beyond[0]); i++) {
		s = plain;
		is_int(play(&s, beyond[i].header, beyond[i].rcpt,
			   (const char *[]){ "220 srv\r\n",
			       "250-mail.example.org\r\n250 SMTPUTF8\r\n", "250 ok\r\n",
			       "250 ok\r\n", "354 go\r\n", "250 ok\r\n", "221 bye\r\n", NULL }),
		    EX_OK, "%s", beyond[i].says);
		ok((strstr(told, "> SMTPUTF8\r\n") != NULL) == beyond[i].utf8, "is%s said so",
		    beyond[i].utf8 ? "" : " not");
	}

	s = plain;
	is_int(play(&s, "\nhi\n", "a@x.org, b@x.org",
		   (const char *[]){ HELLO, "250 ok\r\n", "550 5.1.1 no such user\r\n",
		       "250 ok\r\n", "354 go\r\n", "250 ok\r\n", "221 bye\r\n", NULL }),
	    EX_NOUSER, "one of two does not exist");
	ok(strstr(told, "\r\n.\r\n") != NULL, "the other gets it");

	s = plain;
	is_int(play(&s, "\nhi\n", "a@x.org, b@x.org",
		   (const char *[]){ HELLO, "250 ok\r\n", "451 4.3.0 later\r\n", "250 ok\r\n",
		       "221 bye\r\n", NULL }),
	    EX_TEMPFAIL, "one of two is put off");
	ok(strstr(told, "DATA") == NULL, "nothing is sent");

	s = plain;
	is_int(play(&s, "\nhi\n", "a@x.org",
		   (const char *[]){
		       HELLO, "250 ok\r\n", "550 5.7.1 denied\r\n", "221 bye\r\n", NULL }),
	    EX_UNAVAILABLE, "refused");

	s = plain;
	is_int(play(&s, "\nhi\n", "a@x.org",
		   (const char *[]){
		       HELLO, "552 5.3.4 too big\r\n", "503 no\r\n", "221 bye\r\n", NULL }),
	    EX_UNAVAILABLE, "MAIL refused");

	s = plain;
	is_int(play(&s, "\nhi\n", "a@x.org",
		   (const char *[]){ HELLO, "250 ok\r\n", "250 ok\r\n", "354 go\r\n",
		       "451 4.3.0 disk\r\n", "221 bye\r\n", NULL }),
	    EX_TEMPFAIL, "the message is put off");
	is_int(play(&s, "\nhi\n", "a@x.org",
		   (const char *[]){ HELLO, "250 ok\r\n", "250 ok\r\n", "354 go\r\n",
		       "554-5.6.0 bare CR\r\n554 5.6.0 no\r\n", "221 bye\r\n", NULL }),
	    EX_UNAVAILABLE, "the message is refused");

	is_int(play(&s, "\nhi\n", "a@x.org", (const char *[]){ "421 4.3.2 full\r\n", NULL }),
	    EX_TEMPFAIL, "421 at once");
	is_int(play(&s, "\nhi\n", "a@x.org", (const char *[]){ "garbage\r\n", NULL }), EX_TEMPFAIL,
	    "no SMTP at all");
	is_int(play(&s, "\nhi\n", "a@x.org", (const char *[]){ HELLO, "250 ok\r\n", NULL }),
	    EX_TEMPFAIL, "the server dies at RCPT");
	is_int(play(&s, "\nhi\n", "a@x.org",
		   (const char *[]){ HELLO, "250 ok\r\n", "250 ok\r\n", "354 go\r\n", NULL }),
	    EX_TEMPFAIL, "the server dies at the dot");

	struct text many = { 0 };
	const char *replies[600] = { HELLO, "250 ok\r\n" };
	for (int i = 0; i < 500; i++) {
		text_putf(&many, "u%d@x.org,", i);
		replies[3 + i] = "250 2.1.5 ok\r\n";
	}
	replies[503] = "354 go\r\n";
	replies[504] = "250 ok\r\n";
	replies[505] = "221 bye\r\n";
	is_int(play(&s, "\nhi\n", many.s, replies), EX_OK, "500 recipients");
	ok(strstr(told, "RCPT TO:<u499@x.org>\r\nDATA\r\n") != NULL, "all are named");
	text_free(&many);

	s.socket_path = "/nowhere/submit.sock";
	is_int(submission_send(&s), EX_TEMPFAIL, "nobody listens");
	return done();
}
