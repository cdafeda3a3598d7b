// The receivers of this benchmark as a C programmer would write them: nothing between the system call and the handler.
// Usage: receive MECHANISM MODE, see main. The protocol with the benchmark is described in subject.go.
#define _GNU_SOURCE
#include "meter.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#ifdef __linux__
#include <netinet/udp.h>
#include <sys/epoll.h>
#ifndef UDP_GRO
#define UDP_GRO 104
#endif
#endif

static int echo, backlog, fd;

// handle is called for each datagram.
static inline void handle(const char *data, size_t length, const struct sockaddr_in *from) {
	if (echo) {
		sendto(fd, data, length, 0, (const struct sockaddr *)from, sizeof *from);
		return;
	}
	if (++count % 256 != 1)
		return;
	if (backlog && count % 65536 == 1) {
		struct timespec rest = {0, 10000000};
		nanosleep(&rest, NULL);
	}
	look();
}

static void blocking(void) {
	static char data[65536];
	struct sockaddr_in from;
	for (;;) {
		socklen_t size = sizeof from;
		ssize_t n = recvfrom(fd, data, sizeof data, 0, (struct sockaddr *)&from, &size);
		if (n < 0)
			die("recvfrom");
		handle(data, n, &from);
	}
}

// drain reads until nothing is there.
static void drain(void) {
	static char data[65536];
	struct sockaddr_in from;
	for (;;) {
		socklen_t size = sizeof from;
		ssize_t n = recvfrom(fd, data, sizeof data, MSG_DONTWAIT, (struct sockaddr *)&from, &size);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0)
			die("recvfrom");
		handle(data, n, &from);
	}
}

static void nonblocking(void) {
	struct timespec pause = {0, 20000000};
	for (;;) {
		drain();
		nanosleep(&pause, NULL);
	}
}

#ifdef __linux__

static void selector(void) {
	struct epoll_event event = {.events = EPOLLIN};
	int epoll = epoll_create1(0);
	if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event))
		die("epoll");
	for (;;) {
		if (epoll_wait(epoll, &event, 1, -1) < 0 && errno != EINTR)
			die("epoll_wait");
		drain();
	}
}

// many receives with recvmmsg, and takes apart what UDP_GRO has put together.
static void many(int slots, size_t room, int gro) {
	struct mmsghdr *messages = calloc(slots, sizeof *messages);
	struct iovec *vectors = calloc(slots, sizeof *vectors);
	struct sockaddr_in *names = calloc(slots, sizeof *names);
	char *data = malloc(slots * room);
	char (*control)[64] = calloc(slots, sizeof *control);
	if (gro && setsockopt(fd, IPPROTO_UDP, UDP_GRO, &gro, sizeof gro))
		die("UDP_GRO");
	for (;;) {
		for (int i = 0; i < slots; i++) {
			vectors[i] = (struct iovec){data + i * room, room};
			messages[i].msg_hdr = (struct msghdr){.msg_name = &names[i], .msg_namelen = sizeof names[i],
				.msg_iov = &vectors[i], .msg_iovlen = 1, .msg_control = control[i], .msg_controllen = gro ? sizeof control[i] : 0};
		}
		int n = recvmmsg(fd, messages, slots, MSG_WAITFORONE, NULL);
		if (n < 0)
			die("recvmmsg");
		for (int i = 0; i < n; i++) {
			size_t length = messages[i].msg_len, segment = length;
			for (struct cmsghdr *c = CMSG_FIRSTHDR(&messages[i].msg_hdr); c; c = CMSG_NXTHDR(&messages[i].msg_hdr, c))
				if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO)
					segment = *(int *)CMSG_DATA(c);
			size_t at = 0;
			do {
				handle(data + i * room + at, length - at < segment ? length - at : segment, &names[i]);
				at += segment;
			} while (at < length);
		}
	}
}

#endif

int main(int argc, char **argv) {
	if (argc < 3)
		return 2;
	const char *mechanism = argv[1], *mode = argv[2];
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof address;
	int room = 4 << 20;
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) || getsockname(fd, (struct sockaddr *)&address, &size))
		die("socket");
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
	echo = !strcmp(mode, "echo");
	alarm(60); // nothing stays behind
	backlog = !strcmp(mode, "backlog");
	if (argc == 5)
		warm_up = atoll(argv[3]), duration = atoll(argv[4]);
	printf("{\"port\":%d}\n", ntohs(address.sin_port));
	fflush(stdout);
	if (!strcmp(mechanism, "recvfrom"))
		blocking();
	if (!strcmp(mechanism, "poll"))
		nonblocking();
#ifdef __linux__
	if (!strcmp(mechanism, "epoll"))
		selector();
	if (!strcmp(mechanism, "recvmmsg"))
		many(64, 2048, 0);
	if (!strcmp(mechanism, "gro"))
		many(8, 65536, 1);
#endif
	fprintf(stderr, "%s: not on this system\n", mechanism);
	return 1;
}
