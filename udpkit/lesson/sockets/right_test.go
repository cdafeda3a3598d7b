package sockets

import (
	"context"
	"errors"
	"maps"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/lesson/exercise"
)

// TestRightAnswers: each of them passes, on a busy machine too. -count=50 is a good test.
func TestRightAnswers(t *testing.T) {
	shouts := map[string]func(net.PacketConn) error{
		"of the notebook": solveShout,
		"as text": shouting(1500, func(socket net.PacketConn, payload []byte, client net.Addr) {
			_, _ = socket.WriteTo([]byte(strings.ToUpper(string(payload))), client)
		}),
		"a goroutine for each": shouting(1500, func(socket net.PacketConn, payload []byte, client net.Addr) {
			text := strings.ToUpper(string(payload))
			go func() { _, _ = socket.WriteTo([]byte(text), client) }()
		}),
	}
	for name, shout := range shouts {
		t.Run("shout/"+name, func(t *testing.T) {
			missing, err := checkShout(t.Context(), new(exercise.Exchange), shout)
			require.NoError(t, err)
			require.Empty(t, missing)
		})
	}
	asks := map[string]func(net.Conn, string) (string, error){
		"of the notebook": solveAsk, "a socket each time": solveAskApart, "a goroutine reads": solveAskBeside,
	}
	for name, ask := range asks {
		t.Run("ask/"+name, func(t *testing.T) {
			missing, err := checkAsk(t.Context(), new(exercise.Exchange), ask)
			require.NoError(t, err)
			require.Empty(t, missing)
		})
	}
	for name, watch := range map[string]watchFunc{
		"of the notebook": solveWatch,
		"a goroutine reads": func(ctx context.Context, socket net.PacketConn, expiry time.Duration, changed func([]string)) error {
			return watchBeside(ctx, socket, expiry, 20*time.Millisecond, changed)
		},
		"looks at the clock seldom": func(ctx context.Context, socket net.PacketConn, expiry time.Duration, changed func([]string)) error {
			return watchBeside(ctx, socket, expiry, expiry/8, changed)
		},
	} {
		t.Run("watch/"+name, func(t *testing.T) {
			missing, err := checkWatch(t.Context(), new(exercise.Exchange), watch)
			require.NoError(t, err)
			require.Empty(t, missing)
		})
	}
}

// watchBeside reads on a goroutine of its own, and looks at the clock so often.
func watchBeside(ctx context.Context, socket net.PacketConn, expiry, often time.Duration, changed func([]string)) error {
	names, ended := make(chan string), make(chan struct{})
	go func() {
		defer close(ended)
		buffer := make([]byte, 1500)
		for {
			n, _, err := socket.ReadFrom(buffer)
			if err != nil {
				return
			}
			if name, ok := strings.CutPrefix(string(buffer[:n]), "HELLO|"); ok && name != "" {
				select {
				case names <- name:
				case <-ctx.Done():
					return
				}
			}
		}
	}()
	tick := time.NewTicker(often)
	defer tick.Stop()
	last := map[string]time.Time{}
	for {
		before := len(last)
		select {
		case name := <-names:
			last[name] = time.Now()
		case <-tick.C:
			maps.DeleteFunc(last, func(_ string, at time.Time) bool { return time.Since(at) > expiry })
		case <-ended:
			return errors.New("the socket failed")
		case <-ctx.Done():
			_ = socket.SetReadDeadline(time.Unix(1, 0))
			<-ended
			return ctx.Err()
		}
		if len(last) != before {
			changed(slices.Sorted(maps.Keys(last)))
		}
	}
}
