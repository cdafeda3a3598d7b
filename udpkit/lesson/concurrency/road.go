package concurrency

import (
	"container/heap"
	"context"
	"math/rand/v2"
	"sync"
	"time"
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
	// wait for longer than Queue is dropped.
	Rate  int           `json:"rate,omitempty"`
	Queue time.Duration `json:"queue_ns,omitempty"`
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
	underWay travellers
	entered  uint64
	counts   RoadCounts
	news     chan struct{} // holds one element if underWay has a new first
}

func newRoad(c Conditions, seed uint64, damageFrom int, deliver func([]byte)) *road {
	return &road{
		conditions: c, deliver: deliver, damageFrom: damageFrom,
		dice: rand.New(rand.NewPCG(seed, 2026)), news: make(chan struct{}, 1),
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
		if r.free.Sub(now) > c.Queue {
			n.Dropped++
			return time.Time{}, false
		}
		r.free = r.free.Add(time.Duration(len(packet)) * time.Second / time.Duration(c.Rate))
		at = r.free
	}
	if lost || len(r.underWay) >= mostUnderWay {
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
	r.push(packet, at)
	if twice {
		n.Twice++
		r.push(packet, at.Add(time.Millisecond))
	}
	return at, true
}

func (r *road) push(packet []byte, at time.Time) {
	r.entered++
	heap.Push(&r.underWay, traveller{packet, at, r.entered})
	if r.underWay[0].number == r.entered {
		select {
		case r.news <- struct{}{}:
		default:
		}
	}
}

// run delivers the packets until the context ends.
func (r *road) run(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		r.mu.Lock()
		var packet []byte
		wait := time.Hour
		if len(r.underWay) > 0 {
			if wait = time.Until(r.underWay[0].at); wait <= 0 {
				packet = heap.Pop(&r.underWay).(traveller).packet
			}
		}
		r.mu.Unlock()
		if packet != nil {
			r.deliver(packet)
			continue
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return
		case <-r.news:
		case <-timer.C:
		}
	}
}

func (r *road) count() RoadCounts {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.counts
}

// traveller is a packet on its way.
type traveller struct {
	packet []byte
	at     time.Time
	number uint64 // keeps those of the same time in order
}

type travellers []traveller

func (t travellers) Len() int { return len(t) }
func (t travellers) Less(i, j int) bool {
	if t[i].at.Equal(t[j].at) {
		return t[i].number < t[j].number
	}
	return t[i].at.Before(t[j].at)
}
func (t travellers) Swap(i, j int) { t[i], t[j] = t[j], t[i] }
func (t *travellers) Push(x any)   { *t = append(*t, x.(traveller)) }
func (t *travellers) Pop() any {
	last := len(*t) - 1
	x := (*t)[last]
	(*t)[last] = traveller{}
	*t = (*t)[:last]
	return x
}
