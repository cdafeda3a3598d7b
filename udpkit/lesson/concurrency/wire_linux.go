package concurrency

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gonb-labs/udp-notebooks/udpkit/lesson/exercise"
)

// jobVariable holds the job of a program that is in the namespace.
const jobVariable = "UDPKIT_EXPERIMENT_JOB"

// ready reports whether Wire was called.
var ready atomic.Bool

// Wire has to be called first by a program that calls [Conversation] or [Weather]. They start the
// program a second time, in a network namespace of its own; there Wire does the job and ends the
// program. In the first one it does nothing.
func Wire() {
	ready.Store(true)
	text := os.Getenv(jobVariable)
	if text == "" {
		return
	}
	o := inside(text)
	if err := json.NewEncoder(os.Stdout).Encode(o); err != nil {
		os.Exit(1)
	}
	os.Exit(0)
}

// jobTime bounds a job: TCP may take its time where much is lost.
const jobTime = 30 * time.Second

// onWire starts this program again, in a network namespace of its own, to do the job there. It
// takes no privilege where the system allows user namespaces. The error wraps ErrNoWire where it
// does not.
func onWire(ctx context.Context, j job) (outcome, error) {
	if !ready.Load() { // or the second program would do all that this one does
		return outcome{}, errors.New("the program has to call concurrency.Wire() first")
	}
	text, err := json.Marshal(j)
	if err != nil {
		return outcome{}, err
	}
	program, err := os.Executable()
	if err != nil {
		return outcome{}, fmt.Errorf("%w: this program does not know itself: %w", ErrNoWire, exercise.Cause(err))
	}
	ctx, cancel := context.WithTimeout(ctx, jobTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, program)
	cmd.Env = append(os.Environ(), jobVariable+"="+string(text))
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	stdin, stay, err := os.Pipe() // it ends when this program does
	if err != nil {
		return outcome{}, exercise.Cause(err)
	}
	defer stay.Close() // nothing is written
	cmd.Stdin = stdin
	defer stdin.Close()
	out, err := cmd.Output()
	if ctx.Err() != nil {
		return outcome{}, context.Cause(ctx)
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return outcome{}, fmt.Errorf("%w: a network namespace: %w", ErrNoWire, exercise.Cause(err))
	}
	if err != nil {
		return outcome{}, fmt.Errorf("the program in the namespace failed: %w: %s", err, exit.Stderr)
	}
	var o outcome
	if err := json.Unmarshal(out, &o); err != nil {
		return o, fmt.Errorf("the program in the namespace said %.100q: %w", out, err)
	}
	return o, o.err()
}

// inside is all that the program in the namespace does.
func inside(text string) outcome {
	ctx, cancel := context.WithTimeout(context.Background(), jobTime)
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // blocks until the program that started this one has ended
		os.Exit(1)
	}()
	var j job
	if err := json.Unmarshal([]byte(text), &j); err != nil {
		return outcome{Error: err.Error()}
	}
	device, err := openTUN("wire0")
	if err != nil {
		return outcome{NoWire: err.Error()}
	}
	w := &wire{device: device}
	w.start(j)
	o, err := w.do(ctx, j)
	if err = errors.Join(err, w.cut()); err != nil {
		o.Error = err.Error()
	}
	return o
}

// openTUN makes a network card between near and far, on which this program is the wire:
// https://docs.kernel.org/networking/tuntap.html.
func openTUN(name string) (*os.File, error) {
	const device = "/dev/net/tun"
	fd, err := unix.Open(device, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", device, err)
	}
	request, err := unix.NewIfreq(name)
	if err == nil {
		request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
	}
	if err == nil {
		err = configure(name)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("a TUN device: %w", err), unix.Close(fd))
	}
	// Not earlier: the poller takes no file that is not a network card yet. It is non-blocking, so
	// that Close ends a Read.
	return os.NewFile(uintptr(fd), device), nil
}

// configure gives the card its addresses and switches it on: netdevice(7).
func configure(name string) error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	set := func(what uint, value []byte) error {
		request, err := unix.NewIfreq(name)
		if err == nil {
			err = request.SetInet4Addr(value)
		}
		if err == nil {
			err = unix.IoctlIfreq(s, what, request)
		}
		return err
	}
	if err := set(unix.SIOCSIFADDR, near.AsSlice()); err != nil {
		return err
	}
	if err := set(unix.SIOCSIFDSTADDR, far.AsSlice()); err != nil {
		return err
	}
	request, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, request)
}
