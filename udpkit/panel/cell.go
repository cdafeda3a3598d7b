package panel

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/janpfeifer/gonb/gonbui/protocol"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/console"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/lastly"
)

// Main is what a notebook's cell does: it applies the environment to the flags (see
// [FlagsFromEnv]), gives run a context that an interrupt ends, and if there is an error prints it
// and ends the program with status 1.
func Main(run func(ctx context.Context) error) {
	ctx, _ := Interrupt() // until the end: a signal that comes twice is no failure
	err := FlagsFromEnv()
	if err == nil {
		err = run(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// oneKeyPress is how long after the first signal others are taken for the same one: the terminal
// sends Ctrl-C to all programs in it, and "go tool", timeout and others send on what they get.
const oneKeyPress = 500 * time.Millisecond

// Interrupt returns a context that an interrupt (the notebook's ■, Ctrl-C), SIGTERM or SIGHUP (the
// terminal is closed) ends. An interrupt or SIGTERM that comes later than half a second after it
// ends the program, whatever it is doing, and so does SIGQUIT (Ctrl-\) at any time; programs that
// it has started end before it. SIGHUP does not: a terminal and its shell both send it. If it is
// ignored, as nohup has it, that is left so.
func Interrupt() (context.Context, context.CancelFunc) {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGQUIT}
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	got := make(chan os.Signal, 16)
	signal.Notify(got, signals...)
	ctx, cancel := context.WithCancelCause(context.Background())
	stopped := make(chan struct{})
	go func() {
		var first time.Time
		for {
			select {
			case <-stopped:
				return
			case s := <-got:
				switch {
				case s == syscall.SIGQUIT:
					endAtOnce(s)
				case first.IsZero():
					first = time.Now()
					cancel(fmt.Errorf("%v signal received", s))
				case s != syscall.SIGHUP && time.Since(first) >= oneKeyPress:
					endAtOnce(s)
				}
			}
		}
	}()
	return ctx, sync.OnceFunc(func() {
		signal.Stop(got)
		close(stopped)
		cancel(nil)
	})
}

// endAtOnce ends the program as the signal does by itself, after all that it has started.
func endAtOnce(s os.Signal) {
	lastly.End()
	signal.Reset(s)
	if self, err := os.FindProcess(os.Getpid()); err == nil && self.Signal(s) == nil {
		time.Sleep(time.Second)
	}
	os.Exit(1) // there are no such signals on Windows
}

// Output returns a writer to out, such as os.Stdout, for a program that ends with ctx. Until then a
// write waits for as long as nobody takes what is written; after it for 1.5 s in all, and what is
// left is lost, which the error says: a pipe that nobody reads holds up no end. Each role does that
// with its output.
func Output(ctx context.Context, out io.Writer) io.Writer { return console.NewOutput(ctx, out) }

// FlagsFromEnv sets each flag of flag.CommandLine whose environment variable is set: for
// max-messages that is UDPKIT_MAX_MESSAGES. Nothing else can hand a parameter to a Go notebook that
// runs unattended. Call it after flag.Parse, which a cell's %% does. The error names the variable
// and its value.
func FlagsFromEnv() (failure error) {
	flag.VisitAll(func(f *flag.Flag) {
		if failure == nil {
			_, failure = FlagFromEnv(f.Name, f.Usage, func(value string) error { return flag.Set(f.Name, value) })
		}
	})
	return failure
}

// FlagFromEnv calls set with the value of a flag's environment variable, as FlagsFromEnv does it,
// and returns the variable's name, "" if it is not set.
func FlagFromEnv(name, usage string, set func(value string) error) (variable string, err error) {
	variable = "UDPKIT_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
	value, ok := os.LookupEnv(variable)
	if !ok {
		return "", nil
	}
	if err := set(value); err != nil {
		return variable, fmt.Errorf("the environment variable %s has the value %q, which is no --%s (%s): %w", variable, value, name, usage, err)
	}
	return variable, nil
}

// Flag defines a flag of any type that has a parser, such as udpkit.ParseTargets. If the default
// itself cannot be parsed, it says so and ends the program with status 2, as flag.Parse does with a
// bad argument.
func Flag[T any](name, value, usage string, parse func(string) (T, error)) *T {
	v := new(T)
	set := func(text string) error {
		parsed, err := parse(text)
		if err == nil {
			*v = parsed
		}
		return err
	}
	if err := set(value); err != nil {
		fmt.Fprintf(flag.CommandLine.Output(), "the default %q of --%s: %v\n", value, name, err)
		os.Exit(2)
	}
	flag.Func(name, usage, set)
	flag.Lookup(name).DefValue = value
	return v
}

// ParsePort reads the number of a UDP port that one can name: 1 to 65535.
func ParsePort(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("port %q is not a number from 1 to 65535", s)
	}
	return uint16(n), nil
}

// ParseLines reads the lines of a text, as an environment variable holds them, for what a role says
// where nobody types. There is no error; Flag wants one.
func ParseLines(text string) ([]string, error) {
	if text == "" {
		return nil, nil
	}
	return strings.Split(text, "\n"), nil
}

// ServerAddress is the address of the server that a client's notebook uses by default: the one that
// "udpkit lab --join HOST" names, or this machine.
func ServerAddress() string { return cmp.Or(os.Getenv("UDPKIT_SERVER_ADDRESS"), "127.0.0.1") }

// SessionFile returns the path of a file that all cells of a notebook share and no other notebook
// does; it is gone when the kernel ends or starts again. Outside of GoNB it is in os.TempDir.
func SessionFile(name string) string {
	dir := os.Getenv(protocol.GONB_TMP_DIR_ENV)
	if dir == "" {
		dir = os.TempDir()
	}
	return filepath.Join(dir, name)
}
