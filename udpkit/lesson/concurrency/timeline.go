package concurrency

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/echo"
	"github.com/gonb-labs/udp-notebooks/udpkit/sequence"
)

// mostDrawn is how many clients have room in a timeline, and timelineWork what each answer takes.
const (
	mostDrawn    = 7
	timelineWork = 100 * time.Millisecond
)

// Timeline draws who sends what to whom, while it happens: some clients, 1 to 7, ask a server at
// the same moment. Each answer takes 100 ms of work.
func Timeline(ctx context.Context, mode echo.Mode, clients int) error {
	if clients < 1 || clients > mostDrawn {
		return fmt.Errorf("there can be 1 to %d clients in a timeline, and not %d", mostDrawn, clients)
	}
	var tape sequence.Tape
	server, err := echo.NewResponder(echo.ResponderConfig{
		Listen: netip.MustParseAddrPort("127.0.0.1:0"), Mode: mode, Work: timelineWork, Record: tape.Role("server"),
	})
	if err != nil {
		return err
	}
	ctx, end := context.WithCancel(ctx)
	defer end()
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	var asking sync.WaitGroup
	errs := make([]error, clients)
	for i := range clients {
		name := fmt.Sprintf("client %d", i+1)
		role := tape.Role(name) // in this order
		asking.Go(func() { errs[i] = askOnce(ctx, server.Addr(), name, role) })
	}
	go func() {
		asking.Wait()
		end()
	}()
	err = tape.Follow(ctx)
	asking.Wait()
	return errors.Join(append(errs, err, <-ended, server.Close())...)
}

// askOnce has a client ask a question. An end of the context is no error.
func askOnce(ctx context.Context, server netip.AddrPort, name string, tape echo.Recorder) error {
	client, err := echo.NewClient(echo.ClientConfig{Server: server, Timeout: 2 * mostDrawn * timelineWork, Record: tape})
	if err != nil {
		return err
	}
	defer client.Close()
	if _, err = client.Send(ctx, []byte("Hello from "+name)); ctx.Err() != nil {
		return nil
	}
	return err
}
