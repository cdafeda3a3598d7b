package udpkit

// The purposes of what is signed: messages, what clients send to a server, and its replies to
// commands, and the time by its clock.
const (
	statusPurpose = "status"
	answerPurpose = "answer"
	replyPurpose  = "reply"
	timePurpose   = "time"
)

// open returns what a client has sent. What no holder of the key has sent, it refuses.
func (s *Server) open(d Datagram) ([]byte, error) {
	if s.opener == nil { // for which nothing has to be locked
		return d.Payload, nil
	}
	s.mu.Lock()
	content, err := s.opener.Open(d.Payload, d.Received)
	if err == nil {
		s.mu.Unlock()
		return content, nil
	}
	told := s.refused.Note(d.Source, err, d.Received)
	s.mu.Unlock()
	s.tellRefused(told)
	return nil, err
}
