"""The receivers of this benchmark as a Python programmer would write them.

Usage: receive.py MECHANISM MODE, see the end. The protocol with the benchmark is described in subject.go.
"""

import asyncio
import json
import os
import queue
import resource
import selectors
import signal
import socket
import sys
import threading
import time

mechanism, mode, *times = sys.argv[1:]
warm_up, duration = (int(t) for t in times) if mode == "receive" else (0, 0)
count, first, started, start_cpu, start_count = 0, 0, 0, 0, 0


def cpu():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return int((usage.ru_utime + usage.ru_stime) * 1e9)


def counting(data, source):
    """Is called for each datagram."""
    global count, first, started, start_cpu, start_count
    count += 1
    if count % 256 != 1:
        return
    now = time.monotonic_ns()
    if not first:
        first = now
    elif not started and now - first >= warm_up:
        started, start_cpu, start_count = now, cpu(), count
    elif started and now - started >= duration:
        result = {"datagrams": count - start_count, "elapsed_ns": now - started, "cpu_ns": cpu() - start_cpu}
        print(json.dumps(result), flush=True)
        os._exit(0)


def echoing(data, source):
    sock.sendto(data, source)


handle = echoing if mode == "echo" else counting


def recvfrom():
    while True:
        handle(*sock.recvfrom(2048))


def poll():
    sock.setblocking(False)
    while True:
        try:
            handle(*sock.recvfrom(2048))
        except BlockingIOError:
            time.sleep(0.02)


def with_selectors():
    sock.setblocking(False)
    selector = selectors.DefaultSelector()
    selector.register(sock, selectors.EVENT_READ, lambda s: handle(*s.recvfrom(2048)))
    while True:
        for key, _ in selector.select():
            key.data(key.fileobj)


def thread():
    waiting = queue.Queue()

    def read():
        while True:
            waiting.put(sock.recvfrom(2048))

    threading.Thread(target=read, daemon=True).start()
    while True:
        handle(*waiting.get())


def with_asyncio():
    class Protocol(asyncio.DatagramProtocol):
        def connection_made(self, transport):
            self.transport = transport

        def datagram_received(self, data, source):
            if mode == "echo":
                self.transport.sendto(data, source)
            else:
                handle(data, source)

    async def main():
        await asyncio.get_running_loop().create_datagram_endpoint(Protocol, sock=sock)
        await asyncio.Event().wait()

    asyncio.run(main())


if hasattr(signal, "alarm"):
    signal.alarm(60)  # nothing stays behind
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("127.0.0.1", 0))
sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
print(json.dumps({"port": sock.getsockname()[1]}), flush=True)
loops = {"recvfrom": recvfrom, "poll": poll, "selectors": with_selectors, "thread": thread, "asyncio": with_asyncio}
loops[mechanism]()
