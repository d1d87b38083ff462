/* Maildirs: what arrives, whole and private; what a user plants, not followed. */
#include "worker.h"

#include <signal.h>
#include <sys/syscall.h>

static bool disk_fails; /* the worker is a child of this process */

/* In place of the C library's: the disk takes nothing, which the kernel tells once, here. */
int
sync_file_range(int fd, off64_t from, off64_t len, unsigned flags)
{
	if (disk_fails && (flags & SYNC_FILE_RANGE_WAIT_AFTER) != 0) {
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_sync_file_range, fd, from, len, flags);
}

static const char conf_text[] =
    "hostname mail.example\n"
    "accept for any deliver to maildir\n"
    "accept for any deliver to maildir \"~/%{dest.domain}/%{dest.user}\"\n"
    "accept for any deliver to maildir \"~/../up\"\n";

static void
test_one(void)
{
	char path[400] = "";

	send_job(1, 0, "Subject: x\n\nFrom here\n.dot\n");
	struct result r = get_result();
	is_int(r.outcome, OUTCOME_DONE, "delivered: %s", r.text);
	is_int(r.job, 1, "the job's number");
	is(r.status, "2.0.0", "status");
	is_int(count_files("Maildir/new", path, sizeof(path)), 1, "one file in new");
	is_int(count_files("Maildir/tmp", NULL, 0), 0, "none in tmp");
	is_int(count_files("Maildir/cur", NULL, 0), 0, "cur stands");
	char *text = read_path(path);
	is(text,
	    "Return-Path: <sender@example.net>\nDelivered-To: joe@example.org\n"
	    "Subject: x\n\nFrom here\n.dot\n",
	    "two headers, then the message as it is");
	free(text);
	is_int(mode_of(path), 0600, "mode of the file");
	char *dir = xasprintf("%s/Maildir/new", home);
	is_int(mode_of(dir), 0700, "mode of the folder");
	free(dir);
	ok(strstr(path, ".mail.example") != NULL, "named by the convention");
}

static void
test_batch(void)
{
	unsigned done = 0;
	uint64_t seen = 0;

	for (uint64_t i = 1; i <= 150; i++)
		send_job(i, 0, "x\n");
	for (int i = 0; i < 150; i++) {
		struct result r = get_result();
		done += r.outcome == OUTCOME_DONE;
		seen += r.job;
	}
	is_int(done, 150, "150 at once are delivered");
	is_int(seen, 150 * 151 / 2, "each is answered once");
	is_int(count_files("Maildir/new", NULL, 0), 151, "151 files");
	is_int(count_files("Maildir/tmp", NULL, 0), 0, "none in tmp");
}

/* A body of three pieces; a job arrives in front of the second one. */
static void
test_pieces(void)
{
	char *action = action_text(1), path[400] = "";
	struct msg m;

	send_job_full(1, action, home, "big@example.org", "one\n", 4, 12);
	for (int i = 0; i < 2; i++) {
		if (!receive(&m) || m.type != MSG_BODY_PULL) {
			ok(false, "a piece is asked for");
			return;
		}
		const struct msg_body_pull *p = m.body;
		is_int(p->seq, i + 1, "piece %d is asked for", i + 1);
		uint32_t call = m.call, seq = p->seq;
		if (i == 0)
			send_job_full(2, action, home, "small@example.org", "s\n", 2, 2);
		struct msg_body b = {
			.job = 1, .seq = seq, .data = { i == 0 ? "two\n" : "wee\n", 4 }
		};
		msg_write(worker,
		    &(struct msg){
			.type = MSG_BODY, .answer = true, .call = call, .fd = -1, .body = &b });
	}
	is_int(get_result().outcome, OUTCOME_DONE, "the long one is delivered");
	is_int(get_result().outcome, OUTCOME_DONE, "the one that came meanwhile, too");
	is_int(count_files("example.org/big/new", path, sizeof(path)), 1, "a path with specifiers");
	char *text = read_path(path);
	ok(strstr(text, "one\ntwo\nwee\n") != NULL, "the pieces in order");
	free(text);
	/* One that lies about its length. */
	send_job_full(3, action, home, "liar@example.org", "one\n", 4, 12);
	if (receive(&m) && m.type == MSG_BODY_PULL)
		msg_write(worker, &(struct msg){ .type = MSG_BODY,
				      .answer = true,
				      .call = m.call,
				      .fd = -1,
				      .body = &(struct msg_body){ .job = 3, .seq = 1 } });
	is_int(get_result().outcome, OUTCOME_LATER, "a body that ends early: later");
	is_int(count_files("example.org/liar/new", NULL, 0), 0, "and nothing in new");
	is_int(count_files("example.org/liar/tmp", NULL, 0), 0, "nor in tmp");
	free(action);
}

static void
refused(const char *name, const char *action, const char *user_home, const char *dest)
{
	send_job_full(9, action, user_home, dest, "x\n", 2, 2);
	struct result r = get_result();
	is_int(r.outcome, OUTCOME_LATER, "%s: %s", name, r.text);
}

static void
test_refused(void)
{
	char *action = action_text(0), *with_dest = action_text(1), *up = action_text(2);
	char *below = xasprintf("%s/../x", home);

	refused("an action that is gone", "deliver to maildir \"/etc\"", home, "joe@x");
	refused("home /", action, "/", "joe@x");
	refused("home //", action, "//", "joe@x");
	refused("a relative home", action, "home", "joe@x");
	refused("a home with ..", action, below, "joe@x");
	refused("a path with ..", up, home, "joe@x");
	refused("a home that is not there", action, "/nonexistent/home", "joe@x");
	as_user("mkdir elsewhere other shared; ln -s ../elsewhere shared/link; mkfifo shared/fifo;"
		"ln -s ../../elsewhere other/new; mkdir -p shared/half/tmp; mkfifo shared/half/new;"
		"ln -s ../../elsewhere shared/half2");
	refused("a link as the Maildir", with_dest, home, "link@shared");
	refused("a FIFO as the Maildir", with_dest, home, "fifo@shared");
	refused("a FIFO as new", with_dest, home, "half@shared");
	refused("a link out", with_dest, home, "half2@shared");
	is_int(count_files("elsewhere", NULL, 0), 0, "nothing went through a link");
	as_user("mkdir closed; chmod 500 closed");
	if (geteuid() == 0)
		refused("a folder that may not be written", with_dest, home, "a@closed");
	send_job_full(9, with_dest, home, "..@..", "x\n", 2, 2);
	get_result();
	char *outside = xasprintf("%s/new", scratch);
	is_int(access(outside, F_OK), -1, "an address of dots leads nowhere");
	free(outside);
	send_job_full(9, with_dest, home, "a;touch b/../c@d", "x\n", 2, 2);
	get_result();
	is_int(access("/tmp/b", F_OK), -1, "an address of a path leads nowhere");
	free(action);
	free(with_dest);
	free(up);
	free(below);
}

/* A batch, for one alone goes by fsync(). */
static void
test_failing_disk(void)
{
	unsigned later = 0;

	disk_fails = true;
	start_worker(conf_text);
	disk_fails = false;
	kill(worker_pid, SIGSTOP);
	waitpid(worker_pid, NULL, WUNTRACED);
	for (uint64_t i = 1; i <= 40; i++)
		send_job(i, 1, "x\n");
	kill(worker_pid, SIGCONT);
	for (int i = 0; i < 40; i++)
		later += get_result().outcome == OUTCOME_LATER;
	is_int(later, 40, "what the disk did not take is not called delivered");
	is_int(count_files("example.org/joe/new", NULL, 0), 0, "and is not there");
	is_int(count_files("example.org/joe/tmp", NULL, 0), 0, "nor in tmp");
	stop_worker();
}

int
main(void)
{
	make_scratch();
	start_worker(conf_text);
	test_one();
	test_batch();
	test_pieces();
	test_refused();
	send_job(1, 0, "last\n");
	is_int(stop_worker(), 0, "ends with 0 when queue closes the channel");
	is_int(count_files("Maildir/new", NULL, 0), 152, "and finishes what it was given first");
	test_failing_disk();
	remove_scratch();
	return done();
}
