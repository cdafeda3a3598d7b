// The senders of this benchmark as a C programmer would write them. Linux only.
// Usage: send MECHANISM WHAT WARMUP DURATION SIZE ADDRESS..., see sender.go, which does the same.
#define _GNU_SOURCE
#include "meter.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

enum {
	HEAD = 12,   // bytes at the beginning of a bundle that are each reader's own
	BUNDLES = 8, // for each reader at a time
	SLOTS = 64,  // messages of sendmmsg
};

static int fd, targets, size, each;
static struct sockaddr_in *to;
static long long looked;

// sent counts datagrams, and looks at the clock for one in 256.
static void sent(int datagrams) {
	if ((count += datagrams) - looked < 256)
		return;
	looked = count;
	look();
}

// head writes what is the reader's own.
static void head(char *datagram, int reader) {
	memcpy(datagram, "head", 4);
	memcpy(datagram + 4, &to[reader], HEAD - 4);
}

// one sends each datagram on its own.
static void one(char *data) {
	for (int i = 0; i < targets; i++)
		for (int k = 0; k < each; k++) {
			char *datagram = data + k * size;
			if (each > 1)
				head(datagram, i);
			if (sendto(fd, datagram, size, 0, (struct sockaddr *)&to[i], sizeof to[i]) < 0)
				die("sendto");
		}
}

static struct mmsghdr messages[SLOTS];
static int slots;

static void flush(void) {
	for (int done = 0; done < slots;) {
		int n = sendmmsg(fd, messages + done, slots - done, 0);
		if (n < 0)
			die("sendmmsg");
		done += n;
	}
	slots = 0;
}

// many sends many at a time. With segment, those of one reader are one message that the kernel takes apart. Each reader's
// are put together in a buffer of their own: a vector for each part is more work for the kernel.
static void many(const char *data, int segment) {
	static struct iovec vectors[SLOTS];
	static char control[SLOTS][CMSG_SPACE(2)] __attribute__((aligned(8)));
	static char *room;
	int in_one = segment ? each : 1;
	if (!room && !(room = calloc(SLOTS, in_one * size)))
		die("calloc");
	for (int i = 0; i < targets; i++)
		for (int k = 0; k < each; k += in_one) {
			const char *base = data + k * size;
			if (each > 1) {
				char *own = room + slots * in_one * size;
				for (int j = 0; j < in_one; j++) {
					head(own + j * size, i);
					memcpy(own + j * size + HEAD, base + j * size + HEAD, size - HEAD);
				}
				base = own;
			}
			vectors[slots] = (struct iovec){(char *)base, in_one * size};
			struct msghdr *h = &messages[slots].msg_hdr;
			*h = (struct msghdr){.msg_name = &to[i], .msg_namelen = sizeof to[i], .msg_iov = &vectors[slots], .msg_iovlen = 1};
			if (in_one > 1) {
				h->msg_control = control[slots], h->msg_controllen = sizeof control[slots];
				struct cmsghdr *c = CMSG_FIRSTHDR(h);
				c->cmsg_level = IPPROTO_UDP, c->cmsg_type = UDP_SEGMENT, c->cmsg_len = CMSG_LEN(2);
				*(unsigned short *)CMSG_DATA(c) = size;
			}
			if (++slots == SLOTS)
				flush();
		}
	flush();
}

int main(int argc, char **argv) {
	if (argc < 7)
		return 2;
	const char *mechanism = argv[1];
	each = strcmp(argv[2], "bundles") ? 1 : BUNDLES;
	warm_up = atoll(argv[3]), duration = atoll(argv[4]), size = atoi(argv[5]);
	targets = argc - 6;
	to = calloc(targets, sizeof *to);
	for (int i = 0; i < targets; i++) {
		char *port = strchr(argv[6 + i], ':');
		if (!port)
			return 2;
		*port = 0;
		to[i] = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(atoi(port + 1))};
		if (!inet_aton(argv[6 + i], &to[i].sin_addr))
			return 2;
	}
	struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int on = 1;
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof on) || bind(fd, (struct sockaddr *)&own, sizeof own))
		die("socket");
	alarm(60); // nothing stays behind
	char *data = calloc(each, size);
	for (unsigned long long round = 1;; round++) {
		for (int k = 0; k < each; k++)
			memcpy(data + k * size + HEAD, &round, sizeof round); // they are new ones
		if (!strcmp(mechanism, "sendto"))
			one(data);
		else if (!strcmp(mechanism, "sendmmsg"))
			many(data, 0);
		else if (!strcmp(mechanism, "segment"))
			many(data, 1);
		else
			return 2;
		sent(targets * each);
	}
}
