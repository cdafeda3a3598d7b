package concurrency

import (
	"cmp"
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/later"
)

// Conditions are what happens to packets on their way. The zero value is an ideal network. The
// shares are of 1 and independent of each other.
type Conditions struct {
	Name string `json:"name"`
	// Delay is what every packet takes, one way.
	Delay time.Duration `json:"delay_ns"`
	// Loss, Damage, Detour and Twice are the shares of the packets that vanish, have one bit
	// flipped, take Delay once more (so that later ones overtake them), and arrive twice.
	Loss   float64 `json:"loss,omitempty"`
	Damage float64 `json:"damage,omitempty"`
	Detour float64 `json:"detour,omitempty"`
	Twice  float64 `json:"twice,omitempty"`
	// Rate is how many bytes a second get through; 0 means any number. A packet that would have to
	// wait for longer than MaxWait is dropped.
	Rate    int           `json:"rate,omitempty"`
	MaxWait time.Duration `json:"max_wait_ns,omitempty"`
	// What is sent: messages of Size bytes each, one every Every. What is 0 is the default:
	// 200 of 100 bytes, one every 5 ms.
	Messages int           `json:"messages,omitempty"`
	Size     int           `json:"size,omitempty"`
	Every    time.Duration `json:"every_ns,omitempty"`
}

func (c *Conditions) setDefaults() {
	c.Messages = cmp.Or(c.Messages, 200)
	c.Size = cmp.Or(c.Size, 100)
	c.Every = cmp.Or(c.Every, 5*time.Millisecond)
}

// check says what is out of range.
func (c Conditions) check() error {
	const most = 15 * time.Second
	err := cmp.Or(within("Delay", c.Delay, 0, time.Second), within("MaxWait", c.MaxWait, 0, time.Second),
		within("Loss", c.Loss, 0, 0.5), within("Damage", c.Damage, 0, 0.5), within("Detour", c.Detour, 0, 1), within("Twice", c.Twice, 0, 1),
		within("Messages", c.Messages, 1, 10_000), within("Size", c.Size, numberSize, 1200),
		within("Every", c.Every, 100*time.Microsecond, time.Second), within("the time to send all", c.Every*time.Duration(c.Messages), 0, most))
	if err == nil && c.Rate != 0 {
		err = within("Rate, for all to pass within 15 s", c.Rate, int(float64(c.Messages*(c.Size+ipHeader+tcpHeader))/most.Seconds()), 1_000_000_000)
	}
	return err
}

// RoadCounts is what became of the packets, in both directions.
type RoadCounts struct {
	Entered  int `json:"entered"`
	Lost     int `json:"lost"`    // by chance
	Dropped  int `json:"dropped"` // because the road was narrow
	Damaged  int `json:"damaged"`
	Detoured int `json:"detoured"`
	Twice    int `json:"twice"`
}

// Failed returns how many did not get through unharmed.
func (c RoadCounts) Failed() int { return c.Lost + c.Dropped + c.Damaged }

func (c *RoadCounts) add(d RoadCounts) {
	c.Entered += d.Entered
	c.Lost += d.Lost
	c.Dropped += d.Dropped
	c.Damaged += d.Damaged
	c.Detoured += d.Detoured
	c.Twice += d.Twice
}

// mostUnderWay bounds the packets that are on a road at once.
const mostUnderWay = 10_000

// road is one direction of a network. What happens to the n-th packet depends on the seed and on n
// alone. It is safe for several goroutines.
type road struct {
	conditions Conditions
	deliver    func(packet []byte)
	damageFrom int // bytes before this one stay as they are

	mu       sync.Mutex
	dice     *rand.Rand
	free     time.Time // when the narrow place is free again
	counts   RoadCounts
	underWay *later.Queue[[]byte]
}

func newRoad(c Conditions, seed uint64, damageFrom int, deliver func([]byte)) *road {
	return &road{
		conditions: c, deliver: deliver, damageFrom: damageFrom,
		dice: rand.New(rand.NewPCG(seed, 2026)), underWay: later.New[[]byte](),
	}
}

// enter takes a packet, which belongs to the road from now on, and returns when it will arrive; ok
// is false if it never will.
func (r *road) enter(packet []byte, now time.Time) (arrives time.Time, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c, n := r.conditions, &r.counts
	n.Entered++
	// All dice are thrown for each packet, so that one's fate does not depend on another's.
	lost, damaged, detoured, twice := r.dice.Float64() < c.Loss, r.dice.Float64() < c.Damage, r.dice.Float64() < c.Detour, r.dice.Float64() < c.Twice
	bit := r.dice.Uint64()
	at := now
	if c.Rate > 0 {
		if r.free.Before(now) {
			r.free = now
		}
		if r.free.Sub(now) > c.MaxWait {
			n.Dropped++
			return time.Time{}, false
		}
		r.free = r.free.Add(time.Duration(len(packet)) * time.Second / time.Duration(c.Rate))
		at = r.free
	}
	if lost || r.underWay.Len() >= mostUnderWay {
		n.Lost++
		return time.Time{}, false
	}
	if damaged && len(packet) > r.damageFrom {
		n.Damaged++
		packet[r.damageFrom+int(bit/8%uint64(len(packet)-r.damageFrom))] ^= 1 << (bit % 8)
	}
	at = at.Add(c.Delay)
	if detoured {
		n.Detoured++
		at = at.Add(c.Delay)
	}
	r.underWay.Push(packet, at)
	if twice {
		n.Twice++
		r.underWay.Push(packet, at.Add(time.Millisecond))
	}
	return at, true
}

// run delivers the packets until the context ends.
func (r *road) run(ctx context.Context) { r.underWay.Run(ctx, r.deliver) }

func (r *road) count() RoadCounts {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.counts
}
