package nonblocking

import (
	"context"
	"errors"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/lesson/exercise"
)

// refused has a wrong answer checked, for which the check has these words. Where they are of what
// the answer used, it has five tries: on a busy machine one that rests wakes up as seldom as it
// may.
func refused(t *testing.T, usage bool, want string, check func() (missing string)) {
	t.Helper()
	tries := 1
	if usage {
		if runtime.GOOS != "linux" {
			t.Skip("this system does not tell what one thread costs, and what an epoll waits for")
		}
		tries = 5
	}
	missing := check()
	for ; tries > 1 && !strings.Contains(missing, want); tries-- {
		missing = check()
	}
	require.NotEmpty(t, missing)
	require.Contains(t, missing, want)
}

// full does what is given when the queue is full, before it drops as it should.
func full(do func(in chan<- int, out <-chan int)) putFunc {
	return func(in chan<- int, out <-chan int, n int) int {
		select {
		case in <- n:
			return 0
		default:
			do(in, out)
			return solvePut(in, out, n)
		}
	}
}

func TestWrongQueues(t *testing.T) {
	for name, wrong := range map[string]struct {
		put   putFunc
		want  string
		usage bool
	}{
		"rests for a tenth of a millisecond": {full(func(chan<- int, <-chan int) { time.Sleep(100 * time.Microsecond) }), "of 2000 numbers", true},
		"waits for a microsecond": {func(in chan<- int, out <-chan int, n int) int {
			select {
			case in <- n:
				return 0
			case <-time.After(time.Microsecond):
				return solvePut(in, out, n)
			}
		}, "of 2000 numbers", true},
		"empties the queue": {full(func(_ chan<- int, out <-chan int) {
			for len(out) > 0 {
				<-out
			}
		}), "the newest are [3 4 5]", false},
		"drops one more":    {full(func(_ chan<- int, out <-chan int) { <-out }), "put reports 0 dropped", false},
		"drops one, always": {func(in chan<- int, out <-chan int, n int) int { in <- n; <-out; return 1 }, "three numbers were put", false},
		"puts it twice": {func(in chan<- int, out <-chan int, n int) int {
			return solvePut(in, out, n) + solvePut(in, out, n)
		}, "holds", false},
		"puts another":           {func(in chan<- int, out <-chan int, n int) int { return solvePut(in, out, n-1) }, "holds [2 3 4]", false},
		"always says one":        {func(in chan<- int, out <-chan int, n int) int { solvePut(in, out, n); return 1 }, "reports 5 dropped", false},
		"panics when it is full": {full(func(chan<- int, <-chan int) { panic("full") }), "panicked: full", false},
		"replaces the newest": {func(in chan<- int, out <-chan int, n int) (dropped int) {
			var kept []int
			for len(out) == cap(out) || len(kept) > 0 && len(out) > 0 {
				kept = append(kept, <-out)
			}
			if len(kept) > 0 {
				kept, dropped = kept[:len(kept)-1], 1
			}
			for _, n := range append(kept, n) {
				in <- n
			}
			return dropped
		}, "the newest are [3 4 5]", false},
		"takes all out and puts the newer ones back": {func(in chan<- int, out <-chan int, n int) (dropped int) {
			var kept []int
			if len(out) == cap(out) {
				for len(out) > 0 {
					kept = append(kept, <-out)
				}
				kept, dropped = kept[1:], 1
			}
			for _, n := range append(kept, n) {
				in <- n
			}
			return dropped
		}, "", false},
		"gives up after a hundred times": {puttingAgain(100, func() {}), "gave up", false},
		"a goroutine takes the oldest":   {full(func(_ chan<- int, out <-chan int) { go func() { <-out }() }), "", false},
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, wrong.usage, wrong.want, func() string { return checkQueue(wrong.put) })
		})
	}
}

func TestWrongReceives(t *testing.T) {
	plain := func(handle func([]byte), whole []byte, n int) { handle(whole[:n]) }
	nothing := func() {}
	check := func(receive receiveFunc) string {
		missing, err := checkReceive(t.Context(), new(exercise.Exchange), receive)
		require.NoError(t, err)
		return missing
	}
	require.Empty(t, check(receiving(1500, 20*time.Millisecond, plain, nothing)), "right")
	for name, wrong := range map[string]struct {
		receive receiveFunc
		want    string
		usage   bool
	}{
		"looks at the clock for 10 ms between two reads": {receiving(1500, time.Millisecond, plain, func() {
			for began := time.Now(); time.Since(began) < 10*time.Millisecond; {
			}
		}), "kept a processor busy", true},
		"many short rests between two reads": {receiving(1500, time.Millisecond, plain, func() {
			for range 20 {
				time.Sleep(500 * time.Microsecond)
			}
		}), "woke up", true},
		"handles each twice": {receiving(1500, 20*time.Millisecond, func(handle func([]byte), whole []byte, n int) {
			handle(whole[:n])
			handle(whole[:n])
		}, nothing), "and handle was given", false},
		"a short buffer":   {receiving(8, 20*time.Millisecond, plain, nothing), `handle was given "datagram"`, false},
		"the whole buffer": {receiving(1500, 20*time.Millisecond, func(handle func([]byte), whole []byte, _ int) { handle(whole) }, nothing), "and handle was given", false},
		"a goroutine for each": {receiving(1500, 20*time.Millisecond, func(handle func([]byte), whole []byte, n int) {
			go handle(append([]byte(nil), whole[:n]...))
		}, nothing), "", false}, // the order, or the goroutines
		"not the first one": {func() receiveFunc {
			var once sync.Map
			return receiving(1500, 20*time.Millisecond, func(handle func([]byte), whole []byte, n int) {
				if _, seen := once.LoadOrStore(string(whole[:n]), true); seen {
					handle(whole[:n])
				}
			}, nothing)
		}(), "was not handled", false},
		"a timeout is the end": {func(ctx context.Context, conn net.Conn, handle func([]byte)) error {
			buf := make([]byte, 1500)
			for {
				_ = conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
				n, err := conn.Read(buf)
				if err != nil {
					return err
				}
				handle(buf[:n])
			}
		}, "before the context ended", false},
		"an error of its own": {func(ctx context.Context, conn net.Conn, handle func([]byte)) error {
			if err := solveReceive(ctx, conn, handle); err != nil {
				return errors.New("stopped")
			}
			return nil
		}, "return ctx.Err()", false},
		"the context closes the socket": {func(ctx context.Context, conn net.Conn, handle func([]byte)) error {
			defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
			buf := make([]byte, 1500)
			for {
				n, err := conn.Read(buf)
				if err != nil {
					return err
				}
				handle(buf[:n])
			}
		}, "return ctx.Err()", false},
		"sleeps too long": {receiving(1500, 900*time.Millisecond, plain, nothing), "", false}, // it took 900 ms, or a second
		"only the first of a burst": {receiving(1500, 20*time.Millisecond, func() func(func([]byte), []byte, int) {
			last := time.Time{}
			return func(handle func([]byte), whole []byte, n int) {
				if time.Since(last) > time.Millisecond {
					handle(whole[:n])
				}
				last = time.Now()
			}
		}(), nothing), "", false},
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, wrong.usage, wrong.want, func() string { return check(wrong.receive) })
		})
	}
}

// echoing serves with a Selector, in which each of the sockets has this callback.
func echoing(callback func(i int, conn *net.UDPConn)) func(context.Context, []*net.UDPConn) error {
	return func(ctx context.Context, conns []*net.UDPConn) error {
		return calling(ctx, conns, callback, sleeping)
	}
}

// answering reads into a buffer of such a size, and writes what change makes of it; nil is nothing.
func answering(size int, change func([]byte) []byte) func(context.Context, []*net.UDPConn) error {
	buf := make([]byte, size)
	return echoing(func(_ int, conn *net.UDPConn) {
		n, from, err := conn.ReadFromUDPAddrPort(buf)
		if answer := change(buf[:n]); err == nil && answer != nil {
			_, _ = conn.WriteToUDPAddrPort(answer, from)
		}
	})
}

// polling looks at those from the first on every 10 ms, and leaves the others to a Selector.
func polling(first int) func(context.Context, []*net.UDPConn) error {
	return func(ctx context.Context, conns []*net.UDPConn) error {
		buf := make([]byte, 1500)
		return selecting(ctx, conns[:first], func(ctx context.Context, selector *udpkit.Selector) error {
			for _, conn := range conns[first:] {
				for {
					_ = conn.SetReadDeadline(time.Now().Add(10 * time.Microsecond))
					if !answer(conn, buf) {
						break
					}
				}
			}
			_, err := selector.Select(ctx, 10*time.Millisecond)
			return err
		})
	}
}

func TestWrongEchos(t *testing.T) {
	upper := func(b []byte) []byte { return []byte(strings.ToUpper(string(b))) }
	for name, wrong := range map[string]struct {
		serve func(context.Context, []*net.UDPConn) error
		want  string
		usage bool
	}{
		"unchanged":         {answering(1500, func(b []byte) []byte { return b }), "and not", false},
		"a short buffer":    {answering(100, upper), "of 1400 bytes only 100", false},
		"a new line more":   {answering(1500, func(b []byte) []byte { return append(upper(b), '\n') }), "and not", false},
		"nothing for empty": {answering(1500, func(b []byte) []byte { return append([]byte(nil), upper(b)...) }), `the answer to "" is`, false},
		"looks and looks between two looks at the context": {func(ctx context.Context, conns []*net.UDPConn) error {
			return selecting(ctx, conns, func(ctx context.Context, selector *udpkit.Selector) error {
				for began := time.Now(); time.Since(began) < 50*time.Millisecond; {
					_, _ = selector.Select(context.Background(), 0)
				}
				return ctx.Err()
			})
		}, "kept a processor busy", true},
		"fifty short waits between two looks at the context": {func(ctx context.Context, conns []*net.UDPConn) error {
			return selecting(ctx, conns, func(ctx context.Context, selector *udpkit.Selector) error {
				for range 50 {
					_, _ = selector.Select(context.Background(), time.Millisecond)
				}
				return ctx.Err()
			})
		}, "does not sleep", true},
		"the Selector is only a clock":    {polling(0), "", true}, // it looks too often, or waits for none
		"the Selector waits for one only": {polling(1), "", true},
		"answers the first only": {func() func(context.Context, []*net.UDPConn) error {
			buf, first := make([]byte, 1500), map[int]net.Addr{}
			return echoing(func(i int, conn *net.UDPConn) {
				n, from, err := conn.ReadFrom(buf)
				if first[i] == nil {
					first[i] = from
				}
				if err == nil {
					_, _ = conn.WriteTo(upper(buf[:n]), first[i])
				}
			})
		}(), "when somebody else asks: no answer", false},
		"answers from the first socket": {func(ctx context.Context, conns []*net.UDPConn) error {
			buf := make([]byte, 1500)
			return echoing(func(_ int, conn *net.UDPConn) {
				n, from, err := conn.ReadFromUDPAddrPort(buf)
				if err == nil {
					_, _ = conns[0].WriteToUDPAddrPort(upper(buf[:n]), from)
				}
			})(ctx, conns)
		}, "no answer from socket 2", false},
		"a goroutine for each datagram": {echoing(func(_ int, conn *net.UDPConn) {
			done := make(chan struct{})
			go func() {
				defer close(done)
				answer(conn, make([]byte, 1500))
			}()
			<-done
		}), "goroutines were made", false},
		"reads on in the callback": {echoing(func(_ int, conn *net.UDPConn) {
			for answer(conn, make([]byte, 1500)) {
			}
		}), "no answer from socket 2", false},
		"does not hear the cancel": {func(_ context.Context, conns []*net.UDPConn) error {
			return solveEcho(t.Context(), conns)
		}, "serve still runs", false},
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, wrong.usage, wrong.want, func() string { return checkServe(t, wrong.serve) })
		})
	}
}
