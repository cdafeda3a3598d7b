package relaying

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/gonb-labs/udp-notebooks/udpkit/lesson/exercise"
	"github.com/gonb-labs/udp-notebooks/udpkit/record"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay/store/sqlite"
)

// serverVariable tells a program that Try has started it, and what to do: "address directory", and
// behind that the file to record to, if any.
const serverVariable = "UDPKIT_LESSON_RELAY_SERVER"

// IsServer reports whether Try of another process has started this one, to call RunServer.
func IsServer() bool { return os.Getenv(serverVariable) != "" }

// RunServer runs a relay's server as Try says that has started this program. It ends with its
// standard input, which that holds, so that it never outlives it.
func RunServer(ctx context.Context) (err error) {
	words := strings.SplitN(os.Getenv(serverVariable), "\n", 3)
	if len(words) < 3 {
		return errors.New("only Try starts this server")
	}
	address, err := netip.ParseAddrPort(words[0])
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	cfg := relay.ServerConfig{Listen: address}
	if words[2] != "" {
		file, err := record.Create(words[2])
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		cfg.Record = file
	}
	log, err := sqlite.Open(ctx, sqlite.Config{Dir: words[1]})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	cfg.Log = log
	server, err := relay.NewServer(cfg)
	if err != nil {
		return err
	}
	defer server.Close()
	fmt.Println(server.Addr())
	return server.Run(ctx)
}

// process is a server that runs as a process of its own.
type process struct {
	address netip.AddrPort
	cmd     *exec.Cmd
	stdin   io.Closer
	stderr  bytes.Buffer
}

// startServer starts this program again as a server, and returns once it listens.
func startServer(listen netip.AddrPort, dir, recording string) (*process, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("cannot start the server: %w", exercise.Cause(err))
	}
	p := &process{cmd: exec.Command(program)}
	p.cmd.Dir = dir
	p.cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s\n%s\n%s", serverVariable, listen, dir, recording))
	p.cmd.Stderr = &p.stderr
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start the server: %w", exercise.Cause(err))
	}
	line, _ := bufio.NewReader(stdout).ReadString('\n')
	if p.address, err = netip.ParseAddrPort(strings.TrimSpace(line)); err != nil {
		return nil, errors.Join(errors.New("the server did not start"), p.end())
	}
	return p, nil
}

// kill ends it in the middle of whatever it does.
func (p *process) kill() error {
	if err := p.cmd.Process.Kill(); err != nil {
		return fmt.Errorf("cannot kill the server: %w", err)
	}
	_ = p.cmd.Wait() // says that it was killed
	return nil
}

// end has it end, and waits for that.
func (p *process) end() error {
	_ = p.stdin.Close()
	if err := p.cmd.Wait(); err != nil {
		return fmt.Errorf("the server: %w: %s", err, strings.TrimSpace(p.stderr.String()))
	}
	return nil
}

// recording returns the name of a role's recording in a directory, "" if there is none.
func recording(dir, role string) string {
	if dir == "" {
		return ""
	}
	return filepath.Join(dir, role+".pcapng")
}
