/*
 * Lookups a second in a directory: through table-ldap, driven over its socket pair as a daemon does, and by a
 * bare libldap client that keeps as many searches in flight.  t/bench/ldap.pl runs it, in turns:
 *
 *	directory helper TABLE-LDAP FILE  n in-flight entries
 *	directory bare URL DN PASSWORD BASE  n in-flight entries
 *
 * Asks for the aliases u0, u1 … of `entries`, at random; prints lookups a second.  Any answer but the right
 * one ends it.
 */
#include <err.h>
#include <ldap.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long total, entries;
static int most;

static double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* --- A bare client */

static void
bare_send(LDAP *ld, const char *base)
{
	char filter[100], maildrop[] = "maildrop";
	char *attrs[] = { maildrop, NULL };
	int id;

	snprintf(filter, sizeof(filter), "(&(objectClass=courierMailAlias)(uid=u%ld))",
	    random() % entries);
	int code = ldap_search_ext(
	    ld, base, LDAP_SCOPE_SUBTREE, filter, attrs, 0, NULL, NULL, NULL, LDAP_NO_LIMIT, &id);
	if (code != LDAP_SUCCESS)
		errx(1, "search: %s", ldap_err2string(code));
}

static void
bare_receive(LDAP *ld)
{
	LDAPMessage *m;

	if (ldap_result(ld, LDAP_RES_ANY, LDAP_MSG_ALL, NULL, &m) <= 0)
		errx(1, "the connection has ended");
	LDAPMessage *e = ldap_first_entry(ld, m);
	struct berval **values = e == NULL ? NULL : ldap_get_values_len(ld, e, "maildrop");
	if (values == NULL)
		errx(1, "an entry without maildrop");
	ldap_value_free_len(values);
	ldap_msgfree(m);
}

static double
bare(const char *url, const char *dn, char *password, const char *base)
{
	LDAP *ld;
	int version = LDAP_VERSION3;
	struct berval secret = { strlen(password), password };

	if (ldap_initialize(&ld, url) != LDAP_SUCCESS)
		errx(1, "%s", url);
	ldap_set_option(ld, LDAP_OPT_PROTOCOL_VERSION, &version);
	int code = ldap_sasl_bind_s(ld, dn, LDAP_SASL_SIMPLE, &secret, NULL, NULL, NULL);
	if (code != LDAP_SUCCESS)
		errx(1, "bind: %s", ldap_err2string(code));
	double began = now();
	for (long sent = 0, got = 0; got < total; got++) {
		while (sent < total && sent - got < most) {
			bare_send(ld, base);
			sent++;
		}
		bare_receive(ld);
	}
	double took = now() - began;
	ldap_unbind_ext(ld, NULL, NULL);
	return took;
}

/* --- The helper */

static FILE *replies;

static int
start_helper(char *program, char *file)
{
	static const char hello[] = "config|smtpd-version|7.8.0\nconfig|protocol|0.1\nconfig|"
				    "tablename|bench\nconfig|ready\n";
	int io[2];
	char line[256];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, io) == -1)
		err(1, "socketpair");
	if (fork() == 0) {
		dup2(io[1], 0);
		dup2(io[1], 1);
		close(io[0]);
		execl(program, program, file, (char *)NULL);
		err(127, "%s", program);
	}
	close(io[1]);
	replies = fdopen(dup(io[0]), "r");
	if (replies == NULL || write(io[0], hello, sizeof(hello) - 1) == -1)
		err(1, "helper");
	while (fgets(line, sizeof(line), replies) != NULL)
		if (strcmp(line, "register|ready\n") == 0)
			return io[0];
	errx(1, "the helper ended");
}

static size_t
question(char *to, size_t len, long id)
{
	return (size_t)snprintf(to, len,
	    "table|0.1|1713795082.354255|bench|lookup|alias|%08lx|u%ld\n", id, random() % entries);
}

/* Replies of one read, then as many questions in one write. */
static double
helper(char *program, char *file)
{
	static char in[1 << 20], out[1 << 16];
	int fd = start_helper(program, file);
	size_t have = 0;
	long sent = 0, got = 0;
	double began = 0;

	/* The first answer comes when it is connected. */
	size_t n = question(out, sizeof(out), 0);
	if (write(fd, out, n) == -1 || fgets(in, sizeof(in), replies) == NULL ||
	    strstr(in, "|found|") == NULL)
		errx(1, "the first answer: %s", in);
	began = now();
	while (got < total) {
		n = 0;
		while (sent < total && sent - got < most && n + 200 < sizeof(out)) {
			n += question(out + n, sizeof(out) - n, sent);
			sent++;
		}
		if (n > 0 && write(fd, out, n) != (ssize_t)n)
			err(1, "write");
		ssize_t more = read(fd, in + have, sizeof(in) - have);
		if (more <= 0)
			errx(1, "the helper ended");
		have += (size_t)more;
		char *line = in, *lf;
		for (; (lf = memchr(line, '\n', have - (size_t)(line - in))) != NULL;
		     line = lf + 1) {
			*lf = '\0';
			if (strstr(line, "|found|box") == NULL)
				errx(1, "%s", line);
			got++;
		}
		have -= (size_t)(line - in);
		memmove(in, line, have);
	}
	double took = now() - began;
	shutdown(fd, SHUT_RDWR);
	wait(NULL);
	return took;
}

int
main(int argc, char *argv[])
{
	int last = argc - 3;

	if (!(argc == 7 && strcmp(argv[1], "helper") == 0) &&
	    !(argc == 9 && strcmp(argv[1], "bare") == 0))
		errx(64, "usage: see the head of t/bench/directory.c");
	total = atol(argv[last]);
	most = atoi(argv[last + 1]);
	entries = atol(argv[last + 2]);
	double took =
	    argc == 7 ? helper(argv[2], argv[3]) : bare(argv[2], argv[3], argv[4], argv[5]);
	printf("%.0f\n", (double)total / took);
	return 0;
}
