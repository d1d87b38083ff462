/* Descriptors 0, 1 and 2; see stdfds.h. */
#include "stdfds.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* An open takes the lowest that is free: this one, for those below it are open by then. */
static void
open_one(int fd, int how)
{
	if (fcntl(fd, F_GETFD) == -1 && errno == EBADF && open("/dev/null", how) != fd)
		err(1, "/dev/null");
}

void
stdfds_open(void)
{
	open_one(STDIN_FILENO, O_WRONLY);
	open_one(STDOUT_FILENO, O_RDWR);
	open_one(STDERR_FILENO, O_RDWR);
}
