package lab

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit"
)

// BenchmarkRunCell measures in the real kernel how long it takes from Run to the end of a
// hello-world cell, to the client notebook's first datagram, and to the server notebook's first
// message; and, for what can be hoped for at best, to the end of cells that show HTML with gonbui,
// that also open a socket, and that do both without gonbui's own imports, by the kernel's pipe.
// Every cell is new to the compiler, as it is in a notebook that was just opened, and what it
// imports is not. The ratios are medians of those within one round. On Linux only, since it asks
// date for nanoseconds.
//
//	go test ./udpkit/lab -run '^$' -bench RunCell -benchtime 1x
func BenchmarkRunCell(b *testing.B) {
	const rounds = 11
	env := realSetup(b)
	dir := b.TempDir()
	port, err := freeUDPPort()
	require.NoError(b, err)
	// Far more messages than the client needs, so that waiting for the next one hardly counts.
	server, err := udpkit.NewServer(udpkit.ServerConfig{
		Port: uint16(port), Interval: 10 * time.Millisecond,
		Targets: udpkit.ListTargets(netip.AddrPortFrom(netip.MustParseAddr("127.255.255.255"), uint16(port))),
	})
	require.NoError(b, err)
	ctx, stop := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	defer func() {
		stop()
		require.NoError(b, <-ended)
		require.NoError(b, server.Close())
	}()

	const now = "\nfmt.Println(time.Now().UnixNano())"
	const show = "\ngonbui.DisplayHTML(\"hello\")\ngonbui.Sync()"
	const listen = "\nnet.ListenUDP(\"udp4\", nil)"
	const gonbui = "github.com/janpfeifer/gonb/gonbui"
	const pipe = "\npipe, _ := os.OpenFile(os.Getenv(protocol.GONB_PIPE_ENV), os.O_WRONLY, 0)\n" +
		"gob.NewEncoder(pipe).Encode(&protocol.DisplayData{Data: map[protocol.MIMEType]any{protocol.MIMETextHTML: \"hello\"}})"
	clientBefore, clientRun := roleCells(b, env, clientNotebook)
	serverBefore, serverRun := roleCells(b, env, serverNotebook)
	kinds := []struct {
		name   string
		before []string // cells
		run    string
	}{
		{"hello", nil, "%%" + now},
		{"gonbui", []string{`import "` + gonbui + `"`}, "%%" + show + now},
		{"gonbui+socket", []string{`import "` + gonbui + `"`}, "%%" + listen + show + now},
		{"pipe+socket", []string{`import "` + gonbui + `/protocol"`}, "%%" + listen + pipe + now},
		{"client", clientBefore, clientRun},
		{"server", serverBefore, serverRun},
	}
	took := map[string][]float64{}
	for b.Loop() {
		var cells, measured []string // measured is the name of the kind, or "" for what only prepares
		add := func(name, source string) { cells, measured = append(cells, source), append(measured, name) }
		history := func(cell int) string { return filepath.Join(dir, fmt.Sprint(cell, ".jsonl")) }
		for round := range rounds {
			for _, k := range kinds {
				add("", "%reset\n%goworkfix\n%autoget")
				for _, source := range k.before {
					add("", source)
				}
				for i, name := range []string{"", k.name} { // the first run warms up
					add(name, fmt.Sprintf("!date +%%s%%N\nconst unique = %d\n%s", 2*round+i,
						strings.Replace(k.run, historyFile, history(len(cells)), 1)))
				}
			}
		}
		in, out := filepath.Join(dir, "in.ipynb"), filepath.Join(dir, "out.ipynb")
		writeNotebook(b, in, cells...)
		require.NoError(b, env.Execute(ctx, in, out, "UDPKIT_PORT="+strconv.Itoa(port), "UDPKIT_TARGET=127.255.255.255",
			"UDPKIT_MAX_MESSAGES=1"))
		for i, printed := range printedTimes(b, out) {
			if measured[i] == "" {
				continue
			}
			// The role cells print nothing themselves; their journals tell.
			if file, err := os.Open(history(i)); err == nil {
				for e := range udpkit.ReadJournal(file) {
					switch e := e.(type) {
					case udpkit.MessageEvent:
						printed = append(printed, e.ReceivedAt)
					case udpkit.SentEvent:
						printed = append(printed, e.At)
					}
				}
				require.NoError(b, file.Close())
			}
			require.Len(b, printed, 2, cells[i])
			took[measured[i]] = append(took[measured[i]], printed[1].Sub(printed[0]).Seconds())
		}
	}
	b.ReportMetric(0, "ns/op") // is of no interest
	for _, k := range kinds {
		var ratios []float64
		for i, t := range took[k.name] {
			ratios = append(ratios, t/took["hello"][i])
		}
		b.ReportMetric(1000*median(took[k.name]), k.name+"-ms")
		if k.name != "hello" {
			b.ReportMetric(median(ratios), k.name+"/hello")
		}
	}
}

const historyFile = "HISTORY" // where a cell has the name of the file

// roleCells returns the code cells of a notebook up to the one that runs its role, and that one.
func roleCells(b *testing.B, env *Env, notebook string) (before []string, run string) {
	b.Helper()
	for _, c := range readCells(b, filepath.Join(env.Notebooks, notebook)) {
		if c.Type != "code" {
			continue
		}
		source := strings.Join(c.Source, "")
		if strings.Contains(source, "panel.Main(client)") || strings.Contains(source, "panel.Main(server)") {
			return before, strings.Replace(source, "%%", "%% --history="+historyFile, 1)
		}
		before = append(before, source)
	}
	require.Fail(b, "no cell runs a role", notebook)
	return nil, ""
}

// printedTimes returns the times that each cell of a notebook printed, in nanoseconds.
func printedTimes(b *testing.B, path string) [][]time.Time {
	b.Helper()
	var all [][]time.Time
	for _, c := range readCells(b, path) {
		var times []time.Time
		for _, o := range c.Outputs {
			for _, line := range strings.Fields(strings.Join(o.Text, "")) {
				if ns, err := strconv.ParseInt(line, 10, 64); err == nil {
					times = append(times, time.Unix(0, ns))
				}
			}
		}
		all = append(all, times)
	}
	return all
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
