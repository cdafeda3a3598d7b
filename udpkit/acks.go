package udpkit

import (
	"cmp"
	"errors"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/key"
)

// The reasons to refuse what is an acknowledgement.
var (
	errNotSent    = errors.New("it acknowledges a message that was never sent, or long ago")
	errOtherEpoch = errors.New("it acknowledges a message of another run: its epoch is wrong")
	errNoRoom     = errors.New("the table of clients is full")
	errTooOften   = errors.New("its address has asked for too many messages in this second")
	errShare      = errors.New("its address has its share of the table of clients")
)

// handleAck takes one datagram that came back.
func (s *Server) handleAck(d Datagram) {
	again, err := s.takeBack(d)
	s.heard(d, again, err)
}

// takeBack takes a datagram, or returns why not. It reports whether it is an acknowledgement that
// came again.
func (s *Server) takeBack(d Datagram) (again bool, err error) {
	content, err := s.open(d)
	if err != nil {
		return false, err
	}
	if q, ok := parseQuestion(content, len(d.Payload)); ok && s.ring != nil {
		return false, s.answer(q, d)
	}
	if s.control != nil {
		if c, ok := parseCommand(content, len(d.Payload)); ok {
			return false, s.obey(c, d)
		}
	}
	ack, err := decodeAck(content)
	s.mu.Lock()
	rtt := d.Received.Sub(s.sentAt[ack.id%sentRing])
	if err != nil {
		s.summary.Malformed++
		err = cmp.Or(key.Needed(content, key.Text), err)
	} else if again, err = s.takeAck(ack, d, rtt); err != nil {
		s.summary.RefusedAcks++
	}
	if err != nil {
		told := s.refused.Note(d.Source, err, d.Received)
		s.mu.Unlock()
		s.tellRefused(told)
		return false, err
	}
	tells := ack.clock != 0 && !again && s.tells(d)
	s.mu.Unlock()
	if tells {
		s.tellTime(ack.clock, d)
	}
	if again || s.cfg.OnEvent == nil {
		return again, nil // for which an event would be made in vain
	}
	s.sending.Lock()
	defer s.sending.Unlock()
	s.events.Emit(AckEvent{ClientID: string(ack.client), MessageID: ack.id, RTT: rtt, Client: d.Source, Proved: ack.epoch != 0, At: d.Received})
	return false, nil
}

// takeAck counts an acknowledgement, with mu held, or returns why not. It reports whether it came
// again.
func (s *Server) takeAck(ack rawAck, d Datagram, rtt time.Duration) (again bool, err error) {
	switch {
	case ack.epoch != 0 && ack.epoch != s.epoch:
		return false, errOtherEpoch
	case ack.id < s.cfg.FirstID || ack.id >= s.nextID || s.nextID-ack.id > sentRing:
		return false, errNotSent
	}
	idle := d.Received.Add(-max(time.Minute, 10*s.every))
	switch s.clients.ack(ack, d.Source, d.Received, rtt, idle) {
	case ackFull:
		return false, errNoRoom
	case ackShare:
		return false, errShare
	case ackAgain:
		s.summary.DuplicateAcks++
		return true, nil
	}
	if ack.epoch == 0 {
		s.summary.UnprovedAcks++
		return false, nil
	}
	s.summary.Acks++
	s.rtt.add(rtt)
	return false, nil
}

// Clients returns what is known of each client, ordered by id.
func (s *Server) Clients() []ClientInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	// A message counts as expected once its acknowledgement has had its time.
	settled := s.nextID - 1
	for ; settled > 0 && s.nextID-settled <= sentRing; settled-- {
		if time.Since(s.sentAt[settled%sentRing]) > s.cfg.AckWait {
			break
		}
	}
	return s.clients.list(settled)
}
