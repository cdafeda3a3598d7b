package chat

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/names"
)

// member is a connected client. Server.mu guards what is below the blank line.
type member struct {
	tcp  wire
	conn net.Conn // what tcp carries; set before the client joins
	addr netip.AddrPort

	name     string
	joined   time.Time
	messages uint64
	queue    chan string // lines to send; closed when gone
	gone     bool
}

// Member describes a connected client.
type Member struct {
	Addr     netip.AddrPort `json:"addr"`
	Name     string         `json:"name,omitempty"` // "" for none
	Joined   time.Time      `json:"joined"`
	Messages uint64         `json:"messages"` // that it has sent
}

// String is what others see: the name if there is one, and the address.
func (m *member) String() string {
	if m.name == "" {
		return m.addr.String()
	}
	return fmt.Sprintf("%s (%v)", m.name, m.addr)
}

// who is the sender's name in a message.
func (m *member) who() string {
	if m.name == "" {
		return m.addr.String()
	}
	return m.name
}

// read takes a client's lines until it is gone.
func (s *Server) read(ctx context.Context, m *member) {
	lines := NewReader(m.conn, ReaderConfig{Pause: s.cfg.Pause, Idle: s.cfg.IdleTimeout})
	allowance := rate.NewLimiter(rate.Limit(s.cfg.Rate), max(1, int(2*s.cfg.Rate)))
	for {
		line, err := lines.Next()
		switch {
		case err == nil && isExit(line), errors.Is(err, io.EOF):
			s.remove(m, ReasonLeft)
			return
		case errors.Is(err, ErrIdle):
			s.remove(m, ReasonIdle)
			return
		case errors.Is(err, ErrLineTooLong):
			s.remove(m, ReasonLineTooLong)
			return
		case errors.Is(err, errTLS):
			s.remove(m, ReasonHasKey)
			return
		case err != nil:
			s.remove(m, ReasonLost)
			return
		}
		s.handle(m, line)
		if allowance.Wait(ctx) != nil {
			return // the server ends, which removes everybody
		}
	}
}

// handle does what a line says, unless its sender is gone.
func (s *Server) handle(m *member, line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m.gone {
		return
	}
	if !strings.HasPrefix(line, "/") {
		s.stats.Messages++
		m.messages++
		s.events.Emit(MessageEvent{From: m.who(), Client: m.addr, Text: line, At: time.Now()})
		s.toAll(m.who()+": "+line, m)
		return
	}
	switch command, argument, _ := strings.Cut(line, " "); command {
	case "/name":
		s.rename(m, strings.TrimSpace(argument))
	case "/who":
		s.listTo(m)
	default:
		s.to(m, "* there is no such command; there are /name NAME and /who")
	}
}

// rename gives a name to a client, with mu held.
func (s *Server) rename(m *member, name string) {
	if err := CheckName(name); err != nil {
		s.to(m, "* not accepted: "+Clean(strings.TrimPrefix(err.Error(), ErrConfig.Error()+": ")))
		return
	}
	if owner := s.names[names.Skeleton(name)]; owner != nil && owner != m {
		s.to(m, fmt.Sprintf("* not accepted: the name %s is taken, or looks like that of %s", name, owner))
		return
	}
	if name == m.name {
		return
	}
	was, before := m.name, m.String()
	if was != "" {
		delete(s.names, names.Skeleton(was))
	}
	m.name = name
	s.names[names.Skeleton(name)] = m
	s.events.Emit(NameEvent{Client: m.addr, Name: name, Was: was, At: time.Now()})
	s.toAll(fmt.Sprintf("* %s is now %s", before, name), nil)
}

// listTo tells a client who is here, with mu held, in few lines that are short enough for clients
// that read 1,024 bytes at a time.
func (s *Server) listTo(to *member) {
	line := fmt.Sprintf("* %d here:", len(s.members))
	for i, m := range s.members {
		if len(line) > 900 {
			s.to(to, line)
			line = "*"
		}
		if i > 0 {
			line += ","
		}
		line += " " + m.String()
	}
	s.to(to, line)
}

// to queues a line for one client, with mu held.
func (s *Server) to(m *member, line string) {
	if m.gone {
		return
	}
	select {
	case m.queue <- line + "\n":
	default:
		s.stats.Dropped++
		s.removeLocked(m, ReasonSlow)
	}
}

func (s *Server) remove(m *member, reason Reason) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.removeLocked(m, reason)
}

// removeLocked takes a client out of the chat, with mu held. One that left, or broke a rule, still
// gets what is queued for it.
func (s *Server) removeLocked(m *member, reason Reason) {
	if m.gone {
		return
	}
	switch reason {
	case ReasonIdle, ReasonLineTooLong:
		s.to(m, fmt.Sprintf("* disconnected: you %s", reason))
	case ReasonServerEnded:
		s.to(m, "* the server has ended")
	}
	if m.gone { // there was no room for that
		return
	}
	m.gone = true
	s.members = slices.DeleteFunc(s.members, func(o *member) bool { return o == m })
	if m.name != "" {
		delete(s.names, names.Skeleton(m.name))
	}
	s.stats.Left[reason]++
	s.events.Emit(LeaveEvent{Client: m.addr, Name: m.name, Reason: reason, At: time.Now()})
	close(m.queue)
	if reason == ReasonSlow || reason == ReasonLost {
		m.abort()
	}
	if reason == ReasonLeft {
		s.toAll(fmt.Sprintf("* %s left", m), nil)
	} else if reason != ReasonServerEnded {
		s.toAll(fmt.Sprintf("* %s left: %s", m, reason), nil)
	}
}

// abort closes a connection at once and lets the system forget what it has not sent, which it would
// keep for minutes.
func (m *member) abort() {
	_ = m.tcp.SetLinger(0)
	_ = m.tcp.Close()
}

// write sends a client what is queued for it, several lines at once if they wait, and closes the
// connection.
func (s *Server) write(m *member) {
	var batch []byte
	for line := range m.queue {
		batch = append(batch[:0], line...)
		lines := uint64(1)
		for len(m.queue) > 0 && len(batch) < MaxLine {
			batch = append(batch, <-m.queue...)
			lines++
		}
		err := m.conn.SetWriteDeadline(time.Now().Add(s.cfg.WriteTimeout))
		if err == nil {
			_, err = m.conn.Write(batch)
		}
		s.mu.Lock()
		if err == nil {
			s.stats.Lines += lines
		} else {
			reason := ReasonLost
			if errors.Is(err, os.ErrDeadlineExceeded) {
				reason = ReasonSlow
			}
			s.removeLocked(m, reason) // closes the queue
			s.stats.Dropped += lines + uint64(len(m.queue))
			for range m.queue { // is empty then
			}
		}
		s.mu.Unlock()
	}
	// The peer then reads to the end, even where Close resets the connection since something came
	// that was not read.
	_ = closeWrite(m.conn)
	_ = m.conn.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget(m)
}

// forget makes room for another connection, with mu held.
func (s *Server) forget(m *member) {
	delete(s.open, m)
	if s.sources[m.addr.Addr()]--; s.sources[m.addr.Addr()] == 0 {
		delete(s.sources, m.addr.Addr())
	}
}
