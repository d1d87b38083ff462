/*
 * tabmailctl: asks the running daemon, and is sendmail, mailq and newaliases under these names.
 * It has no privilege: the daemon sees by the socket's credentials who asks.  The parts stand in ctl/.
 */
#include "ctl/local.h"
#include "stdfds.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#ifndef SOCKET
#define SOCKET "/run/tabmail/control.sock"
#endif

int
main(int argc, char **argv)
{
	const char *name = argc > 0 ? program_invocation_short_name : "tabmailctl";
	const char *control = getenv("TABMAIL_SOCKET");
	bool json = false;
	int c;

	stdfds_open();
	if (control == NULL || *control == '\0')
		control = SOCKET;
	if (strcmp(name, "sendmail") == 0)
		return sendmail_main(argc, argv, control);
	if (strcmp(name, "newaliases") == 0)
		return ctl_newaliases(control);
	while ((c = getopt(argc, argv, "+hjs:")) != -1) {
		switch (c) {
		case 'h': ctl_usage(stdout); return EX_OK;
		case 'j': json = true; break;
		case 's': control = optarg; break;
		default: ctl_usage(stderr); return EX_USAGE;
		}
	}
	argc -= optind;
	argv += optind;
	if (strcmp(name, "mailq") == 0) {
		char *mailq[] = { (char[]){ "mailq" }, NULL };
		return ctl_run(mailq, control, json);
	}
	if (argc == 0) {
		ctl_usage(stderr);
		return EX_USAGE;
	}
	if (strcmp(argv[0], "sendmail") == 0)
		return sendmail_main(argc, argv, control);
	return ctl_run(argv, control, json);
}
