//go:build unix

package udpkit

// tryReader reads datagrams without ever waiting. It is for one goroutine.
type tryReader struct{ session *session }

func newTryReader(s *session) (*tryReader, error) { return &tryReader{session: s}, nil }

func (r *tryReader) close() {}

// tryRead returns the next datagram, valid until the next call, or errWouldBlock if none is
// waiting.
func (r *tryReader) tryRead() (*Datagram, error) { return r.session.next(false) }
