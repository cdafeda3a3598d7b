package dissect_test

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/relaywire"
)

// damaged returns payloads with flipped bits, extreme numbers, other lengths and letters, and
// random ones.
func damaged(samples [][]byte, count int) (all [][]byte) {
	r := rand.New(rand.NewPCG(14, 2))
	for len(all) < count {
		p := slices.Clone(samples[r.IntN(len(samples))])
		for range 1 + r.IntN(2) {
			at := r.IntN(len(p))
			switch r.IntN(7) {
			case 0, 1, 2:
				p[at] ^= 1 << r.IntN(8)
			case 3:
				copy(p[at:], [][]byte{bytes.Repeat([]byte{0xff}, 8), make([]byte, 8), []byte("\\ud83d\\ude00"), []byte(`[{"":[]}]`)}[r.IntN(4)])
			case 4:
				p = slices.Insert(p, at, []byte([]string{"é", "\xc0\x80", "\u200b", "\U0001f600", "|", "\"", "\x00", " ", "1"}[r.IntN(9)])...)
			case 5:
				p = slices.Delete(p, at, at+1+r.IntN(len(p)-at))
			case 6:
				p = make([]byte, 1+r.IntN(200))
				for i := range p {
					p[i] = byte(r.Uint32())
				}
			}
			if len(p) == 0 {
				p = []byte("a")
			}
		}
		all = append(all, p)
	}
	return all
}

const maxParts = 128

// borders are payloads that are just a datagram, or just none.
func borders() (all [][]byte) {
	status := func(rest string) { all = append(all, []byte(`{"timestamp":"t","state":"s",`+rest+`}`)) }
	for _, value := range []string{"0", "9007199254740991", "9007199254740992", "5.0", "5.", "5.50", "-0", "01", "1e3", `"5"`, "null", "NaN", ""} {
		status(`"message_id":` + value)
		status(`"message_id":1,"interval_ms":` + value)
		status(`"message_id":1,"other":` + value)
	}
	for _, rest := range []string{
		`"interval_ms":31536000000`, `"interval_ms":31536000001`, `"epoch":"0000000000000000"`, `"epoch":"00000000000000AA"`, `"epoch":5`,
		`"state":"s"`, `"a":1,"a":1`, `"a":1,"\u0061":1`, `"repair":1`, `"repair":true,"end":false`, `"data":null`, `"data":{"a":[1,{}],"a":2}`,
		`"data":[1,]`, `"data":{"a":1,}`, `"data":[1 2]`, `"data":-1.5e+3`, `"data":"\ud83d\ude00 \ud83d"`, `"data":"\ude00"`, `"data":"\x"`, `"data":"\u00g0"`, `"mac":"a"`,
		`"data":` + strings.Repeat("[", 8) + strings.Repeat("]", 8), `"data":` + strings.Repeat("[", 9) + strings.Repeat("]", 9),
		`"data":"` + strings.Repeat("x", 960) + `"`, `"data":"` + strings.Repeat("x", 975) + `"`,
	} {
		status(`"message_id":1,` + rest)
		all = append(all, []byte(" \n"+`{ "state" : "s" ,"timestamp":"t", "message_id" :1 ,`+rest+" }\t"))
	}
	for _, count := range []int{29, 30} {
		rest := ""
		for i := range count {
			rest += fmt.Sprintf(`,"%d":[]`, i)
		}
		status(`"message_id":1` + rest)
	}
	for _, text := range []string{`""`, `"\u0041\u00e9\u20ac\ud83d\ude00"`, `"` + strings.Repeat("x", 64) + `"`, `"` + strings.Repeat("x", 65) + `"`, "5", "true"} {
		all = append(all, []byte(`{"timestamp":"t","message_id":1,"state":`+text+`}`), []byte(`{"timestamp":`+text+`,"message_id":1,"state":"s"}`))
	}
	for _, size := range []int{64, 65} {
		name := strings.Repeat("x", size)
		question := "Client " + name + " misses messages 5 to 7 epoch 00000000000000aa"
		all = append(all, []byte("Client "+name+" received message 5"), []byte("HELLO|"+name+"|00000000000000bb"), []byte("HELLO|"+name), fmt.Appendf(nil, "%-342s", question))
	}
	for _, text := range []string{
		"Client a received message 5\r\n", "Client a received message 5\n\n", "Client a received message 5 epoch 0000000000000000", "Client  received message 5",
		"Client a received message 4 received message 5", "HELLO|", "HELLO|a|0000000000000000", "HELLO||00000000000000bb", "BYE|a", "BYE|a|00000000000000bb\r\n",
		fmt.Sprintf("%-342s", "Client a misses messages 7 to 5 epoch 00000000000000aa"), fmt.Sprintf("%-341s", "Client a misses messages 5 to 7 epoch 00000000000000aa"),
	} {
		all = append(all, []byte(text))
	}
	missing := func(ranges ...relaywire.Missing) {
		f := relaywire.Frame{Kind: relaywire.Ack, Next: 4, Done: 3, Last: 9, Window: 1 << 20, Count: len(ranges)}
		for _, r := range ranges {
			f.Entries = r.Append(f.Entries)
		}
		all = append(all, frame(f))
	}
	missing(relaywire.Missing{Offset: 1, Count: 2}, relaywire.Missing{Offset: 3, Count: 3})
	missing(relaywire.Missing{Offset: 1, Count: 2}, relaywire.Missing{Offset: 2, Count: 1})
	missing(relaywire.Missing{Offset: 1, Count: 0})
	missing(relaywire.Missing{Offset: 3, Count: 4})
	missing(relaywire.Missing{Offset: 1<<32 - 1, Count: 1<<32 - 1})
	missing(make([]relaywire.Missing, 129)...)
	stored := func(last uint64, runs ...relaywire.Run) {
		f := relaywire.Frame{Kind: relaywire.Stored, Last: last, Count: len(runs)}
		for _, r := range runs {
			f.Entries = r.Append(f.Entries)
		}
		all = append(all, frame(f))
	}
	stored(4, relaywire.Run{Number: 1, Count: 3, Seq: 7}, relaywire.Run{Number: 4, Count: 1})
	stored(3, relaywire.Run{Number: 1, Count: 3, Seq: 7}, relaywire.Run{Number: 3, Count: 1})
	stored(0, relaywire.Run{Number: 1})
	stored(math.MaxUint64, relaywire.Run{Number: math.MaxUint64, Count: 1, Seq: 1})
	stored(1, relaywire.Run{Number: 1, Count: 1, Seq: math.MaxUint64})
	all = append(all,
		frame(relaywire.Frame{Kind: relaywire.Gap, First: 1, Last: math.MaxUint64}),
		frame(relaywire.Frame{Kind: relaywire.Pong, First: 5, Last: 4}), frame(relaywire.Frame{Kind: relaywire.Pong, First: 6, Last: 4}),
		frame(relaywire.Frame{Kind: relaywire.Welcome, First: 1, Last: 1, Next: 0}), frame(relaywire.Frame{Kind: relaywire.Welcome, First: 2, Last: 1, Next: 1 << 60}),
		frame(relaywire.Frame{Kind: relaywire.Ack, Next: 4, Done: 5, Last: 9}), frame(relaywire.Frame{Kind: relaywire.Ack, Next: 4, Last: 9, Window: 1<<20 + 1}),
		frame(relaywire.Frame{Kind: relaywire.Write, First: math.MaxUint64, Count: 1, Entries: relaywire.AppendText(nil, "")}),
		frame(relaywire.Frame{Kind: relaywire.Write, First: 1, Count: 1, Entries: relaywire.AppendText(nil, strings.Repeat("x", 1001))}),
		frame(relaywire.Frame{Kind: relaywire.Write, First: 1}),
	)
	for _, at := range []int64{0, -1, math.MaxInt64, math.MinInt64} {
		data := frame(relaywire.Frame{Kind: relaywire.Data, First: 1, Count: 1, Entries: relaywire.AppendMessage(nil, at, "ann", "text")})
		all = append(all, append(data, make([]byte, relaywire.MaxDatagram-len(data))...), append(data, make([]byte, relaywire.MaxDatagram-len(data)+1)...))
	}
	for _, role := range []uint8{0, relaywire.RoleReader, relaywire.RoleWriter, 3} {
		for from := range uint8(5) {
			for _, at := range []uint64{0, 1} {
				all = append(all, frame(relaywire.Frame{Kind: relaywire.Hello, Role: role, From: from, At: at, Name: "a-1_"}), frame(relaywire.Frame{Kind: relaywire.Hello, Role: role, From: from, Log: at, Name: "-"}))
			}
		}
	}
	return all
}

// long returns payloads that take minutes where the time grows as the square of their length.
func long() (all [][]byte) {
	const size = 60_000 // bytes
	ping := frame(relaywire.Frame{Kind: relaywire.Ping})
	for _, repeated := range []string{" ", `,"mac":"`, " mac ", " received message ", " misses messages ", `{"a":`, "[", "\\u0041", string(ping), "ur\x01", "0", "\u20ac"} {
		for _, before := range []string{"", "Client a", `{"message_id":"`} {
			all = append(all, []byte(before+strings.Repeat(repeated, size/len(repeated))+"x"))
		}
	}
	return append(all, bytes.Repeat(ping, maxParts), bytes.Repeat(ping, maxParts+1))
}
