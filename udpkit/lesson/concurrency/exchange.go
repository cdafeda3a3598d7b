package concurrency

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"
)

// Exchange is one question and its answer, between two programs that have not spoken before.
type Exchange struct {
	Protocol string `json:"protocol"`
	// Answered is when the answer was there, since the client began.
	Answered time.Duration `json:"answered_ns"`
	// Packets crossed the wire, to the end of the connection if there is one.
	Packets []Packet `json:"packets"`
}

// Bytes returns the sum of all packets' sizes, and that of the data in them.
func (e Exchange) Bytes() (all, data int) {
	for _, p := range e.Packets {
		all += p.Size()
		data += p.Data
	}
	return all, data
}

const (
	question = "How are you?"
	answer   = "Very well."
)

// patience is how long an answer is waited for on a network that loses nothing.
const patience = 3 * time.Second

// exchange asks a server at one address through another.
func exchange(ctx context.Context, protocol string, at, through netip.AddrPort) (Exchange, error) {
	e := Exchange{Protocol: protocol}
	server, err := listen(protocol, at)
	if err != nil {
		return e, err
	}
	served := make(chan error, 1)
	go func() { served <- serveOnce(server) }()
	began := time.Now()
	err = ask(ctx, protocol, through)
	e.Answered = time.Since(began)
	if err != nil {
		return e, errors.Join(err, server.Close(), <-served)
	}
	return e, errors.Join(<-served, server.Close())
}

// server is a socket that hears one client, of either protocol.
type server struct {
	*net.TCPListener
	udp *net.UDPConn
}

func listen(protocol string, at netip.AddrPort) (s server, err error) {
	if protocol == "udp" {
		s.udp, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at))
	} else {
		s.TCPListener, err = net.ListenTCP("tcp4", net.TCPAddrFromAddrPort(at))
	}
	return s, err
}

// port returns where it listens.
func (s server) port() netip.AddrPort {
	if s.udp != nil {
		return s.udp.LocalAddr().(*net.UDPAddr).AddrPort()
	}
	return s.Addr().(*net.TCPAddr).AddrPort()
}

// Close implements io.Closer.
func (s server) Close() error {
	if s.udp != nil {
		return s.udp.Close()
	}
	return s.TCPListener.Close()
}

// serveOnce answers one question, and for TCP waits until the client has closed its end.
func serveOnce(s server) error {
	buf := make([]byte, 100)
	if s.udp != nil {
		_, from, err := s.udp.ReadFromUDPAddrPort(buf)
		if err == nil {
			_, err = s.udp.WriteToUDPAddrPort([]byte(answer), from)
		}
		return closed(err)
	}
	conn, err := s.Accept()
	if err != nil {
		return closed(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err = conn.Read(buf); err == nil {
		_, err = conn.Write([]byte(answer))
	}
	if err == nil {
		_, _ = conn.Read(buf) // the end
	}
	return err
}

// closed drops the error of a socket that was closed on purpose.
func closed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// ask opens a socket, asks, and waits for the answer.
func ask(ctx context.Context, protocol string, to netip.AddrPort) error {
	dialer := net.Dialer{Timeout: patience}
	conn, err := dialer.DialContext(ctx, protocol+"4", to.String())
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) }) // ends the read
	defer stop()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := conn.Write([]byte(question)); err != nil {
		return err
	}
	_, err = conn.Read(make([]byte, 100))
	return err
}
