//go:build unix

package exercise

import (
	"context"
	"errors"
	"net"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/paneltest"
)

func init() { cell = runCell }

// runCell is the program of the cell.
func runCell() error {
	sender, receiver, err := Pair()
	if err != nil {
		return err
	}
	var x Exchange
	client, server := x.Conn("client", sender), x.Side("server", receiver.LocalAddr())
	for _, text := range []string{"one", "two"} {
		if _, err := client.Write([]byte(text)); err != nil {
			return err
		}
	}
	server.Received(sender.LocalAddr(), []byte("one"))
	server.Missed(sender.LocalAddr(), []byte("three"))
	server.Sent(sender.LocalAddr(), []byte("ONE"))
	server.Lost(sender.LocalAddr(), []byte("THREE"))
	if _, err := receiver.WriteTo([]byte("ONE"), sender.LocalAddr()); err != nil {
		return err
	}
	if _, err := client.Read(make([]byte, 10)); err != nil {
		return err
	}
	ctx := context.Background()
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	var empty Exchange
	err = errors.Join(x.Report(ctx, "", nil), x.Report(cancelled, "a bit", nil), empty.Report(ctx, "a bit", nil))
	_ = os.Setenv("UDPKIT_GRADE", "1")
	if graded := x.Report(ctx, "a bit", nil); graded == nil {
		return errors.New("it is passed")
	}
	_ = os.Unsetenv("UDPKIT_GRADE")
	server.Sent(sender.LocalAddr(), []byte("the end")) // only what follows is drawn
	return errors.Join(err, x.Report(ctx, "a bit", nil), sender.Close(), receiver.Close())
}

// TestExchange: what has gone over the sockets is drawn below the sentence that says what is
// missing, and not where all is right, nobody looks, or somebody grades.
func TestExchange(t *testing.T) {
	k := paneltest.StartCell(t)
	page := k.Panel(t)
	for _, want := range []string{"client to server: text one<", "client to server: text two · lost<", "server: text three · lost<", "server to client: text ONE<", "text THREE · lost<", "text the end"} {
		require.Contains(t, page, want)
	}
	require.NoError(t, k.Wait(), k.Errors.String())
}

// TestExchangeElsewhere: outside of a notebook there is the sentence alone.
func TestExchangeElsewhere(t *testing.T) {
	var x Exchange
	x.Side("server", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}).Sent(&net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 2}, []byte("a"))
	require.Equal(t, "✗ Not yet: a bit\n", printed(t, func() error { return x.Report(t.Context(), "a bit", nil) }))
}
