package service

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	somebody = netip.MustParseAddrPort("10.0.0.7:5000")
	begun    = time.Unix(1_800_000_000, 0)
)

// TestRefusals: a reason of a source is told at once, then once a minute with how many came since,
// and what is left in the end.
func TestRefusals(t *testing.T) {
	const bad, worse = Malformed("not a JSON object"), Malformed("not valid UTF-8")
	assert.ErrorIs(t, bad, ErrMalformed)
	assert.EqualError(t, bad, "malformed datagram: not a JSON object")
	full := errors.New("the table is full")
	var r Refusals
	assert.Empty(t, r.Due(begun))
	assert.Empty(t, r.Rest(begun))
	told := r.Note(somebody, bad, begun)
	assert.Equal(t, []Refused{{From: somebody, Reason: "not a JSON object", Count: 1, Err: bad, At: begun}}, told)
	for i := range 10 {
		assert.Empty(t, r.Note(somebody, bad, begun.Add(time.Duration(i)*time.Second)))
	}
	other := netip.MustParseAddrPort("10.0.0.7:5001")
	at := begun.Add(30 * time.Second)
	assert.Equal(t, []Refused{{From: somebody, Reason: "not valid UTF-8", Count: 1, Err: worse, At: at}}, r.Note(somebody, worse, at))
	assert.Equal(t, []Refused{{From: other, Reason: "the table is full", Count: 1, Err: full, At: at}}, r.Note(other, full, at))
	assert.Empty(t, r.Due(begun.Add(time.Minute-1)))
	minute := begun.Add(time.Minute)
	assert.Equal(t, []Refused{{From: somebody, Reason: "not a JSON object", Count: 10, Err: bad, At: minute}}, r.Due(minute))
	assert.Empty(t, r.Due(minute))
	assert.Empty(t, r.Note(somebody, bad, minute))
	assert.Equal(t, []Refused{{From: somebody, Reason: "not a JSON object", Count: 1, Err: bad, At: minute}}, r.Rest(minute))
	assert.Empty(t, r.Due(minute.Add(time.Minute)))
	assert.Empty(t, r.tallies, "what has not come again is forgotten")
	assert.Len(t, r.Note(somebody, bad, minute.Add(time.Hour)), 1, "and told at once when it does")
}

// TestRefusalsByHost: a program that sends from another port each time is one source.
func TestRefusalsByHost(t *testing.T) {
	const bad = Malformed("not a greeting")
	r := Refusals{ByHost: true}
	other := netip.MustParseAddrPort("10.0.0.7:5001")
	assert.Equal(t, []Refused{{From: somebody, Reason: "not a greeting", Count: 1, Err: bad, At: begun}}, r.Note(somebody, bad, begun))
	assert.Empty(t, r.Note(somebody, bad, begun))
	assert.Empty(t, r.Note(other, bad, begun))
	assert.Equal(t, []Refused{{From: other, Reason: "not a greeting", Count: 2, Err: bad, At: begun}}, r.Rest(begun))
}

// TestRefusalsAreBounded: however many sources are forged, at most 64 and one for each reason are
// told a minute, nothing is lost of the count, and what is not told costs no memory.
func TestRefusalsAreBounded(t *testing.T) {
	reasons := []error{Malformed("one"), Malformed("two"), errors.New("three")}
	var r Refusals
	const each = 5000
	var told []Refused
	forged := func(i int) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 9)
	}
	for i := range each {
		for _, reason := range reasons {
			told = append(told, r.Note(forged(i), reason, begun)...)
		}
	}
	assert.Len(t, told, maxRefused+len(reasons))
	assert.Len(t, r.tallies, maxRefused+len(reasons))
	i := each
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		i++
		r.Note(forged(i), reasons[i%3], begun)
		r.Note(forged(1), reasons[1], begun)
	}))
	told = append(told, r.Rest(begun)...)
	var count uint64
	for _, e := range told {
		count += e.Count
	}
	assert.EqualValues(t, len(reasons)*each+2*101, count)
	last := told[len(told)-1]
	require.Equal(t, fmt.Sprint(forged(1)), last.From.String())
	later := begun.Add(2 * time.Minute)
	assert.Empty(t, r.Due(later))
	assert.Equal(t, somebody, r.Note(somebody, reasons[0], later)[0].From, "there is room again")
}
