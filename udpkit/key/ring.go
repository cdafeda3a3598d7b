package key

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/service"
)

const (
	// Size is the length of a secret in bytes. In a file it stands as twice as many hexadecimal
	// digits.
	Size = 32
	// MaxKeys is how many secrets a Ring holds: the one to send with, and old or new ones that are
	// accepted.
	MaxKeys = 4

	maxFile = 4096 // bytes
	// fewest is how many different bytes a secret has at least. A random one has 20 or more but for
	// one in a million million.
	fewest = 16
)

// ErrConfig marks a key file, or a secret, that cannot be used.
var ErrConfig = service.ErrConfig

// Ring holds shared secrets. The first one is sent with, all of them are accepted. It is safe for
// concurrent use.
type Ring struct {
	path   string // "" for one that is not from a file
	loaded state  // of the file, when it was loaded
	keys   atomic.Pointer[[][]byte]
}

// New makes a Ring of 1 to MaxKeys different secrets of Size bytes, which are copied. An error
// wraps ErrConfig.
func New(secrets ...[]byte) (*Ring, error) {
	if len(secrets) == 0 || len(secrets) > MaxKeys {
		return nil, fmt.Errorf("%w: %d keys, not 1 to %d", ErrConfig, len(secrets), MaxKeys)
	}
	var keys [][]byte
	for i, s := range secrets {
		var seen [256]bool
		different := 0
		for _, b := range s {
			if !seen[b] {
				seen[b] = true
				different++
			}
		}
		switch {
		case len(s) != Size:
			return nil, fmt.Errorf("%w: key %d has %d bytes, not %d", ErrConfig, i+1, len(s), Size)
		case different < fewest:
			return nil, fmt.Errorf("%w: key %d is weak, it has only %d different bytes: make one with udpkit key new", ErrConfig, i+1, different)
		case slices.ContainsFunc(keys, func(k []byte) bool { return bytes.Equal(k, s) }):
			return nil, fmt.Errorf("%w: key %d is there twice", ErrConfig, i+1)
		}
		keys = append(keys, bytes.Clone(s))
	}
	r := &Ring{}
	r.keys.Store(&keys)
	return r, nil
}

// Create makes a file with a new random secret, which only its owner can read. A file that is there
// stays as it is, and the error satisfies fs.ErrExist.
func Create(path string) error {
	secret := make([]byte, Size)
	rand.Read(secret) // never fails, see crypto/rand
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("cannot make a key file: %w", err)
	}
	_, err = fmt.Fprintf(f, "# A shared key of udpkit. Who has it can speak and read as you do.\n%x\n", secret)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		os.Remove(path)
		return fmt.Errorf("cannot write the key file %s: %w", path, err)
	}
	return nil
}

// Load reads a key file: a secret of 64 hexadecimal digits a line, 1 to MaxKeys of them, beside
// empty lines and those that begin with "#". On other systems than Windows, a file that others than
// its owner can read or write is refused. An error wraps ErrConfig, or is the system's.
func Load(path string) (*Ring, error) {
	r := &Ring{path: path, loaded: stateOf(path)}
	keys, err := read(path)
	if err != nil {
		return nil, err
	}
	r.keys.Store(&keys)
	return r, nil
}

// LoadOptional is Load for a flag that may be empty: then it returns nil, for which nothing is
// signed.
func LoadOptional(path string) (*Ring, error) {
	if path == "" {
		return nil, nil
	}
	return Load(path)
}

func read(path string) ([][]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the key file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("cannot read the key file: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
		return nil, fmt.Errorf("%w: the key file %s is open to others (mode %#o): chmod 600 %s", ErrConfig, path, mode, path)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("cannot read the key file: %w", err)
	}
	if len(b) > maxFile {
		return nil, fmt.Errorf("%w: the key file %s has more than %d bytes", ErrConfig, path, maxFile)
	}
	var secrets [][]byte
	for lines := bufio.NewScanner(bytes.NewReader(b)); lines.Scan(); {
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		secret := make([]byte, hex.DecodedLen(len(line)))
		if n, err := hex.Decode(secret, line); err != nil || n != Size { // the line itself is not told
			return nil, fmt.Errorf("%w: key %d of the file %s is not %d hexadecimal digits: make one with udpkit key new", ErrConfig, len(secrets)+1, path, 2*Size)
		}
		secrets = append(secrets, secret)
	}
	if len(secrets) == 0 {
		return nil, fmt.Errorf("%w: the key file %s holds no key: make one with udpkit key new", ErrConfig, path)
	}
	r, err := New(secrets...)
	if err != nil {
		return nil, fmt.Errorf("the key file %s: %w", path, err)
	}
	return *r.keys.Load(), nil
}

// Derive returns Size bytes for each secret, in their order, by HKDF (RFC 5869) for a purpose:
// secrets for what signs and seals by itself.
func (r *Ring) Derive(purpose string) [][]byte {
	var list [][]byte
	for _, secret := range *r.keys.Load() {
		list = append(list, subkey(secret, "derive", purpose))
	}
	return list
}

// Watch looks at the Ring's file once a second until ctx ends, and takes over what it holds when it
// has changed; senders and openers use that from their next datagram on. It tells each change: nil
// for one that was taken, or the error for one that was not, for which the keys stay as they are.
// For a Ring that is not from a file it only waits.
//
// To change a key without losing a message, add the new one below the old one in each file; when
// all have it, move it above; when all send with it, take out the old one.
func (r *Ring) Watch(ctx context.Context, tell func(error)) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	state := r.loaded
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := stateOf(r.path)
		if now == state || r.path == "" {
			continue
		}
		state = now
		keys, err := read(r.path)
		if err == nil {
			if slices.EqualFunc(keys, *r.keys.Load(), bytes.Equal) {
				continue
			}
			r.keys.Store(&keys)
		}
		tell(err)
	}
}

// state is what changes when a file does.
type state struct {
	changed time.Time
	size    int64
	mode    os.FileMode
}

func stateOf(path string) (s state) {
	if info, err := os.Stat(path); err == nil {
		s = state{info.ModTime(), info.Size(), info.Mode()}
	}
	return s
}
