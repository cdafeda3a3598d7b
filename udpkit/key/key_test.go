package key_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/key"
)

func secret() []byte {
	b := make([]byte, key.Size)
	rand.Read(b)
	return b
}

func ring(t testing.TB, secrets ...[]byte) *key.Ring {
	if secrets == nil {
		secrets = [][]byte{secret()}
	}
	r, err := key.New(secrets...)
	require.NoError(t, err)
	return r
}

// status is as long as one that a server sends.
const status = `{"timestamp":"2026-11-21T12:00:00.000000+00:00","state":"ACTIVE","message_id":1,"epoch":"9f86d081884c7d65","interval_ms":5000}`

var forms = map[string]struct {
	form    key.Form
	content string
}{
	"JSON":   {key.JSON, status},
	"Text":   {key.Text, "Client ann received message 7"},
	"Binary": {key.Binary, "ur\x01\x02\xff\x00"},
}

func TestOpen(t *testing.T) {
	for name, f := range forms {
		for _, seal := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s seal %v", name, seal), func(t *testing.T) {
				r := ring(t)
				s := r.Sender("test", f.form, seal)
				o := r.Opener(key.OpenerConfig{Purpose: "test", Form: f.form})
				for range 3 {
					b := s.Append([]byte("before"), []byte(f.content))[len("before"):]
					require.Len(t, b, len(f.content)+s.Overhead())
					require.Equal(t, seal, errors.Is(key.Needed(b, f.form), key.ErrSealed))
					require.Equal(t, !seal && f.form != key.Binary, errors.Is(key.Needed(b, f.form), key.ErrSigned))
					was := bytes.Clone(b)
					content, err := o.Open(b, time.Now())
					require.NoError(t, err)
					require.Equal(t, f.content, string(content))
					require.Equal(t, was, b)

					_, err = o.Open(b, time.Now())
					require.ErrorIs(t, err, key.ErrRepeated)
					for bit := range 8 * len(b) { // whatever bit is turned
						b[bit/8] ^= 1 << (bit % 8)
						_, err := o.Open(b, time.Now())
						require.Error(t, err, bit)
						b[bit/8] ^= 1 << (bit % 8)
					}
					for n := range len(b) {
						_, err := o.Open(b[:n], time.Now())
						require.Error(t, err, n)
					}
					_, err = ring(t).Opener(key.OpenerConfig{Purpose: "test", Form: f.form}).Open(b, time.Now())
					require.ErrorIs(t, err, key.ErrForged)
					_, err = r.Opener(key.OpenerConfig{Purpose: "another", Form: f.form}).Open(b, time.Now())
					require.ErrorIs(t, err, key.ErrForged)
				}
				_, err := o.Open([]byte(f.content), time.Now())
				require.ErrorIs(t, err, key.ErrUnsigned)
				n := o.Refused()
				require.EqualValues(t, 3, n.Repeated)
				require.Positive(t, n.Forged)
				require.Positive(t, n.Unsigned)
				require.Zero(t, n.Expired)
			})
		}
	}
}

// TestSignedIsReadable: who knows no key reads a signed object, and skips its last field.
func TestSignedIsReadable(t *testing.T) {
	b := ring(t).Sender("status", key.JSON, false).Append(nil, []byte(status))
	var m map[string]any
	require.NoError(t, json.Unmarshal(b, &m))
	require.Equal(t, "ACTIVE", m["state"])
	require.Len(t, m["mac"], 48)
}

// TestAge: what is older than a minute by its clock is a recording; a clock that is set while two
// hear each other harms nobody.
func TestAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := ring(t)
		s := r.Sender("test", key.Text, false)
		recorded := s.Append(nil, []byte("one"))
		opener := func() *key.Opener {
			return r.Opener(key.OpenerConfig{Purpose: "test", Form: key.Text, Repeats: true})
		}
		early := opener()
		_, err := early.Open(recorded, time.Now())
		require.NoError(t, err)
		_, err = opener().Open(recorded, time.Now().Add(-key.MaxAge-time.Second))
		require.ErrorIs(t, err, key.ErrExpired, "from the future")

		time.Sleep(key.MaxAge)
		_, err = opener().Open(recorded, time.Now())
		require.NoError(t, err)
		time.Sleep(2 * time.Millisecond)
		for _, o := range []*key.Opener{early, opener()} {
			_, err = o.Open(recorded, time.Now())
			require.ErrorIs(t, err, key.ErrExpired)
			require.EqualValues(t, 1, o.Refused().Expired)
		}
		_, err = early.Open(s.Append(nil, []byte("two")), time.Now())
		require.NoError(t, err, "of the same session")
	})
}

// TestWindow: each datagram once, in whatever order they come.
func TestWindow(t *testing.T) {
	r := ring(t)
	s := r.Sender("test", key.Text, false)
	o := r.Opener(key.OpenerConfig{Purpose: "test", Form: key.Text})
	var all [][]byte
	for range 3000 {
		all = append(all, s.Append(nil, []byte("x")))
	}
	open := func(i int) error {
		_, err := o.Open(all[i], time.Now())
		return err
	}
	for i := 500; i < 1000; i += 2 {
		require.NoError(t, open(i))
	}
	for i := 500; i < 1000; i++ {
		require.Equal(t, i%2 == 0, open(i) != nil, i)
	}
	require.NoError(t, open(499), "before the first")
	require.NoError(t, open(2999))
	require.NoError(t, open(2999-960))
	require.ErrorIs(t, open(2999-961), key.ErrRepeated, "too old to tell")
	require.ErrorIs(t, open(501), key.ErrRepeated)
	for i := 2999 - 959; i < 2999; i++ {
		require.NoError(t, open(i), i)
		require.ErrorIs(t, open(i), key.ErrRepeated, i)
	}
}

// TestSessionsAreBounded: a holder of the key that makes up sessions pushes out the silent ones.
func TestSessionsAreBounded(t *testing.T) {
	r := ring(t)
	o := r.Opener(key.OpenerConfig{Purpose: "test", Form: key.Text, Sessions: 3})
	now := time.Now()
	var first []byte
	for i := range 100 {
		b := r.Sender("test", key.Text, false).Append(nil, []byte("x"))
		now = now.Add(time.Millisecond)
		_, err := o.Open(b, now)
		require.NoError(t, err)
		if i == 97 {
			first = b
		}
	}
	_, err := o.Open(first, now)
	require.ErrorIs(t, err, key.ErrRepeated)
}

// TestChange: old and new keys are accepted, the first is sent with, and a file that changes is
// taken over while it is in use.
func TestChange(t *testing.T) {
	old, new := secret(), secret()
	path := filepath.Join(t.TempDir(), "key")
	write := func(secrets ...[]byte) {
		var text strings.Builder
		for _, s := range secrets {
			fmt.Fprintf(&text, "%x\n", s)
		}
		require.NoError(t, os.WriteFile(path+".new", []byte(text.String()), 0o600))
		require.NoError(t, os.Rename(path+".new", path))
	}
	write(old)
	r, err := key.Load(path)
	require.NoError(t, err)
	s := r.Sender("test", key.Text, true)
	o := r.Opener(key.OpenerConfig{Purpose: "test", Form: key.Text})
	other := ring(t, old, new).Opener(key.OpenerConfig{Purpose: "test", Form: key.Text})
	changes := make(chan error)
	go r.Watch(t.Context(), func(err error) {
		select {
		case changes <- err:
		case <-t.Context().Done():
		}
	})
	both := func() {
		b := s.Append(nil, []byte("x"))
		for _, o := range []*key.Opener{o, other} {
			_, err := o.Open(b, time.Now())
			require.NoError(t, err)
		}
	}
	both()
	write(old, new)
	require.NoError(t, <-changes)
	both()
	_, err = o.Open(ring(t, new).Sender("test", key.Text, false).Append(nil, []byte("y")), time.Now())
	require.NoError(t, err, "the new one is accepted already")
	write(new, old)
	require.NoError(t, <-changes)
	both()
	require.NoError(t, os.WriteFile(path, []byte("nonsense"), 0o600))
	require.ErrorIs(t, <-changes, key.ErrConfig)
	both() // the keys stay
	write(new)
	require.NoError(t, <-changes)
	both()
	_, err = o.Open(ring(t, old).Sender("test", key.Text, false).Append(nil, []byte("z")), time.Now())
	require.ErrorIs(t, err, key.ErrForged)
}

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	require.NoError(t, key.Create(path))
	_, err := key.Load(path)
	require.NoError(t, err)
	require.ErrorIs(t, key.Create(path), fs.ErrExist)
	if runtime.GOOS != "windows" {
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.Equal(t, fs.FileMode(0o600), info.Mode().Perm())
		for _, mode := range []fs.FileMode{0o640, 0o604, 0o620} {
			require.NoError(t, os.Chmod(path, mode))
			_, err = key.Load(path)
			require.ErrorIs(t, err, key.ErrConfig)
			require.ErrorContains(t, err, "chmod 600 "+path)
		}
	}
	none, err := key.LoadOptional("")
	require.NoError(t, err)
	require.Nil(t, none)
	_, err = key.Load(path + "?")
	require.ErrorIs(t, err, fs.ErrNotExist)

	good := fmt.Sprintf("%x", secret())
	for text, says := range map[string]string{
		"":                           "holds no key",
		"# only a comment\n\n":       "holds no key",
		"sesame":                     "key 1 of the file",
		good + "\n" + good[2:]:       "key 2 of the file",
		good + good:                  "key 1 of the file",
		good + "\n" + good:           "twice",
		strings.Repeat("00", 32):     "weak",
		strings.Repeat("0123", 16):   "weak",
		strings.Repeat("\n", 5000):   "more than 4096 bytes",
		strings.Repeat(good+"\n", 5): "5 keys",
	} {
		path := filepath.Join(t.TempDir(), "key")
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		_, err := key.Load(path)
		require.ErrorIs(t, err, key.ErrConfig, text)
		require.ErrorContains(t, err, says)
		require.NotContains(t, err.Error(), good)
		require.NotContains(t, err.Error(), "sesame")
		require.NotContains(t, err.Error(), "\n")
	}
	require.NoError(t, os.WriteFile(path, []byte("# mine\r\n  "+strings.ToUpper(good)+" \r\n"), 0o600))
	require.NoError(t, os.Chmod(path, 0o600))
	_, err = key.Load(path)
	require.NoError(t, err)
}

func TestNew(t *testing.T) {
	for _, secrets := range [][][]byte{nil, {nil}, {secret()[1:]}, {make([]byte, key.Size)}} {
		_, err := key.New(secrets...)
		require.ErrorIs(t, err, key.ErrConfig)
	}
	s := secret()
	r := ring(t, s)
	b := r.Sender("test", key.Text, false).Append(nil, []byte("x"))
	clear(s) // it was copied
	_, err := r.Opener(key.OpenerConfig{Purpose: "test", Form: key.Text}).Open(b, time.Now())
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r.Watch(ctx, nil)
}

func TestNothingIsAllocated(t *testing.T) {
	for name, f := range forms {
		for _, seal := range []bool{false, true} {
			r := ring(t)
			s := r.Sender("test", f.form, seal)
			o := r.Opener(key.OpenerConfig{Purpose: "test", Form: f.form})
			buf, content, now := make([]byte, 0, 1024), []byte(f.content), time.Now()
			require.Zero(t, testing.AllocsPerRun(100, func() {
				buf = s.Append(buf[:0], content)
				if _, err := o.Open(buf, now); err != nil {
					panic(err)
				}
			}), name)
			buf[len(buf)-4] ^= 1
			require.Zero(t, testing.AllocsPerRun(100, func() {
				if _, err := o.Open(buf, now); err == nil {
					panic("believed")
				}
			}), "a forged %s", name)
		}
	}
}

func FuzzOpen(f *testing.F) {
	r := ring(f)
	var openers []*key.Opener
	for _, form := range forms {
		for _, seal := range []bool{false, true} {
			b := r.Sender("test", form.form, seal).Append(nil, []byte(form.content))
			f.Add(b)
			b[len(b)-3] ^= 1
			f.Add(b)
		}
		f.Add([]byte(form.content))
		openers = append(openers, ring(f).Opener(key.OpenerConfig{Purpose: "test", Form: form.form}))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, o := range openers { // which have another key
			_, err := o.Open(b, time.Now())
			require.Error(t, err)
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	for name, seal := range map[string]bool{"mac": false, "seal": true} {
		r := ring(b)
		s := r.Sender("test", key.JSON, seal)
		datagram := s.Append(nil, []byte(status))
		b.Run(name, func(b *testing.B) {
			o := r.Opener(key.OpenerConfig{Purpose: "test", Form: key.JSON, Repeats: true})
			now := time.Now()
			for b.Loop() {
				o.Open(datagram, now)
			}
		})
		b.Run("append "+name, func(b *testing.B) {
			buf, content := make([]byte, 0, 1024), []byte(status)
			for b.Loop() {
				buf = s.Append(buf[:0], content)
			}
		})
	}
}
