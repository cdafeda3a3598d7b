package udpkit

import "syscall"

// tryReader reads datagrams without waiting. It is for one goroutine.
//
// A socket of package net is bound to an I/O completion port, where a non-blocking read does not
// exist. So it asks WSAPoll with a timeout of zero first, and reads only if something is there.
type tryReader struct {
	session *session
	raw     syscall.RawConn
	look    func(fd uintptr)
	release func()

	fds   [1]pollFD
	ready int
	err   error
}

func newTryReader(s *session) (*tryReader, error) {
	raw, err := s.conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	r := &tryReader{session: s, raw: raw}
	r.look = func(fd uintptr) { // made once: a closure is an allocation
		r.fds[0] = pollFD{Fd: fd, Events: pollIn}
		r.ready, r.err = systemPoll(r.fds[:], 0)
	}
	// A datagram may go away between the look and the read (its checksum is wrong); the read would
	// then wait.
	r.release = s.interruptReads(s.ctx)
	return r, nil
}

func (r *tryReader) close() { r.release() }

// tryRead returns the next datagram, valid until the next call, or errWouldBlock if none is
// waiting.
func (r *tryReader) tryRead() (*Datagram, error) {
	if err := r.raw.Control(r.look); err != nil {
		return nil, err
	}
	if r.err != nil {
		return nil, r.err
	}
	if r.ready == 0 {
		return nil, errWouldBlock
	}
	return r.session.next(true)
}
