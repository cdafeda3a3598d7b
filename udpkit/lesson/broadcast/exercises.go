package broadcast

import (
	"bytes"
	"context"
	"crypto/hmac"
	crand "crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/gonb-labs/udp-notebooks/udpkit/lesson/exercise"
)

// CheckGaps checks the first exercise: which numbers are missing between the lowest and the highest
// of those that came, rising, in whatever order and however often they came.
func CheckGaps(ctx context.Context, gaps func(ids []uint64) []uint64) error {
	return exercise.Report(ctx, checkGaps(ctx, gaps), nil)
}

// gapsTest is a list of numbers, and which are missing in it.
type gapsTest struct {
	ids, want []uint64
	hint      string
}

// randomGaps returns a list that nobody has seen before, some of it twice and in any order.
func randomGaps() gapsTest {
	test := gapsTest{hint: "they come in any order, and some twice"}
	first := rand.Uint64N(1 << 40)
	for id := first; id <= first+20; id++ {
		switch {
		case id == first, id == first+20, rand.IntN(2) == 0:
			test.ids = append(test.ids, id)
			if rand.IntN(3) == 0 {
				test.ids = append(test.ids, id)
			}
		default:
			test.want = append(test.want, id)
		}
	}
	rand.Shuffle(len(test.ids), func(i, j int) { test.ids[i], test.ids[j] = test.ids[j], test.ids[i] })
	return test
}

func checkGaps(ctx context.Context, gaps func([]uint64) []uint64) (missing string) {
	tests := []gapsTest{
		{[]uint64{1, 2, 3}, nil, "nothing is missing there"},
		{[]uint64{1, 2, 4}, []uint64{3}, "look for the numbers between two that came"},
		{[]uint64{7, 10}, []uint64{8, 9}, "a gap can be longer than one, and a client may begin to listen late"},
		{[]uint64{1, 1, 2, 2, 2}, nil, "what came twice is not missing"},
		{[]uint64{2, 1, 3}, nil, "a datagram can overtake another"},
		{[]uint64{5, 9, 6, 5, 8}, []uint64{7}, "they come in any order, and some twice"},
		{[]uint64{9, 2, 6}, []uint64{3, 4, 5, 7, 8}, "from the lowest to the highest, and rising"},
		{[]uint64{0, 2}, []uint64{1}, "a number may be 0"},
		{[]uint64{42}, nil, "one alone leaves no gap"},
		{nil, nil, "nothing came at all"},
		{[]uint64{1 << 60, 1<<60 + 2}, []uint64{1<<60 + 1}, "begin at the lowest number, and not at 0"},
		{[]uint64{math.MaxUint64, math.MaxUint64 - 2}, []uint64{math.MaxUint64 - 1}, "a number may be the highest of all"},
	}
	for range 5 {
		tests = append(tests, randomGaps())
	}
	for _, test := range tests {
		given := slices.Clone(test.ids)
		var got []uint64
		missing, ok := exercise.Try(ctx, fmt.Sprintf("gaps(%v)", test.ids), func() { got = gaps(given) })
		switch {
		case !ok:
			return missing
		case !slices.Equal(got, test.want):
			return fmt.Sprintf("gaps(%v) is %v, and not %v: %s", test.ids, list(got), test.want, test.hint)
		case !slices.Equal(given, test.ids):
			return fmt.Sprintf("gaps(%v) has changed the list that it was given: work on a copy", test.ids)
		case len(test.want) == 0 && got != nil:
			return fmt.Sprintf("gaps(%v) is empty, and not nil", test.ids)
		}
	}
	return ""
}

// list makes numbers fit for a message.
func list(ids []uint64) string {
	if len(ids) > 10 {
		return fmt.Sprintf("%v and %d more", ids[:10], len(ids)-10)
	}
	return fmt.Sprint(ids)
}

// sign returns the datagram of the second exercise: the text, a space, and the HMAC-SHA-256 of the
// text in hexadecimal digits.
func sign(text string, secret []byte) []byte {
	return fmt.Appendf(nil, "%s %x", text, mac(text, secret))
}

func mac(text string, secret []byte) []byte {
	h := hmac.New(sha256.New, secret)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// CheckBelieve checks the second exercise: a function that returns the text of a datagram that was
// made by sign with this secret, and false for every other.
func CheckBelieve(ctx context.Context, believe func(datagram, secret []byte) (text string, ok bool)) error {
	return exercise.Report(ctx, checkBelieve(ctx, believe), nil)
}

func checkBelieve(ctx context.Context, believe func(datagram, secret []byte) (string, bool)) (missing string) {
	for range 2 { // another secret, and what was believed before is not genuine any more
		if missing := checkSecret(ctx, believe, crand.Text(), crand.Text()); missing != "" {
			return missing
		}
	}
	return ""
}

// believeTest is a datagram, and what is to be believed of it.
type believeTest struct {
	datagram []byte
	text     string
	ok       bool
	what     string
}

// checkSecret has believe decide on datagrams of its class, whose secret it is given, and of
// strangers.
func checkSecret(ctx context.Context, believe func(datagram, secret []byte) (string, bool), class, strangers string) (missing string) {
	secret, other := []byte(class), []byte(strangers)
	genuine, nonce := sign("the door is open", secret), crand.Text()
	bare := sha256.Sum256([]byte("open"))
	shut := sign("the door is shut", secret)
	tests := []believeTest{
		{genuine, "the door is open", true, "a genuine one"},
		{sign("short", secret), "short", true, "a genuine one"},
		{sign(nonce, secret), nonce, true, "a genuine one"},
		{sign(strings.Repeat("long ", 200), secret), strings.Repeat("long ", 200), true, "a genuine one, and long"},
		{sign("\x00\xff\n", secret), "\x00\xff\n", true, "a genuine one whose text is no text"},
		{sign("", secret), "", true, "a genuine one whose text is empty"},
		{sign("two  spaces ", secret), "two  spaces ", true, "a genuine one whose text ends in a space: split at the last one"},
		{sign("the door is open", other), "", false, "one that was signed with another secret"},
		{fmt.Appendf(nil, "open %x", bare), "", false, "one with a hash that needs no secret: everybody can make that"},
		{append([]byte("the door is open"), shut[len("the door is shut"):]...), "", false, "a text with the HMAC of another text"},
		{genuine[:len(genuine)-1], "", false, "one that was cut by a digit"},
		{genuine[:len(genuine)-2], "", false, "one that was cut by a byte"},
		{genuine[:len("the door is open ")+2], "", false, "one with a single byte of its HMAC: a forger needs 256 attempts"},
		{[]byte("the door is open "), "", false, "one whose HMAC is empty"},
		{append(bytes.Clone(genuine), "00"...), "", false, "one with a byte more than its HMAC has"},
		{[]byte("the door is open"), "", false, "one without an HMAC"},
		{fmt.Appendf(nil, "%x open", mac("open", secret)), "", false, "one with the HMAC in front"},
		{append([]byte("open "), strings.Repeat("zz", sha256.Size)...), "", false, "one whose HMAC is no hexadecimal number"},
		{[]byte("nospace"), "", false, "one without a space"},
		{[]byte(hex.EncodeToString(mac("", secret))), "", false, "an HMAC alone, without a space"},
		{[]byte(" "), "", false, "a single space"},
		{nil, "", false, "an empty one"},
	}
	for digit := range 2 * sha256.Size {
		changed := bytes.Clone(genuine)
		at := &changed[len(changed)-1-digit]
		if *at++; *at == '9'+1 || *at == 'f'+1 { // another digit
			*at = '0'
		}
		tests = append(tests, believeTest{changed, "", false, fmt.Sprintf("one whose digit %d was changed", 2*sha256.Size-digit)})
	}
	for _, test := range tests {
		var text string
		var ok bool
		datagram, key := bytes.Clone(test.datagram), bytes.Clone(secret)
		missing, returned := exercise.Try(ctx, "believe, given "+test.what, func() { text, ok = believe(datagram, key) })
		switch {
		case !returned:
			return missing
		case test.ok && !ok:
			return fmt.Sprintf("believe refuses %.100q, %s", test.datagram, test.what)
		case ok && !test.ok:
			return fmt.Sprintf("believe believes %.100q, %s", test.datagram, test.what)
		case ok && text != test.text:
			return fmt.Sprintf("believe returns %.100q for %s; its text is %.100q", text, test.what, test.text)
		case !ok && text != "":
			return fmt.Sprintf("believe refuses %s, and still returns the text %q: somebody will use it", test.what, text)
		case !bytes.Equal(datagram, test.datagram) || !bytes.Equal(key, secret):
			return fmt.Sprintf("believe was given %s, and has changed the bytes that it was given: work on a copy", test.what)
		}
	}
	return ""
}
