/* The client of the control socket, against a server that plays recorded lines. */
#include "tap.h"

#include "ctl/local.h"

#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

struct seen {
	struct text lines;
	int pauses;
};

static void
on_line(char kind, char **fields, size_t n, void *arg)
{
	struct seen *seen = arg;

	text_putf(&seen->lines, "%c", kind);
	for (size_t i = 0; i < n; i++)
		text_putf(&seen->lines, "|%s", fields[i]);
	text_put(&seen->lines, ";");
}

static void
on_pause(void *arg)
{
	((struct seen *)arg)->pauses++;
}

/* Reads a request and plays the answer in pieces of that many bytes; exits 0 if it was `request`. */
static void
serve(int fd, const char *request, const char *answer, size_t len, size_t piece)
{
	char got[4096] = "";
	size_t n = 0;

	while (n < sizeof(got) - 1 && strchr(got, '\n') == NULL) {
		ssize_t r = read(fd, got + n, sizeof(got) - 1 - n);
		if (r <= 0)
			break;
		n += (size_t)r;
		got[n] = '\0';
	}
	for (size_t at = 0; at < len; at += piece)
		if (send(fd, answer + at, len - at < piece ? len - at : piece, MSG_NOSIGNAL) == -1)
			break;
	_exit(strcmp(got, request) != 0);
}

static int
play(const char *request, const char *answer, size_t len, size_t piece, struct seen *seen)
{
	static const struct ask_ops ops = { .on_line = on_line, .on_pause = on_pause };
	const char *words[] = { "show", "a\tb", "", NULL };
	int fds[2], status;

	*seen = (struct seen){ 0 };
	text_putn(&seen->lines, "", 0);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == -1)
		return -1;
	pid_t pid = fork();
	if (pid == 0) {
		close(fds[0]);
		serve(fds[1], request, answer, len, piece);
	}
	close(fds[1]);
	int code = ask_on(fds[0], words, &ops, seen);
	waitpid(pid, &status, 0);
	ok(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the request arrived as it should");
	return code;
}

#define PLAY(answer, piece) play("show\ta\\tb\t\n", answer, sizeof(answer) - 1, piece, &seen)

int
main(void)
{
	struct seen seen;

	is_int(
	    PLAY("S\tq\nH\tid\tn#\nR\ta\\tb\\n\\\\\\x1b\t5\nT\thello\n.\n", 1000), 0, "all well");
	is(seen.lines.s, "S|q;H|id|n#;R|a\tb\n\\\x1b|5;T|hello;", "its lines, unescaped");
	text_free(&seen.lines);

	is_int(PLAY("H\tid\nR\tx\n.\n", 1), 0, "byte by byte");
	is(seen.lines.s, "H|id;R|x;", "the same lines");
	text_free(&seen.lines);

	is_int(PLAY("R\tx\n!\tno such table\n", 1000), 1, "refused");
	is(seen.lines.s, "R|x;", "with rows before it");
	is_int(seen.pauses, 1, "rows are shown before the reason");
	text_free(&seen.lines);

	is_int(PLAY("R\tx\n", 1000), EX_TEMPFAIL, "an answer without its end");
	text_free(&seen.lines);
	is_int(PLAY("", 1000), EX_TEMPFAIL, "no answer");
	text_free(&seen.lines);
	is_int(PLAY("Z\tx\n.\n", 1000), EX_PROTOCOL, "a line of no kind");
	text_free(&seen.lines);
	is_int(PLAY("\n", 1000), EX_PROTOCOL, "an empty line");
	text_free(&seen.lines);
	is_int(PLAY(".\nR\tx\n", 1000), 0, "what follows the end");
	is(seen.lines.s, "", "is not seen");
	text_free(&seen.lines);

	struct text line = { 0 };
	text_put(&line, "R\t");
	for (int i = 0; i < 300 * 1024; i++)
		text_put(&line, "x");
	is_int(play("show\ta\\tb\t\n", line.s, line.len, 65536, &seen), EX_PROTOCOL,
	    "a line without end");
	text_free(&seen.lines);
	text_free(&line);

	is_int(ask("/nowhere/control.sock", (const char *[]){ "show", NULL },
		   &(struct ask_ops){ .on_line = on_line }, &seen),
	    EX_TEMPFAIL, "nobody listens");
	return done();
}
