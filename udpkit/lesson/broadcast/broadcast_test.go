package broadcast

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/plot/chart"
	"github.com/gonb-labs/udp-notebooks/udpkit/record"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestListenShares(t *testing.T) {
	first, err := Listen(t.Context(), 0)
	require.NoError(t, err)
	defer first.Close()
	second, err := Listen(t.Context(), uint16(first.LocalAddr().(*net.UDPAddr).Port))
	require.NoError(t, err)
	require.NoError(t, second.Close())
}

func TestWhile(t *testing.T) {
	failed, ended := errors.New("failed"), errors.New("ended")
	err := While(t.Context(), func(context.Context) error { return failed }, func(ctx context.Context) error {
		<-ctx.Done()
		return ended
	})
	require.ErrorIs(t, err, failed)
	require.ErrorIs(t, err, ended)
}

func TestTell(t *testing.T) {
	require.Equal(t, "has message 7, ACTIVE", tell(udpkit.MessageEvent{MessageID: 7, State: "ACTIVE"}))
	require.NotContains(t, tell(udpkit.MessageEvent{State: "a\x1bb"}), "\x1b")
	require.NotContains(t, tell(udpkit.AckEvent{ClientID: "a\x1bb"}), "\x1b")
	require.Equal(t, "misses messages 3 to 4", tell(udpkit.GapEvent{From: 3, To: 4}))
	require.Equal(t, "refuses a datagram: forged", tell(udpkit.RefusedEvent{Reason: "forged"}))
	require.Empty(t, tell(udpkit.StartEvent{}))
}

// TestTry: each message has one fate, what is lost comes back with repair only, and a path that
// loses all, or none, does.
func TestTry(t *testing.T) {
	try := func(loss float64, noRepair bool) Trial {
		trial, err := Try(t.Context(), TrialConfig{Messages: 40, Interval: 2 * time.Millisecond, Loss: loss, Seed: 1, NoRepair: noRepair})
		require.NoError(t, err)
		came, repaired, lost := trial.Counts()
		require.Equal(t, 40, came+repaired+lost)
		return trial
	}
	t.Run("without repair", func(t *testing.T) {
		t.Parallel()
		_, repaired, lost := try(0.2, true).Counts()
		require.Zero(t, repaired)
		require.Positive(t, lost)
	})
	t.Run("with repair", func(t *testing.T) {
		t.Parallel()
		trial := try(0.2, false)
		_, repaired, _ := trial.Counts()
		require.Positive(t, repaired)
		require.Positive(t, trial.Questions)
		require.Positive(t, trial.Again)
	})
	t.Run("all lost", func(t *testing.T) {
		t.Parallel()
		_, _, lost := try(1, false).Counts()
		require.Equal(t, 40, lost)
	})
	t.Run("none lost", func(t *testing.T) {
		t.Parallel()
		came, _, _ := try(0, false).Counts()
		require.Equal(t, 40, came)
	})
}

// TestTryRecords: what the server sends is in its recording, and in the client's what has come.
func TestTryRecords(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	trial, err := Try(t.Context(), TrialConfig{Messages: 20, Interval: 2 * time.Millisecond, Loss: 0.4, Seed: 1, NoRepair: true, Record: dir})
	require.NoError(t, err)
	count := func(name string, counts func(record.Packet) bool) (n int) {
		file, err := os.Open(filepath.Join(dir, name))
		require.NoError(t, err)
		defer file.Close()
		for p, err := range record.Read(file) {
			require.NoError(t, err)
			if counts(p) {
				n++
			}
		}
		return n
	}
	came, _, lost := trial.Counts()
	require.Positive(t, lost)
	require.GreaterOrEqual(t, count("server.pcapng", func(p record.Packet) bool { return p.Sent }), 20)
	require.Equal(t, came, count("client.pcapng", func(p record.Packet) bool {
		_, err := udpkit.DecodeMessage(p.Payload) // the server also tells its time
		return err == nil && p.Received && p.Verdict != "duplicate"
	}))
	_, err = Try(t.Context(), TrialConfig{Messages: 1, Interval: time.Millisecond, Record: filepath.Join(dir, "none")})
	require.ErrorContains(t, err, "cannot record")
}

func TestTryEnds(t *testing.T) {
	for _, cfg := range []TrialConfig{{}, {Messages: 501, Interval: time.Second}, {Messages: 1, Interval: time.Minute}, {Messages: 1, Interval: time.Second, Loss: 1.1}, {Messages: -1, Interval: time.Second}} {
		_, err := Try(t.Context(), cfg)
		require.ErrorContains(t, err, "a trial has 1 to 500 messages")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Try(ctx, TrialConfig{Messages: 500, Interval: time.Second})
	require.ErrorIs(t, err, context.Canceled)
}

func TestTrialPicture(t *testing.T) {
	_, err := TrialPicture()
	require.ErrorAs(t, err, new(chart.Nothing))
	trial := Trial{TrialConfig: TrialConfig{Loss: 0.2}, Fates: []Fate{{Came: true}, {Came: true, Repaired: true, After: 300 * time.Millisecond}, {}}}
	picture, err := TrialPicture(trial)
	require.NoError(t, err)
	require.Equal(t, "When each message came: with repair, 1 came at once, 1 were repaired, 1 lost", picture.Title)
	dots := picture.Bands[0].Charts[0].(chart.Dots)
	require.Equal(t, []float64{3}, dots.Without)
	require.Equal(t, []chart.Dot{{X: 1, Color: chart.Good}, {X: 2, Y: 300, Color: chart.Accent}}, dots.Dots)
	require.Contains(t, Table(trial), "with repair")
}

func goodGaps(ids []uint64) (missing []uint64) {
	if len(ids) == 0 {
		return nil
	}
	for id := slices.Min(ids); id < slices.Max(ids); id++ {
		if !slices.Contains(ids, id) {
			missing = append(missing, id)
		}
	}
	return missing
}

func TestCheckGaps(t *testing.T) {
	require.Empty(t, checkGaps(t.Context(), goodGaps))
	for name, wrong := range map[string]func([]uint64) []uint64{
		"nothing":             func([]uint64) []uint64 { return nil },
		"in order only":       func(ids []uint64) (m []uint64) { return inOrder(ids) },
		"panics when empty":   func(ids []uint64) []uint64 { _ = ids[0]; return goodGaps(ids) },
		"sorts what is given": func(ids []uint64) []uint64 { slices.Sort(ids); return goodGaps(ids) },
		"falling":             func(ids []uint64) []uint64 { m := goodGaps(ids); slices.Reverse(m); return m },
		"from 1": func(ids []uint64) []uint64 {
			if len(ids) > 0 && slices.Max(ids) < 1000 {
				return goodGaps(append([]uint64{1}, ids...))
			}
			return goodGaps(ids)
		},
		"never returns": func([]uint64) []uint64 { <-t.Context().Done(); return nil },
	} {
		require.NotEmpty(t, checkGaps(t.Context(), wrong), name)
	}
}

func inOrder(ids []uint64) (missing []uint64) {
	for i := 1; i < len(ids); i++ {
		for id := ids[i-1] + 1; id < ids[i]; id++ {
			missing = append(missing, id)
		}
	}
	return missing
}

func TestCheckBelieve(t *testing.T) {
	good := func(d, secret []byte) (string, bool) {
		i := bytes.LastIndexByte(d, ' ')
		if i < 0 {
			return "", false
		}
		code, err := hex.DecodeString(string(d[i+1:]))
		if err != nil || !hmac.Equal(code, mac(string(d[:i]), secret)) {
			return "", false
		}
		return string(d[:i]), true
	}
	require.Empty(t, checkBelieve(t.Context(), good))
	for name, wrong := range map[string]func(d, secret []byte) (string, bool){
		"nothing": func(d, secret []byte) (string, bool) { return "", false },
		"all":     func(d, secret []byte) (string, bool) { return string(d), true },
		"no secret": func(d, _ []byte) (string, bool) {
			text, code, _ := strings.Cut(string(d), " ")
			return text, code == fmt.Sprintf("%x", sha256.Sum256([]byte(text)))
		},
		"a prefix": func(d, secret []byte) (string, bool) {
			i := bytes.LastIndexByte(d, ' ')
			if i < 0 {
				return "", false
			}
			if !strings.HasPrefix(hex.EncodeToString(mac(string(d[:i]), secret)), string(d[i+1:])) {
				return "", false
			}
			return string(d[:i]), true
		},
		"at the first space": func(d, secret []byte) (string, bool) {
			text, code, ok := strings.Cut(string(d), " ")
			if !ok || code != hex.EncodeToString(mac(text, secret)) {
				return "", false
			}
			return text, true
		},
		"the last 64": func(d, secret []byte) (string, bool) {
			i := len(d) - 65
			if code := string(d[i+1:]); code != hex.EncodeToString(mac(string(d[:i]), secret)) {
				return "", false
			}
			return string(d[:i]), true
		},
		"only the length": func(d, secret []byte) (string, bool) {
			i := bytes.LastIndexByte(d, ' ')
			if i < 0 || len(d)-i != 65 {
				return "", false
			}
			return string(d[:i]), true
		},
		"a text that is refused": func(d, secret []byte) (string, bool) {
			text, ok := good(d, secret)
			if !ok {
				return string(d), false
			}
			return text, true
		},
	} {
		require.NotEmpty(t, checkBelieve(t.Context(), wrong), name)
	}
}

// TestGroup: what is sent to a group comes to each of its members, and to no other group.
func TestGroup(t *testing.T) {
	free, err := Listen(t.Context(), 0)
	require.NoError(t, err)
	port := free.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	require.NoError(t, free.Close())
	group := netip.AddrPortFrom(netip.MustParseAddr("239.255.34.7"), port)
	var members []*net.UDPConn
	for range 2 {
		m, err := Join(group)
		require.NoError(t, err)
		defer m.Close()
		members = append(members, m)
	}
	other, err := Join(netip.AddrPortFrom(netip.MustParseAddr("239.255.34.8"), port))
	require.NoError(t, err)
	defer other.Close()
	speaker, err := Speaker(1)
	require.NoError(t, err)
	defer speaker.Close()
	_, err = speaker.WriteToUDPAddrPort([]byte("hello, group"), group)
	require.NoError(t, err)
	for _, m := range members {
		b := make([]byte, 100)
		require.NoError(t, m.SetReadDeadline(time.Now().Add(30*time.Second)))
		n, from, err := m.ReadFromUDPAddrPort(b)
		require.NoError(t, err)
		require.Equal(t, "hello, group", string(b[:n]))
		require.Equal(t, speaker.LocalAddr().(*net.UDPAddr).AddrPort().Port(), from.Port())
	}
	require.NoError(t, other.SetReadDeadline(time.Now().Add(50*time.Millisecond))) // all have had theirs
	_, _, err = other.ReadFromUDPAddrPort(make([]byte, 100))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	_, err = Speaker(256)
	require.Error(t, err)
}
