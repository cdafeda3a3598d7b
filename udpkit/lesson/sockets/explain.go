package sockets

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"syscall"
)

// Explain prints what became of an attempt: that it worked, or the error, what it means, and what
// one can do.
func Explain(attempt string, err error) { explain(os.Stdout, attempt, err) }

func explain(out io.Writer, attempt string, err error) {
	if err == nil {
		fmt.Fprintf(out, "✓ %s: no error\n", attempt)
		return
	}
	fmt.Fprintf(out, "✗ %s: %v\n", attempt, err)
	if text := meaning(err); text != "" {
		fmt.Fprintf(out, "  This means: %s\n", text)
	}
}

// meaning returns what an error of a socket means; "" if beginners do not meet it.
func meaning(err error) string {
	var number syscall.Errno
	is := func(list []syscall.Errno) bool { return errors.As(err, &number) && slices.Contains(list, number) }
	switch {
	case errors.Is(err, net.ErrClosed):
		return "the socket was closed before, by this program itself. Whoever closes a socket must know who still uses it."
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "nothing came in time. It may be lost, late, or never sent: from here nobody can tell."
	case errors.Is(err, io.EOF):
		return "the other side has closed the connection, and everything that it sent has been read."
	case is(taken):
		return "another socket has this address and port. Choose another port, or 0 for any that is free."
	case is(refused):
		return "the machine is there, but no socket has this port. Is the server running, and is the port right?"
	case is(tooLong):
		return "the datagram is longer than what is possible, and none of it was sent. Send less, or several."
	}
	return ""
}
