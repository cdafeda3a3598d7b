package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/measure"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/udp"
)

// lifetime bounds each process of the benchmark, should nobody be left to end it.
const lifetime = time.Minute

// readBuffer is what every subject asks its system for, in bytes.
const readBuffer = 4 << 20

// bufferSize is the longest datagram that the styles take here, in bytes.
const bufferSize = 2048

// ready is the first line of a process: where it receives.
type ready struct {
	Port uint16 `json:"port"`
}

// Subject is one process of a benchmark, in which [Run] runs one thing alone: a receiver or a load.
// args are what [Config.Self] is called with. It writes lines of JSON for Run: first the port, then
// the result.
//
//	NAME receive WARMUP DURATION   count datagrams, write a count
//	NAME backlog WARMUP DURATION   the same, and rest so often that datagrams are always waiting
//	NAME echo                      send each back
//	NAME idle                      wait
//	NAME idle100                   wait for a hundred sockets
//	client receive WARMUP DURATION like a receiver, but statuses
//	"keyed client" ...              the same with a key, signed or sealed
//	server PORT                    count acknowledgements of the load at PORT
//	load MODE PORT                 see load
//	sender ...                     see sender
//	sinks KIND N                   swallow what is sent to N sockets, see sinks
//	serve KIND DIR                 send each message of a writer to all readers
//	fanout ...                     be their writer and their readers, see fan
//	append DIR WARMUP DURATION WINDOW...   store messages
//
// The times are in nanoseconds. The references understand the first four.
func Subject(ctx context.Context, args []string, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, lifetime)
	defer cancel()
	if len(args) < 2 {
		return fmt.Errorf("a process of the benchmark needs a name and a mode")
	}
	if args[0] == "load" {
		return load(ctx, args[1:], out)
	}
	switch args[0] {
	case "server":
		return server(ctx, args[1], out)
	case "sender":
		return sender(ctx, args[1:], out)
	case "serve":
		return serve(ctx, args[1], args[len(args)-1], out)
	case "fanout":
		return fan(ctx, args[1:], out)
	case "append":
		if len(args) < 5 {
			return errors.New("a store needs a directory, two times and windows")
		}
		n, err := numbers(args[2:])
		if err != nil {
			return err
		}
		return appendAlone(ctx, args[1], time.Duration(n[0]), time.Duration(n[1]), n[2:], out)
	case "sinks":
		n, err := numbers(args[len(args)-1:])
		if err != nil {
			return err
		}
		return sinks(ctx, int(n[0]), args[1] == kindBroadcast, os.Stdin, out)
	}
	n, err := numbers(args[2:min(len(args), 4)])
	if err != nil {
		return err
	}
	n = append(n, 0, 0)
	warmUp, duration := time.Duration(n[0]), time.Duration(n[1])
	if name, keyed := strings.CutPrefix(args[0], "keyed "); name == "client" {
		return client(ctx, keyed, warmUp, duration, out)
	}
	m := meter{warmUp: warmUp, duration: duration, out: out, done: cancel, rests: args[1] == "backlog"}
	if mechanism, ok := strings.CutPrefix(args[0], "raw "); ok {
		return raw(mechanism, args[1], &m, out)
	}
	receive, ok := receivers()[args[0]]
	if !ok {
		return fmt.Errorf("there is no receiver %q", args[0])
	}
	conn, err := udp.Listen(ctx, loopback, udp.Options{ReadBuffer: readBuffer})
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := announce(out, conn.LocalAddr().(*net.UDPAddr).AddrPort()); err != nil {
		return err
	}
	var handle udpkit.Handler
	switch args[1] {
	case "receive", "backlog":
		handle = func(udpkit.Datagram) { m.add() }
	case "echo":
		handle = func(d udpkit.Datagram) { _, _ = conn.WriteToUDPAddrPort(d.Payload, d.Source) } // a loss is seen there
	case "idle":
		handle = func(udpkit.Datagram) {}
	case "idle100":
		return idle100(ctx, args[0], receive)
	default:
		return fmt.Errorf("there is no mode %q", args[1])
	}
	if err := receive(ctx, conn, handle); ctx.Err() == nil {
		return err
	}
	return nil
}

// numbers reads whole numbers.
func numbers(texts []string) ([]int64, error) {
	all := make([]int64, len(texts))
	for i, text := range texts {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("the number %q: %w", text, err)
		}
		all[i] = n
	}
	return all, nil
}

var loopback = netip.MustParseAddrPort("127.0.0.1:0")

func announce(out io.Writer, at netip.AddrPort) error {
	return json.NewEncoder(out).Encode(ready{at.Port()})
}

// receive is what all receivers do, see [udpkit.Receiver].
type receive func(ctx context.Context, conn *net.UDPConn, handle udpkit.Handler) error

// receivers has the subjects that are written in Go.
func receivers() map[string]receive {
	all := map[string]receive{
		"ReadFromUDPAddrPort": plain(func(conn *net.UDPConn, buf []byte) (int, netip.AddrPort, error) {
			return conn.ReadFromUDPAddrPort(buf)
		}),
		"ReadFromUDP": plain(func(conn *net.UDPConn, buf []byte) (int, netip.AddrPort, error) {
			n, source, err := conn.ReadFromUDP(buf)
			if err != nil {
				return n, netip.AddrPort{}, err
			}
			return n, source.AddrPort(), nil
		}),
		"SetReadDeadline": plain(func(conn *net.UDPConn, buf []byte) (int, netip.AddrPort, error) {
			if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
				return 0, netip.AddrPort{}, err
			}
			return conn.ReadFromUDPAddrPort(buf)
		}),
		"chan": plainChannel,
	}
	for _, style := range udpkit.Styles() {
		for name, coalesce := range map[string]bool{string(style): false, string(style) + "+GRO": true} {
			all[name] = func(ctx context.Context, conn *net.UDPConn, handle udpkit.Handler) error {
				receiver, err := udpkit.NewReceiver(style, udpkit.ReceiverConfig{BufferSize: bufferSize, Coalesce: coalesce})
				if err != nil {
					return err
				}
				return receiver.Receive(ctx, conn, handle)
			}
		}
	}
	return all
}

// plain is the loop that one writes first, around some way to read.
func plain(read func(*net.UDPConn, []byte) (int, netip.AddrPort, error)) receive {
	return func(ctx context.Context, conn *net.UDPConn, handle udpkit.Handler) error {
		defer context.AfterFunc(ctx, func() { conn.Close() })()
		buf := make([]byte, bufferSize)
		for {
			n, source, err := read(conn, buf)
			if err != nil {
				return err
			}
			handle(udpkit.Datagram{Payload: buf[:n], Source: source})
		}
	}
}

// plainChannel is the channel that one writes first: a new buffer and a channel operation for each
// datagram.
func plainChannel(ctx context.Context, conn *net.UDPConn, handle udpkit.Handler) error {
	datagrams := make(chan udpkit.Datagram, udpkit.DefaultQueueSize)
	go func() {
		defer close(datagrams)
		_ = plain((*net.UDPConn).ReadFromUDPAddrPort)(ctx, conn, func(d udpkit.Datagram) {
			select {
			case datagrams <- d.Clone():
			case <-ctx.Done():
			}
		})
	}()
	for d := range datagrams {
		handle(d)
	}
	return ctx.Err()
}

// idle100 waits for a hundred sockets, on which nothing comes: with a single selector, or in a
// hundred Receives.
func idle100(ctx context.Context, name string, receive receive) error {
	selector, err := udpkit.NewSelector()
	if err != nil {
		return err
	}
	defer selector.Close()
	var ended []chan error
	for range 100 {
		conn, err := udp.Listen(ctx, loopback, udp.Options{})
		if err != nil {
			return err
		}
		defer conn.Close()
		if name == string(udpkit.SelectorStyle) {
			if err := selector.Register(conn, udpkit.Readable, func(udpkit.Events) {}); err != nil {
				return err
			}
			continue
		}
		end := make(chan error, 1)
		ended = append(ended, end)
		go func() { end <- receive(ctx, conn, func(udpkit.Datagram) {}) }()
	}
	if len(ended) == 0 {
		_, err := selector.Select(ctx, -1)
		return err
	}
	var errs []error
	for _, end := range ended {
		errs = append(errs, <-end)
	}
	return errors.Join(errs...)
}

// client measures a client: what comes from the network until it is in the statistics and in the
// history.
func client(ctx context.Context, keyed bool, warmUp, duration time.Duration, out io.Writer) error {
	cfg := udpkit.ClientConfig{Listen: loopback, NoAck: true}
	if keyed {
		ring, err := keys()
		if err != nil {
			return err
		}
		cfg.Key = ring
	}
	c, err := udpkit.NewClient(cfg)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := announce(out, c.Addr()); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		defer cancel()
		if !until(ctx, func() bool { return c.Stats().Received > 0 }) || !measure.Sleep(ctx, warmUp) {
			return
		}
		before := now(int64(c.Stats().Received))
		if measure.Sleep(ctx, duration) {
			_ = json.NewEncoder(out).Encode(now(int64(c.Stats().Received)).since(before))
		}
	}()
	return c.Run(ctx)
}

const (
	// ackClients is how many clients acknowledge to the server.
	ackClients = 100_000
	// ackMessages is how many messages they acknowledge, one a second.
	ackMessages = 4
)

// Acks is what a server with 100,000 clients does, all of which acknowledge a message a second.
type Acks struct {
	Clients int `json:"clients"`
	// Sent counts acknowledgements, Counted those that are in the statistics, and Dropped those
	// that came while the socket's buffer was full.
	Sent    int `json:"sent"`
	Counted int `json:"counted"`
	Dropped int `json:"dropped"`
	// CPU is the share of a core that the server used.
	CPU float64 `json:"cpu"`
	// Memory is what the server keeps for each client, in bytes.
	Memory float64 `json:"bytes_per_client"`
}

// server measures a server, to which the load at port acknowledges.
func server(ctx context.Context, port string, out io.Writer) error {
	target, err := netip.ParseAddrPort("127.0.0.1:" + port)
	if err != nil {
		return err
	}
	s, err := udpkit.NewServer(udpkit.ServerConfig{
		Listen: loopback, Interval: time.Second, MaxClients: ackClients, MaxMessages: ackMessages, AckWait: patience,
		Targets: udpkit.ListTargets(target),
	})
	if err != nil {
		return err
	}
	defer s.Close()
	memory := heap()
	before := now(0)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { // all have come, or it takes until AckWait is over
		until(ctx, func() bool { sum := s.Stats(); return sum.Acks+sum.KernelDropped >= ackClients*ackMessages })
		cancel()
	}()
	if err := s.Run(ctx); err != nil {
		return err
	}
	used := now(0).since(before)
	sum := s.Stats()
	return json.NewEncoder(out).Encode(Acks{
		Clients: sum.Clients,
		Sent:    ackClients * ackMessages,
		Counted: int(sum.Acks),
		Dropped: int(sum.KernelDropped),
		CPU:     float64(used.CPU) / float64(used.Elapsed),
		Memory:  float64(heap()-memory) / ackClients,
	})
}

// heap returns how many bytes are in use.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// until waits for something, false if ctx ended before.
func until(ctx context.Context, happened func() bool) bool {
	for !happened() {
		if !measure.Sleep(ctx, 10*time.Millisecond) {
			return false
		}
	}
	return true
}
