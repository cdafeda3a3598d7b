package broadcast

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// sortedGaps is right.
func sortedGaps(ids []uint64) (missing []uint64) {
	sorted := slices.Compact(slices.Sorted(slices.Values(ids)))
	for i := 1; i < len(sorted); i++ {
		for id := sorted[i-1] + 1; id < sorted[i]; id++ {
			missing = append(missing, id)
		}
	}
	return missing
}

// mapGaps is right, and that of the notebook.
func mapGaps(ids []uint64) []uint64 {
	if len(ids) == 0 {
		return nil
	}
	came := make(map[uint64]bool)
	for _, id := range ids {
		came[id] = true
	}
	var missing []uint64
	for id := slices.Min(ids); id < slices.Max(ids); id++ {
		if !came[id] {
			missing = append(missing, id)
		}
	}
	return missing
}

func TestWrongGaps(t *testing.T) {
	require.Empty(t, checkGaps(t.Context(), sortedGaps))
	require.Empty(t, checkGaps(t.Context(), mapGaps))
	known := map[int][]uint64{3: {3}, 2: {8, 9}, 5: {7}}
	for name, wrong := range map[string]func([]uint64) []uint64{
		"hard-coded":     func(ids []uint64) []uint64 { return known[len(ids)] },
		"empty, not nil": func(ids []uint64) []uint64 { return append([]uint64{}, sortedGaps(ids)...) },
		"one too many": func(ids []uint64) []uint64 {
			if len(ids) == 0 {
				return nil
			}
			return append(sortedGaps(ids), slices.Max(ids)+1)
		},
		"gaps of one only": func(ids []uint64) (m []uint64) {
			sorted := slices.Sorted(slices.Values(ids))
			for i := 1; i < len(sorted); i++ {
				if sorted[i] == sorted[i-1]+2 {
					m = append(m, sorted[i]-1)
				}
			}
			return m
		},
		"the first of each gap": func(ids []uint64) (m []uint64) {
			sorted := slices.Sorted(slices.Values(ids))
			for i := 1; i < len(sorted); i++ {
				if sorted[i] > sorted[i-1]+1 {
					m = append(m, sorted[i-1]+1)
				}
			}
			return m
		},
		"as a map gives them": func(ids []uint64) []uint64 {
			m := map[uint64]bool{}
			for _, id := range sortedGaps(ids) {
				m[id] = true
			}
			unsorted := slices.Collect(maps.Keys(m))
			slices.Reverse(unsorted)
			if len(unsorted) > 1 && slices.IsSorted(unsorted) {
				slices.Reverse(unsorted)
			}
			return unsorted
		},
		"with what came": func(ids []uint64) (m []uint64) {
			if len(ids) > 0 {
				for id := slices.Min(ids); id < slices.Max(ids); id++ {
					m = append(m, id)
				}
			}
			return m
		},
		"never ends at the highest number": func(ids []uint64) (m []uint64) {
			if len(ids) > 0 {
				for id := slices.Min(ids); id <= slices.Max(ids); id++ {
					if len(m) > 1000 { // as if it went on
						<-t.Context().Done()
						return nil
					}
					if !slices.Contains(ids, id) {
						m = append(m, id)
					}
				}
			}
			return m
		},
		"int and not uint64": func(ids []uint64) (m []uint64) {
			sorted := []int{}
			for _, id := range ids {
				sorted = append(sorted, int(id))
			}
			slices.Sort(sorted)
			for i := 1; i < len(sorted); i++ {
				for id := sorted[i-1] + 1; id < sorted[i]; id++ {
					if m = append(m, uint64(id)); id < 0 {
						return nil
					}
				}
			}
			return m
		},
		"compacts what it is given": func(ids []uint64) []uint64 { return sortedGaps(slices.Compact(ids)) },
		"0 is nothing": func(ids []uint64) []uint64 {
			return sortedGaps(slices.DeleteFunc(slices.Clone(ids), func(id uint64) bool { return id == 0 }))
		},
		"each missing one twice": func(ids []uint64) []uint64 {
			m := sortedGaps(ids)
			return slices.Sorted(slices.Values(append(m, m...)))
		},
		"leaves a goroutine": func(ids []uint64) []uint64 { go func() { <-t.Context().Done() }(); return sortedGaps(ids) },
		"panics with one":    func(ids []uint64) []uint64 { _ = ids[1:][0]; return sortedGaps(ids) },
	} {
		t.Run(name, func(t *testing.T) { require.NotEmpty(t, checkGaps(t.Context(), wrong)) })
	}
}

func TestWrongBelieves(t *testing.T) {
	// by believes a datagram of a text, a space and a code by what same says of the two.
	by := func(same func(text, code, secret []byte) bool) func(d, secret []byte) (string, bool) {
		return func(d, secret []byte) (string, bool) {
			i := bytes.LastIndexByte(d, ' ')
			if i < 0 || !same(d[:i], d[i+1:], secret) {
				return "", false
			}
			return string(d[:i]), true
		}
	}
	right := by(func(text, code, secret []byte) bool {
		sum, err := hex.DecodeString(string(code))
		return err == nil && hmac.Equal(sum, mac(string(text), secret))
	})
	require.Empty(t, checkBelieve(t.Context(), right))
	require.Empty(t, checkBelieve(t.Context(), by(func(text, code, secret []byte) bool { // another right one
		return hmac.Equal(code, []byte(hex.EncodeToString(mac(string(text), secret))))
	})))
	require.Empty(t, checkBelieve(t.Context(), func(d, secret []byte) (string, bool) { // and another
		if len(d) < 65 || d[len(d)-65] != ' ' {
			return "", false
		}
		text := string(d[:len(d)-65])
		return map[bool]string{true: text}[bytes.Equal(d, sign(text, secret))], bytes.Equal(d, sign(text, secret))
	}))
	believed := map[string]bool{}
	var once []byte
	for name, wrong := range map[string]func(d, secret []byte) (string, bool){
		"the secret of the first time": func(d, secret []byte) (string, bool) {
			if once == nil {
				once = bytes.Clone(secret)
			}
			return right(d, once)
		},
		"believed once is believed": func(d, secret []byte) (string, bool) {
			text, ok := right(d, secret)
			key := text
			if i := bytes.LastIndexByte(d, ' '); i >= 0 {
				key = string(d[:i])
			}
			if believed[key] = believed[key] || ok; believed[key] {
				return key, true
			}
			return "", false
		},
		"hard-coded": func(d, _ []byte) (string, bool) {
			if bytes.HasPrefix(d, []byte("the door is open ")) {
				return "the door is open", true
			}
			return "", false
		},
		"the hash of secret and text": by(func(text, code, secret []byte) bool {
			sum := sha256.Sum256(append(bytes.Clone(secret), text...))
			return string(code) == hex.EncodeToString(sum[:])
		}),
		"another hash": by(func(text, code, secret []byte) bool {
			h := hmac.New(md5.New, secret)
			h.Write(text)
			return string(code) == hex.EncodeToString(h.Sum(nil))
		}),
		"the HMAC of all": by(func(text, code, secret []byte) bool {
			return string(code) == hex.EncodeToString(mac(string(text)+" ", secret))
		}),
		"the first half": by(func(text, code, secret []byte) bool {
			return len(code) == 64 && string(code[:32]) == hex.EncodeToString(mac(string(text), secret))[:32]
		}),
		"the last half": by(func(text, code, secret []byte) bool {
			return len(code) == 64 && string(code[32:]) == hex.EncodeToString(mac(string(text), secret))[32:]
		}),
		"contains it": by(func(text, code, secret []byte) bool {
			return strings.Contains(string(code), hex.EncodeToString(mac(string(text), secret)))
		}),
		"as long as the code is": by(func(text, code, secret []byte) bool {
			sum, _ := hex.DecodeString(string(code))
			return bytes.Equal(sum, mac(string(text), secret)[:min(len(sum), 32)])
		}),
		"any secret": by(func(_, code, _ []byte) bool {
			sum, err := hex.DecodeString(string(code))
			return err == nil && len(sum) == 32
		}),
		"without an empty text": func(d, secret []byte) (string, bool) {
			text, ok := right(d, secret)
			return text, ok && text != ""
		},
		"trims the text": func(d, secret []byte) (string, bool) {
			text, ok := right(d, secret)
			return strings.TrimSpace(text), ok
		},
		"short texts only": func(d, secret []byte) (string, bool) { return right(d[:min(len(d), 500)], secret) },
		"panics at rubbish": func(d, secret []byte) (string, bool) {
			i := bytes.LastIndexByte(d, ' ')
			if sum, err := hex.DecodeString(string(d[i+1:])); err != nil || !hmac.Equal(sum, mac(string(d[:i]), secret)) {
				return "", false
			}
			return string(d[:i]), true
		},
		"changes the secret": func(d, secret []byte) (string, bool) {
			text, ok := right(d, secret)
			clear(secret)
			return text, ok
		},
		"the text and the space": func(d, secret []byte) (string, bool) {
			text, ok := right(d, secret)
			if ok {
				text += " "
			}
			return text, ok
		},
	} {
		t.Run(name, func(t *testing.T) { require.NotEmpty(t, checkBelieve(t.Context(), wrong)) })
	}
}
