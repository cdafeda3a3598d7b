package nonblocking

import (
	"bytes"
	"context"
	"errors"
	"html/template"
	"math"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/measure"
	"github.com/gonb-labs/udp-notebooks/udpkit/lesson/exercise"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// watched lets a style receive for a third of a second.
func watched(t *testing.T, ctx context.Context, style udpkit.Style) *watch {
	t.Helper()
	w := newWatch(style, func() {})
	timetable := []time.Duration{80 * time.Millisecond, 180 * time.Millisecond, 190 * time.Millisecond}
	require.NoError(t, w.run(ctx, 330*time.Millisecond, timetable))
	return w
}

func TestWatch(t *testing.T) {
	for _, style := range udpkit.Styles() {
		t.Run(string(style), func(t *testing.T) {
			w := watched(t, t.Context(), style)
			r := w.record
			require.Len(t, r.Sent, 3)
			require.Len(t, r.Handled, 3)
			require.Equal(t, "context canceled", r.Ended)
			require.Zero(t, r.Left, "goroutines left")
			require.GreaterOrEqual(t, r.Cancelled, 330*time.Millisecond)
			require.NotEmpty(t, r.Ticks)
			switch style {
			case udpkit.Blocking, udpkit.NonBlocking:
				require.Zero(t, r.Extra)
			case udpkit.Goroutine, udpkit.Channel:
				require.Equal(t, 1, r.Extra)
			}
			if style == udpkit.Blocking {
				require.LessOrEqual(t, len(r.Ticks), 1+len(r.Handled), "it has no ticks while it waits")
				require.GreaterOrEqual(t, r.Standstill(), 60*time.Millisecond)
			}

			var text, html bytes.Buffer
			require.NoError(t, plain(&text, w.data(true)))
			require.Contains(t, text.String(), "3 of 3 datagrams")
			require.NoError(t, page.ExecuteTemplate(&html, "watch", w.data(true)))
			require.Contains(t, html.String(), "longest standstill")
			require.NotContains(t, html.String(), "ZgotmplZ")
			require.Equal(t, 2*4, strings.Count(html.String(), "width:14px"), "two rows of squares")
		})
	}
}

func TestWatchInterrupted(t *testing.T) {
	why := errors.New("interrupt")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(50*time.Millisecond, func() { cancel(why) })
	w := newWatch(udpkit.Channel, func() {})
	require.NoError(t, w.run(ctx, time.Minute, []time.Duration{time.Minute}))
	require.Equal(t, "interrupt", w.record.Ended)
	require.Zero(t, w.record.Left)
	require.Empty(t, w.record.Sent)
}

// TestStandstill: what does not move between two ticks is seen, and the end counts.
func TestStandstill(t *testing.T) {
	ms := func(n ...int) (all []time.Duration) {
		for _, n := range n {
			all = append(all, time.Duration(n)*time.Millisecond)
		}
		return all
	}
	r := Recording{Ticks: ms(10, 500), Handled: ms(200), Cancelled: time.Second}
	require.Equal(t, 500*time.Millisecond, r.Standstill())
	r.Cancelled = 600 * time.Millisecond
	require.Equal(t, 300*time.Millisecond, r.Standstill())
	s := newStrip(r, 600*time.Millisecond)
	require.Equal(t, []bool{true, false, false, false, false, true}, s.Ticks)
	require.Equal(t, []bool{false, false, true, false, false, false}, s.Handled)
}

func TestRecordings(t *testing.T) {
	file := filepath.Join(t.TempDir(), "runs.json")
	_, err := Recordings(file)
	require.ErrorIs(t, err, exercise.ErrNothing)
	require.NotContains(t, err.Error(), file, "no path of this machine in a notebook")
	for _, r := range []Recording{{Style: udpkit.Channel, Left: 7}, {Style: udpkit.Blocking}, {Style: udpkit.Channel, Extra: 1}} {
		require.NoError(t, r.keep(file))
	}
	all, err := Recordings(file)
	require.NoError(t, err)
	require.Equal(t, []Recording{{Style: udpkit.Blocking}, {Style: udpkit.Channel, Extra: 1}}, all)
	err = Recording{}.keep(filepath.Join(file, "x"))
	require.Error(t, err)
	require.NotContains(t, err.Error(), file)
}

// TestSource: what the notebook shows is there.
func TestSource(t *testing.T) {
	require.Len(t, loops, len(udpkit.Styles()))
	source, err := exercise.SourceOf(udpkit.NewReceiver)
	require.NoError(t, err)
	for style, name := range loops {
		e, err := source.Find(name)
		require.NoError(t, err)
		require.Contains(t, e.Code, "func (s *session) "+strings.TrimPrefix(name, "session."))
		require.NotContains(t, e.File, string(filepath.Separator))
		var whole strings.Builder
		for _, p := range e.Tokens() {
			whole.WriteString(p.Text)
		}
		require.Equal(t, e.Code, whole.String(), "colouring changes nothing")
		loop, helpers, err := lines(style)
		require.NoError(t, err)
		require.Greater(t, loop, 5, style)
		require.GreaterOrEqual(t, helpers, 0, style)
	}
	_, err = source.Find("NewReceiver")
	require.NoError(t, err)
	require.ErrorContains(t, Source("session.none"), "no function session.none")
}

var small = sizes{rounds: 2, idle: 20 * time.Millisecond, windows: 2, roundTrips: 3, sockets: 5, burst: 60, handler: time.Millisecond}

func TestCompare(t *testing.T) {
	file := filepath.Join(t.TempDir(), "comparison.json")
	_, err := Load(file)
	require.ErrorIs(t, err, exercise.ErrNothing)
	c := &comparing{sizes: small}
	require.NoError(t, c.run(t.Context(), file))
	read, err := Load(file)
	require.NoError(t, err)
	require.Equal(t, c.Comparison, read)

	_, measured := measure.CPU()
	require.Len(t, read.Results, len(udpkit.Styles()))
	for i, r := range read.Results {
		require.Equal(t, udpkit.Styles()[i], r.Style)
		require.Len(t, r.RoundTrips, 2*3)
		require.Greater(t, r.P50(), time.Duration(0))
		require.GreaterOrEqual(t, r.P99(), r.P50())
		if measured {
			require.Len(t, r.Idle, 2)
			require.Len(t, r.Cost, 2)
		} else {
			require.Equal(t, "not measured here", r.CostText())
		}
	}
	require.Len(t, read.Sockets, len(udpkit.Styles()))
	for _, r := range read.Sockets {
		require.Equal(t, 5, r.Sockets)
		want := map[udpkit.Style]int{udpkit.Blocking: 5, udpkit.NonBlocking: 5, udpkit.SelectorStyle: 1, udpkit.Goroutine: 10, udpkit.Channel: 10}
		require.Equal(t, want[r.Style], r.Goroutines, r.Style)
	}
	require.Len(t, read.Slow, len(udpkit.Styles())+1)
	for _, r := range read.Slow {
		require.Equal(t, 60, r.Sent)
		require.LessOrEqual(t, r.Handled+r.Dropped, r.Sent)
	}
	short, long := read.Slow[len(read.Slow)-2], read.Slow[len(read.Slow)-1]
	require.Positive(t, short.Dropped, "a queue of 6 does not hold 60")
	require.Zero(t, long.Dropped)
	require.Equal(t, 60, long.Handled)

	var html bytes.Buffer
	require.NoError(t, page.ExecuteTemplate(&html, "comparison", c.data()))
	require.NotContains(t, html.String(), "ZgotmplZ")
	require.Contains(t, html.String(), "queue of 120")
}

// TestCompareInterrupted: what is there is shown, and nothing is written.
func TestCompareInterrupted(t *testing.T) {
	file := filepath.Join(t.TempDir(), "comparison.json")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(100*time.Millisecond, func() { cancel(errors.New("interrupt")) })
	c := &comparing{sizes: lessonSizes}
	began := time.Now()
	require.NoError(t, c.run(ctx, file))
	require.Less(t, time.Since(began), 3*time.Second)
	require.Equal(t, "interrupted", c.note)
	_, err := os.Stat(file)
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestPoll(t *testing.T) {
	row, err := pollOnce(t.Context(), 5*time.Millisecond)
	require.NoError(t, err)
	require.Greater(t, row.Delay, time.Duration(0))
	var html bytes.Buffer
	require.NoError(t, page.ExecuteTemplate(&html, "poll", pollData{Rows: []pollRow{row}}))
	require.Contains(t, html.String(), "5ms")
	require.NoError(t, page.Lookup("poll").Execute(&html, pollData{Rows: []pollRow{{}}}))
	require.Contains(t, html.String(), "not measured here")
	require.IsType(t, (*template.Template)(nil), page)
}

func TestCodeLines(t *testing.T) {
	require.Equal(t, 3, codeLines([]byte("package x\n\n// comment\nvar y = 1 // more\n/* a\nb */\nvar z\n")))
}

func TestQuantile(t *testing.T) {
	require.Zero(t, measure.Median[float64](nil))
	require.Equal(t, 2.0, measure.Median([]float64{3, 1, 2}))
	require.Equal(t, time.Duration(9), measure.Quantile([]time.Duration{9, 1, 2, 3}, 0.99))
	require.Equal(t, 0, SlowResult{Sent: 1, Handled: 2}.Lost())
}

// The first solution of each exercise is that of the notebook.

func solvePut(in chan<- int, out <-chan int, n int) (dropped int) {
	return puttingAgain(math.MaxInt, func() {})(in, out, n)
}

// puttingAgain tries so many times, and rests where others were quicker.
func puttingAgain(times int, rest func()) putFunc {
	return func(in chan<- int, out <-chan int, n int) (dropped int) {
		for range times {
			select {
			case in <- n:
				return dropped
			default:
			}
			select {
			case <-out:
				dropped++
			default:
				rest()
			}
		}
		return dropped
	}
}

// solvePutByLength looks before it sends.
func solvePutByLength(in chan<- int, out <-chan int, n int) (dropped int) {
	for len(in) == cap(in) {
		select {
		case <-out:
			dropped++
		default:
		}
	}
	select {
	case in <- n:
		return dropped
	default:
		return dropped + solvePutByLength(in, out, n)
	}
}

func TestExerciseQueue(t *testing.T) {
	require.NoError(t, CheckQueue(solvePut))
	for name, wrong := range map[string]struct {
		put  putFunc
		want string
	}{
		"nothing":   {func(chan<- int, <-chan int, int) int { return 0 }, "0 are in the queue"},
		"panics":    {func(chan<- int, <-chan int, int) int { panic("oh") }, "oh"},
		"as it was": {func(in chan<- int, _ <-chan int, n int) int { in <- n; return 0 }, "put waits at number 4"},
		"drops the newest": {func(in chan<- int, _ <-chan int, n int) int {
			select {
			case in <- n:
				return 0
			default:
				return 1
			}
		}, "[1 2 3]"},
		"lets a goroutine wait": {func(in chan<- int, out <-chan int, n int) int {
			select {
			case in <- n:
				return 0
			default:
				go func() { in <- n }()
				return 1
			}
		}, "goroutines of its own"},
		"takes either": {func(in chan<- int, out <-chan int, n int) (dropped int) {
			for {
				select {
				case in <- n:
					return dropped
				case <-out:
					dropped++
				}
			}
		}, " queue"},
		"counts nothing": {func(in chan<- int, out <-chan int, n int) int { solvePut(in, out, n); return 0 }, "0 dropped instead of 2"},
		"waits for something to drop": {func(in chan<- int, out <-chan int, n int) (dropped int) {
			for {
				select {
				case in <- n:
					return dropped
				default:
					<-out
					dropped++
				}
			}
		}, "nothing left to drop"},
		"waits for its room": {func(in chan<- int, out <-chan int, n int) int {
			select {
			case in <- n:
				return 0
			default:
			}
			<-out
			in <- n
			return 1
		}, "dropped 1, but somebody else was quicker"},
		"waits for its room, by length": {func(in chan<- int, out <-chan int, n int) (dropped int) {
			if len(in) == cap(in) {
				<-out
				dropped++
			}
			in <- n
			return dropped
		}, "dropped 1, but somebody else was quicker"},
		"waits for either": {func(in chan<- int, out <-chan int, n int) (dropped int) {
			for {
				select {
				case in <- n:
					return dropped
				default:
				}
				select {
				case <-out:
					dropped++
				case <-time.After(time.Minute):
				}
			}
		}, "nothing left to drop"},
		"gives up": {puttingAgain(2, func() {}), "dropped 2, but"},
		"counts what others took": {func(in chan<- int, out <-chan int, n int) (dropped int) {
			for {
				select {
				case in <- n:
					return dropped
				default:
				}
				select {
				case <-out:
				default:
				}
				dropped++
			}
		}, "put dropped 3, somebody else took the others, and put reports"},
		"rests": {func(in chan<- int, out <-chan int, n int) int {
			select {
			case in <- n:
				return 0
			case <-time.After(2 * time.Millisecond):
				return solvePut(in, out, n)
			}
		}, "of 2000 numbers"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // most of them wait
			require.Contains(t, checkQueue(wrong.put), wrong.want)
		})
	}
}

func solveReceive(ctx context.Context, conn net.Conn, handle func([]byte)) error {
	return pollingReceive(50*time.Millisecond)(ctx, conn, handle)
}

// pollingReceive looks so often at its context.
func pollingReceive(every time.Duration) receiveFunc {
	return receiving(1500, every, func(handle func([]byte), whole []byte, n int) { handle(whole[:n]) }, func() {})
}

// receiving reads with such a deadline into a buffer of such a size, and does between two reads
// what is given.
func receiving(size int, deadline time.Duration, handling func(handle func([]byte), whole []byte, n int), between func()) receiveFunc {
	return func(ctx context.Context, conn net.Conn, handle func([]byte)) error {
		buf := make([]byte, size)
		for ctx.Err() == nil {
			_ = conn.SetReadDeadline(time.Now().Add(deadline))
			n, err := conn.Read(buf)
			switch {
			case err == nil:
				handling(handle, buf, n)
			case !errors.Is(err, os.ErrDeadlineExceeded):
				return err
			default:
				between()
			}
		}
		return ctx.Err()
	}
}

// solveReceiveAfter is woken by its context.
func solveReceiveAfter(ctx context.Context, conn net.Conn, handle func([]byte)) error {
	stop := context.AfterFunc(ctx, func() { conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	buf := make([]byte, 1500)
	for {
		n, err := conn.Read(buf)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return err
		}
		handle(buf[:n])
	}
}

func TestExerciseReceive(t *testing.T) {
	left := make(chan struct{})       // who waits for it is left behind
	t.Cleanup(func() { close(left) }) // after the parallel ones, too
	check := func(receive receiveFunc) string {
		missing, err := checkReceive(t.Context(), new(exercise.Exchange), receive)
		require.NoError(t, err)
		return missing
	}
	require.NoError(t, CheckReceive(t.Context(), solveReceive))
	for name, wrong := range map[string]struct {
		receive receiveFunc
		want    string
	}{
		"nothing": {func(context.Context, net.Conn, func([]byte)) error { return nil }, "0 of 21"},
		"panics":  {func(context.Context, net.Conn, func([]byte)) error { panic("oh") }, "oh"},
		"as it was": {func(_ context.Context, conn net.Conn, handle func([]byte)) error {
			buf := make([]byte, 100)
			for {
				n, err := conn.Read(buf)
				if err != nil {
					return err
				}
				handle(buf[:n])
			}
		}, "still waits"},
		"does not say why": {func(ctx context.Context, conn net.Conn, handle func([]byte)) error {
			_ = solveReceive(ctx, conn, handle)
			return nil
		}, "return ctx.Err()"},
		"another goroutine watches the context": {func(ctx context.Context, conn net.Conn, handle func([]byte)) error {
			go func() {
				<-ctx.Done()
				conn.SetReadDeadline(time.Unix(1, 0))
			}()
			return solveReceiveAfter(context.WithoutCancel(ctx), conn, handle)
		}, "2 goroutines"},
		"another goroutine reads": {func(ctx context.Context, conn net.Conn, handle func([]byte)) error {
			go solveReceive(ctx, conn, handle)
			<-ctx.Done()
			return ctx.Err()
		}, "2 goroutines"},
		"a goroutine handles": {func(ctx context.Context, conn net.Conn, handle func([]byte)) error {
			return solveReceive(ctx, conn, func(payload []byte) {
				done := make(chan struct{})
				go func() {
					defer close(done)
					handle(payload)
				}()
				<-done
			})
		}, "2 goroutines"},
		"a goroutine is left": {func(ctx context.Context, conn net.Conn, handle func([]byte)) error {
			err := solveReceive(ctx, conn, handle)
			go func() { <-left }()
			return err
		}, "left 1 goroutine behind"},
		"takes its time": {func(ctx context.Context, conn net.Conn, handle func([]byte)) error {
			err := solveReceive(ctx, conn, handle)
			time.Sleep(400 * time.Millisecond)
			return err
		}, "cancel"}, // "it took 400ms from cancel to return", or longer
		"a busy loop":            {pollingReceive(time.Microsecond), "silence receive looked"},
		"one deadline":           {oneDeadline, "datagram 1 was not handled"},
		"looks seldom":           {pollingReceive(time.Minute), "still waits"},
		"looks only in silence":  {onlyInSilence, "while more of them keep coming"},
		"loses what comes while": {losing, "and handle was given"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // most of them wait
			require.Contains(t, check(wrong.receive), wrong.want)
		})
	}
}

// oneDeadline is set only once, and soon over.
func oneDeadline(ctx context.Context, conn net.Conn, handle func([]byte)) error {
	conn.SetReadDeadline(time.Now().Add(time.Microsecond))
	buf := make([]byte, 1500)
	for ctx.Err() == nil {
		if n, err := conn.Read(buf); err == nil {
			handle(buf[:n])
		}
	}
	return ctx.Err()
}

// onlyInSilence looks at its context when nothing has come for a while.
func onlyInSilence(ctx context.Context, conn net.Conn, handle func([]byte)) error {
	buf := make([]byte, 1500)
	for silent := 0; ; silent++ {
		conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		n, err := conn.Read(buf)
		switch {
		case err == nil:
			handle(buf[:n])
			silent = 0
		case silent > 2 && ctx.Err() != nil:
			return ctx.Err()
		}
	}
}

// losing throws away what has come while it handled another datagram.
func losing(ctx context.Context, conn net.Conn, handle func([]byte)) error {
	return solveReceive(ctx, conn, func(payload []byte) {
		handle(payload)
		_, _ = conn.Read(make([]byte, 1500))
	})
}

func solveEcho(ctx context.Context, conns []*net.UDPConn) error {
	return selecting(ctx, conns, sleeping)
}

// sleeping is a turn that lasts until something comes.
func sleeping(ctx context.Context, selector *udpkit.Selector) error {
	_, err := selector.Select(ctx, -1)
	return err
}

// selecting answers when a Selector calls, in turn after turn.
func selecting(ctx context.Context, conns []*net.UDPConn, turn func(context.Context, *udpkit.Selector) error) error {
	buf := make([]byte, 1500)
	return calling(ctx, conns, func(_ int, conn *net.UDPConn) { answer(conn, buf) }, turn)
}

// calling has a Selector, in which each of the sockets has this callback, in turn after turn.
func calling(ctx context.Context, conns []*net.UDPConn, callback func(i int, conn *net.UDPConn), turn func(context.Context, *udpkit.Selector) error) error {
	selector, err := udpkit.NewSelector()
	if err != nil {
		return err
	}
	defer selector.Close()
	for i, conn := range conns {
		if err := selector.Register(conn, udpkit.Readable, func(udpkit.Events) { callback(i, conn) }); err != nil {
			return err
		}
	}
	for err == nil {
		err = turn(ctx, selector)
	}
	return err
}

// answer answers what comes next, and reports whether something did.
func answer(conn *net.UDPConn, buf []byte) bool {
	n, from, err := conn.ReadFromUDPAddrPort(buf)
	if err == nil {
		conn.WriteToUDPAddrPort(bytes.ToUpper(buf[:n]), from)
	}
	return err == nil
}

// ticking lets Select wait so long.
func ticking(timeout time.Duration) func(context.Context, []*net.UDPConn) error {
	return func(ctx context.Context, conns []*net.UDPConn) error {
		return selecting(ctx, conns, func(ctx context.Context, selector *udpkit.Selector) error {
			selector.Select(context.Background(), timeout)
			return ctx.Err()
		})
	}
}

func TestExerciseEcho(t *testing.T) {
	left := make(chan struct{})       // who waits for it is left behind
	t.Cleanup(func() { close(left) }) // after the parallel ones, too
	require.NoError(t, CheckEcho(t.Context(), solveEcho))
	// each answers at a socket, on a goroutine of its own.
	each := func(ctx context.Context, conns []*net.UDPConn) {
		for _, conn := range conns {
			go func() {
				for buf := make([]byte, 1500); answer(conn, buf); {
				}
			}()
		}
	}
	var kept []*udpkit.Selector
	t.Cleanup(func() {
		for _, selector := range kept {
			_ = selector.Close()
		}
	})
	for name, wrong := range map[string]struct {
		serve func(context.Context, []*net.UDPConn) error
		want  string
	}{
		"nothing":   {func(context.Context, []*net.UDPConn) error { return nil }, "at once"},
		"no answer": {func(ctx context.Context, _ []*net.UDPConn) error { <-ctx.Done(); return nil }, "no answer from socket 1"},
		"a goroutine for each": {func(ctx context.Context, conns []*net.UDPConn) error {
			each(ctx, conns)
			<-ctx.Done()
			return nil
		}, "4 goroutines work"},
		"one goroutine more": {func(ctx context.Context, conns []*net.UDPConn) error {
			go func() { <-ctx.Done() }()
			return solveEcho(ctx, conns)
		}, "2 goroutines work"},
		"a goroutine left": {func(ctx context.Context, conns []*net.UDPConn) error {
			err := solveEcho(ctx, conns)
			go func() { <-left }()
			return err
		}, "left 1 goroutine behind"},
		"no Selector": {func(ctx context.Context, conns []*net.UDPConn) error {
			buf := make([]byte, 1500)
			for ctx.Err() == nil {
				for _, conn := range conns {
					conn.SetReadDeadline(time.Now().Add(time.Millisecond))
					answer(conn, buf)
				}
			}
			return ctx.Err()
		}, "leave the waiting to a Selector"},
		"a Selector beside": {func(ctx context.Context, conns []*net.UDPConn) error {
			buf := make([]byte, 1500)
			return selecting(ctx, nil, func(ctx context.Context, selector *udpkit.Selector) error {
				for _, conn := range conns {
					conn.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
					answer(conn, buf)
				}
				_, err := selector.Select(ctx, 0)
				return err
			})
		}, "leave the waiting to a Selector"},
		"a busy loop": {ticking(0), "does not sleep"},
		"never closed": {func(ctx context.Context, conns []*net.UDPConn) error {
			selector, err := udpkit.NewSelector()
			if err != nil {
				return err
			}
			kept = append(kept, selector)
			buf := make([]byte, 1500)
			for _, conn := range conns {
				selector.Register(conn, udpkit.Readable, func(udpkit.Events) { answer(conn, buf) })
			}
			for err == nil {
				_, err = selector.Select(ctx, -1)
			}
			return err
		}, "left open"},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "never closed" && len(exercise.Descriptors()) == 0 {
				t.Skip("this system does not tell what is open")
			}
			require.Contains(t, checkServe(t, wrong.serve), wrong.want)
		})
	}
}
