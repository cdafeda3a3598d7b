package udpkit

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/udp"
	"github.com/gonb-labs/udp-notebooks/udpkit/key"
)

const (
	// changesKept is how many changes by commands are remembered, with their replies, and keepFor
	// for how long at least: longer than a command that is held back can be believed, by clocks
	// that are wrong within MaxAge.
	changesKept = 1024
	keepFor     = 4 * key.MaxAge
)

var (
	errOtherCommand = errors.New("it is a command for another run: its epoch is wrong")
	errEnding       = errors.New("the server is ending")
	errManyChanges  = fmt.Errorf("%d commands have changed something within %v: wait", changesKept, keepFor)
	errOtherList    = errors.New("the list of clients was asked for anew meanwhile")
)

// control is what a server with a key keeps of commands, guarded by Server.sending.
type control struct {
	sender  *key.Sender
	changes map[Epoch]reply // by nonce
	order   []change        // oldest first
	list    Epoch           // the nonce of the command that asked for the list of clients
	pages   [][]json.RawMessage
}

type change struct {
	nonce Epoch
	at    time.Time
}

func newControl(s *key.Sender) *control {
	return &control{sender: s, changes: make(map[Epoch]reply)}
}

// room reports whether a change can be remembered. It forgets the oldest one for it.
func (c *control) room(now time.Time) bool {
	if len(c.order) < changesKept {
		return true
	}
	if now.Sub(c.order[0].at) < keepFor {
		return false
	}
	delete(c.changes, c.order[0].nonce)
	c.order = append(c.order[:0], c.order[1:]...)
	return true
}

// pageRoom is how many bytes of a reply a page of clients may take. The rest is the nonce and the
// names of the fields.
func (c *control) pageRoom() int { return MaxMessageSize - c.sender.Overhead() - 64 }

// obey executes a command, once, and answers it, each time that it comes, or returns why not.
func (s *Server) obey(c command, d Datagram) error {
	err := udp.CheckPeer(d.Source)
	if err == nil && c.epoch != s.epoch && (c.epoch != 0 || c.verb != verbStatus) {
		err = errOtherCommand
	}
	if err != nil {
		s.mu.Lock()
		s.summary.RefusedAcks++
		told := s.refused.Note(d.Source, err, d.Received)
		s.mu.Unlock()
		s.tellRefused(told)
		return err
	}
	s.sending.Lock() // what a command changes is sent after its reply and its event
	defer s.sending.Unlock()
	r, known := s.control.changes[c.nonce]
	if !known {
		r = s.execute(c, d)
	}
	content := r.append(nil, c.nonce)
	if len(content)+s.control.sender.Overhead() > MaxMessageSize { // by an error that quotes much
		content = reply{Error: "it cannot be done"}.append(nil, c.nonce)
	}
	s.write(s.control.sender.Datagram(content), []udp.Target{{Path: udp.Path{To: d.Source}}}, func(_ udp.Target, err error) {
		if err != nil {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.summary.SendErrors++
		}
	})
	return nil
}

// execute does what a command says, with sending held.
func (s *Server) execute(c command, d Datagram) (r reply) {
	s.mu.Lock()
	s.summary.Commands++
	ending := s.stopped || s.ended
	s.mu.Unlock()
	var err error
	switch c.verb {
	case verbStatus:
		return reply{Status: s.status()}
	case verbClients:
		return s.page(c)
	case verbState, verbInterval, verbStop:
		switch {
		case ending && c.verb != verbStop:
			err = errEnding
		case !s.control.room(d.Received):
			err = errManyChanges
		default:
			err = s.do(c)
		}
	default:
		err = fmt.Errorf("the server knows no command %.20q", c.verb)
	}
	if err != nil {
		return reply{Error: err.Error()}
	}
	s.events.Emit(CommandEvent{Verb: c.verb, Argument: c.argument, From: d.Source, At: d.Received})
	r = reply{Status: s.status()}
	s.control.changes[c.nonce] = r
	s.control.order = append(s.control.order, change{c.nonce, d.Received})
	return r
}

// do changes what a command says.
func (s *Server) do(c command) error {
	switch c.verb {
	case verbState:
		if c.argument == auto {
			return s.SetState("")
		}
		if err := State(c.argument).check(); err != nil { // "" is none here
			return err
		}
		return s.SetState(State(c.argument))
	case verbInterval:
		interval, err := time.ParseDuration(c.argument)
		if err != nil {
			return fmt.Errorf("the interval %.20q is no time such as 2s", c.argument)
		}
		return s.SetInterval(interval)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	s.change()
	return nil
}

func (s *Server) status() *ControlStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	status := &ControlStatus{
		Epoch: s.epoch, State: s.said, Interval: s.every, LastID: s.nextID - 1, Clients: s.clients.len(), Runtime: s.life.Time(),
	}
	if s.fixed != "" {
		status.State, status.ByHand = s.fixed, true
	}
	return status
}

// page answers the verb clients. The pages are those of the list as it was when the first one was
// asked for.
func (s *Server) page(c command) reply {
	page, list, ok := parsePage(c.argument)
	if !ok {
		return reply{Error: fmt.Sprintf("%.20q is no page", c.argument)}
	}
	k := s.control
	if page == 1 {
		k.list, k.pages = c.nonce, pagesOf(s.Clients(), k.pageRoom())
	} else if k.list != list {
		return reply{Error: errOtherList.Error()}
	}
	if len(k.pages) == 0 && page == 1 {
		return reply{}
	}
	if page < 1 || page > len(k.pages) {
		return reply{Error: fmt.Sprintf("there is no page %d", page)}
	}
	return reply{Pages: len(k.pages), Page: k.pages[page-1]}
}
