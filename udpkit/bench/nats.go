package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/measure"
)

// findNATS looks for the program nats-server: one that is installed, or else that of this module,
// where its source and the Go tool are at hand.
func (r *runner) findNATS(ctx context.Context) (found bool) {
	path, err := lookPath("nats-server")
	if err != nil {
		r.cfg.Progress("building nats-server", 0, 0)
		var said bytes.Buffer
		tool := exec.CommandContext(ctx, "go", "tool", "-n", "nats-server") // builds it, and prints where it is
		tool.Stderr = &said
		out, failed := tool.Output()
		if path = strings.TrimSpace(string(out)); failed != nil {
			r.missing(natsCore, fmt.Errorf("%w, and go tool nats-server, which works in this module, fails: %w: %s", err, failed, lastLine(said.Bytes())))
			return false
		}
	}
	r.nats, r.report.Machine.NATS = []string{path}, version(ctx, path)
	return true
}

// serveNATS starts a NATS server with the settings that it has by default, or with JetStream, which
// syncs each message. It writes its port into dir.
func (r *runner) serveNATS(ctx context.Context, dir string, jetStream bool) (server *process, at ready, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, at, err
	}
	args := []string{"--addr", "127.0.0.1", "--port", "-1", "--ports_file_dir", dir, "--log", os.DevNull}
	if jetStream {
		config := filepath.Join(dir, "config")
		text := fmt.Appendf(nil, "jetstream { store_dir: %q, sync_interval: always }\n", dir)
		if err := os.WriteFile(config, text, 0o600); err != nil {
			return nil, at, err
		}
		args = append(args, "--config", config)
	}
	server, err = r.start(ctx, 0, r.nats, args...)
	if err != nil {
		return nil, at, err
	}
	starting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	go func() { // if it ends there is nothing to wait for
		_, _ = server.out.ReadByte()
		cancel()
	}()
	for measure.Sleep(starting, 5*time.Millisecond) {
		names, _ := filepath.Glob(filepath.Join(dir, "*.ports"))
		var ports struct{ NATS []string }
		for _, name := range names {
			text, _ := os.ReadFile(name)
			_ = json.Unmarshal(text, &ports) // it may not be whole yet
		}
		if len(ports.NATS) > 0 {
			addr, err := netip.ParseAddrPort(strings.TrimPrefix(ports.NATS[0], "nats://"))
			return server, ready{addr.Port()}, err
		}
	}
	return nil, at, server.explain(errors.New("the NATS server does not get ready"))
}
