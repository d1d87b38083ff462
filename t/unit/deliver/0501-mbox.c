/* mbox: From_ quoting however a body is cut, locks, and nothing but a plain file of the user's. */
#include "worker.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>

static char out[1000];
static void (*while_waiting)(void); /* once, when a lock is waited for */

/* In place of the C library's: what waits for a lock lets somebody else at work. */
int
poll(struct pollfd *fds, nfds_t n, int ms)
{
	struct timespec wait = { ms / 1000, (ms % 1000) * 1000000L };
	void (*work)(void) = while_waiting;

	if (n > 0 || work == NULL)
		return (int)syscall(SYS_ppoll, fds, n, ms < 0 ? NULL : &wait, NULL, 0);
	while_waiting = NULL;
	work();
	return 0;
}

static void
check_quote(const char *in, const char *want)
{
	size_t len = strlen(in), wrong = 0;

	for (size_t a = 0; a <= len; a++)
		for (size_t b = a; b <= len; b++) {
			struct mbox_quote q = { 0 };
			size_t n = mbox_quote(&q, in, a, out);
			n += mbox_quote(&q, in + a, b - a, out + n);
			n += mbox_quote(&q, in + b, len - b, out + n);
			n += mbox_quote_end(&q, out + n);
			out[n] = '\0';
			wrong += strcmp(out, want) != 0;
		}
	is_int(wrong, 0, "quoted however it is cut: %zu bytes", len);
	if (wrong > 0)
		printf("# got: %s\n", out);
}

static struct conf_action action = { .kind = ACTION_MBOX };
static struct conf conf;

/* Directly: one delivery to the file, in this process. */
static struct delivery
deliver_one(const char *sender, const char *body, uint64_t size)
{
	struct delivery d = { .sender = sender,
		.user = "joe",
		.home = home,
		.dest = "joe@example.org",
		.rcpt = "joe@example.org",
		.action = &action,
		.size = size == 0 ? strlen(body) : size,
		.body = { body, strlen(body) } };

	mbox_deliver(&d);
	return d;
}

static void
test_file(void)
{
	char *path = xasprintf("%s/box", home), *text;
	char arg[] = "~/box";

	action.arg = arg;
	conf.hostname = arg;
	worker_open(-1, &conf);
	mbox_lock_sec = 0;
	struct delivery d = deliver_one("", "A: b\n\nFrom me\n>From\n", 0);
	is_int(d.outcome, OUTCOME_DONE, "delivered: %s", d.text);
	is_int(mode_of(path), 0600, "mode");
	text = read_path(path);
	ok(strncmp(text, "From MAILER-DAEMON ", 19) == 0, "the null sender's From_ line");
	ok(strstr(text, "\nReturn-Path: <>\nDelivered-To: joe@example.org\nA: b\n\n"
			">From me\n>From\n\n") != NULL,
	    "headers and the quoted body");
	size_t before = strlen(text);
	free(text);
	d = deliver_one("a b\nc@x", "one\n", 100);
	is_int(d.outcome, OUTCOME_LATER, "a body that ends early: later");
	text = read_path(path);
	is_int(strlen(text), before, "and the file has its former length");
	free(text);
	d = deliver_one("a b\nc@x", "two", 0);
	text = read_path(path);
	ok(strncmp(text + before, "From a_b_c@x ", 13) == 0, "a second message behind the first");
	ok(strcmp(text + strlen(text) - 6, "\ntwo\n\n") == 0, "ended by an empty line");
	before = strlen(text);
	free(text);

	char *lock = xasprintf("%s.lock", path);
	close(open(lock, O_CREAT | O_WRONLY, 0600));
	d = deliver_one("a@x", "x\n", 0);
	is_int(d.outcome, OUTCOME_LATER, "a dot-lock is honoured: %s", d.text);
	unlink(lock);
	pid_t pid = fork();
	if (pid == 0) { /* holds the file's lock until it is killed */
		struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
		int fd = open(path, O_RDWR);
		fcntl(fd, F_SETLK, &l);
		close(open(lock, O_CREAT | O_WRONLY, 0600));
		for (;;)
			pause();
	}
	while (access(lock, F_OK) == -1)
		poll(NULL, 0, 5);
	unlink(lock);
	d = deliver_one("a@x", "x\n", 0);
	is_int(d.outcome, OUTCOME_LATER, "so is the file's lock");
	is_int(access(lock, F_OK), -1, "and our own dot-lock is gone");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	d = deliver_one("a@x", "x\n", 0);
	is_int(d.outcome, OUTCOME_DONE, "after that it goes");

	struct stat st, after;
	struct rlimit old, tight;
	stat(path, &st);
	getrlimit(RLIMIT_FSIZE, &old);
	tight = old;
	tight.rlim_cur = (rlim_t)st.st_size + 200;
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &tight);
	char *big = xcalloc(1001, 1);
	memset(big, 'x', 1000);
	d = deliver_one("a@x", big, 0);
	setrlimit(RLIMIT_FSIZE, &old);
	free(big);
	is_int(d.outcome, OUTCOME_LATER, "no room: %s", d.text);
	is(d.status, "4.2.2", "no room: status");
	ok(stat(path, &after) == 0 && after.st_size == st.st_size, "its former length again");
	free(lock);
	free(path);
}

/* --- A reader that writes the mailbox anew, as many do, and holds a lock meanwhile */

static char *box, *box_lock;
static pid_t reader;

static void
put_anew(void)
{
	char *new = xasprintf("%s.new", box);
	int fd = open(new, O_CREAT | O_WRONLY, 0600);

	if (fd == -1 || write(fd, "From a@x\n\nkept\n\n", 16) != 16 || rename(new, box) == -1)
		ok(false, "the mailbox is written anew");
	close(fd);
	free(new);
	if (reader > 0) { /* who has the file's lock goes */
		kill(reader, SIGKILL);
		waitpid(reader, NULL, 0);
	} else {
		unlink(box_lock);
	}
}

static void
is_in_new_box(const char *name)
{
	while_waiting = put_anew;
	struct delivery d = deliver_one("b@x", "came\n", 0);
	char *text = read_path(box);
	is_int(d.outcome, OUTCOME_DONE, "%s: delivered: %s", name, d.text);
	ok(strstr(text, "\nkept\n") != NULL && strstr(text, "\ncame\n") != NULL,
	    "%s: into the new mailbox", name);
	free(text);
}

static void
test_written_anew(void)
{
	char arg[] = "~/anew";
	int ready[2];

	action.arg = arg;
	mbox_lock_sec = 30;
	box = xasprintf("%s/anew", home);
	box_lock = xasprintf("%s.lock", box);
	is_int(deliver_one("a@x", "old\n", 0).outcome, OUTCOME_DONE, "a mailbox");
	close(open(box_lock, O_CREAT | O_WRONLY, 0600));
	is_in_new_box("behind a dot-lock");
	if (pipe(ready) == -1)
		return;
	reader = fork();
	if (reader == 0) {
		struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
		int fd = open(box, O_RDWR);
		if (fcntl(fd, F_SETLK, &l) == 0)
			close(ready[1]);
		for (;;)
			pause();
	}
	close(ready[1]);
	if (read(ready[0], out, 1) == -1)
		return;
	close(ready[0]);
	is_in_new_box("behind the file's lock");
	mbox_lock_sec = 0;
	free(box);
	free(box_lock);
}

static void
planted(const char *name, const char *command)
{
	char arg[] = "~/planted";
	char *shell = xasprintf("cd '%s' && rm -f planted && %s", home, command);

	action.arg = arg;
	if (system(shell) != 0)
		ok(false, "%s", command);
	struct delivery d = deliver_one("a@x", "x\n", 0);
	is_int(d.outcome, OUTCOME_LATER, "%s: %s", name, d.text);
	free(shell);
}

static void
test_planted(void)
{
	planted("a link", "echo >target; ln -s target planted");
	planted("a hard link", "ln target planted");
	planted("a FIFO", "mkfifo planted");
	planted("a folder", "mkdir planted");
	struct stat st;
	char *target = xasprintf("%s/target", home);
	ok(stat(target, &st) == 0 && st.st_size == 1, "the target is as it was");
	free(target);
}

int
main(void)
{
	check_quote("", "\n");
	check_quote("From a", ">From a\n\n");
	check_quote("From a\nFrom\nFrom \n\nFrom b\n", ">From a\nFrom\n>From \n\n>From b\n\n");
	check_quote("FFrom a\nFroFrom a\n>From b", "FFrom a\nFroFrom a\n>From b\n\n");
	check_quote("a From b\nFrom", "a From b\nFrom\n\n");
	check_quote("F\nFr\nFro\nFrom\n", "F\nFr\nFro\nFrom\n\n");
	make_scratch();
	if (geteuid() == 0 && chown(home, 0, 0) == -1)
		return 1;
	test_file();
	test_written_anew();
	test_planted();
	remove_scratch();
	return done();
}
