/* A small file system for the spool, and what else fills it. */
#ifndef QUEUE_DISK_H
#define QUEUE_DISK_H

#include "queue/house.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/wait.h>

/* The spool's folder is a tmpfs of that size ("size=24m"); or the test is over, for it needs root. */
static void
disk_start(const char *size)
{
	strcpy(house_dir, "/tmp/tabmail-queue-XXXXXX");
	if (mkdtemp(house_dir) == NULL)
		exit(1);
	if (geteuid() != 0 || mount("tmpfs", house_dir, "tmpfs", 0, size) == -1) {
		rmdir(house_dir);
		printf("1..0 # SKIP only root can mount a small file system\n");
		exit(0);
	}
	log_open("test", true, 0);
	if (getenv("V") == NULL && freopen("/dev/null", "w", stderr) == NULL)
		exit(1);
}

static void
disk_stop(void)
{
	ok(umount2(house_dir, MNT_DETACH) == 0, "unmounted");
	rmdir(house_dir);
}

static int
disk_open(const char *name)
{
	char file[96];

	snprintf(file, sizeof(file), "%s/%s", house_dir, name);
	return open(file, O_WRONLY | O_CREAT | O_APPEND, 0600);
}

/* At most max bytes, and less where there is no room. */
__attribute__((unused)) static void
disk_put(const char *name, size_t max)
{
	static const char piece[4096];
	int fd = disk_open(name);

	for (size_t n = 0; n < max && write(fd, piece, sizeof(piece)) == (ssize_t)sizeof(piece);)
		n += sizeof(piece);
	close(fd);
}

__attribute__((unused)) static void
disk_remove(const char *name)
{
	char file[96];

	snprintf(file, sizeof(file), "%s/%s", house_dir, name);
	unlink(file);
}

__attribute__((unused)) static int64_t
disk_free(void)
{
	struct statvfs st;

	return statvfs(house_dir, &st) == 0 ? (int64_t)st.f_bavail * (int64_t)st.f_frsize : -1;
}

/* A process that takes each block that becomes free, until it is ended. */
__attribute__((unused)) static pid_t
disk_hog(const char *name)
{
	static const char piece[4096];
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	int fd = disk_open(name);
	for (;;)
		(void)!write(fd, piece, sizeof(piece));
}

__attribute__((unused)) static void
disk_end_hog(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

#endif
