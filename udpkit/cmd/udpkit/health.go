package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/chat"
	"github.com/gonb-labs/udp-notebooks/udpkit/echo"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/udp"
	"github.com/gonb-labs/udp-notebooks/udpkit/key"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
)

// probe is what a health check asks, and how.
type probe struct {
	address
	keyFlags
	timeout time.Duration
}

func healthCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Check once whether a server serves, as a container's health check does",
		Long: "Check once whether a server serves, as a container's health check does: exit code 0 if it does. What is asked is what\n" +
			"a client would ask, and leaves nothing behind: a broadcast is heard, and not acknowledged.",
	}
	for _, one := range []struct {
		use, short, protocol string
		port                 uint16
		timeout              time.Duration
		key                  bool
		check                func(*probe, context.Context, netip.AddrPort, *key.Ring) error
	}{
		{"broadcast", "Does a broadcast server of this machine, or of --address, send?", "UDP", udpkit.DefaultPort, 3 * udpkit.DefaultInterval, true, (*probe).broadcast},
		{"relay", "Does a relay server take clients?", "UDP", relay.DefaultPort, 3 * time.Second, true, (*probe).relay},
		{"echo", "Does an echo server or a responder answer?", "UDP", echo.DefaultPort, echo.DefaultTimeout, false, (*probe).echo},
		{"chat", "Does a chat server accept connections?", "TCP", chat.DefaultPort, 3 * time.Second, false, (*probe).chat},
	} {
		p := new(probe)
		sub := &cobra.Command{
			Use:   one.use,
			Short: one.short,
			RunE: func(cmd *cobra.Command, _ []string) error {
				ctx, cancel := context.WithTimeout(cmd.Context(), p.timeout)
				defer cancel()
				server, err := p.resolve(ctx)
				if err != nil {
					return err
				}
				ring, err := p.ring(ctx)
				if err != nil {
					return err
				}
				if err = one.check(p, ctx, server, ring); err != nil && cmd.Context().Err() != nil {
					return errors.New("interrupted before an answer came")
				}
				return err
			},
		}
		p.ofServer(sub, one.protocol, one.port)
		if one.key {
			p.keyFlags.add(sub)
		}
		sub.Flags().DurationVar(&p.timeout, "timeout", one.timeout, "how long it may take")
		cmd.AddCommand(sub)
	}
	return cmd
}

// broadcast listens, beside the clients of this machine, until a status of the server comes.
func (p *probe) broadcast(ctx context.Context, server netip.AddrPort, ring *key.Ring) error {
	if ring != nil {
		c, err := udpkit.NewControl(ctx, udpkit.ControlConfig{
			Key: ring, Server: netip.AddrPortFrom(server.Addr(), 0), Port: server.Port(), Timeout: p.timeout,
		})
		if err != nil {
			return err
		}
		return c.Close()
	}
	conn, err := udp.Listen(ctx, netip.AddrPortFrom(netip.IPv4Unspecified(), server.Port()), udp.Options{Reuse: true})
	if err != nil {
		return err
	}
	defer conn.Close()
	for d, err := range udpkit.Datagrams(ctx, conn) {
		switch {
		case err != nil && ctx.Err() != nil:
			return fmt.Errorf("no server at %v is heard on port %d within %v", server.Addr(), server.Port(), p.timeout)
		case err != nil:
			return err
		case d.Source.Addr() != server.Addr():
			continue
		}
		if _, err := udpkit.DecodeMessage(d.Payload); err == nil {
			return nil
		}
	}
	return nil
}

// relay registers a writer, and takes leave.
func (p *probe) relay(ctx context.Context, server netip.AddrPort, ring *key.Ring) error {
	ctx, registered := context.WithCancelCause(ctx)
	defer registered(nil)
	errDone := errors.New("registered")
	said := "it does not answer"
	w, err := relay.NewWriter(relay.WriterConfig{
		Servers: []string{server.String()}, Username: fmt.Sprintf("health-%v", udpkit.NewEpoch()), Key: ring, Seal: p.seal,
		OnEvent: func(e relay.Event) {
			if link, is := e.(relay.LinkEvent); is && link.Up {
				registered(errDone)
			} else if is {
				said = strings.TrimSuffix(link.Text, ". It goes on trying")
			}
		},
	})
	if err != nil {
		return err
	}
	defer w.Close()
	if err = w.Run(ctx); context.Cause(ctx) == errDone {
		return nil
	} else if ctx.Err() != nil {
		return fmt.Errorf("the relay server at %v takes no client within %v: %s", server, p.timeout, said)
	}
	return err
}

// echo sends a datagram, and wants an answer.
func (p *probe) echo(ctx context.Context, server netip.AddrPort, _ *key.Ring) error {
	sent := []byte("health " + udpkit.NewEpoch().String())
	reply, err := echo.Send(ctx, server, sent, p.timeout)
	if err == nil && !bytes.Equal(reply.Payload, sent) && string(reply.Payload) != echo.Acknowledgement {
		return fmt.Errorf("what %v has answered is not what was sent", server)
	}
	return err
}

// chat connects, and hangs up.
func (p *probe) chat(ctx context.Context, server netip.AddrPort, _ *key.Ring) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", server.String())
	if err != nil {
		return err
	}
	return conn.Close()
}
