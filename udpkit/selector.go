package udpkit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"reflect"
	"sync"
	"syscall"
	"time"
)

// Events says for what a socket is ready.
type Events uint8

// The events. They may be combined: Readable|Writable.
const (
	// Readable: a read would not wait. It would return a datagram, a connection to accept, the end
	// of the stream or an error.
	Readable Events = 1 << iota
	// Writable: a write would not wait.
	Writable
)

// String returns "readable", "writable", "readable|writable" or "none".
func (e Events) String() string {
	switch e {
	case 0:
		return "none"
	case Readable:
		return "readable"
	case Writable:
		return "writable"
	case Readable | Writable:
		return "readable|writable"
	}
	return fmt.Sprintf("Events(%d)", uint8(e))
}

// Selector waits for several sockets at once, and calls back those that are ready: what Python's
// selectors module gives. It uses epoll(7) on Linux, kqueue(2) on macOS and the BSDs, WSAPoll on
// Windows and poll(2) elsewhere.
//
// It is level-triggered: a socket that was not read empty is ready again at the next Select.
// Readiness is a hint and no promise: a callback should read or write without waiting, since what
// made the socket ready may be gone.
//
// All methods may be called by any goroutine and by callbacks, except that a single Select runs at
// a time. A Selector holds descriptors: close it.
//
// Go programs seldom need it, as the runtime has a selector of its own under every blocking read.
// It is here to be looked at, and for handling many sockets on one goroutine without locks.
type Selector struct {
	poller poller

	mu        sync.Mutex
	closed    bool // no more calls
	selecting bool // a Select runs, and releases the poller itself if closed
	released  bool // the poller is gone
	byConn    map[syscall.Conn]*registration
	byFD      map[uintptr]*registration // a registration that lost its descriptor is only in byConn

	// Owned by the running Select.
	found   []readiness
	ready   []*registration
	done    <-chan struct{} // of the context that is being watched
	unwatch func() bool
}

// registration is what Register was told.
type registration struct {
	raw      syscall.RawConn
	fd       uintptr
	events   Events
	callback func(Events)
	ready    Events // what the running Select found
}

// poller is the operating system's part of a Selector. add and remove may be called while wait
// runs, and take effect in it. A poller may report a descriptor that has been removed meanwhile.
type poller interface {
	add(fd uintptr, events Events) error
	remove(fd uintptr, events Events)
	// wait appends what is ready to found, or nothing after the timeout, after wake, or for no
	// reason. A negative timeout is forever. Hang-up and error are reported as all events.
	wait(timeout time.Duration, found []readiness) ([]readiness, error)
	// wake makes a wait return that runs or else the next one.
	wake()
	close() error
}

// readiness is one result of a poller.
type readiness struct {
	fd     uintptr
	events Events
}

var (
	errSelectorClosed = fmt.Errorf("selector closed: %w", net.ErrClosed)
	errSelectorBusy   = errors.New("selector is busy with another Select")
)

// NewSelector returns a selector without sockets. It fails if the process has no descriptors left.
func NewSelector() (*Selector, error) {
	poller, err := newPoller()
	if err != nil {
		return nil, fmt.Errorf("new selector: %w", err)
	}
	return newSelector(poller), nil
}

func newSelector(poller poller) *Selector {
	return &Selector{
		poller:  poller,
		byConn:  make(map[syscall.Conn]*registration),
		byFD:    make(map[uintptr]*registration),
		unwatch: func() bool { return true },
	}
}

// Register adds a socket: a *net.UDPConn, *net.TCPListener, *os.File of a pipe, or whatever else
// has a descriptor that the system can wait for. From now on Select calls callback, on its own
// goroutine, with those of the events for which conn is ready. An error or a hang-up counts as all
// the events asked for, so that the next read or write meets it. A Select that is already waiting
// takes the new socket into account.
//
// Registering the same conn again is an error; Unregister it first to change something. The
// selector does not keep conn open. Unregister conn before closing it: a closed socket has no more
// events and does not wake up Select.
func (s *Selector) Register(conn syscall.Conn, events Events, callback func(Events)) error {
	if events == 0 || events&^(Readable|Writable) != 0 || callback == nil {
		return fmt.Errorf("register: events %v: need Readable, Writable or both, and a callback", events)
	}
	if conn == nil || !reflect.ValueOf(conn).Comparable() {
		return fmt.Errorf("register: a %T cannot be told from others", conn)
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return fmt.Errorf("register: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errSelectorClosed
	}
	if _, ok := s.byConn[conn]; ok {
		return errors.New("register: the socket is registered already")
	}
	controlErr := raw.Control(func(fd uintptr) {
		if old := s.byFD[fd]; old != nil {
			if old.alive() {
				err = errors.New("the descriptor is registered already")
				return
			}
			s.forget(old) // its socket was closed, and the number is in use again
		}
		if err = s.poller.add(fd, events); err == nil {
			r := &registration{raw: raw, fd: fd, events: events, callback: callback}
			s.byConn[conn], s.byFD[fd] = r, r
		}
	})
	if err := cmp.Or(controlErr, err); err != nil {
		return fmt.Errorf("register: %w", err)
	}
	return nil
}

// Unregister removes a socket, which may be closed already. Its callback is not called any more,
// except for a call that is running on another goroutine just now. It is an error if conn is not
// registered.
func (s *Selector) Unregister(conn syscall.Conn) error {
	if conn == nil || !reflect.ValueOf(conn).Comparable() {
		return fmt.Errorf("unregister: a %T cannot be registered", conn)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errSelectorClosed
	}
	r := s.byConn[conn]
	if r == nil {
		return errors.New("unregister: the socket is not registered")
	}
	delete(s.byConn, conn)
	// Inside Control the descriptor is still that of conn. If conn is closed, then there is nothing
	// to remove from epoll and kqueue, which forget closed descriptors.
	if err := r.raw.Control(func(uintptr) { s.forget(r) }); err != nil {
		s.forget(r)
	}
	return nil
}

// forget ends the delivery of events, if r still has its descriptor. s.mu is held.
func (s *Selector) forget(r *registration) {
	if s.byFD[r.fd] == r {
		delete(s.byFD, r.fd)
		s.poller.remove(r.fd, r.events)
	}
}

// alive reports whether the socket is still open.
func (r *registration) alive() bool {
	return r.raw.Control(func(uintptr) {}) == nil
}

// Select waits until a socket is ready, and calls the callbacks of those that are, each once. It
// returns how many it called: 0 after the timeout. A negative timeout means no limit, and a timeout
// of 0 does not wait at all.
//
// It returns context.Cause(ctx) once ctx has ended and an error that is net.ErrClosed after Close;
// both also end a running Select, after the callback that is running at that time. A second Select
// at the same time is an error.
func (s *Selector) Select(ctx context.Context, timeout time.Duration) (int, error) {
	if err := s.enter(); err != nil {
		return 0, err
	}
	defer s.leave()
	s.watch(ctx)
	var deadline time.Time
	if timeout > 0 {
		deadline = time.Now().Add(timeout)
	}
	for {
		if err := s.stopped(ctx); err != nil {
			return 0, err
		}
		found, err := s.poller.wait(timeout, s.found[:0])
		s.found = found
		if err != nil {
			return 0, fmt.Errorf("select: %w", err)
		}
		if called, err := s.dispatch(ctx); called > 0 || err != nil {
			return called, err
		}
		if timeout > 0 {
			timeout = max(time.Until(deadline), 0)
		} else if timeout == 0 {
			return 0, s.stopped(ctx)
		}
	}
}

// dispatch calls the callbacks for what the poller found.
func (s *Selector) dispatch(ctx context.Context) (called int, err error) {
	// First look up all registrations: a callback may close sockets and register others that get
	// their numbers.
	s.mu.Lock()
	s.ready = s.ready[:0]
	for _, found := range s.found {
		r := s.byFD[found.fd]
		switch {
		case r == nil || found.events&r.events == 0:
		case !r.alive():
			s.forget(r)
		default:
			if r.ready == 0 {
				s.ready = append(s.ready, r)
			}
			r.ready |= found.events & r.events
		}
	}
	s.mu.Unlock()
	defer func() { // also after a panic
		for _, r := range s.ready {
			r.ready = 0
		}
		clear(s.ready)
	}()
	for _, r := range s.ready {
		if err := s.stopped(ctx); err != nil {
			return called, err
		}
		if s.registered(r) {
			called++
			r.callback(r.ready)
		}
	}
	return called, nil
}

func (s *Selector) registered(r *registration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byFD[r.fd] == r
}

// stopped returns why Select must not go on, nil if it may.
func (s *Selector) stopped(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return errSelectorClosed
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return nil
}

// watch makes the end of ctx wake up the poller. The watcher stays for the next Select, which most
// often has the same context: setting it up costs more than the rest of a Select.
func (s *Selector) watch(ctx context.Context) {
	if ctx.Done() == s.done {
		return
	}
	s.unwatch()
	s.done = ctx.Done()
	s.unwatch = context.AfterFunc(ctx, s.wake)
}

func (s *Selector) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.released {
		s.poller.wake()
	}
}

func (s *Selector) enter() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return errSelectorClosed
	case s.selecting:
		return errSelectorBusy
	}
	s.selecting = true
	return nil
}

func (s *Selector) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.selecting = false
	if s.closed {
		s.release()
	}
}

// Close releases the selector, and leaves the sockets alone. A running Select ends with an error
// that is net.ErrClosed; Close does not wait for it, so that a callback may call it. Closing again
// does nothing.
func (s *Selector) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	if s.selecting {
		s.poller.wake() // and Select releases
		return nil
	}
	return s.release()
}

// release gives the poller's descriptors back. s.mu is held and no Select runs.
func (s *Selector) release() error {
	s.released = true
	s.unwatch()
	clear(s.byConn)
	clear(s.byFD)
	return s.poller.close()
}
