/* A delivery worker for tests: a child that is started as parent starts one; we play queue. */
#ifndef TEST_WORKER_H
#define TEST_WORKER_H

#include "deliver/local.h"

#include "conf.h"
#include "ipc.h"
#include "log.h"
#include "msgio.h"
#include "role.h"
#include "sandbox.h"
#include "tap.h"
#include "text.h"

#include <bsd/unistd.h>
#include <dirent.h>
#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define TEST_UID 54321

static char scratch[64], home[96];
static struct conf *test_conf;
static int worker = -1; /* our end */
static struct msg_reader *worker_reader;
static pid_t worker_pid;
static struct event_base *worker_base; /* of parent's end */
static struct ipc *worker_parent;

struct result {
	uint64_t job;
	enum outcome outcome;
	char status[16], text[400];
};

/* A folder of its own, in which the worker's user has a home. */
__attribute__((unused)) static void
make_scratch(void)
{
	const char *dir = getenv("TMPDIR");

	snprintf(scratch, sizeof(scratch), "%s/deliver.XXXXXX",
	    dir != NULL && strlen(dir) < 40 ? dir : "/tmp");
	if (mkdtemp(scratch) == NULL || chmod(scratch, 0755) == -1)
		exit(1);
	snprintf(home, sizeof(home), "%s/home", scratch);
	if (mkdir(home, 0700) == -1)
		exit(1);
	if (geteuid() == 0 && chown(home, TEST_UID, TEST_UID) == -1)
		exit(1);
}

__attribute__((unused)) static void
remove_scratch(void)
{
	char *command = xasprintf("rm -rf '%s'", scratch);

	if (system(command) != 0)
		fprintf(stderr, "# %s stays\n", scratch);
	free(command);
}

/* Something in the worker's home, made by its user. */
__attribute__((unused)) static void
as_user(const char *command)
{
	pid_t pid = fork();

	if (pid == 0) {
		if (geteuid() == 0 && (setgid(TEST_UID) == -1 || setuid(TEST_UID) == -1))
			_exit(1);
		if (chdir(home) == -1)
			_exit(1);
		execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(1);
	}
	waitpid(pid, NULL, 0);
}

/* Starts it with this configuration. */
__attribute__((unused)) static void
start_worker(const char *text)
{
	struct text errors = { 0 };
	struct ipc *ipc;
	int parent[2], queue[2];

	test_conf = conf_parse(text, strlen(text), "test.conf", &errors);
	if (test_conf == NULL) {
		fprintf(stderr, "%s\n", errors.s);
		exit(1);
	}
	if (!ipc_pair(parent) || !ipc_pair(queue))
		exit(1);
	worker_pid = fork();
	if (worker_pid == 0) {
		dup2(parent[1], 100);
		closefrom(101);
		for (int fd = 3; fd < 100; fd++)
			close(fd);
		dup2(100, ROLE_FD);
		close(100);
		if (geteuid() == 0)
			sandbox_become(TEST_UID, TEST_UID, "nobody-of-this-name");
		log_open("deliver", true, 0);
		deliver_worker();
	}
	close(parent[1]);
	static ipc_handler *const none[MSG_MAX];
	static const struct ipc_ops ops = { .handlers = none };
	worker_base = event_base_new();
	ipc = worker_parent =
	    ipc_new(worker_base, parent[0], ROLE_PARENT, ROLE_DELIVER, &ops, NULL);
	int memfd = sandbox_sealed("conf", text, strlen(text));
	ipc_send(ipc, MSG_CONFIG, &(struct msg_config){ .memfd = memfd, .file = "test.conf" });
	ipc_send(ipc, MSG_CHANNEL, &(struct msg_channel){ .peer = ROLE_QUEUE, .fd = queue[1] });
	ipc_send(ipc, MSG_START, &(struct msg_start){});
	ipc_flush(ipc);
	close(memfd);
	close(queue[1]);
	worker = queue[0];
	free(worker_reader);
	worker_reader = msg_reader_new(worker);
}

/* The canonical text of the configuration's n-th rule, from 0. */
__attribute__((unused)) static char *
action_text(unsigned n)
{
	struct conf_rule *r;

	STAILQ_FOREACH(r, &test_conf->rules, entry)
		if (n-- == 0)
			return conf_action_text(&r->action);
	exit(1);
}

__attribute__((unused)) static void
send_job_full(uint64_t job, const char *action, const char *user_home, const char *dest,
    const char *body, size_t body_len, uint64_t size)
{
	struct text rcpts = { 0 };

	text_putn(&rcpts, dest, strlen(dest) + 1);
	text_putn(&rcpts, "Joe+tag@Example.org", 20);
	text_putn(&rcpts,
	    "\0"
	    "0",
	    3);
	struct msg_job j = { .job = job,
		.id = 0x1234 + job,
		.sender = "sender@example.net",
		.action = action,
		.user = "joe",
		.home = user_home,
		.size = size,
		.n_rcpts = 1,
		.rcpts = { rcpts.s, rcpts.len },
		.body = { body, body_len } };
	msg_write(worker, &(struct msg){ .type = MSG_JOB, .fd = -1, .body = &j });
	text_free(&rcpts);
}

__attribute__((unused)) static void
send_job(uint64_t job, unsigned rule, const char *body)
{
	char *action = action_text(rule);

	send_job_full(job, action, home, "joe@example.org", body, strlen(body), strlen(body));
	free(action);
}

/* The next message of the worker within 20 s. */
__attribute__((unused)) static bool
receive(struct msg *m)
{
	struct pollfd p = { worker, POLLIN, 0 };

	return poll(&p, 1, 20000) == 1 && msg_read(worker_reader, m, 0) == 1;
}

__attribute__((unused)) static struct result
get_result(void)
{
	struct result r = { .outcome = 99 };
	struct msg m;

	if (!receive(&m) || m.type != MSG_JOB_RESULT)
		return r;
	const struct msg_job_result *b = m.body;
	r.job = b->job;
	r.outcome = b->outcome;
	snprintf(r.status, sizeof(r.status), "%s", b->status);
	snprintf(r.text, sizeof(r.text), "%s", b->text);
	return r;
}

/* Closes queue's end: the worker's exit status. */
__attribute__((unused)) static int
stop_worker(void)
{
	int status;

	close(worker);
	alarm(30);
	waitpid(worker_pid, &status, 0);
	alarm(0);
	ipc_close(worker_parent);
	event_base_loop(worker_base, EVLOOP_NONBLOCK);
	event_base_free(worker_base);
	conf_free(test_conf);
	return status;
}

/* How many files a folder below the home holds; first: path of one. */
__attribute__((unused)) static int
count_files(const char *folder, char *first, size_t len)
{
	char *path = xasprintf("%s/%s", home, folder);
	DIR *dir = opendir(path);
	struct dirent *e;
	int n = 0;

	while (dir != NULL && (e = readdir(dir)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		if (n++ == 0 && first != NULL)
			snprintf(first, len, "%s/%s", path, e->d_name);
	}
	if (dir != NULL)
		closedir(dir);
	free(path);
	return dir == NULL ? -1 : n;
}

__attribute__((unused)) static char *
read_path(const char *path)
{
	struct text t = { 0 };
	char buf[65536];
	ssize_t n;
	int fd = open(path, O_RDONLY);

	text_put(&t, "");
	while (fd != -1 && (n = read(fd, buf, sizeof(buf))) > 0)
		text_putn(&t, buf, (size_t)n);
	if (fd != -1)
		close(fd);
	return t.s == NULL ? xstrdup("") : t.s;
}

__attribute__((unused)) static mode_t
mode_of(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 ? st.st_mode & 07777 : 0;
}

#endif
