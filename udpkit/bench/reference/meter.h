// What both programs measure, as meter.go does.
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

static void die(const char *what) {
	perror(what);
	exit(1);
}

static long long nanoseconds(clockid_t clock) {
	struct timespec t;
	clock_gettime(clock, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static long long cpu(void) {
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000000LL + (u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1000LL;
}

static long long warm_up, duration, count, first, started, start_cpu, start_count;

// look looks at the clock: it begins to measure, and ends the program with the result.
static void look(void) {
	long long now = nanoseconds(CLOCK_MONOTONIC);
	if (!first) {
		first = now;
	} else if (!started && now - first >= warm_up) {
		started = now, start_cpu = cpu(), start_count = count;
	} else if (started && now - started >= duration) {
		printf("{\"datagrams\":%lld,\"elapsed_ns\":%lld,\"cpu_ns\":%lld,\"total\":%lld}\n", count - start_count, now - started,
			cpu() - start_cpu, count);
		exit(0);
	}
}
