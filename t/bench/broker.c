/*
 * The broker's cost: lookups a second through lookup's broker and table-file, beside driving the same
 * helper directly, with 1, 64 and 512 in flight, in turns of one run; and its memory over many
 * lookups of each service.  `make bench` runs it; usage: broker TABLE-FILE [lookups of each].
 *
 * The broker is the daemon's own (daemon/lookup, as an archive); this program plays parent, which
 * only forks.
 */
#include "clock.h"
#include "ipc.h"
#include "log.h"
#include "lookup/local.h"
#include "text.h"

#include <err.h>
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define ENTRIES 100000

struct process process;

static const char *program;
static char file[] = "/tmp/tabmail-bench.XXXXXX";

/* --- The helper, and parent's part */

static int
start_helper(pid_t *pid)
{
	int io[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, io) == -1)
		err(1, "socketpair");
	*pid = fork();
	if (*pid == 0) {
		dup2(io[1], 0);
		dup2(io[1], 1);
		execl(program, program, file, (char *)NULL);
		_exit(127);
	}
	close(io[1]);
	return io[0];
}

static void
on_helper_start(struct ipc *ipc, struct msg *m, void *arg)
{
	pid_t pid;
	int fd = start_helper(&pid);

	(void)arg;
	ipc_reply(ipc, m->call, MSG_HELPER_STARTED,
	    &(struct msg_helper_started){ .pid = (uint32_t)pid, .fd = fd, .error = "" });
	close(fd);
}

static void
ignore(struct ipc *ipc, struct msg *m, void *arg)
{
	(void)ipc;
	(void)m;
	(void)arg;
}

static ipc_handler *const parent_handlers[MSG_MAX] = {
	[MSG_HELPER_START] = on_helper_start, [MSG_HELPER_KILL] = ignore
};
static ipc_handler *const own_handlers[MSG_MAX] = { [MSG_HELPER_EXITED] = ignore };

/* --- Through the broker */

static size_t out, answered, wanted, in_flight_max, next_key;
static size_t wrong;
static enum tab_op op;
static enum tab_service service;

static void ask_more(void);

static void
on_answer(enum tab_answer answer, const char *value, void *arg)
{
	(void)value;
	(void)arg;
	if (answer == TAB_ERROR)
		wrong++;
	out--;
	answered++;
	if (answered == wanted)
		event_base_loopbreak(process.base);
}

static void
ask_more(void)
{
	static const struct conf_table *table;
	static char keys[ENTRIES][16]; /* made once: printf() would cost as much as a lookup */

	for (int i = 0; table == NULL && i < ENTRIES; i++)
		snprintf(keys[i], sizeof(keys[i]), "user%d", i);
	if (table == NULL)
		table = conf_table_named(process.conf, "bench");
	while (out < in_flight_max && answered + out < wanted) {
		const char *key = keys[next_key++ % ENTRIES];
		out++;
		table_ask(table, op, service, op == TAB_FETCH ? "" : key, on_answer, NULL);
	}
}

/* Seconds for n lookups with so many in flight. */
static double
through_broker(size_t n, size_t in_flight)
{
	int64_t from = clock_mono_us();

	out = answered = 0;
	wanted = n;
	in_flight_max = in_flight;
	while (answered < wanted) {
		ask_more();
		event_base_loop(process.base, EVLOOP_ONCE);
	}
	return (double)(clock_mono_us() - from) / 1e6;
}

/* --- Directly: lines out, lines in, counted; nothing is parsed, so this is the most there can be */

static double
directly(int fd, size_t n, size_t in_flight)
{
	static char buf[256 * 1024], lines[512 * 96];
	int64_t from = clock_mono_us();
	size_t sent = 0, got = 0;

	while (got < n) {
		size_t len = 0;
		while (sent < n && sent - got < in_flight) {
			len += (size_t)snprintf(lines + len, sizeof(lines) - len,
			    "table|0.1|1713795082.354255|bench|lookup|alias|%08zx|user%zu\n", sent,
			    sent % ENTRIES);
			sent++;
		}
		for (size_t at = 0; at < len;) {
			ssize_t w = write(fd, lines + at, len - at);
			if (w == -1)
				err(1, "write to the helper");
			at += (size_t)w;
		}
		ssize_t r = read(fd, buf, sizeof(buf));
		if (r <= 0)
			err(1, "read from the helper");
		for (char *p = buf; (p = memchr(p, '\n', (size_t)(buf + r - p))) != NULL; p++)
			got++;
	}
	return (double)(clock_mono_us() - from) / 1e6;
}

static void
shake_hands(int fd)
{
	static const char config[] = "config|smtpd-version|7.8.0\nconfig|protocol|0.1\n"
				     "config|tablename|bench\nconfig|ready\n";
	char buf[4096];
	size_t len = 0;

	if (write(fd, config, strlen(config)) == -1)
		err(1, "write to the helper");
	while (len < sizeof(buf) - 1) {
		ssize_t n = read(fd, buf + len, sizeof(buf) - 1 - len);
		if (n <= 0)
			err(1, "handshake");
		len += (size_t)n;
		buf[len] = '\0';
		if (strstr(buf, "register|ready\n") != NULL)
			return;
	}
}

/* --- Memory of this process: what is resident now, KiB */

static long
resident_kib(void)
{
	long total, resident;
	FILE *f = fopen("/proc/self/statm", "r");

	if (f == NULL || fscanf(f, "%ld %ld", &total, &resident) != 2)
		err(1, "/proc/self/statm");
	fclose(f);
	return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

static void
show_rates(void)
{
	static const size_t depths[] = { 1, 64, 512 };
	pid_t pid;
	int fd = start_helper(&pid);

	shake_hands(fd);
	op = TAB_LOOKUP;
	service = TAB_ALIAS;
	through_broker(1000, 64); /* both warm */
	directly(fd, 1000, 64);
	printf("%-10s %14s %14s %8s %22s\n", "in flight", "broker/s", "directly/s", "ratio",
	    "added per lookup, us");
	for (size_t i = 0; i < 3; i++) {
		size_t n = depths[i] == 1 ? 20000 : 200000;
		double best_b = 1e9, best_d = 1e9;
		for (int turn = 0; turn < 3; turn++) {
			double b = through_broker(n, depths[i]), d = directly(fd, n, depths[i]);
			best_b = b < best_b ? b : best_b;
			best_d = d < best_d ? d : best_d;
		}
		printf("%-10zu %14.0f %14.0f %8.2f %22.1f\n", depths[i], (double)n / best_b,
		    (double)n / best_d, best_d / best_b, (best_b - best_d) / (double)n * 1e6);
	}
	close(fd);
	waitpid(pid, NULL, 0);
}

static void
show_memory(size_t n)
{
	static const struct {
		enum tab_op op;
		enum tab_service service;
	} all[] = { { TAB_LOOKUP, TAB_ALIAS }, { TAB_CHECK, TAB_DOMAIN },
		{ TAB_LOOKUP, TAB_CREDENTIALS }, { TAB_CHECK, TAB_NETADDR },
		{ TAB_LOOKUP, TAB_USERINFO }, { TAB_FETCH, TAB_SOURCE },
		{ TAB_CHECK, TAB_MAILADDR }, { TAB_LOOKUP, TAB_MAILADDRMAP },
		{ TAB_LOOKUP, TAB_ADDRNAME }, { TAB_LOOKUP, TAB_RELAYHOST },
		{ TAB_CHECK, TAB_STRING } };
	size_t before_wrong = wrong;

	printf("\n%-12s %10s %16s %16s\n", "service", "lookups", "memory before", "and after, KiB");
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		op = all[i].op;
		service = all[i].service;
		through_broker(n / 10 + 1, 256);
		long before = resident_kib();
		through_broker(n, 256);
		printf("%-12s %10zu %16ld %16ld\n", tab_service_name(service), n, before,
		    resident_kib());
	}
	/* keys that are no address are errors of netaddr: they count, too, for memory */
	if (wrong > before_wrong)
		printf("%zu were answered with an error\n", wrong - before_wrong);
}

int
main(int argc, char **argv)
{
	struct text errors = { 0 };
	int fds[2];

	if (argc < 2)
		errx(1, "usage: broker TABLE-FILE [lookups of each service]");
	program = argv[1];
	log_open("bench", false, 0);
	int fd = mkstemp(file);
	FILE *f = fd == -1 ? NULL : fdopen(fd, "w");
	if (f == NULL)
		err(1, "%s", file);
	for (int i = 0; i < ENTRIES; i++)
		fprintf(f, "user%d: someone%d@example.org\n", i, i);
	fclose(f);
	char *config = xasprintf("table bench file:%s\n", file);
	process.conf = conf_parse(config, strlen(config), "bench", &errors);
	if (process.conf == NULL)
		errx(1, "%s", errors.s);
	process.base = event_base_new();
	event_base_priority_init(process.base, 2);
	if (!ipc_pair(fds))
		err(1, "socketpair");
	static const struct ipc_ops parent_ops = { .handlers = parent_handlers };
	static const struct ipc_ops own_ops = { .handlers = own_handlers };
	ipc_new(process.base, fds[1], ROLE_PARENT, ROLE_LOOKUP, &parent_ops, NULL);
	process.parent = ipc_new(process.base, fds[0], ROLE_LOOKUP, ROLE_PARENT, &own_ops, NULL);
	table_init();
	show_rates();
	show_memory(argc > 2 ? strtoul(argv[2], NULL, 10) : 100000);
	unlink(file);
	return 0;
}
