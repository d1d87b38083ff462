/*
 * The file system fills while a backup is made, for a client that does not read: the log cannot be copied then, so the
 * backup ends and mail goes on.
 */
#include "queue/disk.h"

#define MAILS 600

static char body[20000];

static int
dial(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_STREAM, 0), fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/control.sock", house_dir);
	if (bind(listener, (struct sockaddr *)&sun, sizeof(sun)) == -1 || listen(listener, 5) == -1)
		exit(1);
	control_listener(LISTENER_CONTROL, listener);
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1)
		exit(1);
	return fd;
}

/* The last line of an answer. */
static const char *
last_line(int fd)
{
	static char text[1 << 20];
	ssize_t n;
	size_t len = 0;

	fcntl(fd, F_SETFL, O_NONBLOCK);
	for (int64_t end_ms = clock_mono_ms() + 5000; clock_mono_ms() < end_ms;) {
		house_until(true);
		n = read(fd, text + len, sizeof(text) / 2 - 1);
		if (n > 0)
			len += (size_t)n;
		text[len] = '\0';
		char *last = len < 2 ? NULL : memrchr(text, '\n', len - 1);
		if (last != NULL && (last[1] == '!' || last[1] == '.'))
			return last + 1;
		if (len > sizeof(text) / 2 && last != NULL) {
			len = strlen(last);
			memmove(text, last, len + 1);
		}
		event_base_loop(process.base, EVLOOP_NONBLOCK);
	}
	return "";
}

int
main(void)
{
	disk_start("size=64m");
	memset(body, 'x', sizeof(body));
	house_start();
	house.hold = true;
	for (int i = 0; i < MAILS; i++)
		house_send((struct house_mail){
		    .sender = "", .rcpts = { "jo@x" }, .data = body, .len = sizeof(body) });
	house_until(house.stored == MAILS);
	is_int(house.stored, MAILS, "all are stored");

	int fd = dial();
	ok(send(fd, "queue\tbackup\n", 13, 0) == 13, "a backup is asked for, and not read");
	house_until(house.rcpts_in_hand > 0);
	pid_t hog = disk_hog("hog");
	house_until(disk_free() == 0);
	house.hold = false;
	while (house.n_in_hand > 0)
		house_go();
	house_until(spool_count_envelopes() == 0);
	is_int(spool_count_envelopes(), 0, "what is here goes out");
	disk_end_hog(hog);
	is(last_line(fd), "!\tthe file system of the spool is full\n",
	    "the backup has failed, and says so");
	queue_role.on_stop();
	disk_stop();
	return done();
}
