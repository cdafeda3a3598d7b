package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/relaywire"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
)

// fanLoad is a writer and the readers of a server, all on one thread that never sleeps, so that
// nobody has to wake it up. They do the least that a client must, and their system calls bypass
// Go's scheduler: it is the server that is measured.
type fanLoad struct {
	pid   int // the server's
	epoll int
	peers []func() error // read what is there, by the number that epoll knows the socket by
	sent  int64          // messages
	got   []int64        // messages that each reader has; with no readers, those that are stored
	buf   [1 << 16]byte  // for what is read

	publish func(n int64) error
	due     func(now time.Time) error // does what is due; nil: nothing ever is
	again   func() error              // something may have been lost
}

// fan runs a load. args are
//
//	PROTOCOL PORT PID READERS WARMUP DURATION WINDOW...
//
// It writes a fanned for each window.
func fan(ctx context.Context, args []string, out io.Writer) error {
	if len(args) < 7 {
		return errors.New("a fan-out needs a protocol, the server's port and process, readers, two times and windows")
	}
	n, err := numbers(args[1:])
	if err != nil {
		return err
	}
	port, readers, windows := int(n[0]), int(n[2]), n[5:]
	epoll, err := unix.EpollCreate1(0)
	if err != nil {
		return err
	}
	defer unix.Close(epoll)
	l := &fanLoad{pid: int(n[1]), epoll: epoll, got: make([]int64, max(1, readers))}
	switch args[0] {
	case "nats", "jetstream":
		err = l.nats(port, readers, args[0] == "jetstream")
	case "relay":
		err = l.relay(port, readers)
	default:
		err = fmt.Errorf("there is no protocol %q", args[0])
	}
	if err != nil {
		return err
	}
	for _, window := range windows {
		if _, err := l.run(ctx, window, time.Duration(n[3])); err != nil {
			return err
		}
		f, err := l.run(ctx, window, time.Duration(n[4]))
		if err != nil {
			return err
		}
		if err := json.NewEncoder(out).Encode(f); err != nil {
			return err
		}
	}
	return nil
}

const (
	// lossAfter is how long nothing may happen until something is taken for lost.
	lossAfter = 50 * time.Millisecond
	// giveUp is how long nothing may happen at all.
	giveUp = 5 * time.Second
)

// run keeps window messages under way for a while.
func (l *fanLoad) run(ctx context.Context, window int64, d time.Duration) (f fanned, err error) {
	total := func() (sum int64) {
		for _, n := range l.got {
			sum += n
		}
		return sum
	}
	cpu, _, err := usage(l.pid)
	if err != nil {
		return f, err
	}
	begun, before := time.Now(), total()
	progress, had, looked, retried := begun, slices.Min(l.got), begun, begun
	var events [64]unix.EpollEvent
	for {
		least := slices.Min(l.got)
		if room := window - (l.sent - least); room > 0 {
			if err := l.publish(room); err != nil {
				return f, err
			}
			l.sent += room
		}
		n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(l.epoll), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), 0, 0, 0)
		if errno != 0 && errno != unix.EINTR {
			return f, errno
		}
		if errno == 0 {
			for _, e := range events[:n] {
				if err := l.peers[e.Fd](); err != nil {
					return f, err
				}
			}
		}
		now := time.Now()
		if least != had {
			progress, had = now, least
		}
		if l.due != nil && now.Sub(looked) > time.Millisecond {
			looked = now
			if err := l.due(now); err != nil {
				return f, err
			}
		}
		switch idle := now.Sub(progress); {
		case idle > giveUp:
			return f, fmt.Errorf("nothing has come for %v with %d messages under way", giveUp, window)
		case idle > lossAfter && now.Sub(retried) > lossAfter && l.again != nil:
			retried = now
			if err := l.again(); err != nil {
				return f, err
			}
		}
		if elapsed := now.Sub(begun); elapsed >= d {
			if n := total() - before; n > 0 {
				after, _, err := usage(l.pid)
				return fanned{int(window), n, elapsed, after - cpu}, err
			}
		}
		if ctx.Err() != nil {
			return f, context.Cause(ctx)
		}
	}
}

// add has read called when fd is readable.
func (l *fanLoad) add(fd int, read func() error) error {
	l.peers = append(l.peers, read)
	return unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(len(l.peers) - 1)})
}

// dial returns a socket that is connected to a port of this machine, and whose calls wait for at
// most a second.
func dial(kind, port int) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 1}); err != nil {
		return 0, err
	}
	return fd, unix.Connect(fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}})
}

// rawRead reads what is there without waiting; n is 0 if nothing is.
func rawRead(fd int, b []byte) (n int, err error) {
	got, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), unix.MSG_DONTWAIT, 0, 0)
	switch errno {
	case 0:
		return int(got), nil
	case unix.EAGAIN, unix.EINTR:
		return 0, nil
	}
	return 0, errno
}

// rawWrite writes all, and waits for that.
func rawWrite(fd int, b []byte) error {
	for len(b) > 0 {
		n, _, errno := unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
		switch errno {
		case 0:
			b = b[n:]
		case unix.EINTR:
		default:
			return errno
		}
	}
	return nil
}

// nats connects a publisher and the subscribers to a NATS server. What they get, messages and
// acknowledgements, has two lines each, which they count. Where messages are stored, by JetStream,
// each is acknowledged, and each subscriber is a consumer of the stream.
func (l *fanLoad) nats(port, readers int, stored bool) error {
	connect := func(commands string) (int, error) {
		fd, err := dial(unix.SOCK_STREAM, port)
		if err != nil {
			return 0, err
		}
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		if err := rawWrite(fd, []byte("CONNECT {\"verbose\":false,\"pedantic\":false}\r\n"+commands+"PING\r\n")); err != nil {
			return 0, err
		}
		for said := ""; !strings.HasSuffix(said, "PONG\r\n"); {
			n, err := unix.Read(fd, l.buf[:])
			if err != nil || n == 0 {
				return 0, fmt.Errorf("the NATS server says only %q: %w", said, err)
			}
			said += string(l.buf[:n])
		}
		return fd, nil
	}
	// ask makes a stream or a consumer, and waits for that.
	ask := func(what, config string) error {
		fd, err := connect("SUB answer 1\r\n")
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		if err := rawWrite(fd, fmt.Appendf(nil, "PUB $JS.API.%s answer %d\r\n%s\r\n", what, len(config), config)); err != nil {
			return err
		}
		n, err := unix.Read(fd, l.buf[:])
		if said := string(l.buf[:n]); err != nil || strings.Contains(said, `"error"`) {
			return fmt.Errorf("JetStream answers %q to %s: %w", said, what, err)
		}
		return nil
	}
	count := func(fd int, got *int64) error {
		var lines int64
		return l.add(fd, func() error {
			n, err := rawRead(fd, l.buf[:])
			lines += int64(bytes.Count(l.buf[:n], []byte("\n")))
			*got = lines / 2
			return err
		})
	}
	reply, subscribe := "", ""
	if stored {
		reply, subscribe = "stored ", "SUB stored 1\r\n"
		if err := ask("STREAM.CREATE.log", `{"name":"log","subjects":["s"],"storage":"file"}`); err != nil {
			return err
		}
	}
	for i := range readers {
		subject := "s"
		if stored {
			subject = fmt.Sprint("to.", i)
			if err := ask("CONSUMER.CREATE.log", `{"stream_name":"log","config":{"deliver_subject":"`+subject+`","ack_policy":"none"}}`); err != nil {
				return err
			}
		}
		fd, err := connect("SUB " + subject + " 1\r\n")
		if err != nil {
			return err
		}
		if err := count(fd, &l.got[i]); err != nil {
			return err
		}
	}
	fd, err := connect(subscribe)
	if err != nil {
		return err
	}
	if stored {
		acknowledged := new(int64)
		if readers == 0 {
			acknowledged = &l.got[0]
		}
		if err := count(fd, acknowledged); err != nil {
			return err
		}
	}
	one := []byte(fmt.Sprintf("PUB s %s%d\r\n%s\r\n", reply, textSize, strings.Repeat(".", textSize)))
	all := bytes.Repeat(one, slices.Max(inFlight))
	l.publish = func(n int64) error { return rawWrite(fd, all[:int(n)*len(one)]) }
	return nil
}

const (
	relayWindow = 16384 // messages that a reader has room for, see relay.Reader
	maxWritten  = 9     // messages in a datagram to the server
	ackEvery    = 8     // datagrams, see relay.Reader
	ackDelay    = 5 * time.Millisecond
)

// relayClient is one that is registered.
type relayClient struct {
	fd int
	id uint64
	// A reader's:
	next  uint64    // the message that it misses
	owed  int       // datagrams to acknowledge
	since time.Time // when the first of them came
}

// register opens a socket and registers, however often it must be tried.
func (c *relayClient) register(port int, role uint8, name string) (err error) {
	if c.fd, err = dial(unix.SOCK_DGRAM, port); err != nil {
		return err
	}
	_ = unix.SetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_RCVBUF, readBuffer) // the system may grant less
	_ = unix.SetsockoptInt(c.fd, unix.IPPROTO_UDP, unix.UDP_GRO, 1)
	c.id = uint64(relay.NewID())
	hello := relaywire.Frame{Kind: relaywire.Hello, ID: c.id, Role: role, Name: name}
	b := make([]byte, relaywire.MaxDatagram)
	for range 20 {
		if err := rawWrite(c.fd, hello.Append(nil)); err != nil {
			return err
		}
		n, err := unix.Read(c.fd, b)
		if err == unix.EAGAIN || err == unix.EINTR {
			continue
		} else if err != nil {
			return err
		}
		switch f, err := relaywire.Parse(b[:n]); {
		case err == nil && f.Kind == relaywire.Challenge:
			hello.Cookie = f.Cookie
		case err == nil && f.Kind == relaywire.Welcome:
			c.next = f.Next
			return nil
		default:
			return fmt.Errorf("the relay answers %s with %q", name, b[:n])
		}
	}
	return fmt.Errorf("the relay does not take %s", name)
}

// relay registers a writer and the readers. A reader takes messages in order only, and acknowledges
// them as relay.Reader does when nothing is lost.
func (l *fanLoad) relay(port, readers int) error {
	clients := make([]relayClient, readers+1)
	errs := make([]error, len(clients))
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() {
			if i < readers {
				errs[i] = clients[i].register(port, relaywire.RoleReader, fmt.Sprint("reader", i))
			} else {
				errs[i] = clients[i].register(port, relaywire.RoleWriter, "writer")
			}
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for i := range clients[:readers] {
		c := &clients[i]
		begun := c.next
		if err := l.add(c.fd, func() error {
			err := l.readRelay(c)
			l.got[i] = int64(c.next - begun)
			return err
		}); err != nil {
			return err
		}
	}
	w := &clients[readers]
	var number, stored uint64 // of the last message written, and of the last that is stored
	var datagrams []byte
	entry := relaywire.AppendText(nil, strings.Repeat(".", textSize))
	f := relaywire.Frame{Kind: relaywire.Write, ID: w.id, Count: maxWritten, Entries: bytes.Repeat(entry, maxWritten)}
	full := len(f.Append(nil))
	// All in one system call, as the publisher of NATS does it; but the last they are equally long.
	if err := unix.SetsockoptInt(w.fd, unix.IPPROTO_UDP, unix.UDP_SEGMENT, full); err != nil {
		return fmt.Errorf("UDP_SEGMENT: %w", err)
	}
	write := func(from, to uint64) error {
		datagrams = datagrams[:0]
		for ; from <= to; from += maxWritten {
			f.First, f.Count = from, int(min(maxWritten, to-from+1))
			f.Entries = f.Entries[:f.Count*len(entry)]
			datagrams = f.Append(datagrams)
		}
		return rawWrite(w.fd, datagrams)
	}
	l.publish = func(n int64) error {
		from := number + 1
		number += uint64(n)
		return write(from, number)
	}
	l.due = func(now time.Time) error {
		for i := range clients[:readers] {
			if c := &clients[i]; c.owed > 0 && now.Sub(c.since) >= ackDelay {
				if err := c.acknowledge(l.buf[:0]); err != nil {
					return err
				}
			}
		}
		return nil
	}
	l.again = func() error {
		for i := range clients[:readers] {
			if err := clients[i].acknowledge(l.buf[:0]); err != nil {
				return err
			}
		}
		return write(stored+1, number)
	}
	return l.add(w.fd, func() error {
		b, size, err := l.receive(w.fd)
		for datagram := range slices.Chunk(b, size) {
			if f, err := relaywire.Parse(datagram); err == nil && f.Kind == relaywire.Stored {
				stored = max(stored, f.Last)
			}
		}
		if readers == 0 {
			l.got[0] = int64(stored)
		}
		return err
	})
}

// receive reads datagrams that the kernel has put together, without waiting: all but the last have
// size bytes.
func (l *fanLoad) receive(fd int) (b []byte, size int, err error) {
	var control [4]uint64
	vector := unix.Iovec{Base: &l.buf[0]}
	vector.SetLen(len(l.buf))
	h := unix.Msghdr{Iov: &vector, Control: (*byte)(unsafe.Pointer(&control))}
	h.SetIovlen(1)
	h.SetControllen(int(unsafe.Sizeof(control)))
	n, _, errno := unix.RawSyscall(unix.SYS_RECVMSG, uintptr(fd), uintptr(unsafe.Pointer(&h)), unix.MSG_DONTWAIT)
	if errno == unix.EAGAIN || errno == unix.EINTR {
		return nil, 1, nil
	}
	if errno != 0 {
		return nil, 1, errno
	}
	size = max(1, int(n))
	if cmsg := (*unix.Cmsghdr)(unsafe.Pointer(&control)); h.Controllen >= unix.SizeofCmsghdr && cmsg.Level == unix.IPPROTO_UDP && cmsg.Type == unix.UDP_GRO {
		size = int(*(*int32)(unsafe.Add(unsafe.Pointer(&control), unix.CmsgLen(0))))
	}
	return l.buf[:n], size, nil
}

// readRelay takes what is there for a reader.
func (l *fanLoad) readRelay(c *relayClient) error {
	b, size, err := l.receive(c.fd)
	if err != nil {
		return err
	}
	for datagram := range slices.Chunk(b, size) {
		first, end := relaywire.DataRange(datagram)
		if end == 0 {
			continue
		}
		if c.owed++; c.owed == 1 {
			c.since = time.Now()
		}
		if first <= c.next && end > c.next {
			c.next = end
		}
	}
	if c.owed < ackEvery {
		return nil // due does it
	}
	return c.acknowledge(l.buf[:0])
}

// acknowledge reports to the server what a reader has. It appends the datagram to b.
func (c *relayClient) acknowledge(b []byte) error {
	c.owed = 0
	f := relaywire.Frame{Kind: relaywire.Ack, ID: c.id, Next: c.next, Done: c.next, Last: c.next - 1, Window: relayWindow}
	return rawWrite(c.fd, f.Append(b))
}
