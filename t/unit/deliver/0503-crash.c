/* A Maildir batch is killed at each of its steps: what is in new/ is whole, or not there. */
#include "worker.h"

#include <signal.h>

#define N 20

static unsigned steps_left;

static void
die(const char *step)
{
	(void)step;
	if (steps_left-- == 0)
		kill(getpid(), SIGKILL);
}

/* Delivers N messages and dies after `steps` of them; whether it was killed. */
static bool
deliver_and_die(unsigned steps, const char *body)
{
	static struct conf_action action = { .kind = ACTION_MAILDIR };
	static char name[] = "mail.example";
	static struct conf conf = { .hostname = name };
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		struct delivery d[N], *list[N];
		for (int i = 0; i < N; i++) {
			d[i] = (struct delivery){ .sender = "s@x",
				.user = "joe",
				.home = home,
				.dest = "joe@x",
				.rcpt = "joe@x",
				.action = &action,
				.size = strlen(body),
				.body = { body, strlen(body) } };
			list[i] = &d[i];
		}
		worker_open(-1, &conf);
		steps_left = steps;
		maildir_on_step = die;
		maildir_deliver(list, N);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	return WIFSIGNALED(status);
}

/* Files in new/, and how many of them are not whole. */
static int
look(const char *body, unsigned *torn)
{
	char *path = xasprintf("%s/Maildir/new", home);
	DIR *dir = opendir(path);
	struct dirent *e;
	int n = 0;

	*torn = 0;
	while (dir != NULL && (e = readdir(dir)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		char *file = xasprintf("%s/%s", path, e->d_name), *text = read_path(file);
		const char *at = strstr(text, "\n\n");
		*torn += at == NULL || strlen(text) < strlen(body) ||
			 strcmp(text + strlen(text) - strlen(body), body) != 0;
		free(text);
		free(file);
		n++;
	}
	if (dir != NULL)
		closedir(dir);
	free(path);
	return n;
}

int
main(void)
{
	char *body = xcalloc(10002, 1);
	unsigned torn, all_torn = 0, early = 0, steps = 0;
	int n = 0;

	memset(body, 'x', 10000);
	memcpy(body, "A: b\n\n", 6);
	body[10000] = '\n';
	make_scratch();
	for (; deliver_and_die(steps, body); steps++) {
		n = look(body, &torn);
		all_torn += torn;
		if (steps < N + 1 && n > 0)
			early++;
	}
	is_int(steps, N + 2, "killed at every step");
	is_int(all_torn, 0, "no file in new is torn");
	is_int(early, 0, "nothing is in new before all is on the disk");
	is_int(n, N, "after the renaming all are there");
	is_int(look(body, &torn), 2 * N, "and once more when nothing kills it");
	is_int(torn, 0, "whole");
	free(body);
	remove_scratch();
	return done();
}
