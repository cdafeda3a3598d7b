package nonblocking

import (
	"context"
	"math"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/lesson/exercise"
)

// TestRightAnswers: each of them passes, on a busy machine too. -count=50 is a good test.
func TestRightAnswers(t *testing.T) {
	for name, put := range map[string]putFunc{
		"of the notebook": solvePut,
		"by length":       solvePutByLength,
		"lets others run": puttingAgain(math.MaxInt, runtime.Gosched),
	} {
		t.Run("put/"+name, func(t *testing.T) { require.Empty(t, checkQueue(put)) })
	}
	for name, receive := range map[string]receiveFunc{
		"of the notebook":      solveReceive,
		"woken by its context": solveReceiveAfter,
		"looks often":          pollingReceive(10 * time.Millisecond),
	} {
		t.Run("receive/"+name, func(t *testing.T) {
			missing, err := checkReceive(t.Context(), new(exercise.Exchange), receive)
			require.NoError(t, err)
			require.Empty(t, missing)
		})
	}
	for name, serve := range map[string]func(context.Context, []*net.UDPConn) error{
		"of the notebook": solveEcho,
		"ticks":           ticking(50 * time.Millisecond),
		"with text":       answering(65535, func(b []byte) []byte { return []byte(strings.ToUpper(string(b))) }),
		"ends itself by a timeout": func(ctx context.Context, conns []*net.UDPConn) error {
			return selecting(ctx, conns, func(ctx context.Context, selector *udpkit.Selector) error {
				if _, err := selector.Select(ctx, 20*time.Millisecond); err != nil {
					return err
				}
				return ctx.Err()
			})
		},
	} {
		t.Run("serve/"+name, func(t *testing.T) { require.Empty(t, checkServe(t, serve)) })
	}
}

// checkServe checks a serve with three sockets.
func checkServe(t *testing.T, serve func(context.Context, []*net.UDPConn) error) (missing string) {
	var conns, senders []*net.UDPConn
	for range 3 {
		p, err := newPair()
		require.NoError(t, err)
		defer p.close()
		conns, senders = append(conns, p.receiver), append(senders, p.sender)
	}
	return checkEcho(t.Context(), new(exercise.Exchange), conns, senders, serve)
}
