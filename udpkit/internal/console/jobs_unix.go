//go:build unix

package console

import (
	"errors"
	"io"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"
)

// lookAgain is how often a program in the background looks whether it is in the foreground. No
// signal tells it.
const lookAgain = 200 * time.Millisecond

// InForeground reports whether a terminal is this program's to draw on and to read from. It is not
// after the shell's & or bg.
func InForeground(terminal *os.File) bool {
	var group int
	var failed error
	if !withFd(terminal, func(fd int) { group, failed = unix.IoctlGetInt(fd, unix.TIOCGPGRP) }) {
		return true // closed, as whoever uses it will learn
	}
	return failed != nil || group == unix.Getpgrp() // it fails if no shell has divided the terminal among jobs
}

// awaitForeground returns when a terminal is this program's. The system stops a program that reads
// from a terminal in the background, unless it ignores that.
func awaitForeground(terminal *os.File) {
	signal.Ignore(unix.SIGTTIN)
	for !InForeground(terminal) {
		time.Sleep(lookAgain)
	}
}

// leftForeground reports whether a read from a terminal has failed because the program is in the
// background.
func leftForeground(terminal *os.File, err error) bool {
	return errors.Is(err, unix.EIO) && !InForeground(terminal)
}

// keys reads a terminal while the program is in the foreground.
type keys struct{ *os.File }

func (k keys) Read(p []byte) (int, error) {
	for {
		awaitForeground(k.File)
		n, err := k.File.Read(p)
		if !leftForeground(k.File, err) {
			return n, err
		}
	}
}

// Keys returns a reader of in that waits while in is a terminal and the program in its background,
// rather than to be stopped.
func Keys(in io.Reader) io.Reader {
	if !IsTerminal(in) {
		return in
	}
	return keys{in.(*os.File)}
}

// suspend stops the program as the terminal does it for Ctrl-Z.
func suspend() { stop(unix.SIGTSTP) }

// StopInBackground stops a program that is in the background of the terminal in, as the system does
// when it reads from there, and returns when it goes on. It is for those that can do nothing before
// somebody has typed.
func StopInBackground(in io.Reader) {
	if keys, ok := Keys(in).(keys); ok && !InForeground(keys.File) {
		stop(unix.SIGTTIN)
	}
}

// stop stops the program with a signal, with all that the shell has started together with it, and
// returns when it goes on.
func stop(with unix.Signal) {
	goesOn := make(chan os.Signal, 1)
	signal.Notify(goesOn, unix.SIGCONT)
	defer signal.Stop(goesOn)
	if unix.Kill(0, with) != nil {
		return
	}
	select {
	case <-goesOn:
	case <-time.After(lookAgain): // without a shell that knows of jobs nothing stops
	}
}
