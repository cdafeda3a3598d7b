package relaying

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/gonb-labs/udp-notebooks/udpkit/sequence"
	"github.com/gonb-labs/udp-notebooks/udpkit/weather"
)

func TestMain(m *testing.M) {
	if IsServer() {
		if err := RunServer(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// goodOnce stores what accept takes, with the last number of each run.
func goodOnce(lines []Line) (texts []string) {
	last := make(map[string]uint64)
	for _, line := range lines {
		if line.Number == last[line.Run]+1 {
			last[line.Run]++
			texts = append(texts, line.Text)
		}
	}
	return texts
}

func TestCheckOnce(t *testing.T) {
	require.Empty(t, checkOnce(t.Context(), goodOnce))
	require.Empty(t, checkOnce(t.Context(), func(lines []Line) (texts []string) { // what comes next of each run
		next := make(map[string]uint64)
		for _, line := range lines {
			if _, known := next[line.Run]; !known {
				next[line.Run] = 1
			}
			if next[line.Run] != line.Number {
				continue
			}
			texts, next[line.Run] = append(texts, line.Text), line.Number+1
		}
		return texts
	}))
	require.Empty(t, checkOnce(t.Context(), func(lines []Line) (texts []string) { // what is stored, looked through
		var stored []Line
		for _, line := range lines {
			has := func(number uint64) bool {
				return slices.ContainsFunc(stored, func(l Line) bool { return l.Run == line.Run && l.Number == number })
			}
			if line.Number == 1 && !has(1) || line.Number > 1 && has(line.Number-1) && !has(line.Number) {
				stored, texts = append(stored, line), append(texts, line.Text)
			}
		}
		return texts
	}))
	each := func(store func(line Line, last map[string]uint64) bool) func([]Line) []string {
		return func(lines []Line) (texts []string) {
			last := make(map[string]uint64)
			for _, line := range lines {
				if store(line, last) {
					texts = append(texts, line.Text)
				}
			}
			return texts
		}
	}
	seen := make(map[string]uint64) // of all calls
	for name, wrong := range map[string]func([]Line) []string{
		"nothing":    func([]Line) []string { return nil },
		"everything": each(func(Line, map[string]uint64) bool { return true }),
		"new texts": each(func(l Line, last map[string]uint64) bool {
			last[l.Text]++
			return last[l.Text] == 1
		}),
		"new numbers": each(func(l Line, last map[string]uint64) bool {
			last[fmt.Sprint(l.Number)]++
			return last[fmt.Sprint(l.Number)] == 1
		}),
		"one row for all": each(func(l Line, last map[string]uint64) bool {
			if l.Number != last[""]+1 {
				return false
			}
			last[""]++
			return true
		}),
		"rising only": each(func(l Line, last map[string]uint64) bool {
			if l.Number <= last[l.Run] {
				return false
			}
			last[l.Run] = l.Number
			return true
		}),
		"not the one before": each(func(l Line, last map[string]uint64) bool {
			if l.Number == last[l.Run] {
				return false
			}
			last[l.Run] = l.Number
			return true
		}),
		"a set, early ones too": each(func(l Line, last map[string]uint64) bool {
			key := l.Run + " " + fmt.Sprint(l.Number)
			last[key]++
			return last[key] == 1
		}),
		"names and numbers run together": each(func(l Line, last map[string]uint64) bool {
			before, _ := strconv.ParseUint(fmt.Sprint(l.Number-1), 10, 64)
			key := l.Run + fmt.Sprint(l.Number)
			if last[key] > 0 || l.Number == 0 || before > 0 && last[l.Run+fmt.Sprint(before)] == 0 {
				return false
			}
			last[key]++
			return true
		}),
		"from nought": each(func(l Line, last map[string]uint64) bool {
			if l.Number != last[l.Run] {
				return false
			}
			last[l.Run]++
			return true
		}),
		"the newest text of a number": func(lines []Line) []string {
			texts := goodOnce(lines)
			for i := range texts {
				for _, l := range lines {
					if l.Number == uint64(i+1) {
						texts[i] = l.Text
					}
				}
			}
			return texts
		},
		"sorted":      func(lines []Line) []string { return slices.Sorted(slices.Values(goodOnce(lines))) },
		"run by run":  runByRun,
		"keeps early": keepsEarly,
		"one digit": each(func(l Line, last map[string]uint64) bool {
			if l.Number != last[l.Run]+1 || l.Number > 9 {
				return false
			}
			last[l.Run]++
			return true
		}),
		"signed numbers": each(func(l Line, last map[string]uint64) bool {
			if int64(l.Number) > int64(last[l.Run])+1 || l.Number <= last[l.Run] {
				return false
			}
			last[l.Run] = max(last[l.Run], l.Number)
			return true
		}),
		"remembers other calls": each(func(l Line, _ map[string]uint64) bool {
			if l.Number != seen[l.Run]+1 {
				return false
			}
			seen[l.Run]++
			return true
		}),
		"no empty ones": func(lines []Line) []string {
			return slices.DeleteFunc(goodOnce(lines), func(s string) bool { return s == "" })
		},
		"panics when empty": func(lines []Line) []string { _ = lines[0]; return goodOnce(lines) },
		"never returns":     func([]Line) []string { <-t.Context().Done(); return nil },
		"leaves a goroutine": func(lines []Line) []string {
			go func() { <-t.Context().Done() }()
			return goodOnce(lines)
		},
	} {
		require.NotEmpty(t, checkOnce(t.Context(), wrong), name)
	}
}

func runByRun(lines []Line) (texts []string) {
	runs := make(map[string][]Line)
	for _, l := range lines {
		runs[l.Run] = append(runs[l.Run], l)
	}
	for _, run := range slices.Sorted(maps.Keys(runs)) {
		texts = append(texts, goodOnce(runs[run])...)
	}
	return texts
}

// keepsEarly stores what came too early as soon as what is before it has come.
func keepsEarly(lines []Line) (texts []string) {
	last, kept := make(map[string]uint64), make(map[Line]bool)
	for _, l := range lines {
		kept[l] = true
		for more := true; more; {
			more = false
			for k := range kept {
				if k.Number == last[k.Run]+1 {
					last[k.Run]++
					texts, more = append(texts, k.Text), true
				}
			}
		}
	}
	return texts
}

// keeper is the model of a server; its fields make it wrong.
type keeper struct {
	size                                                      int
	ackFirst, naive, forgets, once, any, early, faults, stops bool
	fields, panics, toFirst, toAll, next, noRun, noReply      bool
	leak, stays                                               <-chan struct{}
	later                                                     time.Duration
}

func (k keeper) serve(conn net.PacketConn, log Log) error {
	if k.leak != nil {
		go func() { <-k.leak }()
	}
	if k.size == 0 {
		k.size = 2048
	}
	own := make(map[string]uint64)
	var all []net.Addr
	for buffer := make([]byte, k.size); ; {
		n, from, err := conn.ReadFrom(buffer)
		if err != nil && k.stays != nil {
			<-k.stays
		}
		if err != nil {
			return nil
		}
		words := strings.SplitN(string(buffer[:n]), " ", 4)
		if k.panics {
			_ = words[3]
		}
		if len(words) < 4 || words[0] != "WRITE" {
			if k.any {
				_, _ = conn.WriteTo([]byte("what?"), from)
			}
			continue
		}
		number, err := strconv.ParseUint(words[2], 10, 64)
		if err != nil {
			if k.stops {
				return err
			}
			continue
		}
		line := Line{words[1], number, words[3]}
		if k.fields {
			line.Text = strings.Join(strings.Fields(line.Text), " ")
		}
		if all = append(all, from); k.toFirst {
			from = all[0]
		}
		answer := func() {
			switch {
			case k.toAll:
				for _, to := range all {
					_, _ = fmt.Fprint(writerTo{conn, to}, "STORED ", line.Run, " ", number)
				}
			case k.next:
				_, _ = conn.WriteTo(fmt.Appendf(nil, "STORED %s %d", line.Run, number+1), from)
			case k.noRun:
				_, _ = conn.WriteTo(fmt.Appendf(nil, "STORED %d", number), from)
			case !k.noReply:
				_, _ = conn.WriteTo(fmt.Appendf(nil, "STORED %s %d", line.Run, number), from)
			}
		}
		last := log.Last(line.Run)
		if k.forgets {
			last = own[line.Run]
		}
		switch {
		case number == last+1 || k.naive || k.early && number > last:
			if k.ackFirst {
				answer()
				time.Sleep(k.later)
			}
			if err := log.Append(line); err != nil && !k.faults {
				if k.stops {
					return err
				}
				continue
			}
			own[line.Run] = number
			if !k.ackFirst {
				answer()
			}
		case number <= last && number > 0 && !k.once, k.any:
			answer()
		}
	}
}

type writerTo struct {
	conn net.PacketConn
	to   net.Addr
}

func (w writerTo) Write(b []byte) (int, error) { return w.conn.WriteTo(b, w.to) }

// stages is a server with a goroutine that reads, and one that stores.
func stages(conn net.PacketConn, log Log) error {
	type job struct {
		line Line
		from net.Addr
	}
	jobs := make(chan job, 10)
	var storing sync.WaitGroup
	defer storing.Wait()
	defer close(jobs)
	storing.Go(func() {
		for j := range jobs {
			if last := log.Last(j.line.Run); j.line.Number > last {
				if j.line.Number != last+1 || log.Append(j.line) != nil {
					continue
				}
			} else if j.line.Number == 0 {
				continue
			}
			_, _ = conn.WriteTo(fmt.Appendf(nil, "STORED %s %d", j.line.Run, j.line.Number), j.from)
		}
	})
	for {
		buffer := make([]byte, 1500)
		n, from, err := conn.ReadFrom(buffer)
		if err != nil {
			return err
		}
		command, rest, _ := strings.Cut(string(buffer[:n]), " ")
		run, rest, _ := strings.Cut(rest, " ")
		digits, text, ok := strings.Cut(rest, " ")
		if number, err := strconv.ParseUint(digits, 10, 64); ok && err == nil && command == "WRITE" {
			jobs <- job{Line{run, number, text}, from}
		}
	}
}

// remembering asks the log once for each run, and says how far that has got whatever comes.
func remembering(conn net.PacketConn, log Log) error {
	known := make(map[string]uint64)
	for {
		buffer := make([]byte, 1500)
		n, from, err := conn.ReadFrom(buffer)
		if errors.Is(err, net.ErrClosed) {
			return nil
		} else if err != nil {
			continue
		}
		var l Line
		words := strings.SplitN(string(buffer[:n]), " ", 4)
		if len(words) != 4 || words[0] != "WRITE" {
			continue
		}
		if l.Number, err = strconv.ParseUint(words[2], 10, 64); err != nil || l.Number == 0 {
			continue
		}
		l.Run, l.Text = words[1], words[3]
		if _, ok := known[l.Run]; !ok {
			known[l.Run] = log.Last(l.Run)
		}
		if l.Number == known[l.Run]+1 && log.Append(l) == nil {
			known[l.Run]++
		}
		if known[l.Run] > 0 {
			_, _ = conn.WriteTo(fmt.Appendf(nil, "STORED %s %d", l.Run, min(l.Number, known[l.Run])), from)
		}
	}
}

func check(t *testing.T, serve func(net.PacketConn, Log) error) string {
	missing, err := checkServe(t.Context(), serve)
	require.NoError(t, err)
	return missing
}

func TestRightServers(t *testing.T) {
	require.Empty(t, check(t, keeper{}.serve))
	require.Empty(t, check(t, stages))
	require.Empty(t, check(t, remembering))
}

func TestWrongServers(t *testing.T) {
	leak := make(chan struct{})
	defer close(leak)
	var running sync.WaitGroup // they wait more than they work: all at once
	defer running.Wait()
	for name, test := range map[string]struct {
		serve func(net.PacketConn, Log) error
		want  string
	}{
		"does nothing":                    {func(conn net.PacketConn, _ Log) error { _, _, err := conn.ReadFrom(nil); return err }, "not acknowledged|has returned|has ended"},
		"returns at once":                 {func(net.PacketConn, Log) error { return nil }, "has returned"},
		"fails":                           {func(net.PacketConn, Log) error { return errors.New("no") }, "has ended: no"},
		"acknowledges first":              {keeper{ackFirst: true}.serve, "is not stored: first Append"},
		"acknowledges and stores":         {keeper{ackFirst: true, later: 20 * time.Millisecond}.serve, "is not stored: first Append|not in the log"},
		"stores nothing":                  {(&echo{}).serve, "is not stored: first Append"},
		"stores all":                      {keeper{naive: true}.serve, "second time"},
		"one answer":                      {keeper{once: true}.serve, "its acknowledgement was lost"},
		"forgets":                         {keeper{forgets: true}.serve, "new server with the same log"},
		"stores early ones":               {keeper{early: true}.serve, "too early"},
		"acknowledges early ones":         {keeper{any: true}.serve, "is not stored|answer is"},
		"trusts the log":                  {keeper{faults: true}.serve, "is not stored"},
		"ends at a failure":               {keeper{stops: true}.serve, "has ended: no space left"},
		"drops spaces":                    {keeper{fields: true}.serve, "not in the log as it was sent"},
		"a short buffer":                  {keeper{size: 512}.serve, "not in the log as it was sent"},
		"panics":                          {keeper{panics: true}.serve, "panicked"},
		"to the first":                    {keeper{toFirst: true}.serve, "answer to the address"},
		"to all":                          {keeper{toAll: true}.serve, "answer to the address|of another one"},
		"the next number":                 {keeper{next: true}.serve, "is not stored"},
		"no run":                          {keeper{noRun: true}.serve, "the answer is"},
		"no answer":                       {keeper{noReply: true}.serve, "not acknowledged"},
		"stays when its socket is closed": {keeper{stays: leak}.serve, "has not returned"},
		"leaves a goroutine":              {keeper{leak: leak}.serve, "left 1 goroutine behind"},
	} {
		running.Go(func() {
			missing, err := checkServe(t.Context(), test.serve)
			assert.NoError(t, err, name)
			assert.Regexp(t, test.want, missing, name)
		})
	}
}

// echo acknowledges everything.
type echo struct{}

func (*echo) serve(conn net.PacketConn, _ Log) error {
	for buffer := make([]byte, 1500); ; {
		n, from, err := conn.ReadFrom(buffer)
		if err != nil {
			return err
		}
		if words := strings.SplitN(string(buffer[:n]), " ", 4); len(words) == 4 {
			_, _ = conn.WriteTo([]byte("STORED "+words[1]+" "+words[2]), from)
		}
	}
}

func TestCheckEnds(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	missing, err := checkServe(ctx, func(conn net.PacketConn, _ Log) error {
		_, _, _ = conn.ReadFrom(make([]byte, 1))
		<-ctx.Done()
		return nil
	})
	require.NoError(t, err)
	require.Empty(t, missing)
}

// TestTry: bad weather and a server that is killed double nothing, and lose nothing.
func TestTry(t *testing.T) {
	trial, err := Try(t.Context(), TrialConfig{Lines: 30, Interval: 10 * time.Millisecond, Weather: weather.Settings{Loss: 0.2, Duplicate: 0.1, Reorder: 0.1}, Seed: 1, Kill: true, Away: 200 * time.Millisecond})
	require.NoError(t, err)
	require.Equal(t, 30, trial.Logged, "in the log, once each")
	require.Zero(t, trial.Others, "to the reader, once each and in order")
	require.Regexp(t, `(?m)^ +30 lines are in the log$`, Table(trial))
	require.Regexp(t, `(?m)^ +30 lines came to the reader$`, Table(trial))
	require.Regexp(t, `(?m)^ +0 lines came to the reader$`, Table(Trial{TrialConfig: TrialConfig{Lines: 30}, Fates: make([]Fate, 30)}))
	require.Positive(t, trial.Lost)
	require.GreaterOrEqual(t, trial.Registered, uint64(3), "some have registered again")
	longest := time.Duration(0)
	for _, f := range trial.Fates {
		require.Positive(t, f.Stored)
		require.Positive(t, f.Delivered)
		longest = max(longest, f.Stored)
	}
	require.Greater(t, longest, 200*time.Millisecond, "who writes while the server is away waits")
	picture, err := Picture(trial)
	require.NoError(t, err)
	require.Contains(t, picture.Title, "30 lines")
	_, err = Picture(Trial{})
	require.Error(t, err)
}

func TestTryRecords(t *testing.T) {
	dir := t.TempDir()
	_, err := Try(t.Context(), TrialConfig{Lines: 3, Interval: 10 * time.Millisecond, Record: dir})
	require.NoError(t, err)
	var page strings.Builder
	require.NoError(t, sequence.Write(&page, recording(dir, "writer"), recording(dir, "server"), recording(dir, "reader")))
	require.True(t, strings.Contains(page.String(), "to writer ann: relay stored"), "the recordings are put together")
	require.False(t, strings.Contains(page.String(), "· lost</title>"), "in fair weather nothing is lost")

	for _, wrong := range []TrialConfig{
		{}, {Lines: 201, Interval: time.Second}, {Lines: 1}, {Lines: 1, Interval: time.Minute}, {Lines: 1, Interval: time.Second, Away: time.Minute},
		{Lines: 1, Interval: time.Second, Kill: true, Record: dir},
	} {
		_, err := Try(t.Context(), wrong)
		require.ErrorContains(t, err, "a trial ")
	}
	require.ErrorContains(t, RunServer(t.Context()), "only Try")
}

func TestLose(t *testing.T) {
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	require.NoError(t, err)
	defer conn.Close()
	losing := Lose(conn, 1, 3)
	for i := range 4 {
		n, err := losing.WriteTo(fmt.Append(nil, i+1), conn.LocalAddr())
		require.NoError(t, err)
		require.Equal(t, 1, n)
	}
	buffer := make([]byte, 10)
	for _, want := range []string{"2", "4"} {
		n, _, err := conn.ReadFrom(buffer)
		require.NoError(t, err)
		require.Equal(t, want, string(buffer[:n]))
	}
}

// TestSource: what the notebook shows is there.
func TestSource(t *testing.T) {
	require.NoError(t, Source("Server.write"))
	require.ErrorContains(t, Source("Server.none"), "package relay has no function Server.none")
}
