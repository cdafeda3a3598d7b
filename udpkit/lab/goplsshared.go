package lab

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

const (
	// goplsVariable names, in a kernel's environment, the socket that its gopls is reached by.
	goplsVariable = "UDPKIT_GOPLS"
	// goplsIdle is how long gopls keeps what it knows for a kernel after that has last asked, and
	// goplsLinger how long it stays when it knows nothing for any.
	goplsIdle   = 5 * time.Minute
	goplsLinger = 10 * time.Second
	goplsStarts = 20 * time.Second // on a busy machine
)

// goplsProgram is how gopls is started.
type goplsProgram struct {
	path         string
	environ      []string
	log          string        // of its latest start
	idle, linger time.Duration // goplsIdle and goplsLinger
}

// sharedGopls is the one gopls of a lab. It starts when a kernel asks something, and ends by itself
// when none has for a while, or when the lab is no more, however that ended. What the kernels ask
// goes through this process, so that none of it shows in a notebook.
type sharedGopls struct {
	program  goplsProgram
	dir      string       // of the sockets
	listener net.Listener // for the kernels

	mu      sync.Mutex
	process *process // nil until it is started
	conns   map[net.Conn]bool
	ended   bool
	kernels sync.WaitGroup
}

// shareGopls listens for kernels.
func shareGopls(program goplsProgram) (*sharedGopls, error) {
	// The name of a socket is limited to about 100 bytes: no place below the cache directory.
	dir, err := os.MkdirTemp("", "udpkit-lab-")
	if err != nil {
		return nil, fmt.Errorf("lab: share gopls: %w", err)
	}
	g := &sharedGopls{program: program, dir: dir, conns: map[net.Conn]bool{}}
	if g.listener, err = net.Listen("unix", g.address()); err != nil {
		os.RemoveAll(dir)
		return nil, fmt.Errorf("lab: share gopls: %w", err)
	}
	g.kernels.Go(func() {
		for {
			conn, err := g.listener.Accept()
			if err != nil {
				return
			}
			if !g.keep(conn) {
				continue
			}
			g.kernels.Go(func() {
				defer g.drop(conn)
				(&goplsKernel{shared: g, kernel: newLSPConn(conn), documents: map[string]document{}}).serve()
			})
		}
	})
	return g, nil
}

// address is the socket that the kernels connect to.
func (g *sharedGopls) address() string { return filepath.Join(g.dir, "kernels") }

// keep notes a connection that is to be closed at the end, and reports false if that has come.
func (g *sharedGopls) keep(conn net.Conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ended {
		conn.Close()
		return false
	}
	g.conns[conn] = true
	return true
}

func (g *sharedGopls) drop(conn net.Conn) {
	conn.Close()
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.conns, conn)
}

// dial connects to gopls, which it starts if it does not run.
func (g *sharedGopls) dial() (net.Conn, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	socket := filepath.Join(g.dir, "gopls")
	for deadline := time.Now().Add(goplsStarts); ; {
		if g.ended {
			return nil, errors.New("the lab ends")
		}
		if g.process != nil {
			conn, err := net.Dial("unix", socket)
			if err == nil {
				g.conns[conn] = true
				return conn, nil
			}
			select {
			case <-g.process.done:
				g.process.stop(func() {}, 0)
				g.process = nil
			default:
				if time.Now().After(deadline) {
					return nil, err
				}
				g.mu.Unlock() // the lab may end meanwhile
				time.Sleep(10 * time.Millisecond)
				g.mu.Lock()
				continue
			}
		}
		if err := g.start(socket); err != nil {
			return nil, err
		}
	}
}

// start starts gopls, which has left its socket behind if it was killed.
func (g *sharedGopls) start(socket string) error {
	os.Remove(socket)
	log, err := os.Create(g.program.log)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(g.program.path, "-listen", "unix;"+socket, "-listen.timeout", g.program.linger.String())
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = g.dir, slices.Clone(g.program.environ), log, log
	g.process, err = startProcess(cmd)
	return err
}

// end ends gopls and every connection.
func (g *sharedGopls) end() {
	g.listener.Close()
	g.mu.Lock()
	g.ended = true
	for conn := range g.conns {
		conn.Close()
	}
	if g.process != nil {
		g.process.stop(func() {}, 0)
	}
	g.mu.Unlock()
	g.kernels.Wait()
	os.RemoveAll(g.dir)
}
