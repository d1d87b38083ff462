/*
 * What a message costs the queue process: accept, expand, deliver, delete; 4 KiB bodies.  Prints
 * microseconds as comments; the assertions are only that all of it happened.  The players of house.h run
 * in another process, so that this one's CPU is the queue's own.
 *
 * COUNT=n in the environment: so many messages.
 */
#include "queue/house.h"

#include <sys/resource.h>
#include <sys/wait.h>

static int64_t
cpu_us(void)
{
	struct rusage r;

	getrusage(RUSAGE_SELF, &r);
	return (r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1000000ll + r.ru_utime.tv_usec +
	       r.ru_stime.tv_usec;
}

/* Plays smtp, lookup and relay: 50 messages under way at once. */
static char body[4096];
static int to_send, sent;

static void
next(void)
{
	if (sent < to_send) {
		sent++;
		house_send((struct house_mail){ .sender = "a@example.org",
		    .rcpts = { "relay@example.net" },
		    .data = body,
		    .len = sizeof(body) });
	}
}

static void
play(int fds[3], int count)
{
	process.base = event_base_new();
	smtp_end = ipc_new(process.base, fds[0], ROLE_SMTP, ROLE_QUEUE, &house_smtp_ops, NULL);
	lookup_end =
	    ipc_new(process.base, fds[1], ROLE_LOOKUP, ROLE_QUEUE, &house_lookup_ops, NULL);
	relay_end = ipc_new(process.base, fds[2], ROLE_RELAY, ROLE_QUEUE, &house_relay_ops, NULL);
	memset(body, 'x', sizeof(body));
	to_send = count;
	for (int i = 0; i < 50; i++)
		next();
	int seen = 0;
	while (house.stored + house.refused < count) {
		event_base_loop(process.base, EVLOOP_ONCE);
		for (; seen < house.stored + house.refused; seen++)
			next();
	}
	for (;;)
		event_base_loop(process.base, EVLOOP_ONCE); /* relay goes on until it is ended */
}

int
main(void)
{
	int pairs[3][2];
	int count = getenv("COUNT") != NULL ? atoi(getenv("COUNT")) : 2000;
	enum role roles[] = { ROLE_SMTP, ROLE_LOOKUP, ROLE_RELAY };

	signal(SIGPIPE, SIG_IGN);
	log_open("test", true, 0);
	if (freopen("/dev/null", "w", stderr) == NULL)
		return 1;
	for (int i = 0; i < 3; i++)
		ipc_pair(pairs[i]);
	pid_t pid = fork();
	if (pid == 0) {
		int fds[3] = { pairs[0][1], pairs[1][1], pairs[2][1] };
		for (int i = 0; i < 3; i++)
			close(pairs[i][0]);
		play(fds, count);
	}
	process.base = event_base_new();
	event_base_priority_init(process.base, 2);
	process.conf = &house_conf;
	house_conf.hostname = xstrdup("mail.example.org");
	strcpy(house_dir, "/tmp/tabmail-queue-XXXXXX");
	if (mkdtemp(house_dir) == NULL)
		return 1;
	house_conf.spool = house_dir;
	house_conf.expire_sec = 86400;
	house_conf.spool_free = -1;
	house_configure();
	house_conf.n_bounce_warn = 1;
	house_conf.bounce_warn_sec[0] = 4 * 3600;
	house_queue_ops.handlers = queue_role.handlers;
	for (int i = 0; i < 3; i++) {
		close(pairs[i][1]);
		queue_role.on_channel(ipc_new(
		    process.base, pairs[i][0], ROLE_QUEUE, roles[i], &house_queue_ops, NULL));
	}
	queue_role.on_start();
	int64_t cpu = cpu_us(), wall = clock_mono_us();
	int64_t end_ms = clock_mono_ms() + 120000;
	while (
	    (queue_stats.relayed < (uint64_t)count || !house_empty()) && clock_mono_ms() < end_ms)
		event_base_loop(process.base, EVLOOP_ONCE);
	cpu = cpu_us() - cpu;
	wall = clock_mono_us() - wall;
	is_int(queue_stats.relayed, count, "all are accepted and delivered");
	ok(house_empty(), "and gone");
	printf("# %d messages: %lld us of CPU each, %lld messages/s, %.1f messages a commit\n",
	    count, (long long)(cpu / count), (long long)count * 1000000 / (long long)wall,
	    (double)count / (double)queue_stats.commits);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	queue_role.on_stop();
	house_clean();
	return done();
}
