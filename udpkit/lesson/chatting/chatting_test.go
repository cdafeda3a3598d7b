package chatting

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/gonb-labs/udp-notebooks/udpkit/lesson/exercise"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func goodLines(pieces []string) (lines []string) {
	stream := strings.Join(pieces, "")
	for {
		line, rest, ok := strings.Cut(stream, "\n")
		if !ok {
			return lines
		}
		lines = append(lines, strings.TrimSuffix(line, "\r"))
		stream = rest
	}
}

func TestCheckLines(t *testing.T) {
	require.Empty(t, checkLines(t.Context(), goodLines))
	require.Empty(t, checkLines(t.Context(), func(pieces []string) (lines []string) { // byte by byte
		var line []byte
		for _, b := range []byte(strings.Join(pieces, "")) {
			if line = append(line, b); b == '\n' {
				lines = append(lines, strings.TrimSuffix(string(line[:len(line)-1]), "\r"))
				line = nil
			}
		}
		return lines
	}))
	require.Empty(t, checkLines(t.Context(), func(pieces []string) (lines []string) { // a reader
		r := bufio.NewReader(strings.NewReader(strings.Join(pieces, "")))
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				return lines
			}
			lines = append(lines, strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r"))
		}
	}))
	for name, wrong := range map[string]func([]string) []string{
		"nothing":    func([]string) []string { return nil },
		"the pieces": func(pieces []string) []string { return pieces },
		"each piece for itself": func(pieces []string) (lines []string) {
			for _, p := range pieces {
				lines = append(lines, goodLines([]string{p})...)
			}
			return lines
		},
		"the rest too": func(pieces []string) []string {
			return strings.Split(strings.ReplaceAll(strings.Join(pieces, ""), "\r\n", "\n"), "\n")
		},
		"fields": func(pieces []string) []string { return strings.Fields(strings.Join(pieces, "")) },
		"a scanner": func(pieces []string) (lines []string) {
			s := bufio.NewScanner(strings.NewReader(strings.Join(pieces, "")))
			for s.Scan() {
				lines = append(lines, s.Text())
			}
			return lines
		},
		"no carriage returns at all": func(pieces []string) []string {
			return goodLines([]string{strings.ReplaceAll(strings.Join(pieces, ""), "\r", "")})
		},
		"all carriage returns of an end": func(pieces []string) (lines []string) {
			for _, l := range goodLines(pieces) {
				lines = append(lines, strings.TrimRight(l, "\r"))
			}
			return lines
		},
		"no empty ones": func(pieces []string) (lines []string) {
			return slices.DeleteFunc(goodLines(pieces), func(l string) bool { return l == "" })
		},
		"trimmed": func(pieces []string) (lines []string) {
			for _, l := range goodLines(pieces) {
				lines = append(lines, strings.TrimSpace(l))
			}
			return lines
		},
		"with newlines":     func(pieces []string) []string { return strings.SplitAfter(strings.Join(pieces, ""), "\n") },
		"panics when empty": func(pieces []string) []string { _ = pieces[0]; return goodLines(pieces) },
		"never returns":     func([]string) []string { <-t.Context().Done(); return nil },
		"leaves a goroutine": func(pieces []string) []string {
			go func() { <-t.Context().Done() }()
			return goodLines(pieces)
		},
	} {
		require.NotEmpty(t, checkLines(t.Context(), wrong), name)
	}
}

// room is the model of a chat server; its fields make it wrong.
type room struct {
	queue                                             int
	toSender, half, twice, keepOpen, stay, dropNewest bool
	locked, once, joined, shout, panic                bool
	leak                                              <-chan struct{}

	mu   sync.Mutex
	here map[net.Conn]chan string
}

func (r *room) tell(sender net.Conn, line string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for conn, queue := range r.here {
		switch {
		case conn == sender && !r.toSender:
		case r.locked:
			_, _ = io.WriteString(conn, line)
		default:
			for range map[bool]int{true: 2, false: 1}[r.twice] {
				select {
				case queue <- line:
				default:
					if !r.dropNewest {
						_ = conn.Close()
					}
				}
			}
		}
	}
}

func (r *room) converse(conn net.Conn) {
	defer conn.Close()
	queue := make(chan string, r.queue)
	r.mu.Lock()
	r.here[conn] = queue
	r.mu.Unlock()
	var writing sync.WaitGroup
	writing.Go(func() {
		for line := range queue {
			if _, err := io.WriteString(conn, line); err != nil {
				_ = conn.Close()
			}
		}
	})
	if r.joined {
		r.tell(conn, "* somebody came\n")
	}
	in := bufio.NewReader(conn)
	for {
		line, err := in.ReadString('\n')
		if err == nil || r.half && line != "" {
			if r.shout {
				line = strings.ToUpper(line)
			}
			r.tell(conn, line)
		}
		if err != nil || r.once {
			break
		}
	}
	r.mu.Lock()
	delete(r.here, conn)
	close(queue)
	r.mu.Unlock()
	writing.Wait()
}

func (r *room) serve(ctx context.Context, listener net.Listener) error {
	if r.panic {
		panic("oh")
	}
	r.here = make(map[net.Conn]chan string)
	var running sync.WaitGroup
	defer running.Wait()
	stop := context.AfterFunc(ctx, func() {
		if !r.stay {
			_ = listener.Close()
		}
		if r.keepOpen {
			return
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		for conn := range r.here {
			_ = conn.Close()
		}
	})
	defer stop()
	for {
		conn, err := listener.Accept()
		if err != nil {
			return nil
		}
		if r.leak != nil {
			go func() { <-r.leak }()
		}
		if r.keepOpen {
			go r.converse(conn)
			continue
		}
		running.Go(func() { r.converse(conn) })
	}
}

// single is a server that has one goroutine for what is said, instead of a lock.
func single(ctx context.Context, listener net.Listener) error {
	type said struct {
		by   net.Conn
		line string
	}
	var (
		running sync.WaitGroup
		all     = make(chan said)
		join    = make(chan net.Conn)
		left    = make(chan net.Conn)
		done    = make(chan struct{})
	)
	go func() {
		defer close(done)
		here := make(map[net.Conn]chan string)
		end := ctx.Done()
		for n := 1; n > 0; { // the accept loop, and each conversation
			select {
			case <-end:
				end = nil
				n--
				_ = listener.Close()
				for conn := range here {
					_ = conn.Close()
				}
			case conn := <-join:
				n++
				queue := make(chan string, 100)
				here[conn] = queue
				running.Go(func() {
					for line := range queue {
						_, _ = fmt.Fprintln(conn, line)
					}
				})
				if end == nil {
					_ = conn.Close()
				}
			case conn := <-left:
				n--
				close(here[conn])
				delete(here, conn)
			case s := <-all:
				for conn, queue := range here {
					if conn == s.by {
						continue
					}
					select {
					case queue <- s.line:
					default:
						_ = conn.Close()
					}
				}
			}
		}
	}()
	for {
		conn, err := listener.Accept()
		if err != nil {
			break
		}
		join <- conn
		running.Go(func() {
			defer conn.Close()
			in := bufio.NewReader(conn)
			for {
				line, err := in.ReadString('\n')
				if err != nil {
					break
				}
				all <- said{conn, line[:len(line)-1]}
			}
			left <- conn
		})
	}
	<-done
	running.Wait()
	return nil
}

func TestCheckServe(t *testing.T) {
	check := func(serve func(context.Context, net.Listener) error) string {
		missing, err := checkServe(t.Context(), new(exercise.Exchange), serve)
		require.NoError(t, err)
		return missing
	}
	assert.Empty(t, check((&room{queue: 256}).serve))
	assert.Empty(t, check((&room{queue: 16, dropNewest: true}).serve))
	assert.Empty(t, check(single))
	leak := make(chan struct{})
	t.Cleanup(func() { close(leak) })
	for name, test := range map[string]struct {
		serve func(context.Context, net.Listener) error
		want  string
	}{
		"to its sender":       {(&room{queue: 256, toSender: true}).serve, "its own lines"},
		"twice":               {(&room{queue: 256, twice: true}).serve, "once"},
		"half a line":         {(&room{queue: 256, half: true}).serve, "broke in the middle"},
		"one line":            {(&room{queue: 256, once: true}).serve, "does not reach|connection|cannot say"},
		"a notice":            {(&room{queue: 256, joined: true}).serve, "has not said|has got"},
		"in capitals":         {(&room{queue: 256, shout: true}).serve, "has not said"},
		"under the lock":      {(&room{queue: 256, locked: true}).serve, "mia does not read"},
		"a boundless queue":   {(&room{queue: 1 << 20}).serve, "until its memory is full"},
		"stays":               {(&room{queue: 256, stay: true}).serve, "has not returned"},
		"leaves them open":    {(&room{queue: 256, keepOpen: true}).serve, "still connected"},
		"leaves a goroutine":  {(&room{queue: 256, leak: leak}).serve, "goroutine.* still there"},
		"panics":              {(&room{panic: true}).serve, "panicked"},
		"returns at once":     {func(context.Context, net.Listener) error { return nil }, "has returned"},
		"fails":               {func(context.Context, net.Listener) error { return errors.New("no") }, "serve has ended: no"},
		"does nothing":        {func(ctx context.Context, _ net.Listener) error { <-ctx.Done(); return nil }, "does not reach"},
		"closes all at once":  {closing, "connection|cannot"},
		"one after the other": {sequential, "does not reach"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Regexp(t, test.want, check(test.serve))
		})
	}
}

func closing(ctx context.Context, listener net.Listener) error {
	defer context.AfterFunc(ctx, func() { _ = listener.Close() })()
	for {
		conn, err := listener.Accept()
		if err != nil {
			return nil
		}
		_ = conn.Close()
	}
}

// sequential has one conversation at a time.
func sequential(ctx context.Context, listener net.Listener) error {
	defer context.AfterFunc(ctx, func() { _ = listener.Close() })()
	for {
		conn, err := listener.Accept()
		if err != nil {
			return nil
		}
		stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
		_, _ = io.Copy(io.Discard, conn)
		stop()
		_ = conn.Close()
	}
}

func TestCheckServeEnds(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	missing, err := checkServe(ctx, new(exercise.Exchange), func(ctx context.Context, _ net.Listener) error { <-ctx.Done(); return nil })
	require.NoError(t, err)
	require.Empty(t, missing)
}
