package sockets

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/lesson/exercise"
)

// shouting answers with what answer sends, and ends as it should.
func shouting(size int, answer func(socket net.PacketConn, payload []byte, client net.Addr)) func(net.PacketConn) error {
	return func(socket net.PacketConn) error {
		buffer := make([]byte, size)
		for {
			n, client, err := socket.ReadFrom(buffer)
			if errors.Is(err, net.ErrClosed) {
				return nil
			}
			if err != nil {
				return err
			}
			answer(socket, buffer[:n], client)
		}
	}
}

func TestWrongShouts(t *testing.T) {
	check := func(shout func(net.PacketConn) error) string {
		missing, err := checkShout(t.Context(), new(exercise.Exchange), shout)
		require.NoError(t, err)
		return missing
	}
	send := func(socket net.PacketConn, payload []byte, client net.Addr) { _, _ = socket.WriteTo(payload, client) }
	var first, before net.Addr
	seen := map[string][]byte{}
	for name, wrong := range map[string]func(net.PacketConn) error{
		"the first client only": shouting(1500, func(socket net.PacketConn, payload []byte, client net.Addr) {
			if first == nil {
				first = client
			}
			send(socket, bytes.ToUpper(payload), first)
		}),
		"the client before": shouting(1500, func(socket net.PacketConn, payload []byte, client net.Addr) {
			if before == nil {
				before = client
			}
			send(socket, bytes.ToUpper(payload), before)
			before = client
		}),
		"twice": shouting(1500, func(socket net.PacketConn, payload []byte, client net.Addr) {
			send(socket, bytes.ToUpper(payload), client)
			send(socket, bytes.ToUpper(payload), client)
		}),
		"nothing for an empty one": shouting(1500, func(socket net.PacketConn, payload []byte, client net.Addr) {
			if len(payload) > 0 {
				send(socket, bytes.ToUpper(payload), client)
			}
		}),
		"an empty one is the end": func(socket net.PacketConn) error {
			buffer := make([]byte, 1500)
			for {
				n, client, err := socket.ReadFrom(buffer)
				if errors.Is(err, net.ErrClosed) || err == nil && n == 0 {
					return nil
				}
				if err != nil {
					return err
				}
				send(socket, bytes.ToUpper(buffer[:n]), client)
			}
		},
		"all of the buffer": shouting(1500, func(socket net.PacketConn, payload []byte, client net.Addr) {
			send(socket, bytes.ToUpper(payload[:cap(payload)]), client)
		}),
		"ASCII only": shouting(1500, func(socket net.PacketConn, payload []byte, client net.Addr) {
			b := bytes.Clone(payload)
			for i, c := range b {
				if c >= 'a' && c <= 'z' {
					b[i] = c - 'a' + 'A'
				}
			}
			send(socket, b, client)
		}),
		"a title": shouting(1500, func(socket net.PacketConn, payload []byte, client net.Addr) {
			send(socket, append(bytes.ToUpper(payload[:min(1, len(payload))]), payload[min(1, len(payload)):]...), client)
		}),
		"from another socket": shouting(1500, func(_ net.PacketConn, payload []byte, client net.Addr) {
			if own, err := net.ListenPacket("udp4", "127.0.0.1:0"); err == nil {
				send(own, bytes.ToUpper(payload), client)
				_ = own.Close()
			}
		}),
		"a new line more": shouting(1500, func(socket net.PacketConn, payload []byte, client net.Addr) {
			send(socket, append(bytes.ToUpper(payload), '\n'), client)
		}),
		"hard-coded": shouting(1500, func(socket net.PacketConn, payload []byte, client net.Addr) {
			for _, text := range []string{"hello", "Grüße", strings.Repeat("long ", 240)} {
				if string(payload) == text {
					send(socket, []byte(strings.ToUpper(text)), client)
				}
			}
		}),
		"the first answer to each client again": shouting(1500, func(socket net.PacketConn, payload []byte, client net.Addr) {
			if seen[client.String()] == nil {
				seen[client.String()] = bytes.ToUpper(payload)
			}
			send(socket, seen[client.String()], client)
		}),
		"leaves a goroutine": func(socket net.PacketConn) error {
			go func() { <-t.Context().Done() }()
			return solveShout(socket)
		},
		"any error is a close": func(socket net.PacketConn) error {
			err := solveShout(socket)
			if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
				return nil
			}
			return err
		},
		"an error of the text": func(socket net.PacketConn) error {
			err := solveShout(socket)
			if err != nil && strings.Contains(err.Error(), "udp4") {
				return nil
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) { require.NotEmpty(t, check(wrong)) })
	}
}

// hearsAll is a socket that hears everybody.
type hearsAll struct {
	net.PacketConn
	to net.Addr
}

func (h hearsAll) Read(b []byte) (int, error) {
	n, _, err := h.ReadFrom(b)
	return n, err
}
func (h hearsAll) Write(b []byte) (int, error) { return h.WriteTo(b, h.to) }
func (h hearsAll) RemoteAddr() net.Addr        { return h.to }

func TestWrongAsks(t *testing.T) {
	check := func(ask func(net.Conn, string) (string, error)) string {
		missing, err := checkAsk(t.Context(), new(exercise.Exchange), ask)
		require.NoError(t, err)
		return missing
	}
	every := func(wait time.Duration) func(net.Conn, string) (string, error) {
		return func(socket net.Conn, question string) (string, error) {
			return asking(socket, question, time.Time{}, wait)
		}
	}
	known := map[string]string{}
	for name, wrong := range map[string]struct {
		ask  func(net.Conn, string) (string, error)
		want string
	}{
		"waits a little less": {every(70 * time.Millisecond), "came"},
		"waits far too long":  {every(250 * time.Millisecond), "wait 100ms"},
		"a socket that hears others": {func(socket net.Conn, question string) (string, error) {
			own, err := net.ListenPacket("udp4", "127.0.0.1:0")
			if err != nil {
				return "", err
			}
			defer own.Close()
			return solveAsk(hearsAll{own, socket.RemoteAddr()}, question)
		}, "Who sent that?"},
		"leaves its sockets open": {func(socket net.Conn, question string) (string, error) {
			own, err := net.Dial("udp4", socket.RemoteAddr().String())
			if err != nil {
				return "", err
			}
			return solveAsk(own, question)
		}, "left a socket open"},
		"leaves a goroutine": {func(socket net.Conn, question string) (string, error) {
			go func() { <-t.Context().Done() }()
			return solveAsk(socket, question)
		}, "left 1 goroutine behind"},
		"asks six times":  {askingTimes(6), "6 times instead of 5"},
		"asks four times": {askingTimes(4), "asked"},
		"an answer when nobody answers": {func(socket net.Conn, question string) (string, error) {
			if answer, err := solveAsk(socket, question); err == nil {
				return answer, nil
			}
			return question, nil
		}, "without an error"},
		"no error when nobody answers": {func(socket net.Conn, question string) (string, error) {
			answer, _ := solveAsk(socket, question)
			return answer, nil
		}, "without an error"},
		"the answer and an error": {func(socket net.Conn, question string) (string, error) {
			answer, _ := solveAsk(socket, question)
			return answer, io.EOF
		}, "EOF"},
		"in capital letters": {func(socket net.Conn, question string) (string, error) {
			answer, err := solveAsk(socket, question)
			return strings.ToUpper(answer), err
		}, "an echo server answers with the question"},
		"asks once more, to be sure": {func(socket net.Conn, question string) (string, error) {
			answer, err := solveAsk(socket, question)
			_, _ = socket.Write([]byte(question))
			return answer, err
		}, ""},
		"hard-coded": {func(_ net.Conn, question string) (string, error) {
			if known[question] == "" {
				known[question] = question
			}
			return known[question], nil
		}, "heard the question not at all"},
		"asks another": {func(socket net.Conn, question string) (string, error) {
			_, err := solveAsk(socket, "hello")
			return question, err
		}, "heard the question not at all"},
		"closes the socket": {func(socket net.Conn, question string) (string, error) {
			defer socket.Close()
			return solveAsk(socket, question)
		}, ""},
		"throws away what has come": {func(socket net.Conn, question string) (answer string, err error) {
			for range 5 {
				_ = socket.SetReadDeadline(time.Now().Add(time.Millisecond))
				_, _ = socket.Read(make([]byte, 1500))
				_, _ = socket.Write([]byte(question))
				time.Sleep(100 * time.Millisecond)
				_ = socket.SetReadDeadline(time.Now())
				if answer, err = reading(socket, question); err == nil {
					return answer, nil
				}
			}
			return "", err
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "leaves its sockets open" && runtime.GOOS == "windows" {
				t.Skip("this system does not tell what is open")
			}
			missing := check(wrong.ask)
			require.NotEmpty(t, missing)
			require.Contains(t, missing, wrong.want)
		})
	}
}

func TestWrongWatches(t *testing.T) {
	check := func(watch watchFunc) string {
		missing, err := checkWatch(t.Context(), new(exercise.Exchange), watch)
		require.NoError(t, err)
		return missing
	}
	plain := func(text string) (string, bool) {
		name, ok := strings.CutPrefix(text, "HELLO|")
		return name, ok && name != ""
	}
	// keyed keeps the table by what key makes of a datagram.
	keyed := func(key func(name string, from net.Addr) string) watchFunc {
		return func(ctx context.Context, socket net.PacketConn, expiry time.Duration, changed func([]string)) error {
			last, names := map[string]time.Time{}, map[string]string{}
			buffer := make([]byte, 1500)
			for ctx.Err() == nil {
				_ = socket.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
				n, from, err := socket.ReadFrom(buffer)
				news := false
				if name, ok := plain(string(buffer[:n])); ok && err == nil {
					k := key(name, from)
					news = last[k].IsZero() || names[k] != name
					last[k], names[k] = time.Now(), name
				}
				for k, at := range last {
					if time.Since(at) > expiry {
						delete(last, k)
						delete(names, k)
						news = true
					}
				}
				if news {
					peers := []string{}
					for _, name := range names {
						peers = append(peers, name)
					}
					slices.Sort(peers)
					changed(peers)
				}
			}
			return ctx.Err()
		}
	}
	require.Empty(t, check(keyed(func(name string, _ net.Addr) string { return name })), "right")
	expiring := func(change func(time.Duration) time.Duration) watchFunc {
		return func(ctx context.Context, socket net.PacketConn, expiry time.Duration, changed func([]string)) error {
			return solveWatch(ctx, socket, change(expiry), changed)
		}
	}
	telling := func(change func([]string) []string) watchFunc {
		return func(ctx context.Context, socket net.PacketConn, expiry time.Duration, changed func([]string)) error {
			return solveWatch(ctx, socket, expiry, func(peers []string) { changed(change(peers)) })
		}
	}
	decoding := func(decode func(string) (string, bool)) watchFunc {
		return func(ctx context.Context, socket net.PacketConn, expiry time.Duration, changed func([]string)) error {
			return watchWith(ctx, socket, expiry, changed, decode)
		}
	}
	for name, wrong := range map[string]watchFunc{
		"by address":                  keyed(func(_ string, from net.Addr) string { return from.String() }),
		"by name and address":         keyed(func(name string, from net.Addr) string { return name + from.String() }),
		"forgets after twice as long": expiring(func(d time.Duration) time.Duration { return 2 * d }),
		"forgets after half as long":  expiring(func(d time.Duration) time.Duration { return d / 2 }),
		"tells only the first":        telling(func(peers []string) []string { return peers[:min(1, len(peers))] }),
		"with the word HELLO": telling(func(peers []string) (said []string) {
			for _, p := range peers {
				said = append(said, "HELLO|"+p)
			}
			return said
		}),
		"nil for the last": telling(func(peers []string) []string { return append(peers, "")[:len(peers)+1] }),
		"small letters too": decoding(func(text string) (string, bool) {
			name, ok := strings.CutPrefix(strings.ToUpper(text), "HELLO|")
			return strings.ToLower(name), ok && name != ""
		}),
		"whatever comes": decoding(func(text string) (string, bool) {
			_, name, _ := strings.Cut(text, "|")
			return name, text != ""
		}),
		"HELLO anywhere": decoding(func(text string) (string, bool) {
			_, name, ok := strings.Cut(text, "HELLO|")
			return name, ok && name != ""
		}),
		"cut at the second bar": decoding(func(text string) (string, bool) {
			parts := strings.Split(text, "|")
			return parts[min(1, len(parts)-1)], parts[0] == "HELLO" && len(parts) > 1 && parts[1] != ""
		}),
		"tells each time that something comes": func(ctx context.Context, socket net.PacketConn, expiry time.Duration, changed func([]string)) error {
			return watchWith(ctx, socket, expiry, changed, func(text string) (string, bool) {
				if name, ok := plain(text); ok {
					changed([]string{name})
					return name, true
				}
				return "", false
			})
		},
		"leaves a goroutine": func(ctx context.Context, socket net.PacketConn, expiry time.Duration, changed func([]string)) error {
			go func() { <-t.Context().Done() }()
			return solveWatch(ctx, socket, expiry, changed)
		},
		"looks at the clock when something comes only": func(ctx context.Context, socket net.PacketConn, expiry time.Duration, changed func([]string)) error {
			last := map[string]time.Time{}
			buffer := make([]byte, 1500)
			for ctx.Err() == nil {
				_ = socket.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
				n, _, err := socket.ReadFrom(buffer)
				name, ok := plain(string(buffer[:n]))
				if err != nil || !ok {
					continue
				}
				news := last[name].IsZero()
				last[name] = time.Now()
				var peers []string
				for name, at := range last {
					if time.Since(at) > expiry {
						delete(last, name)
						news = true
					} else {
						peers = append(peers, name)
					}
				}
				if slices.Sort(peers); news {
					changed(peers)
				}
			}
			return ctx.Err()
		},
		"hears the cancel late": func(ctx context.Context, socket net.PacketConn, expiry time.Duration, changed func([]string)) error {
			err := solveWatch(ctx, socket, expiry, changed)
			time.Sleep(500 * time.Millisecond)
			return err
		},
		"an error of its own": func(ctx context.Context, socket net.PacketConn, expiry time.Duration, changed func([]string)) error {
			return fmt.Errorf("stopped: %v", solveWatch(ctx, socket, expiry, changed))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // they wait
			require.NotEmpty(t, check(wrong))
		})
	}
}
